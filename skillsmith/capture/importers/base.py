"""What all formats share: times, texts, tool uses, and the list of events a parser builds up.

Nothing here looks at what comes later in a log: the events of a log's beginning are the same whether or
not it has grown since, which is how the store recognises a grown log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from skillsmith.capture.importers.jsontext import json_text, parsed_or_none
from skillsmith.models import Event, Json, Outcome, ToolUse

_ERROR_CHARS = 1000
_UNCLOSED_TAGS = 20  # a text with more of them was not written by a program
_ERROR_START = re.compile(r"\s*(?:Error\b|error:|ERROR:|<tool_use_error>)")
_LATEST = 32_503_680_000.0  # the year 3000, in seconds; larger numbers are milliseconds


@dataclass(slots=True)
class Timeline:
    """The events of one run as a parser finds them.

    Args:
        events: So far, in order.
        step: The step that new events belong to.
        tools: Tool name by call id, for naming results.
    """

    events: list[Event] = field(default_factory=list)
    step: int = 1
    tools: dict[str, str] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Append an event."""
        self.events.append(event)

    def call(self, tool: ToolUse) -> ToolUse:
        """Remember a call's name for its result and return the call."""
        if tool.call_id:
            self.tools[tool.call_id] = tool.name
        return tool

    def tool_name(self, call_id: str | None, given: Json = None) -> str:
        """Return the name of the tool that a result is from."""
        return text_or_none(given) or self.tools.get(call_id or "") or "unknown"


def epoch(value: Json) -> float | None:
    """Return Unix seconds of an ISO 8601 text (UTC unless it says otherwise) or a number, else None."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return value / 1000 if value > _LATEST else float(value)
    return None


def text_or_none(value: Json) -> str | None:
    """Return ``value`` when it is a text with something in it."""
    return value if isinstance(value, str) and value else None


def count_or_none(value: Json) -> int | None:
    """Return ``value`` when it is a number that can count something."""
    number = integer_or_none(value)
    return number if number is not None and number >= 0 else None


def integer_or_none(value: Json) -> int | None:
    """Return ``value`` when it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number_or_none(value: Json) -> float | None:
    """Return ``value`` as a float when it is a number."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def mapping(value: Json) -> dict[str, Json]:
    """Return ``value`` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Json) -> list[Json]:
    """Return ``value`` when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str | None:
    """Return a text as it is and any other value as JSON text; None stays None."""
    return value if value is None or isinstance(value, str) else json_text(value)


def tool_call(name: Json, call_id: Json, arguments: Json) -> ToolUse:
    """Return a tool call; arguments may be JSON text, other text or a value."""
    text = as_text(arguments)
    parsed = parsed_or_none(text) if isinstance(arguments, str) else arguments
    return ToolUse(
        name=text_or_none(name) or "unknown", call_id=text_or_none(call_id), arguments=text, parsed=parsed
    )


def tool_result(name: str, call_id: Json, result: str | None, *, failed: bool = False) -> ToolUse:
    """Return a tool's result; a text that begins with "Error" is one even where the log does not say so."""
    error = None
    if failed or (result and (_ERROR_START.match(result) or _says_it_failed(result))):
        error = (result or "").strip()[:_ERROR_CHARS] or "the tool failed"
    return ToolUse(name=name, call_id=text_or_none(call_id), result=result, error=error)


def _says_it_failed(result: str) -> bool:
    """Tell whether a result is one of MCP's in JSON that calls itself an error."""
    if not result.startswith("{") or '"isError"' not in result:
        return False
    return mapping(parsed_or_none(result)).get("isError") is True


def without(record: Mapping[str, Json], keys: Iterable[str]) -> dict[str, Json]:
    """Return a copy without some keys and without those that are None."""
    left_out = set(keys)
    return {key: value for key, value in record.items() if key not in left_out and value is not None}


def without_tags(text: str, opening: re.Pattern[str]) -> str:
    """Return a text without the elements ``<tag>…</tag>`` that a program put into it.

    Args:
        text: As the model saw it.
        opening: Matches an opening tag; its group 1 is the tag's name.
    """
    kept: list[str] = []
    position = 0
    unclosed: set[str] = set()
    for match in opening.finditer(text):
        if match.start() < position or match[1] in unclosed:
            continue
        closing = f"</{match[1]}>"
        end = text.find(closing, match.end())
        if end < 0:
            unclosed.add(match[1])
            if len(unclosed) > _UNCLOSED_TAGS:
                break
            continue
        kept.append(text[position : match.start()])
        position = end + len(closing)
    return "".join([*kept, text[position:]])


_VERDICTS = ("success", "is_correct", "is_corrected", "is_solved", "resolved", "passed")


def outcome_of(record: Mapping[str, Json]) -> tuple[Outcome, str | None]:
    """Return the outcome that a record states about its run, and the fact that says so."""
    reward = number_or_none(record.get("reward", mapping(record.get("reward_info")).get("reward")))
    if reward is not None:
        return ("success" if reward == 1.0 else "failure"), f"reward {reward}"
    for key in _VERDICTS:
        if isinstance(verdict := record.get(key), bool):
            return ("success" if verdict else "failure"), f"{key} {str(verdict).lower()}"
    return "unknown", None
