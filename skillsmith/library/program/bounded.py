"""Arithmetic and text that cannot grow: what keeps one expression from taking all memory, or for ever.

simpleeval limits repetition and powers, but generously, and neither ``'%999999999d' % 1`` nor
``round(1, -999999999)``; a comprehension may do any of that ten thousand times.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache
from time import monotonic
from typing import Any, cast

from skillsmith.models import Json

MAX_SECONDS = 5.0
"""Of one expression; what it may still be doing then takes a moment at most."""

MAX_BITS = 4_096
"""Of a power's or shift's result."""

MAX_DIGITS = 1_000
"""That a number may be rounded to."""

MAX_PARTS = 10_000
"""Values inside values that may be written as text."""

MAX_CHARS = 20 * 1024 * 1024
"""Of such a text."""

MAX_MADE = 10 * MAX_CHARS
"""Of all texts that one expression makes: a comprehension may keep thousands."""


class TooLargeError(ValueError):
    """An operation would take more memory or time than any condition needs."""


def power(base: Any, exponent: Any) -> Any:
    """Return a power of numbers whose result stays small."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        _bounded(base.bit_length() * exponent, MAX_BITS, "the power is too large")
    return base**exponent


def left_shift(number: Any, places: Any) -> Any:
    """Return a shifted number that stays small."""
    _bounded(number.bit_length() + places, MAX_BITS, "the shifted number is too large")
    return number << places


def times(left: Any, right: Any) -> Any:
    """Return a product of numbers: texts and lists are not repeated."""
    _numbers("*", left, right)
    return left * right


def remainder(left: Any, right: Any) -> Any:
    """Return the remainder of a division: ``%`` formats no texts."""
    _numbers("%", left, right)
    return left % right


def rounded(number: Any, digits: int | None = None) -> Any:
    """Return a rounded number."""
    _bounded(abs(digits or 0), MAX_DIGITS, "that many digits are not rounded to")
    return round(number, digits)


def total(values: Any) -> Any:
    """Return the sum of numbers: lists are not joined."""
    return sum(values)


def as_text(value: Json) -> str:
    """Return a value as text, unless that were very long."""
    parts, chars = 0, 0
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        parts += 1
        chars += len(item) if isinstance(item, str) else 0
        _bounded(parts, MAX_PARTS, "too many values for one text")
        _bounded(chars, MAX_CHARS, "the text is too long")
        if isinstance(item, Mapping):
            waiting.extend((*item, *item.values()))
        elif isinstance(item, (list, tuple, set)):
            _bounded(len(item), MAX_PARTS, "too many values for one text")
            waiting.extend(item)
    return str(value)


def _numbers(sign: str, left: Any, right: Any) -> None:
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
        raise TooLargeError(f"{sign} is for numbers only")


def _bounded(amount: int, limit: int, problem: str) -> None:
    if amount > limit:
        raise TooLargeError(problem)


def evaluator(names: Mapping[str, Json], functions: Mapping[str, Callable[..., Json]], **more: Any) -> Any:
    """Return simpleeval's evaluator with bounded operators and a time limit.

    Args:
        names: What an expression may name.
        functions: What it may call.
        more: For simpleeval as it is.
    """
    import simpleeval  # type: ignore[import-untyped]  # noqa: PLC0415  (8 ms; few skills have conditions)

    operators = {
        **simpleeval.DEFAULT_OPERATORS, ast.Pow: power, ast.LShift: left_shift, ast.Mult: times,
        ast.Mod: remainder,
    }  # fmt: skip
    return _timed_class()(operators=operators, names=names, functions=functions, **more)


@cache
def _timed_class() -> type[Any]:
    """Make the class once; the library is loaded only where a condition is evaluated."""
    import simpleeval  # noqa: PLC0415  (8 ms)

    class Timed(simpleeval.EvalWithCompoundTypes):  # type: ignore[misc]  # simpleeval has no types
        """An evaluator that looks at the clock before each part, and at the text it made after it."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self._end, self._made = monotonic() + MAX_SECONDS, 0
            self.nodes[ast.FormattedValue] = self._formatted

        def _eval(self, node: ast.AST) -> Any:
            if monotonic() > self._end:
                raise TooLargeError(f"it takes longer than {MAX_SECONDS:g} s")
            value = super()._eval(node)
            if isinstance(value, str) and isinstance(node, (ast.Call, ast.JoinedStr, ast.BinOp)):
                self._made += len(value)
                _bounded(self._made, MAX_MADE, "it makes too much text")
            return value

        def _formatted(self, node: ast.FormattedValue) -> str:
            if node.format_spec is not None:
                raise TooLargeError("a text in braces takes no format")
            return as_text(self._eval(node.value))

    return cast("type[Any]", Timed)
