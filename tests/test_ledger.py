from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.library.ledger import ExecutionLedger, wilson_low
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Adaptation, Execution, Outcome, Skill, Variable
from skillsmith.runs import RunRepository


@pytest.fixture
def ledger(db: Database) -> ExecutionLedger:
    """The ledger of that file."""
    return ExecutionLedger(db)


@pytest.fixture
def skill(db: Database) -> Skill:
    """A stored skill with two variables."""
    variables = (
        Variable(name="path", type="path", default="a.csv"),
        Variable(name="n", type="integer", default=3),
    )
    return SkillRepository(db).add(Skill(name="plot", variables=variables))


Record = Callable[..., str]


@pytest.fixture
def record(ledger: ExecutionLedger) -> Record:
    """Store an execution that is over."""

    def store(**fields: Any) -> str:
        plain: dict[str, Any] = {
            "id": "", "skill": "plot", "version": 1, "run_id": None, "task": "t", "started_at": 100.0,
            "completed_at": 101.0, "duration_seconds": 1.0, "success": True, "error": None, "inputs": {},
            "outputs": {}, "adaptations": (), "cost_usd": None,
        }  # fmt: skip
        return ledger.record(Execution(**(plain | fields)))

    return store


def test_an_execution_is_recorded_from_start_to_end(ledger: ExecutionLedger, skill: Skill) -> None:
    """Everything given at the start and at the end comes back, adaptations in order."""
    execution_id = ledger.start(
        skill, task="Plot b.csv", run_id="0190", inputs={"path": "b.csv"}, confidence=0.8
    )
    open_one = ledger.get(execution_id)
    assert (open_one.success, open_one.completed_at) == (None, None)
    adaptations = (
        Adaptation(
            type="parameter_change", target="path", before="a.csv", after=["b.csv", None], reason="asked"
        ),
        Adaptation(type="retry", target="n1", after=10**30),
    )
    done = ledger.finish(
        execution_id, success=False, outputs={"total": 3.5}, adaptations=adaptations, artifacts=["b.png"],
        error="exit 1", cost_usd=0.02,
    )  # fmt: skip
    assert done == ledger.get(execution_id)
    assert (done.skill, done.version, done.task, done.run_id) == ("plot", 1, "Plot b.csv", "0190")
    assert (done.inputs, done.outputs, done.confidence) == ({"path": "b.csv"}, {"total": 3.5}, 0.8)
    assert (done.success, done.error, done.cost_usd, done.artifacts) == (False, "exit 1", 0.02, ("b.png",))
    assert done.adaptations == adaptations
    assert done.adapted
    assert done.duration_seconds is not None
    assert done.duration_seconds >= 0


def test_the_specifications_columns_are_filled(db: Database, ledger: ExecutionLedger, skill: Skill) -> None:
    """Whether, why and how it was adapted, and how its context differed, can be read with any SQLite tool."""
    execution_id = ledger.start(skill, task="t", run_id=None, inputs={"path": "b.csv", "n": 3})
    adaptations = [Adaptation(type="retry", target="n1", reason="timeout")]
    ledger.finish(execution_id, success=True, outputs={}, adaptations=adaptations, artifacts=())
    row = db.one(
        "SELECT adapted, adaptation_reason, context_diff ->> '$.path.actual', context_diff FROM executions"
    )
    assert row is not None
    assert tuple(row)[:3] == (1, "timeout", "b.csv")
    assert "n" not in row[3].replace("template", "").replace("actual", "")


def test_a_failed_execution_may_end_again_a_successful_one_not(ledger: ExecutionLedger, skill: Skill) -> None:
    """What was resumed replaces what was there; success is final."""
    execution_id = ledger.start(skill, task="t", run_id=None, inputs={})
    one = Adaptation(type="retry", target="n1")
    ledger.finish(execution_id, success=False, outputs={}, adaptations=[one, one], artifacts=(), error="boom")
    done = ledger.finish(execution_id, success=True, outputs={}, adaptations=[one], artifacts=())
    assert (done.success, done.error, done.adaptations) == (True, None, (one,))
    with pytest.raises(UsageError, match="already succeeded"):
        ledger.finish(execution_id, success=True, outputs={}, adaptations=(), artifacts=())


def test_checkpoints_come_back_in_order(ledger: ExecutionLedger, skill: Skill) -> None:
    """A later process finds the state after each node."""
    one = ledger.start(skill, task="t", run_id=None, inputs={})
    other = ledger.start(skill, task="t", run_id=None, inputs={})
    ledger.checkpoint(one, "n1", {"results": {"n1": [1, "ü"]}})
    ledger.checkpoint(other, "n1", {})
    ledger.checkpoint(one, "n2", {"results": {"n1": None}})
    assert ledger.checkpoints(one) == [
        (1, "n1", {"results": {"n1": [1, "ü"]}}),
        (2, "n2", {"results": {"n1": None}}),
    ]
    assert ledger.checkpoints(other) == [(1, "n1", {})]


def test_an_id_may_be_shortened_while_it_is_clear(ledger: ExecutionLedger, record: Record) -> None:
    """A prefix is enough; an unclear one and an unknown one say so."""
    record(id="0190aaaa-1")
    record(id="0190aabb-1")
    record(id="0190aabb-12")
    assert ledger.get("0190AAA").id == "0190aaaa-1"
    assert ledger.get("0190aabb-1").id == "0190aabb-1"
    with pytest.raises(UsageError, match="several"):
        ledger.get("0190")
    for unknown in ("ffff", "", "%"):
        with pytest.raises(NotFoundError):
            ledger.get(unknown)


@pytest.mark.parametrize("window", [1, 2, 100])
def test_executions_are_listed_newest_first(ledger: ExecutionLedger, record: Record, window: int) -> None:
    """Page by page, for one version or all."""
    ids = [record(version=1 + number % 2) for number in range(5)]
    assert [one.id for one in ledger.list("plot", window=window)] == ids[::-1]
    assert [one.id for one in ledger.list("plot", after=ids[2], window=window)] == ids[1::-1]
    assert [one.id for one in ledger.list("plot", version=2, window=window)] == [ids[3], ids[1]]
    assert list(ledger.list("other")) == []


def test_figures_are_exact(ledger: ExecutionLedger, skill: Skill, record: Record) -> None:
    """Rates, means and the percentile are those of the executions, and nothing else."""
    for number in range(1, 21):
        record(
            duration_seconds=float(number), success=number > 5, cost_usd=None if number % 2 else number / 100
        )
    adaptation = Adaptation(type="retry", target="n1")
    record(duration_seconds=21.0, adaptations=(adaptation,))
    ledger.start(skill, task="t", run_id=None, inputs={})
    stats = ledger.stats("plot")
    assert stats["executions"] == 22
    assert stats["success_rate"] == 16 / 21
    assert stats["avg_duration_seconds"] == pytest.approx(sum(range(1, 22)) / 21)
    assert stats["p95_duration_seconds"] == 20.0
    assert stats["avg_cost_usd"] == pytest.approx(0.11)
    assert stats["adaptation_rate"] == 1 / 21
    assert stats["success_rate_low"] == wilson_low(16, 21)
    assert (stats["helped"], stats["hurt"], stats["baseline"]) == (None, None, None)


def test_an_unused_skill_has_no_figures(ledger: ExecutionLedger, skill: Skill) -> None:
    """Nothing is made up: what is not known is null."""
    stats = ledger.stats("plot")
    counts = {stats.pop(name) for name in (
        "executions", "selected", "matched", "applied", "finished", "completed",
    )}  # fmt: skip
    assert counts == {0}
    assert set(stats.values()) == {None}


def test_figures_are_those_of_what_is_in_the_library(
    db: Database, ledger: ExecutionLedger, skill: Skill, record: Record
) -> None:
    """A namesake's past does not count; of a deleted skill, everything does."""
    record(success=False)
    SkillRepository(db).delete("plot")
    assert ledger.stats("plot")["executions"] == 1
    SkillRepository(db).add(replace(skill, id=""))
    assert ledger.stats("plot")["executions"] == 0
    record(version=2)
    assert (ledger.stats("plot")["executions"], ledger.stats("plot")["success_rate"]) == (1, 1.0)
    assert len(list(ledger.list("plot"))) == 2


def test_figures_of_one_version(db: Database, ledger: ExecutionLedger, skill: Skill, record: Record) -> None:
    """Each version has its own ledger; evidence gives it by key."""
    SkillRepository(db).add(replace(skill, id=""))
    record(success=False)
    record(version=2)
    record(version=2)
    assert ledger.stats("plot", version=1)["success_rate"] == 0
    assert ledger.stats("plot", version=2)["executions"] == 2
    one, two = (SkillRepository(db).version_pk(f"plot@{number}") for number in (1, 2))
    assert ledger.evidence([two, one, 99]) == {two: (2, 0), one: (0, 1), 99: (0, 0)}
    assert ledger.evidence([]) == {}


def test_helped_and_hurt_compare_with_runs_without_a_skill(
    ledger: ExecutionLedger, runs: RunRepository, skill: Skill, record: Record
) -> None:
    """Only runs of the same tasks that had no skill and a known outcome are the baseline."""

    def plain(task: str, outcome: Outcome, source: str = "capture") -> None:
        run = runs.create(task, source=source, started_at=time.time() - 1)  # as long as the skill takes
        runs.finish(run.id, outcome=outcome)

    plain("hard", "failure")
    plain("hard", "failure")
    plain("hard", "success")
    plain("easy", "success")
    plain("other", "success")
    plain("easy", "failure", source="execution")
    plain("easy", "unknown")
    record(task="hard")
    record(task="easy", success=False)
    record(task="easy")
    stats = ledger.stats("plot")
    assert (stats["helped"], stats["hurt"]) == (1, 1)
    assert (stats["baseline"]["runs"], stats["baseline"]["success_rate"]) == (4, 0.5)


def test_a_recorded_execution_must_be_over_and_new(record: Record) -> None:
    """An id is used once, and a verdict is needed."""
    execution_id = record()
    with pytest.raises(UsageError, match="already recorded"):
        record(id=execution_id)
    with pytest.raises(UsageError, match="not over"):
        record(success=None)


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_lower_bound_is_below_the_rate_and_grows_with_evidence(successes: int, failures: int) -> None:
    """It lies within 0 and the rate; twice the same evidence raises it."""
    trials = successes + failures
    low = wilson_low(successes, trials)
    if low is None:
        assert trials == 0
        return
    assert 0 <= low <= successes / trials
    again = wilson_low(2 * successes, 2 * trials)
    assert again is not None
    assert again >= low - 1e-12


def test_the_lower_bound_is_wilsons() -> None:
    """The value of the published formula for 8 of 10."""
    assert wilson_low(8, 10) == pytest.approx(0.4901625, abs=1e-6)
    assert math.isclose(wilson_low(0, 5) or 0, 0, abs_tol=1e-12)


def test_the_metrics_view_agrees(db: Database, ledger: ExecutionLedger, skill: Skill, record: Record) -> None:
    """Whoever opens the file with another tool sees the same figures."""
    for success in (True, True, False):
        record(success=success, cost_usd=0.5)
    row = db.one("SELECT * FROM skill_metrics")
    stats = ledger.stats("plot")
    assert row is not None
    assert (row["executions"], row["success_rate"]) == (stats["executions"], stats["success_rate"])
    assert (row["avg_cost_usd"], row["adaptation_rate"]) == (0.5, stats["adaptation_rate"])
