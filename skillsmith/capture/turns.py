"""What a tape writes into: a run's works, steps and turns, and what instrumenting has to take back."""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from skillsmith.capture.harmless import Failures
from skillsmith.capture.shapes import safe_text, text_of
from skillsmith.models import Event, EventKind, Json

TRACEBACK_CHARS = 20_000
REMEMBERED_ERRORS = 16
"""An error passes through several hands on its way out; it is recorded by the first."""

Record: TypeAlias = Callable[[Event], None]
"""Takes an event; it never raises or waits."""

Note: TypeAlias = Callable[[int, EventKind, float, str | None, dict[str, Any]], None]
"""Takes what becomes an event elsewhere: step, kind, time, agent, the other fields."""

Look: TypeAlias = Callable[[str | None, int], None]
"""Looks at the work folder: who worked, or None before it; in which step."""


_P = ParamSpec("_P")


class CanEnd(Protocol):
    """An object that may be off, and counts what its methods could not do."""

    @property
    def on(self) -> bool: ...  # noqa: D102

    @property
    def failures(self) -> Failures: ...  # noqa: D102


_Self = TypeVar("_Self", bound=CanEnd)


def quiet(method: Callable[Concatenate[_Self, _P], None]) -> Callable[Concatenate[_Self, _P], None]:
    """Do nothing once the object is off; count what goes wrong instead of raising it.

    Methods that every turn of an agent calls say the same in their own bodies: a call less each time.
    """

    @functools.wraps(method)
    def call(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        if self.on:
            try:
                method(self, *args, **kwargs)
            except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
                self.failures.note(method.__name__, error)

    return call


class Prices(Protocol):
    """A table of what models cost."""

    def cost(
        self,
        model: str | None,
        *,
        tokens_in: int | None,
        tokens_out: int | None,
        tokens_cached: int | None = None,
        provider: str | None = None,
    ) -> float | None:
        """Return US dollars, or None when it is not known."""  # fmt: skip


class Steps(Protocol):
    """Who numbers the steps of a run."""

    def begin(self, agent: str) -> int:
        """Return the number of the step that a turn belongs to which stands on its own."""

    def end(self, step: int) -> None:
        """Such a turn has come to its end."""

    def current(self) -> int:
        """Return the step of what no turn did."""


class CountedSteps:
    """Numbers steps from 1: each turn that stands on its own is one."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._current = 1

    def begin(self, agent: str) -> int:  # noqa: ARG002  (of the protocol)
        """Return the next number."""
        self._current = next(self._numbers)
        return self._current

    def end(self, step: int) -> None:
        """Nothing is kept of a step."""

    def current(self) -> int:
        """Return the last step begun."""
        return self._current


@dataclass(slots=True, eq=False)
class Work:
    """One run's side of a tape: where its events go, and what was recorded last.

    Args:
        record: Takes an event; it never raises or waits.
        steps: Numbers its steps.
        files: Looks at its work folder.
        note: Takes the parts of an event, at less cost; left out, ``record`` takes it whole.
    """

    record: Record
    steps: Steps
    files: Look | None = None
    note: Note | None = None
    announced: dict[str, int] = field(default_factory=dict)
    systems: dict[str, Any] = field(default_factory=dict)
    contexts: dict[str, str] = field(default_factory=dict)
    errors: deque[BaseException] = field(default_factory=lambda: deque(maxlen=REMEMBERED_ERRORS))
    depth: int = 0


@dataclass(slots=True, eq=False)
class Turn:
    """One agent's turn; cheap, and to be kept in the adapter's own object of that turn.

    Args:
        step: The step its events belong to.
        agent: Whose turn it is.
        work: The run it belongs to.
        within: The turn it is part of: an agent used as a tool, a subtask, a nested chat.
        alone: Nothing has begun around it: it is a run by itself.
        ended: Whether it is over; what still runs in its context then stands on its own.
        started: ``time.perf_counter`` at its beginning.
    """

    step: int
    agent: str
    work: Work
    within: Turn | None = None
    alone: bool = False
    ended: bool = False
    started: float = field(default_factory=time.perf_counter)


current_turn: ContextVar[Turn | None] = ContextVar("skillsmith_turn", default=None)
"""For adapters whose framework keeps contexts: the turn inside which another one may begin."""


def _forget(event: Event) -> None:
    """Let go of what belongs to no run."""


class TurnTape:
    """The part of a tape that knows works, steps and turns.

    Args:
        record: Takes an event, and neither raises nor waits; or the work that all belongs to; None: what
            belongs to no work is not recorded.
        steps: Numbers the steps; left out, each turn that stands on its own is one.
        prices: What models cost; left out, every cost that is not given is unknown.
        failures: Counts what could not be recorded.
        files: Looks at the work folder.
    """

    def __init__(
        self,
        record: Record | Work | None,
        *,
        steps: Steps | None = None,
        prices: Prices | None = None,
        failures: Failures | None = None,
        files: Look | None = None,
    ) -> None:
        self.on = True
        self.failures = failures or Failures()
        self.undo = Undo(self.failures)
        self._prices = prices
        if not isinstance(record, Work):
            record = Work(record or _forget, steps or CountedSteps(), files)
        self._work = record

    @property
    def stands(self) -> bool:
        """Whether it outlasts captures, and writes into the one under way."""
        return False

    def begin_work(self, task: Any, *, agent: str | None = None, around: bool = True) -> Work:  # noqa: ARG002  (below)
        """Say that something begins which, where nobody captures, is a run of its own.

        Inside ``skillsmith.capture`` all belongs to the one run. With ``skillsmith.instrument`` each
        outermost ask, chat or channel begins a run here: wrap it in ``begin_work`` and ``end_work``.

        Args:
            task: What is asked for.
            agent: Whom.
            around: Whether what begins in this context meanwhile is part of it.
        """
        return self._work

    def end_work(self, work: Work, *, error: BaseException | None = None, reason: str | None = None) -> None:
        """Say that it has ended: with an error, or for a reason."""

    def begin_turn(self, agent: str, *, within: Turn | None = None, work: Work | None = None) -> Turn:
        """Begin an agent's turn, which is a step of its own unless it is part of another one.

        Args:
            agent: Whose.
            within: The turn that it is part of.
            work: What ``begin_work`` gave, where the adapter knows it.
        """
        try:
            home = within.work if within else work or self._home()
            step = within.step if within else home.steps.begin(agent)
            turn = Turn(step, agent, home, within)
            if self.on:
                self._event(turn, "agent_start", agent=agent)
        except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.failures.note("begin_turn", error)
            return Turn(1, agent, self._work, within)
        return turn

    def end_turn(
        self,
        turn: Turn,
        *,
        duration_seconds: float | None = None,  # noqa: ARG002  (the events that took time say so themselves)
        error: BaseException | None = None,
    ) -> None:
        """End a turn; an error that nobody has recorded yet is recorded."""
        if not self.on:
            return
        try:
            if error is not None:
                self.error(turn, agent=turn.agent, error=error, where="turn")
            turn.ended = True
            if turn.within is None:
                turn.work.steps.end(turn.step)
        except Exception as failure:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.failures.note("end_turn", failure)

    @quiet
    def error(self, turn: Turn | None, *, agent: str | None, error: BaseException | str, where: str) -> None:
        """Record an error with its type and traceback; the same exception only once.

        Args:
            turn: During which.
            agent: Whose.
            error: The exception, or what is said of it.
            where: What was being done: "model", "tool", "turn", "channel", …
        """
        if not isinstance(error, BaseException):
            self._event(turn, "error", agent=agent, content=text_of(error), data={"where": where})
            return
        seen = self._work_of(turn).errors
        if any(known is error for known in seen):
            return
        seen.append(error)
        import traceback  # noqa: PLC0415  (10 ms; only for errors)

        trace = "".join(traceback.format_exception(error))[-TRACEBACK_CHARS:]
        data = {"where": where, "type": type(error).__name__, "traceback": trace}
        self._event(turn, "error", agent=agent, content=safe_text(error) or type(error).__name__, data=data)

    @quiet
    def note(
        self,
        turn: Turn | None,
        *,
        name: str,
        agent: str | None = None,
        data: Mapping[str, Json] | None = None,
        content: Any = None,
    ) -> None:
        """Record everything else worth keeping: a termination, a carry-over, a rejected envelope.

        Args:
            turn: During which.
            name: What it is.
            agent: Whose.
            data: Its facts, as JSON that will not change.
            content: Its text.
        """
        facts = {"name": name, **data} if data else {"name": name}
        self._event(turn, "raw", agent=agent, content=text_of(content), data=facts)

    def _event(self, turn: Turn | None, kind: EventKind, *, agent: str | None, **fields: Any) -> None:
        work = turn.work if turn is not None else self._home()
        name = agent if agent is None or type(agent) is str else str(agent)
        step = turn.step if turn is not None else work.steps.current()
        if work.note is not None:
            work.note(step, kind, time.time(), name, fields)
        else:
            work.record(Event(kind=kind, at=time.time(), step=step, agent=name, **fields))

    def _work_of(self, turn: Turn | None) -> Work:
        return turn.work if turn is not None else self._home()

    def _home(self) -> Work:
        """Return the run of what belongs to no turn."""
        return self._work


@dataclass(slots=True)
class Undo:
    """What instrumenting has changed, to be taken back in reverse order.

    Args:
        failures: Counts what could not be taken back.
    """

    failures: Failures = field(default_factory=Failures)
    _steps: list[Callable[[], object]] = field(default_factory=list)

    def add(self, restore: Callable[[], object]) -> None:
        """Remember how to take one change back."""
        self._steps.append(restore)

    def run(self) -> None:
        """Take everything back; nothing is left to take back afterwards."""
        while self._steps:
            restore = self._steps.pop()
            try:
                restore()
            except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
                self.failures.note("undo", error)
