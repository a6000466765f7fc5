"""Paths that come from skills: none of them leads out of the folder it is meant for."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath


def leaves_folder(path: str) -> bool:
    """Tell whether a path may lead out of the folder it is meant for, on any platform."""
    windows = PureWindowsPath(path)
    parts = (*PurePosixPath(path).parts, *windows.parts)
    return not path or path.startswith(("/", "\\")) or bool(windows.drive) or ".." in parts or "\0" in path
