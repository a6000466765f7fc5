"""The tool calls of a run, each joined with its result, and the words people said before them."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from skillsmith.library.program.bindings import as_text, normalise_result
from skillsmith.library.program.effects import effect_of_call
from skillsmith.models import Effect, Event, Json

_FAILED = re.compile(
    r"\s*(?:[A-Za-z_.]*(?:error|exception)\s*[:(\n]|error\s+[-\w]|error\.?\s*$|traceback \(most recent"
    r"|(?:failed|failure)\s*:|failed to )",
    re.IGNORECASE,
)

MAX_DEPTH = 100
"""Of arguments: deeper ones are not taken apart."""

_ERROR_KEYS = frozenset({"code", "detail", "details", "error", "error_code", "hint", "message", "status",
                         "status_code", "success", "ok", "type"})  # fmt: skip
_NO_NAMES = ("", "unknown")  # of results in logs that do not name them
_BLOCK_KEYS = frozenset({"_meta", "content", "isError", "is_error", "structuredContent"})
_VERDICTS = {"success": False, "ok": False, "isError": True, "is_error": True}


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
    """Results that no call has taken yet: by call id, and by name where one side has no id."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._by_id: dict[str, deque[Event]] = defaultdict(deque)
        self._without_id: dict[str, deque[Event]] = defaultdict(deque)
        self._by_name: dict[str, deque[Event]] = defaultdict(deque)
        self._taken: set[int] = set()  # by identity: events of a run that is not stored have no number yet
        for event in events:
            assert event.tool is not None
            own = self._by_id[event.tool.call_id] if event.tool.call_id else self._without_id[event.tool.name]
            own.append(event)
            self._by_name[event.tool.name].append(event)

    def take(self, call: Event) -> Event | None:
        """Return the first result after a call that is its own; calls must come in order."""
        assert call.tool is not None
        names = (call.tool.name, *_NO_NAMES)
        waiting = [self._by_name[name] for name in names]
        if call.tool.call_id:
            waiting = [self._by_id[call.tool.call_id], *(self._without_id[name] for name in names)]
        found = [event for event in (self._first(line, call) for line in waiting) if event is not None]
        first = min(found, key=lambda event: event.seq, default=None)
        if first is not None:
            self._taken.add(id(first))
        return first

    def _first(self, waiting: deque[Event], call: Event) -> Event | None:
        while waiting and (id(waiting[0]) in self._taken or waiting[0].seq < call.seq):
            waiting.popleft()
        return waiting[0] if waiting else None


def _call(event: Event, result: Event | None) -> Call:
    assert event.tool is not None
    arguments = event.tool.parsed
    if not event.tool.arguments and arguments is None:
        arguments = {}
    text = result.tool.result if result and result.tool else None
    return Call(
        seq=event.seq,
        name=event.tool.name,
        arguments=arguments if isinstance(arguments, dict) and not _is_too_deep(arguments) else None,
        effect=effect_of_call(event.tool.name, arguments),
        result_seq=result.seq if result else None,
        result=normalise_result(text),
        error=_error(result, text),
        agent=event.agent,
        routes=bool(result and result.data and result.data.get("routing")),
    )


def _is_too_deep(arguments: Json) -> bool:
    """Tell whether arguments are nested deeper than a skill can hold."""
    level: list[Json] = [arguments]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            for item in (value.values() if isinstance(value, dict) else value)
            if isinstance(item, (dict, list)) and item
        ]
        if not level:
            return False
    return True


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
    if isinstance(result, str):
        return result.strip() if says_failed(result) else None
    if not isinstance(result, dict):
        return None
    if set(result) <= _ERROR_KEYS and result.get("error"):
        return as_text(result["error"])
    said = _block_text(result)
    if any(result.get(key) is flag for key, flag in _VERDICTS.items()):
        told = (result.get(key) for key in ("error", "message", "reason", "detail"))
        return next((as_text(one) for one in told if one), None) or said or "the tool says that it failed"
    return failure_in(normalise_result(said)) if said else None


def _block_text(result: dict[str, Json]) -> str | None:
    """Return the text of a result that is nothing but blocks of it, as MCP servers answer."""
    blocks = result.get("content")
    if not isinstance(blocks, list) or not set(result) <= _BLOCK_KEYS:
        return None
    texts = [block.get("text") for block in blocks if isinstance(block, dict)]
    return "\n".join(text for text in texts if isinstance(text, str)) or None


def said_in(task: str, events: Iterable[Event]) -> list[Said]:
    """Return what people said, in order: the task first, then each user message."""
    words = [Said(0, "task", normalize("NFC", task))] if task else []
    words += [
        Said(event.seq, "user", normalize("NFC", event.content))
        for event in events
        if event.kind == "message" and event.role == "user" and event.content
    ]
    return words
