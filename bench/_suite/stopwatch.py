"""How much of an execution is the work itself: the code that runs, the tools and agents that are called.

Everything else between the task's words and the result is the product's own: matching, binding, tracking,
events, ledger, checkpoints, looking at files. Work that goes on side by side counts once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from skillsmith.library.execution import node_runs, sandbox
from skillsmith.library.tools.callables import PythonTools

if TYPE_CHECKING:
    from skillsmith.models import AgentRunner, Json
    from skillsmith.models.protocols import AgentReply, AgentTask


class Stopwatch:
    """Notes when work goes on."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the body as work; on any thread."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._spans.append((began, time.perf_counter()))

    def seconds(self) -> float:
        """Return how long some work went on, and forget it."""
        total, reached = 0.0, 0.0
        for began, ended in sorted(self._spans):
            total += max(ended - max(began, reached), 0.0)
            reached = max(reached, ended)
        self._spans.clear()
        return total

    @contextmanager
    def on_code(self) -> Iterator[None]:
        """Count all code that nodes run in the body."""

        def timed(*arguments: Any, **options: Any) -> sandbox.CodeOutcome:
            with self.running():
                return sandbox.run_code(*arguments, **options)

        with patch.object(node_runs, "run_code", timed):  # the one door to code
            yield


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
        with self._watch.running():
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
        with self._watch.running():
            return self._agents.run(task)
