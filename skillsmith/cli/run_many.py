"""``run-many``: one skill over many inputs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.run import (
    AgreeOption,
    MaxCostOption,
    MaxTurnsOption,
    ModelOption,
    StrictOption,
    ToolsOption,
)
from skillsmith.cli.run_care import confirm_skill
from skillsmith.cli.session import Session, command
from skillsmith.errors import ExitCode
from skillsmith.output import shorten
from skillsmith.presentation.text import duration, plural
from skillsmith.teams.model import MAX_TURNS

if TYPE_CHECKING:
    from skillsmith.batch import Batch, Item, ItemResult, Summary
    from skillsmith.batch.items import Plan
    from skillsmith.models import Json

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The skill: NAME or NAME@VERSION.")]
InputsArgument = Annotated[
    Path, typer.Argument(metavar="INPUTS", help="JSON objects, one a line (.jsonl), or a table (.csv, .tsv).")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Results, one a line; else INPUTS.results.jsonl."),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", "-j", metavar="N", min=0, help="Processes; 0: as many as processors.")
]
DaskOption = Annotated[
    str | None,
    typer.Option("--dask", metavar="ADDRESS", help="Use the workers of this Dask cluster: tcp://HOST:PORT."),
]
RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Also try again what failed in this batch before.")
]
FoldersOption = Annotated[
    Path | None,
    typer.Option("--workdir", metavar="D", help="Folder with a subfolder for each input, by its number."),
]


@command(
    "skillsmith run-many monthly_report customers.csv --workers 4",
    "skillsmith run-many cancel_order orders.jsonl --tools shop.tools --yes -o cancelled.jsonl",
    "skillsmith run-many plot_spectrum spectra.jsonl --dask tcp://10.0.0.5:8786",
)
def run_many(
    session: Session,
    *,
    name: NameArgument,
    inputs: InputsArgument,
    output: OutputOption = None,
    workers: WorkersOption = 0,
    dask: DaskOption = None,
    retry_failed: RetryOption = False,
    tools: ToolsOption = None,
    workdir: FoldersOption = None,
    strict: StrictOption = False,
    yes: AgreeOption = False,
    model: ModelOption = None,
    max_cost: MaxCostOption = None,
    max_turns: MaxTurnsOption = None,
) -> ExitCode:
    """Run one skill over many inputs, several at once, and keep what came of each.

    All inputs are checked before the first one is run. The results file gets a line for each input as it is
    done. After a stop, the same command goes on: what is finished is not repeated, what broke off is resumed.
    --max-cost and --max-turns hold for each input.
    """
    from skillsmith.batch import Batch, read_items  # noqa: PLC0415  (20 ms; not for help)
    from skillsmith.batch.items import Plan  # noqa: PLC0415  (as above)

    with session.open() as workspace:
        skill = workspace.skills.get(name)
        items = read_items(inputs, skill)
        path = workspace.path
    plan = Plan(
        db=path, skill=f"{skill.name}@{skill.version}", batch="", tools=tuple(tools or ()), strict=strict,
        work_dir=workdir and workdir.resolve(), model=model, max_cost=max_cost,
        max_turns=MAX_TURNS if max_turns is None else max_turns,
    )  # fmt: skip
    _agree(session, plan, items, yes=yes)
    batch = Batch(
        plan=plan, items=items, output=output or inputs.with_name(f"{inputs.name}.results.jsonl"),
        workers=workers or os.cpu_count() or 1, dask=dask, retry_failed=retry_failed,
    )  # fmt: skip
    return _told(session, batch, _done(session, batch))


def _agree(session: Session, plan: Plan, items: Sequence[Item], *, yes: bool) -> None:
    """Refuse what could not even begin, and ask before tools change things.

    Raises:
        SkillsmithError: It could not begin, or nobody agrees.
    """
    from skillsmith.batch.items import Job  # noqa: PLC0415  (loaded by now)
    from skillsmith.batch.worker import Worker  # noqa: PLC0415  (the executor; only to run)

    first = items[0]
    with Worker(plan) as worker:
        look = worker.look(Job(index=first.index, key=first.key, inputs=first.inputs))
        if not yes:
            confirm_skill(session, look, worker.tools, question="")


def _done(session: Session, batch: Batch) -> Summary:
    from skillsmith.batch import run_many as run_batch  # noqa: PLC0415  (loaded by now)

    failed = 0

    def on_result(result: ItemResult) -> None:
        nonlocal failed
        failed += result.status == "failed"
        step(1, f"{failed} failed" if failed else "")

    label = f"{batch.plan.skill} over {plural(len(batch.items), 'input')}"
    try:
        with session.out.progress(label, total=len(batch.items)) as step:
            return run_batch(batch, on_result=on_result)
    except KeyboardInterrupt:
        session.out.note("stopped; the same command goes on where this one ended")
        raise


def _told(session: Session, batch: Batch, summary: Summary) -> ExitCode:
    document: dict[str, Json] = {
        "skill": batch.plan.skill, "batch": summary.batch, "items": summary.items,
        "succeeded": summary.succeeded, "failed": summary.failed, "executed": summary.executed,
        "duration_seconds": summary.duration_seconds, "results": str(batch.output),
        "failures": [result.document() for result in summary.failures],
    }  # fmt: skip
    session.out.document(document, lambda: _show(session, batch, summary))
    return ExitCode.FAILED if summary.failed else ExitCode.OK


def _show(session: Session, batch: Batch, summary: Summary) -> None:
    before = summary.items - summary.executed
    known = f", {before} of them before" if before else ""
    session.out.line(
        f"{plural(summary.items, 'input')}: {summary.succeeded} succeeded, {summary.failed} failed{known}"
        f"  ({duration(summary.duration_seconds)})",
        style="bold",
    )
    for result in summary.failures:
        session.out.line(f"input {result.index}: {shorten(result.error or '', 160)}", style="red")
    session.out.line(f"results in {batch.output}")
