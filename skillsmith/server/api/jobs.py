"""Jobs: what is at work, what came of it, and stopping it; and the server itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from skillsmith import __version__
from skillsmith.models import Json
from skillsmith.server.answers import json_answer
from skillsmith.server.api.common import ERRORS, JobsService, Readers, Settings
from skillsmith.server.schemas.common import JobId, Limit, Page
from skillsmith.server.schemas.jobs import JobAnswer, JobKind, JobStatus, StatusAnswer
from skillsmith.workspace import Workspace

router = APIRouter(prefix="/api", tags=["jobs"], responses=ERRORS)


@router.get("/jobs", response_model=Page[JobAnswer])
async def list_jobs(
    jobs: JobsService,
    *,
    status: JobStatus | None = None,
    kind: JobKind | None = None,
    limit: Limit = 50,
    after: Annotated[str | None, Query(pattern=r"^[0-9a-f\-]{36}$")] = None,
) -> Response:
    """List the jobs, newest first; those of before a restart, too."""
    return json_answer(jobs.list(status=status, kind=kind, after=after, limit=limit))


@router.get("/jobs/{job_id}", response_model=JobAnswer)
async def get_job(jobs: JobsService, job_id: JobId) -> Response:
    """Return one job: how far it is, and what came of it."""
    return json_answer(jobs.get(job_id).document())


@router.post("/jobs/{job_id}/cancel", response_model=JobAnswer, status_code=202)
async def cancel_job(jobs: JobsService, job_id: JobId) -> Response:
    """Have a job stop; an execution that was stopped can be resumed."""
    return json_answer(jobs.cancel(job_id).document(), status=202)


@router.get("/status", response_model=StatusAnswer)
async def get_status(readers: Readers, jobs: JobsService, settings: Settings, request: Request) -> Response:
    """Return what this server is, and what it may do."""
    listeners = request.app.state.streams.listeners

    def read(workspace: Workspace) -> Json:
        return {
            "version": __version__, "database": str(settings.db),
            "skills": workspace.skills.counts()["skills"], "allow_run": sorted(settings.allow_run),
            "tools": list(settings.tools), "model": settings.model, "jobs": jobs.counts(),
            "listeners": listeners,
        }  # fmt: skip

    return await readers.answer(read)
