"""Stands in for the model alone: answers what the test says, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from skillsmith.models import Event
from skillsmith.models.protocols import AgentReply, AgentTask

Answer: TypeAlias = "str | dict[str, Any] | AgentReply | Exception"


class Scripted:
    """An AgentRunner that answers in order, or as a function of the task.

    Args:
        answers: One a task.
        by: Gives the answer to a task, when there is no fixed order.
    """

    def __init__(self, *answers: Answer, by: Callable[[AgentTask], Answer] | None = None) -> None:
        self._answers = list(answers)
        self._by = by
        self._lock = threading.Lock()
        self.tasks: list[AgentTask] = []

    def run(self, task: AgentTask) -> AgentReply:
        """Answer."""
        with self._lock:
            self.tasks.append(task)
            answer = self._by(task) if self._by else self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, AgentReply) else reply(answer, agent=task.agent)


def reply(
    answer: str | dict[str, Any], *, agent: str, cost_usd: float | None = 0.001, calls: int = 1
) -> AgentReply:
    """Return a reply as a model's runner gives it: a call with tokens, then the message."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    call = Event(
        kind="llm_call",
        agent=agent,
        tokens_in=100,
        tokens_out=10,
        cost_usd=cost_usd,
        data={"model": "scripted"},
    )
    message = Event(kind="message", role="assistant", agent=agent, content=text)
    return AgentReply(
        text=text, value=None if isinstance(answer, str) else answer, events=(*[call] * calls, message),
        model_calls=calls, tokens_in=100 * calls, tokens_out=10 * calls, cost_usd=cost_usd,
    )  # fmt: skip
