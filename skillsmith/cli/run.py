"""``run``: do a task with the skill that fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.documents import adaptation_document
from skillsmith.cli.match import ConfidenceOption, inputs_line
from skillsmith.cli.plan import show_plan
from skillsmith.cli.session import Session, command
from skillsmith.cli.text import duration, money, share, short_id, value_text
from skillsmith.errors import ExitCode, NoMatchError, UsageError
from skillsmith.models import Json, Match, Skill, ToolSource
from skillsmith.output import Output, clean, shorten
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.outcome import ExecutionResult
    from skillsmith.library.walk import ExecutionCallbacks


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The skill to run, and the match that chose it."""

    skill: Skill
    task: str
    match: Match | None = None

    @property
    def confidence(self) -> float | None:
        return self.match.confidence if self.match else None


TaskArgument = Annotated[
    str | None, typer.Argument(metavar="TASK", help="What is to be done, in words.", show_default=False)
]
SkillOption = Annotated[
    str | None, typer.Option("--use-skill", metavar="N", help="This skill: NAME or NAME@VERSION.")
]
NoMatchOption = Annotated[bool, typer.Option("--no-match", help="Do not look for a skill.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="K=V", help="An input's value; may be repeated.")
]
ToolsOption = Annotated[
    str | None, typer.Option("--tools", metavar="MODULE", help="Where tools are: package.module or file.py.")
]
WorkdirOption = Annotated[
    Path | None,
    typer.Option("--workdir", metavar="D", help="Folder to work in; else a new one in ./skillsmith-runs."),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="A step that may fail fails the skill, too.")]
NoAdaptOption = Annotated[
    bool, typer.Option("--no-adapt", help="Keep recorded values of inputs whatever the task says.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print exactly what would run.")]
AgreeOption = Annotated[
    bool, typer.Option("--yes", "-y", help="Run the skill that was found without asking.")
]
ResumeOption = Annotated[
    str | None, typer.Option("--resume", metavar="ID", help="Go on with an execution that broke off.")
]


_WITHOUT_SKILL = "name one with --use-skill, or extract one; agents for such tasks come in a later version"


@command(
    "skillsmith run 'cancel reservation EHGLP3 for user emma_kim_9957' --tools airline.tools",
    "skillsmith run 'plot it' --use-skill plot_spectrum --set input_path=new.csv --workdir out",
    "skillsmith run 'plot the spectrum of new.csv' --dry-run --json",
)
def run(
    session: Session,
    *,
    task: TaskArgument = None,
    use_skill: SkillOption = None,
    no_match: NoMatchOption = False,
    settings: SetOption = None,
    tools: ToolsOption = None,
    workdir: WorkdirOption = None,
    strict: StrictOption = False,
    no_adapt: NoAdaptOption = False,
    dry_run: DryRunOption = False,
    yes: AgreeOption = False,
    resume: ResumeOption = None,
    min_confidence: ConfidenceOption = None,
) -> ExitCode:
    """Do a task with the skill that fits it, or with the one that is named.

    A skill that was found, not named, is run only when you agree: on the terminal, or by --yes. When none
    fits, the reason is printed and the exit code is 4.
    """
    with session.open() as workspace:
        choice = _choose(workspace, task, use_skill, resume, no_match=no_match, min_confidence=min_confidence)
        context = {
            "task": choice.task,
            "inputs": _inputs(settings or (), choice.skill),
            "confidence": choice.confidence,
        }
        executor = workspace.executor(tools=_tools(tools), work_dir=workdir)
        if dry_run:
            plan = executor.plan(choice.skill, context, allow_adaptation=not no_adapt)
            session.out.document(plan, lambda: show_plan(session.out, plan))
            return ExitCode.OK
        if choice.match is not None:
            session.confirm(_question(choice), yes=yes)
        result = executor.execute_skill(
            choice.skill, context, not no_adapt, strict, resume=resume, callbacks=_callbacks(session)
        )
    document = _document(result, choice)
    session.out.document(document, lambda: _show(session.out, document))
    return ExitCode.OK if result.success else ExitCode.FAILED


def _choose(
    workspace: Workspace,
    task: str | None,
    name: str | None,
    resume: str | None,
    *,
    no_match: bool,
    min_confidence: float | None,
) -> _Choice:
    """Return the skill that was named, that an execution used, or that fits.

    Raises:
        NoMatchError: None fits, or none was to be looked for.
    """
    if resume is not None:
        execution = workspace.ledger.get(resume)
        skill = workspace.skills.get(f"{execution.skill}@{execution.version}")
        return _Choice(skill=skill, task=task or execution.task)
    if name is not None:
        return _Choice(skill=workspace.skills.get(name), task=task or "")
    if not task:
        raise UsageError("no task is given", hint="say what is to be done, or name a skill with --use-skill")
    if no_match:
        raise NoMatchError("no skill was to be looked for", hint=_WITHOUT_SKILL)
    result = workspace.matcher.match(task, top_k=1, min_confidence=min_confidence)
    if result.abstained or not result.matches:
        raise NoMatchError(
            f"no skill fits: {result.reason}",
            hint=_WITHOUT_SKILL,
        )
    found = result.matches[0]
    return _Choice(skill=workspace.skills.get(f"{found.name}@{found.version}"), task=task, match=found)


def _inputs(settings: Sequence[str], skill: Skill) -> dict[str, Json]:
    from skillsmith.library.inputs import parse_settings  # noqa: PLC0415  (the executor loads it too)

    return parse_settings(settings, skill)


def _tools(source: str | None) -> ToolSource | None:
    if source is None:
        return None
    from skillsmith.library.tools import module_tools  # noqa: PLC0415  (asyncio: 70 ms; only with tools)

    return module_tools(source)


def _callbacks(session: Session) -> ExecutionCallbacks:
    """Tell people how far the execution is, and ask them where a step wants their approval."""
    from skillsmith.library.walk import ExecutionCallbacks  # noqa: PLC0415  (the executor has loaded it)

    def on_event(name: str, data: Mapping[str, Json]) -> None:
        if name == "NODE_ENDED":
            error = f": {data['error']}" if data["error"] else ""
            session.out.note(f"{data['node']} {data['status']}{error}")

    def approve(question: str, _node: str) -> bool:
        return typer.confirm(clean(question), err=True)

    return ExecutionCallbacks(approve=approve if session.interactive else None, on_event=on_event)


def _question(choice: _Choice) -> str:
    found = choice.match
    assert found is not None
    inputs = f" with {inputs_line(found.inputs)}" if found.inputs else ""
    return f"run {found.name}@{found.version} ({share(found.confidence)} confident){inputs}?"


def _document(result: ExecutionResult, choice: _Choice) -> dict[str, Json]:
    return {
        "run_id": result.run_id,
        "execution_id": result.execution_id,
        "skill_used": choice.skill.name,
        "version": choice.skill.version,
        "confidence": choice.confidence,
        "success": result.success,
        "adapted": bool(result.adaptations),
        "adaptations": [adaptation_document(adaptation) for adaptation in result.adaptations],
        "outputs": dict(result.outputs),
        "artifacts": list(result.artifacts),
        "duration_seconds": result.duration_seconds,
        "cost_usd": result.cost_usd,
        "error": result.error,
        "work_dir": result.work_dir,
        "nodes": [{"id": node.node_id, "status": node.status, "error": node.error} for node in result.nodes],
    }


def _adaptation_line(adaptation: Mapping[str, Json]) -> str:
    what = adaptation["type"].replace("_", " ")
    if adaptation["type"] == "parameter_change":
        before, after = (shorten(value_text(adaptation[key]), 60) for key in ("before", "after"))
        what = f"{before} → {after}"
    reason = f" ({adaptation['reason']})" if adaptation["reason"] else ""
    return f"{adaptation['target']}: {what}{reason}"


def _show(out: Output, document: dict[str, Json]) -> None:
    success = document["success"]
    out.line(
        f"{document['skill_used']}@{document['version']} {'succeeded' if success else 'failed'}"
        f" in {duration(document['duration_seconds'])} {money(document['cost_usd'])}".rstrip(),
        style="green" if success else "bold red",
    )
    if document["error"]:
        out.line(document["error"], style="red")
    for name, value in document["outputs"].items():
        out.line(f"{name} = {value_text(value)}")
    for path in document["artifacts"]:
        out.line(f"made {Path(document['work_dir'] or '') / path}")
    for adaptation in document["adaptations"]:
        out.line(f"adapted {_adaptation_line(adaptation)}", style="yellow")
    out.line(
        f"execution {short_id(document['execution_id'])}, run {short_id(document['run_id'])}", style="dim"
    )
