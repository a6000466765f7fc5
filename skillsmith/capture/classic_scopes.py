"""Where in a Classic run something happens: the chat, and the turn that an agent has in it.

AG2 starts threads and pools that lose Python's contexts, so a scope is found in two ways: by the context
where there is one, else by the agent that acts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, TypeAlias

from skillsmith.models import Event

if TYPE_CHECKING:
    from skillsmith.capture.classic_wire import Tap, Wire
    from skillsmith.capture.turns import Turn, Work


class Chat:
    """One conversation: what ``initiate_chat`` runs, or what an agent does inside its turn.

    Args:
        wire: The capture it belongs to.
        outer: What it takes place in; None for a workflow of its own.
        initiator: Who began it.
    """

    __slots__ = ("ended_because", "handover", "initiator", "last", "muted", "outer", "wire", "within", "work")

    def __init__(self, wire: Wire, *, outer: Scope | None = None, initiator: Any = None) -> None:
        self.wire = wire
        self.outer = outer
        self.initiator = initiator
        self.within: Turn | None = None
        self.work: Work | None = None
        if outer is not None:
            self.within = outer.here()
            self.work = outer.chat.work
        self.last: Turn | None = None
        self.handover: tuple[str, Mapping[str, Any]] | None = None
        self.ended_because: str | None = None
        self.muted = False

    @property
    def chat(self) -> Chat:
        """Itself: scopes of both kinds name the chat that they are in."""
        return self

    def here(self) -> Turn | None:
        """Return the turn that what happens now belongs to."""
        return self.last or self.within

    def space(self) -> Chat:
        """Return the chat that turns which begin now belong to."""
        return self


class Speech:
    """An agent's turn, from being asked for a reply until the reply is on its way.

    It becomes a step only when something happens in it: an agent that is asked and has nothing to say, and a
    manager that only passes messages on, have none.

    Args:
        tap: Its agent's.
        agent: Whose turn.
        peer: Who asked, as the framework says it.
        outer: What it takes place in.

    ``passes_on``: this is a manager's turn in the chat of its own group; the speakers' turns are the steps.
    """

    __slots__ = (
        "agent", "answers", "chat", "ended", "human", "inner", "outer", "passes_on", "peer", "reasoning",
        "replied", "tap", "token", "turn", "wire",
    )  # fmt: skip

    def __init__(self, tap: Tap, wire: Wire, *, agent: Any, peer: Any, outer: Scope | None) -> None:
        self.tap = tap
        self.wire = wire
        self.agent = agent
        self.peer = peer
        self.outer = outer
        self.passes_on = tap.manages and not isinstance(outer, Speech)
        self.chat: Chat = wire.root if outer is None else outer if type(outer) is Chat else outer.space()
        self.inner: Chat | None = None
        self.turn: Turn | None = None
        self.token: Token[Scope | None] | None = None
        self.reasoning: list[str] = []
        self.answers = False
        self.human: str | None = None
        self.replied: Any = None
        self.ended = False

    def here(self) -> Turn | None:
        """Return the turn that what happens now belongs to."""
        return self.chat.here() if self.passes_on else self.begin()

    def space(self) -> Chat:
        """Return the chat that turns which begin now belong to."""
        if self.passes_on:
            return self.chat
        if self.inner is None:
            self.inner = Chat(self.wire, outer=self, initiator=self.agent)
        return self.inner

    def begin(self, *, executes: bool = False) -> Turn:
        """Return this turn as a part of the run; from now on it is one.

        Args:
            executes: What it does was asked for by the turn before: its tools, its code.
        """
        if self.turn is not None:
            return self.turn
        chat, tape = self.chat, self.wire.tape
        within = chat.within or (chat.last if executes else None)
        if within is not None and self.tap.selection is not None:
            self.turn = within
            return within
        self.turn = turn = tape.begin_turn(self.agent.name, within=within, work=chat.work)
        if within is None or chat.within is not None:
            chat.last = turn
        self.look()
        return turn

    def look(self) -> None:
        """Record the context variables when they have changed."""
        variables = getattr(self.agent, "context_variables", None)
        if variables is not None and (variables.data or self.wire.has_context):
            self.wire.has_context = True
            self.wire.tape.context(
                self.turn or self.chat.here(), agent=self.agent.name, values=variables.data
            )

    def end(self) -> None:
        """End the turn; what its agent thought and did not say is recorded now."""
        if self.ended:
            return
        self.ended = True
        turn = self.turn
        if turn is None:
            return
        if self.reasoning and (thought := self.take_reasoning()):
            record_reasoning(turn, self.agent.name, thought)
        if turn is not self.chat.within:
            self.wire.tape.end_turn(turn)

    def take_reasoning(self) -> str | None:
        """Return what was thought since the last message."""
        if not self.reasoning:
            return None
        thought = "\n\n".join(self.reasoning)
        self.reasoning.clear()
        return thought


Scope: TypeAlias = Chat | Speech

current_scope: ContextVar[Scope | None] = ContextVar("skillsmith_classic_scope", default=None)


def scope_of(wire: Wire) -> Scope | None:
    """Return the scope of this thread or task, when it belongs to this capture."""
    scope = current_scope.get()
    return scope if scope is not None and scope.wire is wire else None


@contextmanager
def inside(scope: Scope) -> Iterator[None]:
    """Let what happens in the body belong to a scope."""
    token = current_scope.set(scope)
    try:
        yield
    finally:
        with suppress(ValueError):  # the host went on in another context
            current_scope.reset(token)


def record_reasoning(turn: Turn, agent: str, thought: str) -> None:
    """Record what an agent thought where no message followed."""
    turn.work.record(Event(kind="reasoning", at=time.time(), step=turn.step, agent=agent, content=thought))
