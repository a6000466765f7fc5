from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.matching.mentions import mentions
from skillsmith.library.program.dates import MONTHS, is_written_day, like_default, parse_date
from skillsmith.library.program.inputs import accept
from skillsmith.library.program.phones import like_phone
from skillsmith.library.trace.literals import type_of
from skillsmith.models import Variable

TODAY = date(2024, 5, 20)
DAYS = st.dates(date(1950, 1, 1), date(2090, 12, 31))
LAYOUTS = st.sampled_from([
    lambda day: day.isoformat(), lambda day: day.strftime("%Y/%m/%d"), lambda day: day.strftime("%d.%m.%Y"),
    lambda day: f"{day.month}/{day.day}/{day.year}", lambda day: f"{day.day:02}/{day.month:02}/{day.year}",
    lambda day: f"{MONTHS[day.month - 1]} {day.day}, {day.year}",
    lambda day: f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}",
    lambda day: f"{MONTHS[day.month - 1]} {day.day}",
])  # fmt: skip


def _date(default: str) -> Variable:
    return Variable(name="day", type="date", default=default)


def _said(task: str, default: str) -> list[object]:
    return [found.value for found in mentions(task, _date(default), today=TODAY, folder=Path())]


@settings(max_examples=80)
@given(DAYS, DAYS, LAYOUTS)
def test_a_day_is_written_as_the_tool_had_one(day: date, other: date, layout: object) -> None:
    """Wherever the layout leaves no doubt, any other day is written in it, and read back as that day."""
    assert callable(layout)
    recorded = layout(day)
    if not is_written_day(recorded):
        slashed = "/" in recorded and day.month != day.day and day.day <= 12
        assert slashed or (day.month, day.day) == (2, 29)
        return
    written = like_default(other, recorded)
    back = parse_date(written, today=other, like=recorded)
    assert (back.month, back.day) == (other.month, other.day) if back else (other.month, other.day) == (2, 29)
    assert {mark for mark in written if not mark.isalnum()} == {
        mark for mark in recorded if not mark.isalnum()
    }


@pytest.mark.parametrize(("recorded", "given_as", "written"), [
    ("05.06.2024", "July 12, 2024", "12.07.2024"), ("06/15/2024", "12 July 2024", "07/12/2024"),
    ("15/06/2024", "July 12, 2024", "12/07/2024"), ("15/06/2024", "12/07/2024", "12/07/2024"),
    ("06/15/2024", "07/12/2024", "07/12/2024"), ("20240605", "2024-07-12", "20240712"),
    ("Jun 05", "July 2", "Jul 02"), ("June 5", "2024-07-12", "July 12"),
    ("2024-06-05T00:00:00Z", "July 12, 2024", "2024-07-12T00:00:00Z"),
])  # fmt: skip
def test_a_date_said_in_another_way_is_bound_as_recorded(recorded: str, given_as: str, written: str) -> None:
    """In a task's words and given by hand, a date takes the recorded layout, day and month in its order."""
    assert _said(f"Book a table on {given_as} for 6", recorded) == [written]
    assert accept(given_as, _date(recorded), today=TODAY) == written


def test_a_day_alone_does_not_replace_a_point_in_time() -> None:
    """Where the tool took an hour too, words that only name a day bind nothing."""
    assert _said("Book a table on July 12, 2024", "2024-06-05T18:30:00") == []


def test_only_what_can_be_written_back_is_a_date() -> None:
    """An open order of day and month, a room, a day that never was and plain digits are no dates."""
    for text in ("06/05/2024", "Room 5", "31.02.2024", "20240605", "May", "5th of June 2024"):
        assert not is_written_day(text)
    assert type_of("start_date", "20240605") == "date"
    assert type_of("order", "20240605") == "string"
    assert type_of("when", "June 5, 2024") == "date"


@pytest.mark.parametrize(("recorded", "said", "written"), [
    ("5551234567", "(555) 987-6543", "5559876543"), ("+1 555-123-4567", "555 987 6543", "+1 555-987-6543"),
    ("(555) 123-4567", "555.987.6543", "(555) 987-6543"), ("123456789012", "1234567890", "1234567890"),
    ("5551234567", "+44 20 7946 0958", "+44 20 7946 0958"), ("Ann", "555 987 6543", "555 987 6543"),
    ("5551234567", "the office", "the office"),
])  # fmt: skip
def test_a_telephone_number_is_written_as_the_tool_had_one(recorded: str, said: str, written: str) -> None:
    """Marks are those of the recorded number; with other digits than it has, a number stays as it is."""
    assert like_phone(said, recorded) == written
    assert accept(said, Variable(name="phone", type="string", default=recorded)) == written
