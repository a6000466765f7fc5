"""The formats that can be imported: ours, and those that other packages add.

Another package adds one by naming an ``Importer`` under the entry-point group ``skillsmith.importers``. A
broken one is reported and left out; it never stops an import.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.errors import UsageError
from skillsmith.models import Problem, RunRecord

GROUP = "skillsmith.importers"
_BUILT_IN = (
    "claude_code", "codex", "swe_agent", "otel", "ag2_events", "ag2_classic", "exchanges", "reflexion",
    "notebook", "multi_agent", "openai_chat",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """For a format whose runs are spread over several files of one folder.

    Args:
        part: File name → number of the part it is, None for a file of another kind.
        parse: The parts of a folder, in order → runs and problems.
        key: File name → what the parts of one run have in common, where a folder holds several.
        folder: Path of a part → the folder that holds all parts of its run.
    """

    part: Callable[[str], int | None]
    parse: Callable[[Sequence[LogSource]], Iterator[RunRecord | Problem]]
    key: Callable[[str], str] = lambda _: ""
    folder: Callable[[Path], Path] = lambda path: path.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Importer:
    """One log format.

    Args:
        name: As given to ``--format``.
        description: One line for people.
        sniff: The beginning of a file → how surely it is this format, 0 to 1.
        parse: A file → its runs and problems; never raises for what the file holds.
        bundle: Set when several files make one run.
    """

    name: str
    description: str
    sniff: Callable[[Head], float]
    parse: Callable[[LogSource], Iterator[RunRecord | Problem]]
    bundle: Bundle | None = None


def importers() -> tuple[Importer, ...]:
    """Return all importers, ours first."""
    return _load()[0]


def broken_importers() -> tuple[Problem, ...]:
    """Return a Problem for every importer of another package that cannot be used."""
    return _load()[1]


def importer_named(name: str) -> Importer:
    """Return the importer of a format.

    Raises:
        UsageError: There is none of this name.
    """
    for importer in importers():
        if importer.name == name:
            return importer
    known = ", ".join(importer.name for importer in importers())
    raise UsageError(f"the log format {name!r} is not known", hint=f"use one of {known}")


@cache
def _load() -> tuple[tuple[Importer, ...], tuple[Problem, ...]]:
    found: dict[str, Importer] = {}
    problems: list[Problem] = []
    for module in _BUILT_IN:
        importer: Importer = import_module(f"skillsmith.capture.importers.{module}").IMPORTER
        found[importer.name] = importer
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        added = _load_foreign(point)
        if isinstance(added, Problem):
            problems.append(added)
        elif added.name in found:
            problems.append(_broken(point, f"there already is a format {added.name!r}"))
        else:
            found[added.name] = added
    return tuple(found.values()), tuple(problems)


def _load_foreign(point: EntryPoint) -> Importer | Problem:
    try:
        loaded = point.load()
    except Exception as error:  # noqa: BLE001  (another package's code may raise anything)
        return _broken(point, _in_a_line(error))
    return _guarded(loaded) if isinstance(loaded, Importer) else _broken(point, "it is not an Importer")


def _guarded(importer: Importer) -> Importer:
    """Return another package's importer, its exceptions turned into Problems of the file."""

    def sniff(head: Head) -> float:
        try:
            return float(importer.sniff(head))
        except Exception as error:  # noqa: BLE001  (another package's code may raise anything)
            warnings.warn(
                f"the importer {importer.name!r} failed on {head.name}: {_in_a_line(error)}", stacklevel=2
            )
            return 0.0

    def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
        try:
            yield from importer.parse(source)
        except Exception as error:  # noqa: BLE001  (as above)
            yield source.problem(f"the importer {importer.name!r} failed: {_in_a_line(error)}")

    return replace(importer, sniff=sniff, parse=parse)


def _broken(point: EntryPoint, why: str) -> Problem:
    return Problem(path=point.value, reason=f"the importer plug-in {point.name!r} cannot be used: {why}")


def _in_a_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
