"""Figures of the library and of single skills."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skillsmith.server.schemas.common import Answer, JsonObject

MetricName = Literal["success_rate", "executions", "time_saved", "cost_saved", "last_used"]


class TopSkillAnswer(Answer):
    """One skill in a ranking."""

    skill: str
    version: int
    state: str
    metrics: JsonObject = Field(examples=[{"executions": 12, "success_rate": 0.92}])


class TopAnswer(Answer):
    """The best skills by one metric."""

    metric: MetricName
    items: list[TopSkillAnswer]
    next: None = None


class DashboardAnswer(Answer):
    """Everything that analytics know of a skill."""

    skill: str
    version: int | None
    state: str | None
    days: int | None
    since: str | None
    totals: JsonObject
    p95_duration_seconds: float | None
    versions: dict[str, JsonObject]
    trend: JsonObject
    savings: JsonObject
    heatmap: JsonObject
    failures: list[JsonObject]
