"""What an agent does while it works on one task: its events as they happen, and what they add up to.

Kept outside of any agent framework, so that a task which breaks off has its events and its bill all the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from skillsmith.library.agents.budgets import Budget, Price
from skillsmith.models import Event, Json, ToolUse
from skillsmith.models.protocols import AgentReply, AgentTask, BudgetError

MAX_TURNS = 40
"""Model calls of one task, unless it says otherwise: an agent that needs more is going in circles."""


class Journal:
    """One task's events, model calls, tokens and cost.

    Args:
        task: The task.
        model: Which model is asked.
        price: What its tokens cost.
        budget: What may still be spent.
    """

    def __init__(self, task: AgentTask, *, model: str, price: Price, budget: Budget) -> None:
        self.agent = task.agent
        self._hear = task.on_event
        self._max_turns = task.max_turns or MAX_TURNS
        self._model = model
        self._price = price
        self._budget = budget
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._begun = time.monotonic()
        self._asked = 0
        self._answered = 0
        self._tokens = [0, 0]
        self._cost: float | None = 0.0

    def add(self, kind: Any, **fields: Any) -> None:
        """Write down an event of the agent."""
        event = Event(kind=kind, at=time.time(), agent=self.agent, **fields)
        with self._lock:
            self._events.append(event)
        if self._hear is not None:
            self._hear(event)

    def before_call(self) -> None:
        """Count a model call that is about to be made.

        Raises:
            BudgetError: A limit allows none.
        """
        if self._asked >= self._max_turns:
            raise BudgetError(
                f"agent {self.agent} asked the model {self._asked} times and is not done: its limit"
            )
        if self._budget.max_cost_usd is not None and self._price(self._model, 0, 0) is None:
            self._budget.spend(None, why_unknown=f"the price of the model {self._model!r} is not known")
        self._budget.claim()
        self._asked += 1

    def after_call(
        self,
        *,
        seconds: float,
        model: str | None,
        tokens_in: int | None,
        tokens_out: int | None,
        data: Mapping[str, Json],
    ) -> None:
        """Write down a model call that was answered.

        Args:
            seconds: How long it took.
            model: The model that the endpoint says it was.
            tokens_in: Prompt tokens, when the endpoint tells.
            tokens_out: Completion tokens, when the endpoint tells.
            data: What else is known of it.
        """
        told = tokens_in is not None and tokens_out is not None
        cost = self._cost_of(model, tokens_in or 0, tokens_out or 0) if told else None
        self._budget.spend(
            cost,
            why_unknown="the price of the model is not known" if told else "the endpoint tells no tokens",
        )
        self._answered += 1
        self._tokens[0] += tokens_in or 0
        self._tokens[1] += tokens_out or 0
        self._cost = None if cost is None or self._cost is None else self._cost + cost
        self.add(
            "llm_call", duration_seconds=seconds, tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=cost,
            data={"model": model or self._model, **data},
        )  # fmt: skip

    def _cost_of(self, model: str | None, tokens_in: int, tokens_out: int) -> float | None:
        cost = self._price(model, tokens_in, tokens_out) if model else None
        return self._price(self._model, tokens_in, tokens_out) if cost is None else cost

    def tool_call(self, name: str, call_id: str, arguments: str) -> None:
        """Write down a tool call before it is made."""
        self.add("tool_call", tool=ToolUse(name=name, call_id=call_id, arguments=arguments))

    def tool_result(
        self, name: str, call_id: str, *, seconds: float, result: str | None = None, error: str | None = None
    ) -> None:
        """Write down what a tool call came to."""
        tool = ToolUse(name=name, call_id=call_id, result=result, error=error)
        self.add("tool_result", role="tool", tool=tool, duration_seconds=seconds)

    def reply(self, text: str = "", value: Json = None) -> AgentReply:
        """Return what has been done so far, with the answer when there is one."""
        with self._lock:
            events = tuple(self._events)
        return AgentReply(
            text=text, value=value, events=events, model_calls=self._answered,
            tokens_in=self._tokens[0], tokens_out=self._tokens[1], cost_usd=self._cost,
            duration_seconds=time.monotonic() - self._begun,
        )  # fmt: skip
