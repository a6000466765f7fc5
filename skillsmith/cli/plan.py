"""How a dry run looks to people: the inputs with where they come from, and exactly what would run."""

from __future__ import annotations

from collections.abc import Mapping

from skillsmith.models import Json
from skillsmith.output import Column, Output, shorten
from skillsmith.presentation.text import joined, value_text

INPUT_COLUMNS = (
    Column(key="name", title="input", style="cyan"),
    Column(key="value", title="value", show=value_text, width=60),
    Column(key="from", title="from"),
    Column(key="evidence", title="because", width=80, grow=True),
)


def show_plan(out: Output, plan: Mapping[str, Json]) -> None:
    """Print what an execution would do."""
    out.line(f"{plan['skill']}@{plan['version']}  {plan['state']}: nothing is run", style="bold")
    if plan["work_dir"]:
        out.line(f"work folder {plan['work_dir']}")
    for file in plan["files_brought_in"]:
        out.line(f"brings in {file['path']} from {file['from']}")
    if plan["inputs"]:
        out.line()
        out.table(INPUT_COLUMNS, plan["inputs"])
    for node in plan["nodes"]:
        out.line()
        _show_node(out, node)
    for text in (*plan["warnings"], *plan["problems"]):
        out.line(text, style="yellow")


def _show_node(out: Output, node: Mapping[str, Json]) -> None:
    after = f"  after {joined(node['after'])}" if node["after"] else ""
    out.line(f"{node['id']:>4}  {node['kind']}  {node.get('tool') or node['title']}{after}", style="bold")
    if node.get("for_each"):
        out.line(f"        for each item of {_value(node['for_each'])}")
    for name, value in {**node.get("arguments", {}), **node.get("values", {})}.items():
        out.line(f"        {name} = {_value(value)}")
    for label in ("reads", "writes"):
        if node.get(label):
            out.line(f"        {label} {', '.join(map(_value, node[label]))}")
    if node.get("tools"):
        out.line(f"        may call {joined(node['tools'])}")
    if node["condition"]:
        out.line(f"        only if {node['condition']}")
    text = next(
        (node[key] for key in ("code", "prompt", "question", "expression", "template") if key in node), ""
    )
    if text:
        out.code(text, language=node.get("language", "text"), indent=8)
    if node.get("knowledge"):
        out.line("        is told besides:")
        out.code(node["knowledge"], language="text", indent=10)
    if node.get("problem"):
        out.line(f"        {node['problem']}", style="yellow")


def _value(value: Mapping[str, Json]) -> str:
    """Write a value that is known, or where it will come from."""
    if "value" in value:
        return shorten(value_text(value["value"]), 200)
    return f"‹{value['from']}›" if "from" in value else f"‹{value['problem']}›"
