"""The sides of a file that a git merge left in conflict, read from the index: nothing of git is changed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

SECONDS: Final = 20.0

BASE, OURS, THEIRS = "1", "2", "3"
"""Stages of the index; in a rebase the last two change places."""


def conflict_stages(path: Path) -> dict[str, bytes]:
    """Return the content of a file by stage; nothing when it is in no conflict, or in no repository.

    Args:
        path: A file in a work tree.
    """
    listed = _git(path.parent, "ls-files", "--unmerged", "-z", "--", path.name)
    stages = {}
    for entry in (listed or b"").decode("utf-8", "replace").split("\0"):
        facts = entry.partition("\t")[0].split()
        if len(facts) == 3:  # noqa: PLR2004  (mode, object, stage)
            content = _git(path.parent, "cat-file", "blob", facts[1])
            if content is not None:
                stages[facts[2]] = content
    return stages


def _git(folder: Path, *words: str) -> bytes | None:
    """Return what git says; None where there is no git, or it refuses."""
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
