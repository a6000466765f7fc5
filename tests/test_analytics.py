"""Every figure of the analytics, counted again from the raw events of the executions' runs."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.events import EventLog
from skillsmith.library.analytics import METRICS, SkillAnalytics
from skillsmith.library.evidence.intervals import wilson
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.library.tools.callables import PythonTools
from skillsmith.library.tracking import adapted_data
from skillsmith.models import Adaptation, Event, Execution, FromInput, Node, Skill, Variable
from skillsmith.runs import RunRepository

DAY = 86_400
NOW = 20_000 * DAY + 4_000.0
NAMES = ("load", "plot")
TASKS = ("Load a.csv", "Load b.csv", "Plot it")
CHANGES = (
    Adaptation(type="parameter_change", target="form", before="png", after="pdf", reason="asked"),
    Adaptation(type="node_skipped", target="n1", reason="condition"),
    Adaptation(type="retry", target="n1"),
    Adaptation(type="retry", target="n9"),
)


@dataclass
class Seen:
    """One execution, as the events of its run tell it."""

    skill: str
    version: int
    task: str
    started_at: float
    success: bool | None = None
    duration: float | None = None
    cost: float | None = 0.0
    changes: list[tuple[str, str]] = field(default_factory=list)
    error: str | None = None
    tokens: tuple[int, int] = (0, 0)


def executions_in(db: Database) -> list[Seen]:
    """Read every execution from the events of its run, and from nothing else."""
    runs, log, found = RunRepository(db), EventLog(db), []
    for run in runs.list(source="execution"):
        seen: Seen | None = None
        costs: list[float | None] = []
        task, tokens = "", [0, 0]
        for event in log.replay(runs.key(run.id)):
            data = dict(event.data or {})
            if event.kind == "message" and event.role == "user" and not task:
                task = event.content or ""
            if event.kind == "llm_call":
                costs.append(event.cost_usd)
                tokens[0] += event.tokens_in or 0
                tokens[1] += event.tokens_out or 0
            if data.get("event") == "SKILL_EXECUTION_START":
                assert event.at is not None
                seen = Seen(data["skill_name"], data["version"], task, event.at)
            if seen and data.get("event") == "SKILL_ADAPTED":
                seen.changes = [
                    (one["type"], one.get("parameter") or one["node"]) for one in data["adaptations"]
                ]
            if seen and data.get("event") == "SKILL_EXECUTION_COMPLETE":
                seen.success, seen.duration = data["success"], data["duration_seconds"]
                seen.error = data["error"]
        assert seen is not None
        seen.cost = None if None in costs else math.fsum(cost for cost in costs if cost is not None)
        seen.tokens = (tokens[0], tokens[1])
        found.append(seen)
    return found


def expected(seen: list[Seen]) -> dict[str, Any]:
    """Count the figures of some executions."""
    over = [one for one in seen if one.success is not None]
    took = [one.duration for one in over if one.duration is not None]
    costs = [one.cost for one in over if one.cost is not None]
    wins = sum(bool(one.success) for one in over)
    rate = wilson(wins, len(over))
    adapted = sum(bool(one.changes) for one in over)
    return {
        "executions": len(seen), "finished": len(over), "successes": wins, "failures": len(over) - wins,
        "success_rate": rate.value if rate else None, "success_rate_low": rate.low if rate else None,
        "success_rate_high": rate.high if rate else None, "adapted": adapted,
        "adaptation_rate": adapted / len(over) if over else None, "duration_seconds": math.fsum(took),
        "avg_duration_seconds": math.fsum(took) / len(took) if took else None,
        "cost_usd": math.fsum(costs) if len(costs) == len(over) else None,
        "known_cost_usd": math.fsum(costs), "unpriced": len(over) - len(costs),
        "avg_cost_usd": math.fsum(costs) / len(costs) if costs else None,
    }  # fmt: skip


def saved(seen: list[Seen], plain: list[Any], own: str, theirs: str) -> float | None:
    """Count what some finished executions saved against runs without the skill."""
    usual = [getattr(run, theirs) for run in plain if run.outcome == "success"]
    usual = [value for value in usual if value is not None]
    if not usual or any(getattr(one, own) is None for one in seen):
        return None
    total = []
    for one in seen:
        same = [getattr(run, theirs) for run in plain if run.outcome == "success" and run.task == one.task]
        same = [value for value in same if value is not None] or usual
        total.append((statistics.median(same) if one.success else 0.0) - getattr(one, own))
    return math.fsum(total)


def close(value: Any) -> Any:
    """Compare floats but for the last bits of a sum."""
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def agrees(figures: Any, seen: list[Seen]) -> None:
    """Compare figures with what the events say."""
    for name, value in expected(seen).items():
        assert getattr(figures, name) == close(value), name


executions = st.lists(
    st.fixed_dictionaries({
        "skill": st.sampled_from(NAMES), "version": st.integers(1, 2), "task": st.sampled_from(TASKS),
        "days_ago": st.integers(0, 80), "success": st.sampled_from([True, True, False, None]),
        "took": st.floats(0.001, 1e4), "cost": st.one_of(st.none(), st.floats(0, 10)),
        "calls": st.booleans(), "changes": st.lists(st.sampled_from(CHANGES), max_size=3),
    }),
    max_size=14,
)  # fmt: skip
plain_runs = st.lists(
    st.tuples(
        st.sampled_from(TASKS), st.booleans(), st.floats(0.1, 1e4), st.one_of(st.none(), st.floats(0, 9))
    ),
    max_size=5,
)


def library(db: Database, sources: tuple[str, ...] = ()) -> None:
    """Store two skills of two versions each."""
    node = Node(id="n1", kind="tool", tool="work", arguments={"form": FromInput("form")})
    skills = SkillRepository(db)
    for name in NAMES:
        for version in (1, 2):
            skills.add(Skill(
                name=name, state="proven", nodes=(node,), description=f"v{version}",
                variables=(Variable(name="form", type="string", default="png"),),
                source_run_ids=sources if name == "load" else (),
            ))  # fmt: skip


def store_plain(db: Database, plain: list[Any]) -> list[str]:
    """Store runs without a skill and return their ids."""
    runs, ids = RunRepository(db), []
    for task, success, took, cost in plain:
        run = runs.create(task, started_at=NOW)
        if cost is not None:
            EventLog(db).append(runs.key(run.id), [Event(kind="llm_call", cost_usd=cost)])
        runs.finish(run.id, outcome="success" if success else "failure")
        db.execute("UPDATE runs SET duration_seconds = ? WHERE id = ?", (took, run.id))
        ids.append(run.id)
    return ids


def store_execution(db: Database, one: dict[str, Any]) -> None:
    """Write one execution's run and its row in the ledger, as the executor does."""
    at = NOW - one["days_ago"] * DAY
    runs, ledger = RunRepository(db), ExecutionLedger(db)
    run = runs.create(one["task"], source="execution")
    success, changes = one["success"], tuple(one["changes"]) if one["success"] is not None else ()
    start = {"event": "SKILL_EXECUTION_START", "skill_name": one["skill"], "version": one["version"]}
    events = [
        Event(kind="message", role="user", content=one["task"]), Event(kind="skill", at=at, data=start),
    ]  # fmt: skip
    if one["calls"] or one["cost"] is None:
        cost = one["cost"]
        events.append(Event(kind="llm_call", cost_usd=cost, tokens_in=7, tokens_out=3))
    else:
        cost = 0.0
    if changes:
        events.append(Event(kind="skill", data={"event": "SKILL_ADAPTED", **adapted_data(changes)}))
    if success is not None:
        error = None if success else "it broke"
        events.append(Event(kind="skill", data={
            "event": "SKILL_EXECUTION_COMPLETE", "success": success, "duration_seconds": one["took"],
            "error": error,
        }))  # fmt: skip
        ledger.record(Execution(
            id="", skill=one["skill"], version=one["version"], run_id=run.id, task=one["task"],
            started_at=at, completed_at=at + one["took"], duration_seconds=one["took"], success=success,
            error=error, inputs={}, outputs={}, adaptations=changes, cost_usd=cost,
        ))  # fmt: skip
    else:
        skill = SkillRepository(db).get(f"{one['skill']}@{one['version']}")
        execution = ledger.start(skill, task=one["task"], run_id=run.id, inputs={})
        db.execute("UPDATE executions SET started_at = ? WHERE id = ?", (at, execution))
    EventLog(db).append(runs.key(run.id), events)
    if success is not None:
        runs.finish(run.id, outcome="success" if success else "failure")


@settings(max_examples=25)
@given(ledger=executions, plain=plain_runs, days=st.sampled_from([None, 1, 30, 70]))
def test_every_figure_equals_a_count_over_the_events(
    ledger: list[dict[str, Any]], plain: list[Any], days: int | None
) -> None:
    """Totals, versions, trends, rankings, costs, savings and heat are what the events of the runs say."""
    db = Database(":memory:")
    library(db, tuple(store_plain(db, plain)))
    for one in ledger:
        store_execution(db, one)
    analytics = SkillAnalytics(db, clock=lambda: NOW)
    since = 0.0 if days is None else (NOW // DAY - days + 1) * DAY
    seen = [one for one in executions_in(db) if one.started_at >= since]
    whole = analytics.library_dashboard(days=days)
    agrees(whole.totals, seen)
    assert (whole.skills, whole.used) == (2, len({one.skill for one in seen}))
    checks_trend(whole.trend, seen)
    tokens = (whole.costs.savings.tokens_in, whole.costs.savings.tokens_out)
    over = [one for one in seen if one.success is not None]
    assert tokens == (sum(one.tokens[0] for one in over), sum(one.tokens[1] for one in over))
    for name in NAMES:
        checks_skill(db, analytics, name, [one for one in seen if one.skill == name], days)
    for metric in METRICS:
        ranked = analytics.get_top_skills(metric, days=days)
        assert {one.skill for one in ranked} == {one.skill for one in seen}
    db.close()


def checks_skill(
    db: Database, analytics: SkillAnalytics, name: str, seen: list[Seen], days: int | None
) -> None:
    """Compare one skill's dashboard with what the events say."""
    found = analytics.dashboard(name, days=days)
    agrees(found.totals, seen)
    checks_trend(found.trend, seen)
    assert set(found.versions) == {one.version for one in seen}
    for version, figures in found.versions.items():
        agrees(figures, [one for one in seen if one.version == version])
    over = [one for one in seen if one.success is not None]
    sources = set(SkillRepository(db).get(name).source_run_ids)
    tasks = {one.task for one in over}
    plain = [
        run for run in RunRepository(db).list(source="capture") if run.id in sources or run.task in tasks
    ] if over else []  # fmt: skip
    assert found.savings.plain_runs == len(plain)
    if over:
        assert found.savings.time_saved_seconds == close(saved(over, plain, "duration", "duration_seconds"))
        assert found.savings.cost_saved_usd == close(saved(over, plain, "cost", "cost_usd"))
    took = sorted(one.duration for one in over if one.duration is not None)
    rank = math.ceil(0.95 * len(took)) - 1
    assert found.p95_duration_seconds == (took[rank] if took else None)
    errors = Counter(one.error for one in over if one.error)
    assert {one.message: one.count for one in found.failures} == errors
    for heat in found.heatmap.versions:
        mine = [one for one in over if one.version == heat.version]
        assert heat.finished == len(mine)
        counts = Counter((target, kind) for one in mine for kind, target in one.changes)
        assert {(row.target, kind): n for row in heat.rows for kind, n in row.counts.items()} == counts
        for row in heat.rows:
            touched = sum(row.target in {target for _, target in one.changes} for one in mine)
            assert (row.executions, row.share) == (touched, close(touched / len(mine)) if mine else None)
        assert heat.rows[0].target == "n1"


def checks_trend(trend: Any, seen: list[Seen]) -> None:
    """Compare a trend with what the events say, point by point."""
    starts = [datetime.fromisoformat(point.start).replace(tzinfo=UTC).timestamp() for point in trend.points]
    width = DAY if trend.bucket == "day" else 7 * DAY
    assert all(later - earlier == width for earlier, later in pairwise(starts))
    assert sum(point.figures.executions for point in trend.points) == len(seen)
    for start, point in zip(starts, trend.points, strict=True):
        agrees(point.figures, [one for one in seen if start <= one.started_at < start + width])


@pytest.fixture
def executed(db: Database, tmp_path: Path) -> Database:
    """Return a file in which a skill was really executed: well, badly, with another value than its own."""

    def work(form: str) -> str:
        if form == "broken":
            raise ValueError("no such form")
        return form.upper()

    run = RunRepository(db).create("Write the report as png", started_at=NOW)
    RunRepository(db).finish(run.id, outcome="success")
    node = Node(id="n1", kind="tool", tool="work", arguments={"form": FromInput("form")})
    skill = SkillRepository(db).add(Skill(
        name="load", state="proven", nodes=(node,), source_run_ids=(run.id,),
        variables=(Variable(name="form", type="string", default="png"),),
    ))  # fmt: skip
    executor = SkillExecutor(db, tools=PythonTools({"work": work}, label="work"), work_dir=tmp_path / "w")
    for form in ("png", "pdf", "broken", "png", "pdf", "png"):
        context = {"task": f"Write the report as {form}", "inputs": {"form": form}}
        executor.execute_skill(skill, context)
    return db


def test_figures_of_real_executions_equal_their_events(executed: Database) -> None:
    """What the executor wrote into the ledger, and analytics counted, is what its events say."""
    seen = executions_in(executed)
    assert [one.success for one in seen].count(False) == 1
    assert sum(bool(one.changes) for one in seen) >= 3
    analytics = SkillAnalytics(executed)
    checks_skill(executed, analytics, "load", seen, None)
    totals, stats = analytics.dashboard("load", days=None).totals, ExecutionLedger(executed).stats("load")
    for name in ("executions", "finished", "success_rate", "success_rate_low", "adaptation_rate"):
        assert getattr(totals, name) == stats[name]
    (top,) = analytics.get_top_skills("time_saved")
    assert (top.skill, top.figures) == ("load", totals)
    heat = analytics.adaptation_heatmap("load")
    assert {row.target: row.kind for row in heat.versions[0].rows} == {"n1": "node", "form": "input"}


def test_an_unknown_cost_stays_unknown(db: Database) -> None:
    """One execution of unknown cost makes the sum and the saving unknown, and says for how many."""
    library(db)
    store_plain(db, [("Load a.csv", True, 10.0, 1.0)])
    usual = {"skill": "load", "version": 2, "task": "Load a.csv", "days_ago": 0, "success": True, "took": 1.0}
    for cost in (0.25, None):
        store_execution(db, {**usual, "cost": cost, "calls": True, "changes": []})
    savings = SkillAnalytics(db, clock=lambda: NOW).cost_analysis("load").savings
    assert (savings.cost_usd, savings.known_cost_usd, savings.unpriced) == (None, 0.25, 1)
    assert (savings.cost_saved_usd, savings.time_saved_seconds) == (None, 18.0)


def test_a_deleted_skill_keeps_its_figures_until_a_namesake_comes(db: Database) -> None:
    """Its use is told under its name; a successor of that name begins at nothing."""
    library(db)
    usual = {"version": 2, "task": "t", "days_ago": 0, "success": True, "took": 1.0, "cost": 0.0}
    store_execution(db, {**usual, "skill": "load", "calls": False, "changes": []})
    skills, analytics = SkillRepository(db), SkillAnalytics(db, clock=lambda: NOW)
    skills.delete("load")
    gone = analytics.dashboard("load")
    assert (gone.version, gone.totals.executions) == (None, 1)
    assert analytics.get_top_skills() == ()
    skills.add(Skill(name="load", nodes=(Node(id="n1", kind="tool", tool="x"),)))
    assert analytics.dashboard("load").totals.executions == 0


def test_what_cannot_be_counted_is_refused(db: Database) -> None:
    """An unknown skill, metric or an empty window is a clear error."""
    library(db)
    analytics = SkillAnalytics(db)
    with pytest.raises(NotFoundError, match="lod"):
        analytics.dashboard("lod")
    with pytest.raises(UsageError, match="no metric"):
        analytics.get_top_skills("fame")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="0 days"):
        analytics.library_trends(0)


def test_the_specification_names_give_the_same(executed: Database) -> None:
    """The methods named by the specification answer for a name and for a version's id, as JSON."""
    analytics = SkillAnalytics(executed)
    skill = SkillRepository(executed).get("load")
    for ref in ("load", skill.id):
        assert analytics.get_skill_dashboard_data(ref)["totals"]["executions"] == 6
        assert analytics.get_skill_cost_analysis(ref)["skill"] == "load"
        assert analytics.get_adaptation_heatmap(ref)["versions"][0]["finished"] == 6
        assert len(analytics.get_skill_usage_trends(ref, 7)["points"]) == 7
    ((best, figures),) = analytics.get_top_performing_skills()
    assert (best.name, figures["executions"]) == ("load", 6)
    assert analytics.recommend_skill_consolidation() == []
