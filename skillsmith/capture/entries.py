"""What a capture writes down, as values that can wait in memory or in a side file and still be stored later.

An entry belongs to a run (its primary key) and is stored in the order of recording.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from skillsmith.capture.redact import redact_event, redact_json, redact_text
from skillsmith.capture.shapes import safe_text
from skillsmith.db import Database
from skillsmith.errors import NotFoundError
from skillsmith.events import EventLog, EventRow, dump_json, event_of, load_json, row_of
from skillsmith.files import FileRepository
from skillsmith.models import CodeUse, Event, FileSnapshot, Json, Outcome, RunStatus, ToolUse
from skillsmith.models import StepExecutionSummary as Summary
from skillsmith.runs import RunRepository
from skillsmith.step_rows import StepRow, parts_of, step_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """A file took another one's place; ``by`` is ``PATH@VERSION``."""

    path: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """A step came to its end; ``columns`` as in ``RunRepository.save_step``."""

    run_id: str
    summary: Summary
    columns: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """A run came to its end, as in ``RunRepository.finish``."""

    run_id: str
    status: RunStatus = "completed"
    outcome: Outcome | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegin:
    """A run begins; it is made when this is stored, so that beginning it waits for nothing."""

    run_id: str
    task: str
    work_dir: str | None = None
    started_at: float | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)


COUNTS_SHARE = 200
"""Between two looks at a run's totals this many times as much passes as a look takes."""

HURRIED_COUNTS_SECONDS = 0.25
"""Between two looks while the host computes, which each statement takes the interpreter from."""

KEPT_CHARS = 100_000
"""Of an entry that cannot be stored as it is, this much of its text form is kept."""

Entry: TypeAlias = Event | FileSnapshot | Superseded | StepEnd | RunBegin | RunEnd
RunKey: TypeAlias = int | str
"""A run's primary key, or its id: a run that is only about to be made has no key yet."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """The end of a step as the row that stores it."""

    run_id: str
    row: StepRow

    def made(self) -> StepEnd:
        """Return the end."""
        figures, columns = parts_of(self.row)
        return _step_end(
            {"run_id": self.run_id, "summary": {"run_id": self.run_id, **figures}, "columns": columns}
        )


Ready: TypeAlias = Entry | EventRow | StepDone
"""An entry as it may be stored: an event or the end of a step may be a row already."""

Filed: TypeAlias = tuple[RunKey, Ready]
"""An entry and its run."""


class Late(ABC):
    """Becomes an entry where it is stored, so that the host's thread has only to note what happened."""

    __slots__ = ()

    @abstractmethod
    def made(self) -> Entry:
        """Return the entry; asked again, an equal one."""

    @abstractmethod
    def row(self) -> EventRow | StepDone:
        """Return what is stored of it, at a fraction of the cost; asked again, an equal one."""


Noted: TypeAlias = tuple[RunKey, Entry | Late]
"""An entry, or what becomes one, and its run."""


def redact_entry(entry: Entry) -> Entry:
    """Return the entry without secrets; a file's content is its tracker's business."""
    if isinstance(entry, Event):
        return redact_event(entry)
    if isinstance(entry, (FileSnapshot, Superseded)):
        path = redact_text(entry.path)
        return entry if path is entry.path else replace(entry, path=path)
    if isinstance(entry, StepEnd):
        return StepEnd(run_id=entry.run_id, summary=entry.summary, columns=redact_json(entry.columns))
    if isinstance(entry, RunEnd) and entry.reason:
        return replace(entry, reason=redact_text(entry.reason))
    if isinstance(entry, RunBegin):
        return replace(entry, task=redact_text(entry.task), metadata=redact_json(entry.metadata))
    return entry


def whole(entry: Ready) -> Entry:
    """Return the entry that a row was made of."""
    if isinstance(entry, EventRow):
        return event_of(entry)
    return entry.made() if isinstance(entry, StepDone) else entry


def note_for(entry: Entry | Late, error: Exception, *, with_text: bool = True) -> Event:
    """Return an event that stands for an entry which cannot be stored as it is.

    Args:
        entry: The entry.
        error: Why not.
        with_text: Whether to keep its text form, without secrets.
    """
    step, at = (entry.step, entry.at) if isinstance(entry, Event) else (1, None)
    about = {"unstorable": type(entry).__name__, "error": redact_text(safe_text(error)[:KEPT_CHARS])}
    text = (
        redact_text(safe_text(entry, form=repr)[:KEPT_CHARS])
        if with_text and isinstance(entry, Event)
        else None
    )
    return Event(kind="raw", step=step, at=at, content=text, data=about)


class EntryStore:
    """Store entries through one connection.

    Args:
        db: The connection; it stays its owner's.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._log = EventLog(db)
        self._files = FileRepository(db)
        self._runs = RunRepository(db)
        self._last_seq: dict[int, int] = {}
        self._keys: dict[str, int] = {}
        self._fresh_until: dict[int, float] = {}
        self._hurried = False

    def write(self, filed: Sequence[Filed], *, hurried: bool = False) -> None:
        """Store all of them in one transaction, in order; on an error none.

        Args:
            filed: The entries.
            hurried: Whether the run's totals may be brought up to date later, when its host waits.
        """
        self._hurried = hurried
        try:
            if len(filed) == 1:
                run, entry = filed[0]
                if type(run) is int and type(entry) is EventRow:
                    self._append(run, (entry,))
                else:
                    self._write_group(run, [entry])
                return
            with self._db.transaction():
                for run, entries in _by_run(filed):
                    self._write_group(run, entries)
        except BaseException:
            self._last_seq.clear()  # what was numbered may be gone
            raise

    def _write_group(self, run: RunKey, entries: Sequence[Ready]) -> None:
        if isinstance(run, str):
            if isinstance(entries[0], RunBegin):
                self._begin(entries[0])
                entries = entries[1:]
            if not entries:
                return
            run = self._key(run)
        self._write_entries(run, entries)

    def _write_entries(self, run: int, entries: Sequence[Ready]) -> None:
        """Store them in order, but the events around the end of a step at once: it says nothing of others."""
        events: list[EventRow] = []
        ends: list[StepRow] = []
        for entry in entries:
            if type(entry) is EventRow:
                events.append(entry)
            elif isinstance(entry, StepDone):
                ends.append(entry.row)
            elif isinstance(entry, Event):
                events.append(row_of(entry))
            elif isinstance(entry, StepEnd):
                ends.append(step_row(entry.summary, entry.columns))
            else:
                self._append(run, events)
                events = []
                self._store_steps(run, ends)
                ends = []
                self._store(run, entry)
        self._append(run, events)
        self._store_steps(run, ends)

    def _begin(self, begin: RunBegin) -> None:
        """Make the run, unless an earlier attempt to store this has made it."""
        try:
            key = self._runs.key(begin.run_id)
        except NotFoundError:
            self._runs.create(
                begin.task, run_id=begin.run_id, work_dir=begin.work_dir, metadata=begin.metadata,
                started_at=begin.started_at,
            )  # fmt: skip
            key = self._runs.key(begin.run_id)
        self._keys[begin.run_id] = key  # a transaction that was rolled back may have left another one

    def _key(self, run_id: str) -> int:
        if (key := self._keys.get(run_id)) is None:
            key = self._keys[run_id] = self._runs.key(run_id)
        return key

    def _append(self, run: int, events: Sequence[EventRow]) -> None:
        if events:
            self._last_seq[run] = self._log.append_rows(run, events, last=self._last_seq.get(run))

    def _store(self, run: int, entry: Ready) -> None:
        if isinstance(entry, FileSnapshot):
            self._files.record(run, self._placed(run, entry))
        elif isinstance(entry, Superseded):
            self._files.supersede(run, entry.path, by=entry.by)
        elif isinstance(entry, RunEnd):
            self._runs.finish(entry.run_id, status=entry.status, outcome=entry.outcome, reason=entry.reason)

    def _store_steps(self, run: int, ends: Sequence[StepRow]) -> None:
        if ends:
            with self._db.transaction():
                self._runs.save_steps(run, ends)
                self._refresh(run)

    def _refresh(self, run: int) -> None:
        """Bring a run's totals up to date, unless that was done just now: it reads all of its events."""
        began = time.monotonic()
        fresh_until = self._fresh_until.get(run, 0.0)
        if began < fresh_until + (HURRIED_COUNTS_SECONDS if self._hurried and fresh_until else 0.0):
            return
        self._runs.refresh_counts(run)
        ended = time.monotonic()
        self._fresh_until[run] = ended + COUNTS_SHARE * (ended - began)

    def _placed(self, run: int, file: FileSnapshot) -> FileSnapshot:
        """Say during which event a file appeared: only the store knows the sequence numbers."""
        if file.agent is None or file.seq is not None:
            return file
        return replace(file, seq=self._last_seq.get(run))


def _by_run(filed: Sequence[Filed]) -> list[tuple[RunKey, list[Ready]]]:
    groups: list[tuple[RunKey, list[Ready]]] = []
    for run, entry in filed:
        if not groups or groups[-1][0] != run:
            groups.append((run, []))
        groups[-1][1].append(entry)
    return groups


def to_line(run: RunKey, ready: Ready) -> bytes:
    """Write an entry as one line of JSON; for one that cannot be written, a note that says so."""
    entry = whole(ready)
    try:
        return _line(run, entry)
    except Exception as error:  # noqa: BLE001  (it is made of the host's objects, which may fail in any way)
        return _line(run, note_for(entry, error))


def _line(run: RunKey, entry: Entry) -> bytes:
    value = _plain(entry)
    if isinstance(entry, FileSnapshot):
        value["content"] = b64encode(entry.content).decode()
    line = {"run": run, "type": type(entry).__name__, "entry": value}
    return dump_json(line).encode("utf-8", "replace") + b"\n"


def from_line(line: bytes) -> Filed:
    """Read an entry from its line.

    Raises:
        ValueError: It is no whole entry.
    """
    try:
        record = load_json(line.decode())
        run = record["run"]
        return run if isinstance(run, str) else int(run), _READERS[record["type"]](record["entry"])
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"no whole entry: {error}") from error


def _plain(value: Any) -> dict[str, Json]:
    """Turn a dataclass into a dictionary of what it has, without copying deep."""
    present = ((item.name, getattr(value, item.name)) for item in fields(value))
    return {
        name: _plain(item) if isinstance(item, (ToolUse, CodeUse, Summary)) else item
        for name, item in present
        if item is not None
    }


def _event(value: dict[str, Json]) -> Event:
    tool, code = value.pop("tool", None), value.pop("code", None)
    return Event(
        **value,
        tool=None if tool is None else ToolUse(**tool),
        code=None if code is None else CodeUse(**code),
    )


def _file(value: dict[str, Json]) -> FileSnapshot:
    return FileSnapshot(**{**value, "content": b64decode(value["content"])})


def _step_end(value: dict[str, Json]) -> StepEnd:
    figures = {**value["summary"], "agents": tuple(value["summary"]["agents"])}
    summary = Summary(**{"cost_usd": None, **figures, "transitions": (), "artifacts": ()})
    return StepEnd(run_id=value["run_id"], summary=summary, columns=value["columns"])


_READERS: dict[str, Callable[[dict[str, Json]], Entry]] = {
    "Event": _event,
    "FileSnapshot": _file,
    "Superseded": lambda value: Superseded(**value),
    "StepEnd": _step_end,
    "RunBegin": lambda value: RunBegin(**value),
    "RunEnd": lambda value: RunEnd(**value),
}
