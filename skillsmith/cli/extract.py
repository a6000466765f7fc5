"""``extract``: a skill from what a run did, with its proof."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.documents import proof_document, reason_document
from skillsmith.cli.session import Session, command
from skillsmith.cli.show import show_inputs, show_steps
from skillsmith.cli.text import plural, short_id, split_list
from skillsmith.errors import ExitCode, ExtractionError, NearDuplicateError, UsageError
from skillsmith.models import Json
from skillsmith.output import Column, Output
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.extractor import ExtractionReport

MADE_COLUMNS = (
    Column(key="skill", title="skill", style="cyan"),
    Column(key="version", title="version", right=True),
    Column(key="state", title="state"),
    Column(key="proof", title="proof", show=lambda proof: proof["level"] if proof else ""),
    Column(key="run", title="from run", show=short_id, style="dim"),
    Column(key="error", title="not made because", width=90, grow=True),
)


RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", help="A run's id or a unique beginning of it.", show_default=False),
]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="N", help="The skill's name; else told from what it does.")
]
StepsOption = Annotated[str, typer.Option("--steps", metavar="S", help="`all`, or a range like 3-7.")]
TagsOption = Annotated[str | None, typer.Option("--tags", metavar="A,B", help="Instead of the tags found.")]
DescriptionOption = Annotated[
    str | None, typer.Option("--description", metavar="T", help="Instead of the one found.")
]
PublicOption = Annotated[bool, typer.Option("--public", help="Mark it as meant for sharing.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Keep it although the library has one like it.")]
ReplayOption = Annotated[
    bool, typer.Option("--replay", help="Run its code for the proof, also code of an imported log.")
]
AllOption = Annotated[
    bool, typer.Option("--all-successful", help="One skill from each successful run, of RUN… or of all.")
]


@command(
    "skillsmith extract 019ab3 --name refund_booking",
    "skillsmith extract 019ab3 --name plot_spectrum --steps 3-7 --tags plotting,cmb",
    "skillsmith extract --all-successful --name airline",
)
def extract(
    session: Session,
    *,
    runs: RunsArgument = None,
    name: NameOption = None,
    steps: StepsOption = "all",
    tags: TagsOption = None,
    description: DescriptionOption = None,
    public: PublicOption = False,
    force: ForceOption = False,
    replay: ReplayOption = False,
    all_successful: AllOption = False,
) -> ExitCode | None:
    """Make a skill from a run: find its inputs, build its steps, prove that they do what the run did.

    A name that is there already gets a new version. A skill that does the same under another name is refused.
    """
    options: dict[str, Json] = {
        "steps": steps,
        "tags": split_list(tags),
        "description": description,
        "public": public,
        "force": force,
        "replay": True if replay else None,
    }
    if all_successful:
        return _extract_each(session, runs or (), name, options)
    if not runs:
        raise UsageError("no run is named", hint="`skillsmith runs` lists them; --all-successful takes all")
    with session.open() as workspace, session.out.progress("extracting"):
        report = workspace.extractor.extract(runs, name=name, **options)
        document = report_document(report)
    session.out.document(document, lambda: _show(session.out, report, document))
    return None


def report_document(report: ExtractionReport) -> dict[str, Json]:
    """Describe what an extraction made."""
    from skillsmith.library.document import to_document  # noqa: PLC0415  (the extractor has loaded it)

    whole = to_document(report.skill)
    return {
        "skill": report.skill.name,
        "version": report.skill.version,
        "state": report.skill.state,
        "description": report.skill.description,
        "tags": list(report.skill.tags),
        "proof": proof_document(report.proof),
        "inputs": whole["inputs"],
        "outputs": whole["outputs"],
        "nodes": whole["nodes"],
        "left_out": [reason_document(reason) for reason in report.left_out],
        "duplicates": [dict(duplicate) for duplicate in report.duplicates],
    }


def _extract_each(
    session: Session, runs: Sequence[str], prefix: str | None, options: dict[str, Json]
) -> ExitCode:
    """Make a skill from each successful run; what cannot become one is listed with its reason."""
    items: list[dict[str, Json]] = []
    with session.open() as workspace:
        chosen = _successful(workspace, runs)
        with session.out.progress("extracting", total=len(chosen)) as step:
            for run in chosen:
                items.append(_extract_one(workspace, run, _free_name(workspace, prefix), options))
                step(1, "")
        made = sum(item["skill"] is not None for item in items)
        with session.out.progress("embedding", total=made) as step:
            workspace.vectors.sync(progress=step)
    session.out.document({"items": items, "next": None}, lambda: _show_each(session.out, items, made))
    unfit = all(item["code"] == ExtractionError.code for item in items)
    return ExitCode.FAILED if items and unfit else ExitCode.OK


def _extract_one(
    workspace: Workspace, run: str, name: str | None, options: dict[str, Json]
) -> dict[str, Json]:
    try:
        report = workspace.extractor.extract([run], name=name, **options)
    except (ExtractionError, NearDuplicateError) as error:
        return {"run": run, "skill": None, "code": error.code, "error": error.message}
    return {"run": run, **report_document(report), "code": None, "error": None}


def _successful(workspace: Workspace, runs: Sequence[str]) -> list[str]:
    chosen = map(workspace.runs.get, runs) if runs else workspace.runs.list(outcome="success")
    return [run.id for run in chosen if run.outcome == "success"]


def _free_name(workspace: Workspace, prefix: str | None) -> str | None:
    """Return the prefix with the first number that no skill has yet."""
    if prefix is None:
        return None
    return next(name for name in map(f"{prefix}-{{}}".format, count(1)) if not workspace.skills.exists(name))


def _show(out: Output, report: ExtractionReport, document: dict[str, Json]) -> None:
    skill, proof = report.skill, report.proof
    out.line(f"{skill.name}@{skill.version}  {skill.state}", style="bold")
    if proof is not None:
        verdict = "passed" if proof.passed else "failed"
        out.line(f"proof: {proof.level} {verdict}, {plural(proof.compared, 'thing')} compared")
        for failure in proof.failures:
            out.line(f"  {failure}", style="red")
    show_inputs(out, skill.variables)
    show_steps(out, skill, code=False)
    for reason in report.left_out:
        out.line(f"left out: {reason.subject}: {reason.detail or reason.rule}", style="dim")
    if skill.state == "draft" and proof is not None and proof.passed:
        out.note("a draft until its code has run once: --replay runs it in a scratch folder")
    for duplicate in document["duplicates"]:
        out.line(f"also in the library: {duplicate['name']}@{duplicate['version']}", style="yellow")


def _show_each(out: Output, items: Sequence[dict[str, Json]], made: int) -> None:
    out.table(MADE_COLUMNS, items)
    out.line(f"{plural(made, 'skill')} from {plural(len(items), 'successful run')}")
