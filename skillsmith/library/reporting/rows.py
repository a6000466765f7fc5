"""Every figure of the analytics as SQL over executions: counted when it is asked for, never kept.

What is counted is the same everywhere, and the same as in ``ExecutionLedger.stats``: what a deleted skill did
stays under its name, but never counts for a successor of that name. Days and weeks are those of UTC; a week
begins on Monday.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from skillsmith.db import Database, Row
from skillsmith.events import dump_json

Bucket: TypeAlias = Literal["day", "week"]

ENDLESS = 9e15
"""Seconds: later than any execution."""

_RULE = """
FROM executions x WHERE {name} AND (:version IS NULL OR x.version = :version)
  AND x.started_at >= :since AND x.started_at < :until
  AND (x.skill_version IS NOT NULL OR NOT EXISTS (SELECT 1 FROM skills s WHERE s.name = x.skill_name))
"""
_FIGURES = """
count(*) AS executions, count(x.success) AS finished, coalesce(sum(x.success), 0) AS successes,
coalesce(sum(CASE WHEN x.success IS NOT NULL THEN x.adapted END), 0) AS adapted,
count(x.duration_seconds) AS timed, sum(x.duration_seconds) AS duration_seconds,
coalesce(sum(x.success IS NOT NULL AND x.cost_usd IS NULL), 0) AS unpriced,
count(x.cost_usd) AS priced, sum(x.cost_usd) AS known_cost_usd, max(x.started_at) AS last_used_at
"""
_GROUPS = {
    "all": "NULL", "skill": "x.skill_name", "version": "x.version",
    "day": "CAST(x.started_at / 86400 AS INTEGER)", "week": "(CAST(x.started_at / 86400 AS INTEGER) + 3) / 7",
}  # fmt: skip
_PERCENTILE = """
SELECT x.duration_seconds {rule} AND x.duration_seconds IS NOT NULL
ORDER BY x.duration_seconds LIMIT 1 OFFSET :offset
"""
_USES = """
SELECT x.skill_name, x.task_description AS task, count(*) AS finished, sum(x.success) AS successes,
  count(x.duration_seconds) AS timed, sum(x.duration_seconds) AS duration_seconds,
  count(x.cost_usd) AS priced, sum(x.cost_usd) AS cost_usd
{rule} AND x.success IS NOT NULL GROUP BY 1, 2
"""
_TOKENS = """
SELECT coalesce(sum(r.tokens_in), 0) AS tokens_in, coalesce(sum(r.tokens_out), 0) AS tokens_out
FROM (SELECT id, tokens_in, tokens_out FROM runs
      UNION ALL SELECT id, tokens_in, tokens_out FROM archived_runs) r
WHERE r.id IN (SELECT x.run_id {rule} AND x.success IS NOT NULL)
"""
_PLAIN = """
SELECT id, task, outcome = 'success' AS success, duration_seconds, cost_usd
FROM (SELECT id, task, outcome, source, duration_seconds, cost_usd FROM runs
      UNION ALL SELECT id, task, outcome, source, duration_seconds, cost_usd FROM archived_runs)
WHERE source <> 'execution' AND outcome <> 'unknown' AND task <> ''
  AND (id IN (SELECT value FROM json_each(:ids)) OR task IN (SELECT value FROM json_each(:tasks)))
ORDER BY id
"""
_SOURCES = """
SELECT DISTINCT s.name, r.value FROM skills s
JOIN skill_versions v ON v.skill = s.pk, json_each(v.source_run_ids) r WHERE {name}
"""
_HEAT = """
SELECT y.version, a.target, a.type, count(*) AS changes, count(DISTINCT y.pk) AS executions
FROM (SELECT x.pk, x.version {rule} AND x.success IS NOT NULL) y JOIN adaptations a ON a.execution = y.pk
GROUP BY 1, 2, 3
"""
_TOUCHED = """
SELECT y.version, a.target, count(DISTINCT y.pk)
FROM (SELECT x.pk, x.version {rule} AND x.success IS NOT NULL) y JOIN adaptations a ON a.execution = y.pk
GROUP BY 1, 2
"""
_ERRORS = """
SELECT x.error_message AS message, count(*) AS count, max(x.started_at) AS last_at
{rule} AND x.success = 0 AND x.error_message IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 3 DESC LIMIT :limit
"""
_NODES = """
SELECT v.version, n.value ->> '$.id' AS id,
  coalesce(nullif(n.value ->> '$.title', ''), n.value ->> '$.tool', n.value ->> '$.kind') AS label
FROM skills s JOIN skill_versions v ON v.skill = s.pk, json_each(v.dag_template) n
WHERE s.name = :name ORDER BY v.version, n.key
"""
_INPUTS = """
SELECT DISTINCT n.value ->> '$.name' FROM skills s JOIN skill_versions v ON v.skill = s.pk,
  json_each(v.variables) n WHERE s.name = :name
"""
_STATES = """
SELECT v.state, count(*) FROM skills s
JOIN skill_versions v ON v.skill = s.pk AND v.version = s.current_version GROUP BY 1 ORDER BY 2 DESC, 1
"""
_CURRENT = """
SELECT s.name, v.version, v.state FROM skills s
JOIN skill_versions v ON v.skill = s.pk AND v.version = s.current_version ORDER BY s.name
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which executions are counted.

    Args:
        name: Of this skill; None: of all.
        version: Of this version of it.
        since: Begun at this Unix time or later.
        until: Begun before it.
    """

    name: str | None = None
    version: int | None = None
    since: float = 0.0
    until: float = ENDLESS

    @property
    def rule(self) -> str:
        """The FROM and WHERE of a query."""
        return _RULE.format(name="1" if self.name is None else "x.skill_name = :name")

    @property
    def params(self) -> dict[str, object]:
        """The parameters of ``rule``."""
        return {"name": self.name, "version": self.version, "since": self.since, "until": self.until}


class AnalyticsRows:
    """Reads what analytics are made of.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def _all(self, sql: str, chosen: Chosen, **more: object) -> list[Row]:
        return self._db.all(sql.format(rule=chosen.rule), {**chosen.params, **more})

    def grouped(self, chosen: Chosen, by: str) -> list[Row]:
        """Return one row of figures for each group, its key first.

        Args:
            chosen: Which executions.
            by: all, skill, version, day or week; the last two as numbers since 1970.
        """
        return self._all(f"SELECT {_GROUPS[by]}, {_FIGURES} {{rule}} GROUP BY 1 ORDER BY 1", chosen)

    def percentile(self, chosen: Chosen, share: float, *, timed: int) -> float | None:
        """Return the duration within which a share of the executions was done (nearest rank)."""
        offset = max(math.ceil(share * timed) - 1, 0)
        rows = self._all(_PERCENTILE, chosen, offset=offset)
        return rows[0][0] if rows else None

    def uses(self, chosen: Chosen) -> list[Row]:
        """Return the finished executions, summed up by skill and task."""
        return self._all(_USES, chosen)

    def tokens(self, chosen: Chosen) -> tuple[int, int]:
        """Return the tokens that the finished executions' runs took in and gave out."""
        (row,) = self._all(_TOKENS, chosen)
        return row["tokens_in"], row["tokens_out"]

    def sources(self, name: str | None) -> dict[str, set[str]]:
        """Return the ids of the runs that all versions of each skill were made from."""
        condition = "1" if name is None else "s.name = :name"
        found: dict[str, set[str]] = {}
        for skill, run in self._db.all(_SOURCES.format(name=condition), {"name": name}):
            found.setdefault(skill, set()).add(run)
        return found

    def plain_runs(self, ids: Iterable[str], tasks: Iterable[str]) -> list[Row]:
        """Return judged runs without a skill, archived ones too, that are named or did one of these tasks."""
        return self._db.all(_PLAIN, {"ids": dump_json(sorted(ids)), "tasks": dump_json(sorted(tasks))})

    def heat(self, chosen: Chosen) -> tuple[list[Row], dict[tuple[int, str], int]]:
        """Return changes by version, target and type; and how many executions changed each target at all."""
        touched = {(row[0], row[1]): row[2] for row in self._all(_TOUCHED, chosen)}
        return self._all(_HEAT, chosen), touched

    def errors(self, chosen: Chosen, *, limit: int) -> list[Row]:
        """Return what failed executions said, most frequent first."""
        return self._all(_ERRORS, chosen, limit=limit)

    def nodes(self, name: str) -> dict[int, dict[str, str]]:
        """Return label by node id of each version of a skill."""
        found: dict[int, dict[str, str]] = {}
        for version, node, label in self._db.all(_NODES, {"name": name}):
            found.setdefault(version, {})[node] = label
        return found

    def inputs(self, name: str) -> set[str]:
        """Return the names of a skill's inputs."""
        return {row[0] for row in self._db.all(_INPUTS, {"name": name})}

    def states(self) -> dict[str, int]:
        """Return how many skills are in each state."""
        return {row[0]: row[1] for row in self._db.all(_STATES)}

    def current(self) -> Iterator[tuple[str, int, str]]:
        """Yield name, current version and its state of every skill."""
        for row in self._db.all(_CURRENT):
            yield row["name"], row["version"], row["state"]
