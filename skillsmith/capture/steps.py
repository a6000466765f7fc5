"""Where a capture's events go (recorder, run, step), and what a step has done so far."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from skillsmith.capture.entries import Entry, RunEnd, StepEnd
from skillsmith.capture.recorder import DatabaseLike, Durability, Recorder, database_path
from skillsmith.capture.redact import redact_text
from skillsmith.db import Database
from skillsmith.models import Event, FileVersion, Json, StepExecutionSummary
from skillsmith.runs import RunRepository

_NUMBERED = re.compile(r"(?:[A-Za-z]+[ _.-]?)?(\d{1,6})")


@dataclass(slots=True)
class Sink:
    """Where events go: through a recorder into one step of one run.

    Args:
        created: Whether the run was begun here, and so is to be finished here.
        fresh: Whether nothing had been recorded of the run.
        host_id: The host's own id of the step.
    """

    recorder: Recorder
    run_id: str
    run_pk: int
    step: int
    tally: StepTally
    created: bool = False
    fresh: bool = True
    host_id: str | None = None

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
    sink = Sink(recorder, run.id, pk, step, StepTally(), created=run_id is None, fresh=fresh)
    if isinstance(step_id, str):
        sink.host_id = step_id
    if sink.created:
        recorder.set_last_words(pk, RunEnd(run_id=run.id, status="interrupted"))
    return sink


def _step_number(runs: RunRepository, run_id: str, step_id: int | str) -> int:
    """Return the number in a host's step id ("step_5"), else the one after the run's last step."""
    if isinstance(step_id, int):
        return step_id
    if match := _NUMBERED.fullmatch(step_id.strip()):
        return int(match[1])
    return max((event.step for event in runs.events(run_id)), default=0) + 1


class StepTally:
    """Counts what is logged in one step, from any thread.

    Args:
        title: The step's title.
    """

    def __init__(self, title: str | None = None) -> None:
        self.title = title
        self.saved = False
        self.events = 0
        self._started_at = time.time()
        self._started = time.perf_counter()
        self._lock = threading.Lock()
        self._agents: dict[str, None] = {}
        self._kinds: dict[str, int] = {}
        self._messages = 0
        self._failed_code = 0
        self._tokens = 0
        self._cost: float | None = None
        self._transitions: list[dict[str, Json]] = []
        self._contexts: list[dict[str, Json]] = []

    def add(self, event: Event) -> None:
        """Count an event."""
        with self._lock:
            self.saved = False
            self.events += 1
            self._kinds[event.kind] = self._kinds.get(event.kind, 0) + 1
            if event.agent:
                self._agents[event.agent] = None
            self._messages += event.role is not None
            self._tokens += (event.tokens_in or 0) + (event.tokens_out or 0)
            if event.cost_usd is not None:
                self._cost = (self._cost or 0.0) + event.cost_usd
            if event.code is not None and event.code.exit_code:
                self._failed_code += 1
            self._add_special(event)

    def _add_special(self, event: Event) -> None:
        if event.kind == "transition":
            self._transitions.append(
                {"from": event.agent, "to": event.recipient, "reason": event.content, "at": event.at}
            )
        elif event.kind == "context" and event.data:
            self._contexts.append({"at": event.at, "agent": event.agent, **event.data})

    def end(self, sink: Sink, artifacts: tuple[FileVersion, ...]) -> tuple[StepExecutionSummary, StepEnd]:
        """Return the step's summary, and the entry that stores it."""
        with self._lock:
            self.saved = True
            figures: dict[str, Any] = {
                "run_id": sink.run_id, "step": sink.step, "agents": tuple(self._agents),
                "events": self.events, "messages": self._messages,
                "tool_calls": self._kinds.get("tool_call", 0), "code_blocks": self._kinds.get("code", 0),
                "failed_code_blocks": self._failed_code,
                "duration_seconds": time.perf_counter() - self._started, "tokens": self._tokens,
                "cost_usd": self._cost, "dropped": sink.recorder.dropped,
            }  # fmt: skip
            columns: dict[str, Json] = {
                "host_id": sink.host_id, "title": self.title,
                "started_at": self._started_at, "ended_at": time.time(),
                "agent_transitions": list(self._transitions),
                "intermediate_artifacts": [_artifact(version) for version in artifacts],
                "context_snapshots": list(self._contexts),
            }  # fmt: skip
            transitions: tuple[Mapping[str, Json], ...] = tuple(self._transitions)
        summary = StepExecutionSummary(**figures, transitions=transitions, artifacts=artifacts)
        stored = StepExecutionSummary(**figures, transitions=(), artifacts=())
        return summary, StepEnd(run_id=sink.run_id, summary=stored, columns=columns)


def _artifact(version: FileVersion) -> dict[str, Json]:
    return {
        "path": version.path, "version": version.version, "agent": version.agent, "at": version.at,
        "superseded_by": version.superseded_by,
    }  # fmt: skip
