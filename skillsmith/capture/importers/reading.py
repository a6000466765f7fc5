"""From paths that a person names to runs: walk folders, tell each file's format, parse it.

The order is the same on every machine. A file is read once, even when links lead to it twice. Inside a
folder a file of no known format is no error; a file that was named is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skillsmith.capture.importers.registry import (
    Bundle,
    Importer,
    broken_importers,
    importer_named,
    importers,
)
from skillsmith.capture.importers.source import NOT_A_LOG, Limits, LogSource
from skillsmith.errors import NotFoundError
from skillsmith.models import Problem, RunRecord

__all__ = ["NOT_A_LOG", "Item", "read_path", "read_paths"]
_SURE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that reading a path gave.

    Args:
        path: The file it is from (of several that make one run: the first).
        value: A run, or what could not be read.
    """

    path: str
    value: RunRecord | Problem


def read_path(path: Path | str, *, format: str | None = None, limits: Limits | None = None) -> Iterator[Item]:  # noqa: A002  (the CLI's word)
    """Yield the runs and problems of one file or folder; see ``read_paths``."""
    return read_paths([path], format=format, limits=limits)


def read_paths(
    paths: Iterable[Path | str],
    *,
    format: str | None = None,  # noqa: A002  (the CLI's word)
    limits: Limits | None = None,
) -> Iterator[Item]:
    """Yield the runs and problems of files and folders, in order.

    Args:
        paths: Files and folders; folders are walked, hidden ones inside them left out.
        format: Name of the format; None tells it from each file's content.
        limits: How much of a file is taken in.

    Raises:
        NotFoundError: A path does not exist.
        UsageError: The format is not known.
    """
    wanted = [Path(path) for path in paths]
    for path in wanted:
        if not path.exists():
            raise NotFoundError(f"there is no file or folder {str(path)!r}", hint="check the path")
    forced = importer_named(format) if format is not None else None
    return _read(wanted, forced, limits or Limits())


def _read(paths: Sequence[Path], forced: Importer | None, limits: Limits) -> Iterator[Item]:
    for problem in broken_importers():
        yield Item(path=problem.path, value=problem)
    walk = _Walk()
    parts: list[tuple[Importer, Bundle, LogSource]] = []
    for path in paths:
        for found in walk.files(path):
            if isinstance(found, Problem):
                yield Item(path=found.path, value=found)
                continue
            source = LogSource(found, limits)
            importer = _choose(source, forced, named=found == path)
            if isinstance(importer, Problem):
                yield Item(path=importer.path, value=importer)
            elif importer.bundle and importer.bundle.part(source.name) is not None:
                parts.append((importer, importer.bundle, source))
            else:
                yield from _items(source, importer.parse(source))
    yield from _bundled(parts)


def _bundled(parts: Sequence[tuple[Importer, Bundle, LogSource]]) -> Iterator[Item]:
    """Yield the runs of files that belong together: same format, same folder, same key."""
    groups: dict[tuple[str, Path, str], list[tuple[int, LogSource, Bundle]]] = {}
    for importer, bundle, source in parts:
        number = bundle.part(source.name)
        assert number is not None
        key = (importer.name, bundle.folder(source.path), bundle.key(source.name))
        groups.setdefault(key, []).append((number, source, bundle))
    for group in groups.values():
        group.sort(key=lambda part: (part[0], part[1].name))
        yield from _items(group[0][1], group[0][2].parse([source for _, source, _ in group]))


def _items(source: LogSource, values: Iterator[RunRecord | Problem]) -> Iterator[Item]:
    for value in values:
        yield Item(path=value.path if isinstance(value, Problem) else source.display, value=value)


def _choose(source: LogSource, forced: Importer | None, *, named: bool) -> Importer | Problem:
    """Return the importer for a file, or why there is none."""
    head = source.head
    if isinstance(head, Problem):
        return head
    if forced is not None:
        return forced
    scores = {importer: importer.sniff(head) for importer in importers()}
    best = max(scores, key=lambda importer: scores[importer])
    if scores[best] >= _SURE:
        return best
    if not named:
        return source.problem(NOT_A_LOG)
    known = ", ".join(importer.name for importer in scores)
    return source.problem(f"{NOT_A_LOG}; if it is one, name its format with --format ({known})")


@dataclass(slots=True)
class _Walk:
    """Walks folders, each folder and file once."""

    _seen: set[tuple[int, int]] = field(default_factory=set)

    def files(self, path: Path) -> Iterator[Path | Problem]:
        """Yield the regular files under a path, in order of their names."""
        ahead = [path]
        while ahead:
            found = self._look(ahead.pop())
            if isinstance(found, list):
                ahead += found
            elif found is not None:
                yield found

    def _look(self, path: Path) -> Path | Problem | list[Path] | None:
        """Return a file as it is, a folder's content last first, and nothing for what was seen before."""
        try:
            status = path.stat()
            if (identity := (status.st_dev, status.st_ino)) in self._seen:
                return None
            self._seen.add(identity)
            if stat.S_ISREG(status.st_mode):
                return path
            if not stat.S_ISDIR(status.st_mode):
                return Problem(path=str(path), reason="not a regular file")
            with os.scandir(path) as entries:
                names = [entry.name for entry in entries if not entry.name.startswith(".")]
            return [path / name for name in sorted(names, reverse=True)]
        except OSError as error:
            return Problem(path=str(path), reason=f"cannot be read: {error.strerror or error}")
