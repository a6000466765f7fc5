"""What lies in a work folder, without following anything out of it, and which file is whose next version."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from fnmatch import translate
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from skillsmith.models import FileVersion

IGNORED = (
    ".git", ".hg", ".svn", "__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".ipynb_checkpoints", ".tox", ".nox", ".eggs", ".hypothesis", ".cache", ".idea", ".vscode",
    ".DS_Store",
    "*.pyc", "*.pyo", "*.swp", "*~", "*.db-wal", "*.db-shm", "*.db-journal", "*.sqlite-wal", "*.sqlite-shm",
    "*.spill-*.jsonl",
)  # fmt: skip
"""Names of files and folders that are never tracked."""

_ENVIRONMENT = "pyvenv.cfg"
"""A folder that holds it is a virtual environment, whatever it is called."""

_NAME = attrgetter("name")
_VERSION = re.compile(r"^(?P<base>.+?)[ ._-]?[vV](?P<number>\d{1,4})$")
_REVISION = re.compile(
    r"^(?P<base>.+?)[ ._-](?:fixed|final|new|updated|revised|corrected|improved)(?P<number>\d{0,4})$",
    re.IGNORECASE,
)
SAME_SHARE = 0.5
"""Of the lines of two code blocks: then one is the other, mended."""

_COMPARED_LINES = 400
_CODE_SUFFIXES = frozenset({".py", ".r", ".jl", ".js", ".ts", ".sh", ".sql", ".ipynb", ".c", ".cpp", ".rs"})


class Found(NamedTuple):
    """A file in the folder; a tuple, because a look may make thousands.

    Args:
        path: Relative to the folder, with /.
        full: Where to open it.
        size: Bytes.
        mark: Changes when the file does: size, times and inode.
        modified: Unix time of the last change, seconds.
    """

    path: str
    full: str
    size: int
    mark: tuple[int, int, int, int]
    modified: float


class Known(NamedTuple):
    """What a file looked like; ``certain``: while its mark stays the same, so does its content."""

    mark: tuple[int, int, int, int]
    certain: bool


class Seen(NamedTuple):
    """What a look at the folder gave.

    Args:
        changed: Files that are new, or do not look as they are known, in a fixed order.
        present: Paths of all files.
        more: Whether there are more files than the limit.
    """

    changed: list[Found]
    present: set[str]
    more: bool


class Walker:
    """Lists the files of one folder.

    Args:
        root: The folder; it need not exist yet.
        ignored: Patterns of names to leave out.
        max_files: Where to stop.
    """

    def __init__(self, root: str, *, ignored: Iterable[str], max_files: int) -> None:
        self.root = os.path.realpath(root)
        self._ignored = frozenset(ignored)
        patterns = [name for name in self._ignored if set(name) & set("*?[")]
        self._ignored_like = re.compile("|".join(map(translate, patterns)) or r"(?!)").match
        self._max_files = max_files

    def look(self, known: Mapping[str, Known]) -> Seen:
        """Return what is new or changed.

        Ten thousand files that look as before cost one system call each and little else.

        Args:
            known: What the files looked like, by path.
        """
        seen = Seen([], set(), more=False)
        folders = [(self.root, "")]
        while folders:
            folder, prefix = folders.pop()
            if prefix and os.path.lexists(os.path.join(folder, _ENVIRONMENT)):  # noqa: PTH118  (text at hand)
                continue
            inner: list[tuple[str, str]] = []
            for entry in _listing(folder):
                if len(seen.present) >= self._max_files:
                    return seen._replace(more=True)
                with suppress(OSError):  # gone meanwhile
                    self._see(entry, prefix, known, seen, inner)
            folders += reversed(inner)
        return seen

    def _see(
        self,
        entry: os.DirEntry[str],
        prefix: str,
        known: Mapping[str, Known],
        seen: Seen,
        inner: list[tuple[str, str]],
    ) -> None:
        name = entry.name
        path = prefix + name
        old = known.get(path)
        if old is not None and old.certain and not entry.is_symlink() and old.mark == _mark(entry.stat()):
            seen.present.add(path)
        elif name in self._ignored or self._ignored_like(name):
            return
        elif entry.is_dir(follow_symlinks=False):
            inner.append((entry.path, f"{path}/"))
        elif item := self._file(entry, path):
            seen.present.add(path)
            if old is None or not old.certain or old.mark != item.mark:
                seen.changed.append(item)

    def one(self, path: str) -> Found | None:
        """Return one file by its path in the folder, or None when it is no file inside it."""
        full = os.path.realpath(os.path.join(self.root, path))  # noqa: PTH118  (pathlib has no textual join)
        if not self._inside(full):
            return None
        with suppress(OSError):
            return _found(self.relative(full), full, os.stat(full))  # noqa: PTH116  (a text path is at hand)
        return None

    def is_as(self, item: Found) -> bool:
        """Tell whether a file still looks as it was found."""
        with suppress(OSError):
            return _mark(os.stat(item.full)) == item.mark  # noqa: PTH116  (a text path is at hand)
        return False

    def relative(self, path: str | os.PathLike[str]) -> str:
        """Return a path as the folder sees it, with /; also for a file that is gone."""
        full = Path(self.root, path)
        with suppress(ValueError):
            return full.relative_to(self.root).as_posix()
        return os.path.relpath(os.path.realpath(full), self.root).replace(os.sep, "/")

    def _file(self, entry: os.DirEntry[str], path: str) -> Found | None:
        if entry.is_symlink() and not self._inside(os.path.realpath(entry.path)):
            return None
        return _found(path, entry.path, entry.stat())

    def _inside(self, full: str) -> bool:
        return full.startswith(self.root.rstrip(os.sep) + os.sep)


class VersionBook:
    """The versions of a run's files, numbered and linked as the store will number and link them.

    Args:
        run_id: The run.
        stored: What the store has of it already.
    """

    def __init__(self, run_id: str, stored: Iterable[FileVersion]) -> None:
        self._run_id = run_id
        self._latest = {version.path: version for version in stored}
        self._families: dict[str, list[str]] = {}
        self._made: dict[tuple[str, int], tuple[int, FileVersion]] = {}
        for path in self._latest:
            self._families.setdefault(family_of(path)[0], []).append(path)

    def latest(self, path: str) -> FileVersion | None:
        """Return the newest version of a file."""
        return self._latest.get(path)

    def add(self, found: Found, *, digest: str, size: int, agent: str | None, step: int) -> FileVersion:
        """Add a file's next version; without an agent it was there before the run."""
        old = self._latest.get(found.path)
        version = FileVersion(
            run_id=self._run_id, path=found.path, version=old.version + 1 if old else 1, digest=digest,
            size=size, agent=agent, at=time.time() if agent else found.modified, seq=None, superseded_by=None,
        )  # fmt: skip
        if old:
            self.supersede(found.path, version)
        else:
            self._families.setdefault(family_of(found.path)[0], []).append(found.path)
        self._latest[found.path] = version
        if agent:
            self._made[found.path, version.version] = step, version
        return version

    def supersede(self, path: str, new: FileVersion) -> str | None:
        """Link a file's newest version to what took its place; return the link unless there was one."""
        old = self._latest[path]
        if old.superseded_by is not None:
            return None
        link = f"{new.path}@{new.version}"
        self._latest[path] = linked = replace(old, superseded_by=link)
        if made := self._made.get((path, old.version)):
            self._made[path, old.version] = made[0], linked
        return link

    def elder(self, path: str) -> str | None:
        """Return the file whose next version this one calls itself."""
        family, number = family_of(path)
        elders = [
            (family_of(other)[1], self._latest[other].at or 0.0, other)
            for other in self._families[family]
            if other != path and family_of(other)[1] <= number
        ]
        return max(elders)[2] if elders else None

    def holding(self, digest: str) -> str | None:
        """Return a file whose newest version has this content."""
        return next((path for path, version in self._latest.items() if version.digest == digest), None)

    def made(self, step: int | None = None) -> tuple[FileVersion, ...]:
        """Return the versions that agents made, in order; those of one step, or all."""
        return tuple(version for made_in, version in self._made.values() if step in (None, made_in))


def _found(path: str, full: str, facts: os.stat_result) -> Found | None:
    if not stat.S_ISREG(facts.st_mode):
        return None
    return Found(path, full, facts.st_size, _mark(facts), facts.st_mtime)


def _mark(facts: os.stat_result) -> tuple[int, int, int, int]:
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def _listing(folder: str) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(entries, key=_NAME)
    return []


def family_of(path: str) -> tuple[str, int]:
    """Return what a file's versions have in common, and its number among them: plot.py is 1 of plot_v2.py.

    A number alone says nothing (figure1, figure2 are two figures), so a version must call itself one.
    """
    folder, _slash, name = path.rpartition("/")
    stem, suffix = os.path.splitext(name)  # noqa: PTH122  (a path in the folder, not of this system)
    number = 1
    if match := _VERSION.match(stem):
        stem, number = match["base"], int(match["number"])
    elif suffix.lower() in _CODE_SUFFIXES and (match := _REVISION.match(stem)):
        stem, number = match["base"], int(match["number"] or 1) + 1
    return f"{folder}/{stem}{suffix}".lower(), number


def same_program(old: str, new: str) -> bool:
    """Tell whether one code block looks like the other, mended."""
    old_lines, new_lines = _lines(old), _lines(new)
    if not old_lines or not new_lines:
        return False
    from difflib import SequenceMatcher  # noqa: PLC0415  (4 ms; only after code has failed)

    return SequenceMatcher(None, old_lines, new_lines, autojunk=False).ratio() >= SAME_SHARE


def _lines(text: str) -> list[str]:
    return [line for line in (raw.strip() for raw in text.splitlines()) if line][:_COMPARED_LINES]
