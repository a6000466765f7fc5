"""Executions of skills with tools: flows, order, failures, checks, books and trust."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import bank
import pytest

from skillsmith.db import Database
from skillsmith.errors import (
    ExecutionError,
    ExitCode,
    MissingInputError,
    RefusedError,
    UntrustedError,
    UsageError,
)
from skillsmith.library.executor import ExecutionCallbacks, ExecutionResult, SkillExecutor
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.library.tools.callables import PythonTools, module_tools
from skillsmith.models import (
    Between,
    Constant,
    FromInput,
    FromNode,
    Node,
    ObjectOf,
    Skill,
    Template,
    Text,
    Variable,
    Where,
)
from skillsmith.runs import RunRepository

TASK = "Pay 75 from acc_anna_01 to acc_ben_02 and block the card ending in 2222"


@pytest.fixture(autouse=True)
def _fresh_bank() -> Iterator[None]:
    bank.reset()
    yield
    bank.reset()


def tool(key: str, name: str, *after: str, **arguments: Any) -> Node:
    """Return a node that calls a tool of the bank."""
    effect: Any = "read" if name.startswith("get") else "write"
    return Node(id=key, kind="tool", tool=name, arguments=arguments, after=after, effect=effect)


def check(key: str, expression: str, *after: str, **more: Any) -> Node:
    """Return a check."""
    return Node(id=key, kind="check", template=Template(text=expression), after=after, effect="read", **more)


PAY = Skill(
    name="pay",
    state="proven",
    task_pattern="Pay {amount} from {source} to {target} and block the card ending in {last_four}",
    variables=(
        Variable(name="amount", type="integer", default=30, required=True),
        Variable(name="source", type="id", default="acc_tom_07", required=True),
        Variable(name="target", type="id", default="acc_zoe_08", required=True),
        Variable(name="last_four", type="id", default="9876", required=True),
    ),
    nodes=(
        tool("n1", "get_account", account_id=FromInput("source")),
        tool(
            "n2", "transfer", "n1", source=FromNode("n1", ("id",)), target=FromInput("target"),
            amount=FromInput("amount"),
            note=Text(("for ", FromNode("n1", ("owner", Between("A", "a"))), " by ", FromInput("source"))),
        ),
        tool(
            "n3", "block_card", "n2",
            card_id=FromNode("n1", ("cards", Where("last_four", FromInput("last_four")), "id")),
        ),
    ),
    outputs={"type": "object", "properties": {"reference": {"type": "string"}}, "required": ["reference"]},
    output_bindings={"reference": FromNode("n2", ("reference",)), "rest": FromNode("n2", ("rest",))},
)  # fmt: skip


def executor(db: Database, **more: Any) -> SkillExecutor:
    """Return an executor with the bank's tools."""
    return SkillExecutor(db, tools=module_tools("bank"), backoff_seconds=0.01, **more)


def execute(db: Database, skill: Skill, task: str = "", **inputs: Any) -> ExecutionResult:
    """Execute a skill with the bank's tools."""
    return executor(db).execute_skill(skill, {"task": task, "inputs": inputs})


def statuses(result: ExecutionResult) -> dict[str, str]:
    """Return how each node ended."""
    return {node.node_id: node.status for node in result.nodes}


def of(*nodes: Node, **more: Any) -> Skill:
    """Return a skill of these nodes."""
    return Skill(name="made", state="proven", nodes=nodes, **more)


def test_a_skill_runs_end_to_end_on_a_stateful_module(db: Database) -> None:
    """Values flow from the task through selectors, spans and text into real calls, and out again."""
    result = execute(db, PAY, TASK)
    assert result.success, result.error
    assert bank.JOURNAL == [
        ("transfer", "acc_anna_01", "acc_ben_02", 75, "for nn by acc_anna_01"),
        ("block", "card_23"),
    ]
    assert bank.ACCOUNTS["acc_ben_02"]["balance"] == 95
    assert result.outputs == {"reference": "T-1", "rest": 425}
    assert (result.skill_used, result.version, result.cost_usd, result.error) == ("pay", 1, 0.0, None)
    assert statuses(result) == {"n1": "done", "n2": "done", "n3": "done"}
    assert result.work_dir is None


def test_every_execution_is_a_run_in_the_books(db: Database, runs: RunRepository) -> None:
    """Task, calls, results and outcome are a run; the ledger and the skill's examples know of it."""
    skills = SkillRepository(db)
    stored = skills.add(PAY)
    result = executor(db).execute_skill(stored, {"task": TASK, "confidence": 0.9})
    run = runs.get(result.run_id or "")
    events = list(runs.events(run.id))
    assert (run.source, run.status, run.outcome, run.task) == ("execution", "completed", "success", TASK)
    assert run.metadata == {"skill": "pay", "version": 1}
    kinds = ["message", "skill", "skill", "context", *["tool_call", "tool_result"] * 3, "skill"]
    assert [event.kind for event in events] == kinds
    named = [event.data["event"] for event in events if event.kind == "skill" and event.data]
    assert named == ["SKILL_MATCHED", "SKILL_EXECUTION_START", "SKILL_EXECUTION_COMPLETE"]
    assert events[6].tool is not None
    assert events[6].tool.parsed["amount"] == 75
    assert events[7].tool is not None
    assert events[6].tool.call_id == events[7].tool.call_id
    execution = ExecutionLedger(db).get(result.execution_id or "")
    assert (execution.success, execution.run_id, execution.inputs["last_four"], execution.confidence) == (
        True,
        run.id,
        "2222",
        0.9,
    )
    assert TASK in skills.get("pay").examples


def test_a_task_in_the_same_words_teaches_nothing_new(db: Database) -> None:
    """Of tasks that differ in names and numbers only, one stays with the skill; other words are kept too."""
    skills = SkillRepository(db)
    stored = skills.add(of(tool("n1", "get_account", account_id=Constant("acc_anna_01"))))
    for task in ("Show account 17", "Show account 23", "What is left on account 23?"):
        executor(db).execute_skill(stored, {"task": task})
        stored = skills.get("made")
    assert stored.examples == ("Show account 17", "What is left on account 23?")


def test_nothing_runs_without_its_inputs(db: Database, runs: RunRepository) -> None:
    """Missing and unknown inputs, and values of the wrong type, are named; no run is begun."""
    with pytest.raises(MissingInputError, match="last_four"):
        execute(db, PAY, "Pay 75 from acc_anna_01 to acc_ben_02")
    with pytest.raises(UsageError, match="no input 'sum'"):
        execute(db, PAY, TASK, sum=3)
    with pytest.raises(UsageError, match="whole number"):
        execute(db, PAY, TASK, amount="lots")
    assert not bank.JOURNAL
    assert not list(runs.list())


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (tool("n1", "refund"), "it has ask_credit, block_card"),
        (tool("n1", "transfer", source=Constant("a")), "missing a required argument"),
        (tool("n1", "get_account", account=Constant("a")), "account"),
        (Node(id="n1", kind="agent", template=Template(text="think")), "agent nodes"),
        (Node(id="n1", kind="approval", template=Template(text="Really?")), "nobody can be asked"),
        (Node(id="n1", kind="code", language="cobol", template=Template(text="x")), "cobol"),
    ],
)
def test_what_a_skill_needs_is_checked_before_anything_runs(
    db: Database, runs: RunRepository, node: Node, words: str
) -> None:
    """A missing tool, argument, agent, person or language stops the execution before its first node."""
    first = tool("n0", "close_account", account_id=Constant("a"))
    with pytest.raises(ExecutionError, match=words):
        execute(db, of(first, node))
    assert not bank.JOURNAL
    assert not list(runs.list())


def test_without_tools_the_option_is_named(db: Database) -> None:
    """A skill with tool nodes and no tools says which option gives them."""
    with pytest.raises(ExecutionError, match="--tools"):
        SkillExecutor(db).execute_skill(PAY, {"task": TASK})


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (tool("n2", "ask_credit", "n1", amount=Constant(9)), "n2: Error: no credit over 9"),
        (tool("n2", "transfer", source=Constant("acc_ben_02"), target=Constant("x"), amount=Constant(99)),
         "n2: ValueError: acc_ben_02 has only 20"),
        (tool("n2", "block_card", "n1", card_id=FromNode("n1", ("cards", 7, "id"))),
         "n2: the result of node n1 has nothing at cards[7]"),
        (check("n2", "n1.balance > 1000", "n1"), "n2: the check n1.balance > 1000 does not hold"),
    ],
)  # fmt: skip
def test_a_failure_stops_what_comes_after_and_is_written_down(
    db: Database, runs: RunRepository, failing: Node, error: str
) -> None:
    """Whatever fails, later nodes do not run, and run, events and ledger say why."""
    skill = of(
        tool("n1", "get_account", account_id=Constant("acc_anna_01")),
        failing,
        tool("n3", "close_account", "n2", account_id=Constant("acc_anna_01")),
    )
    result = execute(db, skill, "close it")
    assert (result.success, result.error) == (False, error)
    assert statuses(result) == {"n1": "done", "n2": "failed"}
    assert ("close", "acc_anna_01") not in bank.JOURNAL
    run = runs.get(result.run_id or "")
    assert (run.status, run.outcome, run.outcome_reason) == ("failed", "failure", error)
    errors = [event.content for event in runs.events(run.id) if event.kind == "error"]
    assert [f"n2: {text}" for text in errors] == [error]
    execution = ExecutionLedger(db).get(result.execution_id or "")
    assert (execution.success, execution.error) == (False, error)


def test_retries_are_counted_and_paused(db: Database) -> None:
    """A node is tried as often as it says; success after a failure is an adaptation, exhaustion a failure."""
    node = replace(tool("n1", "flaky", message=Constant("hi")), retries=2)
    bank.FLAKY["left"] = 2
    result = execute(db, of(node))
    assert result.success
    assert [(one.type, one.target, one.after) for one in result.adaptations] == [("retry", "n1", 3)]
    bank.FLAKY["left"] = 3
    result = execute(db, of(node))
    assert result.error == "n1: ConnectionError: the line is dead"
    assert len(bank.JOURNAL) == 6


def test_optional_nodes_may_fail(db: Database) -> None:
    """After an optional failure, what needs its result is skipped and the rest runs; strict fails instead."""
    skill = of(
        replace(tool("n1", "ask_credit", amount=Constant(5)), optional=True),
        tool("n2", "flaky", "n1", message=FromNode("n1", ())),
        tool("n3", "close_account", "n1", account_id=Constant("x")),
    )
    result = execute(db, skill)
    assert result.success
    assert statuses(result) == {"n1": "failed", "n2": "skipped", "n3": "done"}
    assert [(one.type, one.target) for one in result.adaptations] == [("node_skipped", "n2")]
    strict = executor(db).execute_skill(skill, {"task": ""}, strict_mode=True)
    assert strict.error == "n1: Error: no credit over 5"


def test_conditions_decide(db: Database) -> None:
    """A node whose condition is false is skipped, as an adaptation; its output may then be missing."""
    skill = of(
        tool("n1", "get_account", account_id=FromInput("account")),
        replace(
            tool("n2", "close_account", "n1", account_id=FromInput("account")), condition="n1.balance < limit"
        ),
        variables=(
            Variable(name="account", type="id", default="acc_x_09", required=True),
            Variable(name="limit", type="integer", default=100),
        ),
        output_bindings={"closed": FromNode("n2"), "owner": FromNode("n1", ("owner",))},
    )
    result = execute(db, skill, account="acc_anna_01")
    assert result.success
    assert result.outputs == {"owner": "Anna"}
    assert [(one.type, one.target, one.reason) for one in result.adaptations] == [
        ("node_skipped", "n2", "its condition is false: n1.balance < limit")
    ]
    result = execute(db, skill, account="acc_ben_02")
    assert result.outputs == {"owner": "Ben", "closed": "Account closed."}
    assert not result.adapted


def test_checks_beside_tools_look_where_the_user_is(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without code there is no work folder: checks see the files that tools see."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.txt").write_text("x")
    result = execute(db, of(check("n1", 'exists("there.txt") and not exists("gone.txt")')))
    assert result.success, result.error
    assert not (tmp_path / "skillsmith-runs").exists()


def test_outputs_must_fit_their_schema(db: Database) -> None:
    """All nodes done is not enough: outputs of another shape, or missing ones, fail the execution."""
    skill = of(
        tool("n1", "get_account", account_id=Constant("acc_anna_01")),
        outputs={"type": "object", "properties": {"balance": {"type": "string"}}, "required": ["balance"]},
        output_bindings={"balance": FromNode("n1", ("balance",))},
    )
    assert "balance" in str(execute(db, skill).error)
    lost = replace(skill, output_bindings={"balance": FromNode("n1", ("nothing",))})
    assert "output 'balance'" in str(execute(db, lost).error)


def test_reads_do_not_overlap_in_a_module_that_is_not_thread_safe(db: Database) -> None:
    """Independent tool nodes are started together, but calls into one module take turns."""
    skill = of(*(tool(f"n{index}", "get_rates", currency=Constant(str(index))) for index in range(3)))
    assert execute(db, skill).success
    spans = sorted((began, ended) for _, began, ended in bank.SPANS)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(spans))


def test_a_call_that_does_not_return_ends_the_skill(db: Database) -> None:
    """A tool past its time limit cannot be stopped: nothing more is called, optional or not."""
    release = threading.Event()
    tools = PythonTools({"hang": lambda: release.wait(30), "close_account": bank.close_account}, label="slow")
    hanging = Node(id="n1", kind="tool", tool="hang", timeout_seconds=0.1, optional=True, retries=3)
    skill = of(hanging, tool("n2", "close_account", "n1", account_id=Constant("x")))
    result = SkillExecutor(db, tools=tools).execute_skill(skill, {})
    release.set()
    assert result.error == "n1: did not return within 0.1 s, its time limit"
    assert not bank.JOURNAL


@pytest.mark.parametrize("wild", [SystemExit("gone"), KeyboardInterrupt(), BaseException("odd")])
def test_whatever_a_tool_raises_is_its_nodes_failure(db: Database, wild: BaseException) -> None:
    """Even what ends programs only fails the node that raised it."""

    def run_wild() -> None:
        raise wild

    for seconds in (None, 5.0):
        node = Node(id="n1", kind="tool", tool="wild", timeout_seconds=seconds)
        result = SkillExecutor(db, tools=PythonTools({"wild": run_wild}, label="wild")).execute_skill(
            of(node), {}
        )
        assert type(wild).__name__ in str(result.error)


def test_a_person_is_asked(db: Database, runs: RunRepository) -> None:
    """Approval nodes put their question with its values; a no stops the skill."""
    skill = of(
        tool("n1", "get_account", account_id=Constant("acc_anna_01")),
        Node(id="n2", kind="approval", template=Template(text="Close the account?"), after=("n1",)),
        tool("n3", "close_account", "n2", account_id=Constant("acc_anna_01")),
    )
    asked: list[tuple[str, str]] = []
    for answer in (False, True):

        def approve(question: str, node: str, answer: bool = answer) -> bool:
            asked.append((question, node))
            return answer

        result = executor(db).execute_skill(skill, {}, callbacks=ExecutionCallbacks(approve=approve))
        assert result.success is answer
        assert (("close", "acc_anna_01") in bank.JOURNAL) is answer
    assert asked == [("Close the account?", "n2")] * 2


def test_untrusted_and_retired_skills_do_not_run(db: Database) -> None:
    """Quarantined skills are refused with exit code 5, also inside others; a dry run still shows them."""
    skills = SkillRepository(db)
    foreign = skills.add(replace(PAY, name="foreign", state="quarantined"))
    given = {name: FromInput(name) for name in ("amount", "source", "target", "last_four")}
    outer = of(Node(id="n1", kind="skill", tool="foreign@1", arguments=given), variables=PAY.variables)
    for skill in (foreign, outer):
        with pytest.raises(UntrustedError, match="foreign@1"):
            execute(db, skill, TASK, amount=75, source="acc_anna_01", target="acc_ben_02", last_four="2222")
        plan = executor(db).plan(skill, {"task": TASK})
        assert "skillsmith trust foreign@1" in plan["problems"][0]
    with pytest.raises(RefusedError, match="retired"):
        execute(db, replace(PAY, state="retired"), TASK)
    assert not bank.JOURNAL


def test_sub_skills_run_in_place(db: Database, runs: RunRepository) -> None:
    """A skill node binds a sub-skill's inputs and gives its outputs; its nodes are part of this execution."""
    SkillRepository(db).add(PAY)
    outer = of(
        tool("n1", "get_account", account_id=Constant("acc_anna_01")),
        Node(id="n2", kind="skill", tool="pay", arguments={
            "amount": Constant(5), "source": FromNode("n1", ("id",)), "target": FromInput("to"),
            "last_four": Constant("1111"),
        }),
        tool("n3", "flaky", "n2", message=FromNode("n2", ("reference",))),
        variables=(Variable(name="to", type="id", default="acc_ben_02"),),
        output_bindings={"paid": ObjectOf((("rest", FromNode("n2", ("rest",))),))},
    )  # fmt: skip
    result = execute(db, outer)
    assert result.success, result.error
    assert result.outputs == {"paid": {"rest": 495}}
    assert bank.JOURNAL[-1] == ("try", "T-1")
    assert set(statuses(result)) == {"n1", "n2/", "n2/n1", "n2/n2", "n2/n3", "n2", "n3"}
    assert [run.id for run in runs.list()] == [result.run_id]


def test_an_optional_sub_skill_may_fail_whole(db: Database) -> None:
    """A failure inside an optional sub-skill ends that sub-skill, and the rest goes on."""
    SkillRepository(db).add(replace(of(
        tool("n1", "ask_credit", amount=Constant(1)),
        tool("n2", "close_account", "n1", account_id=Constant("inner")),
    ), name="inner"))  # fmt: skip
    outer = of(
        Node(id="n1", kind="skill", tool="inner", optional=True),
        tool("n2", "close_account", "n1", account_id=Constant("outer")),
    )
    result = execute(db, outer)
    assert result.success
    assert statuses(result) == {
        "n1/": "done",
        "n1/n1": "failed",
        "n1/n2": "skipped",
        "n1": "failed",
        "n2": "done",
    }
    assert bank.JOURNAL == [("credit", 1), ("close", "outer")]
    skipped = replace(outer, nodes=(replace(outer.nodes[0], condition="1 > 2"), outer.nodes[1]))
    result = execute(db, skipped)
    assert statuses(result) == {
        "n1/": "skipped",
        "n1/n1": "skipped",
        "n1/n2": "skipped",
        "n1": "skipped",
        "n2": "done",
    }
    assert [one.target for one in result.adaptations] == ["n1/"]


def test_a_skill_that_contains_itself_is_refused(db: Database) -> None:
    """Sub-skills that go round in a circle, or lack an input, are refused before anything runs."""
    skills = SkillRepository(db)
    skills.add(replace(of(tool("n1", "close_account", account_id=Constant("x"))), name="left"))
    skills.add(replace(of(Node(id="n1", kind="skill", tool="left")), name="right"))
    skills.add(replace(of(Node(id="n1", kind="skill", tool="right")), name="left"))
    with pytest.raises(ExecutionError, match="contains itself: right → left → right"):
        execute(db, skills.get("right"))
    skills.add(PAY)
    with pytest.raises(ExecutionError, match="amount"):
        execute(db, of(Node(id="n1", kind="skill", tool="pay")))
    assert not bank.JOURNAL


def test_the_task_may_change_what_has_a_default(db: Database) -> None:
    """A default the task overrides is a parameter change; without adaptation the default stays."""
    skill = of(
        tool("n1", "flaky", message=FromInput("output_format")),
        variables=(Variable(name="output_format", type="string", default="png"),),
    )
    result = execute(db, skill, "Plot it as PDF")
    assert bank.JOURNAL == [("try", "pdf")]
    (change,) = result.adaptations
    assert (change.type, change.target, change.before, change.after) == (
        "parameter_change",
        "output_format",
        "png",
        "pdf",
    )
    assert "as PDF" in change.reason
    result = executor(db).execute_skill(skill, {"task": "Plot it as PDF"}, allow_adaptation=False)
    assert bank.JOURNAL[-1] == ("try", "png")
    assert not result.adapted


def test_a_dry_run_shows_the_calls_and_runs_nothing(db: Database, runs: RunRepository) -> None:
    """Arguments that are known are shown as values, the others as where they will come from."""
    result = executor(db).execute_skill(PAY, {"task": "Pay 75 from acc_anna_01"}, dry_run=True)
    assert result.plan is not None
    assert result.success is None
    assert result.plan["missing"] == ["target", "last_four"]
    first, second, _ = result.plan["nodes"]
    assert first["arguments"] == {"account_id": {"value": "acc_anna_01"}}
    assert second["arguments"]["source"] == {"from": "n1 → id"}
    assert second["arguments"]["amount"] == {"value": 75}
    assert not bank.JOURNAL
    assert not list(runs.list())


def test_progress_is_told(db: Database) -> None:
    """The caller hears of the start, each node, adaptations and the end."""
    told: list[str] = []
    callbacks = ExecutionCallbacks(on_event=lambda name, data: told.append(name))
    executor(db).execute_skill(PAY, {"task": TASK}, callbacks=callbacks)
    assert told[0] == "SKILL_EXECUTION_START"
    assert told.count("NODE_STARTED") == told.count("NODE_ENDED") == 3
    assert told[-1] == "SKILL_EXECUTION_COMPLETE"


def test_a_dry_run_shows_what_sub_skills_and_agents_get(db: Database) -> None:
    """Values that a sub-skill is given are filled in as far as they are known; agents' knowledge is shown."""
    SkillRepository(db).add(PAY)
    outer = of(
        tool("n1", "get_account", account_id=Constant("acc_anna_01")),
        Node(id="n2", kind="skill", tool="pay", arguments={
            "amount": Constant(5), "source": FromNode("n1", ("id",)), "target": FromInput("to"),
            "last_four": Constant("1111"),
        }),
        Node(id="n3", kind="agent", agent="clerk", template=Template(text="thank them"), effect="read"),
        variables=(Variable(name="to", type="id", default="acc_ben_02"),),
    )  # fmt: skip
    nodes = {node["id"]: node for node in executor(db).plan(outer, {})["nodes"]}
    assert nodes["n2/n2"]["arguments"]["amount"] == {"value": 5}
    assert nodes["n2/n2"]["arguments"]["target"] == {"value": "acc_ben_02"}
    assert "from" in nodes["n2/n1"]["arguments"]["account_id"]
    assert nodes["n3"]["prompt"] == "thank them"
    assert nodes["n3"]["tools"] == ["get_account", "get_rates"]
    assert "one step of the skill 'made'" in nodes["n3"]["knowledge"]
    assert not bank.JOURNAL


SHOUT = Skill(
    name="s", task_pattern="Shout {word} to the crowd in {place}.",
    variables=(
        Variable(name="word", type="string", default="hello"),
        Variable(name="place", type="string", default="Turin"),
    ),
    nodes=(tool("n1", "flaky", message=FromInput("place")),),
)  # fmt: skip


def test_recorded_values_are_not_used_against_the_words(db: Database, runs: RunRepository) -> None:
    """Where the task says something else that cannot be bound, nothing runs and the input is named."""
    with pytest.raises(UsageError, match=r"place was Turin.*“Bonn”.*--set place=Bonn") as caught:
        execute(db, SHOUT, "Let the Bonn crowd hear it")
    assert caught.value.exit_code == ExitCode.USAGE
    assert not list(runs.list())
    plan = executor(db).plan(SHOUT, {"task": "Let the Bonn crowd hear it"})
    assert plan["missing"] == ["place"]
    assert execute(db, SHOUT, "Let the Bonn crowd hear it", place="Bonn").success
    assert bank.JOURNAL == [("try", "Bonn")]
    assert executor(db).execute_skill(SHOUT, {"task": "To Bonn"}, allow_adaptation=False).success


def test_recorded_values_that_the_task_does_not_speak_of_are_told(db: Database) -> None:
    """What was used although nobody said it stands in the result, and in the plan."""
    result = execute(db, SHOUT, "Make noise")
    assert result.defaults_used == {"word": "hello", "place": "Turin"}
    assert not execute(db, SHOUT, word="ho").defaults_used
    plan = executor(db).plan(SHOUT, {"task": "Make noise"})
    assert {one["evidence"] for one in plan["inputs"]} == {"the task does not speak of it"}
