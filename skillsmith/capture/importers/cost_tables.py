"""Tables in notebooks: the cost of one model call, as CMBAgent shows it beside each message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape

_COLUMNS = frozenset({"Cost", "Prompt Tokens", "Completion Tokens"})
_MOST_TABLE_CHARS = 200_000  # a longer table is data, not the cost of a call
_ROW = re.compile(r"<tr\b", re.IGNORECASE)
_CELL = re.compile(r"<t([dh])\b[^<>]*>([^<]*(?:<(?!/?t[dhr]\b)[^<]*)*)</t\1\s*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def cost_rows(html: str) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a cost table by column name; nothing for any other document."""
    if len(html) > _MOST_TABLE_CHARS or not all(name in html for name in _COLUMNS):
        return
    names, *rows = [row for text in _ROW.split(html)[1:] if any(row := _cells(text))] or [[]]
    if set(names) >= _COLUMNS:
        for row in rows:
            yield {name: cell for name, cell in zip(names, row, strict=False) if name}


def _cells(row: str) -> list[str]:
    return [unescape(_TAG.sub("", cell[2])).strip() for cell in _CELL.finditer(row)]
