"""Records inside text: JSON in a fence, a Markdown table, lines of ``key: value``, what Python prints.

A text is opened only where all of it, but for words around it, has one of these forms; a text that merely
looks a little like one stays text. Extraction and execution open alike, so a path that was traced is a path
that can be followed.
"""

from __future__ import annotations

import ast
import csv
import math
import re
from functools import lru_cache

from skillsmith.events import parse_json, storable
from skillsmith.models import Json

MAX_CHARS = 1_000_000
"""A longer text is opened only when it is JSON."""

MAX_LITERAL_CHARS = 200_000
"""What Python printed is read by way of a tree that takes five hundred times as much memory."""

_MANY_FENCES = 8
_MAX_INTEGER = 10**4300
"""JSON text holds no longer ones, for Python writes no longer ones."""

_FENCE = re.compile(r"```(?:\w+)?[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_LEAD = re.compile(r"[^\n{\[]{0,120}(?::|\n)\s*(?=[\[{])")
_LINE = re.compile(r"(?:[-*•]\s+)?[*_`]*([A-Za-z][\w ./\[\]()#-]{0,60}?)[*_`]*\s*[:=][*_`]*\s+(\S.*)")
_RULE = re.compile(r"\|?(?:\s*:?-{2,}:?\s*\|)+(?:\s*:?-{2,}:?)?")
_COLUMN = re.compile(r"[A-Za-z_][\w .#()/-]{0,60}")
_LABELS = frozenset({"attribute", "field", "key", "name", "property"})


def opened(value: Json) -> Json:
    """Return the object or list that a text holds, and every other value as it is."""
    if not isinstance(value, str):
        return value
    found = structure_in(value)
    return value if found is None else found


@lru_cache(maxsize=32)
def structure_in(text: str) -> dict[str, Json] | list[Json] | None:
    """Return the object or list that a text holds; None when it is just text."""
    bare = text.strip()
    if bare[:1] in ("{", "["):
        found = _json(bare)
        return _literal(bare) if found is None else found
    if len(bare) > MAX_CHARS:
        return None
    lead = _LEAD.match(bare)
    if lead and (led := _json(bare[lead.end() :])) is not None:
        return led
    if "```" in bare and bare.count("```") > _MANY_FENCES:
        return None
    fenced = _FENCE.findall(bare)
    if fenced:
        return _json(fenced[0].strip()) if len(fenced) == 1 else None
    return (_table(bare) or _lines(bare) or _separated(bare)) if "\n" in bare else None


def _json(text: str) -> dict[str, Json] | list[Json] | None:
    if text[:1] not in ("{", "["):
        return None
    try:
        value = parse_json(text)
    except ValueError:
        return None
    return value if isinstance(value, (dict, list)) else None


def _literal(text: str) -> dict[str, Json] | list[Json] | None:
    """Read what Python's ``print`` makes of an object."""
    if len(text) > MAX_LITERAL_CHARS or text[-1] not in "}]" or "'" not in text:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    return value if isinstance(value, (dict, list)) and _is_json(value) else None


def _is_json(value: object) -> bool:
    """Tell whether a value could have come out of JSON text."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(key) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, str):
        return storable(value) == value
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and abs(value) < _MAX_INTEGER)


def _table(text: str) -> dict[str, Json] | list[Json] | None:
    """Read the one Markdown table in a text: a list of its rows, or an object where it is field and value."""
    lines = text.splitlines()
    rules = [number for number, line in enumerate(lines) if "|" in line and _RULE.fullmatch(line.strip())]
    if len(rules) != 1 or not rules[0]:
        return None
    names = _cells(lines[rules[0] - 1])
    rows = []
    for line in lines[rules[0] + 1 :]:
        if "|" not in line:
            break
        rows.append(_cells(line))
    if not rows or len(set(names)) < len(names) or any(len(row) != len(names) for row in rows):
        return None
    if len(names) == 2 and names[0].lower() in _LABELS and names[1].lower() == "value":  # noqa: PLR2004  (name and value)
        fields = {row[0]: row[1] for row in rows}
        return fields if len(fields) == len(rows) else None
    return [dict(zip(names, row, strict=True)) for row in rows]


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", inner)]


def _lines(text: str) -> dict[str, Json] | None:
    """Read lines of ``key: value``, perhaps under a heading."""
    lines = [bare for line in text.splitlines() if (bare := line.strip())]
    if _LINE.fullmatch(lines[0]) is None:
        lines = lines[1:]
    found = [_LINE.fullmatch(line) for line in lines]
    pairs = {one[1]: one[2] for one in found if one is not None}
    return pairs if len(pairs) == len(lines) > 1 else None


def _separated(text: str) -> list[Json] | None:
    """Read comma-separated rows under a line of column names."""
    if ", " in text.partition("\n")[0]:
        return None
    try:
        names, *rows = [row for row in csv.reader(text.splitlines(), strict=True) if row]
    except csv.Error:
        return None
    plain = len(names) > 1 and len(set(names)) == len(names) and all(map(_COLUMN.fullmatch, names))
    if not plain or not rows or any(len(row) != len(names) for row in rows):
        return None
    return [dict(zip(names, row, strict=True)) for row in rows]
