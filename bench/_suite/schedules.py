"""Family: dates and times: a rota, working days until a deadline, a monthly meeting as a calendar."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import date, timedelta

from _suite.model import Family, Source, Task, Turn, file_is, other_value, printed, text_is

ROTA = """\
import csv
from datetime import date, timedelta
from itertools import cycle

people = ["Anna", "Ben", "Carla"]
start = date.fromisoformat("2026-03-02")
days = 14
turn = cycle(people)
with open("rota.csv", "w", newline="") as target:
    writer = csv.writer(target, lineterminator="\\n")
    writer.writerow(["date", "weekday", "person"])
    for offset in range(days):
        day = start + timedelta(days=offset)
        writer.writerow([day.isoformat(), day.strftime("%A"), next(turn)])
print(f"{days} days for {len(people)} people")
"""

DEADLINE_FIRST = """\
from datetime import date, timedelta

day = date.fromisoformat("2026-04-01")
for _ in range(25):
    day += timedelta(days=1)
print("deadline", day.isoformat())
"""

DEADLINE = """\
from datetime import date, timedelta
from pathlib import Path

holidays = {date.fromisoformat(line) for line in Path("holidays.txt").read_text().split()}
day = date.fromisoformat("2026-04-01")
working_days = 25
while working_days:
    day += timedelta(days=1)
    if day.weekday() < 5 and day not in holidays:
        working_days -= 1
print("deadline", day.isoformat())
"""

MEETINGS = """\
import calendar
from datetime import date

year = 2027
title = "Board meeting"
lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//office//meetings//EN"]
for month in range(1, 13):
    tuesdays = [week[calendar.TUESDAY] for week in calendar.monthcalendar(year, month)]
    second = [day for day in tuesdays if day][1]
    stamp = date(year, month, second).strftime("%Y%m%d")
    lines += ["BEGIN:VEVENT", f"UID:{stamp}@office", f"DTSTAMP:{year}0101T000000Z",
              f"DTSTART:{stamp}T090000", f"SUMMARY:{title}", "END:VEVENT"]
lines.append("END:VCALENDAR")
with open("meetings.ics", "w", newline="") as target:
    target.write("\\r\\n".join(lines) + "\\r\\n")
print("12 meetings")
"""


def rota(people: Sequence[str], start: date, days: int) -> list[str]:
    """Return the lines of the rota."""
    lines = ["date,weekday,person"]
    for offset in range(days):
        day = date.fromordinal(start.toordinal() + offset)
        lines.append(f"{day},{calendar.day_name[day.weekday()]},{people[offset % len(people)]}")
    return lines


def deadline(start: date, working_days: int, holidays: Sequence[date]) -> date:
    """Return the day by listing all that count."""
    later = (start + timedelta(days=offset) for offset in range(1, 3 * working_days + 30))
    counting = [day for day in later if day.isoweekday() not in (6, 7) and day not in holidays]
    return counting[working_days - 1]


def meetings(year: int, title: str) -> list[list[str]]:
    """Return start and title of each meeting: the second Tuesday lies between the 8th and the 14th."""
    found = []
    for month in range(1, 13):
        day = next(day for day in range(8, 15) if date(year, month, day).isoweekday() == 2)
        found.append([f"{year}{month:02}{day:02}T090000", title])
    return found


def events_in(content: bytes) -> list[list[str]]:
    """Return start and title of a calendar's events."""
    text = content.decode()
    return [list(one) for one in re.findall(r"DTSTART:(\S+)\r\nSUMMARY:(.*?)\r\n", text)]


HOLIDAYS = [date(2026, 4, 3), date(2026, 4, 6), date(2026, 5, 1)]

PLAN = Source(
    name="duty_rota",
    task="Plan a rota for Anna, Ben and Carla, one person a day in turn, for 14 days from 2026-03-02, as"
         " rota.csv",
    checks=(text_is("rota.csv", rota(["Anna", "Ben", "Carla"], date(2026, 3, 2), 14)),),
    turns=(
        Turn(agent="planner", text="Every person in turn, a line per day."),
        Turn(agent="engineer", text="Here it is.", code=ROTA),
        Turn(agent="reviewer", text="14 lines, in turn. Approved."),
    ),
)  # fmt: skip

DUE = Source(
    name="working_day_deadline",
    task="Which day is 25 working days after 2026-04-01? The holidays are in holidays.txt.",
    files={"holidays.txt": "".join(f"{day}\n" for day in HOLIDAYS)},
    checks=(printed(f"deadline {deadline(date(2026, 4, 1), 25, HOLIDAYS)}"),),
    turns=(
        Turn(agent="engineer", text="I count the days.", code=DEADLINE_FIRST),
        Turn(agent="reviewer", text="Weekends and holidays must not count."),
        Turn(agent="engineer", text="Working days only.", code=DEADLINE),
        Turn(agent="reviewer", text="That is right. Approved."),
    ),
)  # fmt: skip

BOARD = Source(
    name="monthly_meeting_calendar",
    task=(
        'Make a calendar file meetings.ics with a "Board meeting" on the second Tuesday of every month of the'
        " year 2027, at nine in the morning"
    ),
    checks=(file_is("meetings.ics", events_in, meetings(2027, "Board meeting")),),
    turns=(
        Turn(agent="engineer", text="Twelve events.", code=MEETINGS),
        Turn(agent="reviewer", text="The calendar opens. Approved."),
    ),
)  # fmt: skip


def _rota(words: str, people: Sequence[str], start: str, days: int, target: str) -> Task:
    return Task(
        words=words, skill=PLAN.name, planted=(other_value("rota.csv", target), other_value(14, days)),
        checks=(text_is(target, rota(people, date.fromisoformat(start), days)),),
    )  # fmt: skip


def _due(words: str, start: str, days: int, file: str, holidays: Sequence[str]) -> Task:
    free = [date.fromisoformat(day) for day in holidays]
    right = deadline(date.fromisoformat(start), days, free)
    return Task(
        words=words, skill=DUE.name, files={file: "\n".join(holidays)},
        planted=(other_value(25, days),), checks=(printed(f"deadline {right}"),),
    )  # fmt: skip


def _board(words: str, title: str, year: int, target: str) -> Task:
    return Task(
        words=words, skill=BOARD.name,
        planted=(other_value("meetings.ics", target),) if target != "meetings.ics" else (),
        checks=(file_is(target, events_in, meetings(year, title)),),
    )  # fmt: skip


FAMILY = Family(
    name="schedules",
    sources=(PLAN, DUE, BOARD),
    tasks=(
        _rota("Please plan a rota for Dora, Emil and Fritz, one person a day in turn, for 21 days from"
              " 2026-08-17, as duty.csv", ["Dora", "Emil", "Fritz"], "2026-08-17", 21, "duty.csv"),
        _rota("We need a rota for Gina, Hugo, Iris and Jan, one a day in turn, for 10 days from"
              " 2027-01-04, as"
              " january.csv.", ["Gina", "Hugo", "Iris", "Jan"], "2027-01-04", 10, "january.csv"),
        _due("What day is 40 working days after 2026-10-05? Holidays are in days_off.txt.",
             "2026-10-05", 40, "days_off.txt", ["2026-11-02", "2026-12-01"]),
        _due("Which day is 10 working days after 2026-12-18? The holidays are in christmas.txt.",
             "2026-12-18", 10, "christmas.txt", ["2026-12-25", "2026-12-26", "2027-01-01"]),
        _board('Make a calendar file choir.ics with a "Choir practice" on the second Tuesday of every'
               ' month of the'
               " year 2028, at nine in the morning", "Choir practice", 2028, "choir.ics"),
        _board('I would like a calendar file with a "Budget review" on the second Tuesday of each month'
               ' of the'
               " year 2026.", "Budget review", 2026, "meetings.ics"),
    ),
)  # fmt: skip
