"""Tools and agents that answer from an execution's record, so that a trial changes nothing outside.

A call that the execution made is answered as it was then, and takes as long as it took. A call that it never
made has no answer: a read may be made for real where the user gave tools, a change never is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from skillsmith.errors import ExecutionError
from skillsmith.library.agents.answers import read_answer
from skillsmith.library.execution.mending import MENDER
from skillsmith.library.program.bindings import normalise_result
from skillsmith.library.program.effects import effect_of_call
from skillsmith.library.proposing.facts import Call, Fact
from skillsmith.library.trace.results import as_exact
from skillsmith.models import AgentRunner, Event, Json, ToolSource
from skillsmith.models.protocols import AgentError, AgentReply, AgentTask

LIKE = 0.8
"""How alike a mender's question must be to a recorded one: paths of scratch folders in it differ."""


class RecordedTools:
    """A ToolSource that answers from one execution's record.

    Args:
        fact: The execution.
        names: Tools that the skill's nodes call.
        writes: Those of them that may change something.
        real: Where reads are made for real; None: they, too, are answered from the record.
        pace: Share of the recorded time that an answer takes.
    """

    def __init__(
        self,
        fact: Fact,
        *,
        names: Iterable[str],
        writes: Iterable[str],
        real: ToolSource | None,
        pace: float = 1.0,
    ) -> None:
        self._answers: dict[tuple[str, bytes], list[Call]] = {}
        for call in fact.calls:
            self._answers.setdefault(_key(call.tool, call.arguments), []).append(call)
        self._names = frozenset(names) | {call.tool for call in fact.calls}
        self._writes = frozenset(writes)
        self._real = real
        self._pace = pace
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self.changes: list[tuple[str, Json]] = []
        self.replayed = 0
        self.unknown: list[str] = []

    def names(self) -> Iterable[str]:
        """Return the names of all tools that can be answered."""
        return tuple(sorted(self._names | set(self._real.names() if self._real else ())))

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Answer a call.

        Raises:
            ExecutionError: The record says that it failed, or has no such call and it may not be made.
        """
        writes = name in self._writes or effect_of_call(name, dict(arguments)) == "write"
        with self._lock:
            answer = None if self._real and not writes else self._take(name, arguments)
            if writes and (answer is None or answer.error is None):  # what failed then changed nothing
                self.changes.append((name, dict(sorted(arguments.items()))))
        if answer is not None:
            return self._give(answer)
        if writes or self._real is None:
            text = f"{name} was never called like this in the recorded execution"
            self.unknown.append(text)
            raise ExecutionError(f"{text}, so nothing can answer it")
        return self._real.call(name, arguments)

    def _take(self, name: str, arguments: Mapping[str, Json]) -> Call | None:
        known = self._answers.get(_key(name, arguments))
        if not known:
            return None
        self.replayed += 1
        return known[0] if len(known) == 1 else known.pop(0)

    def _give(self, call: Call) -> Json:
        with self._turn:  # whether tools may be called side by side is not in the record
            self._wake.wait(call.seconds * self._pace)
        if call.result is None:
            raise ExecutionError(call.error or f"{call.tool} gave nothing")
        return normalise_result(call.result)


def _key(tool: str, arguments: Mapping[str, Json]) -> tuple[str, bytes]:
    return tool, as_exact(dict(sorted(arguments.items())))


class RecordedAgents:
    """An AgentRunner that answers from one execution's record, and asks a model only what it does not hold.

    Args:
        fact: The execution.
        real: The model; None: what the record does not hold is an error.
        pace: Share of the recorded time that an answer takes.
    """

    def __init__(self, fact: Fact, *, real: AgentRunner | None, pace: float = 1.0) -> None:
        self._asked = list(fact.asked)
        self._real = real
        self._pace = pace
        self._lock = threading.Lock()
        self.asked_for_real = 0
        self.unknown: list[str] = []

    def run(self, task: AgentTask) -> AgentReply:
        """Answer.

        Raises:
            AgentError: The record does not hold the question, and no model is configured.
        """
        with self._lock:
            events = self._take(task)
        if events is not None:
            reply = _reply(events, task)
            (task.cancelled or threading.Event()).wait(reply.duration_seconds * self._pace)
            return reply
        if self._real is None:
            self.unknown.append(task.agent)
            raise AgentError(
                f"the recorded execution never asked {task.agent} this, and no model is configured"
            )
        self.asked_for_real += 1
        return self._real.run(task)

    def _take(self, task: AgentTask) -> Sequence[Event] | None:
        for place, (question, events) in enumerate(self._asked):
            if question.recipient == task.agent and _same(task, question.content or ""):
                del self._asked[place]
                return events
        return None


def _same(task: AgentTask, question: str) -> bool:
    if task.prompt == question:
        return True
    if task.agent != MENDER:
        return False
    return SequenceMatcher(None, task.prompt, question, autojunk=False).quick_ratio() >= LIKE


def _reply(events: Sequence[Event], task: AgentTask) -> AgentReply:
    said = [event.content or "" for event in events if event.kind == "message" and event.role == "assistant"]
    calls = [event for event in events if event.kind == "llm_call"]
    costs = [event.cost_usd for event in calls]
    text = said[-1] if said else ""
    return AgentReply(
        text=text, value=None if task.output_schema is None else read_answer(text, task.output_schema)[0],
        events=tuple(_plain(event) for event in events), model_calls=len(calls),
        tokens_in=sum(event.tokens_in or 0 for event in calls),
        tokens_out=sum(event.tokens_out or 0 for event in calls),
        cost_usd=None if any(one is None for one in costs) else sum(one or 0.0 for one in costs),
        duration_seconds=sum(event.duration_seconds or 0.0 for event in calls),
    )  # fmt: skip


def _plain(event: Event) -> Event:
    return Event(
        kind=event.kind, role=event.role, agent=event.agent, content=event.content, data=event.data,
        tokens_in=event.tokens_in, tokens_out=event.tokens_out, cost_usd=event.cost_usd,
        duration_seconds=event.duration_seconds,
    )  # fmt: skip
