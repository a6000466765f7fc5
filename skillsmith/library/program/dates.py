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
_RELATIVE = re.compile(r"\b(today|tomorrow|yesterday)\b", re.IGNORECASE)
_YEARS = re.compile(r"(?<!\d)(?:19|20)\d{2}(?!\d)")
_LAYOUTS = (
    (r"\d{4}-\d{2}-\d{2}", "{0.year:04}-{0.month:02}-{0.day:02}"),
    (r"\d{4}/\d{2}/\d{2}", "{0.year:04}/{0.month:02}/{0.day:02}"),
    (r"\d{8}", "{0.year:04}{0.month:02}{0.day:02}"),
    (r"\d{2}\.\d{2}\.\d{4}", "{0.day:02}.{0.month:02}.{0.year}"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "{0.day}.{0.month}.{0.year}"),
    (r"\d{2}/\d{2}/\d{4}", "{0.month:02}/{0.day:02}/{0.year}"),
    (r"\d{1,2}/\d{1,2}/\d{4}", "{0.month}/{0.day}/{0.year}"),
    (r"[A-Z][a-z]{2} \d{1,2}, \d{4}", "{1:.3} {0.day}, {0.year}"),
    (r"[A-Z][a-z]+ \d{1,2}, \d{4}", "{1} {0.day}, {0.year}"),
    (r"\d{1,2} [A-Z][a-z]{2} \d{4}", "{0.day} {1:.3} {0.year}"),
    (r"\d{1,2} [A-Z][a-z]+ \d{4}", "{0.day} {1} {0.year}"),
)


@dataclass(frozen=True, slots=True)
class Day:
    """A date found in words: where, which day, and what had to be supposed."""

    start: int
    end: int
    day: date
    note: str


def days_in(text: str, *, today: date) -> list[Day]:
    """Return the dates in a text; of spans that overlap the most telling one.

    Args:
        text: The words.
        today: A date without a year means the one nearest to this day, unless the text names one year.
    """
    years = {int(year) for year in _YEARS.findall(text)}
    found: list[Day] = []
    for pattern in _WRITTEN:
        for match in pattern.finditer(text):
            day, note = _day(match.groupdict(), today, years)
            free = all(match.end() <= other.start or match.start() >= other.end for other in found)
            if day is not None and free:
                found.append(Day(*match.span(), day, note))
    return [*found, *_relative(text, today)]


def _relative(text: str, today: date) -> Iterator[Day]:
    for match in _RELATIVE.finditer(text):
        word = match[1].lower()
        offset = {"today": 0, "tomorrow": 1, "yesterday": -1}[word]
        yield Day(*match.span(), today + timedelta(days=offset), f"{word}, seen from {today}")


def parse_date(text: str, *, today: date) -> date | None:
    """Return the date that the whole text says, or None."""
    text = text.strip()
    whole = [found.day for found in days_in(text, today=today) if (found.start, found.end) == (0, len(text))]
    return whole[0] if whole else None


def like_default(day: date, default: Json) -> str:
    """Write a date as the default is written; ISO when there is no telling."""
    text = str(default or "").strip()
    for pattern, layout in _LAYOUTS:
        if re.fullmatch(pattern, text):
            return layout.format(day, MONTHS[day.month - 1])
    return day.isoformat()


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
        first, second = int(parts["first"] or 0), int(parts["second"] or 0)
        if first <= 12 and second <= 12 and first != second:  # noqa: PLR2004  (months)
            return 0, 0
        return (second, first) if first > 12 else (first, second)  # noqa: PLR2004
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
