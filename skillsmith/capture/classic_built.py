"""Agents and group chats that are built to be recorded, rather than instrumented later.

With a logger they write through it, into its step; without one, into the capture that is open when they act.
"""

from __future__ import annotations

import weakref
from typing import Any

from autogen import ConversableAgent, GroupChat

from skillsmith.capture.classic_agents import adopt, agent_class
from skillsmith.capture.classic_groups import group_class
from skillsmith.capture.classic_wire import KEY, MARK, Tap, Wire, current_wire
from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.capture.steps import Sink
from skillsmith.capture.tape import Tape

_AgentBase: Any = agent_class(ConversableAgent)
_GroupBase: Any = group_class(GroupChat)


class InstrumentedConversableAgent(_AgentBase):  # type: ignore[misc]
    """A ConversableAgent whose turns, messages, tools, code and model calls are recorded.

    Args:
        name: As of ConversableAgent, like all other arguments; or an agent, which is then instrumented itself
            and returned, so that handoffs and groups that know it stay as they are.
        logger: Where to write; left out, into the capture that is open.
    """

    def __new__(cls, name: Any = None, *_args: Any, **kwargs: Any) -> Any:  # noqa: D102
        if not isinstance(name, ConversableAgent):
            return super().__new__(cls)
        _make_instrumented(name)
        _join(name, kwargs.get("logger"))
        return name

    def __init__(
        self, name: Any, *args: Any, logger: AgentExecutionLogger | None = None, **kwargs: Any
    ) -> None:
        if name is not self:
            super().__init__(name, *args, **kwargs)
            _join(self, logger)


def _make_instrumented(agent: Any) -> None:
    """Let an agent be an InstrumentedConversableAgent from now on, also when no capture watches it."""
    if type(agent) in (ConversableAgent, _AgentBase):
        agent.__class__ = InstrumentedConversableAgent
    elif not getattr(type(agent), MARK, False):
        kind: Any = type(agent)
        agent.__class__ = agent_class(kind)
    if not isinstance(agent, InstrumentedConversableAgent):
        InstrumentedConversableAgent.register(type(agent))
    tap: Tap | None = agent.__dict__.get(KEY)
    if tap is not None:
        tap.original = None


class InstrumentedGroupChat(_GroupBase):  # type: ignore[misc]
    """A GroupChat whose selections and speakers are recorded.

    Args:
        agents: As of GroupChat, like all other arguments; they are instrumented.
        logger: Where to write; left out, into the capture that is open.
    """

    def __init__(
        self, agents: Any, *args: Any, logger: AgentExecutionLogger | None = None, **kwargs: Any
    ) -> None:
        super().__init__(agents, *args, **kwargs)
        _join(self, logger)


def _join(obj: Any, logger: AgentExecutionLogger | None) -> None:
    wire = current_wire() if logger is None else _wire_of(logger)
    if wire is not None:
        adopt(wire, obj)


_wires: weakref.WeakKeyDictionary[AgentExecutionLogger, Wire] = weakref.WeakKeyDictionary()


def _wire_of(logger: AgentExecutionLogger) -> Wire:
    """Return what writes through a logger; it lets go when the logger is gone."""
    wire = _wires.get(logger)
    if wire is None:
        wire = _wires[logger] = Wire(_tape_of(logger), adopt)
        weakref.finalize(logger, wire.close).atexit = False
    return wire


def _tape_of(logger: AgentExecutionLogger) -> Tape:
    known = weakref.ref(logger)

    def look(agent: str | None, _step: int) -> None:
        alive = known()
        if alive is not None and alive.tracker is not None:
            alive.tracker.scan(agent=agent)

    from skillsmith.capture.prices import price_table  # noqa: PLC0415  (reads a file)

    sink = logger.sink
    return Tape(
        sink.log, steps=_LoggerSteps(sink), prices=price_table(None), failures=logger.failures, files=look
    )


class _LoggerSteps:
    """The step of a logger, which its host moves on.

    Args:
        sink: The logger's.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def begin(self, agent: str) -> int:  # noqa: ARG002  (of the protocol)
        """Return the logger's step: the host names it."""
        return self._sink.step

    def end(self, step: int) -> None:
        """Leave it to the host."""

    def current(self) -> int:
        """Return the logger's step."""
        return self._sink.step
