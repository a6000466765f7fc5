"""The tool calls of a run, each joined with its result, and the words people said before them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skillsmith.library.program.bindings import as_text, normalise_result
from skillsmith.library.program.effects import effect_of_call
from skillsmith.models import Effect, Event, Json

_FAILED = re.compile(
    r"\s*(?:[A-Za-z_.]*(?:error|exception)\s*[:(\n]|error\s+[-\w]|error\.?\s*$|traceback \(most recent"
    r"|(?:failed|failure)\s*:|failed to )",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call with what came back.

    Args:
        seq: Of the call's event.
        result_seq: Of the result's event; None when nothing came back.
        arguments: Parsed arguments; None when they were no JSON object.
        result: Normalised result.
        error: What went wrong, else None.
        routes: Whether all it did was to say who goes on, as the capture saw from its result.
    """

    seq: int
    name: str
    arguments: dict[str, Json] | None
    effect: Effect
    result_seq: int | None = None
    result: Json = None
    error: str | None = None
    agent: str | None = None
    routes: bool = False

    @property
    def label(self) -> str:
        """How reasons name it."""
        return f"call {self.seq} {self.name}"

    def known_before(self, seq: int) -> bool:
        """Whether its result had come back before an event."""
        return self.result_seq is not None and self.result_seq < seq and self.error is None


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said: ``where`` is "task" or "user"; the task was said before everything."""

    seq: int
    where: str
    text: str


def calls_of(events: Iterable[Event]) -> list[Call]:
    """Return the run's tool calls in order, each joined with its result by call id, else by name."""
    events = [event for event in events if event.kind in ("tool_call", "tool_result") and event.tool]
    results = _Results([event for event in events if event.kind == "tool_result"])
    return [_call(event, results.take(event)) for event in events if event.kind == "tool_call"]


class _Results:
    def __init__(self, events: Sequence[Event]) -> None:
        self._waiting = list(events)

    def take(self, call: Event) -> Event | None:
        assert call.tool is not None
        for event in self._waiting:
            if event.seq < call.seq or event.tool is None:
                continue
            ids = (call.tool.call_id, event.tool.call_id)
            joined = ids[0] == ids[1] if all(ids) else event.tool.name in (call.tool.name, "")
            if joined:
                self._waiting.remove(event)
                return event
        return None


def _call(event: Event, result: Event | None) -> Call:
    assert event.tool is not None
    arguments = event.tool.parsed
    if not event.tool.arguments and arguments is None:
        arguments = {}
    text = result.tool.result if result and result.tool else None
    return Call(
        seq=event.seq,
        name=event.tool.name,
        arguments=arguments if isinstance(arguments, dict) else None,
        effect=effect_of_call(event.tool.name, arguments),
        result_seq=result.seq if result else None,
        result=normalise_result(text),
        error=_error(result, text),
        agent=event.agent,
        routes=bool(result and result.data and result.data.get("routing")),
    )


def _error(result: Event | None, text: str | None) -> str | None:
    if result is None:
        return "no result came back"
    if result.tool and result.tool.error:
        return result.tool.error
    return failure_in(normalise_result(text))


def printed_in(events: Iterable[Event]) -> list[Call]:
    """Return what code blocks printed, as results that later arguments may have come from."""
    return [
        Call(
            seq=event.seq, name="code", arguments={}, effect="write", result_seq=event.seq,
            result=normalise_result(event.code.output),
        )
        for event in events
        if event.kind == "code_result" and event.code and event.code.output
    ]  # fmt: skip


def says_failed(text: str) -> bool:
    """Tell whether a tool's text result reports a failure, as tools that never raise do."""
    return _FAILED.match(text) is not None


def failure_in(result: Json) -> str | None:
    """Return the error that a tool reported as its result, or None.

    Many tools say "Error: payment method not found" instead of raising; going on after that would build on
    a change that never happened.
    """
    if isinstance(result, str) and says_failed(result):
        return result.strip()
    if isinstance(result, dict) and set(result) == {"error"} and result["error"]:
        return as_text(result["error"])
    return None


def said_in(task: str, events: Iterable[Event]) -> list[Said]:
    """Return what people said, in order: the task first, then each user message."""
    words = [Said(0, "task", task)] if task else []
    words += [
        Said(event.seq, "user", event.content)
        for event in events
        if event.kind == "message" and event.role == "user" and event.content
    ]
    return words
