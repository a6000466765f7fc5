"""JSON as logs really hold it, read without surprises: a value or one ValueError that says what is wrong.

Whatever comes out can be written again: no lone surrogates, no infinities, no integers beyond 64 bits, no
nesting deeper than the writer can follow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice, pairwise

import orjson

from skillsmith.models import Json

_WRITABLE_DEPTH = 250
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]|"', re.DOTALL)
_CLOSERS = {"{": "}", "[": "]"}
_VALUE_START = re.compile(r"^[\[{]", re.MULTILINE)
_HEAD_LINES = 200
_SAFE_DIGITS = 18
_FINITE_DIGITS = 300
_TOO_DEEP = "nested too deeply"
_NOT_UTF8 = "not UTF-8; convert it first (such as: iconv -f WINDOWS-1252 -t UTF-8)"


class JsonError(ValueError):
    """Text is not JSON that can be used.

    Args:
        reason: Why, in a few words.
        line: Where in the text, from 1.
    """

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


def parse_json(raw: bytes) -> Json:
    """Return the value that ``raw`` holds, tolerating NaN, control characters and halved emoji.

    Raises:
        JsonError: It is no JSON, or not UTF-8.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        value = _parse_loosely(raw, error)
    if raw.count(b"[") + raw.count(b"{") > _WRITABLE_DEPTH:
        _require_writable(value)
    return value


def values_in_a_row(raw: bytes) -> Iterator[Json | JsonError]:
    """Yield the JSON values of a text that has several, one after another; what is none as an error.

    A value begins where a line begins, so that reading goes on after one that is damaged.
    """
    try:
        yield parse_json(raw)
    except JsonError as error:
        text = raw.decode("utf-8", "surrogateescape").rstrip()  # each value tells of its own wrong bytes
        starts = [match.start() for match in _VALUE_START.finditer(text)]
        if len(starts) < 2 or text[: starts[0]].strip():  # noqa: PLR2004  (one damaged document, or none)
            yield error
        else:
            yield from _values_at(text, starts)


def _values_at(text: str, starts: list[int]) -> Iterator[Json | JsonError]:
    for start, end in pairwise([*starts, len(text)]):
        try:
            yield parse_json(text[start:end].encode("utf-8", "surrogateescape"))
        except JsonError as error:
            line = text.count("\n", 0, start) + (error.line or 1)
            yield JsonError(str(error), line=line)


def _parse_loosely(raw: bytes, error: orjson.JSONDecodeError) -> Json:
    """Try what Python's own writer produces and the strict reader refuses: NaN and lone surrogates."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise JsonError(_NOT_UTF8, line=raw.count(b"\n", 0, wrong.start) + 1) from wrong
    try:
        return _clean(json.loads(text, strict=False, parse_constant=lambda _: None, parse_int=_integer))
    except RecursionError as wrong:
        raise JsonError(_TOO_DEEP) from wrong
    except ValueError as wrong:
        raise JsonError(f"not valid JSON: {error.msg.partition(': line ')[0]}", line=error.lineno) from wrong


def _integer(digits: str) -> int | float | None:
    if len(digits) <= _SAFE_DIGITS:
        return int(digits)
    return float(digits) if len(digits) < _FINITE_DIGITS else None


def _clean(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    return value


def _require_writable(value: Json) -> None:
    try:
        orjson.dumps([[[[value]]]])  # room for what an event wraps around it
    except TypeError as error:
        raise JsonError(_TOO_DEEP) from error


def json_text(value: Json) -> str:
    """Return ``value`` as compact JSON text."""
    return orjson.dumps(value).decode()


def parsed_or_none(text: str | None) -> Json:
    """Return the JSON value of ``text``, or None when it is none."""
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def leading_values(text: str, *, complete: bool) -> tuple[list[Json], bool]:
    """Return the JSON values at the beginning of a file, and whether it has one value a line.

    Args:
        text: The beginning of the file, or all of it.
        complete: Whether it is all of it.
    """
    if complete and (whole := _parse_or_none(text)) is not None:
        return [whole], False
    lines = text.split("\n")
    if not complete:
        lines.pop()
    filled = list(islice((line for line in lines if line.strip()), _HEAD_LINES))
    values = [value for line in filled if (value := _parse_or_none(line)) is not None]
    if values and 2 * len(values) >= len(filled) and any(isinstance(value, dict) for value in values):
        return values, True
    partial = _parse_or_none(close_open_json(text))
    return ([] if partial is None else [partial]), False


def close_open_json(text: str) -> str:
    """Return the beginning of a JSON document as a document: cut after the last whole value and closed."""
    stack: list[str] = []
    cut = 0
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark == '"':  # a string that does not end
            break
        if mark in _CLOSERS:
            stack.append(_CLOSERS[mark])
            cut = match.end()
        elif mark == ",":
            cut = match.start()
        elif mark in ("}", "]"):
            if not stack:
                break
            stack.pop()
            cut = match.end()
            if not stack:  # another document begins here
                break
    return text[:cut] + "".join(reversed(stack))


def _parse_or_none(text: str) -> Json:
    try:
        return parse_json(text.encode("utf-8", "replace"))
    except JsonError:
        return None
