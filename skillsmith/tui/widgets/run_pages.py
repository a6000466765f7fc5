"""What an execution would do and what it did, as pages of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from skillsmith.library.execution.outcome import ExecutionResult
from skillsmith.models import Json
from skillsmith.output import clean, shorten
from skillsmith.tui.skill_runner import Preview
from skillsmith.tui.text import duration, joined, money, short_id, value_text
from skillsmith.tui.widgets.skill_pages import Pen
from skillsmith.tui.widgets.skill_past import change_text

_TEXTS = {
    "code": "Code",
    "prompt": "Prompt",
    "question": "Question",
    "expression": "Check",
    "template": "Template",
}


def plan_page(preview: Preview, *, pen: Pen) -> RenderableType:
    """Write what an execution would do, node by node."""
    plan = preview.plan
    parts: list[RenderableType] = []
    parts += [Text(f"✗ {clean(text)}", style=pen.style("error")) for text in plan["problems"]]
    parts += [Text(f"! {clean(text)}", style=pen.style("warning")) for text in plan["warnings"]]
    if not plan["problems"]:
        parts.append(Text("it can run: nothing was run yet", style=pen.style("success")))
    if preview.changing:
        parts.append(
            Text(
                f"{WRITES_SIGN} it may change things by {joined(preview.changing)}",
                style=pen.style("warning"),
            )
        )
    if plan["inputs"]:
        parts += [pen.head("Inputs"), _inputs(plan["inputs"], pen)]
    if plan["work_dir"]:
        parts += [Text(""), pen.facts([("work folder", str(plan["work_dir"]))])]
    rows = ((file["path"], f"from {file['from']}") for file in plan["files_brought_in"])
    parts.append(pen.facts(rows))
    for node in plan["nodes"]:
        parts.append(_plan_node(node, pen))
    return Group(*parts)


WRITES_SIGN = "✎"


def _inputs(inputs: list[Mapping[str, Json]], pen: Pen) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style=pen.style("primary"), no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style=pen.style("muted"), overflow="fold")
    for one in inputs:
        why = f"{one['from']}: {one['evidence']}" if one.get("evidence") else str(one["from"])
        table.add_row(one["name"], clean(shorten(value_text(one["value"]), 200)), clean(why))
    return table


def _plan_node(node: Mapping[str, Json], pen: Pen) -> RenderableType:
    name = node.get("tool") or node["title"] or ""
    parts: list[RenderableType] = [Text(clean(f"\n{node['id']}  {node['kind']}  {name}"), style="bold")]
    parts.append(pen.facts(_plan_facts(node)))
    for key in _TEXTS:
        if key in node:
            parts.append(pen.code(node[key], language=_language(node)))
            break
    if node.get("problem"):
        parts.append(Text(clean(node["problem"]), style=pen.style("error")))
    return Group(*parts)


def _language(node: Mapping[str, Json]) -> str | None:
    return str(node.get("language") or "python") if node["kind"] in ("code", "check") else None


def _plan_facts(node: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    if node.get("for_each"):
        yield "for each", value_line(node["for_each"])
    for name, value in {**node.get("arguments", {}), **node.get("values", {})}.items():
        yield name, value_line(value)
    for label in ("reads", "writes"):
        yield label, ", ".join(map(value_line, node.get(label) or ()))
    yield "may call", joined(node.get("tools"))
    yield "only if", node["condition"] or ""


def value_line(value: Mapping[str, Json]) -> str:
    """Write a value that is known, or where it will come from."""
    if "value" in value:
        return shorten(value_text(value["value"]), 200)
    return f"‹{value['from']}›" if "from" in value else f"‹{value['problem']}›"


def calls_page(preview: Preview) -> Text:
    """Write the calls that change something, with their arguments."""
    lines = []
    for call in preview.calls[:MAX_CALLS]:
        arguments = ", ".join(f"{name}={value_line(value)}" for name, value in call["arguments"].items())
        lines.append(clean(f"{call['id']} {call['tool']}({arguments})"))
    more = len(preview.calls) - MAX_CALLS
    if more > 0:
        lines.append(f"and {more} more: the preview shows all")
    known = {call["tool"] for call in preview.calls}
    others = [name for name in preview.changing if name not in known]
    if others:
        lines.append(f"agents may call {joined(others)}")
    return Text("\n".join(lines))


MAX_CALLS = 12


def result_page(result: ExecutionResult, *, pen: Pen) -> RenderableType:
    """Write what an execution came to."""
    good = bool(result.success)
    verdict = "✓ succeeded" if good else "✗ failed"
    took = f"{duration(result.duration_seconds)} {money(result.cost_usd)}".strip()
    head = Text(
        f"{result.skill_used}@{result.version} {verdict} in {took}",
        style=pen.style("success" if good else "error"),
    )
    head.stylize("bold")
    parts: list[RenderableType] = [head]
    if result.error:
        parts.append(Text(clean(result.error), style=pen.style("error")))
    if result.outputs:
        parts += [
            pen.head("Outputs"),
            pen.facts((name, value_text(value)) for name, value in result.outputs.items()),
        ]
    if result.artifacts:
        parts += [pen.head(f"Files in {result.work_dir}"), Text(clean("\n".join(result.artifacts)))]
    for change in result.adaptations:
        what = Text(clean(f"{change.target}  {change.type.replace('_', ' ')}"), style=pen.style("warning"))
        why = Text(clean(change.reason), style=pen.style("muted"))
        title = [] if change is not result.adaptations[0] else [pen.head("Adapted")]
        parts += [*title, what, why, change_text(change.before, change.after, pen=pen)]
    if result.defaults_used:
        kept = ((name, shorten(value_text(value), 200)) for name, value in result.defaults_used.items())
        parts += [pen.head("Kept as recorded: the task does not speak of them"), pen.facts(kept)]
    ids = [("execution", short_id(result.execution_id)), ("run", short_id(result.run_id))]
    failed = ((node.node_id, f"{node.status}: {node.error}") for node in result.nodes if node.error)
    parts += [pen.head("Kept in the file"), pen.facts([*ids, *failed])]
    return Group(*parts)
