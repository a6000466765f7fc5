"""Versions of skills, and the way back to one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from skillsmith.models import Json
from skillsmith.presentation.skills import version_document
from skillsmith.server.api.common import ERRORS, Readers, page_of
from skillsmith.server.schemas.common import Limit, Page, SkillName
from skillsmith.server.schemas.skills import RollbackAnswer, RollbackRequest, VersionAnswer
from skillsmith.workspace import Workspace

router = APIRouter(prefix="/api/skills", tags=["versions"], responses=ERRORS)


@router.get("/{skill_name}/versions", response_model=Page[VersionAnswer])
async def list_versions(
    readers: Readers,
    skill_name: SkillName,
    *,
    limit: Limit = 50,
    after: Annotated[int | None, Query(ge=1, le=999_999_999)] = None,
) -> Response:
    """List a skill's versions, newest first, each with how it has done."""

    def read(workspace: Workspace) -> Json:
        entries = workspace.versions.get_version_history(skill_name)
        rest = (version_document(one) for one in entries if after is None or one.version < after)
        return page_of(rest, limit=limit, cursor="version")

    return await readers.answer(read)


@router.post("/{skill_name}/rollback", response_model=RollbackAnswer)
async def roll_back(readers: Readers, skill_name: SkillName, request: RollbackRequest) -> Response:
    """Make another version the current one; no version is lost, and the history says why."""

    def work(workspace: Workspace) -> Json:
        before = workspace.skills.current_version(skill_name)
        skill = workspace.versions.rollback_to_version(
            skill_name, request.version, reason=request.reason or "over HTTP"
        )
        return {
            "success": True, "skill_id": skill.id, "skill": skill.name, "version": skill.version,
            "from_version": before, "state": skill.state,
        }  # fmt: skip

    return await readers.answer(work)
