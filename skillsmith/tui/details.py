"""Everything about one event, read on a worker thread: itself, the file it changed, the context before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from typing import Final

from skillsmith.browse import Browser, Wanted
from skillsmith.errors import NotFoundError
from skillsmith.models import Event, FileVersion, Json
from skillsmith.presentation.text import file_text
from skillsmith.workspace import Workspace

DIFF_LINES: Final = 2000
NAMES: Final = 2
"""Lines of a difference that name the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What an event did to a file.

    Args:
        version: The version that came to be; None: only the event is known.
        previous: ``PATH@VERSION`` it was compared with.
        diff: Unified, without the names; None: not text, or not kept.
    """

    path: str
    version: FileVersion | None
    previous: str | None
    diff: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextChange:
    """How one value of the context changed."""

    name: str
    before: Json
    after: Json
    sign: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One event whole, with what it changed."""

    event: Event
    file: FileChange | None = None
    context: tuple[ContextChange, ...] = ()


def read_detail(workspace: Workspace, run: int, seq: int) -> Detail:
    """Read an event and what it changed.

    Args:
        workspace: Of the worker thread.
        run: Primary key.
        seq: The event.

    Raises:
        NotFoundError: The run has no such event.
    """
    browser = Browser(workspace.db)
    event = browser.event(run, seq)
    if event.kind == "artifact" and event.content:
        return Detail(event=event, file=_file_change(workspace, run, event))
    if event.kind == "context":
        before = browser.find(run, Wanted(kind="context", agent=event.agent), start=seq, backwards=True)
        earlier = _values(browser.event(run, before)) if before else {}
        return Detail(event=event, context=_context_changes(earlier, _values(event)))
    return Detail(event=event)


def _values(event: Event) -> Mapping[str, Json]:
    data = event.data or {}
    values = data.get("values", data)
    return values if isinstance(values, Mapping) else {"value": values}


def _context_changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[ContextChange, ...]:
    names = dict.fromkeys([*after, *before])
    changes = []
    for name in names:
        if name not in before:
            changes.append(ContextChange(name=name, before=None, after=after[name], sign="+"))
        elif name not in after:
            changes.append(ContextChange(name=name, before=before[name], after=None, sign="-"))
        elif before[name] != after[name]:
            changes.append(ContextChange(name=name, before=before[name], after=after[name], sign="~"))
    return tuple(changes)


def _file_change(workspace: Workspace, run: int, event: Event) -> FileChange:
    path = event.content or ""
    try:
        history = workspace.files.history(run, path)
    except NotFoundError:  # a log may tell of a file without its content
        return FileChange(path=path, version=None, previous=None, diff=None)
    now = _version_at(history, event)
    before = next((one for one in history if one.version == now.version - 1), None)
    if before is None:
        replaced = f"{now.path}@{now.version}"
        every = workspace.files.versions(run)
        before = next((one for one in every if one.superseded_by in (replaced, path)), None)
    return FileChange(
        path=path, version=now, previous=f"{before.path}@{before.version}" if before else None,
        diff=_diff(workspace, before, now),
    )  # fmt: skip


def _version_at(history: list[FileVersion], event: Event) -> FileVersion:
    """Return the version that an event made: the one it names, else the last one by then."""
    number = (event.data or {}).get("version")
    named = [one for one in history if one.version == number]
    until = [one for one in history if one.seq is not None and one.seq <= event.seq]
    return (named or until or history)[-1]


def _diff(workspace: Workspace, before: FileVersion | None, now: FileVersion) -> str | None:
    old = "" if before is None else file_text(workspace.files.content(before))
    new = file_text(workspace.files.content(now))
    if old is None or new is None:
        return None
    lines = unified_diff(old.splitlines(), new.splitlines(), lineterm="")
    return "\n".join(islice(lines, NAMES, DIFF_LINES))
