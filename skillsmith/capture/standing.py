"""Objects that stay instrumented: each outermost thing they do is a run of its own, or part of a capture.

The object itself keeps its tape alive, so that what nobody uses any longer is freed with all that was added.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from skillsmith.capture.harmless import Failures
from skillsmith.capture.live import LiveRun
from skillsmith.capture.recorder import Recorder
from skillsmith.capture.shapes import error_of, text_of
from skillsmith.capture.tape import Tape
from skillsmith.capture.turns import Prices, Turn, Work
from skillsmith.models import Outcome, RunStatus

CLOSE_SECONDS = 2.0

active_captures: list[Tape] = []
"""Tapes of the captures that are under way, newest last."""

capture_here: ContextVar[Tape | None] = ContextVar("skillsmith_capture", default=None)
"""The tape of the capture in whose block a task or thread runs."""

_current_work: ContextVar[Work | None] = ContextVar("skillsmith_work", default=None)
_standing: weakref.WeakValueDictionary[int, StandingTape] = weakref.WeakValueDictionary()


def _active() -> Tape | None:
    """Return the capture around what runs here; where a thread has lost its context, the newest one."""
    here = capture_here.get()
    if here is not None and here.on:
        return here
    return active_captures[-1] if active_captures else None


class StandingTape(Tape):
    """Write each outermost work into a run of its own; inside a capture, into the capture's run.

    Args:
        recorder: Stores the runs.
        prices: What models cost.
        work_dir: The folder whose files are tracked in each of them.
        report: Says what of a run is missing.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        prices: Prices | None,
        work_dir: str | None,
        report: Callable[[LiveRun, Failures], None],
    ) -> None:
        super().__init__(None, prices=prices)
        self._recorder = recorder
        self._work_dir = work_dir
        self._report = report
        self._runs: dict[int, LiveRun] = {}
        self._last: LiveRun | None = None
        self._release = weakref.finalize(self, Recorder.release, recorder)
        self._release.atexit = False  # at exit the recorder itself sees to it that all is stored

    @staticmethod
    def of(obj: Any) -> StandingTape | None:
        """Return the tape of an object that is instrumented."""
        tape = _standing.get(id(obj))
        return tape if tape is not None and tape.on and tape.holds(obj) else None

    def keep(self, obj: Any) -> None:
        """Remember that this object is instrumented with this tape."""
        self._object = weakref.ref(obj)
        _standing[id(obj)] = self

    def holds(self, obj: Any) -> bool:
        """Tell whether this is the object's tape, not that of one which had its place in memory."""
        return self._object() is obj

    def end(self) -> None:
        """Take back what instrumenting did, end what is open and store what waits."""
        self.undo.run()
        self.on = False
        for run in tuple(self._runs.values()):
            run.finish("interrupted")
        self._runs.clear()
        self._release.detach()
        self._recorder.close(CLOSE_SECONDS)
        if self._last is not None:
            self._report(self._last, self.failures)

    @property
    def stands(self) -> bool:
        """It does."""
        return True

    def begin_work(self, task: Any, *, agent: str | None = None, around: bool = True) -> Work:
        """Begin a run, unless this is part of a capture or of a work that has begun around it."""
        if (capture := _active()) is not None:
            return capture.begin_work(task, agent=agent)
        outer = _current_work.get()
        if around and outer is not None and id(outer) in self._runs:
            outer.depth += 1
            return outer
        try:
            run = LiveRun(
                self._recorder, task=text_of(task) or "", failures=self.failures, work_dir=self._work_dir
            )
        except Exception as error:  # noqa: BLE001  (counted; the host goes on unrecorded)
            self.failures.note("begin_work", error)
            return super().begin_work(task, agent=agent)
        self._runs[id(run.work)] = self._last = run
        if around:
            _current_work.set(run.work)
        return run.work

    def end_work(self, work: Work, *, error: BaseException | None = None, reason: str | None = None) -> None:
        """End the run that ``begin_work`` began."""
        run = self._runs.get(id(work))
        if run is None:
            return
        if work.depth:
            work.depth -= 1
            return
        del self._runs[id(work)]
        if _current_work.get() is work:
            _current_work.set(None)
        status: RunStatus = "completed"
        outcome: Outcome | None = None
        if error is not None:
            status = "failed" if isinstance(error, Exception) else "interrupted"
            outcome = "failure" if isinstance(error, Exception) else None
            reason = error_of(error)
        run.finish(status, outcome, reason)

    def begin_turn(self, agent: str, *, within: Turn | None = None, work: Work | None = None) -> Turn:
        """Begin a turn; one that nothing has begun around is a run by itself."""
        alone = within is None and work is None and self._around() is None
        turn = super().begin_turn(
            agent, within=within, work=self.begin_work(agent, agent=agent) if alone else work
        )
        turn.alone = alone
        return turn

    def end_turn(
        self, turn: Turn, *, duration_seconds: float | None = None, error: BaseException | None = None
    ) -> None:
        """End a turn, and the run that it is by itself."""
        super().end_turn(turn, duration_seconds=duration_seconds, error=error)
        if turn.alone:
            self.end_work(turn.work, error=error)

    def _around(self) -> Work | None:
        if (capture := _active()) is not None:
            return capture.begin_work("")
        work = _current_work.get()
        if work is not None and id(work) in self._runs:
            return work
        return next(reversed(self._runs.values())).work if self._runs else None

    def _home(self) -> Work:
        return self._around() or super()._home()
