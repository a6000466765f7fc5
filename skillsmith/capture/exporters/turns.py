"""A run's events gathered into what spans are about: turns of agents, model calls, tools, executed code.

Every event ends up in exactly one place: a message in the model call it belongs to or leads to, a result
with its call, and what has no span of its own in ``loose``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from skillsmith.models import Event

_SPOKEN = frozenset({"reasoning", "llm_call", "message", "tool_call"})


@dataclass(slots=True, kw_only=True, eq=False)
class Chat:
    """One answer of an agent, with what led to it.

    Args:
        inputs: Messages and results since the answer before.
        heard: What another agent said just before.
        events: Reasoning, model call, message and tool calls, in order.
    """

    inputs: list[Event] = field(default_factory=list)
    heard: Event | None = None
    events: list[Event] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Event]:
        """Return those of its events that are of one kind."""
        return [event for event in self.events if event.kind == kind]

    def takes(self, event: Event) -> bool:
        """Tell whether an event belongs to the same answer."""
        first = self.events[0]
        if (event.agent, event.step) != (first.agent, first.step):
            return False
        if event.kind == "reasoning":
            return not (self.of_kind("message") or self.of_kind("tool_call"))
        return event.kind == "tool_call" or not self.of_kind(event.kind)


@dataclass(slots=True, kw_only=True, eq=False)
class Use:
    """A tool call or a block of code, with what it gave.

    Args:
        chat: The answer that the call stands in.
    """

    begin: Event
    end: Event | None = None
    chat: Chat | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Turn:
    """What one agent did until another one did something."""

    agent: str | None
    step: int
    parts: list[Chat | Use] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Story:
    """A whole run, gathered.

    Args:
        turns: In order of their beginnings.
        loose: Events without a span of their own, in order.
    """

    turns: list[Turn] = field(default_factory=list)
    loose: list[Event] = field(default_factory=list)


def gather(events: Iterable[Event]) -> Story:
    """Return a run's events as turns."""
    gathering = _Gathering()
    for event in events:
        gathering.add(event)
    return gathering.finish()


class _Gathering:
    """The story so far."""

    def __init__(self) -> None:
        self._story = Story()
        self._chat: Chat | None = None
        self._inputs: list[Event] = []
        self._said: Event | None = None
        self._calls: dict[str, tuple[Turn, Use]] = {}
        self._codes: dict[str | None, Use] = {}

    def add(self, event: Event) -> None:
        """Add the next event."""
        if event.kind in _SPOKEN and event.role in (None, "assistant"):
            self._spoken(event)
            return
        self._chat = None
        if event.kind == "message":
            self._inputs.append(event)
        elif event.kind == "tool_result":
            self._result(event)
        elif event.kind == "code" and event.code:
            use = Use(begin=event)
            self._turn(event).parts.append(use)
            self._codes[event.code.call_id] = use
        elif event.kind == "code_result" and event.code and event.code.call_id in self._codes:
            self._codes.pop(event.code.call_id).end = event
        else:
            self._story.loose.append(event)

    def _spoken(self, event: Event) -> None:
        if self._chat is None or not self._chat.takes(event):
            heard = self._said if self._said and self._said.agent != event.agent else None
            self._chat = Chat(inputs=self._inputs, heard=heard)
            self._inputs = []
            self._turn(event).parts.append(self._chat)
        self._chat.events.append(event)
        if event.kind == "message":
            self._said = event
        if event.kind == "tool_call" and event.tool and event.tool.call_id:
            self._calls[event.tool.call_id] = (self._story.turns[-1], Use(begin=event, chat=self._chat))

    def _result(self, event: Event) -> None:
        """Put a result with its call; one that answers no call stands alone."""
        found = self._calls.pop(event.tool.call_id or "", None) if event.tool else None
        if found is None:
            self._story.loose.append(event)
            return
        turn, use = found
        use.end = event
        turn.parts.append(use)
        self._inputs.append(event)

    def _turn(self, event: Event) -> Turn:
        turns = self._story.turns
        if not turns or (turns[-1].agent, turns[-1].step) != (event.agent, event.step):
            turns.append(Turn(agent=event.agent, step=event.step))
        return turns[-1]

    def finish(self) -> Story:
        """Return the story; messages that nobody answered stand alone."""
        self._story.loose += [event for event in self._inputs if event.kind == "message"]
        self._story.loose.sort(key=lambda event: event.seq)
        return self._story


def identified(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events with an id for every tool call that has none, shared with the result that follows."""
    waiting: list[tuple[str, str]] = []
    for event in events:
        tool = event.tool
        if tool is None or tool.call_id:
            yield event
        elif event.kind == "tool_call":
            waiting.append((tool.name, f"call-{event.seq}"))
            yield replace(event, tool=replace(tool, call_id=waiting[-1][1]))
        elif (found := next((pair for pair in waiting if pair[0] == tool.name), None)) is not None:
            waiting.remove(found)
            yield replace(event, tool=replace(tool, call_id=found[1]))
        else:
            yield event
