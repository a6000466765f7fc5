"""Skills that are made of runs, of other skills, and of what their executions show."""

from __future__ import annotations

from fastapi import APIRouter, Response

from skillsmith.models import Json
from skillsmith.server.api.common import ERRORS, JobsService, Readers, Settings
from skillsmith.server.api.executions import performance
from skillsmith.server.api.starting import accepted, all_allowed, allowed, shared
from skillsmith.server.schemas.common import SkillId
from skillsmith.server.schemas.jobs import Accepted
from skillsmith.server.schemas.skills import (
    AnalysisAnswer,
    AnalysisRequest,
    ComposeRequest,
    ExtractRequest,
    OptimizeRequest,
)
from skillsmith.workspace import Workspace

router = APIRouter(prefix="/api/skills", tags=["learning"], responses=ERRORS)


@router.post("/extract", response_model=Accepted, status_code=202)
async def extract_skill(
    readers: Readers, jobs: JobsService, settings: Settings, request: ExtractRequest
) -> Response:
    """Make a skill from a run, or from several of one kind; the job's `skill_id` is the new version."""
    if request.replay:
        all_allowed(settings, "recorded code")
    runs = await readers.run(lambda workspace: [workspace.runs.get(run).id for run in request.runs])
    options: dict[str, Json] = {
        "name": request.name, "steps": request.step_range, "tags": request.tags, "public": request.public,
        "description": request.description, "force": request.force, "replay": request.replay,
    }  # fmt: skip
    job = jobs.submit(
        "extract", subject=request.name or runs[0][:13],
        request={**shared(settings), "runs": runs, "options": options},
    )  # fmt: skip
    return accepted(job)


@router.post("/compose", response_model=Accepted, status_code=202)
async def compose_skills(
    readers: Readers, jobs: JobsService, settings: Settings, request: ComposeRequest
) -> Response:
    """Make a new skill of others, wired by name and type; the job's `skill_id` is the new version."""

    def parts(workspace: Workspace) -> list[str]:
        found = [workspace.skills.get(ref) for ref in request.skill_ids]
        for skill in found if request.replay else ():
            allowed(settings, skill.name)
        return [f"{skill.name}@{skill.version}" if "@" in ref else skill.name
                for ref, skill in zip(request.skill_ids, found, strict=True)]  # fmt: skip

    skills = await readers.run(parts)
    options: dict[str, Json] = {
        "name": request.name, "pattern": request.pattern, "when": request.when, "wires": request.wires,
        "tags": request.tags, "description": request.description, "force": request.force,
        "replay": request.replay,
    }  # fmt: skip
    job = jobs.submit(
        "compose", subject=request.name, request={**shared(settings), "skills": skills, "options": options}
    )
    return accepted(job)


@router.post("/{skill_id}/analyze", response_model=AnalysisAnswer)
async def analyze_skill(
    readers: Readers, skill_id: SkillId, request: AnalysisRequest | None = None
) -> Response:
    """Return what a skill's executions suggest, each recommendation with its evidence."""
    least = (request or AnalysisRequest()).min_executions

    def read(workspace: Workspace) -> Json:
        found = workspace.optimizer.analyze_skill(skill_id, min_executions=least)
        recommendations = [one.document() for one in found.proposals]
        return {
            "skill": found.skill, "version": found.version, "executions": found.executions,
            "enough": found.enough, "current_performance": performance(workspace, skill_id),
            "recommendations": recommendations, "optimization_potential": _potential(recommendations),
            "notes": list(found.notes),
        }  # fmt: skip

    return await readers.answer(read)


@router.post("/{skill_id}/optimize", response_model=Accepted, status_code=202)
async def optimize_skill(
    readers: Readers, jobs: JobsService, settings: Settings, skill_id: SkillId, request: OptimizeRequest
) -> Response:
    """Propose changes, and make the next version of those that pass proof and comparison when asked to.

    To compare, both versions do recorded inputs for real: only skills that the server was started for.
    """
    skill = await readers.run(lambda workspace: workspace.skills.get(skill_id))
    if request.apply_optimizations:
        allowed(settings, skill.name)
    options: dict[str, Json] = {
        "apply": request.apply_optimizations, "reason": request.reason,
        "min_executions": request.min_executions, "chosen": request.proposals,
    }  # fmt: skip
    ref = f"{skill.name}@{skill.version}"
    job = jobs.submit("optimize", subject=ref, request={**shared(settings), "skill": ref, "options": options})
    return accepted(job)


def _potential(recommendations: list[dict[str, Json]]) -> dict[str, Json]:
    """Return what the recommendations together may bring, as far as it can be told."""
    expected = [one["expected"] for one in recommendations]

    def most(name: str) -> float:
        return max((one.get(name) or 0.0 for one in expected), default=0.0)

    return {
        "recommendations": len(recommendations), "seconds": most("seconds"), "cost_usd": most("cost_usd"),
        "success": most("success"),
    }  # fmt: skip
