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
from functools import lru_cache
from unicodedata import normalize

from skillsmith.library.program.dates import is_written_day
from skillsmith.library.program.effects import name_words
from skillsmith.library.program.phones import LOCAL_DIGITS, PHONE
from skillsmith.library.trace.calls import Said
from skillsmith.library.trace.phrases import Whole, count_chars, whole
from skillsmith.models import Json, VariableType, Witness

STRONG_CHARS = 4
"""A shorter value is weak."""

ALONE_CHARS = 3
"""A weak value of so many characters counts where it is said just once."""

NEAR_CHARS = 40
"""How far from a weak value its second witness may stand."""

_COMMON = frozenset(
    "true false none null yes no user name type data file text value test info list item items main "
    "default other both this that with from".split()
)
_MONTHS = "January February March April May June July August September October November December".split()
_NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_MONEY = frozenset(
    "amount balance budget charge cost credit deposit fee limit payment price refund sum total value".split()
)
_COUNT = frozenset("count number qty quantity unit".split())
_UNITS = (
    (("%",), {"percent", "pct"}, frozenset("discount fraction percent percentage pct rate share".split())),
    (("$", "€", "£", "¥", "₹"), set("dollars euros pounds usd eur gbp chf yen".split()), _MONEY),
    ((), set("items pcs pieces units".split()), _COUNT),
)
_MONTHS_A_YEAR = 12
_CLOCK = r"[T ]\d{2}:\d{2}(?::\d{2})?(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?"
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_DATES = (
    (re.compile(rf"(\d{{4}})-(\d{{2}})-(\d{{2}})(?:{_CLOCK})?"), "ymd"),
    (re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})"), "ymd"),
    (_SLASHED, "dmy"),
    (re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})"), "dmy"),
    (re.compile(r"(\d{1,2})(?:st|nd|rd|th)? ([A-Z][a-z]{2,8}) (\d{4})"), "dmy"),
    (re.compile(r"([A-Z][a-z]{2,8}) (\d{1,2})(?:st|nd|rd|th)?, (\d{4})"), "mdy"),
)
_DAYS = frozenset({"date", "day", "on"})
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
    text, words = str(value), name_words(name)
    if is_written_day(text, named=not _DAYS.isdisjoint(words)):
        return "date"
    for kind, pattern in _TYPES:
        if re.fullmatch(pattern, text):
            return kind
    if words and words[-1] in {"id", "ids", "number", "code", "key", "uuid"} and " " not in text:
        return "id"
    return "string"


def is_weak(value: Json) -> bool:
    """Tell whether a value needs a second witness: short, or too common a word."""
    if value is None or isinstance(value, bool):
        return True
    text = str(value)
    return count_chars(text.strip()) < STRONG_CHARS or text.strip().lower() in _COMMON


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
    for pattern in _spellings(value, _folded(tuple(said.text for said in words))):
        for said in words:
            if said.seq >= before:
                continue
            for found in pattern.finditer(said.text):
                occurrence = Occurrence(said, found.start(), found.end())
                if not weak or named_nearby(occurrence, near):
                    return occurrence
    return None


def find_alone(value: Json, words: Sequence[Said], *, before: int) -> Occurrence | None:
    """Return where a short number or code stands in what was said, when it stands there just once.

    Args:
        value: A scalar of at least three characters; a text must look like a code (``IAH``, ``B7x``).
        words: What people said, in order.
        before: Only words said before this sequence number count.
    """
    text = str(value).strip()
    coded = text.upper() == text or any(character.isdigit() for character in text)
    if isinstance(value, bool) or value is None or len(text) < ALONE_CHARS or not coded:
        return None
    pattern = whole(text)
    known = [said for said in words if said.seq < before]
    if any(said.text.strip().startswith(known[0].text.strip()) for said in known[1:]):
        known = known[1:]  # the task is a user's first message, or its beginning: it was said once
    found = [Occurrence(said, *one.span()) for said in known for one in pattern.finditer(said.text)]
    return found[0] if len(found) == 1 else None


def named_nearby(occurrence: Occurrence, name: str) -> bool:
    """Tell whether a word of the parameter's name stands close to the value, or its unit right at it."""
    if _unit_at(occurrence) & {_stem(word) for word in name_words(name)}:
        return True
    text = occurrence.said.text
    around = text[max(0, occurrence.start - NEAR_CHARS) : occurrence.end + NEAR_CHARS].lower()
    nearby = {_stem(word) for word in re.findall(r"[a-z]+", around)}
    own = {_stem(word) for word in name_words(text[occurrence.start : occurrence.end])}
    return any(len(word) > 2 and _stem(word) in nearby - own for word in name_words(name))  # noqa: PLR2004  (words like "id" witness nothing)


def _unit_at(occurrence: Occurrence) -> frozenset[str]:
    """Return what an amount may be called by the sign or unit that stands right at it."""
    text = occurrence.said.text
    before, after = text[: occurrence.start].rstrip()[-1:], text[occurrence.end :].lstrip().lower()
    for signs, units, names in _UNITS:
        unit = re.match(r"[^\W\d_]+", after)
        if before in signs or after[:1] in signs or (unit and unit[0] in units):
            return names
    return frozenset()


def _stem(word: str) -> str:
    if word.endswith("ies") and len(word) > len("ties"):
        return word[: -len("ies")] + "y"
    for ending in ("gages", "gage", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004  (baggages ~ bags)
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=8)
def _folded(texts: tuple[str, ...]) -> str:
    return "\0".join(texts).casefold()


def _spellings(value: Json, said: str) -> Iterator[Whole]:
    """Yield patterns for the ways people write a value, the most literal first.

    Args:
        value: A scalar.
        said: All that was said, folded: what plainly does not stand in it needs no pattern.
    """
    text = normalize("NFC", str(value).strip())
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    if isinstance(value, (int, float)):
        yield from _number_spellings(value, text if text.casefold() in said else None)
        return
    if text.casefold() in said:
        yield whole(text)
        yield whole(text, flags=re.IGNORECASE)
    day = date_in(text)
    if day is not None:
        yield from _date_spellings(day)
        return
    if PHONE.fullmatch(text):
        yield _phone_spelling(text)
    parts = re.split(r"[_-]+", text.strip("_-"))
    if len(parts) > 1 and all(part.casefold() in said for part in parts):
        yield _whole(r"[\s_-]+".join(map(re.escape, parts)), re.IGNORECASE)


def _whole(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Whole:
    return whole("a", pattern, flags)


def _phone_spelling(text: str) -> Whole:
    """Return a pattern for the same telephone number with other marks, or without its country's code."""
    digits = re.sub(r"\D", "", text)
    country, own = digits[:-LOCAL_DIGITS], digits[-LOCAL_DIGITS:]
    optional = rf"(?:[+(]?{country}[\s().-]*)?" if country else ""
    return _whole(rf"{optional}\(?" + r"[\s().-]*".join(own))


def _number_spellings(value: float, literal: str | None) -> Iterator[Whole]:
    if literal is not None:
        yield _number(literal)
    if isinstance(value, float) and not value.is_integer():
        if round(value, 2) == value:
            yield _number(f"{value:,.2f}")
            yield _number(f"{value:.2f}")
        return
    whole_value = int(value)
    if abs(whole_value) >= 1000:  # noqa: PLR2004
        yield _number(f"{whole_value:,}")
    if 0 <= whole_value < len(_NUMBER_WORDS):
        yield _whole(_NUMBER_WORDS[whole_value], re.IGNORECASE)


def _number(text: str) -> Whole:
    """Return a pattern for a number that is no part of a longer one: 377 does not stand in 1,377."""
    before = r"(?<!\d\.)" + (r"(?<!\d,)" if re.match(r"\d{3}(?!\d)", text) else "")
    after = r"(?!,\d{3}(?!\d))" + (r"(?!\d)" if "." in text else r"(?!\.\d)")
    return whole(text, f"{before}{re.escape(text)}{after}")


def date_in(text: str) -> date | None:
    """Return the day that a text is, however it is written; None for what may be read in two ways."""
    for pattern, order in _DATES:
        found = pattern.fullmatch(text)
        if found is None:
            continue
        parts = dict(zip(order, found.groups(), strict=True))
        month = parts["m"]
        first, second = parts["d"], month
        if pattern is _SLASHED and int(first) != int(second):
            if int(first) <= _MONTHS_A_YEAR and int(second) <= _MONTHS_A_YEAR:
                return None
            first, second = sorted((first, second), key=int, reverse=True)
        number = int(second) if second.isdigit() else _month_of(second)
        try:
            return date(int(parts["y"]), number, int(first))
        except ValueError:
            return None
    return None


def _month_of(word: str) -> int:
    """Return the number of a month's name, 0 for what is none."""
    return next((at for at, name in enumerate(_MONTHS, 1) if name.lower().startswith(word.lower())), 0)


def _date_spellings(day: date) -> Iterator[Whole]:
    full = _MONTHS[day.month - 1]
    name = rf"(?:{full}|{full[:3]}\.?)" if full != "May" else "May"
    ordinal = rf"0?{day.day}(?:st|nd|rd|th)?"
    optional_year = rf"(?:,?\s+{day.year})?"
    yield _whole(re.escape(day.isoformat()))
    yield _whole(rf"{name}\s+(?:the\s+)?{ordinal}{optional_year}", re.IGNORECASE)
    yield _whole(rf"(?:the\s+)?{ordinal}\s+(?:of\s+)?{name}{optional_year}", re.IGNORECASE)
    yield _whole(rf"0?{day.month}/0?{day.day}(?:/(?:{day.year}|{day.year % 100:02d}))?")
    yield _whole(rf"0?{day.day}\.0?{day.month}\.(?:{day.year}|{day.year % 100:02d})?")
