"""Run agents with AG2 1.x against any OpenAI-compatible endpoint, within limits that hold.

Whatever a model does (nonsense, errors, silence, circles), a task ends: with an answer, or with one line
that says why, and in both cases with its events and its bill. AG2 and openai are imported when the first
task is run (2 s), never before.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from skillsmith.errors import ExecutionError, SkillsmithError
from skillsmith.library.agents.answers import check_schema, read_answer, repair_words
from skillsmith.library.agents.budgets import Budget, Price, unknown_price
from skillsmith.library.agents.journal import Journal
from skillsmith.library.agents.model_settings import ModelSettings
from skillsmith.models.protocols import AgentError, AgentReply, AgentTask, BudgetError

if TYPE_CHECKING:
    from skillsmith.library.agents.ag2_turn import Conversation

TASK_TIMEOUT_SECONDS = 900.0
"""Of a task that names no limit."""

LOOK_SECONDS = 0.1  # how soon a task notices that it was cancelled
PATIENCE_SECONDS = 2.0  # for a cancelled task to close its connections

_T = TypeVar("_T")


class Ag2Runner:
    """An ``AgentRunner``: each task is an agent of its own, made for it; call ``run`` from any thread.

    Args:
        settings: Which model, and where.
        price: What tokens cost; left out, every cost is unknown.
        budget: What may be spent in all; shared by all tasks of the runner.

    Raises:
        ExecutionError: ag2 or openai is not installed.
    """

    def __init__(
        self, settings: ModelSettings, *, price: Price = unknown_price, budget: Budget | None = None
    ) -> None:
        for package in ("ag2", "openai"):
            if importlib.util.find_spec(package) is None:
                raise ExecutionError(
                    f"asking a model needs the package {package}",
                    hint="pip install 'skillsmith-cli[openai]'",
                )
        self.settings = settings
        self.budget = budget or Budget()
        self._price = price
        self._native_schema = True

    def run(self, task: AgentTask) -> AgentReply:
        """Have an agent do a task and return its answer.

        Raises:
            BudgetError: A limit on cost, model calls or time was reached.
            AgentError: The model cannot be reached, refuses, or its answer cannot be used.
            UsageError: The task's schema is no JSON Schema.
        """
        if task.output_schema is not None:
            check_schema(task.output_schema)
        journal = Journal(task, model=self.settings.model, price=self._price, budget=self.budget)
        try:
            return run_blocking(lambda: self._watched(task, journal))
        except AgentError as error:
            journal.add("error", content=error.message, data={"where": "model", "type": type(error).__name__})
            raise type(error)(error.message, hint=error.hint, reply=journal.reply()) from error

    async def _watched(self, task: AgentTask, journal: Journal) -> AgentReply:
        """Do a task until it is done, cancelled, or out of time."""
        seconds = task.timeout_seconds or TASK_TIMEOUT_SECONDS
        deadline = time.monotonic() + seconds
        work = asyncio.ensure_future(self._explained(task, journal))
        try:
            while not work.done():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise BudgetError(f"agent {task.agent} was not done within {seconds:g} s, its time limit")
                if task.cancelled is not None and task.cancelled.is_set():
                    raise AgentError(f"agent {task.agent} was stopped")
                await asyncio.wait({work}, timeout=min(left, LOOK_SECONDS))
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=PATIENCE_SECONDS)
        return work.result()

    async def _explained(self, task: AgentTask, journal: Journal) -> AgentReply:
        """Do a task; whatever AG2, openai or the model's answer raise becomes an AgentError."""
        try:
            return await self._answered(task, journal)
        except SkillsmithError:
            raise
        except Exception as error:
            from skillsmith.library.agents.ag2_failures import explained  # noqa: PLC0415  (openai is loaded now)

            message, hint = explained(error, self.settings)
            raise AgentError(message, hint=hint) from error

    async def _answered(self, task: AgentTask, journal: Journal) -> AgentReply:
        from skillsmith.library.agents.ag2_failures import refuses_schema  # noqa: PLC0415  (openai: 1 s)
        from skillsmith.library.agents.ag2_turn import conversation  # noqa: PLC0415  (ag2: 2 s)

        native = self._native_schema
        try:
            async with conversation(task, self.settings, journal, native_schema=native) as talk:
                return await self._talk(talk, task, journal)
        except Exception as error:
            if task.output_schema is None or not native or not refuses_schema(error):
                raise
        async with conversation(task, self.settings, journal, native_schema=False) as talk:
            reply = await self._talk(talk, task, journal)
        self._native_schema = False  # the endpoint knows no schemas: from now on words alone must do
        return reply

    async def _talk(self, talk: Conversation, task: AgentTask, journal: Journal) -> AgentReply:
        text, finish = await talk.ask(task.prompt)
        if task.output_schema is None:
            if not text.strip():
                raise AgentError(f"agent {task.agent} gave no answer (finish reason: {finish or 'none'})")
            return journal.reply(text)
        value, problem = read_answer(text, task.output_schema)
        if problem is not None:
            text, _ = await talk.ask(repair_words(problem, task.output_schema))
            value, problem = read_answer(text, task.output_schema)
        if problem is not None:
            raise AgentError(
                f"the answer of agent {task.agent} does not have the form it must have: {problem}"
            )
        return journal.reply(text, value)


def run_blocking(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run a coroutine to its end from plain code, also where an event loop already runs on this thread.

    Args:
        work: Makes the coroutine.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # the usual case: none
        return asyncio.run(work())
    outcome: list[_T] = []
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            outcome.append(asyncio.run(work()))
        except BaseException as error:  # noqa: BLE001  (handed to the caller's thread below)
            raised.append(error)

    thread = threading.Thread(target=elsewhere, name="skillsmith-agent", daemon=True)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return outcome[0]
