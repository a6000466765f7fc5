"""Values as results hold them: JSON in text, text out of values, one step of a path, what counts as the same.

Extraction, proof and execution all read through these, so what was traced is what is read.
"""

from __future__ import annotations

import re

from skillsmith.errors import ExecutionError
from skillsmith.events import dump_json, parse_json
from skillsmith.library.program.structures import opened
from skillsmith.models import Between, Json, Where

_CURRENCY = r"(?:[$€£¥₹]|AUD|BRL|CAD|CHF|CNY|DKK|EUR|GBP|INR|JPY|MXN|NOK|PLN|SEK|USD)"
_AMOUNT = re.compile(
    rf"(?P<sign>-)?(?:{_CURRENCY}\s?)?(?:"
    r"(?P<english>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    r"|(?P<other>\d{1,3}(?:[. \u00a0\u202f'\u2019]\d{3})+,\d+|\d+,\d{2}(?=\s?(?:€|EUR))))"
    rf"(?:\s?{_CURRENCY})?"
)


class UnresolvedError(ExecutionError):
    """A binding finds nothing where it points."""


def normalise_result(value: Json) -> Json:
    """Return a tool's result as JSON where it is JSON: text that parses is read, other text stays text."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError:
        return value


def as_text(value: Json) -> str:
    """Write a value into text: strings as they are, everything else as compact JSON."""
    return value if isinstance(value, str) else dump_json(value).lstrip()


def cast_to(value: Json, cast: str | None) -> Json:
    """Return a value as the JSON type that a place wants.

    Raises:
        UnresolvedError: It is no such value.
    """
    try:
        if cast == "string":
            return as_text(value)
        if cast == "integer":
            return value if isinstance(value, int) else _integral(float(_plain(value)))
        if cast == "number":
            return float(_plain(value))
    except (TypeError, ValueError) as error:
        raise UnresolvedError(f"{value!r} is no {cast}") from error
    return value


def plain_number(text: str) -> str | None:
    """Return an amount as programs write it, when it is written as people do: ``$1,377.00``, ``1.377,00 €``.

    A single mark that may set off thousands as well as decimals (``1,377``) sets off thousands, as in the
    JSON that tools print; "1,5" is no such amount.
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        return None
    whole, point = found["english"] or found["other"], "." if found["english"] else ","
    head, _, tail = whole.partition(point)
    return (found["sign"] or "") + re.sub(r"[^\d]", "", head) + (f".{tail}" if tail else "")


def _plain(value: Json) -> Json:
    return (plain_number(value) or value) if isinstance(value, str) else value


def _integral(value: float) -> int:
    if not value.is_integer():
        raise ValueError(value)
    return int(value)


NOTHING = object()
"""What a step that leads nowhere gives; no JSON value equals it."""


def take(value: Json, step: str | int | Between) -> Json:
    """Return what one plain path step leads to, or a sentinel that no JSON value equals."""
    if isinstance(step, Between):
        return _between(value, step)
    value = opened(value)
    if isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
        return value[step]
    if isinstance(step, str) and isinstance(value, dict) and step in value:
        return value[step]
    return NOTHING


def _between(value: Json, step: Between) -> Json:
    text = as_text(value)
    start = 0
    for _ in range(step.occurrence + 1):
        found = text.find(step.before, start)
        if found < 0:
            return NOTHING
        start = found + len(step.before)
    if not step.after:
        return text[start:]
    end = text.find(step.after, start)
    return NOTHING if end < 0 else text[start:end]


def pick(value: Json, step: Where, wanted: Json) -> Json:
    """Return the record that a selector picks, or a sentinel that no JSON value equals."""
    value = opened(value)
    items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    for item in items:
        if isinstance(item, dict) and step.field in item and same(item[step.field], wanted):
            return item
    return NOTHING


def same(one: Json, other: Json) -> bool:
    """Tell whether two scalars mean the same: equal, or equal as text but for case (``7`` and ``"7"``)."""
    return one == other or as_text(one).casefold() == as_text(other).casefold()
