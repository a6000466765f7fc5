"""What a dry run says about changes: which calls may change something outside."""

from __future__ import annotations

from collections.abc import Mapping

from skillsmith.models import Json, ToolSource


def writing_calls(plan: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """Return the tool calls of a dry run that may change something outside."""
    return [node for node in plan["nodes"] if node["kind"] == "tool" and node["effect"] == "write"]


def agents_that_write(plan: Mapping[str, Json]) -> bool:
    """Whether agents of a dry run may call tools that change something."""
    return any(node["kind"] == "agent" and node["effect"] == "write" for node in plan["nodes"])


def writing_tools(tools: ToolSource | None) -> list[str]:
    """Return the names of the tools that may change something."""
    from skillsmith.library.program.effects import effect_of  # noqa: PLC0415  (the executor has loaded it)

    return [] if tools is None else [name for name in tools.names() if effect_of(name) == "write"]
