"""What ``codex exec --json`` prints, told as the event messages of a rollout.

Today's version prints threads, turns and items; earlier ones printed the event messages themselves, each in
an envelope with a number.
"""

from __future__ import annotations

from collections.abc import Mapping

from skillsmith.capture.importers.base import items, mapping, text_or_none
from skillsmith.models import Json

_ITEMS = ("item.started", "item.updated", "item.completed")
_NAMES: Mapping[str, str] = {
    "agent_message": "agent_message", "assistant_message": "agent_message", "reasoning": "agent_reasoning",
    "command_execution": "exec_command_end", "mcp_tool_call": "mcp_tool_call_end",
    "file_change": "patch_apply_end", "web_search": "web_search_end",
}  # fmt: skip
"""What the event message of a finished item is called."""
_TURNS = ("thread.started", "turn.started", "turn.completed", "turn.failed")


def is_printed(line: Mapping[str, Json]) -> bool:
    """Tell whether a line is one of those that are printed, and of no rollout."""
    kind = line.get("type")
    if kind in _ITEMS:
        return isinstance(line.get("item"), dict)
    return kind in _TURNS or (
        {"id", "msg"} <= line.keys() and text_or_none(mapping(line["msg"]).get("type")) is not None
    )


def event_of(line: Mapping[str, Json]) -> dict[str, Json]:
    """Return a printed line as an event message."""
    kind, item = text_or_none(line.get("type")), mapping(line.get("item"))
    if "msg" in line:
        return mapping(line["msg"])
    if kind == "turn.completed":
        return {"type": "token_count", "info": {"last_token_usage": line.get("usage")}}
    if kind == "turn.failed":
        return {"type": "error", "message": mapping(line.get("error")).get("message")}
    if kind == "item.completed":
        return _done(item)
    return dict(line)


def _done(item: Mapping[str, Json]) -> dict[str, Json]:
    kind = str(item.get("type", item.get("item_type")))
    facts = {**item, "type": _NAMES.get(kind, kind), "call_id": item.get("id")}
    if kind in ("agent_message", "assistant_message"):
        facts["message"] = item.get("text")
    elif kind == "mcp_tool_call":
        error = mapping(item.get("error")).get("message")
        facts["invocation"] = dict(item)
        facts["result"] = {"Err": error} if error else {"Ok": item.get("result")}
    elif kind == "file_change":
        changed = [mapping(one) for one in items(item.get("changes"))]
        facts["changes"] = {str(one.get("path")): one.get("kind") for one in changed}
        facts["success"] = item.get("status") != "failed"
    return facts
