"""Skills: the list, one whole, its files, and deleting it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response

from skillsmith.ids import digest_of
from skillsmith.models import Json, SkillArtifact, SkillState
from skillsmith.presentation.documents import summary_document
from skillsmith.presentation.skills import skill_document
from skillsmith.presentation.text import file_text, split_list
from skillsmith.server.api.common import ERRORS, Readers, page_of
from skillsmith.server.schemas.common import NAME_PATTERN, Cursor, Deleted, Limit, Page, SkillId
from skillsmith.server.schemas.skills import SkillAnswer, SkillArtifactAnswer, SkillSummaryAnswer
from skillsmith.workspace import Workspace

router = APIRouter(prefix="/api/skills", tags=["skills"], responses=ERRORS)

SHOWN_BYTES: Final = 256 * 1024
"""Of a larger file only the facts are told."""


@router.get("", response_model=Page[SkillSummaryAnswer])
async def list_skills(
    readers: Readers,
    *,
    tags: Annotated[
        str | None,
        Query(max_length=1000, description="Only with all of these.", examples=["physics,plotting"]),
    ] = None,
    search: Annotated[str | None, Query(max_length=1000, description="Only with all of these words.")] = None,
    state: SkillState | None = None,
    sort: Literal["name", "success_rate", "last_used", "created"] = "name",
    limit: Limit = 50,
    after: Annotated[str | None, Query(pattern=NAME_PATTERN)] = None,
) -> Response:
    """List the skills' current versions."""

    def read(workspace: Workspace) -> Json:
        found = workspace.skills.list(
            tags=split_list(tags), state=state, search=search, sort=sort, after=after, window=limit + 1
        )
        return page_of(map(summary_document, found), limit=limit, cursor="name")

    return await readers.answer(read)


@router.get("/{skill_id}", response_model=SkillAnswer)
async def get_skill(readers: Readers, skill_id: SkillId) -> Response:
    """Return one skill whole: inputs, nodes, templates, proofs, figures."""
    return await readers.answer(lambda workspace: skill_document(workspace, workspace.skills.get(skill_id)))


@router.delete("/{skill_id}", response_model=Deleted)
async def delete_skill(readers: Readers, skill_id: SkillId) -> Response:
    """Delete a skill, or with `NAME@VERSION` or an id one version; its executions stay in the history."""

    def work(workspace: Workspace) -> Json:
        return {"success": True, "deleted": list(workspace.skills.delete(skill_id, reason="over HTTP"))}

    return await readers.answer(work)


@router.get("/{skill_id}/artifacts", response_model=Page[SkillArtifactAnswer])
async def list_skill_artifacts(
    readers: Readers, skill_id: SkillId, *, limit: Limit = 50, after: Cursor = None
) -> Response:
    """Return the files that belong to a skill, by name."""

    def read(workspace: Workspace) -> Json:
        every = sorted(workspace.skills.get_skill_artifacts(skill_id), key=lambda one: one.name)
        rest = (_artifact(one) for one in every if after is None or one.name > after)
        return page_of(rest, limit=limit, cursor="name")

    return await readers.answer(read)


def _artifact(artifact: SkillArtifact) -> dict[str, Json]:
    return {
        "name": artifact.name, "type": artifact.type, "path": artifact.path,
        "description": artifact.description, "language": artifact.language,
        "is_template": artifact.is_template, "template_variables": list(artifact.template_variables),
        "size": len(artifact.content), "digest": digest_of(artifact.content),
        "content": file_text(artifact.content) if len(artifact.content) <= SHOWN_BYTES else None,
    }  # fmt: skip
