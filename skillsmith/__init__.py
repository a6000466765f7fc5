"""skillsmith turns what agents did into what agents can do again, in one SQLite file.

The names below are loaded on first use, so that ``import skillsmith`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillsmith.workspace import Workspace, open_workspace

__version__ = "0.1.0"

_HOMES = {
    "Workspace": "skillsmith.workspace",
    "open_workspace": "skillsmith.workspace",
}

__all__ = ["Workspace", "__version__", "open_workspace"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skillsmith' has no attribute {name!r}")
