"""What every use of a skill version did, and figures counted from it.

Rows are facts; each figure is counted from them when it is asked for. An execution that was never finished
counts as a use, not as a success or a failure. What a deleted skill did stays in the history under its name,
but never counts for a successor of the same name.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from skillsmith.db import Database, Row, page
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.events import dump_json, load_json, storable
from skillsmith.ids import new_id
from skillsmith.library.evidence.intervals import wilson
from skillsmith.library.evidence.usage import Usage
from skillsmith.models import Adaptation, Execution, Json, Skill

Checkpoints: TypeAlias = list[tuple[int, str, dict[str, Json]]]

_START = """
INSERT INTO executions (id, skill_version, skill_name, version, run_id, task_description, confidence,
                        started_at, inputs, context_diff)
VALUES (:id, (SELECT pk FROM skill_versions WHERE id = :skill_id), :name, :version, :run_id, :task,
        :confidence, :started_at, :inputs, :context_diff)
"""
_FINISH = """
UPDATE executions SET completed_at = :completed_at, duration_seconds = :duration_seconds,
  cost_usd = :cost_usd, success = :success, error_message = :error_message, outputs = :outputs,
  artifacts = :artifacts, adapted = :adapted, adaptation_reason = :reason
WHERE pk = :pk
"""
_COUNTED = """
FROM executions x WHERE x.skill_name = :name AND (:version IS NULL OR x.version = :version)
  AND (x.skill_version IS NOT NULL OR NOT EXISTS (SELECT 1 FROM skills s WHERE s.name = :name))
"""
_APPLIED = """
coalesce(sum(x.success IS NOT NULL OR EXISTS (
  SELECT 1 FROM checkpoints c WHERE c.execution = x.pk AND c.node <> ':inputs'
)), 0)
"""
_TOTALS = f"""
SELECT count(*) AS executions, count(x.confidence) AS matched, {_APPLIED} AS applied,
  count(x.success) AS finished, coalesce(sum(x.success), 0) AS successes,
  avg(x.duration_seconds) AS avg_duration_seconds, count(x.duration_seconds) AS timed,
  avg(x.cost_usd) AS avg_cost_usd, avg(CASE WHEN x.success IS NOT NULL THEN x.adapted END) AS adaptation_rate,
  max(x.started_at) AS last_used_at
{_COUNTED}
"""
_PERCENTILE = f"""
SELECT x.duration_seconds {_COUNTED} AND x.duration_seconds IS NOT NULL
ORDER BY x.duration_seconds LIMIT 1 OFFSET :offset
"""
_USES = f"""
SELECT x.task_description, x.success, x.duration_seconds, x.cost_usd {_COUNTED} AND x.success IS NOT NULL
"""
_USAGE = """
SELECT coalesce(sum(coalesce(data ->> '$.calls', 1)), 0) AS model_calls,
  coalesce(sum(tokens_in), 0) AS tokens_in,
  coalesce(sum(tokens_out), 0) AS tokens_out, coalesce(sum(cost_usd), 0.0) AS cost_usd,
  coalesce(sum(cost_usd IS NULL), 0) AS unpriced
FROM events WHERE run = (SELECT pk FROM runs WHERE id = ?) AND kind = 'llm_call'
"""


class ExecutionLedger:
    """Record and read executions.

    Args:
        db: The connection.
        clean: Takes secrets out of values before they are stored.
    """

    def __init__(self, db: Database, *, clean: Callable[[Json], Json] | None = None) -> None:
        self._db = db
        self._clean = clean or _as_it_is
        self._keys: dict[str, int] = {}

    def start(
        self,
        skill: Skill,
        *,
        task: str,
        run_id: str | None,
        inputs: Mapping[str, Json],
        confidence: float | None = None,
    ) -> str:
        """Begin an execution and return its id.

        Args:
            skill: The version that runs.
            task: What was asked for.
            run_id: The run that records it.
            inputs: Values by variable name.
            confidence: The matcher's, when it chose the skill.
        """
        execution_id = new_id()
        cursor = self._db.execute(_START, {
            "id": execution_id, "skill_id": skill.id, "name": skill.name, "version": skill.version,
            "run_id": run_id, "task": storable(self._clean(task)), "confidence": confidence,
            "started_at": time.time(),
            "inputs": self._dump(dict(inputs)), "context_diff": self._dump(context_diff(skill, inputs)),
        })  # fmt: skip
        self._keys = {execution_id: int(cursor.lastrowid)}  # of one at a time: it is asked for at every node
        return execution_id

    def _dump(self, value: Json) -> str:
        return dump_json(self._clean(value))

    def checkpoint(self, execution_id: str, node: str, state: Mapping[str, Json]) -> None:
        """Store what later nodes need after a node is done."""
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO checkpoints (execution, ordinal, node, at, state)"
                " SELECT :pk, coalesce(max(ordinal), 0) + 1, :node, :at, :state FROM checkpoints"
                " WHERE execution = :pk",
                {"pk": self._key(execution_id), "node": node, "at": time.time(),
                 "state": self._dump(dict(state))},
            )  # fmt: skip

    def checkpoints(self, execution_id: str) -> Checkpoints:
        """Return ordinal, node and state of an execution's checkpoints, in order."""
        rows = self._db.all(
            "SELECT ordinal, node, state FROM checkpoints WHERE execution = ? ORDER BY ordinal",
            (self._key(execution_id),),
        )
        return [(row["ordinal"], row["node"], load_json(row["state"])) for row in rows]

    def finish(
        self,
        execution_id: str,
        *,
        success: bool,
        outputs: Mapping[str, Json],
        adaptations: Sequence[Adaptation],
        artifacts: Iterable[str],
        error: str | None = None,
        cost_usd: float | None = None,
    ) -> Execution:
        """Close an execution; one that failed may be closed again after it was resumed.

        Raises:
            UsageError: It has already succeeded.
        """
        with self._db.transaction():
            row = self._by_key(self._key(execution_id))
            if row["success"] == 1:
                raise UsageError(f"execution {row['id']} has already succeeded")
            now = time.time()
            columns = {
                "completed_at": now, "duration_seconds": now - row["started_at"], "cost_usd": cost_usd,
                "success": int(success), "error_message": storable(self._clean(error)),
                "outputs": self._dump(dict(outputs)), "artifacts": self._dump(list(artifacts)),
            }  # fmt: skip
            self._close(row["pk"], adaptations, columns)
        return self._execution({**dict(row), **columns, "adapted": int(bool(adaptations))})

    def _close(self, pk: int, adaptations: Sequence[Adaptation], columns: Mapping[str, Any]) -> None:
        """Set the columns of ``_FINISH``, but what the adaptations say, and replace the adaptations."""
        reasons = dict.fromkeys(adaptation.reason for adaptation in adaptations if adaptation.reason)
        self._db.execute(_FINISH, {
            **columns, "pk": pk, "adapted": int(bool(adaptations)),
            "reason": storable(self._clean("; ".join(reasons))) or None,
        })  # fmt: skip
        self._db.execute("DELETE FROM adaptations WHERE execution = ?", (pk,))
        self._db.executemany(
            "INSERT INTO adaptations (execution, ordinal, type, target, before, after, reason, evidence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (pk, ordinal, one.type, one.target, self._dump(one.before), self._dump(one.after),
                 storable(self._clean(one.reason)), self._dump(dict(one.evidence)))
                for ordinal, one in enumerate(adaptations, 1)
            ],
        )  # fmt: skip

    def record(self, execution: Execution) -> str:
        """Store an execution that is over, as it is, and return its id.

        Args:
            execution: Its id is used, or a new one when it is empty.

        Raises:
            UsageError: The id is taken, or it has no verdict.
        """
        if execution.success is None:
            raise UsageError("an execution without a verdict is not over", hint="begin it with start()")
        execution_id = execution.id or new_id()
        with self._db.transaction():
            if self._db.one("SELECT 1 FROM executions WHERE id = ?", (execution_id,)):
                raise UsageError(f"execution {execution_id} is already recorded")
            pk = self._insert(execution, execution_id)
            self._close(pk, execution.adaptations, {
                "completed_at": execution.completed_at, "duration_seconds": execution.duration_seconds,
                "cost_usd": execution.cost_usd, "success": int(execution.success),
                "error_message": storable(self._clean(execution.error)),
                "outputs": self._dump(dict(execution.outputs)),
                "artifacts": self._dump(list(execution.artifacts)),
            })  # fmt: skip
        return execution_id

    def _insert(self, execution: Execution, execution_id: str) -> int:
        skill_id = self._db.scalar(
            "SELECT v.id FROM skill_versions v JOIN skills s ON s.pk = v.skill"
            " WHERE s.name = ? AND v.version = ?",
            (execution.skill, execution.version),
        )
        cursor = self._db.execute(_START, {
            "id": execution_id, "skill_id": skill_id, "name": execution.skill, "version": execution.version,
            "run_id": execution.run_id, "task": storable(execution.task), "confidence": execution.confidence,
            "started_at": execution.started_at, "inputs": self._dump(dict(execution.inputs)),
            "context_diff": "{}",
        })  # fmt: skip
        return int(cursor.lastrowid)

    def get(self, execution_id: str) -> Execution:
        """Return the execution with this id or unique prefix of an id.

        Raises:
            NotFoundError: There is none.
            UsageError: The prefix fits several.
        """
        return self._execution(self._row(execution_id))

    def _by_key(self, pk: int) -> Row:
        return self._db.all("SELECT * FROM executions WHERE pk = ?", (pk,))[0]

    def _key(self, execution_id: str) -> int:
        known = self._keys.get(execution_id)
        return int(self._row(execution_id)["pk"]) if known is None else known

    def _row(self, execution_id: str) -> Row:
        prefix = execution_id.strip().lower()
        rows = self._db.all(
            "SELECT * FROM executions WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", (prefix, prefix + "~")
        ) if prefix else []  # fmt: skip
        if not rows:
            raise NotFoundError(
                f"there is no execution {execution_id!r}", hint="`skillsmith executions NAME` lists them"
            )
        if len(rows) > 1 and rows[0]["id"] != prefix:
            raise UsageError(f"{execution_id!r} fits several executions", hint="give more of its digits")
        return rows[0]

    def list(
        self, skill_name: str, *, version: int | None = None, after: str | None = None, window: int = 100
    ) -> Iterator[Execution]:
        """Yield a skill's executions, newest first, also those of a deleted skill.

        Args:
            skill_name: The name.
            version: Only those of this version.
            after: Id of the last execution already seen.
            window: Rows fetched at a time.
        """
        sql = (
            "SELECT * FROM executions /*key desc: pk*/ WHERE skill_name = ? AND (? IS NULL OR version = ?)"
            " AND {after} ORDER BY pk DESC LIMIT ?"
        )
        start = None if after is None else (self._key(after),)
        params = (skill_name, version, version)
        rows = page(self._db, sql, key=lambda row: (row["pk"],), params=params, after=start, window=window)
        return map(self._execution, rows)

    def stats(self, skill_name: str, *, version: int | None = None) -> dict[str, Json]:
        """Return a skill's figures, counted from its executions.

        Args:
            skill_name: The name; of a deleted skill, all it did is counted.
            version: Only this version's.

        Returns:
            executions (also unfinished ones; ``selected`` is the same), how many of them a match had chosen,
            how many were applied (reached a node) and completed (succeeded); success_rate of the finished
            ones with the bounds of its Wilson 95 % interval, success_rate_low and _high; means,
            p95_duration_seconds, adaptation_rate; and the comparison with runs without the skill, see
            ``baseline.against``. What is not known is None.
        """
        params = {"name": skill_name, "version": version}
        totals = self._db.one(_TOTALS, params)
        assert totals is not None
        successes, finished, timed = totals["successes"], totals["finished"], totals["timed"]
        offset = {"offset": max(math.ceil(0.95 * timed) - 1, 0)}
        rate = wilson(successes, finished)
        return {
            "executions": totals["executions"],
            "selected": totals["executions"],
            "matched": totals["matched"],
            "applied": totals["applied"],
            "finished": finished,
            "completed": successes,
            "success_rate": rate and rate.value,
            "success_rate_low": rate and rate.low,
            "success_rate_high": rate and rate.high,
            "avg_duration_seconds": totals["avg_duration_seconds"],
            "p95_duration_seconds": self._db.scalar(_PERCENTILE, params | offset),
            "avg_cost_usd": totals["avg_cost_usd"],
            "adaptation_rate": totals["adaptation_rate"],
            "last_used_at": totals["last_used_at"],
            **self._against_plain_runs(skill_name, version),
        }

    def _against_plain_runs(self, name: str, version: int | None) -> dict[str, Json]:
        from skillsmith.library.evidence.baseline import (  # noqa: PLC0415  (25 ms; only for figures)
            BaselineReader,
            Use,
            against,
        )

        rows = self._db.all(_USES, {"name": name, "version": version})
        uses = [
            Use(
                task=row["task_description"], success=bool(row["success"]),
                duration_seconds=row["duration_seconds"], cost_usd=row["cost_usd"],
            )
            for row in rows
        ]  # fmt: skip
        tasks = [use.task for use in uses]
        return against(uses, BaselineReader(self._db).runs(name, version=version, tasks=tasks))

    def usage(self, run_id: str) -> Usage:
        """Return what the run of an execution asked of models, counted from its events."""
        row = self._db.one(_USAGE, (run_id,))
        assert row is not None
        return Usage(
            model_calls=row["model_calls"], tokens_in=row["tokens_in"], tokens_out=row["tokens_out"],
            cost_usd=None if row["unpriced"] else row["cost_usd"],
        )  # fmt: skip

    def evidence(self, version_pks: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return how often each version succeeded and failed, by its primary key."""
        rows = self._db.all(
            "SELECT skill_version, sum(success), sum(NOT success) FROM executions"
            " WHERE skill_version IN (SELECT value FROM json_each(?)) AND success IS NOT NULL"
            " GROUP BY skill_version",
            (dump_json(list(version_pks)),),
        )
        counted = {row[0]: (row[1], row[2]) for row in rows}
        return {pk: counted.get(pk, (0, 0)) for pk in version_pks}

    def _execution(self, row: Row) -> Execution:
        return Execution(
            id=row["id"], skill=row["skill_name"], version=row["version"], run_id=row["run_id"],
            task=row["task_description"], started_at=row["started_at"], completed_at=row["completed_at"],
            duration_seconds=row["duration_seconds"],
            success=None if row["success"] is None else bool(row["success"]), error=row["error_message"],
            inputs=load_json(row["inputs"]), outputs=load_json(row["outputs"]),
            adaptations=self._adaptations(row), cost_usd=row["cost_usd"], confidence=row["confidence"],
            artifacts=tuple(load_json(row["artifacts"])),
        )  # fmt: skip

    def _adaptations(self, row: Row) -> tuple[Adaptation, ...]:
        if not row["adapted"]:
            return ()
        found = self._db.all("SELECT * FROM adaptations WHERE execution = ? ORDER BY ordinal", (row["pk"],))
        return tuple(
            Adaptation(
                type=one["type"], target=one["target"], before=load_json(one["before"]),
                after=load_json(one["after"]), reason=one["reason"],
                evidence=load_json(one["evidence"]),
            )
            for one in found
        )  # fmt: skip


def _as_it_is(value: Json) -> Json:
    return value


def context_diff(skill: Skill, inputs: Mapping[str, Json]) -> dict[str, Json]:
    """Return where the inputs differ from the source run's, by variable name."""
    defaults = {variable.name: variable.default for variable in skill.variables}
    return {
        name: {"template": defaults.get(name), "actual": value}
        for name, value in inputs.items()
        if name not in defaults or defaults[name] != value
    }


def wilson_low(successes: int, trials: int) -> float | None:
    """Return the lower end of the 95 % Wilson score interval of a rate; None without trials."""
    rate = wilson(successes, trials)
    return None if rate is None else rate.low
