"""``run``: do a task with the skill that fits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.match import ConfidenceOption, inputs_line
from skillsmith.cli.plan import show_plan
from skillsmith.cli.run_care import confirm_skill
from skillsmith.cli.run_inputs import ask_missing
from skillsmith.cli.run_team import TeamTask, may_ask, run_team
from skillsmith.cli.session import Session, command
from skillsmith.errors import ExitCode, NoMatchError, SkillsmithError, UsageError
from skillsmith.models import Json, Match, Skill, ToolSource
from skillsmith.output import clean
from skillsmith.presentation.run_result import show_skill, skill_document
from skillsmith.presentation.text import share
from skillsmith.teams.means import opened
from skillsmith.teams.model import MAX_TURNS, Model
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.execution.outcome import ExecutionResult
    from skillsmith.library.execution.walk import ExecutionCallbacks
    from skillsmith.library.executor import SkillExecutor


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
    list[str] | None,
    typer.Option(
        "--tools",
        metavar="MODULE",
        help="Where tools are: package.module, file.py or mcp:COMMAND; repeatable.",
    ),
]
WorkdirOption = Annotated[
    Path | None,
    typer.Option("--workdir", metavar="D", help="Folder to work in; else a new one in ./skillsmith-runs."),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="A step that may fail fails the skill; no agents take over.")
]
NoAdaptOption = Annotated[
    bool, typer.Option("--no-adapt", help="Keep recorded values of inputs whatever the task says.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print exactly what would run.")]
AgreeOption = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask: run the skill found, call what writes, let agents work."),
]
ResumeOption = Annotated[
    str | None, typer.Option("--resume", metavar="ID", help="Go on with an execution that broke off.")
]
CreateOption = Annotated[
    bool, typer.Option("--create-skill", help="Make a skill of what a team of agents did.")
]
SkillNameOption = Annotated[
    str | None, typer.Option("--skill-name", metavar="N", help="Its name; else told from what it does.")
]
TeamOption = Annotated[
    str | None,
    typer.Option(
        "--team", metavar="FACTORY", help="Your own agents: package.module:factory or file.py:factory."
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Instead of $SKILLSMITH_MODEL.")
]
MaxCostOption = Annotated[
    float | None, typer.Option("--max-cost", metavar="USD", help="Stop before a model call beyond this cost.")
]
MaxTurnsOption = Annotated[
    int | None,
    typer.Option("--max-turns", metavar="N", help=f"Stop after this many model calls; else {MAX_TURNS}."),
]


@command(
    "skillsmith run 'cancel reservation EHGLP3 for user emma_kim_9957' --tools airline.tools",
    "skillsmith run 'plot it' --use-skill plot_spectrum --set input_path=new.csv --workdir out",
    "skillsmith run 'plot the spectrum of new.csv' --dry-run --json",
    "skillsmith run 'sum up sales.csv by month' --yes --max-cost 0.50 --create-skill --skill-name monthly",
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
    create_skill: CreateOption = False,
    skill_name: SkillNameOption = None,
    team: TeamOption = None,
    model: ModelOption = None,
    max_cost: MaxCostOption = None,
    max_turns: MaxTurnsOption = None,
    min_confidence: ConfidenceOption = None,
) -> ExitCode:
    """Do a task with the skill that fits it, or with the one that is named.

    You are asked before a skill that was found is run, and before tools are called that can change things.
    When no skill fits, or the skill fails, agents do the task if you agree and a model is configured; else
    the reason is printed, and when none fits the exit code is 4.
    """
    with session.open(create=may_ask(model, team)) as workspace, opened(tools) as source:
        asked = Model(workspace, name=model, max_cost=max_cost, max_turns=max_turns)
        choice = _choose(workspace, task, use_skill, resume, no_match=no_match, min_confidence=min_confidence)
        by_team = TeamTask(
            text=task or "", why=choice if isinstance(choice, str) else "", own=team, tools=source,
            work_dir=workdir, create=create_skill or skill_name is not None, skill_name=skill_name, yes=yes,
        )  # fmt: skip
        if isinstance(choice, str):
            if dry_run:
                raise NoMatchError(choice, hint="only skills can be looked at with --dry-run")
            return run_team(session, workspace, asked, by_team)
        executor = workspace.executor(tools=source, work_dir=workdir, agents=asked.agents)
        context = _context(workspace, choice, settings or (), resume)
        if dry_run:
            return _show_plan(session, executor.plan(choice.skill, context, allow_adaptation=not no_adapt))
        if not yes:
            context = _agreed(session, executor, choice, context, source, adapt=not no_adapt)
        result = executor.execute_skill(
            choice.skill, context, not no_adapt, strict, resume=resume, callbacks=_callbacks(session)
        )
        return _told(session, workspace, asked, by_team, result, strict=strict)


def _agreed(
    session: Session,
    executor: SkillExecutor,
    choice: _Choice,
    context: dict[str, Json],
    tools: ToolSource | None,
    *,
    adapt: bool,
) -> dict[str, Json]:
    """Ask for what the task leaves open and whether the skill may run; return the context with the answers.

    Raises:
        RefusedError: The answer is no, or there is nobody to ask.
    """
    plan = executor.plan(choice.skill, context, allow_adaptation=adapt)
    answers = ask_missing(session, choice.skill, plan)
    if answers:
        context = {**context, "inputs": {**context["inputs"], **answers}}
        plan = executor.plan(choice.skill, context, allow_adaptation=adapt)
    confirm_skill(session, plan, tools, question=_question(choice))
    return context


def _show_plan(session: Session, plan: dict[str, Json]) -> ExitCode:
    session.out.document(plan, lambda: show_plan(session.out, plan))
    return ExitCode.OK


def _told(
    session: Session,
    workspace: Workspace,
    model: Model,
    by_team: TeamTask,
    result: ExecutionResult,
    *,
    strict: bool,
) -> ExitCode:
    """Print what a skill did, or let agents take over where it failed."""
    document = skill_document(result)
    if not result.success and _may_fall_back(session, model, by_team, strict=strict):
        why = f"skill {result.skill_used} failed: {result.error}"
        try:
            return run_team(session, workspace, model, replace(by_team, why=why, failed=document))
        except SkillsmithError as error:  # no team, or no yes: what the skill did is told all the same
            session.out.warn(str(error))
    if by_team.create and result.success:
        session.out.note("a skill did it: no further one is made")
    session.out.document(document, lambda: show_skill(session.out, document))
    return ExitCode.OK if result.success else ExitCode.FAILED


def _may_fall_back(session: Session, model: Model, task: TeamTask, *, strict: bool) -> bool:
    """Whether agents may do what a skill failed at."""
    if strict or not task.text or (task.own is None and model.agents is None):
        return False
    if task.yes or session.interactive:
        return True
    session.out.note("with --yes, agents would take over now")
    return False


def _choose(
    workspace: Workspace,
    task: str | None,
    name: str | None,
    resume: str | None,
    *,
    no_match: bool,
    min_confidence: float | None,
) -> _Choice | str:
    """Return the skill that was named, that an execution used, or that fits; else why there is none."""
    if resume is not None:
        execution = workspace.ledger.get(resume)
        skill = workspace.skills.get(f"{execution.skill}@{execution.version}")
        return _Choice(skill=skill, task=task or execution.task)
    if name is not None:
        return _Choice(skill=workspace.skills.get(name), task=task or "")
    if not task:
        raise UsageError("no task is given", hint="say what is to be done, or name a skill with --use-skill")
    if no_match:
        return "no skill was to be looked for"
    result = workspace.matcher.choose(task, min_confidence=min_confidence)
    if result.abstained or not result.matches:
        return f"no skill fits: {result.reason}"
    found = result.matches[0]
    return _Choice(skill=workspace.skills.get(f"{found.name}@{found.version}"), task=task, match=found)


def _context(
    workspace: Workspace, choice: _Choice, settings: Sequence[str], resume: str | None
) -> dict[str, Json]:
    """Return the task with its inputs; of an execution that goes on, those that it has.

    Raises:
        UsageError: A setting makes no sense, or the execution cannot go on.
    """
    if resume is not None:
        from skillsmith.library.execution.resumption import refuse_resume  # noqa: PLC0415  (the executor loads it too)

        execution = workspace.ledger.get(resume)
        refuse_resume(execution, choice.skill)  # before anything is asked
        inputs = {name: value for name, value in execution.inputs.items() if value is not None}
        return {"task": "", "inputs": inputs, "confidence": None}
    inputs = _inputs(settings, choice.skill)
    reason = choice.match.reason if choice.match else None
    return {"task": choice.task, "inputs": inputs, "confidence": choice.confidence, "reason": reason}


def _inputs(settings: Sequence[str], skill: Skill) -> dict[str, Json]:
    from skillsmith.library.program.inputs import parse_settings  # noqa: PLC0415  (the executor loads it too)

    return parse_settings(settings, skill)


def _callbacks(session: Session) -> ExecutionCallbacks:
    """Tell people how far the execution is, and ask them where a step wants their approval."""
    from skillsmith.library.execution.walk import ExecutionCallbacks  # noqa: PLC0415  (the executor has loaded it)

    def on_event(name: str, data: Mapping[str, Json]) -> None:
        if name == "NODE_ENDED":
            error = f": {data['error']}" if data["error"] else ""
            session.out.note(f"{data['node']} {data['status']}{error}")

    def approve(question: str, _node: str) -> bool:
        return typer.confirm(clean(question), err=True)

    return ExecutionCallbacks(approve=approve if session.interactive else None, on_event=on_event)


def _question(choice: _Choice) -> str:
    """Return what is asked before a skill is run that was found, not named."""
    found = choice.match
    if found is None:
        return ""
    inputs = f" with {inputs_line(found.inputs)}" if found.inputs else ""
    return f"run {found.name}@{found.version} ({share(found.confidence)} confident){inputs}?"
