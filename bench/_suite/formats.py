"""Family: from one file format into another: CSV to JSON, JSON to a spreadsheet, JSON lines to CSV."""

from __future__ import annotations

import csv
import io
import json
import random
import zipfile
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from _suite.model import Family, Planted, Source, Task, Turn, file_is, json_is, node_with, other_value
from _suite.stand_ins import mends_code
from skillsmith.models import Json

Row = Mapping[str, Json]
PLACES = "Oslo Lyon Graz Turku Porto Gent Brno".split()

# ------------------------------------------------------------------------------------------- source runs

TO_JSON_FIRST = """\
import csv
import json

with open("orders_january.csv", newline="") as source:
    rows = list(csv.DictReader(source))
for row in rows:
    row["quantity"] = int(row["quantity"])
    row["price"] = float(row["price"])
with open("orders_january.json", "w") as target:
    json.dump(rows, target, indent=2)
print(len(rows), "orders")
"""

TO_JSON = """\
import csv
import json


def plain(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


with open("orders_january.csv", newline="") as source:
    found = csv.DictReader(source, delimiter=";")
    rows = [{name: plain(text) for name, text in row.items()} for row in found]
with open("orders_january.json", "w") as target:
    json.dump(rows, target, indent=2)
print(len(rows), "orders")
"""

TO_SHEET = """\
import json
import zipfile
from xml.sax.saxutils import escape

with open("stock.json") as source:
    rows = json.load(source)

head = list(rows[0])


def cell(value):
    if isinstance(value, (int, float)):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


lines = [head] + [[row[name] for name in head] for row in rows]
body = "".join(f"<row>{''.join(map(cell, line))}</row>" for line in lines)
main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
package = "http://schemas.openxmlformats.org/package/2006"
parts = {
    "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
    'PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
    f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Stock" '
    'sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship '
    f'Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
}
with zipfile.ZipFile("stock.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
    for name, text in parts.items():
        book.writestr(zipfile.ZipInfo(name), '<?xml version="1.0" encoding="UTF-8"?>' + text)
print(f"{len(rows)} rows, {len(head)} columns")
"""


def orders(seed: int, count: int) -> list[Row]:
    """Return orders."""
    draw = random.Random(seed)
    return [
        {
            "order": f"A{1000 + number}", "city": draw.choice(PLACES), "quantity": draw.randint(1, 90),
            "price": draw.randint(100, 9900) / 100,
        }
        for number in range(count)
    ]  # fmt: skip


def articles(seed: int, count: int) -> list[Row]:
    """Return articles of a shop; some names need escaping."""
    draw = random.Random(seed)
    kinds = "lamp;table & chair;rug <large>;shelf".split(";")
    return [
        {
            "article": f"{draw.choice(kinds)} {number}", "place": draw.choice(PLACES),
            "pieces": draw.randint(0, 400), "weight": draw.randint(10, 999) / 10,
        }
        for number in range(count)
    ]  # fmt: skip


def as_csv(rows: Sequence[Row], delimiter: str = ",") -> str:
    """Write rows as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def cells_in(content: bytes) -> list[list[str]]:
    """Return the cells of a spreadsheet's first sheet as text."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))
    return [["".join(cell.itertext()) for cell in row.iter(f"{space}c")] for row in sheet.iter(f"{space}row")]


def cells_of(rows: Sequence[Row]) -> list[list[str]]:
    """Return what a spreadsheet of these rows has to hold."""
    return [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]


CONVERT = Source(
    name="csv_to_json",
    task="Convert orders_january.csv to JSON and save it as orders_january.json. Numbers should be numbers.",
    files={"orders_january.csv": as_csv(orders(1, 40), ";")},
    checks=(json_is("orders_january.json", [dict(row) for row in orders(1, 40)]),),
    turns=(
        Turn(agent="engineer", text="I read it and write a list of objects.", code=TO_JSON_FIRST,
             reasoning="A CSV with a header; quantity and price are numbers."),
        Turn(agent="engineer", text="The file is separated by semicolons. Any number should become one.",
             code=TO_JSON, reasoning="KeyError: the header is one long name."),
        Turn(agent="reviewer", text="orders_january.json has 40 objects, numbers are numbers. Approved."),
    ),
)  # fmt: skip

SHEET = Source(
    name="json_to_spreadsheet",
    task="Make an Excel spreadsheet stock.xlsx of the articles in stock.json, one row per article.",
    files={"stock.json": json.dumps(articles(2, 30))},
    checks=(file_is("stock.xlsx", cells_in, cells_of(articles(2, 30))),),
    turns=(
        Turn(agent="planner", text="One sheet, a header row, then one row per article, in the file's order."),
        Turn(agent="engineer", text="openpyxl may not be there, so I write the few parts of the file myself.",
             code=TO_SHEET, reasoning="An xlsx is a zip with five XML parts."),
        Turn(agent="reviewer", text="30 rows and 4 columns. Approved."),
    ),
)  # fmt: skip


def _convert(words: str, name: str, target: str, *, seed: int, count: int) -> Task:
    rows = orders(seed, count)
    planted = other_value("orders_january.json", target)
    return Task(
        words=words, skill=CONVERT.name, files={name: as_csv(rows, ";")}, planted=(planted,),
        checks=(json_is(target, [dict(row) for row in rows]),),
    )  # fmt: skip


def _sheet(words: str, name: str, target: str, *, seed: int, count: int) -> Task:
    rows = articles(seed, count)
    return Task(
        words=words, skill=SHEET.name, files={name: json.dumps(rows)},
        planted=(other_value("stock.xlsx", target),) if target != "stock.xlsx" else (),
        checks=(file_is(target, cells_in, cells_of(rows)),),
    )  # fmt: skip


def _gaps(words: str, name: str, target: str, *, seed: int, count: int) -> Task:
    """Return a task whose rows lack keys: the code breaks and has to be mended."""
    rows = articles(seed, count)
    written = [
        {key: value for key, value in row.items() if key != "weight" or number % 3}
        for number, row in enumerate(rows, 1)
    ]
    cells = [list(rows[0]), *([str(row.get(key, "")) for key in rows[0]] for row in written)]
    code = TO_SHEET.replace("stock.json", name).replace("stock.xlsx", target)
    mended = code.replace("[[row[name] for name in head]", '[[row.get(name, "") for name in head]')
    return Task(
        words=words, skill=SHEET.name, files={name: json.dumps(written)},
        planted=(
            other_value("stock.xlsx", target),
            Planted(kind="code_modification", target=node_with("zipfile.ZipFile")),
        ),
        checks=(file_is(target, cells_in, cells),),
        agents=mends_code(mended, "Some articles have no weight.", when="KeyError: 'weight'"),
    )  # fmt: skip


FAMILY = Family(
    name="file formats",
    sources=(CONVERT, SHEET),
    tasks=(
        _convert("Please turn orders_may.csv into JSON, saved as orders_may.json, with real numbers in it.",
                 "orders_may.csv", "orders_may.json", seed=11, count=900),
        _convert("I need orders_south.csv as a JSON file. Write it to south.json.",
                 "orders_south.csv", "south.json", seed=12, count=2500),
        _convert("Can you convert the file returns.csv to JSON for me and save it as returns_2027.json?",
                 "returns.csv", "returns_2027.json", seed=13, count=120),
        _sheet("Make a spreadsheet warehouse.xlsx out of warehouse.json, each article in a row of its own.",
               "warehouse.json", "warehouse.xlsx", seed=14, count=700),
        _sheet("Create an Excel file for the articles listed in inventory_graz.json and call it graz.xlsx",
               "inventory_graz.json", "graz.xlsx", seed=15, count=60),
        _sheet("The boss wants the articles from depot.json as an Excel spreadsheet.",
               "depot.json", "stock.xlsx", seed=16, count=1500),
        _gaps("Make an Excel spreadsheet attic.xlsx of the articles in attic.json, one row per article.",
              "attic.json", "attic.xlsx", seed=17, count=200),
    ),
)  # fmt: skip
