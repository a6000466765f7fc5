"""Small skills that compose: code that really reads and writes files, and tools of a shop in memory."""

from __future__ import annotations

import re
from typing import Any

from skillsmith.models import (
    Binding,
    Constant,
    FileUse,
    FromInput,
    FromNode,
    Node,
    Proof,
    Skill,
    SkillArtifact,
    Slot,
    Template,
    Variable,
)

PROOF = Proof(level="replays", passed=True, compared=1)
_TYPES = {"str": "string", "int": "integer", "num": "number", "list": "array", "dict": "object"}


def given(name: str, kind: str, **more: Any) -> Variable:
    """Return an input."""
    return Variable(name=name, type=kind, **more)  # type: ignore[arg-type]  # any kind a test wants


def gives(**kinds: str) -> dict[str, Any]:
    """Return an output schema; ``path`` is a file as code nodes make them."""
    properties = {
        name: {"type": "string", "description": "path"}
        if kind == "path"
        else {"type": _TYPES.get(kind, kind)}
        for name, kind in kinds.items()
    }
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def code_part(
    name: str,
    code: str,
    *inputs: Variable,
    out: dict[str, str],
    writes: tuple[str | Binding, ...] = (),
    reads: tuple[str | Binding, ...] = (),
    **more: Any,
) -> Skill:
    """Return a proven skill of one code node that prints its outputs as one JSON object.

    Args:
        name: Its name.
        code: Python with ``{input}`` places.
        inputs: Its inputs.
        out: Kind of each output; a ``path`` is what ``writes`` has at that place.
        writes: Paths, or where they come from.
        reads: The same.
        more: Further fields of the skill.
    """
    names = {one.name for one in inputs}
    slots = tuple(
        Slot(variable=word, encoding="python") for word in re.findall(r"\{(\w+)\}", code) if word in names
    )
    uses = [FileUse(path=Constant(one) if isinstance(one, str) else one) for one in writes]
    files = iter(uses)
    bindings: dict[str, Binding] = {
        key: next(files).path if kind == "path" else FromNode("n1", (key,)) for key, kind in out.items()
    }
    plain: dict[str, Any] = {
        "name": name, "state": "proven", "variables": inputs, "outputs": gives(**out),
        "output_bindings": bindings, "proofs": (PROOF,),
        "nodes": (
            Node(
                id="n1", kind="code", language="python", template=Template(text=code, slots=slots),
                writes=tuple(uses),
                reads=tuple(FileUse(path=Constant(one) if isinstance(one, str) else one) for one in reads),
            ),
        ),
    }  # fmt: skip
    return Skill(**(plain | more))


def load(**more: Any) -> Skill:
    """Return a skill that reads a table and gives its rows."""
    code = (
        "import csv, json\n"
        "rows = [{'name': r['name'], 'value': float(r['value'])} for r in csv.DictReader(open({table}))]\n"
        "print(json.dumps({'rows': rows, 'count': len(rows)}))\n"
    )
    table = SkillArtifact(name="table.csv", type="data", content=b"name,value\na,1\nb,5\nc,9\n")
    fields: dict[str, Any] = {
        "description": "Load a table of measurements.", "task_pattern": "Load the table {table}",
        "artifacts": (table,), "tags": ("table",),
    }  # fmt: skip
    return code_part(
        "load_table", code, given("table", "path", default="table.csv"), out={"rows": "list", "count": "int"},
        reads=(FromInput("table"),), **(fields | more),
    )  # fmt: skip


def keep(**more: Any) -> Skill:
    """Return a skill that keeps the rows above a limit."""
    code = (
        "import json\n"
        "rows = [row for row in {rows} if row['value'] > {limit}]\n"
        "print(json.dumps({'rows': rows, 'kept': len(rows)}))\n"
    )
    fields: dict[str, Any] = {
        "description": "Keep the rows above a limit.", "tags": ("filter",),
        "task_pattern": "Keep the rows of {rows} above {limit}",
    }  # fmt: skip
    return code_part(
        "keep_large", code, given("rows", "list", default=[{"name": "x", "value": 3.0}], required=True),
        given("limit", "number", default=2), out={"rows": "list", "kept": "int"}, **(fields | more),
    )  # fmt: skip


def report(**more: Any) -> Skill:
    """Return a skill that writes rows into a file."""
    code = (
        "import json\n"
        "rows = {rows}\n"
        "with open({target}, 'w') as file:\n"
        "    file.write({heading} + '\\n' + '\\n'.join(row['name'] for row in rows))\n"
        "print(json.dumps({'lines': len(rows) + 1}))\n"
    )
    fields: dict[str, Any] = {
        "description": "Write a report.", "tags": ("report",),
        "task_pattern": "Write a report on {rows} headed {heading} to {target}",
    }  # fmt: skip
    return code_part(
        "write_report", code, given("rows", "list", default=[{"name": "x", "value": 1.0}], required=True),
        given("heading", "string", default="Report"), given("target", "path", default="report.txt"),
        out={"report": "path", "lines": "int"}, writes=(FromInput("target"),), **(fields | more),
    )  # fmt: skip


def count_words(**more: Any) -> Skill:
    """Return a skill that reads a text file and gives its number of words."""
    code = "import json\nprint(json.dumps({'words': len(open({document}).read().split())}))\n"
    fields: dict[str, Any] = {
        "description": "Count the words of a document.", "task_pattern": "Count the words of {document}",
        "tags": ("text",),
    }  # fmt: skip
    return code_part(
        "count_words", code, given("document", "path", default="report.txt", required=True),
        out={"words": "int"}, reads=(FromInput("document"),), **(fields | more),
    )  # fmt: skip


def tool_part(name: str, tool: str, *inputs: Variable, out: dict[str, str], **more: Any) -> Skill:
    """Return a proven skill of one tool call with an argument for each input."""
    plain: dict[str, Any] = {
        "name": name, "state": "proven", "variables": inputs, "outputs": gives(**out),
        "output_bindings": {key: FromNode("n1", (key,)) for key in out},
        "proofs": (Proof(level="reconstructs", passed=True, compared=1),),
        "nodes": (
            Node(id="n1", kind="tool", tool=tool, arguments={one.name: FromInput(one.name) for one in inputs},
                 effect="read" if tool.startswith("find") else "write"),
        ),
    }  # fmt: skip
    return Skill(**(plain | more))


ORDER = given("order_id", "id", default="ORD-1", required=True)


def find_order() -> Skill:
    """Return a skill that looks an order up."""
    return tool_part(
        "find_order", "find_order", ORDER, out={"order_id": "str", "status": "str", "total": "num"},
        description="Find an order.", task_pattern="Find order {order_id}",
    )  # fmt: skip


def cancel_order() -> Skill:
    """Return a skill that cancels an order."""
    return tool_part(
        "cancel_order", "cancel_order", ORDER, given("reason", "string", default="changed my mind"),
        out={"cancelled": "str"}, description="Cancel an order.",
        task_pattern="Cancel order {order_id}: {reason}",
    )  # fmt: skip


def refund_order() -> Skill:
    """Return a skill that refunds an order."""
    return tool_part(
        "refund_order", "refund_order", ORDER, given("amount", "number", default=10.0, required=True),
        out={"refunded": "num"}, description="Refund an order.",
        task_pattern="Refund {amount} for order {order_id}",
    )  # fmt: skip


LIBRARY = (
    load(), keep(), report(), count_words(), find_order(), cancel_order(), refund_order(),
)  # fmt: skip
"""One of each."""
