"""Differences between skill and execution as data, and what they add up to."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from skillsmith.db import Database
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.library.tracking import SkillAdaptationTracker, SkillPerformanceTracker
from skillsmith.models import Adaptation, Constant, Execution, Node, Skill, Variable

NODE = Node(id="n1", kind="tool", tool="look_up")
SKILL = Skill(
    name="report",
    variables=(
        Variable(name="user_id", type="id", default="u_1", required=True),
        Variable(name="day", type="date", default="2024-05-20"),
        Variable(name="source", type="path", default="a.csv"),
        Variable(name="output_format", type="string", default="png"),
        Variable(name="top_n", type="integer", default=5),
        Variable(name="note", type="string"),
    ),
    nodes=(NODE,),
)


def test_only_inputs_meant_to_stay_are_adaptations() -> None:
    """Ids, dates and files to read change with each task; a format that the user changed is an adaptation."""
    tracker = SkillAdaptationTracker()
    values = {
        "user_id": "u_2", "day": "2024-05-22", "source": "b.csv", "output_format": "pdf", "top_n": 5,
        "note": "x",
    }  # fmt: skip
    found = tracker.track_inputs(SKILL, values, dict.fromkeys(values, "from the task"), reads=["source"])
    (change,) = found
    assert (change.type, change.target) == ("parameter_change", "output_format")
    assert (change.before, change.after, change.reason) == ("png", "pdf", "from the task")
    assert tracker.adaptations == found


def test_dag_changes_are_told_apart() -> None:
    """Added, removed and replaced nodes each become one adaptation; equal graphs none."""
    tracker = SkillAdaptationTracker()
    second = Node(id="n2", kind="tool", tool="pay")
    changed = replace(NODE, arguments={"x": Constant(1)})
    found = tracker.track_dag_modification([NODE, second], [changed, Node(id="n3", kind="check")], "mended")
    assert [(one.type.removeprefix("node_"), one.target) for one in found] == [
        ("added", "n3"), ("removed", "n2"), ("replaced", "n1"),
    ]  # fmt: skip
    assert tracker.track_dag_modification([NODE], [NODE]) == ()


def test_code_and_agents_are_compared() -> None:
    """Changed code becomes a unified diff, another agent a deviation; what is the same becomes nothing."""
    tracker = SkillAdaptationTracker()
    (code,) = tracker.track_code_modification("a = 1\nb = 2", "a = 1\nb = 3", node="n1", reason="NameError")
    assert "-b = 2" in code.after
    assert "+b = 3" in code.after
    (agent,) = tracker.track_agent_deviation("planner", "coder", "busy", node="n1")
    assert (agent.before, agent.after, agent.target) == ("planner", "coder", "n1")
    assert tracker.track_code_modification("x", "x") == tracker.track_agent_deviation("a", "a", "") == ()
    assert tracker.track_parameter_changes({"a": 1, "b": True}, {"a": 1, "b": 1})[0].target == "b"
    assert len(tracker.adaptations) == 3


def test_the_same_change_in_most_executions_belongs_into_the_skill() -> None:
    """Changes are counted by target and value; only one that most executions share speaks for an update."""
    tracker = SkillAdaptationTracker()
    pdf = Adaptation(type="parameter_change", target="output_format", after="pdf", reason="task")
    svg = replace(pdf, after="svg")
    skipped = Adaptation(type="node_skipped", target="n3", reason="its condition is false")
    first, second = tracker.summarize_adaptations([pdf, skipped, svg, pdf])
    assert (first.target, first.count, first.after, first.agreeing) == ("output_format", 3, "pdf", 2)
    assert (second.target, second.count) == ("n3", 1)
    assert tracker.should_update_skill([pdf, svg, pdf, pdf], executions=4)
    assert not tracker.should_update_skill([pdf, svg, pdf], executions=4)
    assert not tracker.should_update_skill([pdf, pdf], executions=2)
    assert not tracker.should_update_skill([], executions=9)


@pytest.fixture
def tracker(db: Database) -> SkillPerformanceTracker:
    """A tracker over a ledger with a stored skill."""
    SkillRepository(db).add(SKILL)
    return SkillPerformanceTracker(ExecutionLedger(db))


def execution(*, success: bool, days_ago: float = 0.0, seconds: float = 2.0, **more: object) -> Execution:
    """Return an execution that is over."""
    started = time.time() - days_ago * 86_400
    plain = Execution(
        id="", skill="report", version=1, run_id=None, task="t", started_at=started,
        completed_at=started + seconds, duration_seconds=seconds, success=success, error=None, inputs={},
        outputs={}, adaptations=(), cost_usd=0.5,
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


def test_figures_are_counted_from_executions(tracker: SkillPerformanceTracker) -> None:
    """Success in a window of days, mean time and cost, and the share of adapted executions are exact."""
    assert tracker.get_success_rate("report") is None
    assert tracker.get_avg_cost("report") is None
    pdf = Adaptation(type="parameter_change", target="output_format", after="pdf")
    tracker.record_execution(execution(success=False, days_ago=40, seconds=10.0))
    tracker.record_execution(execution(success=True, days_ago=20, adaptations=(pdf,)))
    tracker.record_execution(execution(success=True, days_ago=2))
    tracker.record_execution(execution(success=False, days_ago=1))
    assert tracker.get_success_rate("report") == pytest.approx(2 / 3)
    assert tracker.get_success_rate("report", window_days=365) == pytest.approx(2 / 4)
    assert tracker.get_avg_execution_time("report") == pytest.approx(4.0)
    assert tracker.get_avg_cost("report") == pytest.approx(0.5)
    assert tracker.get_adaptation_frequency("report") == pytest.approx(1 / 4)
    assert tracker.get_skill_metrics("report")["executions"] == 4


def test_recurring_changes_are_recommended_with_their_evidence(tracker: SkillPerformanceTracker) -> None:
    """When 3 of 4 executions asked for PDF, the recommendation says so, counting each execution once."""
    pdf = Adaptation(type="parameter_change", target="output_format", after="pdf", reason="task")
    for adapted in (True, True, True, False):
        tracker.record_execution(execution(success=True, adaptations=(pdf, pdf) if adapted else ()))
    advice = tracker.recommend_skill_update("report")
    assert advice["recommended"] is True
    assert advice["changes"][0]["evidence"] == "3 of 4 executions"
    assert (advice["changes"][0]["target"], advice["changes"][0]["after"]) == ("output_format", "pdf")
    assert tracker.recommend_skill_update("unknown")["recommended"] is False
