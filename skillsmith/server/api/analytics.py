"""Figures of the library and of single skills."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from skillsmith.models import Json
from skillsmith.server.api.common import ERRORS, Readers, known_skill
from skillsmith.server.schemas.analytics import DashboardAnswer, MetricName, TopAnswer
from skillsmith.server.schemas.common import SkillId
from skillsmith.workspace import Workspace

router = APIRouter(prefix="/api/analytics/skills", tags=["analytics"], responses=ERRORS)

Days = Annotated[
    int, Query(ge=0, le=36_500, description="Only the last days (UTC), today included; 0: all time.")
]


@router.get("/top", response_model=TopAnswer)
async def top_skills(
    readers: Readers,
    *,
    metric: MetricName = "success_rate",
    limit: Annotated[int, Query(ge=1, le=500)] = 10,
    days: Days = 0,
) -> Response:
    """Return the best skills; a success rate is ranked by its lower bound, so that luck does not count."""

    def read(workspace: Workspace) -> Json:
        found = workspace.analytics.get_top_skills(metric, limit, days=days or None)
        items = []
        for one in found:
            figures = one.document()
            head = {name: figures.pop(name) for name in ("skill", "version", "state")}
            items.append({**head, "metrics": figures})
        return {"metric": metric, "items": items, "next": None}

    return await readers.answer(read)


@router.get("/{skill_id}/dashboard", response_model=DashboardAnswer)
async def dashboard(readers: Readers, skill_id: SkillId, *, days: Days = 30) -> Response:
    """Return one skill's use over time, versions, costs, failures, and where executions changed it."""

    def read(workspace: Workspace) -> Json:
        name, _ = known_skill(workspace, skill_id)
        return workspace.analytics.dashboard(name, days=days or None).document()

    return await readers.answer(read)
