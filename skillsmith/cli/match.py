"""``match``: which skill fits a task, or why none does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from skillsmith.cli.session import Session, command
from skillsmith.errors import ExitCode
from skillsmith.models import Json, MatchResult
from skillsmith.output import Column, Output
from skillsmith.presentation.documents import match_document
from skillsmith.presentation.text import joined, share, split_list, value_text

MATCH_COLUMNS = (
    Column(key="skill", title="skill", style="cyan", width=50),
    Column(key="confidence", title="confidence", show=share, right=True, style="bold"),
    Column(key="inputs", title="inputs", width=60),
    Column(key="missing", title="missing", show=joined, width=30, style="yellow"),
    Column(key="reason", title="because", width=100, grow=True),
)

ConfidenceOption = Annotated[
    float | None,
    typer.Option("--min-confidence", metavar="C", min=0, max=1, help="Below it no skill fits (0 to 1)."),
]


@command(
    "skillsmith match 'cancel reservation EHGLP3 for user emma_kim_9957'",
    "skillsmith match 'plot the power spectrum' --tags cmb --json",
)
def match(
    session: Session,
    *,
    task: Annotated[str, typer.Argument(metavar="TASK", help="What is to be done, in words.")],
    top_k: Annotated[int, typer.Option("--top-k", metavar="K", min=1, help="At most so many skills.")] = 5,
    min_confidence: ConfidenceOption = None,
    tags: Annotated[
        str | None, typer.Option("--tags", metavar="A,B", help="Only skills with all these tags.")
    ] = None,
) -> ExitCode:
    """Find the skills that fit a task, best first; when none does, say why (exit code 4)."""
    with session.open() as workspace:
        result = workspace.matcher.match(
            task, top_k=top_k, min_confidence=min_confidence, tags=split_list(tags)
        )
    session.out.document(match_document(result), lambda: _show(session.out, result))
    return ExitCode.NO_MATCH if result.abstained else ExitCode.OK


def _show(out: Output, result: MatchResult) -> None:
    out.note(f"no skill fits: {result.reason}" if result.abstained else result.reason)
    rows = [
        {
            "skill": f"{found.name}@{found.version}",
            "confidence": found.confidence,
            "inputs": inputs_line(found.inputs),
            "missing": found.missing,
            "reason": found.reason,
        }
        for found in result.matches
    ]
    if rows:
        out.table(MATCH_COLUMNS, rows)


def inputs_line(inputs: Mapping[str, Json]) -> str:
    """Write bound inputs in one line."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in inputs.items())
