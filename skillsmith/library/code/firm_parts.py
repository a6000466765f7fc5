"""What of a source no value may change: all but the literals of Python, the words of a shell command.

Changed Python is compared statement by statement: statements at the margin that are the same text are the
same statements, wherever they stand. So only those are parsed again in which a value stands, which takes a
twentieth of the time for a script of sixty lines. What does not hold up alone is compared as a whole.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, zip_longest

from skillsmith.library.code.shell import shell_words
from skillsmith.library.code.source import parse_python
from skillsmith.library.program.languages import is_python, is_shell

_FIRM = (ast.stmt, ast.Name, ast.Call, ast.Attribute, ast.FormattedValue, ast.Lambda)
_OTHER_LINES = frozenset("\r\f\ufeff")
"""Characters that make lines of their own, or count in no column: such a source is compared as a whole."""


def firm_shape(code: str, language: str | None) -> object:
    """Return the firm parts of a source; None where the language has none, or it cannot be parsed.

    Args:
        code: The source.
        language: Of the source.
    """
    if is_python(language):
        tree = parse_python(code)
        return _shape_of(tree.body) if tree else None
    return shell_words(code) if is_shell(language) else None


def _shape_of(body: list[ast.stmt]) -> list[str]:
    tree = ast.Module(body=body, type_ignores=[])
    return [type(node).__name__ for node in ast.walk(tree) if isinstance(node, _FIRM)]


class FirmParts:
    """The firm parts of a source that is filled into a template.

    Args:
        pieces: The text before, between and after the places.
        written: What is written at the places, one less.
        language: Of the source.
        tree: The source as it was parsed, if it was.
    """

    def __init__(
        self,
        pieces: Sequence[str],
        written: Sequence[str],
        *,
        language: str | None,
        tree: ast.Module | None = None,
    ) -> None:
        self._pieces, self._written, self._language = pieces, written, language
        self._text = _joined(pieces, written)
        lengths = (len(part) for pair in zip(pieces, written, strict=False) for part in pair)
        self._places = list(accumulate(lengths))[::2]
        self._whole: object = None
        self._body: list[ast.stmt] = []
        if is_python(language) and not _OTHER_LINES & set(self._text):
            tree = tree or parse_python(self._text)
            self._body = tree.body if tree else []
        self._firsts = [_first_line(one) for one in self._body]
        self._ends = list(accumulate(len(line) + 1 for line in self._text.split("\n")))

    def are_kept(self, written: Sequence[str]) -> bool:
        """Tell whether the source keeps its firm parts with this at the places."""
        if self._body and self._are_kept_nearby(written):
            return True
        if self._whole is None:
            self._whole = firm_shape(self._text, self._language)
        return firm_shape(_joined(self._pieces, written), self._language) == self._whole

    def _are_kept_nearby(self, written: Sequence[str]) -> bool:
        pairs = zip(self._places, self._written, written, strict=True)
        changes = [(place, old, new) for place, old, new in pairs if old != new]
        for first, last in {self._block_at(place) for place, _, _ in changes}:
            start, end = self._start(first), self._start(last)
            text, position = "", start
            for place, old, new in changes:
                if start <= place < end:
                    text += self._text[position:place] + new
                    position = place + len(old)
            tree = parse_python(text + self._text[position:end]) if position <= end else None
            if (
                tree is None
                or self._text[start : start + 1].isspace()
                or _shape_of(tree.body) != _shape_of(self._body[first:last])
            ):
                return False
        return True

    def _block_at(self, position: int) -> tuple[int, int]:
        """Return the statements, from the first to before the last, that share lines with a position."""
        line = bisect_right(self._ends, position) + 1
        first = max(bisect_right(self._firsts, line) - 1, 0)
        last = first + 1
        while first and self._firsts[first] <= _last_line(self._body[first - 1]):
            first -= 1
        while last < len(self._body) and self._firsts[last] <= _last_line(self._body[last - 1]):
            last += 1
        return first, last

    def _start(self, index: int) -> int:
        """Return where the lines of a statement begin; the first has what stands before it, too."""
        if index == 0:
            return 0
        return len(self._text) if index == len(self._body) else self._ends[self._firsts[index] - 2]


def _first_line(one: ast.stmt) -> int:
    decorators: Sequence[ast.expr] = getattr(one, "decorator_list", ())
    return min(one.lineno, decorators[0].lineno) if decorators else one.lineno


def _last_line(one: ast.stmt) -> int:
    return one.end_lineno or one.lineno


def _joined(pieces: Sequence[str], written: Sequence[str]) -> str:
    return "".join(part for pair in zip_longest(pieces, written, fillvalue="") for part in pair)
