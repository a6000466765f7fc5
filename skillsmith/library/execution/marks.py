"""What tells that a file in a work folder changed: its size and time, looked up once for each file.

A look goes before and after every piece of code, so it asks the system as little as it can, and makes no
``Path`` for any file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from skillsmith.library.execution.sandbox import SCRIPT_PREFIX

Mark: TypeAlias = tuple[int, int]
"""Size in bytes and time in nanoseconds."""

SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", "__pycache__", "node_modules", ".venv", ".mypy_cache", ".ruff_cache"}
)
"""Never looked into for artifacts."""


def marks_in(folder: str) -> Iterator[tuple[str, Mark]]:
    """Yield the regular files below a folder with their marks; what cannot be read holds none.

    Args:
        folder: Where to look; the names are seen from there, with ``/`` in them.
    """
    waiting = [(folder, "")]  # no recursion: code may nest folders deeper than Python calls
    while waiting:
        here, prefix = waiting.pop()
        inner = []
        for name in _names_in(here):
            path = os.path.join(here, name)  # noqa: PTH118  (see above)
            status = _status(path)
            if status is None:
                continue
            if stat.S_ISDIR(status.st_mode) and name not in SKIPPED_FOLDERS:
                inner.append((path, f"{prefix}{name}/"))
            elif stat.S_ISREG(status.st_mode) and not name.startswith(SCRIPT_PREFIX):
                yield prefix + name, (status.st_size, status.st_mtime_ns)
        waiting.extend(reversed(inner))


def mark_of(file: Path) -> Mark | None:
    """Return the mark of a regular file; None for anything else, also for what is gone by now."""
    status = _status(file)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return status.st_size, status.st_mtime_ns


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  (see above)
    except OSError:  # gone or unreadable by now
        return []


def _status(path: str | Path) -> os.stat_result | None:
    """Return what the system says of a path itself, not of what it links to."""
    try:
        return os.lstat(path)
    except OSError:
        return None
