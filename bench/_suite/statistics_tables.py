"""Family: statistics over tables: figures per group of a column, a straight line through two columns."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from _suite.formats import as_csv
from _suite.model import Family, Planted, Source, Task, Turn, node_with, other_value, printed, text_is
from _suite.stand_ins import mends_code
from skillsmith.models import Json

Row = Mapping[str, Json]

GROUPS_FIRST = """\
import csv
import statistics
from collections import defaultdict

groups = defaultdict(list)
with open("weather_bergen.csv", newline="") as source:
    for row in csv.DictReader(source):
        groups[row["station"]].append(float(row["temperature"]))
for station, values in sorted(groups.items()):
    print(station, round(statistics.mean(values), 2))
"""

GROUPS = """\
import csv
import statistics
from collections import defaultdict

value_column = "temperature"
group_column = "station"
groups = defaultdict(list)
with open("weather_bergen.csv", newline="") as source:
    for row in csv.DictReader(source):
        if row[value_column].strip() not in ("", "NA"):
            groups[row[group_column]].append(float(row[value_column]))

with open("summary.csv", "w", newline="") as target:
    writer = csv.writer(target, lineterminator="\\n")
    writer.writerow([group_column, "count", "mean", "median", "stdev"])
    for group, values in sorted(groups.items()):
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        figures = (statistics.mean(values), statistics.median(values), spread)
        writer.writerow([group, len(values), *(f"{figure:.2f}" for figure in figures)])
print(f"{len(groups)} groups")
"""

LINE = """\
import csv

import numpy as np

with open("people.csv", newline="") as source:
    rows = list(csv.DictReader(source))
x = np.array([float(row["height"]) for row in rows])
y = np.array([float(row["weight"]) for row in rows])
slope, intercept = np.polyfit(x, y, 1)
residuals = y - (slope * x + intercept)
r_squared = 1 - (residuals**2).sum() / ((y - y.mean()) ** 2).sum()
print(f"slope {slope:.3f}")
print(f"intercept {intercept:.3f}")
print(f"r squared {r_squared:.3f}")
"""


def measurements(seed: int, count: int, groups: str, *columns: str) -> list[Row]:
    """Return rows with a group and a few figures, some of which are missing.

    Args:
        seed: For other rows another number.
        count: How many.
        groups: The group's column and its values: ``station:Flesland,Florida``.
        columns: Names of the columns with figures.
    """
    draw = random.Random(seed)
    group, _, names = groups.partition(":")
    rows: list[Row] = []
    for number in range(count):
        gone = draw.random() < 0.05
        figures = {name: "NA" if gone else round(draw.gauss(12, 6), 1) for name in columns}
        rows.append({"day": number, group: draw.choice(names.split(",")), **figures})
    return rows


def pairs(seed: int, count: int, x: str, y: str) -> list[Row]:
    """Return points along a line, with noise."""
    draw = random.Random(seed)
    slope, start = draw.uniform(0.3, 3), draw.uniform(-20, 40)
    rows: list[Row] = []
    for number in range(count):
        at = draw.uniform(40, 200)
        rows.append({"id": number, x: round(at, 2), y: round(start + slope * at + draw.gauss(0, 5), 2)})
    return rows


def summary_of(rows: Sequence[Row], value: str, group: str) -> list[str]:
    """Return the lines of the summary, by the textbook's formulas."""
    lines = [f"{group},count,mean,median,stdev"]
    for name in sorted({str(row[group]) for row in rows}):
        known = sorted(float(row[value]) for row in rows if row[group] == name and row[value] != "NA")
        count = len(known)
        mean = math.fsum(known) / count
        middle = (known[(count - 1) // 2] + known[count // 2]) / 2
        spread = math.sqrt(math.fsum((one - mean) ** 2 for one in known) / (count - 1)) if count > 1 else 0.0
        lines.append(f"{name},{count},{mean:.2f},{middle:.2f},{spread:.2f}")
    return lines


def line_of(rows: Sequence[Row], x: str, y: str) -> tuple[str, str, str]:
    """Return slope, intercept and coefficient of determination, from sums of squares."""
    xs, ys = [float(row[x]) for row in rows], [float(row[y]) for row in rows]
    mean_x, mean_y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    xx = math.fsum((one - mean_x) ** 2 for one in xs)
    yy = math.fsum((one - mean_y) ** 2 for one in ys)
    xy = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(xs, ys, strict=True))
    slope = xy / xx
    return (
        f"slope {slope:.3f}",
        f"intercept {mean_y - slope * mean_x:.3f}",
        f"r squared {xy * xy / xx / yy:.3f}",
    )


_BERGEN = measurements(3, 200, "station:Flesland,Florida,Sandsli", "temperature", "humidity")
_PEOPLE = pairs(4, 80, "height", "weight")

SUMMARY = Source(
    name="grouped_statistics",
    task=(
        "Compute count, mean, median and standard deviation of the column temperature for each station in"
        " weather_bergen.csv and write them to summary.csv. Some values are missing (NA); leave those out."
    ),
    files={"weather_bergen.csv": as_csv(_BERGEN)},
    checks=(text_is("summary.csv", summary_of(_BERGEN, "temperature", "station")),),
    turns=(
        Turn(agent="planner", text="Group by station, then the four figures of temperature, one line each."),
        Turn(agent="engineer", text="A first look at the means.", code=GROUPS_FIRST),
        Turn(agent="engineer", text="NA cannot be read as a number; I leave those rows out and do the rest.",
             code=GROUPS, reasoning="ValueError: could not convert string to float: 'NA'"),
        Turn(agent="reviewer", text="summary.csv has one line per station with all four figures. Approved."),
    ),
)  # fmt: skip

FIT = Source(
    name="straight_line",
    task="Fit a straight line through height (x) and weight (y) in people.csv. Tell slope and intercept.",
    files={"people.csv": as_csv(_PEOPLE)},
    checks=(printed(*line_of(_PEOPLE, "height", "weight")),),
    turns=(
        Turn(agent="engineer", text="Least squares with numpy; I add the coefficient of determination.",
             code=LINE),
        Turn(agent="reviewer", text="The line is plausible. Approved."),
    ),
)  # fmt: skip


def _summary(words: str, name: str, target: str, value: str, group: str, *, seed: int, count: int) -> Task:
    column, _, _ = group.partition(":")
    rows = measurements(seed, count, group, *dict.fromkeys((value, "humidity")))
    return Task(
        words=words, skill=SUMMARY.name, files={name: as_csv(rows)},
        planted=(other_value("summary.csv", target),) if target != "summary.csv" else (),
        checks=(text_is(target, summary_of(rows, value, column)),),
    )  # fmt: skip


def _with_commas(words: str, name: str, target: str, *, seed: int, count: int) -> Task:
    """Return a task whose figures have decimal commas: the code breaks and has to be mended."""
    rows = measurements(seed, count, "station:Nord,Sud", "temperature")
    written = [{**row, "temperature": str(row["temperature"]).replace(".", ",")} for row in rows]
    code = GROUPS.replace("weather_bergen.csv", name).replace("summary.csv", target)
    mended = code.replace(
        "append(float(row[value_column]))", 'append(float(row[value_column].replace(",", ".")))'
    )
    return Task(
        words=words, skill=SUMMARY.name, files={name: as_csv(written)},
        checks=(text_is(target, summary_of(rows, "temperature", "station")),),
        planted=(
            other_value("summary.csv", target),
            Planted(kind="code_modification", target=node_with("statistics.stdev")),
        ),
        agents=mends_code(mended, "The figures have decimal commas.",
        when="could not convert string to float"),
    )  # fmt: skip


def _fit(words: str, name: str, x: str, y: str, *, seed: int, count: int) -> Task:
    rows = pairs(seed, count, x, y)
    checks = (printed(*line_of(rows, x, y)),)
    return Task(words=words, skill=FIT.name, files={name: as_csv(rows)}, checks=checks)


FAMILY = Family(
    name="statistics",
    sources=(SUMMARY, FIT),
    tasks=(
        _summary("What are count, mean, median and standard deviation of temperature for each station in"
                 " weather_tromso.csv? Write them to tromso.csv.",
                 "weather_tromso.csv", "tromso.csv", "temperature", "station:Langnes,Holt",
                 seed=21, count=3000),
        _summary("Please compute mean, median and standard deviation of the column humidity for each station"
                 " in coast.csv; summary.csv is fine as the file for the results.",
                 "coast.csv", "summary.csv", "humidity", "station:Vardo,Bodo,Moss", seed=22, count=800),
        _summary("Statistics (count, mean, median, standard deviation) of the column pressure for each"
                 " station in harbour.csv, written to pressure.csv please",
                 "harbour.csv", "pressure.csv", "pressure", "station:A1,B2,C3,D4", seed=23, count=5000),
        _with_commas("Compute count, mean, median and standard deviation of the column temperature for each"
                     " station in alps.csv and write them to alps_summary.csv.",
                     "alps.csv", "alps_summary.csv", seed=27, count=900),
        _fit("Fit a straight line through height (x) and weight (y) in athletes.csv and give me slope and"
             " intercept.", "athletes.csv", "height", "weight", seed=24, count=4000),
        _fit("Which straight line goes best through speed (x) and distance (y) in braking.csv? I need slope"
             " and intercept.", "braking.csv", "speed", "distance", seed=25, count=300),
        _fit("Please fit a line through dose (x) and response (y) in trial.csv, tell me its slope and"
             " intercept.", "trial.csv", "dose", "response", seed=26, count=1200),
    ),
)  # fmt: skip
