"""The scripted run of the demo: what its agents say, and the code that is really executed.

A scripted model stands in for a paid one; everything else is real: the code runs in a subprocess, files
are written, the first attempt at cleaning fails on the data as it is, and a file is superseded.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

TASK = (
    "Analyse sales_east.csv: drop broken orders, duplicates and quantities above 500, compute the revenue"
    " of every month into monthly.csv and plot it as a bar chart to revenue.png"
)

NEW_TASK = (
    "We got sales_west.csv from the other branch. Please clean it up (no quantities above 800), work out what"
    " we earned each month and draw the bars into a PDF"
)

FIRST_CLEANING = """\
import csv

with open("sales_east.csv", newline="") as source:
    orders = list(csv.DictReader(source))

total = sum(int(order["quantity"]) for order in orders)
print(f"{len(orders)} orders, {total} pieces")
"""

SECOND_CLEANING = """\
import csv

with open("sales_east.csv", newline="") as source:
    orders = list(csv.DictReader(source))

kept = [order for order in orders if order["quantity"].isdigit() and order["price"]]
with open("clean.csv", "w", newline="") as target:
    writer = csv.DictWriter(target, fieldnames=list(orders[0]))
    writer.writeheader()
    writer.writerows(kept)
print(f"kept {len(kept)} of {len(orders)} orders")
"""

THIRD_CLEANING = """\
import csv

MAX_QUANTITY = 500

with open("sales_east.csv", newline="") as source:
    orders = list(csv.DictReader(source))

seen, kept = set(), []
for order in orders:
    usable = order["quantity"].isdigit() and order["price"]
    if usable and int(order["quantity"]) <= MAX_QUANTITY and order["order_id"] not in seen:
        seen.add(order["order_id"])
        kept.append(order)
with open("clean.csv", "w", newline="") as target:
    writer = csv.DictWriter(target, fieldnames=list(orders[0]))
    writer.writeheader()
    writer.writerows(kept)
print(f"kept {len(kept)} of {len(orders)} orders")
"""

COMPUTING = """\
import csv
from collections import defaultdict

revenue = defaultdict(float)
with open("clean.csv", newline="") as source:
    for order in csv.DictReader(source):
        revenue[order["date"][:7]] += int(order["quantity"]) * float(order["price"])
with open("monthly.csv", "w", newline="") as target:
    writer = csv.writer(target)
    writer.writerow(["month", "revenue"])
    writer.writerows((month, f"{amount:.2f}") for month, amount in sorted(revenue.items()))
print(f"{len(revenue)} months, {sum(revenue.values()):.2f} in all")
"""

PLOTTING = """\
import csv

from PIL import Image, ImageDraw

with open("monthly.csv", newline="") as source:
    months = [(row["month"], float(row["revenue"])) for row in csv.DictReader(source)]

width, height, margin = 960, 480, 48
chart = Image.new("RGB", (width, height), "white")
draw = ImageDraw.Draw(chart)
step = (width - 2 * margin) / len(months)
highest = max(amount for _, amount in months)
for index, (month, amount) in enumerate(months):
    left = margin + index * step
    top = height - margin - (height - 2 * margin) * amount / highest
    draw.rectangle((left + 6, top, left + step - 6, height - margin), fill=(46, 94, 170))
    draw.text((left + 10, height - margin + 8), month, fill="black")
    draw.text((left + 10, top - 14), f"{amount:,.0f}", fill="black")
draw.line((margin, height - margin, width - margin, height - margin), fill="black")
chart.save("revenue.png")
print(f"drew {len(months)} bars")
"""


ROLES = {
    "planner": "You plan the work of a team of two: an engineer and a reviewer.",
    "engineer": "You do the work in Python with run_code; all files are in the current folder.",
    "reviewer": "You look at what the engineer made: send_back with the reason, or approve.",
}
"""The agents in the order of their work, and what each is told."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the scripted model.

    Args:
        agent: Who says it.
        reasoning: What it thinks.
        text: What it says.
        tool: Which tool it calls, if any.
        arguments: With what.
    """

    agent: str
    reasoning: str
    text: str
    tool: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def call_id(self) -> str:
        """An id for its tool call, as a provider would give one."""
        return f"call_{crc32(repr((self.agent, self.text, self.arguments)).encode()):08x}"


def _runs(code: str) -> tuple[tuple[str, str], ...]:
    return (("code", code), ("language", "python"))


TURNS = (
    Turn(
        "planner",
        "Four parts: load, clean, compute, plot. Cleaning first, the rest depends on it.",
        "Plan: 1. clean the orders into clean.csv  2. revenue by month into monthly.csv  3. bar chart",
    ),
    Turn(
        "engineer", "A first look: count orders and pieces.", "Let me load the file.",
        "run_code", _runs(FIRST_CLEANING),
    ),
    Turn(
        "engineer",
        "The file has quantities that are no numbers. Only rows with digits and a price can be used.",
        "Some quantities are broken; I keep the rows that can be read.",
        "run_code", _runs(SECOND_CLEANING),
    ),
    Turn("engineer", "Let the reviewer see it before the rest.", "clean.csv is written."),
    Turn(
        "reviewer",
        "Duplicates and the quantities above 500 are still in clean.csv.",
        "clean.csv still has duplicates and quantities above 500.",
        "send_back", (("why", "the cleaning is not complete"),),
    ),
    Turn("reviewer", "The engineer knows what to do.", "Please clean again; then go on with the plan."),
    Turn(
        "engineer",
        "Clean again from the source: digits, a price, at most 500, each order once.",
        "I clean again from the source.",
        "run_code", _runs(THIRD_CLEANING),
    ),
    Turn(
        "engineer", "Sum quantity times price by month.", "Now the revenue of each month.",
        "run_code", _runs(COMPUTING),
    ),
    Turn(
        "engineer", "Bars with Pillow, one a month, the amount above it.", "And the chart.",
        "run_code", _runs(PLOTTING),
    ),
    Turn("engineer", "All three files are there.", "clean.csv, monthly.csv and revenue.png are written."),
    Turn(
        "reviewer",
        "monthly.csv and revenue.png are there and look right.",
        "The files are right.",
        "approve", (("summary", "the files are there and look right"),),
    ),
    Turn("reviewer", "Nothing is left to do.", "Approved: the task is done."),
)  # fmt: skip
