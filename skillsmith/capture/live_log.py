"""Logging by hand inside a capture: the same calls, into the same run, and only the capture ends it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from skillsmith.capture.live import HostStep, LiveRun
from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.db import Database
from skillsmith.models import Outcome, RunStatus, StepExecutionSummary
from skillsmith.runs import RunRepository


class LiveLogger(AgentExecutionLogger):
    """Log what agents do outside the frameworks that are instrumented.

    Args:
        run: The run under way.
        mark: Takes an outcome and its reason.
    """

    def __init__(self, run: LiveRun, *, mark: Callable[[Outcome, str | None], None]) -> None:
        self.sink = run.sink
        self._run = run
        self._mark = mark
        self._host: HostStep | None = None
        self._prepare(run.failures)
        self.tracker = run.tracker

    @property
    def run_pk(self) -> int:
        """The run's primary key; asking for it waits until the run is in the file."""
        self.recorder.flush()
        with closing(Database(self.recorder.path)) as db:
            return RunRepository(db).key(self.run_id)

    def finalize_step_logging(self) -> StepExecutionSummary:
        """Store the step and return what it did; what is logged afterwards still counts to it."""
        step = self.step
        self._run.look(None, step)
        self._run.steps.store(step)
        return self._run.steps.summary(step)

    def next_step(self, title: str | None = None, host_id: str | None = None) -> int:
        """Begin a step that everything belongs to until the next one, or the end; return its number.

        Args:
            title: What the step is about.
            host_id: The host's own id of it.
        """
        if self._host is not None:
            self._run.steps.close_host(self._host)
        self._host = self._run.steps.open_host(host_id or title or "", title=title)
        return self._host.number

    def finish(
        self,
        outcome: Outcome | None = None,
        *,
        status: RunStatus = "completed",  # noqa: ARG002  (the capture knows how it ends)
        reason: str | None = None,
    ) -> None:
        """Say whether the task was done; the capture finishes the run when it ends."""
        if outcome is not None:
            self._mark(outcome, reason)

    def close(self) -> None:
        """Do nothing: the capture ends logging."""
