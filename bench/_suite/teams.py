"""Family: teams with handoffs: a planner, an engineer and a reviewer who sends work back."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from _suite.formats import as_csv
from _suite.model import (
    Check,
    Family,
    Planted,
    Source,
    Task,
    Turn,
    json_is,
    node_with,
    other_value,
    printed,
    text_is,
)
from _suite.stand_ins import mends_code, says
from skillsmith.models import FromNode, Json, Node, Skill, Slot, Template

PAY_FIRST = """\
import csv

with open("timesheets_may.csv", newline="") as source:
    for row in csv.DictReader(source):
        print(row["name"], float(row["hours"]) * float(row["wage"]))
"""

PAY_SECOND = """\
import csv
import json

weeks = {}
with open("timesheets_may.csv", newline="") as source:
    for row in csv.DictReader(source):
        pay = float(row["hours"]) * float(row["rate"])
        weeks[row["name"]] = round(weeks.get(row["name"], 0) + pay, 2)
with open("payroll.json", "w") as target:
    json.dump(weeks, target)
print(f"{len(weeks)} people")
"""

PAY = """\
import csv
import json

FULL_WEEK = 40
OVERTIME = 1.5
pay = {}
with open("timesheets_may.csv", newline="") as source:
    for row in csv.DictReader(source):
        hours, rate = float(row["hours"]), float(row["rate"])
        extra = max(hours - FULL_WEEK, 0)
        earned = (hours - extra) * rate + extra * rate * OVERTIME
        pay[row["name"]] = pay.get(row["name"], 0) + earned
with open("payroll.json", "w") as target:
    json.dump({name: round(amount, 2) for name, amount in sorted(pay.items())}, target, indent=1)
print(f"{len(pay)} people")
"""

SUMS = """\
import json

with open("payroll.json") as source:
    pay = json.load(source)
with open("payroll.txt", "w") as target:
    for name, amount in pay.items():
        target.write(f"{name:<12}{amount:>10.2f}\\n")
    target.write(f"{'total':<12}{sum(pay.values()):>10.2f}\\n")
print(f"total {sum(pay.values()):.2f}")
"""

TABLE_FIRST = """\
import csv
from collections import Counter

points = Counter()
with open("matches.csv", newline="") as source:
    for game in csv.DictReader(source):
        if int(game["goals_home"]) > int(game["goals_away"]):
            points[game["home"]] += 3
        else:
            points[game["away"]] += 3
with open("standings.csv", "w") as target:
    for team, total in points.most_common():
        target.write(f"{team},{total}\\n")
"""

TABLE = """\
import csv
from collections import defaultdict

POINTS_FOR_WIN = 3
POINTS_FOR_DRAW = 1
points, goals = defaultdict(int), defaultdict(int)
with open("matches.csv", newline="") as source:
    for game in csv.DictReader(source):
        home, away = int(game["goals_home"]), int(game["goals_away"])
        goals[game["home"]] += home - away
        goals[game["away"]] += away - home
        if home == away:
            points[game["home"]] += POINTS_FOR_DRAW
            points[game["away"]] += POINTS_FOR_DRAW
        else:
            points[game["home"] if home > away else game["away"]] += POINTS_FOR_WIN
order = sorted(goals, key=lambda team: (-points[team], -goals[team], team))
with open("standings.csv", "w") as target:
    target.write("place,team,points,difference\\n")
    for place, team in enumerate(order, 1):
        target.write(f"{place},{team},{points[team]},{goals[team]}\\n")
print(f"first: {order[0]}")
"""

WORKERS = "Ida Jon Kim Lea Max Nia".split()
CLUBS = "Harbour Rovers United Mills Castle Forest".split()


def sheets(seed: int, weeks: int) -> list[dict[str, Json]]:
    """Return a line a worker and week."""
    draw = random.Random(seed)
    rates = {name: draw.randint(60, 160) / 4 for name in WORKERS}
    return [
        {"week": week, "name": name, "hours": draw.randint(80, 220) / 4, "rate": rates[name]}
        for week in range(1, weeks + 1)
        for name in WORKERS
    ]


def payroll(rows: Sequence[Mapping[str, Json]], full_week: int, factor: Fraction) -> dict[str, float]:
    """Return what everybody earned, with exact fractions."""
    pay = defaultdict[str, Fraction](Fraction)
    for row in rows:
        hours, rate = Fraction(row["hours"]), Fraction(row["rate"])
        extra = max(hours - full_week, Fraction(0))
        pay[row["name"]] += rate * (hours - extra + factor * extra)
    return {name: round(float(pay[name]), 2) for name in sorted(pay)}


def payslips(pay: Mapping[str, float]) -> list[str]:
    """Return the lines of the list for people."""
    lines = [name.ljust(12) + f"{amount:.2f}".rjust(10) for name, amount in pay.items()]
    return [*lines, "total".ljust(12) + f"{sum(pay.values()):.2f}".rjust(10)]


def games(seed: int, rounds: int) -> list[dict[str, Json]]:
    """Return matches of everybody against everybody."""
    draw = random.Random(seed)
    return [
        {"home": home, "away": away, "goals_home": draw.randint(0, 4), "goals_away": draw.randint(0, 3)}
        for _ in range(rounds)
        for home in CLUBS
        for away in CLUBS
        if home != away
    ]


def standings(found: Sequence[Mapping[str, Json]], win: int, draw: int) -> list[str]:
    """Return the lines of the table, club by club."""
    table = []
    for club in CLUBS:
        points = difference = 0
        for game in found:
            if club not in (game["home"], game["away"]):
                continue
            margin = (game["goals_home"] - game["goals_away"]) * (1 if club == game["home"] else -1)
            difference += margin
            points += win if margin > 0 else draw if margin == 0 else 0
        table.append((-points, -difference, club))
    lines = [f"{place},{club},{-points},{-gap}" for place, (points, gap, club) in enumerate(sorted(table), 1)]
    return ["place,team,points,difference", *lines]


def _paid(bank: str, listing: str, pay: Mapping[str, float]) -> tuple[Check, ...]:
    total = f"total {sum(pay.values()):.2f}"
    return json_is(bank, dict(pay)), text_is(listing, payslips(pay)), printed(total)


PAYROLL = Source(
    name="payroll_with_overtime",
    task=(
        "Prepare the payroll from timesheets_may.csv: hours times rate, hours above 40 a week count 1.5"
        " times; payroll.json for the bank and a list for people in payroll.txt"
    ),
    files={"timesheets_may.csv": as_csv(sheets(81, 4))},
    checks=_paid("payroll.json", "payroll.txt", payroll(sheets(81, 4), 40, Fraction("1.5"))),
    turns=(
        Turn(agent="planner", text="1. pay per person with overtime into payroll.json 2. the list"
                                   " payroll.txt",
             reasoning="Overtime is per week, so line by line."),
        Turn(agent="engineer", text="A first look.", code=PAY_FIRST),
        Turn(agent="engineer", text="The column is called rate.", code=PAY_SECOND,
             reasoning="KeyError: 'wage'"),
        Turn(agent="reviewer", text="Overtime is missing: hours above 40 a week count 1.5 times.",
             reasoning="Kim has 52 hours at the plain rate."),
        Turn(agent="engineer", text="With overtime now.", code=PAY),
        Turn(agent="engineer", text="And the list for people.", code=SUMS),
        Turn(agent="reviewer", text="Both files are right. Approved."),
    ),
)  # fmt: skip


def with_reporter(skill: Skill) -> Skill:
    """Have a reporter say a sentence on the winner in the end."""
    table = node_with("POINTS_FOR_WIN")(skill)
    node = Node(
        id="n9", kind="agent", title="a sentence on the winner", agent="reporter", effect="read",
        after=(table,),
        template=Template(text="Write one sentence on the club that has won: {winner}",
                          slots=(Slot(variable="winner", encoding="text"),)),
        bindings={"winner": FromNode(table)},
    )  # fmt: skip
    properties = {**skill.outputs["properties"], "sentence": {"type": "string"}}
    return replace(
        skill, nodes=(*skill.nodes, node), outputs={**skill.outputs, "properties": properties},
        output_bindings={**skill.output_bindings, "sentence": FromNode("n9")},
    )  # fmt: skip


def _sentence_is(text: str) -> Check:
    return lambda done: [] if done.outputs.get("sentence") == text else [f"the sentence is not {text!r}"]


LEAGUE = Source(
    name="league_standings",
    task=(
        "Work out the league table of matches.csv, 3 points for a win and 1 for a draw, better goal"
        " difference first on equal points, into standings.csv"
    ),
    files={"matches.csv": as_csv(games(82, 1))},
    checks=(text_is("standings.csv", standings(games(82, 1), 3, 1)),),
    edit=with_reporter,
    turns=(
        Turn(agent="planner", text="Points and goal difference of every team, then sort."),
        Turn(agent="engineer", text="Points first.", code=TABLE_FIRST),
        Turn(agent="reviewer", text="Draws give 1 point to each, and goal difference is missing."),
        Turn(agent="engineer", text="All of it now.", code=TABLE),
        Turn(agent="reviewer", text="The table is right. Approved."),
    ),
)  # fmt: skip


def _pay(
    words: str,
    name: str,
    *,
    bank: str,
    listing: str,
    seed: int,
    weeks: int,
    full: int = 40,
    factor: str = "1.5",
) -> Task:
    rows = sheets(seed, weeks)
    pay = payroll(rows, full, Fraction(factor))
    changes: tuple[tuple[Json, Json], ...] = (
        ("payroll.json", bank), ("payroll.txt", listing), (40, full), (1.5, float(factor)),
    )  # fmt: skip
    planted = tuple(other_value(was, now) for was, now in changes if was != now)
    return Task(
        words=words, skill=PAYROLL.name, files={name: as_csv(rows)}, planted=planted,
        checks=_paid(bank, listing, pay),
    )  # fmt: skip


def _league(
    words: str, name: str, target: str, *, seed: int, rounds: int, win: int = 3, draw: int = 1,
    deputy: str | None = None,
) -> Task:  # fmt: skip
    found = games(seed, rounds)
    changes: tuple[tuple[Json, Json], ...] = (("standings.csv", target), (3, win), (1, draw))
    planted = tuple(other_value(was, now) for was, now in changes if was != now)
    if deputy:
        planted += (Planted(kind="agent_deviation", target=node_with("one sentence"), after=deputy),)
    sentence = f"A great season, says {name}!"
    return Task(
        words=words, skill=LEAGUE.name, files={name: as_csv(found)}, planted=planted,
        checks=(text_is(target, standings(found, win, draw)), _sentence_is(sentence)),
        agents=says(sentence, name=deputy),
    )  # fmt: skip


def _clock(words: str, name: str, *, bank: str, listing: str, seed: int, weeks: int) -> Task:
    """Return a payroll whose hours are written like 7:30: the code breaks and has to be mended."""
    rows = sheets(seed, weeks)
    written = [{**row, "hours": _as_clock(float(row["hours"]))} for row in rows]
    code = PAY.replace("timesheets_may.csv", name).replace("payroll.json", bank)
    mended = code.replace(
        'hours, rate = float(row["hours"]), float(row["rate"])',
        'full, minutes = row["hours"].split(":")\n'
        '        hours, rate = int(full) + int(minutes) / 60, float(row["rate"])',
    )
    return Task(
        words=words, skill=PAYROLL.name, files={name: as_csv(written)},
        planted=(
            other_value("payroll.json", bank), other_value("payroll.txt", listing),
            Planted(kind="code_modification", target=node_with("FULL_WEEK")),
        ),
        checks=_paid(bank, listing, payroll(rows, 40, Fraction("1.5"))),
        agents=mends_code(mended, "The hours are written as on a clock.",
        when="could not convert string to float"),
    )  # fmt: skip


def _as_clock(hours: float) -> str:
    return f"{int(hours)}:{round(hours % 1 * 60):02}"


FAMILY = Family(
    name="agent teams",
    sources=(PAYROLL, LEAGUE),
    tasks=(
        _pay("Please prepare the payroll from timesheets_june.csv: hours times rate, hours above 40 a"
             " week count 1.5 times; payroll.json for the bank and the list for people in june.txt",
             "timesheets_june.csv", bank="payroll.json", listing="june.txt", seed=91, weeks=5),
        _pay("Payroll from hours_plant2.csv please, hours above 38 a week count 1.5 times; plant2.json"
             " for the bank and plant2.txt for people.",
             "hours_plant2.csv", bank="plant2.json", listing="plant2.txt", full=38, seed=92, weeks=26),
        _pay("Prepare the payroll from night_shift.csv: hours times rate, hours above 35 a week count"
             " 1.75 times;"
             " night.json for the bank, night.txt for people", "night_shift.csv", bank="night.json",
             listing="night.txt", full=35, factor="1.75", seed=93, weeks=52),
        _league("Work out the league table of autumn.csv, 3 points for a win and 1 for a draw, into"
                " autumn_table.csv",
                "autumn.csv", "autumn_table.csv", seed=94, rounds=2),
        _league("What does the league table of juniors.csv look like with 2 points for a win and 1 for a"
                " draw? Put it into juniors_table.csv.",
                "juniors.csv", "juniors_table.csv", win=2, seed=95, rounds=4),
        _league("Please work out the league table of the matches in spring.csv, 4 points for a win and 2"
                " for a"
                " draw, into spring_table.csv.", "spring.csv", "spring_table.csv", win=4, draw=2, seed=96,
                rounds=40, deputy="sports desk"),
        _clock("Prepare the payroll from shop_floor.csv: hours times rate, hours above 40 a week count"
               " 1.5 times; floor.json for the bank and a list for people in floor.txt",
               "shop_floor.csv", bank="floor.json", listing="floor.txt", seed=97, weeks=8),
    ),
)  # fmt: skip
