"""Capture of AG2 Classic (``autogen``): agents, group chats and patterns, watched by changing no class.

This module imports without AG2 Classic; what needs it is imported when it is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from skillsmith.capture.tape import Tape, Undo
from skillsmith.errors import UsageError

_BUILT = ("InstrumentedConversableAgent", "InstrumentedGroupChat")


def handles(obj: Any) -> bool:
    """Tell whether an object is an agent, a group chat or a pattern of AG2 Classic."""
    autogen = sys.modules.get("autogen")
    if autogen is None:
        return False
    return isinstance(obj, (autogen.ConversableAgent, autogen.GroupChat)) or _is_pattern(obj)


def _is_pattern(obj: Any) -> bool:
    patterns = sys.modules.get("autogen.agentchat.group.patterns.pattern")
    return patterns is not None and isinstance(obj, patterns.Pattern)


def instrument(obj: Any, tape: Tape, undo: Undo) -> Any:
    """Watch an agent, group chat or pattern, and whoever it works with, until it is undone; return it.

    Args:
        obj: The object.
        tape: Where what it does is written.
        undo: Lets go of everything.
    """
    wire = import_module("skillsmith.capture.classic_wire").wire_for(tape, undo)
    if _is_pattern(obj):
        import_module("skillsmith.capture.classic_groups").adopt_pattern(wire, obj)
    else:
        import_module("skillsmith.capture.classic_agents").adopt(wire, obj)
    return obj


def instrument_all(tape: Tape, undo: Undo) -> Callable[[], None]:
    """Watch every agent of this process, through AG2's own runtime logging, until it is undone.

    Args:
        tape: Where what they do is written.
        undo: Lets go of everything.

    Returns:
        What ends it earlier, for agents that have done nothing yet.
    """
    seam = import_module("skillsmith.capture.classic_global")
    wire = import_module("skillsmith.capture.classic_wire").wire_for(tape, undo)
    seam.watch_all(wire)

    def end() -> None:
        seam.unwatch_all(wire)

    undo.add(end)
    return end


def __getattr__(name: str) -> Any:
    if name not in _BUILT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "autogen" not in sys.modules and find_spec("autogen") is None:
        raise UsageError(
            f"{name} needs AG2 Classic (autogen), which is not installed",
            hint="pip install 'skillsmith-cli[classic]'",
        )
    return getattr(import_module("skillsmith.capture.classic_built"), name)
