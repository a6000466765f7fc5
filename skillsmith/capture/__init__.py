"""What agents do, recorded while they do it, or read from logs; call it to capture a run.

``with skillsmith.capture("the task") as run: run.instrument(agent)``: the package is callable, and its names
are loaded on first use, so that importing it costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillsmith.capture.artifacts import ArtifactTracker
    from skillsmith.capture.logger import AgentExecutionLogger
    from skillsmith.capture.prices import PriceTable, price_table
    from skillsmith.capture.recorder import Recorder
    from skillsmith.capture.session import Capture, instrument, uninstrument
    from skillsmith.capture.spill import absorb_spills

_HOMES = {
    "AgentExecutionLogger": "skillsmith.capture.logger",
    "ArtifactTracker": "skillsmith.capture.artifacts",
    "Capture": "skillsmith.capture.session",
    "InstrumentedConversableAgent": "skillsmith.capture.classic",
    "InstrumentedGroupChat": "skillsmith.capture.classic",
    "PriceTable": "skillsmith.capture.prices",
    "Recorder": "skillsmith.capture.recorder",
    "absorb_spills": "skillsmith.capture.spill",
    "instrument": "skillsmith.capture.session",
    "price_table": "skillsmith.capture.prices",
    "uninstrument": "skillsmith.capture.session",
}

__all__ = [
    "AgentExecutionLogger", "ArtifactTracker", "Capture", "InstrumentedConversableAgent",
    "InstrumentedGroupChat", "PriceTable", "Recorder", "absorb_spills", "instrument", "price_table",
    "uninstrument",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skillsmith.capture' has no attribute {name!r}")


class _CallablePackage(ModuleType):
    """This package, as ``skillsmith.capture("the task")`` needs it."""

    def __call__(self, *args: Any, **options: Any) -> Capture:
        return import_module("skillsmith.capture.session").Capture(*args, **options)  # type: ignore[no-any-return]


sys.modules[__name__].__class__ = _CallablePackage
