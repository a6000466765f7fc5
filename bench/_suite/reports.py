"""Family: reports of several files: cleaned data, tables, charts and a page that brings them together."""

from __future__ import annotations

import io
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from _suite.formats import as_csv
from _suite.model import (
    Check,
    Family,
    Planted,
    Source,
    Task,
    Turn,
    file_is,
    input_with,
    node_with,
    only_if,
    other_value,
    text_is,
)
from _suite.stand_ins import adds_code
from skillsmith.models import Json, Skill

CLEAN = """\
import csv

with open("visits_april.csv", newline="") as source:
    visits = [row for row in csv.DictReader(source) if row["seconds"].isdigit() and row["page"]]
with open("clean.csv", "w", newline="") as target:
    writer = csv.DictWriter(target, fieldnames=["day", "page", "seconds"], lineterminator="\\n")
    writer.writeheader()
    writer.writerows(visits)
print(f"{len(visits)} visits kept")
"""

TABLES_FIRST = """\
import csv
from collections import Counter

with open("clean.csv", newline="") as source:
    pages = Counter(row["site"] for row in csv.DictReader(source))
print(pages.most_common(3))
"""

TABLES = """\
import csv
from collections import Counter, defaultdict

pages, days = Counter(), defaultdict(int)
with open("clean.csv", newline="") as source:
    for row in csv.DictReader(source):
        pages[row["page"]] += 1
        days[row["day"]] += int(row["seconds"])
with open("pages.csv", "w", newline="") as target:
    writer = csv.writer(target, lineterminator="\\n")
    writer.writerow(["page", "visits"])
    writer.writerows(sorted(pages.items(), key=lambda pair: (-pair[1], pair[0])))
with open("days.csv", "w", newline="") as target:
    writer = csv.writer(target, lineterminator="\\n")
    writer.writerow(["day", "minutes"])
    writer.writerows((day, seconds // 60) for day, seconds in sorted(days.items()))
print(f"{len(pages)} pages, {len(days)} days")
"""

PAGE = """\
import csv


def table(path):
    with open(path, newline="") as source:
        head, *rows = csv.reader(source)
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


with open("report_april.md", "w") as target:
    target.write("# Visits\\n\\n## Pages\\n\\n" + table("pages.csv"))
    target.write("\\n\\n## Days\\n\\n" + table("days.csv") + "\\n")
print("report written")
"""

CHART = """\
import csv

from PIL import Image, ImageDraw

with open("rainfall.csv", newline="") as source:
    bars = [(row["month"], float(row["mm"])) for row in csv.DictReader(source)]
width, height = 640, 360
image = Image.new("RGB", (width, height), "white")
draw = ImageDraw.Draw(image)
step, highest = width / len(bars), max(value for _, value in bars)
for index, (month, value) in enumerate(bars):
    top = height - round((height - 20) * value / highest)
    left = round(index * step)
    draw.rectangle((left, top, left + round(step) - 4, height), fill=(30, 90, 160))
image.save("rainfall.png")
print(f"{len(bars)} bars")
"""

CAPTION = """\
import csv

with open("rainfall.csv", newline="") as source:
    total = sum(float(row["mm"]) for row in csv.DictReader(source))
with open("caption.txt", "w") as target:
    target.write(f"{total:.1f} mm in all\\n")
print("caption written")
"""

PAGES = "/home /shop /about /faq /jobs".split()
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
BLUE = (30, 90, 160)
NEARLY_BLUE = 60
"""Formats with few colours change them a little."""


def visits(seed: int, count: int) -> list[dict[str, Json]]:
    """Return visits; some are broken."""
    draw = random.Random(seed)
    return [
        {
            "day": f"2026-04-{draw.randint(1, 20):02}",
            "page": draw.choice([*PAGES, ""]) if draw.random() < 0.2
            else draw.choice(PAGES), "seconds": "-" if draw.random() < 0.03 else draw.randint(1, 900),
        }
        for _ in range(count)
    ]  # fmt: skip


def markdown(rows: Sequence[Mapping[str, Json]]) -> list[str]:
    """Return what the report has to say."""
    good = [row for row in rows if row["page"] and row["seconds"] != "-"]
    pages = Counter(str(row["page"]) for row in good)
    days: dict[str, int] = defaultdict(int)
    for row in good:
        days[str(row["day"])] += int(row["seconds"])
    lines = ["# Visits", "", "## Pages", "", "| page | visits |", "|---|---|"]
    lines += [f"| {page} | {pages[page]} |" for page in sorted(pages, key=lambda one: (-pages[one], one))]
    lines += ["", "## Days", "", "| day | minutes |", "|---|---|"]
    return lines + [f"| {day} | {days[day] // 60} |" for day in sorted(days)]


def rain(seed: int, months: int) -> list[dict[str, Json]]:
    """Return the rainfall of some months."""
    draw = random.Random(seed)
    return [{"month": month, "mm": round(draw.uniform(5, 120), 1)} for month in MONTHS[:months]]


def bars_in(content: bytes) -> list[int]:
    """Return how high each bar of a chart is, in pixels, whatever its format."""
    import numpy as np  # noqa: PLC0415  (only to look at charts)
    from PIL import Image  # noqa: PLC0415  (as above)

    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=int)
    near = np.abs(pixels - np.array(BLUE)).max(axis=2) < NEARLY_BLUE
    columns = near.sum(axis=0).tolist()
    return [here for before, here in pairwise([0, *columns]) if here and not before]


def heights_of(rows: Sequence[Mapping[str, Json]]) -> list[int]:
    """Return how high the bars have to be: the highest month fills all but 20 of 360 pixels."""
    highest = max(float(row["mm"]) for row in rows)
    return [round(340 * float(row["mm"]) / highest) for row in rows]


def caption(rows: Sequence[Mapping[str, Json]]) -> Check:
    """Check the caption."""
    return text_is("caption.txt", [f"{sum(float(row['mm']) for row in rows):.1f} mm in all"])


def with_caption_if_long(skill: Skill) -> Skill:
    """Write the caption for at least half a year only: fewer months say little."""
    file = input_with("rainfall.csv")(skill)
    return only_if(skill, "caption", f"rows({file}) >= 6")


VISITS = Source(
    name="visits_report",
    task=(
        "Make a report on visits_april.csv: clean it (broken rows out), a table of pages by visits and one of"
        " minutes per day, both in report_april.md"
    ),
    files={"visits_april.csv": as_csv(visits(61, 300))},
    checks=(text_is("report_april.md", markdown(visits(61, 300))),),
    turns=(
        Turn(agent="planner", text="1. clean into clean.csv 2. pages.csv and days.csv 3. the report of both"),
        Turn(agent="engineer", text="Step 1.", code=CLEAN),
        Turn(agent="engineer", text="Step 2.", code=TABLES_FIRST),
        Turn(agent="engineer", text="The column is called page. Again, with both tables.", code=TABLES,
             reasoning="KeyError: 'site'"),
        Turn(agent="engineer", text="Step 3.", code=PAGE),
        Turn(agent="reviewer", text="Both tables are in the report. Approved."),
    ),
)  # fmt: skip

RAIN = Source(
    name="rainfall_chart",
    task="Draw the rainfall of each month in rainfall.csv as a bar chart, save it as rainfall.png",
    files={"rainfall.csv": as_csv(rain(62, 12))},
    checks=(file_is("rainfall.png", bars_in, heights_of(rain(62, 12))), caption(rain(62, 12))),
    turns=(
        Turn(agent="engineer", text="Bars with Pillow.", code=CHART),
        Turn(agent="engineer", text="And a caption with the sum.", code=CAPTION),
        Turn(agent="reviewer", text="Twelve bars. Approved."),
    ),
    edit=with_caption_if_long,
)  # fmt: skip


def _visits(words: str, name: str, target: str, *, seed: int, count: int) -> Task:
    rows = visits(seed, count)
    planted = (other_value("report_april.md", target),) if target != "report_april.md" else ()
    return Task(
        words=words, skill=VISITS.name, files={name: as_csv(rows)}, planted=planted,
        checks=(text_is(target, markdown(rows)),),
    )  # fmt: skip


def _rain(words: str, name: str, target: str, *, seed: int, months: int) -> Task:
    rows = rain(seed, months)
    planted = [other_value("rainfall.png", target)] if target != "rainfall.png" else []
    checks = [file_is(target, bars_in, heights_of(rows))]
    if months >= 6:
        checks.append(caption(rows))
    else:
        planted.append(Planted(kind="node_skipped", target=node_with("caption")))
    return Task(
        words=words, skill=RAIN.name, files={name: as_csv(rows)}, planted=tuple(planted), checks=tuple(checks)
    )


def _tabs(words: str, name: str, target: str, *, seed: int, months: int) -> Task:
    """Return a task whose file has tabs in it: a step that puts commas there is needed before."""
    rows = rain(seed, months)
    code = f"""from pathlib import Path

table = Path("{name}")
table.write_text(table.read_text().replace("\\t", ","))
"""
    return Task(
        words=words, skill=RAIN.name, files={name: as_csv(rows, "\t")},
        planted=(
            other_value("rainfall.png", target),
            Planted(kind="node_added", target=node_with("draw.rectangle")),
        ),
        checks=(file_is(target, bars_in, heights_of(rows)), caption(rows)),
        agents=adds_code(code, "The file has tabs between its columns.", when="KeyError: 'month'"),
    )  # fmt: skip


FAMILY = Family(
    name="reports",
    sources=(VISITS, RAIN),
    tasks=(
        _visits("Please make the report on visits_may.csv: broken rows out, pages by visits, minutes per"
                " day, in report_may.md", "visits_may.csv", "report_may.md", seed=71, count=6000),
        _visits("I need a report on the visits in shop_week.csv, cleaned, with a table of pages by visits and"
                " one of minutes per day. Write it to week.md.",
                "shop_week.csv", "week.md", seed=72, count=1500),
        _visits("Make a report on visits_june.csv: clean it, a table of pages by visits, a table of"
                " minutes per day.", "visits_june.csv", "report_april.md", seed=73, count=400),
        _rain("Draw the rainfall of each month in bergen.csv as a bar chart and save it as bergen.png.",
              "bergen.csv", "bergen.png", seed=74, months=12),
        _rain("Could you draw a bar chart of the rainfall per month in quarter.csv? Save it as quarter.png.",
              "quarter.csv", "quarter.png", seed=75, months=3),
        _rain("Draw the rainfall of each month in highlands.csv as a bar chart, as GIF please.",
              "highlands.csv", "rainfall.gif", seed=76, months=9),
        _tabs("Draw the rainfall of each month in islands.csv as a bar chart and save it as islands.png",
              "islands.csv", "islands.png", seed=77, months=8),
    ),
)  # fmt: skip
