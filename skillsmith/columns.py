"""What a column of the database can hold: texts, counts and JSON are brought to that, none is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

import orjson

from skillsmith.models import Json

_MAX_INTEGER = 2**63 - 1
_MAX_DEPTH = 100
_LONG_NUMBER = re.compile("[0-9]{19}")


def storable(text: str | None) -> str | None:
    """Return text that SQLite can hold: lone surrogates, which UTF-8 cannot encode, become U+FFFD."""
    if text is None or text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def countable(number: int | None) -> int | None:
    """Return a count that SQLite can hold; what a damaged log claims beyond that is not known."""
    return None if number is None or abs(number) > _MAX_INTEGER else number


def dump_json(value: Json) -> str:
    """Write JSON for a column; what JSON cannot hold becomes its text form.

    Integers beyond 64 bits are kept. The fast reader would make floats of them, so text that holds any begins
    with a space, which tells ``load_json`` to read it slowly.
    """
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # lone surrogates, huge integers, keys of other types, cycles, very deep nesting
        return " " + json.dumps(_plain(value, ()), ensure_ascii=False, separators=(",", ":"))


def load_json(text: str) -> Json:
    """Read JSON that ``dump_json`` wrote."""
    return json.loads(text) if text.startswith(" ") else orjson.loads(text)


def parse_json(text: str) -> Json:
    """Read JSON that someone else wrote, with integers of any size.

    Raises:
        ValueError: It is not JSON.
    """
    value = orjson.loads(text)
    return json.loads(text) if _LONG_NUMBER.search(text) else value


def _plain(value: Json, around: tuple[int, ...]) -> Json:
    """Return what the standard library can write: cycles and what is nested too deeply are cut."""
    if value is None or isinstance(value, (bool, int, str)):
        return storable(value) if isinstance(value, str) else value
    if id(value) in around or len(around) > _MAX_DEPTH:
        return "…"
    inner = (*around, id(value))
    if isinstance(value, Mapping):
        return {storable(str(key)): _plain(item, inner) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, inner) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return storable(str(value))
