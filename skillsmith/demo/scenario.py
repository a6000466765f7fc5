"""The scripted run of the demo: what its agents say, and the code that is really executed.

A scripted model stands in for a paid one; everything else is real: the code runs in a subprocess, files
are written, the first attempt at cleaning fails on the data as it is, and a file is superseded.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the scripted model.

    Args:
        agent: Who says it.
        reasoning: What it thinks.
        text: What it says.
        code: Python to execute afterwards, if any.
        hands_to: Who is next.
        why: Why it hands over.
    """

    agent: str
    reasoning: str
    text: str
    hands_to: str | None = None
    why: str = ""
    code: str | None = None


TURNS = (
    Turn(
        "planner",
        "Four parts: load and clean, compute, plot. Cleaning first, the rest depends on it.",
        "Plan: 1. clean the orders into clean.csv  2. revenue by month into monthly.csv  3. bar chart",
        "engineer", "the plan is ready",
    ),
    Turn("engineer", "A first look: count orders and pieces.", "Let me load the file.", code=FIRST_CLEANING),
    Turn(
        "engineer",
        "The file has quantities that are no numbers. Only rows with digits and a price can be used.",
        "Some quantities are broken; I keep the rows that can be read.",
        "reviewer", "clean.csv is written", SECOND_CLEANING,
    ),
    Turn(
        "reviewer",
        "Duplicates and the quantities above 500 are still in clean.csv.",
        "clean.csv still has duplicates and quantities above 500.",
        "engineer", "the cleaning is not complete",
    ),
    Turn(
        "engineer",
        "Clean again from the source: digits, a price, at most 500, each order once.",
        "I clean again from the source.", code=THIRD_CLEANING,
    ),
    Turn("engineer", "Sum quantity times price by month.", "Now the revenue of each month.", code=COMPUTING),
    Turn(
        "engineer",
        "Bars with Pillow, one a month, the amount above it.",
        "And the chart.",
        "reviewer", "all files are written", PLOTTING,
    ),
    Turn("reviewer", "monthly.csv and revenue.png are there and look right.", "Approved: the task is done."),
)  # fmt: skip
