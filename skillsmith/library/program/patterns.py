"""Tells whether searching for a regular expression may take for ever, by counting the ways to read a text.

Python's engine tries one way after another, so its time is bounded by how many there are. A pattern becomes
the automaton whose states are its characters. There are exponentially many ways where two paths round one
loop read the same text (``(a+)+``), and a power of the length where loops can share a text (``a*a*``). What
is not known exactly is taken for larger than it is, so what passes is harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import takewhile
from math import log2
from typing import Any

MAX_POWER = 3
"""Of a text's length: how the time to search it may grow, the places where a match may begin included.
``order .* from .*`` has this one."""

MAX_BITS, BITS_A_POWER = 18, 4
"""Of the ways that do not depend on the length; the faster those grow that do, the fewer."""

MAX_STATES = 300
MAX_WAYS = 2**20  # is as good as more
MAX_COPIES = 16
MAX_COPIED = 130
"""Copies, and characters, that one counted repetition may become; beyond, it is taken for an endless one."""

MAX_LOOKS = 1_000_000
"""At two characters, to see whether they have one in common."""

_LATIN = 256
_LETTER, _DIGIT, _SPACE, _OTHER = (1 << _LATIN + kind for kind in range(4))
"""All characters from there on, by what the categories tell apart."""
_BEYOND = _LETTER | _DIGIT | _SPACE | _OTHER
_EVERY = _BEYOND | (1 << _LATIN) - 1
_CATEGORIES = {
    "CATEGORY_DIGIT": (r"\d", _DIGIT), "CATEGORY_NOT_DIGIT": (r"\D", _BEYOND & ~_DIGIT),
    "CATEGORY_SPACE": (r"\s", _SPACE), "CATEGORY_NOT_SPACE": (r"\S", _BEYOND & ~_SPACE),
    "CATEGORY_WORD": (r"\w", _LETTER | _DIGIT), "CATEGORY_NOT_WORD": (r"\W", _SPACE | _OTHER),
}  # fmt: skip
_KNOWN_FLAGS = re.UNICODE | re.IGNORECASE | re.DOTALL | re.MULTILINE | re.VERBOSE
_LOOKS = ("ASSERT", "ASSERT_NOT")
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


class UnjudgedError(ValueError):
    """A pattern holds what is not understood here, or is too large."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a pattern: in how many ways it may be empty, begin and end."""

    empty: int
    first: dict[int, int]
    last: dict[int, int]


_NOTHING = _Part(1, {}, {})


def may_take_for_ever(pattern: str) -> bool:
    """Tell whether searching some text for a pattern may take longer than its length's cube.

    Args:
        pattern: A valid regular expression.

    Raises:
        UnjudgedError: It cannot be told.
    """
    from re import _parser  # type: ignore[attr-defined]  # noqa: PLC0415  (the engine's own, without a public name)

    parsed = _parser.parse(pattern)
    if parsed.state.flags & ~_KNOWN_FLAGS:
        raise UnjudgedError("it has flags that are not understood")
    begins = bool(parsed) and str(parsed[0][0]) == "AT" and str(parsed[0][1]).startswith("AT_BEGINNING")
    anchored = begins and not parsed.state.flags & re.MULTILINE
    return _explodes(parsed, folded=bool(parsed.state.flags & re.IGNORECASE), anchored=anchored)


def _explodes(items: Sequence[Any], *, folded: bool, anchored: bool) -> bool:
    ahead = list(takewhile(lambda item: str(item[0]) in ("AT", *_LOOKS), items))
    looks = [item[1][1] for item in ahead if str(item[0]) in _LOOKS]
    if any(_explodes(look, folded=folded, anchored=anchored) for look in looks):
        return True
    automaton = _Automaton(folded=folded)
    automaton.read(items[len(ahead) :])
    if automaton.doubles():
        return True
    power, bits = automaton.growth()
    power += not anchored
    return power > MAX_POWER or bits + BITS_A_POWER * power > MAX_BITS


class _Automaton:
    """The characters of a pattern, and which may follow which, in how many ways.

    Args:
        folded: Whether case does not count.
    """

    def __init__(self, *, folded: bool) -> None:
        self._folded = folded
        self._masks = [0]  # 0 is where a match begins
        self._follow: list[dict[int, int]] = [{}]
        self._looks = 0

    def read(self, items: Iterable[Any]) -> None:
        """Take in a parsed pattern."""
        self._join({0: 1}, self._sequence(items).first)

    def _sequence(self, items: Iterable[Any]) -> _Part:
        whole = _NOTHING
        for item in items:
            whole = self._then(whole, self._part(item))
        return whole

    def _part(self, item: Any) -> _Part:
        kind, value = str(item[0]), item[1]
        if kind in ("AT", *_LOOKS):
            self._look(value[1] if kind in _LOOKS else ())
            return _NOTHING
        if kind == "BRANCH":
            return _either([self._sequence(branch) for branch in value[1]])
        if kind in ("SUBPATTERN", "ATOMIC_GROUP"):
            if kind == "SUBPATTERN" and (value[1] or value[2]):
                raise UnjudgedError("a part of it has flags of its own")
            return self._sequence(value[3] if kind == "SUBPATTERN" else value)
        if kind in _REPEATS:
            return self._repeated(value[0], None if str(value[1]) == "MAXREPEAT" else value[1], value[2])
        return self._character(_mask(kind, value, folded=self._folded))

    def _look(self, items: Sequence[Any]) -> None:
        """Refuse to look round for what has no fixed length: that may happen at every character."""
        before = len(self._masks)
        self._sequence(items)
        if any(after <= state for state in range(before, len(self._masks)) for after in self._follow[state]):
            raise UnjudgedError("it looks far ahead from within")

    def _character(self, mask: int) -> _Part:
        if len(self._masks) > MAX_STATES:
            raise UnjudgedError("it is too large")
        state = len(self._masks)
        self._masks.append(mask)
        self._follow.append({})
        return _Part(0, {state: 1}, {state: 1})

    def _repeated(self, least: int, most: int | None, items: Sequence[Any]) -> _Part:
        before = len(self._masks)
        body = self._sequence(items)
        copies = least if most is None else most
        if copies == 0:
            return self._looped(body, least) if most is None else _NOTHING
        if copies > MAX_COPIES or copies * (len(self._masks) - before) > MAX_COPIED:
            if body.empty:
                raise UnjudgedError("it often repeats what may be empty")
            return self._looped(body, least)
        bodies = [body, *(self._sequence(items) for _ in range(copies - 1))]
        if most is None:
            whole = self._looped(bodies.pop(), 1)
        else:
            whole = _NOTHING
            for _ in range(most - least):
                whole = _either([_NOTHING, self._then(bodies.pop(), whole)])
        for body in reversed(bodies):
            whole = self._then(body, whole)
        return whole

    def _looped(self, body: _Part, least: int) -> _Part:
        self._join(body.last, body.first)
        again = _sum({}, body.last, times=1 + body.empty)  # at last it may be empty once more
        looped = _Part(body.empty, body.first, again)
        return looped if least else _either([_NOTHING, looped])

    def _then(self, one: _Part, other: _Part) -> _Part:
        self._join(one.last, other.first)
        return _Part(
            min(MAX_WAYS, one.empty * other.empty),
            _sum(one.first, other.first, times=one.empty),
            _sum(other.last, one.last, times=other.empty),
        )

    def _join(self, ends: dict[int, int], starts: dict[int, int]) -> None:
        for end, ways in ends.items():
            self._follow[end] = _sum(self._follow[end], starts, times=ways)

    @cached_property
    def _reach(self) -> list[int]:
        """For each state the ones that lie behind it, a bit each."""
        reach = [sum(1 << state for state in after) for after in self._follow]
        for middle in range(len(reach)):
            for state in range(len(reach)):
                if reach[state] >> middle & 1:
                    reach[state] |= reach[middle]
        return reach

    def _together(self, one: int, other: int) -> bool:
        """Whether two states lie on one loop."""
        return bool(self._reach[one] >> other & 1 and self._reach[other] >> one & 1)

    def doubles(self) -> bool:
        """Tell whether two paths round one loop read the same text."""
        waiting = [(state, state) for state in range(len(self._masks)) if self._together(state, state)]
        seen = set(waiting)
        while waiting:
            one, other = waiting.pop()
            for pair, ways in self._steps(one, other):
                if pair[0] == pair[1] and (one != other or ways > 1):
                    return True
                if pair not in seen:
                    seen.add(pair)
                    waiting.append(pair)
        return False

    def _steps(self, one: int, other: int) -> Iterator[tuple[tuple[int, int], int]]:
        """Yield where two states on one loop lead with the same character, and in how many ways the first."""
        for left, ways in self._follow[one].items():
            if not self._together(one, left):
                continue
            self._count(len(self._follow[other]))
            for right in self._follow[other]:
                if self._masks[left] & self._masks[right] and self._together(left, right):
                    yield (min(left, right), max(left, right)), ways

    def _count(self, looks: int) -> None:
        self._looks += looks
        if self._looks > MAX_LOOKS:
            raise UnjudgedError("it is too large")

    def _choices(self, state: int) -> int:
        """Return at most how many ways one character leads on from a state."""
        after = self._follow[state]
        self._count(len(after) ** 2)
        return max(
            (
                sum(ways for other, ways in after.items() if self._masks[one] & self._masks[other])
                for one in after
            ),
            default=1,
        )

    def growth(self) -> tuple[int, float]:
        """Return the power of the length by which the ways may grow, and in bits what others there are."""
        known: dict[int, tuple[int, float]] = {}

        def behind(state: int) -> tuple[int, float]:
            if state in known:
                return known[state]
            loop = [one for one in range(len(self._masks)) if self._together(state, one)]
            most = max(self._choices(one) for one in loop or [state])
            exits = {after for one in loop or [state] for after in self._follow[one]}.difference(loop)
            ends = [behind(after) for after in exits]
            power = max((end[0] for end in ends), default=0) + bool(loop and most > 1)
            bits = max((end[1] for end in ends), default=0.0) + log2(most)
            known.update(dict.fromkeys(loop or [state], (power, bits)))
            return power, bits

        return behind(0)


def _sum(one: dict[int, int], other: dict[int, int], *, times: int) -> dict[int, int]:
    total = dict(one)
    if times:
        for state, ways in other.items():
            total[state] = min(MAX_WAYS, total.get(state, 0) + ways * times)
    return total


def _either(parts: Iterable[_Part]) -> _Part:
    empty, first, last = 0, dict[int, int](), dict[int, int]()
    for part in parts:
        empty = min(MAX_WAYS, empty + part.empty)
        first, last = _sum(first, part.first, times=1), _sum(last, part.last, times=1)
    return _Part(empty, first, last)


def _mask(kind: str, value: Any, *, folded: bool) -> int:
    """Return the characters that one piece of a pattern stands for, a bit each, or more than those."""
    if kind == "ANY":
        return _EVERY
    if kind == "NOT_LITERAL":
        kind, value = "IN", [("NEGATE", None), ("LITERAL", value)]
    negated, mask, surely = False, 0, 0
    for one, what in value if kind == "IN" else [(kind, value)]:
        name = str(one)
        if name == "NEGATE":
            negated = True
        elif name in ("LITERAL", "RANGE"):
            mask |= _range(*((what, what) if name == "LITERAL" else what))
        elif name == "CATEGORY" and str(what) in _CATEGORIES:
            chars = _category(str(what))
            mask |= chars
            surely |= chars & _BEYOND
        else:
            raise UnjudgedError(f"{name.lower()} is not understood")
    if not negated:
        return _case(mask) if folded else mask
    return _EVERY & ~(mask & ~_BEYOND | surely)  # with case or without: more stay than are let in


def _range(low: int, high: int) -> int:
    within = (1 << min(high + 1, _LATIN)) - (1 << min(low, _LATIN))
    return within | (_BEYOND if high >= _LATIN else 0)


@cache
def _category(name: str) -> int:
    pattern, beyond = _CATEGORIES[name]
    chars = re.compile(pattern)
    return sum(1 << code for code in range(_LATIN) if chars.match(chr(code))) | beyond


def _case(mask: int) -> int:
    """Return the characters with those that differ from them in case only."""
    letters = [char for char in map(chr, range(_LATIN)) if mask >> ord(char) & 1 and char.isalpha()]
    for other in {case for char in letters for case in (*char.lower(), *char.upper())}:
        mask |= 1 << ord(other) if ord(other) < _LATIN else 0
    return mask | _BEYOND if letters or mask & _BEYOND else mask
