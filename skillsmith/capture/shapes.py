"""What hosts hand to a logger, in the many shapes they have, brought to text and numbers.

Hosts go on changing their dictionaries after they have logged them, so nothing here keeps a reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillsmith.events import dump_json, load_json
from skillsmith.ids import new_id
from skillsmith.models import Json, ToolUse

_EXIT_CODES = ("exit_code", "exitcode", "returncode", "exit_status", "status_code", "code")
_OUTPUTS = ("output", "logs", "result", "stdout")
_REASONING = ("reasoning_content", "reasoning", "thinking")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an agent said."""

    content: str | None
    role: str | None = None
    reasoning: str | None = None
    tools: tuple[ToolUse, ...] = ()


def field_of(value: Any, *names: str) -> Any:
    """Return the first of these keys or attributes that is there and not None."""
    for name in names:
        found = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        if found is not None:
            return found
    return None


def text_of(value: Any) -> str | None:
    """Return a message's content as text: the text parts of a list, anything else that is no text as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, (list, tuple)) and value and all(_is_text_part(part) for part in value):
        return "\n".join(str(part["text"]) for part in value)
    return dump_json(value)


def _is_text_part(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)


def reply_of(reply: Any) -> Reply:
    """Return what a reply says: a text, a chat message (dictionary or object), or its list of parts."""
    if reply is None or isinstance(reply, (str, bytes, list, tuple)):
        return Reply(content=text_of(reply))
    if isinstance(reply, Mapping) and not {"content", "tool_calls", "function_call"} & reply.keys():
        return Reply(content=dump_json(reply), reasoning=_text_field(reply, _REASONING))
    if not isinstance(reply, Mapping) and not hasattr(reply, "content"):
        return Reply(content=str(reply))
    calls = field_of(reply, "tool_calls") or ([c] if (c := field_of(reply, "function_call")) else [])
    role = field_of(reply, "role")
    return Reply(
        content=text_of(field_of(reply, "content")),
        role=role if isinstance(role, str) else None,
        reasoning=_text_field(reply, _REASONING),
        tools=tool_calls_of(calls),
    )


def _text_field(value: Any, names: Sequence[str]) -> str | None:
    return text_of(field_of(value, *names))


def tool_calls_of(calls: Any) -> tuple[ToolUse, ...]:
    """Return tool calls: names, or dictionaries or objects as model interfaces have them."""
    if calls is None:
        return ()
    many: Iterable[Any] = calls if isinstance(calls, (list, tuple)) else [calls]
    return tuple(_tool_call(call) for call in many)


def _tool_call(call: Any) -> ToolUse:
    if type(call) is dict and (known := _as_openai_writes(call)):
        return known
    if isinstance(call, str):
        return ToolUse(name=call, call_id=new_id())
    inner = field_of(call, "function")
    spec = inner if inner is not None and not isinstance(inner, str) else call
    name = field_of(spec, "name", "tool_name", "tool", "function")
    call_id = field_of(call, "id", "call_id", "tool_call_id")
    return ToolUse(
        name=str(name or "unknown"),
        call_id=new_id() if call_id is None else str(call_id),
        arguments=text_of(field_of(spec, "arguments", "args", "input", "parameters")),
    )


def _as_openai_writes(call: dict[str, Any]) -> ToolUse | None:
    """Return a call of the usual shape, at a fraction of what it takes to look for all others."""
    function, call_id = call.get("function"), call.get("id")
    if type(function) is not dict or type(call_id) is not str:
        return None
    name, arguments = function.get("name"), function.get("arguments")
    if type(name) is not str or not name or type(arguments) is not str:
        return None
    return ToolUse(name=name, call_id=call_id, arguments=arguments)


def error_of(error: Any) -> str | None:
    """Return what went wrong as text; an exception with its type."""
    if isinstance(error, BaseException):
        return f"{type(error).__name__}: {safe_text(error)}"
    return text_of(error)


def safe_text(value: object, *, form: Callable[[object], str] = str) -> str:
    """Return the text form of a host's object, which may fail in any way when it is asked."""
    try:
        return form(value)
    except Exception:  # noqa: BLE001  (its type then has to do)
        return f"<{type(value).__name__}>"


def execution_of(result: Any) -> tuple[int | None, str | None]:
    """Return exit code and output of executed code.

    Args:
        result: A dictionary or object with an exit code and an output (or stdout and stderr, or logs), an
            (exit code, output, …) tuple, an exception, or the output alone.
    """
    if isinstance(result, BaseException):
        return 1, error_of(result)
    if isinstance(result, tuple) and len(result) > 1 and isinstance(result[0], int):
        return int(result[0]), text_of(result[1])
    if result is None or isinstance(result, (str, bytes, list, tuple)):
        return None, text_of(result)
    if not isinstance(result, Mapping) and field_of(result, *_EXIT_CODES, *_OUTPUTS, "stderr") is None:
        return None, str(result)
    return _exit_code(result), _output(result)


def _exit_code(result: Any) -> int | None:
    code = field_of(result, *_EXIT_CODES)
    if isinstance(code, (int, str)) and str(code).lstrip("-").isdigit():
        return int(code)
    success = field_of(result, "success")
    return None if success is None else int(not success)


def _output(result: Any) -> str | None:
    parts = [text_of(field_of(result, *_OUTPUTS)), text_of(field_of(result, "stderr"))]
    if parts[1] is None:
        parts.append(error_of(field_of(result, "error")))
    present = [part for part in parts if part]
    if not present:
        return "" if any(part is not None for part in parts) else None
    return "\n".join(part.rstrip("\n") for part in present[:-1]) + "\n" * (len(present) > 1) + present[-1]


def values_of(context: Any) -> dict[str, Json]:
    """Return context variables as plain JSON values, copied: from a mapping or an object that holds one."""
    values = context
    if not isinstance(values, Mapping):
        held = field_of(values, "data", "variables")
        values = held if isinstance(held, Mapping) else getattr(values, "__dict__", {"value": values})
    copied = load_json(dump_json(dict(values)))
    return copied if isinstance(copied, dict) else {"value": copied}
