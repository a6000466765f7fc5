"""``compare``: executions and runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from skillsmith.cli.session import Session, command
from skillsmith.models import Json
from skillsmith.output import Column, Output
from skillsmith.presentation.text import duration, joined, money, number, short_id

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The skill; also a deleted one.")]
RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN…", show_default=False,
        help="Executions of the skill, or runs without it; else its newest three executions.",
    ),
]  # fmt: skip


@command(
    "skillsmith compare refund_booking",
    "skillsmith compare refund_booking 019a2b3c 019a2b4d 019a2c00 --json",
)
def compare(session: Session, *, name: NameArgument, references: RunsArgument = None) -> None:
    """Lay executions of a skill, and runs without it, side by side: each step's result, time and cost.

    A run that the skill was made from is compared by its recorded events, any other by the tools it called.
    """
    from skillsmith.library.evidence.comparison import Comparer, totals  # noqa: PLC0415  (only here)

    with session.open() as workspace:
        skill = name.partition("@")[0]
        comparer = Comparer(workspace.ledger, workspace.runs, workspace.skills)
        lanes = comparer.lanes(skill, references or ())
        steps = comparer.steps(skill, lanes)
        document: dict[str, Json] = {
            "skill": skill,
            "runs": [totals(lane) for lane in lanes],
            "steps": [
                {
                    "step": step.key, "title": step.title, "kind": step.kind,
                    "cells": [None if cell is None else asdict(cell) for cell in step.cells],
                }
                for step in steps
            ],
        }  # fmt: skip
    session.out.document(document, lambda: _show(session.out, document))


def _show(out: Output, document: Mapping[str, Json]) -> None:
    lanes = document["runs"]
    for place, lane in enumerate(lanes, 1):
        version = f"@{lane['version']}" if lane["version"] else " (no skill)"
        out.line(f"{place}  {lane['kind']} {short_id(lane['id'])}{version}  {lane['task'][:80]}".rstrip())
    out.line()
    rows = [_row(step["step"], step["title"], step["cells"]) for step in document["steps"]]
    rows.append(_row("all", "", [_whole(lane) for lane in lanes]))
    columns = [
        Column(key="step", title="step", style="cyan"),
        Column(key="title", title="", width=30, spare=True),
    ]
    columns += [Column(key=str(place), title=str(place), width=60) for place in range(1, len(lanes) + 1)]
    out.table(columns, rows)


def _row(step: str, title: str, cells: Sequence[Mapping[str, Json] | None]) -> dict[str, Json]:
    texts = {str(place): "" if cell is None else _text(cell) for place, cell in enumerate(cells, 1)}
    return {"step": step, "title": title, **texts}


def _text(cell: Mapping[str, Json]) -> str:
    tokens = number(cell["tokens"])
    parts = [
        cell["status"] or "", duration(cell["duration_seconds"]), f"{tokens} tokens" if tokens else "",
        money(cell["cost_usd"]), joined(cell["adaptations"]).replace("_", " "),
    ]  # fmt: skip
    return " · ".join(part for part in parts if part)


def _whole(lane: Mapping[str, Json]) -> dict[str, Json]:
    known = {True: "success", False: "failure", None: "unfinished" if lane["kind"] == "execution" else ""}
    adapted = [f"{lane['adaptations']} adapted"] if lane["adaptations"] else []
    return {**lane, "status": known[lane["success"]], "adaptations": adapted}
