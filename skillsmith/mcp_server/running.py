"""Run a skill for a client: allowed by the user, proven, and with its progress told node by node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from skillsmith.errors import SkillsmithError, UsageError
from skillsmith.library.execution.outcome import ExecutionInterruptedError
from skillsmith.library.execution.preparation import Means, require_means
from skillsmith.library.execution.resumption import refuse_resume
from skillsmith.library.execution.walk import ExecutionCallbacks
from skillsmith.library.execution.workfolder import default_work_dir
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.program.graph import build_graph
from skillsmith.mcp_server.settings import refuse_quarantined, refuse_to_run
from skillsmith.mcp_server.texts import error_line
from skillsmith.mcp_server.visit import Answer, Arguments, Document, Progress, Visit
from skillsmith.models import AgentRunner, Json, Skill
from skillsmith.output import shorten
from skillsmith.presentation.run_result import skill_document
from skillsmith.teams.model import Model

LABELS: Mapping[str, Json] = {"face": "mcp"}
"""Kept with each run that a client began."""

PROGRESS_CHARS: Final = 300
FAILURE_CHARS: Final = 1_000
"""Of an error in one line; the document holds all of it."""


def run_skill(visit: Visit, arguments: Arguments) -> Answer:
    """Run a skill, go on with an execution of it, or only look what it would do.

    Args:
        visit: The call's.
        arguments: ``name``; ``inputs``, ``task``, ``dry_run`` and ``resume`` when they are given.

    Raises:
        SkillsmithError: It may not be run, or cannot begin; then nothing was run.
    """
    skill, context = _wanted(visit, arguments)
    for one in build_graph(skill, visit.workspace.skills).skills.values():
        refuse_quarantined(one)
    executor = _executor(visit, skill)
    if arguments.get("dry_run"):
        plan = executor.plan(skill, context)
        return Answer(document={"skill_used": skill.name, "version": skill.version, "plan": plan})
    refuse_to_run(skill, visit.settings, visit.workspace)
    callbacks = ExecutionCallbacks(on_event=_listener(visit, skill), cancelled=visit.stop)
    try:
        result = executor.execute_skill(skill, context, resume=arguments.get("resume"), callbacks=callbacks)
    except ExecutionInterruptedError as error:  # a KeyboardInterrupt by birth, which would end the server
        return _stopped(skill, error.execution_id)
    document = skill_document(result)
    if result.success:
        return Answer(document=document)
    return Answer(document=document, failure=_failure(document))


def why_not(visit: Visit, skill: Skill) -> str | None:
    """Return why a skill could not be run here, whatever its inputs; None when it could."""
    workspace = visit.workspace
    try:
        refuse_to_run(skill, visit.settings, workspace)
        graph = build_graph(skill, workspace.skills)
        asks = any(stop.node.kind == "agent" for stop in graph.work())
        require_means(graph, Means(tools=visit.tools, agents=_agents(visit) if asks else None))
    except SkillsmithError as error:
        return error_line(error)
    return None


def _wanted(visit: Visit, arguments: Arguments) -> tuple[Skill, Document]:
    """Return the version to run, and what the executor is to know.

    Raises:
        UsageError: The execution to go on with is one of another skill, or is over.
    """
    skills, resume = visit.workspace.skills, arguments.get("resume")
    if resume is None:
        context = {"task": arguments.get("task") or "", "inputs": dict(arguments.get("inputs") or {})}
        return skills.get(arguments["name"]), {**context, "labels": LABELS}
    execution = visit.workspace.ledger.get(resume)
    if execution.skill != str(arguments["name"]).partition("@")[0]:
        raise UsageError(
            f"execution {execution.id[:13]} is one of {execution.skill}", hint=f"name {execution.skill}"
        )
    skill = skills.get(f"{execution.skill}@{execution.version}")
    refuse_resume(execution, skill)
    inputs = {name: value for name, value in execution.inputs.items() if value is not None}
    return skill, {"task": "", "inputs": inputs}


def _executor(visit: Visit, skill: Skill) -> SkillExecutor:
    settings, workspace = visit.settings, visit.workspace
    base = settings.work_dir
    folder = None if base is None else base / default_work_dir(skill.name, folder=Path()).name
    return workspace.executor(tools=visit.tools, work_dir=folder, agents=_agents(visit))


def _agents(visit: Visit) -> AgentRunner | None:
    settings = visit.settings
    return Model(
        visit.workspace, name=settings.model, max_cost=settings.max_cost, max_turns=settings.max_turns
    ).agents


def _listener(visit: Visit, skill: Skill) -> _Listener:
    return _Listener(visit, {stop.key for stop in build_graph(skill, visit.workspace.skills).work()})


class _Listener:
    """Turns what an execution tells into progress that only grows.

    Args:
        visit: The call's.
        open_keys: The nodes that are to be settled.
    """

    def __init__(self, visit: Visit, open_keys: set[str]) -> None:
        self._visit = visit
        self._open = open_keys
        self._total = len(open_keys)

    def __call__(self, event: str, data: Mapping[str, Json]) -> None:
        """Hear one event of the execution."""
        if event == "SKILL_EXECUTION_START":
            self._tell(f"execution {data['execution_id']} of {data['skill_name']}@{data['version']} begins")
        elif event == "NODE_ENDED" and data["node"] in self._open:
            self._open.discard(data["node"])
            error = f": {data['error']}" if data["error"] else ""
            self._tell(f"{data['node']} {data['status']}{error}")

    def _tell(self, message: str) -> None:
        done = self._total - len(self._open)
        self._visit.tell(Progress(done=done, total=self._total, message=shorten(message, PROGRESS_CHARS)))


def _stopped(skill: Skill, execution_id: str) -> Answer:
    """Say what is left of a cancelled execution; only who has not gone yet will hear it."""
    document = {"skill_used": skill.name, "version": skill.version, "execution_id": execution_id}
    return Answer(
        document=document, failure=f"execution {execution_id} was stopped; give it as resume to go on with it"
    )


def _failure(document: Document) -> str:
    ref, execution = f"{document['skill_used']}@{document['version']}", document["execution_id"]
    error = shorten(str(document["error"]), FAILURE_CHARS)
    return f"{ref} failed: {error}; once the cause is gone, resume execution {execution}"
