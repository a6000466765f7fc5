"""skillsmith turns what agents did into what agents can do again, in one SQLite file.

The names below are loaded on first use, so that ``import skillsmith`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillsmith.capture.session import Capture as capture  # noqa: N813  (at run time: the package, callable)
    from skillsmith.capture.session import instrument, uninstrument
    from skillsmith.workspace import Workspace, open_workspace

__version__ = "0.1.0"

_HOMES = {
    "Workspace": "skillsmith.workspace",
    "instrument": "skillsmith.capture.session",
    "open_workspace": "skillsmith.workspace",
    "uninstrument": "skillsmith.capture.session",
}

__all__ = ["Workspace", "__version__", "capture", "instrument", "open_workspace", "uninstrument"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "capture":
        return import_module("skillsmith.capture")
    raise AttributeError(f"module 'skillsmith' has no attribute {name!r}")
