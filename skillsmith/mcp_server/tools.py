"""The tools of every server: find, show and run skills, judge and search runs, make skills of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from skillsmith.errors import NotFoundError, RefusedError
from skillsmith.mcp_server import schemas
from skillsmith.mcp_server.running import run_skill, why_not
from skillsmith.mcp_server.settings import refuse_quarantined
from skillsmith.mcp_server.visit import Answer, Arguments, Call, Document, Visit
from skillsmith.models import Execution, Json, Node, Run, Skill
from skillsmith.notices import timestamp
from skillsmith.presentation.documents import match_document, proof_document, run_document, stats_document
from skillsmith.presentation.skills import highest_proof, report_document
from skillsmith.runs import BY_PERSON

STEP_TEXT_CHARS: Final = 4_000
"""Of one step's code or prompt in what show_skill gives; the skill's resources hold all of it."""

EXECUTIONS_SHOWN: Final = 5

BY_CLIENT: Final = "judged by an MCP client"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """One tool.

    Args:
        about: What it does, for the model that is to call it.
        takes: JSON Schema of its arguments.
        gives: JSON Schema of its result.
        call: Does it.
        long: Whether it may take long.
        reads: Whether it changes nothing.
        destroys: Whether it may change what cannot be had back.
        repeatable: Whether doing it twice is the same as once.
        reaches_out: Whether it may reach beyond this file.
    """

    name: str
    title: str
    about: str
    takes: dict[str, Json]
    gives: dict[str, Json]
    call: Call
    long: bool = False
    reads: bool = False
    destroys: bool = False
    repeatable: bool = False
    reaches_out: bool = False


def find_skill(visit: Visit, arguments: Arguments) -> Answer:
    """Return the skills that fit a task, and whether each may be run here."""
    result = visit.workspace.matcher.match(
        arguments["task"], top_k=arguments.get("top_k", 3), tags=arguments.get("tags", ())
    )
    document = match_document(result)
    document["matches"] = [
        {**match, **_standing(visit, visit.workspace.skills.get(f"{match['name']}@{match['version']}"))}
        for match in document["matches"]
    ]
    return Answer(document=document)


def show_skill(visit: Visit, arguments: Arguments) -> Answer:
    """Return what a skill takes, does and gives, and how it has fared.

    Raises:
        NotFoundError: There is none of this name.
        UntrustedError: It is in quarantine.
    """
    workspace = visit.workspace
    skill = workspace.skills.get(arguments["name"])
    refuse_quarantined(skill)
    last = islice(workspace.ledger.list(skill.name, window=EXECUTIONS_SHOWN), EXECUTIONS_SHOWN)
    return Answer(document={
        "name": skill.name, "version": skill.version, "state": skill.state,
        "description": skill.description, "task_pattern": skill.task_pattern, "tags": list(skill.tags),
        "inputs": schemas.inputs_of(skill), "outputs": dict(skill.outputs) or {"type": "object"},
        "steps": [_step(node) for node in skill.nodes],
        "needs": dict(skill.context_requirements),
        "proof": proof_document(highest_proof(skill)),
        "ledger": stats_document(workspace.ledger.stats(skill.name)),
        "recent_executions": [_execution(one) for one in last],
        **_standing(visit, skill),
    })  # fmt: skip


def _standing(visit: Visit, skill: Skill) -> Document:
    reason = why_not(visit, skill)
    return {"runnable": reason is None, "why_not": reason}


def _step(node: Node) -> Document:
    step: Document = {"id": node.id, "kind": node.kind, "effect": node.effect}
    step |= {
        key: value
        for key, value in {
            "title": node.title, "tool": node.tool, "agent": node.agent, "after": list(node.after),
            "condition": node.condition, "optional": node.optional,
        }.items()
        if value
    }  # fmt: skip
    if node.template is not None:
        text = node.template.text
        step["text"] = text if len(text) <= STEP_TEXT_CHARS else f"{text[:STEP_TEXT_CHARS]}…"
    return step


def _execution(one: Execution) -> Document:
    return {
        "id": one.id, "version": one.version, "started_at": timestamp(one.started_at),
        "success": one.success, "error": one.error,
    }  # fmt: skip


def record_outcome(visit: Visit, arguments: Arguments) -> Answer:
    """Store a client's judgement of a run, or of the run that an execution is.

    Raises:
        NotFoundError: There is no such run or execution.
        RefusedError: A person has judged it otherwise.
    """
    run, outcome = _run_of(visit, arguments["id"]), arguments["outcome"]
    if run.outcome_reason == BY_PERSON and run.outcome != outcome:
        raise RefusedError(
            f"a person has judged run {run.id[:13]}: {run.outcome}", hint="only a person can change that"
        )
    if run.outcome_reason != BY_PERSON:
        run = visit.workspace.runs.mark(run.id, outcome, note=arguments.get("note"), by=BY_CLIENT)
    return Answer(document=run_document(run))


def _run_of(visit: Visit, number: str) -> Run:
    runs = visit.workspace.runs
    try:
        return runs.get(number)
    except NotFoundError as error:
        try:
            execution = visit.workspace.ledger.get(number)
        except NotFoundError:
            raise NotFoundError(
                f"there is no run or execution {number!r}", hint="search_runs lists the runs"
            ) from error
        return runs.get(execution.run_id or "")


def extract_skill(visit: Visit, arguments: Arguments) -> Answer:
    """Make a new skill of runs; its code is re-run for the proof only where everything may be run.

    Raises:
        RefusedError: There is a skill of that name: its users count on what it is.
        SkillsmithError: No skill can be made of them.
    """
    name, workspace = arguments["name"], visit.workspace
    if workspace.skills.exists(name):
        raise RefusedError(
            f"there is a skill {name!r} already, and only its user makes new versions of it",
            hint="choose another name",
        )
    report = workspace.extractor.extract(
        arguments["runs"], name=name, tags=arguments.get("tags", ()),
        description=arguments.get("description"),
        replay=None if visit.settings.allowed.everything else False,
    )  # fmt: skip
    skill = workspace.skills.get(report.skill.id)
    return Answer(document={**report_document(report), **_standing(visit, skill)})


def search_runs(visit: Visit, arguments: Arguments) -> Answer:
    """Return a page of the runs, newest first."""
    limit: int = arguments.get("limit", 20)
    found = visit.workspace.runs.list(
        outcome=arguments.get("outcome"), search=arguments.get("text") or None, after=arguments.get("after"),
        window=limit + 1,
    )  # fmt: skip
    runs = list(islice(found, limit + 1))
    items = [run_document(run) for run in runs[:limit]]
    return Answer(document={"items": items, "next": items[-1]["id"] if len(runs) > limit else None})


SPECS: Final = (
    ToolSpec(
        name="find_skill", title="Find a skill", call=find_skill, reads=True, repeatable=True,
        takes=schemas.FIND_TAKES, gives=schemas.FIND_GIVES,
        about="Find proven skills that fit a task, best first, with the inputs that the task's words give and"
        " what is missing. When none fits, `abstained` is true and `reason` says why: then do the task"
        " yourself. Call it before you begin a task that may have been done before.",
    ),
    ToolSpec(
        name="show_skill", title="Show a skill", call=show_skill, reads=True, repeatable=True,
        takes=schemas.SHOW_TAKES, gives=schemas.SHOW_GIVES,
        about="Show one skill: the JSON Schema of its inputs and outputs, its steps, its proof, how its"
        " executions went, and whether it may be run here.",
    ),
    ToolSpec(
        name="run_skill", title="Run a skill", call=run_skill, long=True, destroys=True, reaches_out=True,
        takes=schemas.RUN_TAKES, gives=schemas.run_gives(),
        about="Run a skill with values for its inputs, and get its outputs and the files it made. With"
        " dry_run nothing runs and the plan is returned. Cancelling stops it; give the execution's id as"
        " resume to go on.",
    ),
    ToolSpec(
        name="record_outcome", title="Record an outcome", call=record_outcome, repeatable=True,
        takes=schemas.OUTCOME_TAKES, gives=schemas.RUN_DOCUMENT,
        about="Say whether a run, or an execution of a skill, did what it was for. What a person said about"
        " it stays.",
    ),
    ToolSpec(
        name="extract_skill", title="Make a skill of runs", call=extract_skill, long=True,
        takes=schemas.EXTRACT_TAKES, gives=schemas.EXTRACT_GIVES,
        about="Make a new skill of one or several successful runs of the same kind of task, and prove it."
        " It is not run by this.",
    ),
    ToolSpec(
        name="search_runs", title="Search runs", call=search_runs, reads=True, repeatable=True,
        takes=schemas.SEARCH_TAKES, gives=schemas.SEARCH_GIVES,
        about="List recorded runs of agents, newest first, by words and outcome. The resource"
        " skillsmith://runs/ID is a run's timeline.",
    ),
)  # fmt: skip
