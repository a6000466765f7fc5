"""Analytics over the ledger: exact SQL over executions, never a running average that can drift.

Each figure can be counted again from the events of the executions' runs (tests/test_analytics.py does). What
is not known stays unknown: a cost is None as soon as one execution's cost is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from skillsmith.db import Database, Row
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.library.reporting.costs import CostReader
from skillsmith.library.reporting.figures import (
    CostAnalysis,
    Failure,
    Figures,
    HeatMap,
    HeatRow,
    LibraryDashboard,
    Point,
    Savings,
    SkillDashboard,
    TopSkill,
    Trend,
    VersionHeat,
    figures_of,
)
from skillsmith.library.reporting.rows import AnalyticsRows, Bucket, Chosen
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Json, Skill

if TYPE_CHECKING:
    from skillsmith.library.reporting.consolidation import Consolidation

Metric: TypeAlias = Literal["success_rate", "executions", "time_saved", "cost_saved", "last_used"]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)

DAYS: Final = 30
DAILY_UP_TO: Final = 62
"""A trend over more days than these is drawn by weeks."""

SECONDS_A_DAY: Final = 86_400
_EPOCH: Final = date(1970, 1, 1)
_SHOWN_FAILURES: Final = 5


class SkillAnalytics:
    """Figures of the library and of single skills.

    Windows of D days are the last D calendar days in UTC, today included.

    Args:
        db: The connection.
        clock: Says what time it is, in Unix seconds.
    """

    def __init__(self, db: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._db = db
        self._rows = AnalyticsRows(db)
        self._costs = CostReader(db)
        self._clock = clock

    def library_dashboard(
        self, *, metric: Metric = "success_rate", limit: int = 10, days: int | None = DAYS
    ) -> LibraryDashboard:
        """Return all figures of the library.

        Args:
            metric: What the ranking goes by.
            limit: Skills in the ranking.
            days: Length of the window; None: all time.
        """
        chosen = self._chosen(None, days)
        states = self._rows.states()
        return LibraryDashboard(
            days=days, since=_since(chosen, days), skills=sum(states.values()), states=states,
            used=len(self._rows.grouped(chosen, "skill")), totals=self._totals(chosen), metric=metric,
            top=self.get_top_skills(metric, limit, days=days), trend=self.library_trends(days),
            costs=self._costs.analysis(chosen),
        )  # fmt: skip

    def dashboard(self, name: str, *, days: int | None = DAYS) -> SkillDashboard:
        """Return all figures of one skill, also of one that is gone.

        Raises:
            NotFoundError: Neither the library nor the history knows it.
        """
        current, chosen = self._known(name), self._chosen(name, days)
        timed = self._rows.percentile(chosen, 0.95, timed=self._timed(chosen))
        failures = self._rows.errors(chosen, limit=_SHOWN_FAILURES)
        costs = self._costs.analysis(chosen)
        return SkillDashboard(
            skill=name, version=current and current[0], state=current and current[1], days=days,
            since=_since(chosen, days), totals=self._totals(chosen), p95_duration_seconds=timed,
            versions=costs.versions, trend=self.skill_trends(name, days), savings=costs.savings,
            heatmap=self.adaptation_heatmap(name, days=days),
            failures=tuple(
                Failure(message=row["message"], count=row["count"], last_at=row["last_at"])
                for row in failures
            ),
        )  # fmt: skip

    def get_top_skills(
        self, metric: Metric = "success_rate", limit: int = 10, *, days: int | None = None
    ) -> tuple[TopSkill, ...]:
        """Return the skills of the library that were used, best first.

        Args:
            metric: success_rate (by the lower bound of its interval, so that one lucky execution is not the
                best), executions, time_saved, cost_saved or last_used. What is unknown comes last.
            limit: At most so many.
            days: Only the last days count; None: all time.

        Raises:
            UsageError: There is no such metric.
        """
        if metric not in METRICS:
            raise UsageError(f"there is no metric {metric!r}", hint=f"use one of {', '.join(METRICS)}")
        chosen = self._chosen(None, days)
        found = {row[0]: figures_of(row) for row in self._rows.grouped(chosen, "skill")}
        savings = self._costs.savings(chosen)
        ranked = [
            TopSkill(
                skill=name, version=version, state=state, figures=found[name],
                savings=savings.get(name, Savings()),
            )
            for name, version, state in self._rows.current()
            if name in found
        ]  # fmt: skip
        return tuple(sorted(ranked, key=lambda one: _rank(one, metric))[: max(limit, 0)])

    def skill_trends(self, name: str, days: int | None = DAYS) -> Trend:
        """Return one skill's executions over time."""
        self._known(name)
        return self._trend(name, days)

    def library_trends(self, days: int | None = DAYS) -> Trend:
        """Return all executions over time."""
        return self._trend(None, days)

    def cost_analysis(self, name: str | None = None, *, days: int | None = None) -> CostAnalysis:
        """Return costs and savings of one skill, or of all."""
        if name is not None:
            self._known(name)
        return self._costs.analysis(self._chosen(name, days))

    def adaptation_heatmap(self, name: str, *, days: int | None = None) -> HeatMap:
        """Return how often executions changed each node and input of a skill, version by version."""
        self._known(name)
        chosen = self._chosen(name, days)
        changes, touched = self._rows.heat(chosen)
        finished = {row[0]: row["finished"] for row in self._rows.grouped(chosen, "version")}
        nodes, inputs = self._rows.nodes(name), self._rows.inputs(name)
        versions = sorted(finished, reverse=True)
        total: dict[str, int] = {}
        for row in changes:
            total[row["type"]] = total.get(row["type"], 0) + row["changes"]
        return HeatMap(
            skill=name,
            types=tuple(sorted(total, key=lambda kind: (-total[kind], kind))),
            versions=tuple(
                VersionHeat(
                    version=version, finished=finished[version],
                    rows=_heat_rows(
                        [row for row in changes if row["version"] == version], touched,
                        version=version, finished=finished[version], labels=nodes.get(version, {}),
                        inputs=inputs,
                    ),
                )
                for version in versions
            ),
        )  # fmt: skip

    def consolidation_candidates(self, *, limit: int = 20) -> tuple[Consolidation, ...]:
        """Return pairs of skills that do nearly the same, each with what to do about it."""
        from skillsmith.library.reporting.consolidation import Consolidator  # noqa: PLC0415  (reads whole skills)

        return Consolidator(self._db).candidates(limit=limit)

    def get_skill_dashboard_data(self, skill_id: str) -> dict[str, Json]:
        """Return all figures of the skill that a name or version id means, as JSON."""
        return self.dashboard(self._name(skill_id), days=None).document()

    def get_top_performing_skills(self, limit: int = 10) -> list[tuple[Skill, dict[str, Json]]]:
        """Return the best skills by the lower bound of their success rate, with their figures."""
        skills = SkillRepository(self._db)
        return [(skills.get(one.skill), one.document()) for one in self.get_top_skills(limit=limit)]

    def get_skill_usage_trends(self, skill_id: str, days: int = DAYS) -> dict[str, Json]:
        """Return a skill's executions over time, as JSON."""
        return self.skill_trends(self._name(skill_id), days).document()

    def get_skill_cost_analysis(self, skill_id: str) -> dict[str, Json]:
        """Return a skill's costs and savings, as JSON."""
        return self.cost_analysis(self._name(skill_id)).document()

    def get_adaptation_heatmap(self, skill_id: str) -> dict[str, Json]:
        """Return how often executions changed each node of a skill, as JSON."""
        return self.adaptation_heatmap(self._name(skill_id)).document()

    def recommend_skill_consolidation(self) -> list[tuple[Skill, Skill, float]]:
        """Return pairs of skills that do nearly the same, with how alike they are, 0 to 1."""
        skills = SkillRepository(self._db)
        found = self.consolidation_candidates()
        return [(skills.get(one.keep), skills.get(one.other), one.similarity) for one in found]

    def _name(self, skill_id: str) -> str:
        skills = SkillRepository(self._db)
        return skill_id if skills.exists(skill_id) else skills.get(skill_id).name

    def _known(self, name: str) -> tuple[int, str] | None:
        """Return current version and state; None for a skill that only the history knows."""
        skills = SkillRepository(self._db)
        if skills.exists(name):
            return skills.current_version(name), skills.state(name)
        if not self._rows.grouped(Chosen(name=name), "all"):
            skills.get(name)  # says which names are close
            raise NotFoundError(f"there is no skill {name!r}", hint="give its name alone, without a version")
        return None

    def _chosen(self, name: str | None, days: int | None) -> Chosen:
        if days is None:
            return Chosen(name=name)
        if days < 1:
            raise UsageError(f"a window of {days} days is empty", hint="give 1 or more")
        today = int(self._clock() // SECONDS_A_DAY)
        return Chosen(name=name, since=max(today - days + 1, 0) * SECONDS_A_DAY)

    def _totals(self, chosen: Chosen) -> Figures:
        rows = self._rows.grouped(chosen, "all")
        return figures_of(rows[0]) if rows else Figures()

    def _timed(self, chosen: Chosen) -> int:
        return sum(row["timed"] for row in self._rows.grouped(chosen, "all"))

    def _trend(self, name: str | None, days: int | None) -> Trend:
        chosen = self._chosen(name, days)
        today = int(self._clock() // SECONDS_A_DAY)
        first = int(chosen.since // SECONDS_A_DAY)
        if days is None:
            used = [row[0] for row in self._rows.grouped(chosen, "day")]
            first = min(used, default=today + 1)
        bucket: Bucket = "day" if today - first < DAILY_UP_TO else "week"
        found = {row[0]: figures_of(row) for row in self._rows.grouped(chosen, bucket)}
        numbers = range(first, today + 1) if bucket == "day" else range(_week(first), _week(today) + 1)
        since = None if days is None and not found else float(first * SECONDS_A_DAY)
        return Trend(
            skill=name, bucket=bucket, days=days, since=since,
            points=tuple(
                Point(start=_start(number, bucket), figures=found.get(number, Figures()))
                for number in sorted({*numbers, *found})
            ),
        )  # fmt: skip


def _since(chosen: Chosen, days: int | None) -> float | None:
    return None if days is None else float(chosen.since)


def _week(day: int) -> int:
    """Return the week of a day, both counted from 1970, which began on a Thursday."""
    return (day + 3) // 7


def _start(number: int, bucket: Bucket) -> str:
    return (_EPOCH + timedelta(days=number if bucket == "day" else number * 7 - 3)).isoformat()


def _rank(one: TopSkill, metric: Metric) -> tuple[bool, float, int, str]:
    value = {
        "success_rate": one.figures.success_rate_low, "executions": one.figures.executions,
        "time_saved": one.savings.time_saved_seconds, "cost_saved": one.savings.cost_saved_usd,
        "last_used": one.figures.last_used_at,
    }[metric]  # fmt: skip
    return value is None, -(value or 0.0), -one.figures.executions, one.skill


def _heat_rows(
    changes: Sequence[Row],
    touched: Mapping[tuple[int, str], int],
    *,
    version: int,
    finished: int,
    labels: Mapping[str, str],
    inputs: set[str],
) -> tuple[HeatRow, ...]:
    counts: dict[str, dict[str, int]] = {node: {} for node in labels}
    for row in changes:
        counts.setdefault(row["target"], {})[row["type"]] = row["changes"]
    rows = []
    for target, kinds in counts.items():
        changed = touched.get((version, target), 0)
        kind = "node" if target in labels else "input" if target in inputs else "other"
        rows.append(HeatRow(
            target=target, kind=kind, label=labels.get(target, ""), counts=kinds, executions=changed,
            share=changed / finished if finished else None,
        ))  # fmt: skip
    return tuple(rows)
