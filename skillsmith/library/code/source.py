"""Positions in Python source that mean the same on every supported interpreter.

``ast`` counts columns in UTF-8 bytes and lines by the tokenizer's rule (LF, CR LF and a lone CR end a line,
nothing else does); everything here and above counts characters from the start of the text.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings
from bisect import bisect_right

from skillsmith.errors import UsageError

_LINE_END = re.compile(r"\r\n|\r|\n")
_BOM = "\ufeff"
_WARNINGS = threading.Lock()
"""Warning filters belong to the whole process; code is rendered in several threads."""


class Positions:
    """Turns line and byte column into a character offset.

    Args:
        text: The source the positions count in.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._ascii = text.isascii()

    def offset(self, line: int, column: int) -> int:
        """Return the character offset of a line (from 1) and a column (UTF-8 bytes, from 0)."""
        start = self._starts[line - 1]
        if self._ascii:
            return start + column
        end = self._starts[line] if line < len(self._starts) else len(self._text)
        return start + len(self._text[start:end].encode("utf-8", "surrogatepass")[:column].decode("utf-8"))

    def line(self, offset: int) -> int:
        """Return the line (from 1) that a character offset stands in."""
        return bisect_right(self._starts, offset)


def parse_python(code: str) -> ast.Module | None:
    """Parse code, or return None when it is not Python for this interpreter.

    Warnings on odd escapes are the code's own business and are not shown.
    """
    try:
        return _parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def require_python(code: str, *, subject: str) -> ast.Module:
    """Parse code.

    Args:
        code: The source.
        subject: What the code is, for the error.

    Raises:
        UsageError: When it does not parse; the message names the line.
    """
    try:
        return _parse(code)
    except SyntaxError as error:
        raise UsageError(
            f"{subject} is not valid Python: line {error.lineno}: {error.msg}",
            hint="a template can only be made from code that parses",
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{subject} cannot be parsed: {error}", hint="shorten or simplify it") from error


def _parse(code: str) -> ast.Module:
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(code.removeprefix(_BOM))


def bom_length(code: str) -> int:
    """Return how many characters of byte order mark the code begins with (positions count from after it)."""
    return len(_BOM) if code.startswith(_BOM) else 0


def parse_expression(source: str) -> ast.expr | None:
    """Parse one expression as it stands between the braces of an f-string; None when it does not parse.

    It is parsed inside parentheses, so positions count one character more than in ``source``.
    """
    tree = parse_python(f"({source}\n)")
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        return None
    return tree.body[0].value
