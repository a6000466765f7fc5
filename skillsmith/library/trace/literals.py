"""Where a literal stands in what people said.

A value is looked for as people write it: ``2024-05-22`` as "May 22", ``basic_economy`` as "basic economy",
``2`` as "two", ``1500`` as "1,500". A match must be a whole word. Short or common values are weak: they
count only with a second witness, the name of what they are for standing close by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from skillsmith.library.program.effects import name_words
from skillsmith.library.trace.calls import Said
from skillsmith.models import Json, VariableType, Witness

STRONG_CHARS = 4
"""A shorter value is weak."""

NEAR_CHARS = 40
"""How far from a weak value its second witness may stand."""

_COMMON = frozenset(
    "true false none null yes no user name type data file text value test info list item items main "
    "default other both this that with from".split()
)
_MONTHS = "January February March April May June July August September October November December".split()
_NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_ISO_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})$")
_TYPES: tuple[tuple[VariableType, str], ...] = (
    ("date", r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?)?"),
    ("email", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("url", r"[a-z][a-z0-9+.-]*://\S+"),
    ("path", r"(?:~|\.{1,2}|[A-Za-z]:)?(?:[\\/][\w .@+-]+)+[\\/]?"),
    ("path", r"[\w@+-][\w.@+-]*(?:/[\w.@+ -]+)+|[\w@+-][\w.@+-]*\.[a-z][a-z0-9]{1,4}"),
    ("id", r"(?=[^\s]*\d)(?=[^\s]*[A-Za-z_#])[#\w][\w:#.-]*"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place where a value stands: in which words, at which characters, as which spelling."""

    said: Said
    start: int
    end: int

    def witness(self) -> Witness:
        """Return it as evidence, with some words around it."""
        around = self.said.text[max(0, self.start - 30) : self.end + 30].replace("\n", " ").strip()
        return Witness(seq=self.said.seq, where=self.said.where, path=f"{self.start}-{self.end}", text=around)


def type_of(name: str, value: Json) -> VariableType:  # noqa: PLR0911  (one return a JSON type)
    """Infer a variable's type from its value and name."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, list):
        return "list"
    if isinstance(value, dict):
        return "object"
    text = str(value)
    for kind, pattern in _TYPES:
        if re.fullmatch(pattern, text):
            return kind
    words = name_words(name)
    if words and words[-1] in {"id", "ids", "number", "code", "key", "uuid"} and " " not in text:
        return "id"
    return "string"


def is_weak(value: Json) -> bool:
    """Tell whether a value needs a second witness: short, or too common a word."""
    if value is None or isinstance(value, bool):
        return True
    text = str(value)
    return len(text.strip()) < STRONG_CHARS or text.strip().lower() in _COMMON


def find(value: Json, words: Sequence[Said], *, before: int, near: str = "") -> Occurrence | None:
    """Return where a value stands in what was said before an event, or None.

    Args:
        value: A scalar.
        words: What people said, in order.
        before: Only words said before this sequence number count.
        near: Name of the parameter; for weak values one of its words must stand close by.
    """
    if value is None or isinstance(value, bool) or not str(value).strip():
        return None
    weak = is_weak(value)
    for pattern in _spellings(value):
        for said in words:
            if said.seq >= before:
                continue
            for found in pattern.finditer(said.text):
                occurrence = Occurrence(said, found.start(), found.end())
                if not weak or named_nearby(occurrence, near):
                    return occurrence
    return None


def named_nearby(occurrence: Occurrence, name: str) -> bool:
    """Tell whether a word of the parameter's name stands close to the value, in plural or singular."""
    text = occurrence.said.text
    around = text[max(0, occurrence.start - NEAR_CHARS) : occurrence.end + NEAR_CHARS].lower()
    nearby = {_stem(word) for word in re.findall(r"[a-z]+", around)}
    own = {_stem(word) for word in name_words(text[occurrence.start : occurrence.end])}
    return any(len(word) > 2 and _stem(word) in nearby - own for word in name_words(name))  # noqa: PLR2004  (words like "id" witness nothing)


def _stem(word: str) -> str:
    if word.endswith("ies") and len(word) > len("ties"):
        return word[: -len("ies")] + "y"
    for ending in ("gages", "gage", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004  (baggages ~ bags)
            return word[: -len(ending)]
    return word


def _spellings(value: Json) -> Iterator[re.Pattern[str]]:
    """Yield patterns for the ways people write a value, the most literal first."""
    text = str(value).strip()
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    yield _whole(re.escape(text))
    if isinstance(value, (int, float)):
        yield from _number_spellings(value)
        return
    yield _whole(re.escape(text), re.IGNORECASE)
    if _ISO_DATE.match(text):
        yield from _date_spellings(text)
    elif re.search(r"[_-]", text):
        yield _whole(r"[\s_-]+".join(map(re.escape, re.split(r"[_-]+", text.strip("_-")))), re.IGNORECASE)


def _whole(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w]){pattern}(?![\w])", flags)


def _number_spellings(value: float) -> Iterator[re.Pattern[str]]:
    if isinstance(value, float) and not value.is_integer():
        return
    whole = int(value)
    if abs(whole) >= 1000:  # noqa: PLR2004
        yield _whole(re.escape(f"{whole:,}"))
    if 0 <= whole < len(_NUMBER_WORDS):
        yield _whole(_NUMBER_WORDS[whole], re.IGNORECASE)


def _date_spellings(text: str) -> Iterator[re.Pattern[str]]:
    year, month, day = map(int, text.split("-"))
    try:
        date(year, month, day)
    except ValueError:
        return
    full = _MONTHS[month - 1]
    name = rf"(?:{full}|{full[:3]}\.?)" if full != "May" else "May"
    ordinal = rf"0?{day}(?:st|nd|rd|th)?"
    optional_year = rf"(?:,?\s+{year})?"
    yield _whole(rf"{name}\s+(?:the\s+)?{ordinal}{optional_year}", re.IGNORECASE)
    yield _whole(rf"(?:the\s+)?{ordinal}\s+(?:of\s+)?{name}{optional_year}", re.IGNORECASE)
    yield _whole(rf"0?{month}/0?{day}(?:/(?:{year}|{year % 100:02d}))?")
    yield _whole(rf"0?{day}\.0?{month}\.(?:{year}|{year % 100:02d})?")
