"""Which skill fits a task."""

from __future__ import annotations

from fastapi import APIRouter, Response

from skillsmith.models import Json, Match
from skillsmith.server.api.common import ERRORS, Readers
from skillsmith.server.schemas.skills import MatchesAnswer, MatchRequest
from skillsmith.workspace import Workspace

router = APIRouter(prefix="/api/skills", tags=["skills"], responses=ERRORS)


@router.post("/match", response_model=MatchesAnswer)
async def match_skills(readers: Readers, request: MatchRequest) -> Response:
    """Find the skills that fit a task, best first; when none does, say why."""

    def read(workspace: Workspace) -> Json:
        result = workspace.matcher.match(
            request.task_description, top_k=request.top_k, min_confidence=request.min_similarity,
            tags=request.required_tags,
        )  # fmt: skip
        return {
            "matches": [_match(one) for one in result.matches],
            "abstained": result.abstained, "reason": result.reason,
        }  # fmt: skip

    return await readers.answer(read)


def _match(match: Match) -> dict[str, Json]:
    return {
        "skill": match.name, "version": match.version, "confidence": match.confidence,
        "explanation": match.reason, "parts": dict(match.parts), "inputs": dict(match.inputs),
        "missing": list(match.missing),
    }  # fmt: skip
