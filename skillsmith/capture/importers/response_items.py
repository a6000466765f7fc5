"""Items of OpenAI's Responses API (Codex writes them too), as the blocks of messages that chats are made of.

One answer of the model is a row of items: reasoning, texts, calls, and what the provider's own tools gave.
A row of items of one side is one message, so that an answer and its echo in the next request are alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from skillsmith.capture.importers.base import as_text, items, mapping, text_or_none, without
from skillsmith.capture.importers.blocks import EXECUTED, joined_text
from skillsmith.models import Json

CALLS: Mapping[str, tuple[str, str]] = {
    "local_shell_call": ("local_shell", "action"),
    "web_search_call": ("web_search", "action"),
    "tool_search_call": ("tool_search", "arguments"),
    "image_generation_call": ("image_generation", "revised_prompt"),
}
"""Type of a call of a tool that the provider knows: the tool's name, and where its arguments stand."""

OUTPUTS = frozenset({
    "function_call_output", "custom_tool_call_output", "local_shell_call_output", "tool_search_output",
})  # fmt: skip
"""Types of answers to calls."""

_MORE_CALLS: Mapping[str, tuple[str, str]] = {
    **CALLS,
    "file_search_call": ("file_search", "queries"),
    "computer_call": ("computer", "action"),
    "shell_call": ("shell", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
    "mcp_list_tools": ("mcp_list_tools", "server_label"),
    "mcp_approval_request": ("mcp_approval", "arguments"),
}
ITEMS = frozenset({
    "code_interpreter_call", "custom_tool_call", "function_call", "mcp_call", "reasoning",
    *_MORE_CALLS, *OUTPUTS,
})  # fmt: skip
"""Types of items that are no messages."""

_RESULTS = ("results", "tools", "result")  # of the provider's tools, in the call's own item


def messages_of(listed: Iterable[Json]) -> Iterator[dict[str, Json]]:
    """Yield the messages that a row of items is; calls and reasoning belong to the assistant's."""
    rows = groupby((mapping(item) for item in listed), key=_side)
    for role, row in rows:
        if role == "assistant":
            yield {"role": role, "content": [block for item in row for block in _blocks(item)]}
            continue
        for item in row:
            yield {"role": role, "content": list(_blocks(item)) or item.get("content")}


def _side(item: Mapping[str, Json]) -> str:
    kind = text_or_none(item.get("type"))
    if kind in (None, "message"):
        return text_or_none(item.get("role")) or "user"
    return "user" if kind.endswith(("_output", "_response")) else "assistant"


def _blocks(item: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    kind = text_or_none(item.get("type"))
    call_id = text_or_none(item.get("call_id")) or text_or_none(item.get("id"))
    if kind in (None, "message"):
        content = item.get("content")
        yield from items(content) if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    elif kind == "reasoning":
        yield {
            "type": "thinking",
            "thinking": joined_text([*items(item.get("summary")), *items(item.get("content"))]),
        }
    elif kind == "code_interpreter_call":
        yield _executed(item, call_id)
    elif kind in ("function_call", "custom_tool_call", "mcp_call"):
        yield _call(call_id, item.get("name"), item.get("arguments", item.get("input")))
        yield from _own_answer(kind, item, call_id)
    elif kind in _MORE_CALLS:
        name, arguments = _MORE_CALLS[kind]
        yield _call(call_id, name, item.get(arguments))
        yield from _own_answer(kind, item, call_id)
    elif kind.endswith("_output"):
        yield _result(call_id, item.get("output", item.get("tools")))
    else:
        yield {"type": "text", "text": as_text(dict(item))}


def _call(call_id: str | None, name: Json, arguments: Json) -> dict[str, Json]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def _result(call_id: str | None, output: Json, *, failed: bool = False) -> dict[str, Json]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": output, "is_error": failed}


def _own_answer(kind: str, item: Mapping[str, Json], call_id: str | None) -> Iterator[dict[str, Json]]:
    """Yield the answer that a call's own item carries, when the provider has run the tool."""
    if kind == "mcp_call" and (item.get("output") is not None or item.get("error")):
        error = item.get("error")
        yield _result(call_id, as_text(error) if error else item.get("output"), failed=bool(error))
        return
    for key in _RESULTS:
        if item.get(key) is not None:
            text = as_text(item[key]) or ""
            picture = kind == "image_generation_call"
            yield _result(call_id, f"[image, {len(text):,} characters]" if picture else text)
            return


def _executed(item: Mapping[str, Json], call_id: str | None) -> dict[str, Json]:
    outputs = [mapping(output) for output in items(item.get("outputs"))]
    logs = [
        text_or_none(output.get("logs")) or as_text(without(output, ("type",))) or "" for output in outputs
    ]
    return {
        "type": EXECUTED,
        "id": call_id,
        "language": "python",
        "code": item.get("code"),
        "output": "\n".join(logs) if outputs else None,
    }
