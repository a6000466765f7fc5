"""Where the time of an execution goes: each moment between the task's words and the result counts once.

Work is the code that runs and the tools and agents that are called. All else is the product's own, told apart
at its own doors: finding the skill, preparing its use, keeping the books, looking after files. What goes on
side by side counts as the first of ``PHASES`` among it, so work hides what is done meanwhile.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from inspect import isfunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from skillsmith.files import FileRepository
from skillsmith.library import executor
from skillsmith.library.checkpoints import SkillCheckpointManager
from skillsmith.library.evidence.trust_ladder import TrustLadder
from skillsmith.library.execution import node_runs
from skillsmith.library.execution.books import Books
from skillsmith.library.execution.execution_log import ExecutionLog
from skillsmith.library.execution.workfolder import WorkFolder
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.library.tools.callables import PythonTools
from skillsmith.library.tracking import SkillAdaptationTracker

if TYPE_CHECKING:
    from skillsmith.models import AgentRunner, Json
    from skillsmith.models.protocols import AgentReply, AgentTask

PHASES = ("work", "files", "tracking", "preparing", "matching")
"""What a moment counts as when several go on: the first of these."""

_CLASSES: Mapping[str, tuple[type, ...]] = {
    "files": (WorkFolder, FileRepository),
    "tracking": (
        Books, ExecutionLog, ExecutionLedger, SkillCheckpointManager, SkillAdaptationTracker, TrustLadder,
    ),
}  # fmt: skip
"""Classes whose public methods are doors, by phase."""

_FUNCTIONS: tuple[tuple[str, Any, str], ...] = (
    ("work", node_runs, "run_code"),
    ("preparing", executor, "prepare"),
    ("tracking", executor, "lease"),
    ("tracking", SkillRepository, "add_example"),
)
"""Further doors: phase, where it stands, its name."""


class Stopwatch:
    """Notes when something of a phase goes on; on any thread."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float, str]] = []

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Count the body as this phase.

        Args:
            phase: One of ``PHASES``.
        """
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spans.append((began, time.perf_counter(), phase))

    def seconds(self) -> dict[str, float]:
        """Return how long each phase went on, and forget it."""
        edges = [(began, 1, phase) for began, _, phase in self._spans]
        edges += [(ended, -1, phase) for _, ended, phase in self._spans]
        self._spans.clear()
        total, active, before = dict.fromkeys(PHASES, 0.0), Counter[str](), 0.0
        for at, step, phase in sorted(edges):
            now = next((name for name in PHASES if active[name] > 0), None)
            if now is not None:
                total[now] += at - before
            active[phase] += step
            before = at
        return total

    @contextmanager
    def at_doors(self) -> Iterator[None]:
        """Count whatever goes through the product's doors in the body."""
        with ExitStack() as stack:
            for phase, place, name in self._doors():
                stack.enter_context(patch.object(place, name, self._timed(getattr(place, name), phase)))
            yield

    @staticmethod
    def _doors() -> Iterator[tuple[str, Any, str]]:
        yield from _FUNCTIONS
        for phase, classes in _CLASSES.items():
            for one in classes:
                names = [name for name, value in vars(one).items() if isfunction(value) and name[0] != "_"]
                yield from ((phase, one, name) for name in ("__init__", *names))

    def _timed(self, door: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """Return a door that counts what goes through it; of a context, its beginning and its end."""
        is_context = isgeneratorfunction(getattr(door, "__wrapped__", None))

        @wraps(door)
        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                answer = door(*arguments, **options)
            finally:
                self._spans.append((began, time.perf_counter(), phase))
            return _Ends(answer, self, phase) if is_context else answer

        return timed


class _Ends:
    """A context whose beginning and end count as a phase, its body as whatever goes on there."""

    def __init__(self, context: AbstractContextManager[Any], watch: Stopwatch, phase: str) -> None:
        self._context = context
        self._watch = watch
        self._phase = phase

    def __enter__(self) -> Any:
        with self._watch.during(self._phase):
            return self._context.__enter__()

    def __exit__(self, *raised: object) -> bool | None:
        with self._watch.during(self._phase):
            return self._context.__exit__(*raised)  # type: ignore[arg-type]  # as they came


class TimedTools(PythonTools):
    """Tools whose calls count as work.

    Args:
        tools: By name.
        label: Where they come from.
        watch: Where they count.
    """

    def __init__(self, tools: Mapping[str, Callable[..., Any]], *, label: str, watch: Stopwatch) -> None:
        super().__init__(tools, label=label)
        self._watch = watch

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool."""
        with self._watch.during("work"):
            return super().call(name, arguments)


class TimedAgents:
    """Agents whose answers count as work.

    Args:
        agents: The agents.
        watch: Where they count.
    """

    def __init__(self, agents: AgentRunner, watch: Stopwatch) -> None:
        self._agents = agents
        self._watch = watch

    def run(self, task: AgentTask) -> AgentReply:
        """Have an agent do a task."""
        with self._watch.during("work"):
            return self._agents.run(task)
