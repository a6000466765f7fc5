"""Where a capture's events go (recorder, run, step), and what a step has done so far."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from skillsmith.capture.entries import Entry, Late, RunEnd, StepDone, StepEnd
from skillsmith.capture.recorder import DatabaseLike, Durability, Recorder, database_path
from skillsmith.capture.redact import redact_text
from skillsmith.db import Database
from skillsmith.events import EventRow, event_row, row_of
from skillsmith.models import Event, EventKind, FileVersion, Json, StepExecutionSummary
from skillsmith.runs import RunRepository
from skillsmith.step_rows import row_of_step

UNCOUNTED = 64
"""So many drafts of a step may wait for being counted together."""

_SPECIAL = frozenset({"transition", "context"})
_COUNTED = ("role", "tokens_in", "tokens_out", "cost_usd", "code")

_NUMBERED = re.compile(r"(?:[A-Za-z]+[ _.-]?)?(\d{1,6})")


@dataclass(slots=True)
class Sink:
    """Where events go: through a recorder into one step of one run.

    Args:
        tally: Counts what its step does.
        created: Whether the run was begun here, and so is to be finished here.
        fresh: Whether nothing had been recorded of the run.
    """

    recorder: Recorder
    run_id: str
    run_pk: int
    tally: StepTally
    created: bool = False
    fresh: bool = True

    @property
    def step(self) -> int:
        """The number of the step."""
        return self.tally.step

    def log(self, event: Event) -> None:
        """Take an event of the step and count it."""
        self.tally.add(event)
        self.recorder.record(self.run_pk, event)

    def record(self, entry: Entry) -> None:
        """Take another entry of the run."""
        self.recorder.record(self.run_pk, entry)


def open_sink(
    db: DatabaseLike,
    *,
    run_id: str | None = None,
    step_id: int | str | None = None,
    task: str = "",
    work_dir: str | None = None,
    durability: Durability = "group",
    redact: bool = True,
) -> Sink:
    """Begin a run, or find one, and return where its events go.

    Raises:
        NotFoundError: There is no such run.
        UsageError: The arguments make no sense.
        StorageError: The database cannot be opened.
    """
    recorder = Recorder(database_path(db), durability=durability, redact=redact)
    try:
        with closing(Database(recorder.path)) as opened:
            runs = RunRepository(opened)
            run = (
                runs.create(redact_text(task) if redact else task, work_dir=work_dir)
                if run_id is None
                else runs.get(run_id)
            )
            pk = runs.key(run.id)
            step = 1 if step_id is None else _step_number(runs, run.id, step_id)
            fresh = next(runs.events(run.id, window=1), None) is None
    except BaseException:
        recorder.close()
        raise
    tally = StepTally(step, host_id=step_id if isinstance(step_id, str) else None)
    sink = Sink(recorder, run.id, pk, tally, created=run_id is None, fresh=fresh)
    if sink.created:
        recorder.set_last_words(pk, RunEnd(run_id=run.id, status="interrupted"))
    return sink


def _step_number(runs: RunRepository, run_id: str, step_id: int | str) -> int:
    """Return the number in a host's step id ("step_5"), else the one after the run's last step."""
    number = number_in(step_id)
    if number is not None:
        return number
    return max((event.step for event in runs.events(run_id)), default=0) + 1


def number_in(step_id: int | str) -> int | None:
    """Return the number of a step that its id names ("step_5"), or None."""
    if isinstance(step_id, int):
        return step_id
    match = _NUMBERED.fullmatch(step_id.strip())
    return int(match[1]) if match else None


class StepTally:
    """Counts what is logged in one step, from any thread; drafts are counted where they are stored.

    Args:
        step: The step's number.
        title: What it is about.
        host_id: The host's own id of it.

    ``drafts``: events that ``catch_up`` or ``end`` will count.
    """

    def __init__(self, step: int, *, title: str | None = None, host_id: str | None = None) -> None:
        self.step = step
        self.title = title
        self.host_id = host_id
        self.saved = False
        self._events = 0
        self.drafts: deque[Draft] = deque()
        self._started_at = time.time()
        self._started = time.perf_counter()
        self._ended: float | None = None
        self._lock = threading.RLock()  # a signal handler may store while its thread counts
        self._agents: dict[str, None] = {}
        self._kinds: dict[str, int] = {}
        self._messages = 0
        self._failed_code = 0
        self._tokens = 0
        self._cost: float | None = None
        self._transitions: list[dict[str, Json]] = []
        self._contexts: list[dict[str, Json]] = []

    def stop(self) -> None:
        """Note that the step ends now, however late it is stored."""
        self._ended = time.perf_counter()

    @property
    def events(self) -> int:
        """How many events it has had."""
        return self._events + len(self.drafts)

    def catch_up(self) -> None:
        """Count what was expected until now."""
        with self._lock:
            self._catch_up()

    def _catch_up(self) -> None:
        while self.drafts:
            try:
                draft = self.drafts.popleft()
            except IndexError:  # a signal handler has counted it
                return
            if draft.logged is not None or draft.kind in _SPECIAL:
                self._count(draft.event())
            else:
                self._add(draft.kind, draft.agent, draft.fields)

    def add(self, event: Event) -> None:
        """Count an event."""
        with self._lock:
            self.saved = False
            self._count(event)

    def _count(self, event: Event) -> None:
        self._add(event.kind, event.agent, {name: getattr(event, name) for name in _COUNTED})
        if event.kind == "transition":
            self._transitions.append(
                {"from": event.agent, "to": event.recipient, "reason": event.content, "at": event.at}
            )
        elif event.kind == "context" and event.data:
            self._contexts.append({"at": event.at, "agent": event.agent, **event.data})

    def _add(self, kind: EventKind, agent: str | None, fields: Mapping[str, Any]) -> None:
        self._events += 1
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if agent:
            self._agents[agent] = None
        of = fields.get
        if of("role") is not None:
            self._messages += 1
        if kind == "llm_call" or "tokens_in" in fields or "cost_usd" in fields:
            self._tokens += (of("tokens_in") or 0) + (of("tokens_out") or 0)
            if (cost := of("cost_usd")) is not None:
                self._cost = (self._cost or 0.0) + cost
        if (code := of("code")) is not None and code.exit_code:
            self._failed_code += 1

    def end(
        self, run_id: str, artifacts: tuple[FileVersion, ...], *, dropped: int = 0
    ) -> tuple[StepExecutionSummary, StepEnd]:
        """Return the step's summary, and the entry that stores it.

        Args:
            run_id: The run.
            artifacts: The file versions that it made.
            dropped: How many entries of the run were lost.
        """
        with self._lock:
            figures, columns = self._parts(artifacts, dropped)
            transitions: tuple[Mapping[str, Json], ...] = tuple(self._transitions)
        known = {"run_id": run_id, "step": self.step, **figures}
        summary = StepExecutionSummary(**known, transitions=transitions, artifacts=artifacts)
        stored = StepExecutionSummary(**known, transitions=(), artifacts=())
        return summary, StepEnd(run_id=run_id, summary=stored, columns=columns)

    def row(self, run_id: str, artifacts: tuple[FileVersion, ...], *, dropped: int = 0) -> StepDone:
        """Return the entry that ``end`` returns as the row that stores it."""
        with self._lock:
            figures, columns = self._parts(artifacts, dropped)
        return StepDone(run_id, row_of_step(self.step, figures, columns))

    def _parts(
        self, artifacts: tuple[FileVersion, ...], dropped: int
    ) -> tuple[dict[str, Any], dict[str, Json]]:
        """Return what a step's row holds: its figures, in their order, and the other columns."""
        self.saved = True
        self._catch_up()
        seconds = (self._ended or time.perf_counter()) - self._started
        figures: dict[str, Any] = {
            "agents": tuple(self._agents), "events": self._events, "messages": self._messages,
            "tool_calls": self._kinds.get("tool_call", 0), "code_blocks": self._kinds.get("code", 0),
            "failed_code_blocks": self._failed_code, "duration_seconds": seconds, "tokens": self._tokens,
            "cost_usd": self._cost, "dropped": dropped,
        }  # fmt: skip
        columns: dict[str, Json] = {
            "host_id": self.host_id, "title": self.title,
            "started_at": self._started_at, "ended_at": self._started_at + seconds,
            "agent_transitions": list(self._transitions),
            "intermediate_artifacts": [_artifact(version) for version in artifacts],
            "context_snapshots": list(self._contexts),
        }  # fmt: skip
        return figures, columns


class Draft(Late):
    """An event of a run under way, noted by the host's thread, and with its tally for being counted.

    Args:
        tally: Counts it.
        step: The step it belongs to.
        kind: What happened.
        at: When, as Unix time.
        agent: Who did it.
        fields: The event's other fields, whose values do not change.
        logged: The event, where it is made already.
    """

    __slots__ = ("_at", "_step", "_tally", "agent", "fields", "kind", "logged")

    def __init__(
        self,
        tally: StepTally,
        step: int,
        kind: EventKind,
        at: float,
        agent: str | None,
        fields: dict[str, Any],
        logged: Event | None = None,
    ) -> None:
        self._tally = tally
        self._step = step
        self.kind = kind
        self._at = at
        self.agent = agent
        self.fields = fields
        self.logged = logged
        tally.drafts.append(self)
        tally.saved = False  # afterwards: who saves the step meanwhile may have counted it, or may not

    @classmethod
    def of(cls, tally: StepTally, event: Event) -> Draft:
        """Return a draft of an event that is made already."""
        return cls(tally, event.step, event.kind, 0.0, None, {}, event)

    def event(self) -> Event:
        """Return the event."""
        if self.logged is not None:
            return self.logged
        return Event(kind=self.kind, at=self._at, step=self._step, agent=self.agent, **self.fields)

    def made(self) -> Event:
        """Return the event."""
        self._let_count()
        return self.event()

    def row(self) -> EventRow:
        """Return the event's row."""
        self._let_count()
        if self.logged is not None:
            return row_of(self.logged)
        return event_row(self.kind, step=self._step, at=self._at, agent=self.agent, **self.fields)

    def _let_count(self) -> None:
        """Let nothing wait for the end of its step that would take much memory until then."""
        if len(self._tally.drafts) > UNCOUNTED:
            self._tally.catch_up()


class LateStepEnd(Late):
    """The end of a step, summed up when all its events have been counted.

    Args:
        tally: What it did.
        run_id: The run.
        artifacts: The file versions that it made.
        recorder: Knows how many entries were lost.
    """

    __slots__ = ("_artifacts", "_recorder", "_run_id", "_tally")

    def __init__(
        self, tally: StepTally, run_id: str, artifacts: tuple[FileVersion, ...], *, recorder: Recorder
    ) -> None:
        self._tally = tally
        self._run_id = run_id
        self._artifacts = artifacts
        self._recorder = recorder
        tally.saved = True

    def made(self) -> StepEnd:
        """Return the end."""
        return self._tally.end(self._run_id, self._artifacts, dropped=self._recorder.dropped)[1]

    def row(self) -> StepDone:
        """Return the end's row."""
        return self._tally.row(self._run_id, self._artifacts, dropped=self._recorder.dropped)


def _artifact(version: FileVersion) -> dict[str, Json]:
    return {
        "path": version.path, "version": version.version, "agent": version.agent, "at": version.at,
        "superseded_by": version.superseded_by,
    }  # fmt: skip
