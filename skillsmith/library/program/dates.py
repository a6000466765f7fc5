"""Dates as people write them: found in words, and written as another date is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from skillsmith.models import Json

MONTHS = "January February March April May June July August September October November December".split()

_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" if month[3:] else month for month in MONTHS)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
_WRITTEN = (
    re.compile(r"(?<![\w-])(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})(?![\w-])"),
    re.compile(r"(?<![\w.])(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})(?!\w)"),
    re.compile(r"(?<![\w/])(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>\d{4})(?![\w/])"),
    re.compile(rf"\b(?P<name>{_MONTH})\.?\s+(?:the\s+)?{_DAY}{_YEAR}\b", re.IGNORECASE),
    re.compile(rf"\b{_DAY}\s+(?:of\s+)?(?P<name>{_MONTH})\b\.?{_YEAR}", re.IGNORECASE),
)
_SLASHED = re.compile(r"(\d{1,2})/\d{1,2}/\d{4}")
_RELATIVE = re.compile(r"\b(today|tomorrow|yesterday)\b", re.IGNORECASE)
_YEARS = re.compile(r"(?<!\d)(?:19|20)\d{2}(?!\d)")
_LAYOUTS = (
    (r"\d{4}-\d{2}-\d{2}", "{0.year:04}-{0.month:02}-{0.day:02}"),
    (r"\d{4}/\d{2}/\d{2}", "{0.year:04}/{0.month:02}/{0.day:02}"),
    (r"\d{8}", "{0.year:04}{0.month:02}{0.day:02}"),
    (r"\d{2}\.\d{2}\.\d{4}", "{0.day:02}.{0.month:02}.{0.year}"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "{0.day}.{0.month}.{0.year}"),
    (r"(?:1[3-9]|[23]\d)/\d{2}/\d{4}", "{0.day:02}/{0.month:02}/{0.year}"),
    (r"(?:1[3-9]|[23]\d)/\d{1,2}/\d{4}", "{0.day}/{0.month}/{0.year}"),
    (r"\d{2}/\d{2}/\d{4}", "{0.month:02}/{0.day:02}/{0.year}"),
    (r"\d{1,2}/\d{1,2}/\d{4}", "{0.month}/{0.day}/{0.year}"),
    *(
        (layout.replace("MON", word).replace("DD", digits), written.replace("MON", name).replace("DD", day))
        for layout, written in (
            (r"MON DD, \d{4}", "MON DD, {0.year}"), (r"DD MON \d{4}", "DD MON {0.year}"),
            ("MON DD", "MON DD"), ("DD MON", "DD MON"),
        )
        for word, name in ((r"[A-Z][a-z]{2}", "{1:.3}"), (r"[A-Z][a-z]+", "{1}"))
        for digits, day in ((r"0\d", "{0.day:02}"), (r"\d{1,2}", "{0.day}"))
    ),
)  # fmt: skip
_MIDNIGHT = re.compile(r"[T ]00:00(?::00)?(?:\.0+)?(?:Z|[+-]\d{2}:?\d{2})?")
_ISO_CHARS = 10
_LEAP_YEAR = date(2024, 6, 1)
_LONGEST = 24
_MONTHS_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class Day:
    """A date found in words: where, which day, and what had to be supposed."""

    start: int
    end: int
    day: date
    note: str


def days_in(text: str, *, today: date, like: Json = None) -> list[Day]:
    """Return the dates in a text; of spans that overlap the most telling one.

    Args:
        text: The words.
        today: A date without a year means the one nearest to this day, unless the text names one year.
        like: Another date; in which order it has day and month decides where ``04/05/2024`` leaves it open.
    """
    order = _SLASHED.fullmatch(str(like or "").strip())
    names = (
        None if order is None else ("day", "month") if int(order[1]) > _MONTHS_A_YEAR else ("month", "day")
    )
    years = {int(year) for year in _YEARS.findall(text)}
    found: list[Day] = []
    for pattern in _WRITTEN:
        for match in pattern.finditer(text):
            parts = match.groupdict()
            if names and _is_open(parts):
                parts = dict(zip((*names, "year"), match.groups(), strict=True))
            day, note = _day(parts, today, years)
            free = all(match.end() <= other.start or match.start() >= other.end for other in found)
            if day is not None and free:
                found.append(Day(*match.span(), day, note))
    return [*found, *_relative(text, today)]


def _is_open(parts: Mapping[str, str | None]) -> bool:
    """Tell whether a date does not say which of its numbers is the month."""
    first, second = int(parts.get("first") or 0), int(parts.get("second") or 0)
    return 0 < first <= _MONTHS_A_YEAR and second <= _MONTHS_A_YEAR and first != second


def _relative(text: str, today: date) -> Iterator[Day]:
    for match in _RELATIVE.finditer(text):
        word = match[1].lower()
        offset = {"today": 0, "tomorrow": 1, "yesterday": -1}[word]
        yield Day(*match.span(), today + timedelta(days=offset), f"{word}, seen from {today}")


def parse_date(text: str, *, today: date, like: Json = None) -> date | None:
    """Return the date that the whole text says, or None; arguments as for ``days_in``."""
    text = text.strip()
    found = days_in(text, today=today, like=like)
    return next((one.day for one in found if (one.start, one.end) == (0, len(text))), None)


def like_default(day: date, default: Json) -> str:
    """Write a date as the default is written; ISO when there is no telling."""
    text = str(default or "").strip()
    if _MIDNIGHT.fullmatch(text, _ISO_CHARS):
        return day.isoformat() + text[_ISO_CHARS:]
    layout = _layout(text)
    return layout.format(day, MONTHS[day.month - 1]) if layout else day.isoformat()


def _layout(text: str) -> str | None:
    """Return how a date is laid out, None for what is none or is laid out in another way."""
    return next((layout for pattern, layout in _LAYOUTS if re.fullmatch(pattern, text)), None)


def is_written_day(text: str, *, named: bool = False) -> bool:
    """Tell whether a text is a day in a layout in which any other day can be written without doubt.

    Args:
        text: As a tool took it.
        named: Whether its name speaks of a day; without that, eight digits may be any number.
    """
    if not 5 <= len(text) <= _LONGEST or (text.isdecimal() and not named):  # noqa: PLR2004  ("May 5")
        return False
    day = parse_date(_spaced(text), today=_LEAP_YEAR) if _layout(text) else None
    return day is not None and like_default(day, text) == text


def _spaced(text: str) -> str:
    """Return eight digits as a date that can be read."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if text.isdecimal() else text


def keeps_a_time(default: Json) -> bool:
    """Tell whether a default is a point in time within a day, which a day alone cannot replace."""
    text = str(default or "").strip()
    iso = re.match(r"\d{4}-\d{2}-\d{2}[T ]\d", text) is not None
    return iso and _MIDNIGHT.fullmatch(text, _ISO_CHARS) is None


def _day(parts: Mapping[str, str | None], today: date, years: set[int]) -> tuple[date | None, str]:
    month, day = _month_and_day(parts)
    if parts.get("year"):
        return _date(int(parts["year"] or 0), month, day), ""
    if len(years) == 1:
        (year,) = years
        return _date(year, month, day), f"year {year} as elsewhere in the task"
    near = [_date(today.year + offset, month, day) for offset in (-1, 0, 1)]
    nearest = min((one for one in near if one), key=lambda one: abs(one - today), default=None)
    return nearest, f"year {nearest.year}, the nearest to {today}" if nearest else ""


def _month_and_day(parts: Mapping[str, str | None]) -> tuple[int, int]:
    """Return month and day; 0 for both when they cannot be told apart (``04/05/2024``)."""
    if parts.get("first"):
        if _is_open(parts):
            return 0, 0
        first, second = int(parts["first"] or 0), int(parts["second"] or 0)
        return (second, first) if first > _MONTHS_A_YEAR else (first, second)
    day = int(parts["day"] or 0)
    if parts.get("name"):
        name = str(parts["name"])[:3].capitalize()
        return next(number for number, month in enumerate(MONTHS, 1) if month.startswith(name)), day
    return int(parts["month"] or 0), day


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
