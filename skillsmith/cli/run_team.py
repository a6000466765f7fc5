"""``run`` without a skill: a team of agents does the task, and a skill may be made of its run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skillsmith.cli.session import Session
from skillsmith.errors import ExitCode, NoMatchError, SkillsmithError
from skillsmith.models import Json, ToolSource
from skillsmith.presentation.plan_effects import writing_tools
from skillsmith.presentation.run_result import show_made, show_team, team_document
from skillsmith.presentation.text import joined
from skillsmith.teams.model import Model
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.teams.own import OwnTeam
    from skillsmith.teams.result import TeamResult

PLAIN = "plain"
"""Stands as the team when the user names none."""


def may_ask(model: str | None, team: str | None) -> bool:
    """Whether agents may do a task: then there is work also for a file that has no skills yet."""
    from skillsmith.library.agents.model_settings import MODEL_VARIABLE  # noqa: PLC0415  (only to run)

    return bool(team or model or os.environ.get(MODEL_VARIABLE))


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamTask:
    """A task for a team.

    Args:
        text: What is to be done.
        why: Why no skill does it.
        own: ``package.module:factory`` of the user's own team.
        failed: The document of the skill that failed at it.
        create: Whether a skill is to be made of the run.
        skill_name: Its name; None: told from what it does.
        yes: Whether the user agreed already.
    """

    text: str
    why: str
    own: str | None = None
    tools: ToolSource | None = None
    work_dir: Path | None = None
    failed: Mapping[str, Json] | None = None
    create: bool = False
    skill_name: str | None = None
    yes: bool = False


def run_team(session: Session, workspace: Workspace, model: Model, task: TeamTask) -> ExitCode:
    """Have a team do a task, print what came of it, and make a skill of it when asked to.

    Raises:
        NoMatchError: There is no team, or nobody agreed to it and nobody can be asked.
        RefusedError: The user said no.
    """
    own = _own_team(task)
    if own is None and model.agents is None:
        raise _nobody(task, model)
    if not task.yes and not session.interactive:
        raise NoMatchError(task.why, hint="give --yes to have agents do it")
    session.confirm(_question(task, model), yes=task.yes)
    if task.failed is not None:
        session.out.note(f"{task.why}; agents take over")
    result = _work(session, workspace, model, task, own)
    workspace.runs.annotate(result.run_id, team=task.own or PLAIN, **_links(task))
    if task.failed is not None:
        workspace.runs.annotate(task.failed["run_id"], fallback_run=result.run_id)
    document = team_document(result, team=task.own or PLAIN, failed=task.failed)
    made, code = _skill_of(session, workspace, task, result) if task.create else (None, ExitCode.OK)
    document["skill_created"] = made
    session.out.document(document, lambda: _show(session, document))
    return ExitCode.FAILED if result.success is False else code


def _show(session: Session, document: Mapping[str, Json]) -> None:
    show_team(session.out, document)
    show_made(session.out, document["skill_created"])


def _own_team(task: TeamTask) -> OwnTeam | None:
    if task.own is None:
        return None
    from skillsmith.teams.own import load_team  # noqa: PLC0415  (only when a team works)

    return load_team(task.own)


def _nobody(task: TeamTask, model: Model) -> SkillsmithError:
    from skillsmith.library.agents.model_settings import HOW_TO_CONFIGURE  # noqa: PLC0415  (loaded already)

    hint = str(model.problem) if model.problem else f"for agents to do it, {HOW_TO_CONFIGURE}"
    return NoMatchError(task.why, hint=f"name a skill with --use-skill; {hint}")


def _question(task: TeamTask, model: Model) -> str:
    who = (
        f"the team {task.own}"
        if task.own
        else f"a team of agents with {model.settings and model.settings.model}"
    )
    changing = writing_tools(task.tools)
    what = f", which may call {joined(changing)}" if changing else ""
    return f"{task.why}: have {who} do it{what}?"


def _links(task: TeamTask) -> dict[str, Json]:
    if task.failed is None:
        return {}
    names = ("execution_id", "run_id", "skill_used", "version")
    return {"fallback_for": {name: task.failed[name] for name in names}}


def _work(
    session: Session, workspace: Workspace, model: Model, task: TeamTask, own: OwnTeam | None
) -> TeamResult:
    from skillsmith.library.execution.workfolder import default_work_dir  # noqa: PLC0415  (loaded already)

    folder = task.work_dir or default_work_dir("team", folder=Path.cwd())
    if own is not None:
        return own.run(
            task.text, workspace=workspace, work_dir=folder, tools=task.tools, model=model.settings
        )
    from skillsmith.teams.plain import PlainTeam  # noqa: PLC0415  (only when a team works)

    assert model.agents is not None
    team = PlainTeam(model.agents, tools=task.tools, say=session.out.note)
    return team.run(task.text, db=workspace, work_dir=folder)


def _skill_of(
    session: Session, workspace: Workspace, task: TeamTask, result: TeamResult
) -> tuple[dict[str, Json], ExitCode]:
    """Make a skill of a team's run; what prevents it is part of the document."""
    from skillsmith.presentation.skills import report_document  # noqa: PLC0415  (only to make a skill)

    try:
        with session.out.progress("extracting"):
            report = workspace.extractor.extract([result.run_id], name=task.skill_name)
    except SkillsmithError as error:
        return {"error": str(error), "code": error.code}, error.exit_code
    return report_document(report), ExitCode.OK
