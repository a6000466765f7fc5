"""Agents for tasks that no skill fits: a plain team of three, or the user's own; their work is a run.

What a team does is captured like any other run, so that a skill can be made of it. The names below are
loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillsmith.teams.own import OwnTeam, load_team
    from skillsmith.teams.plain import PlainTeam
    from skillsmith.teams.result import TeamResult

_HOMES = {
    "OwnTeam": "skillsmith.teams.own",
    "PlainTeam": "skillsmith.teams.plain",
    "TeamResult": "skillsmith.teams.result",
    "load_team": "skillsmith.teams.own",
}

__all__ = ["OwnTeam", "PlainTeam", "TeamResult", "load_team"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skillsmith.teams' has no attribute {name!r}")
