"""What a capture writes down, as values that can wait in memory or in a side file and still be stored later.

An entry belongs to a run (its primary key) and is stored in the order of recording.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from skillsmith.capture.redact import redact_event, redact_json, redact_text
from skillsmith.capture.shapes import safe_text
from skillsmith.db import Database
from skillsmith.events import EventLog, dump_json, load_json
from skillsmith.files import FileRepository
from skillsmith.models import CodeUse, Event, FileSnapshot, Json, Outcome, RunStatus, ToolUse
from skillsmith.models import StepExecutionSummary as Summary
from skillsmith.runs import RunRepository


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


KEPT_CHARS = 100_000
"""Of an entry that cannot be stored as it is, this much of its text form is kept."""

Entry: TypeAlias = Event | FileSnapshot | Superseded | StepEnd | RunEnd
Filed: TypeAlias = tuple[int, Entry]
"""An entry and the primary key of its run."""


def redact_entry(entry: Entry) -> Entry:
    """Return the entry without secrets; a file's content is its tracker's business."""
    if isinstance(entry, Event):
        return redact_event(entry)
    if isinstance(entry, StepEnd):
        return StepEnd(run_id=entry.run_id, summary=entry.summary, columns=redact_json(entry.columns))
    if isinstance(entry, RunEnd) and entry.reason:
        return RunEnd(
            run_id=entry.run_id, status=entry.status, outcome=entry.outcome, reason=redact_text(entry.reason)
        )
    return entry


def note_for(entry: Entry, error: Exception, *, with_text: bool = True) -> Event:
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

    def write(self, filed: Sequence[Filed]) -> None:
        """Store all of them in one transaction, in order; on an error none."""
        if len(filed) == 1:
            self._write_group(filed[0][0], [filed[0][1]])
            return
        with self._db.transaction():
            for run, entries in _by_run(filed):
                self._write_group(run, entries)

    def _write_group(self, run: int, entries: Sequence[Entry]) -> None:
        events: list[Event] = []
        for entry in entries:
            if isinstance(entry, Event):
                events.append(entry)
                continue
            self._append(run, events)
            events = []
            self._store(run, entry)
        self._append(run, events)

    def _append(self, run: int, events: Sequence[Event]) -> None:
        if events:
            self._last_seq[run] = self._log.append(run, events)

    def _store(self, run: int, entry: Entry) -> None:
        if isinstance(entry, FileSnapshot):
            self._files.record(run, self._placed(run, entry))
        elif isinstance(entry, Superseded):
            self._files.supersede(run, entry.path, by=entry.by)
        elif isinstance(entry, StepEnd):
            with self._db.transaction():
                self._runs.save_step(entry.run_id, entry.summary, entry.columns)
                self._runs.refresh_counts(run)
        elif isinstance(entry, RunEnd):
            self._runs.finish(entry.run_id, status=entry.status, outcome=entry.outcome, reason=entry.reason)

    def _placed(self, run: int, file: FileSnapshot) -> FileSnapshot:
        """Say during which event a file appeared: only the store knows the sequence numbers."""
        if file.agent is None or file.seq is not None:
            return file
        return FileSnapshot(
            path=file.path, content=file.content, agent=file.agent, at=file.at, seq=self._last_seq.get(run)
        )


def _by_run(filed: Sequence[Filed]) -> list[tuple[int, list[Entry]]]:
    groups: list[tuple[int, list[Entry]]] = []
    for run, entry in filed:
        if not groups or groups[-1][0] != run:
            groups.append((run, []))
        groups[-1][1].append(entry)
    return groups


def to_line(run: int, entry: Entry) -> bytes:
    """Write an entry as one line of JSON; for one that cannot be written, a note that says so."""
    try:
        return _line(run, entry)
    except Exception as error:  # noqa: BLE001  (it is made of the host's objects, which may fail in any way)
        return _line(run, note_for(entry, error))


def _line(run: int, entry: Entry) -> bytes:
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
        return int(record["run"]), _READERS[record["type"]](record["entry"])
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
    "RunEnd": lambda value: RunEnd(**value),
}
