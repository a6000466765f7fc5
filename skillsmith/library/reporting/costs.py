"""What skills cost and save, measured against the runs they came from and yours on the same tasks.

Nothing is estimated: a saving is a sum over executions that are all known, or it is None. ``stats`` compares
one skill with a wider family of runs, found by how their tasks are worded; what is summed up over a whole
library keeps to runs whose kinship is a fact.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from skillsmith.db import Database, Row
from skillsmith.library.reporting.figures import CostAnalysis, Savings, figures_of
from skillsmith.library.reporting.rows import AnalyticsRows, Chosen


class CostReader:
    """Reads costs and savings.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._rows = AnalyticsRows(db)

    def analysis(self, chosen: Chosen) -> CostAnalysis:
        """Return the costs of one skill, or of all that were used."""
        by_skill = self.savings(chosen)
        tokens_in, tokens_out = self._rows.tokens(chosen)
        if chosen.name is not None:
            total = by_skill.get(chosen.name, Savings())
            versions = {row[0]: figures_of(row) for row in self._rows.grouped(chosen, "version")}
        else:
            total, versions = _summed(by_skill.values()), {}
        compared = {
            "time": sum(one.time_saved_seconds is not None for one in by_skill.values()),
            "cost": sum(one.cost_saved_usd is not None for one in by_skill.values()),
        }
        return CostAnalysis(
            skill=chosen.name, savings=replace(total, tokens_in=tokens_in, tokens_out=tokens_out),
            compared=compared, versions=versions,
        )  # fmt: skip

    def savings(self, chosen: Chosen) -> dict[str, Savings]:
        """Return costs and savings by skill, without tokens."""
        uses: dict[str, list[Row]] = {}
        for row in self._rows.uses(chosen):
            uses.setdefault(row["skill_name"], []).append(row)
        sources = self._rows.sources(chosen.name)
        plain = _Plain(self._rows.plain_runs(
            {run for name in uses for run in sources.get(name, ())},
            {row["task"] for rows in uses.values() for row in rows if row["task"]},
        ))  # fmt: skip
        return {name: _savings(rows, plain, sources.get(name, set())) for name, rows in uses.items()}


class _Plain:
    """Runs without a skill, by id and by task."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._by_id = {row["id"]: row for row in rows}
        self._by_task: dict[str, list[Row]] = {}
        for row in rows:
            self._by_task.setdefault(row["task"], []).append(row)

    def family(self, sources: Iterable[str], tasks: Iterable[str]) -> dict[str, Row]:
        """Return the runs of one skill's family by id."""
        found = {run: self._by_id[run] for run in sources if run in self._by_id}
        return found | {row["id"]: row for task in tasks for row in self._by_task.get(task, ())}


def _savings(uses: Sequence[Row], plain: _Plain, sources: set[str]) -> Savings:
    family = plain.family(sources, (row["task"] for row in uses))
    finished = sum(row["finished"] for row in uses)
    known = sum(row["cost_usd"] or 0.0 for row in uses)
    unpriced = finished - sum(row["priced"] for row in uses)
    runs = list(family.values())
    return Savings(
        finished=finished, cost_usd=None if unpriced else known, known_cost_usd=known, unpriced=unpriced,
        plain_runs=len(runs), plain_unpriced=sum(row["cost_usd"] is None for row in runs),
        plain_cost_usd=_median(runs, "cost_usd"), plain_duration_seconds=_median(runs, "duration_seconds"),
        cost_saved_usd=_saved(uses, runs, "cost_usd", "priced"),
        time_saved_seconds=_saved(uses, runs, "duration_seconds", "timed"),
    )  # fmt: skip


def _saved(uses: Sequence[Row], plain: Sequence[Row], column: str, known: str) -> float | None:
    """Return what the successes are worth without what all executions took; None where either is unknown."""
    usual = _median(plain, column)
    if usual is None or any(row[known] < row["finished"] for row in uses):
        return None
    by_task: dict[str, list[Row]] = {}
    for run in plain:
        by_task.setdefault(run["task"], []).append(run)
    saved = 0.0
    for row in uses:
        same = _median(by_task.get(row["task"], ()), column)
        saved += row["successes"] * (usual if same is None else same) - row[column]
    return saved


def _median(runs: Iterable[Row], column: str) -> float | None:
    known = [row[column] for row in runs if row["success"] and row[column] is not None]
    return statistics.median(known) if known else None


def _summed(parts: Iterable[Savings]) -> Savings:
    """Add up the figures of several skills; medians of different kinds of runs have no sum."""
    parts = list(parts)
    unpriced, known = sum(one.unpriced for one in parts), sum(one.known_cost_usd for one in parts)
    return Savings(
        finished=sum(one.finished for one in parts), cost_usd=None if unpriced else known,
        known_cost_usd=known, unpriced=unpriced, plain_runs=sum(one.plain_runs for one in parts),
        plain_unpriced=sum(one.plain_unpriced for one in parts),
        cost_saved_usd=_total(one.cost_saved_usd for one in parts),
        time_saved_seconds=_total(one.time_saved_seconds for one in parts),
    )  # fmt: skip


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
