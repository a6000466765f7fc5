"""What agents do, recorded while they do it (``logger``, ``artifacts``, ``recorder``) or read from logs.

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillsmith.capture.artifacts import ArtifactTracker
    from skillsmith.capture.logger import AgentExecutionLogger
    from skillsmith.capture.recorder import Recorder
    from skillsmith.capture.spill import absorb_spills

_HOMES = {
    "AgentExecutionLogger": "skillsmith.capture.logger",
    "ArtifactTracker": "skillsmith.capture.artifacts",
    "Recorder": "skillsmith.capture.recorder",
    "absorb_spills": "skillsmith.capture.spill",
}

__all__ = ["AgentExecutionLogger", "ArtifactTracker", "Recorder", "absorb_spills"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skillsmith.capture' has no attribute {name!r}")
