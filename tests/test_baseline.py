"""The comparison with runs without a skill: which runs belong to it, what helped and hurt, how sure it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.library.evidence.baseline import BaselineReader, PlainRun, Use, against
from skillsmith.library.evidence.intervals import newcombe, wilson
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Outcome, Skill, Variable
from skillsmith.runs import RunRepository

PATTERN = "Plot the spectrum of {path} as a {form} file"
VARIABLES = (
    Variable(name="path", type="path", default="a.csv"), Variable(name="form", type="string", default="png"),
)  # fmt: skip

Plain = Callable[..., str]


@pytest.fixture
def plain(runs: RunRepository) -> Plain:
    """Store a run without a skill and return its id."""

    def store(task: str, outcome: Outcome = "success", *, source: str = "capture", took: float = 10.0) -> str:
        run = runs.create(task, source=source, started_at=time.time() - took)
        return runs.finish(run.id, outcome=outcome).id

    return store


def run(task: str = "t", **fields: Any) -> PlainRun:
    """Return a plain run."""
    usual: dict[str, Any] = {
        "id": "r", "success": True, "duration_seconds": 10.0, "cost_usd": 0.1, "rule": "source",
    }  # fmt: skip
    return PlainRun(task=task, **(usual | fields))


def use(task: str = "t", **fields: Any) -> Use:
    """Return an execution."""
    return Use(task=task, **({"success": True, "duration_seconds": 1.0, "cost_usd": 0.0} | fields))


def test_each_rule_of_the_family_finds_its_runs(db: Database, plain: Plain) -> None:
    """Source runs, the same tasks, the pattern and the wording; everything else stays out."""
    source = plain("Something worded quite differently")
    skills = SkillRepository(db)
    skills.add(Skill(
        name="plot", task_pattern=PATTERN, variables=VARIABLES, source_run_ids=(source,),
        examples=("Plot the spectrum of a.csv as a png file",),
    ))  # fmt: skip
    wanted = {
        source: "source",
        plain("Draw  ME a chart", "failure"): "same task",
        plain(
            "Plot the spectrum of some/long/folder/with many words/b.csv as a vector graphics file"
        ): "pattern",
        plain("Please plot the spectrum of a.csv as a nice png file"): "wording",
    }
    plain("Cancel the order ORD-1")
    plain("Plot the spectrum of c.csv as a png file", source="execution")
    plain("Plot the spectrum of d.csv as a png file", "unknown")
    found = BaselineReader(db).runs("plot", version=None, tasks=["draw me a chart", "Draw me a chart"])
    assert {one.id: one.rule for one in found} == wanted
    assert [one.id for one in found] == sorted(wanted, reverse=True)


def test_a_deleted_skill_is_measured_on_the_same_tasks_only(db: Database, plain: Plain) -> None:
    """What it was made of is gone with it."""
    same = plain("Draw me a chart")
    plain("Plot the spectrum of c.csv as a png file")
    found = BaselineReader(db).runs("gone", version=None, tasks=["Draw me a chart"])
    assert [one.id for one in found] == [same]


def test_many_runs_are_judged_quickly(db: Database) -> None:
    """Thousands of other runs cost less than a second."""
    SkillRepository(db).add(Skill(name="plot", task_pattern=PATTERN, variables=VARIABLES))
    db.executemany(
        "INSERT INTO runs (id, source, task, status, outcome, created_at)"
        " VALUES (?, 'capture', ?, '', 'success', 0)",
        [(f"{n:08d}", f"do number {n} of these things with care") for n in range(5_000)],
    )
    began = time.monotonic()
    assert BaselineReader(db).runs("plot", version=None, tasks=["x"]) == []
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("execution", "others", "verdict"),
    [
        (use(), [run(success=False), run(success=False), run()], "helped"),  # where most failed
        (use(), [run()], "helped"),  # faster and cheaper
        (use(duration_seconds=9.5, cost_usd=0.1), [run()], "neither"),  # within the margin
        (use(duration_seconds=30.0), [run()], "neither"),  # slower, but cheaper
        (use(duration_seconds=30.0, cost_usd=0.1), [run()], "hurt"),  # slower, no cheaper
        (use(cost_usd=None), [run()], "helped"),  # faster, cost unknown
        (use(duration_seconds=None, cost_usd=None), [run()], "neither"),
        (use(success=False), [run()], "hurt"),
        (use(success=False), [run(success=False)], "neither"),
        (use(success=False), [run("other")], "hurt"),  # no run of this very task: the whole family counts
        (use(success=False), [run(success=False), run("other"), run("other")], "neither"),
    ],
)
def test_what_helped_and_what_hurt(execution: Use, others: list[PlainRun], verdict: str) -> None:
    """Each execution is compared with the runs of its task, else with the family's."""
    found = against([execution], others)
    assert (found["helped"], found["hurt"]) == (int(verdict == "helped"), int(verdict == "hurt"))


def test_figures_are_counted_from_the_runs(db: Database) -> None:
    """Rates, means, medians of successes, and how many runs came in by which rule."""
    others = [run(duration_seconds=4.0), run(duration_seconds=8.0), run(success=False, rule="wording")]
    found = against([use(), use()], others)
    baseline = found["baseline"]
    assert (baseline["runs"], baseline["successes"], baseline["by"]) == (3, 2, {"source": 2, "wording": 1})
    assert (baseline["median_duration_seconds"], baseline["avg_duration_seconds"]) == (
        6.0,
        pytest.approx(22 / 3),
    )
    assert found["speedup"] == 6.0
    assert found["difference"]["success_rate"] == pytest.approx(1 / 3)
    assert against([use()], []) == dict.fromkeys(["helped", "hurt", "baseline", "difference", "speedup"])


def test_a_difference_is_only_claimed_when_it_is_shown() -> None:
    """Few runs show nothing; many that differ show which is better."""
    few = against([use()] * 2, [run(success=False)])
    assert few["difference"]["verdict"] == "not shown"
    many = against([use()] * 20, [run(success=False)] * 20)
    assert many["difference"]["verdict"] == "better"
    worse = against([use(success=False)] * 20, [run()] * 20)
    assert worse["difference"]["verdict"] == "worse"


def test_the_intervals_are_the_published_ones() -> None:
    """Newcombe 1998, table II, example (a): 56 of 70 against 48 of 80 gives 0.0524 to 0.3339."""
    one, other = wilson(56, 70), wilson(48, 80)
    assert one is not None
    assert other is not None
    found = newcombe(one, other)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@given(st.tuples(st.integers(0, 60), st.integers(0, 60)), st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_intervals_hold_their_value_and_stay_possible(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    """A rate lies in its interval, within 0 and 1; a difference within -1 and 1, mirrored when swapped."""
    one, other = (wilson(good, good + bad) for good, bad in (first, second))
    for rate in (one, other):
        assert rate is None or 0 <= rate.low <= rate.value <= rate.high <= 1
    if one is None or other is None:
        return
    found, swapped = newcombe(one, other), newcombe(other, one)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((-swapped.high, -swapped.low))
