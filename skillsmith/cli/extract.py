"""``extract``: a skill from what a run did, with its proof."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.session import Session, command
from skillsmith.errors import ExitCode, ExtractionError, NearDuplicateError, SecretFoundError, UsageError
from skillsmith.models import Json
from skillsmith.output import Column, Output
from skillsmith.presentation.show import show_inputs, show_steps
from skillsmith.presentation.skills import report_document
from skillsmith.presentation.text import plural, short_id, split_list
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.agents.model_settings import ModelSettings
    from skillsmith.library.extractor import ExtractionReport


def _from(runs: Sequence[str]) -> str:
    """Write which run a skill is from, or how many."""
    return f"run {short_id(runs[0])}" if len(runs) == 1 else plural(len(runs), "run")


MADE_COLUMNS = (
    Column(key="skill", title="skill", style="cyan"),
    Column(key="version", title="version", right=True),
    Column(key="state", title="state"),
    Column(key="proof", title="proof", show=lambda proof: proof["level"] if proof else ""),
    Column(key="runs", title="from", show=_from, style="dim"),
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
SecretsOption = Annotated[
    bool, typer.Option("--allow-secrets", help="Keep it although something in it looks like a secret.")
]
ReplayOption = Annotated[
    bool, typer.Option("--replay", help="Run its code for the proof, also code of an imported log.")
]
AllOption = Annotated[
    bool,
    typer.Option(
        "--all-successful", help="One skill from each family of successful runs, of RUN… or of all."
    ),
]


PolishOption = Annotated[
    bool,
    typer.Option(
        "--polish",
        help="Ask the configured model for better names and words; it sees the task and example values.",
    ),
]


@command(
    "skillsmith extract 019ab3 --name refund_booking",
    "skillsmith extract 019ab3 --name plot_spectrum --steps 3-7 --tags plotting,cmb",
    "skillsmith extract 019ab3 019ab7 019abc --name cancel_orders",
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
    allow_secrets: SecretsOption = False,
    all_successful: AllOption = False,
    polish: PolishOption = False,
) -> ExitCode | None:
    """Make a skill from a run: find its inputs, build its steps, prove that they do what the run did.

    Of several runs of one kind of task, what differs becomes an input, what is done for one thing or for
    three a loop, what only some did conditional. Failed ones among them give checks.

    A name that is there already gets a new version. A skill that does the same under another name is refused,
    and so is one that holds what looks like a key, token or password: the error says where. No model is
    asked unless --polish says so; what it proposes is kept only where the skill passes the same proof.
    """
    settings = _model() if polish else None
    options: dict[str, Json] = {
        "steps": steps,
        "tags": split_list(tags),
        "description": description,
        "public": public,
        "force": force,
        "replay": True if replay else None,
        "allow_secrets": allow_secrets,
    }
    if all_successful:
        return _extract_each(session, runs or (), name, options, settings)
    if not runs:
        raise UsageError("no run is named", hint="`skillsmith runs` lists them; --all-successful takes all")
    with session.open() as workspace, session.out.progress("extracting"):
        options["polish"] = workspace.agents(settings) if settings else None
        report = workspace.extractor.extract(runs, name=name, **options)
        document = report_document(report)
        if steps == "all":
            _retire_drafts(workspace, runs)
    session.out.document(document, lambda: _show(session.out, report, document))
    return None


def _retire_drafts(workspace: Workspace, runs: Sequence[str]) -> None:
    """Retire what `learn` drafted from parts of runs that now have a skill of the whole."""
    from skillsmith.library.incremental import IncrementalSkillExtractor  # noqa: PLC0415  (5 ms)

    learning = IncrementalSkillExtractor(workspace.db)
    for run in runs:
        learning.supersede(run)


def _model() -> ModelSettings:
    """Return the model that is configured, which --polish needs."""
    from skillsmith.library.agents.model_settings import HOW_TO_CONFIGURE, read_settings  # noqa: PLC0415  (rare)

    settings = read_settings()
    if settings is None:
        raise UsageError("--polish asks a model, and none is configured", hint=HOW_TO_CONFIGURE)
    return settings


def _extract_each(
    session: Session,
    runs: Sequence[str],
    prefix: str | None,
    options: dict[str, Json],
    settings: ModelSettings | None,
) -> ExitCode:
    """Make a skill from each family of successful runs; what cannot become one is listed with its reason."""
    items: list[dict[str, Json]] = []
    if options["steps"] != "all":
        raise UsageError("--steps is for one run", hint="leave it out with --all-successful")
    with session.open() as workspace:
        options["polish"] = workspace.agents(settings) if settings else None
        families = _families(workspace, runs)
        with session.out.progress("extracting", total=len(families)) as step:
            for good, failed in families:
                items += _extract_family(workspace, good, failed, prefix, options)
                step(1, "")
        made = sum(item["skill"] is not None for item in items)
        with session.out.progress("embedding", total=made) as step:
            workspace.vectors.sync(progress=step)
    listed: list[dict[str, Json]] = [{"runs": good, "failed_runs": failed} for good, failed in families]
    document: dict[str, Json] = {"items": items, "families": listed, "next": None}
    session.out.document(document, lambda: _show_each(session.out, items, made))
    unfit = all(item["code"] == ExtractionError.code for item in items)
    return ExitCode.FAILED if items and unfit else ExitCode.OK


def _extract_family(
    workspace: Workspace, good: list[str], failed: list[str], prefix: str | None, options: dict[str, Json]
) -> list[dict[str, Json]]:
    """Make one skill of a family; where its runs cannot be lined up, one of each."""
    made = _extract_one(workspace, good, failed, prefix, options)
    if made["code"] != ExtractionError.code or len(good) == 1:
        return [made]
    return [_extract_one(workspace, [run], [], prefix, options) for run in good]


def _extract_one(
    workspace: Workspace, good: list[str], failed: list[str], prefix: str | None, options: dict[str, Json]
) -> dict[str, Json]:
    about: dict[str, Json] = {"run": good[0], "runs": good}
    runs = [*good, *failed] if len(good) > 1 else good
    try:
        report = workspace.extractor.extract(runs, name=_free_name(workspace, prefix), **options)
    except (ExtractionError, NearDuplicateError, SecretFoundError) as error:
        return {**about, "skill": None, "code": error.code, "error": error.message}
    return {**about, **report_document(report), "code": None, "error": None}


def _families(workspace: Workspace, runs: Sequence[str]) -> list[tuple[list[str], list[str]]]:
    chosen = map(workspace.runs.get, runs) if runs else workspace.runs.list()
    return workspace.extractor.families([run.id for run in chosen])


def _free_name(workspace: Workspace, prefix: str | None) -> str | None:
    """Return the prefix with the first number that no skill has yet."""
    if prefix is None:
        return None
    return next(name for name in map(f"{prefix}-{{}}".format, count(1)) if not workspace.skills.exists(name))


def _show(out: Output, report: ExtractionReport, document: dict[str, Json]) -> None:
    skill, proof = report.skill, report.proof
    out.line(f"{skill.name}@{skill.version}  {skill.state}", style="bold")
    for one in skill.proofs:
        verdict = "passed" if one.passed else "failed"
        out.line(f"proof: {one.level} {verdict}, {plural(one.compared, 'thing')} compared")
        for failure in one.failures:
            out.line(f"  {failure}", style="red")
    show_inputs(out, skill.variables)
    show_steps(out, skill, code=False)
    for reason in report.left_out:
        out.line(f"left out: {reason.subject}: {reason.detail or reason.rule}", style="dim")
    for reason in report.proposed:
        if reason.decision == "kept":
            out.line(f"from the model: {reason.subject} = {reason.value}", style="dim")
    if skill.state == "draft" and proof is not None and proof.passed:
        out.note("a draft until its code has run once: --replay runs it in a scratch folder")
    for duplicate in document["duplicates"]:
        out.line(f"also in the library: {duplicate['name']}@{duplicate['version']}", style="yellow")


def _show_each(out: Output, items: Sequence[dict[str, Json]], made: int) -> None:
    out.table(MADE_COLUMNS, items)
    runs = sum(len(item["runs"]) for item in items)
    out.line(f"{plural(made, 'skill')} from {plural(runs, 'successful run')}")
