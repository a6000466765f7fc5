"""One run while it happens: its steps are counted and its folder is watched, and nothing waits for the file.

The run is made by the thread that stores its first entry, under an id that is known at once. Turns that
overlap keep their steps apart; a step that the host names takes in every turn inside it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any

from skillsmith.capture.artifacts import ArtifactTracker
from skillsmith.capture.entries import Entry, Late, RunBegin, RunEnd
from skillsmith.capture.harmless import Failures
from skillsmith.capture.recorder import Recorder
from skillsmith.capture.shapes import safe_text
from skillsmith.capture.steps import Draft, LateStepEnd, Sink, StepTally, number_in
from skillsmith.capture.turns import Work
from skillsmith.db import Database
from skillsmith.files import FileRepository
from skillsmith.ids import new_id
from skillsmith.models import Event, EventKind, FileVersion, Outcome, RunStatus, StepExecutionSummary
from skillsmith.runs import RunRepository

KEPT_TALLIES = 256
"""Steps that are stored and may yet change, because a later step takes the place of their files."""

TASK_CHARS = 20_000


@dataclass(slots=True, eq=False)
class HostStep:
    """A step that the host has named, for as long as it is open."""

    steps: LiveSteps
    number: int
    open: bool = True


_host_step: ContextVar[HostStep | None] = ContextVar("skillsmith_host_step", default=None)


class LiveSteps:
    """The steps of a run that is under way; the ``Steps`` of its tape.

    Args:
        run: The run.
    """

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._numbers = count(1)
        self._current = 0
        self.tallies: dict[int, StepTally] = {}
        self._stored: deque[int] = deque()
        self._artifacts: dict[int, tuple[FileVersion, ...]] = {}
        self._hosts: list[HostStep] = []
        self._forgotten: set[int] = set()
        self._late = StepTally(0)

    def begin(self, agent: str) -> int:  # noqa: ARG002  (of the protocol)
        """Return the host's step, or a new one."""
        host = self._host() if self._hosts else None
        if host is not None:
            return host.number
        number = self._current = self._next()
        self.tallies[number] = StepTally(number)
        return number

    def end(self, step: int) -> None:
        """Store a step that a turn made by itself."""
        if not self._hosts or not any(host.number == step for host in self._hosts):
            self.tally(step).stop()
            self.store(step)

    def current(self) -> int:
        """Return the host's step, else the last one begun."""
        host = self._host()
        return host.number if host else self._current or self._open(StepTally(self._next()))

    @contextmanager
    def hosted(self, name: int | str, *, title: str | None = None) -> Iterator[int]:
        """Let everything inside be one step that the host names; it yields the step's number.

        Args:
            name: The host's id of it, which may hold its number ("step_5").
            title: What it is about; left out, its name.
        """
        host = self.open_host(name, title=title)
        token = _host_step.set(host)
        try:
            yield host.number
        finally:
            self.close_host(host)
            _host_step.reset(token)

    def open_host(self, name: int | str, *, title: str | None = None) -> HostStep:
        """Begin a step that the host names."""
        number = number_in(name)
        host_id = None if isinstance(name, int) else name
        if number is None or number < 1 or number in self.tallies:
            number = self._next()
        self._open(StepTally(number, title=title or host_id, host_id=host_id))
        host = HostStep(self, number)
        self._hosts.append(host)
        return host

    def close_host(self, host: HostStep) -> None:
        """End it."""
        if host.open:
            host.open = False
            self._hosts.remove(host)
            self.end(host.number)

    def tally(self, step: int) -> StepTally:
        """Return what counts a step's events."""
        tally = self.tallies.get(step)
        if tally is not None:
            return tally
        return self._late if step in self._forgotten else self.tallies.setdefault(step, StepTally(step))

    def store(self, step: int) -> None:
        """Look at the folder and store the step; what it did is summed up where it is stored."""
        run = self._run
        made = run.made_in(step) if run.tracker is not None else ()
        if made:
            self._artifacts[step] = made
        run.recorder.put((run.id, LateStepEnd(self.tally(step), run.id, made, recorder=run.recorder)))
        self._stored.append(step)
        if len(self._stored) > KEPT_TALLIES:
            self._forget(self._stored.popleft())

    def summary(self, step: int) -> StepExecutionSummary:
        """Return what a step has done until now."""
        made = self._artifacts.get(step, ())
        return self.tally(step).end(self._run.id, made, dropped=self._run.recorder.dropped)[0]

    def finish(self) -> None:
        """Store every step that is not stored as it is now."""
        for step in sorted(self.tallies):
            tally = self.tallies[step]
            if tally.events and (not tally.saved or self._run.made_in(step) != self._artifacts.get(step, ())):
                tally.stop()
                self.store(step)

    def _forget(self, step: int) -> None:
        if step not in self._stored and (tally := self.tallies.get(step)) and tally.saved:
            self._forgotten.add(step)
            del self.tallies[step]
            self._artifacts.pop(step, None)

    def _host(self) -> HostStep | None:
        host = _host_step.get()
        if host is not None and host.open and host.steps is self:
            return host
        return self._hosts[-1] if self._hosts else None

    def _next(self) -> int:
        number = next(self._numbers)
        while number in self.tallies:
            number = next(self._numbers)
        return number

    def _open(self, tally: StepTally) -> int:
        self.tallies[tally.step] = tally
        self._current = tally.step
        return tally.step


class LiveSink(Sink):
    """Where a logger's or tracker's events of a live run go; its step is the run's current one."""

    def __init__(self, run: LiveRun) -> None:
        super().__init__(run.recorder, run.id, 0, StepTally(1))
        self.run = run
        self.during: int | None = None

    @property
    def step(self) -> int:
        """The step of what is logged now."""
        return self.during or self.run.steps.current()

    def log(self, event: Event) -> None:
        """Take an event and count it."""
        self.run.log(event)

    def record(self, entry: Entry) -> None:
        """Take another entry of the run."""
        self.run.record(entry)


class LiveTracker(ArtifactTracker):
    """Track the folder of a run that the file may not know yet."""

    _sink: LiveSink

    def _stored(self) -> list[FileVersion]:
        if not self._sink.run.begun:
            return []
        with closing(Database(self._sink.recorder.path)) as db:
            return FileRepository(db).versions(RunRepository(db).key(self._sink.run_id))


class LiveRun:
    """A run under way: begun here, and to be finished once.

    Args:
        recorder: Stores it.
        task: What is to be done.
        failures: Counts what could not be recorded.
        work_dir: The folder whose files are tracked.
    """

    def __init__(
        self, recorder: Recorder, *, task: Any, failures: Failures, work_dir: str | None = None
    ) -> None:
        self.id = new_id()
        self.recorder = recorder
        self.failures = failures
        self.begun = False
        self.ended = False
        self.steps = LiveSteps(self)
        self.sink = LiveSink(self)
        self._looking = threading.Lock()
        text = task if isinstance(task, str) else safe_text(task)
        begin = RunBegin(run_id=self.id, task=text[:TASK_CHARS], work_dir=work_dir, started_at=time.time())
        self.record(begin)
        recorder.set_last_words(self.id, RunEnd(run_id=self.id, status="interrupted"))
        self.tracker: LiveTracker | None = None
        if work_dir is not None:
            self.tracker = LiveTracker(work_dir, self)
            self.sink.during = 1
            self.tracker.snapshot()
            self.sink.during = None
        self.begun = True
        self.work = Work(self.hear, self.steps, self.look if self.tracker else None, note=self.note)

    def hear(self, event: Event) -> None:
        """Take an event from a tape; what still goes on after the end is not part of the run."""
        if not self.ended:
            self.log(event)

    def note(self, step: int, kind: EventKind, at: float, agent: str | None, fields: dict[str, Any]) -> None:
        """Take what becomes an event; it is made and counted where it is stored."""
        if not self.ended:
            tally = self.steps.tallies.get(step) or self.steps.tally(step)
            self.recorder.put((self.id, Draft(tally, step, kind, at, agent, fields)))

    def log(self, event: Event) -> None:
        """Take an event and count it in its step."""
        tally = self.steps.tally(event.step)
        self.recorder.put((self.id, Draft.of(tally, event)))

    def record(self, entry: Entry | Late) -> None:
        """Take another entry."""
        self.recorder.record(self.id, entry)

    def look(self, agent: str | None, step: int) -> None:
        """Look at the folder: what is new or changed is this agent's work, in this step."""
        if self.tracker is not None:
            with self._looking:
                self.sink.during = step
                try:
                    self.tracker.scan(agent=agent)
                finally:
                    self.sink.during = None

    def made_in(self, step: int) -> tuple[FileVersion, ...]:
        """Return the file versions that agents made in a step."""
        return self.tracker.versions(step) if self.tracker else ()

    def finish(
        self, status: RunStatus = "completed", outcome: Outcome | None = None, reason: str | None = None
    ) -> None:
        """Look at the folder a last time, store the steps and end the run."""
        if self.ended:
            return
        self.ended = True
        try:
            if self.tracker is not None:
                self.look(None, self.steps.current())
            self.steps.finish()
        except Exception as error:  # noqa: BLE001  (counted; the run must come to its end)
            self.failures.note("finish", error)
        self.record(RunEnd(run_id=self.id, status=status, outcome=outcome, reason=reason))
        self.recorder.set_last_words(self.id, None)
