"""Group chats that are listened to: who speaks next, and why."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

from skillsmith.capture.classic_agents import adopt, named_like
from skillsmith.capture.classic_scopes import Chat, Speech, scope_of
from skillsmith.capture.classic_wire import Selection, Tap, Wire, live
from skillsmith.capture.harmless import harmless
from skillsmith.models import Json


@functools.cache
def group_class(cls: Any) -> type:
    """Return the class that listens for a class of group chats."""
    return named_like(_with_selectors(_with_choices(cls)), cls)


def _with_choices(cls: Any) -> Any:
    class Choices(cls):  # type: ignore[misc]
        def select_speaker(self, last_speaker: Any, selector: Any) -> Any:
            bare, found = super().select_speaker, live(self)
            choice = begin_choice(found[1], found[0], self, last_speaker) if found else None
            if choice is None:
                return bare(last_speaker, selector)
            try:
                speaker = bare(last_speaker, selector)
            except BaseException as error:
                choice.failed(error)
                raise
            choice.made(speaker)
            return speaker

        async def a_select_speaker(self, last_speaker: Any, selector: Any) -> Any:
            bare, found = super().a_select_speaker, live(self)
            choice = begin_choice(found[1], found[0], self, last_speaker) if found else None
            if choice is None:
                return await bare(last_speaker, selector)
            try:
                speaker = await bare(last_speaker, selector)
            except BaseException as error:
                choice.failed(error)
                raise
            choice.made(speaker)
            return speaker

    return Choices


def _with_selectors(cls: Any) -> Any:
    class Selectors(cls):  # type: ignore[misc]
        def _create_internal_agents(self, *args: Any, **kwargs: Any) -> Any:
            agents = super()._create_internal_agents(*args, **kwargs)
            if found := live(self):
                adopt_selectors(found[1], found[0], agents)
            return agents

        def manual_select_speaker(self, *args: Any, **kwargs: Any) -> Any:
            bare, started = super().manual_select_speaker, time.perf_counter()
            speaker = bare(*args, **kwargs)
            if found := live(self):
                record_manual(found[1], self, speaker, seconds=time.perf_counter() - started)
            return speaker

    return Selectors


class Choice:
    """One selection of the next speaker.

    Args:
        wire: The capture.
        tap: The group's.
        group: The group chat.
        last: Who spoke last.
    """

    __slots__ = ("chat", "failures", "group", "last", "selection", "started", "wire")

    def __init__(self, wire: Wire, tap: Tap, *, group: Any, last: Any) -> None:
        scope = scope_of(wire)
        self.wire = wire
        self.failures = wire.failures
        self.chat: Chat = wire.root if scope is None else scope.chat
        self.group = group
        self.last = last
        self.selection = tap.choosing = Selection()
        self.started = time.perf_counter()

    @harmless
    def made(self, speaker: Any) -> None:
        """Record who speaks next."""
        self._record(getattr(speaker, "name", None), self._reason())

    @harmless
    def failed(self, error: BaseException) -> None:
        """Record that nobody does."""
        if type(error).__name__ == "NoEligibleSpeakerError":
            handover, data = self._reason()
            because = handover if self.chat.handover else f"no eligible speaker: {error}"
            self._record(None, (because, data))
        else:
            self.wire.tape.error(self.chat.here(), agent=self.last.name, error=error, where="selection")

    def _record(self, target: str | None, why: tuple[str, Mapping[str, Json]]) -> None:
        reason, data = why
        self.chat.handover = None
        seconds = time.perf_counter() - self.started
        self.wire.tape.transition(
            self.chat.here(), source=self.last.name, target=target, reason=reason,
            data={**data, "duration_seconds": seconds},
        )  # fmt: skip

    def _reason(self) -> tuple[str, Mapping[str, Json]]:
        method = self.group.speaker_selection_method
        name = method if isinstance(method, str) else getattr(method, "__qualname__", type(method).__name__)
        data = {"method": name}
        messages = self.group.messages
        last = messages[-1] if messages else {}
        if self.chat.handover is not None:
            reason, more = self.chat.handover
            return reason, {**data, **more}
        if self.selection.said is not None:
            return self.selection.said, data
        if calls := last.get("tool_calls"):
            return f"tool calls: {', '.join(call['function']['name'] for call in calls)}", data
        if last.get("role") == "tool":
            return "the tools' results go back", data
        return _by_method(name, first=len(messages) == 1), data


def _by_method(method: str, *, first: bool) -> str:
    if method == "auto":
        return "the only eligible speaker"
    if method.startswith("create_group_transition"):
        return "the pattern's initial agent" if first else "after work of the group"
    return method


@harmless
def begin_choice(wire: Wire, tap: Tap, group: Any, last: Any) -> Choice:
    """Begin to watch a selection."""
    return Choice(wire, tap, group=group, last=last)


@harmless
def adopt_selectors(wire: Wire, tap: Tap, agents: Any) -> None:
    """Watch the agents that AG2 makes for one selection."""
    for agent in agents:
        adopt(wire, agent, selection=tap.choosing)


@harmless
def record_manual(wire: Wire, group: Any, speaker: Any, *, seconds: float) -> None:
    """Record that a person was asked who speaks next, and whom the answer meant."""
    scope = scope_of(wire)
    chat = wire.root if scope is None else scope.chat
    manager = scope.agent if isinstance(scope, Speech) else None
    wire.tape.human(
        chat.here(), agent=manager.name if manager else group.admin_name, prompt="Who speaks next?",
        reply=getattr(speaker, "name", ""), duration_seconds=seconds,
    )  # fmt: skip


def adopt_pattern(wire: Wire, pattern: Any) -> None:
    """Watch a pattern: the group that it prepares, with all agents it makes for it."""
    for agent in [*pattern.agents, pattern.user_agent]:
        if agent is not None:
            wire.adopt(agent)
    wire.shadow(pattern, "prepare_group_chat", _prepare)


def _prepare(
    wire: Wire, _pattern: Any, bare: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    prepared = bare(*args, **kwargs)
    for one in prepared:
        for obj in one if isinstance(one, list) else [one]:
            if not isinstance(obj, (str, dict)):
                wire.adopt(obj)
    return prepared
