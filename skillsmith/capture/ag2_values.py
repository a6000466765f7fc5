"""What AG2's events hold, as text and numbers; AG2 and the host go on changing them, so nothing is kept.

Fields that are newer than AG2 1.0 are asked for by name, and may be absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from skillsmith.capture.shapes import safe_text, text_of
from skillsmith.events import parse_json
from skillsmith.models import ToolUse

_EXIT_PREFIX = "[exit code: "
_ROUTING_MODULE = "ag2.network.handoff"


class Spent(NamedTuple):
    """Tokens of one model call; None: the provider does not say."""

    prompt: int | None
    completion: int | None
    cached: int | None


_NOTHING_SAID = Spent(None, None, None)


def spent_of(usage: Any, provider: str | None) -> Spent:
    """Return what a ``Usage`` says; prompt tokens always include those read from or written to a cache."""
    if usage is None:
        return _NOTHING_SAID
    prompt, cached = _count(usage, "prompt_tokens"), _count(usage, "cache_read_input_tokens")
    if prompt is not None and provider == "anthropic":  # counts them apart
        prompt += (cached or 0) + (_count(usage, "cache_creation_input_tokens") or 0)
    return Spent(prompt, _count(usage, "completion_tokens"), cached or None)


def _count(usage: Any, name: str) -> int | None:
    value = getattr(usage, name, None)
    return value if value is None or type(value) is int else int(value)


def parts_text(parts: Iterable[Any]) -> str | None:
    """Return the inputs of a request, or the parts of a tool's result, as one text."""
    texts = [text for text in map(_part_text, parts) if text is not None]
    if len(texts) == 1:
        return texts[0]
    return "\n".join(texts) if texts else None


def _part_text(part: Any) -> str | None:
    content = getattr(part, "content", None)
    if type(content) is str:
        return content
    data = getattr(part, "data", None)
    if isinstance(data, (bytes, bytearray)):
        return f"‹{getattr(part, 'media_type', 'binary')}, {len(data)} bytes›"
    if data is not None:
        return text_of(data)
    for name in ("url", "file_id"):
        if (value := getattr(part, name, None)) is not None:
            return f"‹{name} {value}›"
    return (
        safe_text(part, form=repr) if data is None and content is None and hasattr(part, "metadata") else None
    )


def parts_of(event: Any) -> Iterable[Any] | None:
    """Return the parts of what a tool's event says to the model."""
    result = getattr(event, "result", None)
    return None if result is None else getattr(result, "parts", ())


def routing_of(parts: Iterable[Any]) -> str | None:
    """Return "Handoff" or "Finish" when that is all a tool has returned."""
    for part in parts:
        kind = type(getattr(part, "data", None))
        if kind.__module__ == _ROUTING_MODULE:
            return kind.__name__
    return None


def call_of(event: Any) -> ToolUse:
    """Return a tool call as the model wrote it."""
    return ToolUse(name=event.name, call_id=event.id, arguments=text_of(event.arguments))


def block_of(arguments: Any) -> tuple[str, str] | None:
    """Return code and language of a call of a code tool, or None when its arguments are no such thing.

    Args:
        arguments: As the model wrote them.
    """
    try:
        parsed = parse_json(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("code"), str):
        return None
    language = parsed.get("language")
    return parsed["code"], language if isinstance(language, str) else "python"


def ran(output: str | None, *, failed: bool) -> tuple[int | None, str | None]:
    """Return exit code and output of a code tool's result: it names the exit code only when that is not 0.

    Args:
        output: What the tool returned.
        failed: Whether the tool itself failed, so that no process has an exit code.
    """
    if failed or output is None:
        return None, output
    head, _newline, last = output.rpartition("\n")
    number = last[len(_EXIT_PREFIX) : -1]
    if last.startswith(_EXIT_PREFIX) and last.endswith("]") and number.lstrip("-").isdigit():
        return int(number), head
    return 0, output
