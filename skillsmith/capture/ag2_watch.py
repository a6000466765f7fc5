"""Which event of a stream says what; of a turn that has our middleware, only what that cannot see."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from ag2 import events

from skillsmith.capture.ag2_scribe import Scribe
from skillsmith.capture.ag2_values import spent_of
from skillsmith.capture.harmless import Failures
from skillsmith.capture.shapes import error_of, safe_text
from skillsmith.models import Json

_NOTE_CHARS: Final = 20_000
_COUNTED: Final = ("model_call", "subtask")


class Watch:
    """Sees the events of one turn's stream.

    Args:
        scribe: Writes the turn.
        context: The turn's context, where no middleware tells of its model calls and tools.
    """

    __slots__ = ("_calls", "_context", "_since", "children", "known", "scribe")

    def __init__(self, scribe: Scribe, *, context: Any = None) -> None:
        self.scribe = scribe
        self.children: list[Watch] = []
        self._context = context
        self.known = _TOLD_BY_MIDDLEWARE if context is None else _TOLD_ELSEWHERE
        self._calls: dict[str, tuple[Any, float]] = {}
        self._since = time.perf_counter()

    @property
    def failures(self) -> Failures:
        """Where what fails is counted."""
        return self.scribe.failures

    def see(self, event: Any) -> None:
        """Write an event; nothing that goes wrong here reaches the host."""
        if not self.scribe.tape.on:
            return
        try:
            kind = type(event)
            seen = _SEEN.get(kind)
            if seen is None:
                seen = _SEEN[kind] = _seen_as(kind)
            seen(self, event)
        except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.failures.note("stream", error)

    def end_children(self, *, name: str | None = None, error: BaseException | None = None) -> None:
        """End the turns of subtasks that are over.

        Args:
            name: Only the oldest one of this agent; None: all.
            error: What ended it.
        """
        for child in tuple(self.children):
            turn = child.scribe.turn
            if name is None or turn.agent == name:
                self.children.remove(child)
                child.end_children(error=error)
                child.scribe.tape.end_turn(turn, error=error)
                if name is not None:
                    return

    def reasoning(self, event: Any) -> None:
        """Keep a piece of what the model thinks, for the message that it leads to."""
        self.scribe.heard.append(event.content)

    def request(self, event: Any) -> None:
        """Write what the agent is asked."""
        self._since = time.perf_counter()
        self.scribe.request(event)

    def response(self, event: Any) -> None:
        """Write a response, unless the middleware has."""
        if self._context is None or event.response_force:
            if event is not self.scribe.said:
                self.scribe.reply(event)
        else:
            seconds = time.perf_counter() - self._since
            self.scribe.response(event, seconds=seconds, prompt=self._context.prompt, messages=None)

    def results(self, _event: Any) -> None:
        """Note that the next model call begins."""
        self._since = time.perf_counter()

    def call(self, event: Any) -> None:
        """Note that a tool begins, where no middleware does."""
        if self._context is not None:
            self._calls[event.id] = event, self.scribe.tool_begins()

    def builtin_call(self, event: Any) -> None:
        """Note that a tool of the provider begins: no middleware sees it."""
        self._calls[event.id] = event, time.perf_counter()

    def result(self, event: Any) -> None:
        """Write what a tool did, where no middleware does."""
        if self._calls and event.parent_id in self._calls:
            call, started = self._calls.pop(event.parent_id)
            self.scribe.tool_ends(call, event, started=started)

    def not_found(self, event: Any) -> None:
        """Write that there is no such tool: no middleware sees it."""
        call, started = self._calls.pop(event.parent_id, (_Answered(event), None))
        self.scribe.tool_ends(call, event, started=started)

    def usage(self, event: Any) -> None:
        """Write what maintenance spends; model calls tell of themselves, a subtask's sum repeats them."""
        if vars(event).get("kind") in _COUNTED:  # AG2 answers each of its own look-ups with a call
            return
        scribe, spent = self.scribe, spent_of(event.usage, event.provider)
        scribe.tape.llm_call(
            scribe.turn, agent=scribe.turn.agent, model=event.model, tokens_in=spent.prompt,
            tokens_out=spent.completion, tokens_cached=spent.cached, duration_seconds=None,
            provider=event.provider, finish_reason=event.finish_reason, data={"purpose": event.kind},
        )  # fmt: skip

    def question(self, event: Any) -> None:
        """Write a question to a person."""
        self.scribe.question(event)

    def answer(self, event: Any) -> None:
        """Write the answer."""
        self.scribe.answer(event)

    def task_started(self, event: Any) -> None:
        """Write that a task begins."""
        self._note(event, content=event.objective, data={"task": event.task_id, "agent": event.agent_name})

    def task_ended(self, event: Any) -> None:
        """Write that a task ends, and end the subtask's turn."""
        error = getattr(event, "error", None)
        self.end_children(name=event.agent_name, error=error)
        data: dict[str, Json] = {"task": event.task_id, "agent": event.agent_name}
        if error is not None:
            data["error"] = error_of(error)
        self._note(event, content=getattr(event, "reason", None), data=data)

    def other(self, event: Any) -> None:
        """Keep what nobody here knows in its text form."""
        self._note(event, content=safe_text(event, form=repr)[:_NOTE_CHARS], data=None)

    def nothing(self, _event: Any) -> None:
        """Leave out what another event repeats."""

    def _note(self, event: Any, *, content: Any, data: dict[str, Json] | None) -> None:
        turn = self.scribe.turn
        self.scribe.tape.note(turn, name=type(event).__name__, agent=turn.agent, data=data, content=content)


class _Answered:
    """The call that a result event answers, as far as the event tells."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self, event: Any) -> None:
        self.id, self.name, self.arguments = event.parent_id, event.name or "unknown", None


_See = Callable[[Watch, Any], None]


def _known(**seen: _See) -> dict[type, _See]:
    """Return those whose event this version of AG2 has."""
    found = ((getattr(events, name, None), method) for name, method in seen.items())
    return {kind: method for kind, method in found if kind is not None}


_SEEN: dict[type, _See] = _known(
    ModelReasoning=Watch.reasoning, ModelRequest=Watch.request, ModelResponse=Watch.response,
    ModelMessage=Watch.nothing, ModelMessageChunk=Watch.nothing, ToolCallsEvent=Watch.nothing,
    ToolCallEvent=Watch.call, ToolResultEvent=Watch.result, ToolResultsEvent=Watch.results,
    ToolNotFoundEvent=Watch.not_found, BuiltinToolCallEvent=Watch.builtin_call, UsageEvent=Watch.usage,
    HumanInputRequest=Watch.question, HumanMessage=Watch.answer, TaskStarted=Watch.task_started,
    TaskCompleted=Watch.task_ended, TaskFailed=Watch.task_ended, TaskExpired=Watch.task_ended,
    TaskCancelled=Watch.task_ended, TaskProgress=Watch.nothing, ObserverStarted=Watch.nothing,
    ObserverCompleted=Watch.nothing,
)  # fmt: skip


_TOLD_ELSEWHERE: Final = frozenset(kind for kind, seen in _SEEN.items() if seen is Watch.nothing)
"""Events of exactly these kinds need not be seen at all."""

_TOLD_BY_MIDDLEWARE: Final = _TOLD_ELSEWHERE | _known(
    ToolCallEvent=Watch.call, ToolResultsEvent=Watch.results
).keys()  # fmt: skip


def _seen_as(kind: type) -> _See:
    """Return what sees a kind of event: that of its nearest base; unknown transient ones are left out."""
    for base in kind.__mro__:
        if base in _SEEN:
            return _SEEN[base]
    return Watch.nothing if getattr(kind, "__transient__", False) else Watch.other
