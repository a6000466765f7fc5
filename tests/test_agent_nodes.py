"""Agent nodes: what agents are told and given, what their replies count for, and how their limits end."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_agents import Scripted, reply

from skillsmith.db import Database
from skillsmith.errors import ExecutionError
from skillsmith.library.executor import ExecutionCallbacks, ExecutionResult, SkillExecutor
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.tools.callables import PythonTools
from skillsmith.models import FromInput, FromNode, Node, Skill, Slot, Template, Variable
from skillsmith.models.protocols import AgentError, AgentReply, AgentTask, BudgetError
from skillsmith.runs import RunRepository

SUMMARY = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}


def agent(key: str, text: str, *after: str, **more: Any) -> Node:
    """Return an agent node."""
    template = Template(
        text=text, slots=tuple(Slot(variable=n, encoding="text") for n in more.pop("slots", ()))
    )
    return Node(
        id=key, kind="agent", agent="clerk", title=f"step {key}", template=template, after=after, **more
    )


def of(*nodes: Node, **more: Any) -> Skill:
    """Return a skill of these nodes."""
    return Skill(name="office", state="proven", description="Does office work", nodes=nodes, **more)


def run(db: Database, skill: Skill, agents: Scripted, task: str = "", **more: Any) -> ExecutionResult:
    """Execute a skill with scripted agents."""
    tools = PythonTools({"get_rate": lambda: 2, "delete_all": lambda: 0}, label="office")
    executor = SkillExecutor(db, agents=agents, tools=tools, backoff_seconds=0.01, **more)
    return executor.execute_skill(skill, {"task": task})


def test_an_agent_is_told_its_step_and_what_the_skill_knows(db: Database) -> None:
    """The prompt is the template with its values; the skill's purpose, steps and notes come beside it."""
    agents = Scripted("hello", "bye")
    skill = of(
        agent("n1", "greet {who}", slots=("who",)), agent("n2", "part from {who}", "n1", slots=("who",)),
        variables=(Variable(name="who", type="string", default="Ann"),), body="Never shout.",
        output_bindings={"said": FromNode("n1"), "end": FromNode("n2")},
    )  # fmt: skip
    result = run(db, skill, agents)
    assert result.outputs == {"said": "hello", "end": "bye"}
    first, second = agents.tasks
    assert (first.prompt, first.agent, second.prompt) == ("greet Ann", "clerk", "part from Ann")
    for part in ("office", "Does office work", "Never shout.", "1. step n1  ← this is yours", "2. step n2"):
        assert part in first.knowledge
    assert "2. step n2  ← this is yours" in second.knowledge


def test_tokens_and_cost_are_summed_and_unknown_cost_stays_unknown(db: Database) -> None:
    """Calls, tokens and dollars of all agents are the execution's; one unknown price makes it unknown."""
    skill = of(agent("n1", "a"), agent("n2", "b", "n1"))
    known = run(db, skill, Scripted(reply("x", agent="clerk", calls=2), reply("y", agent="clerk")))
    assert (known.model_calls, known.tokens_in, known.tokens_out) == (3, 300, 30)
    assert known.cost_usd == pytest.approx(0.003)
    stored = ExecutionLedger(db).get(known.execution_id or "")
    recorded = RunRepository(db).get(known.run_id or "")
    assert stored.cost_usd == recorded.cost_usd == known.cost_usd
    assert recorded.tokens == 330
    unknown = run(db, skill, Scripted("x", reply("y", agent="clerk", cost_usd=None)))
    assert (unknown.cost_usd, unknown.model_calls) == (None, 2)


def test_a_runner_that_only_sums_up_is_counted_too(db: Database) -> None:
    """Totals without events become one call in the run, so ledger and run agree."""
    total = AgentReply(text="x", model_calls=4, tokens_in=40, tokens_out=4, cost_usd=0.5)
    result = run(db, of(agent("n1", "a")), Scripted(total))
    assert (result.model_calls, result.tokens_in, result.cost_usd) == (4, 40, 0.5)
    assert RunRepository(db).get(result.run_id or "").tokens == 44


def test_what_the_agent_did_is_part_of_the_run(db: Database) -> None:
    """Its events stand in the run under their node, between question and end, the answer once only."""
    result = run(db, of(agent("n1", "a")), Scripted("the answer"))
    events = list(RunRepository(db).events(result.run_id or ""))
    own = [event for event in events if event.data and event.data.get("node") == "n1"]
    assert [(event.kind, event.role, event.agent) for event in own] == [
        ("message", "user", "skillsmith"), ("llm_call", None, "clerk"), ("message", "assistant", "clerk"),
    ]  # fmt: skip
    assert own[0].recipient == "clerk"
    assert [event.content for event in events].count("the answer") == 1


def test_another_agent_than_the_skills_is_a_deviation(db: Database) -> None:
    """When somebody else answers, that is recorded with both names."""
    result = run(db, of(agent("n1", "a")), Scripted(reply("x", agent="boss")))
    (deviation,) = result.adaptations
    assert (deviation.type, deviation.target) == ("agent_deviation", "n1")
    assert (deviation.before, deviation.after) == ("clerk", "boss")


def test_a_schema_makes_the_answer_structured(db: Database) -> None:
    """The node's schema goes to the runner, its value flows on, and an answer that does not fit fails."""
    skill = of(
        agent("n1", "sum up", output_schema=SUMMARY), output_bindings={"t": FromNode("n1", ("total",))}
    )
    agents = Scripted({"total": 7})
    assert run(db, skill, agents).outputs == {"t": 7}
    assert agents.tasks[0].output_schema == SUMMARY
    wrong = run(db, skill, Scripted({"total": "seven"}))
    assert not wrong.success
    assert "does not fit its schema: total: 'seven' is not of type 'integer'" in str(wrong.error)
    retried = run(db, of(agent("n1", "x", output_schema=SUMMARY, retries=1)), Scripted({}, {"total": 1}))
    assert retried.success
    assert [one.type for one in retried.adaptations] == ["retry"]


def test_an_agent_that_only_reads_gets_no_tool_that_writes(db: Database) -> None:
    """The effect of the node decides which tools its agent may call."""
    agents = Scripted("a", "b")
    run(db, of(agent("n1", "a", effect="read"), agent("n2", "b", "n1", effect="write")), agents)
    assert [task.tool_names for task in agents.tasks] == [("get_rate",), None]


@pytest.mark.parametrize(("error", "tasks"), [(AgentError("no answer"), 3), (BudgetError("too dear"), 1)])
def test_an_agents_failure_keeps_what_it_cost(db: Database, error: AgentError, tasks: int) -> None:
    """A failure is tried again as often as the skill says, a spent budget never; all calls count."""
    error.reply = replace(reply("half", agent="clerk"), text="")
    agents = Scripted(by=lambda _: error)
    result = run(db, of(agent("n1", "a", retries=2)), agents)
    assert not result.success
    assert error.message in str(result.error)
    assert (len(agents.tasks), result.model_calls) == (tasks, tasks)
    assert result.cost_usd == pytest.approx(0.001 * tasks)


def test_an_agent_that_hangs_ends_at_the_nodes_limit(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner gets the limit; one that ignores it is left behind shortly after."""
    monkeypatch.setattr("skillsmith.library.execution.node_runs.AGENT_GRACE_SECONDS", 0.1)

    def hang(task: AgentTask) -> str:
        assert task.timeout_seconds == 0.2
        time.sleep(5)
        return "late"

    began = time.monotonic()
    result = run(db, of(agent("n1", "a", timeout_seconds=0.2, retries=3)), Scripted(by=hang))
    assert time.monotonic() - began < 3
    assert "time limit" in str(result.error)


def test_agents_work_side_by_side(db: Database) -> None:
    """Nodes that do not wait for each other are asked at once."""

    def slow(task: AgentTask) -> str:
        time.sleep(0.2)
        return task.prompt

    class Free(Scripted):
        def run(self, task: AgentTask) -> AgentReply:
            return reply(slow(task), agent="clerk")

    began = time.monotonic()
    result = run(db, of(*(agent(f"n{n}", str(n)) for n in range(4))), Free())
    assert result.success
    assert time.monotonic() - began < 0.7


def test_without_a_runner_the_node_is_refused_before_anything_runs(db: Database) -> None:
    """The message says what is missing; no run is left behind."""
    with pytest.raises(ExecutionError, match="agent nodes"):
        SkillExecutor(db).execute_skill(of(agent("n1", "a")), {})
    assert not list(RunRepository(db).list())


def test_listeners_hear_what_is_written(db: Database, tmp_path: Path) -> None:
    """Names and data of the skill's events are the same for listeners and in the run."""
    heard: list[tuple[str, Any]] = []
    callbacks = ExecutionCallbacks(on_event=lambda name, data: heard.append((name, dict(data))))
    skill = of(
        agent("n1", "as {form}", slots=("form",)),
        variables=(Variable(name="form", type="string", default="png"),),
        output_bindings={"form": FromInput("form")},
    )
    result = SkillExecutor(db, agents=Scripted("x"), work_dir=tmp_path).execute_skill(
        skill, {"task": "draw", "inputs": {"form": "pdf"}, "confidence": 0.9, "reason": "same words"},
        callbacks=callbacks,
    )  # fmt: skip
    told = {name: data for name, data in heard if name.startswith("SKILL_")}
    events = RunRepository(db).events(result.run_id or "")
    assert told == {
        event.data["event"]: {key: value for key, value in event.data.items() if key != "event"}
        for event in events
        if event.kind == "skill" and event.data
    }
    assert told["SKILL_MATCHED"]["confidence"] == 0.9
    assert told["SKILL_MATCHED"]["explanation"] == "same words"
    assert told["SKILL_EXECUTION_START"]["run_id"] == result.run_id
    (change,) = told["SKILL_ADAPTED"]["adaptations"]
    assert (change["type"], change["parameter"], change["from"], change["to"]) == (
        "parameter_change", "form", "png", "pdf",
    )  # fmt: skip
    complete = told["SKILL_EXECUTION_COMPLETE"]
    assert (complete["success"], complete["adapted"], complete["cost_usd"]) == (True, True, 0.001)
    assert complete["duration_seconds"] == result.duration_seconds
