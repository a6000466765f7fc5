"""What skills did, how they do, and having them do something."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from skillsmith.errors import NotFoundError, RefusedError, UsageError
from skillsmith.library.execution.preparation import Means, prepare, refuse_untrusted
from skillsmith.library.execution.resumption import refuse_resume
from skillsmith.library.program.graph import build_graph
from skillsmith.models import Json
from skillsmith.presentation.documents import execution_document, stats_document
from skillsmith.server.api.common import ERRORS, JobsService, Readers, Settings, known_skill, page_of
from skillsmith.server.api.starting import accepted, allowed, shared
from skillsmith.server.fences import refuse_outside, work_folder
from skillsmith.server.schemas.common import ExecutionId, Limit, Page, SkillId
from skillsmith.server.schemas.jobs import Accepted
from skillsmith.server.schemas.skills import ExecuteRequest, ExecutionAnswer, PerformanceAnswer
from skillsmith.server.settings import ServerSettings
from skillsmith.workspace import Workspace

router = APIRouter(prefix="/api/skills", tags=["executions"], responses=ERRORS)


@router.get("/{skill_id}/executions", response_model=Page[ExecutionAnswer])
async def list_executions(
    readers: Readers,
    skill_id: SkillId,
    *,
    limit: Limit = 50,
    after: Annotated[str | None, Query(pattern=r"^[0-9a-f\-]{36}$")] = None,
) -> Response:
    """List a skill's executions, newest first, with what each adapted; also those of a deleted skill."""

    def read(workspace: Workspace) -> Json:
        name, version = known_skill(workspace, skill_id)
        found = workspace.ledger.list(name, version=version, after=after, window=limit + 1)
        return page_of(map(execution_document, found), limit=limit, cursor="id")

    return await readers.answer(read)


@router.get("/{skill_id}/executions/{execution_id}", response_model=ExecutionAnswer)
async def get_execution(readers: Readers, skill_id: SkillId, execution_id: ExecutionId) -> Response:
    """Return one execution of a skill."""

    def read(workspace: Workspace) -> Json:
        name, version = known_skill(workspace, skill_id)
        execution = workspace.ledger.get(execution_id)
        if execution.skill != name or version not in (None, execution.version):
            raise NotFoundError(
                f"execution {execution_id[:13]} is not one of {skill_id}",
                hint=f"it is one of {execution.skill}",
            )
        return execution_document(execution)

    return await readers.answer(read)


@router.get("/{skill_id}/performance", response_model=PerformanceAnswer)
async def get_performance(readers: Readers, skill_id: SkillId) -> Response:
    """Return how a skill does, counted from its executions, beside your runs without it."""
    return await readers.answer(lambda workspace: performance(workspace, skill_id))


@router.post("/{skill_id}/execute", response_model=Accepted, status_code=202)
async def execute_skill(
    readers: Readers, jobs: JobsService, settings: Settings, skill_id: SkillId, request: ExecuteRequest
) -> Response:
    """Have a skill do a task; the job's result says what came of it.

    Only skills that the server was started for: `--allow-run NAME`, which holds for the skills it calls, too.
    """
    folder = work_folder(settings.folder, request.work_dir)
    ref = await readers.run(lambda workspace: _checked(workspace, settings, skill_id, request))
    job = jobs.submit(
        "execute", subject=ref,
        request={
            **shared(settings), "skill": ref, "task": request.task, "inputs": request.task_context,
            "adapt": request.allow_adaptation, "strict": request.strict_mode, "work_dir": folder,
            "resume": request.resume,
        },
    )  # fmt: skip
    return accepted(job)


def performance(workspace: Workspace, ref: str) -> dict[str, Json]:
    """Return a skill's figures, with the specification's names for two of them."""
    name, version = known_skill(workspace, ref)
    figures = stats_document(workspace.ledger.stats(name, version=version))
    return {**figures, "avg_time": figures["avg_duration_seconds"], "avg_cost": figures["avg_cost_usd"]}


def _checked(workspace: Workspace, settings: ServerSettings, ref: str, request: ExecuteRequest) -> str:
    """Refuse at once what could not begin; return the version that is meant."""
    skill = workspace.skills.get(ref)
    allowed(settings, skill.name)
    for called in build_graph(skill, workspace.skills).skills.values():
        allowed(settings, called.name)
    if request.resume is not None:
        if request.work_dir is not None or request.task_context:
            raise UsageError("a resumed execution keeps its inputs and folder", hint="give `resume` alone")
        execution = workspace.ledger.get(request.resume)
        refuse_resume(execution, skill)
        _refuse_other_folder(workspace, settings, execution.run_id)
        return f"{skill.name}@{skill.version}"
    refuse_outside(skill, request.task_context, root=settings.folder)
    looked = prepare(
        skill, task=request.task, given=request.task_context, skills=workspace.skills,
        means=Means(folder=settings.folder), adapt=request.allow_adaptation, only_look=True,
    )  # fmt: skip
    refuse_untrusted(looked.graph)
    if looked.missing:
        raise UsageError(
            f"skill {skill.name!r} needs {', '.join(looked.missing)}",
            hint="give them in `task_context`, or say them in `task`",
        )
    return f"{skill.name}@{skill.version}"


def _refuse_other_folder(workspace: Workspace, settings: ServerSettings, run_id: str | None) -> None:
    """Refuse to go on in a folder that is not below the server's."""
    folder = workspace.runs.get(run_id).work_dir if run_id else None
    if folder is not None and work_folder(settings.folder, folder) is None:
        raise RefusedError("its work folder is outside the server's")
