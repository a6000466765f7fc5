"""Messages as other frameworks write them, brought to the one form that chats are read in.

LangChain (its objects, dumped in three ways), pydantic-ai, ShareGPT and Vercel's AI SDK. What is in no such
form is returned as it is, so that a chat in OpenAI's form costs one look a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from skillsmith.capture.importers.base import as_text, items, mapping, text_or_none, without
from skillsmith.models import Json

_SPEAKERS: Mapping[str, str] = {
    "human": "user", "user": "user", "ai": "assistant", "assistant": "assistant", "gpt": "assistant",
    "chatgpt": "assistant", "bot": "assistant", "system": "system", "tool": "tool", "function": "tool",
    "observation": "tool",
    "HumanMessage": "user", "HumanMessageChunk": "user", "AIMessage": "assistant",
    "AIMessageChunk": "assistant", "SystemMessage": "system", "ToolMessage": "tool",
    "FunctionMessage": "tool",
}  # fmt: skip
"""Role by what a framework calls the speaker, or by the name of the message's class."""

_PYDANTIC_AI = ("request", "response")
_DONE = "output-"  # how the states begin in which a tool's part carries what came of it


def chat_messages(values: Sequence[Json]) -> list[Json]:
    """Return messages in the chats' form; one of pydantic-ai may become several."""
    return [message for value in values for message in _forms(value)]


def _forms(value: Json) -> Iterator[Json]:
    if not isinstance(value, dict) or ("role" in value and "parts" not in value):
        yield value
        return
    for form in _KNOWN:
        if (found := form(value)) is not None:
            yield from found
            return
    yield value


def _langchain(value: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    """Read a message as LangChain dumps it: a constructor, a type with its data, or plain fields."""
    kind, fields = text_or_none(value.get("type")), value
    if kind == "constructor" and "lc" in value:
        kind = text_or_none(next(iter(items(value.get("id"))[-1:]), None))
        fields = mapping(value.get("kwargs"))
    elif isinstance(value.get("data"), dict):
        fields = value["data"]
    role = _SPEAKERS.get(kind or "")
    if role is None or "content" not in fields:
        return None
    extra = mapping(fields.get("additional_kwargs"))
    kept = without(fields, ("type", "additional_kwargs", "response_metadata"))
    legacy = {key: extra[key] for key in ("tool_calls", "function_call") if extra.get(key)}
    return [{**legacy, **{key: item for key, item in kept.items() if item != []}, "role": role}]


def _sharegpt(value: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    speaker = text_or_none(value.get("from"))
    if speaker is None or "value" not in value:
        return None
    role = _SPEAKERS.get(speaker.lower(), speaker)
    return [{**without(value, ("from", "value")), "role": role, "content": value["value"]}]


def _pydantic_ai(value: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    if value.get("kind") not in _PYDANTIC_AI or not isinstance(value.get("parts"), list):
        return None
    parts = [mapping(part) for part in value["parts"]]
    system = [part for part in parts if part.get("part_kind") == "system-prompt"]
    rest = [_block(part) for part in parts if part.get("part_kind") != "system-prompt"]
    role = "user" if value["kind"] == "request" else "assistant"
    found: list[dict[str, Json]] = [{"role": "system", "content": part.get("content")} for part in system]
    if rest or not found:
        found.append({"role": role, "content": rest, "timestamp": value.get("timestamp")})
    return found


def _block(part: Mapping[str, Json]) -> Json:
    """Return a part of pydantic-ai's as a block."""
    kind, content = part.get("part_kind"), part.get("content")
    if kind in ("user-prompt", "text"):
        pieces = content if isinstance(content, list) else [as_text(content) or ""]
        return {"type": "text", "text": "\n".join(map(_said, pieces))}
    if kind == "thinking":
        return {"type": "thinking", "thinking": content}
    if kind in ("tool-call", "builtin-tool-call"):
        return {"type": "tool_use", "id": part.get("tool_call_id"), "name": part.get("tool_name"),
                "input": part.get("args")}  # fmt: skip
    return {"type": "tool_result", "tool_use_id": part.get("tool_call_id"), "content": as_text(content),
            "is_error": kind == "retry-prompt"}  # fmt: skip


def _said(piece: Json) -> str:
    """Return a piece of a prompt; what is no text becomes a note on what it is."""
    if isinstance(piece, str):
        return piece
    record = mapping(piece)
    url = text_or_none(record.get("url"))
    return f"[{text_or_none(record.get('kind')) or 'attachment'}{f' {url}' if url else ''}]"


def _ai_sdk(value: Mapping[str, Json]) -> list[dict[str, Json]] | None:
    """Read a message of the AI SDK's interface: its parts hold the calls with what came of them."""
    if "content" in value or not any("type" in mapping(part) for part in items(value.get("parts"))):
        return None
    blocks = [block for part in items(value["parts"]) for block in _interface_blocks(mapping(part))]
    return [{**without(value, ("parts",)), "content": blocks}]


def _interface_blocks(part: Mapping[str, Json]) -> Iterator[Json]:
    kind = text_or_none(part.get("type")) or ""
    use = mapping(part.get("toolInvocation")) or part
    if kind == "step-start":
        return
    if not (kind.startswith("tool-") or kind == "dynamic-tool") or "toolCallId" not in use:
        yield dict(part) if kind != "reasoning" else {"type": "thinking", "thinking": _reasoning(part)}
        return
    call_id, state = use["toolCallId"], text_or_none(use.get("state")) or ""
    name = use.get("toolName") or kind.removeprefix("tool-")
    yield {"type": "tool_use", "id": call_id, "name": name, "input": use.get("input", use.get("args"))}
    if state.startswith(_DONE) or state == "result":
        failed = state == "output-error"
        given = use.get("errorText") if failed else use.get("output", use.get("result"))
        yield {"type": "tool_result", "tool_use_id": call_id, "content": as_text(given), "is_error": failed}


def _reasoning(part: Mapping[str, Json]) -> Json:
    return part.get("text", part.get("reasoning"))


_KNOWN: tuple[Callable[[Mapping[str, Json]], list[dict[str, Json]] | None], ...] = (
    _langchain, _sharegpt, _pydantic_ai, _ai_sdk,
)  # fmt: skip
