"""Agents that stand in for a model: what each would answer is written down, when it is asked is not.

They answer in the form that the task's schema wants, as a model does, and know nothing else of the product.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from skillsmith.models import Event

if TYPE_CHECKING:
    from skillsmith.models import AgentRunner, Json
    from skillsmith.models.protocols import AgentReply, AgentTask

Answer = dict[str, "Json"] | str


class StandIn:
    """One agent for all that is asked in one task.

    Args:
        answer: What it says to a task.
        name: Under which name it answers; None: as whoever was asked.
    """

    def __init__(self, answer: Callable[[AgentTask], Answer], *, name: str | None = None) -> None:
        self._answer = answer
        self._name = name

    def run(self, task: AgentTask) -> AgentReply:
        """Answer at once."""
        from skillsmith.models.protocols import AgentReply  # noqa: PLC0415  (only where an agent is asked)

        answer = self._answer(task)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        said = Event(kind="message", role="assistant", agent=self._name or task.agent, content=text)
        value = None if isinstance(answer, str) else answer
        return AgentReply(
            text=text, value=value, events=(said,), model_calls=1, tokens_in=900, tokens_out=120
        )


def mends_code(code: str, reason: str, *, when: str) -> Callable[[], AgentRunner]:
    """Return a maker of an agent that gives new code for a step.

    Args:
        code: The whole new code.
        reason: What was wrong.
        when: What the error has to say; to any other it gives up.
    """
    return lambda: StandIn(_if(when, {"action": "code", "code": code, "reason": reason}))


def adds_code(code: str, reason: str, *, when: str) -> Callable[[], AgentRunner]:
    """Return a maker of an agent that has code run before a step."""
    return lambda: StandIn(_if(when, {"action": "add_before", "code": code, "reason": reason}))


def mends_call(arguments: dict[str, Json], reason: str, *, when: str) -> Callable[[], AgentRunner]:
    """Return a maker of an agent that gives new arguments for a call."""
    answer: Answer = {"action": "arguments", "arguments": arguments, "reason": reason}
    return lambda: StandIn(_if(when, answer))


def calls_instead(
    tool: str, arguments: dict[str, Json], reason: str, *, when: str
) -> Callable[[], AgentRunner]:
    """Return a maker of an agent that has another tool called."""
    answer: Answer = {"action": "tool", "tool": tool, "arguments": arguments, "reason": reason}
    return lambda: StandIn(_if(when, answer))


def says(text: str, *, name: str | None = None) -> Callable[[], AgentRunner]:
    """Return a maker of an agent that says one sentence to whatever it is asked."""
    return lambda: StandIn(lambda _: text, name=name)


def _if(when: str, answer: Answer) -> Callable[[AgentTask], Answer]:
    return lambda task: answer if when in task.prompt else {"action": "give_up", "reason": "it is unclear"}
