"""Mending: what an agent may change about a failing node, what is recorded of it, and where it ends."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import bank
import pytest
from scripted_agents import Answer, Scripted

from skillsmith.db import Database
from skillsmith.library.executor import (
    ExecutionCallbacks,
    ExecutionInterruptedError,
    ExecutionResult,
    SkillExecutor,
)
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.library.tools.callables import module_tools
from skillsmith.models import (
    Constant,
    FileUse,
    FromInput,
    FromNode,
    Node,
    Skill,
    Slot,
    Template,
    Variable,
)
from skillsmith.models.protocols import AgentError, AgentTask, BudgetError
from skillsmith.runs import RunRepository

BROKEN = "rows = open({path}).read().split()\nprint(total(map(int, rows)))\nname = {path}\n"
MENDED = "rows = open({path}).read().split()\nprint(sum(int(row) for row in rows))\nname = {path}\n"


@pytest.fixture(autouse=True)
def _fresh_bank() -> None:
    bank.reset()


def code(key: str, text: str, *after: str, **more: Any) -> Node:
    """Return a node of Python."""
    names = more.pop("slots", ())
    template = Template(text=text, slots=tuple(Slot(variable=name, encoding="python") for name in names))
    return Node(id=key, kind="code", title=f"do {key}", template=template, after=after, **more)


def tool(key: str, name: str, *after: str, effect: Any = "write", **arguments: Any) -> Node:
    """Return a node that calls the bank."""
    return Node(id=key, kind="tool", tool=name, arguments=arguments, after=after, effect=effect)


def of(*nodes: Node, **more: Any) -> Skill:
    """Return a skill of these nodes."""
    return Skill(name="made", state="proven", nodes=nodes, body="Numbers stand one a line.", **more)


def answer(action: str, reason: str = "because", **more: Any) -> Answer:
    """Return what the mender says."""
    return {"action": action, "reason": reason, **more}


def run(
    db: Database, tmp_path: Path, skill: Skill, *answers: Answer, **more: Any
) -> tuple[ExecutionResult, Scripted]:
    """Execute a skill with a mender that gives these answers."""
    agents = Scripted(*answers)
    callbacks, adapt = more.pop("callbacks", None), more.pop("adapt", True)
    executor = SkillExecutor(
        db,
        agents=agents,
        tools=module_tools("bank"),
        work_dir=tmp_path / "work",
        backoff_seconds=0.01,
        **more,
    )
    return executor.execute_skill(skill, {"task": "Sum up"}, adapt, callbacks=callbacks), agents


def kinds(result: ExecutionResult) -> list[str]:
    """Return what kinds of adaptations there were."""
    return [one.type for one in result.adaptations]


def summing(text: str = BROKEN) -> Skill:
    """Return a skill that sums a file's numbers."""
    return of(
        code("n1", text, slots=("path",) * text.count("{path}")),
        variables=(Variable(name="path", type="path", default="numbers.txt"),),
        output_bindings={"sum": FromNode("n1")},
    )


def test_mended_code_runs_and_is_recorded_as_a_change_of_the_template(db: Database, tmp_path: Path) -> None:
    """The diff speaks of the template, so it is the same whatever the values; error and exit codes too."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "numbers.txt").write_text("1\n2\n")
    mended = MENDED.replace("{path}", "'numbers.txt'")
    result, agents = run(db, tmp_path, summing(), answer("code", "there is no total()", code=mended))
    assert result.success, result.error
    assert result.outputs == {"sum": 3}
    (change,) = result.adaptations
    assert (change.type, change.target, change.reason) == ("code_modification", "n1", "there is no total()")
    assert "+print(sum(int(row) for row in rows))" in change.after
    assert "numbers.txt" not in change.after
    assert change.evidence["template"] == MENDED
    assert (change.evidence["exit_code_before"], change.evidence["exit_code_after"]) == (1, 0)
    assert "NameError" in change.evidence["error"]
    (task,) = agents.tasks
    for part in ("NameError", "open('numbers.txt')", "open({path})", "Sum up", "do n1", "numbers.txt"):
        assert part in task.prompt
    assert "Numbers stand one a line." in task.knowledge
    assert (result.model_calls, result.cost_usd) == (1, 0.001)
    assert ExecutionLedger(db).get(result.execution_id or "").adaptations == result.adaptations


def test_code_that_cannot_be_written_is_mended(db: Database, tmp_path: Path) -> None:
    """A template that is no valid Python with its values is shown with them, and mended like any other."""
    result, agents = run(db, tmp_path, summing("print(({path})"), answer("code", code="print(5)"))
    assert result.outputs == {"sum": 5}, result.error
    assert "print(('numbers.txt')" in agents.tasks[0].prompt
    assert result.adaptations[0].evidence["exit_code_before"] is None


def test_the_run_shows_the_failure_the_question_and_the_mended_code(db: Database, tmp_path: Path) -> None:
    """Both tries stand in the run, with what was asked and answered between them."""
    result, _ = run(db, tmp_path, of(code("n1", "oops")), answer("code", code="print(1)"))
    events = [event for event in RunRepository(db).events(result.run_id or "") if event.kind != "skill"]
    assert [event.kind for event in events[2:]] == [
        "code", "code_result", "error", "message", "llm_call", "message", "code", "code_result",
    ]  # fmt: skip
    assert (events[5].recipient, events[7].agent) == ("mender", "mender")
    assert events[8].code is not None
    assert events[8].code.text == "print(1)"


def test_arguments_of_a_call_are_mended(db: Database, tmp_path: Path) -> None:
    """Another argument is a parameter change; the tool's result flows on as ever."""
    skill = of(
        tool("n1", "get_account", effect="read", account_id=Constant("anna")),
        tool("n2", "flaky", "n1", message=FromNode("n1", ("owner",))),
    )
    result, agents = run(
        db,
        tmp_path,
        skill,
        answer("arguments", "ids have another form", arguments={"account_id": "acc_anna_01"}),
    )
    assert result.success, result.error
    assert bank.JOURNAL == [("try", "Anna")]
    (change,) = result.adaptations
    assert (change.type, change.target, change.before, change.after) == (
        "parameter_change", "n1.account_id", "anna", "acc_anna_01",
    )  # fmt: skip
    assert change.evidence["error"] == "Error: account not found"
    assert '"account_id":{"type":"string"}' in agents.tasks[0].prompt


def test_another_tool_replaces_the_node(db: Database, tmp_path: Path) -> None:
    """A call of another tool is recorded as the node replaced."""
    result, _ = run(
        db, tmp_path, of(tool("n1", "ask_credit", amount=Constant(5))),
        answer("tool", tool="flaky", arguments={"message": "please"}),
    )  # fmt: skip
    assert result.success, result.error
    (change,) = result.adaptations
    assert (change.type, change.before) == ("node_replaced", "tool ask_credit")
    assert change.after == {"kind": "tool", "what": "flaky", "with": {"message": "please"}}


def test_code_in_another_language_replaces_the_node(db: Database, tmp_path: Path) -> None:
    """Shell in place of Python is a replacement, too."""
    result, _ = run(db, tmp_path, of(code("n1", "oops")), answer("code", code="echo 4", language="sh"))
    assert kinds(result) == ["node_replaced"]


def test_a_step_is_added_before_the_node(db: Database, tmp_path: Path) -> None:
    """An added step runs first, then the node as it is; its file is an artifact, it is recorded."""
    result, _ = run(
        db, tmp_path, summing(MENDED.replace("{path}", "'numbers.txt'")),
        answer("add_before", "the file was missing", code="open('numbers.txt', 'w').write('4 5')"),
    )  # fmt: skip
    assert result.outputs == {"sum": 9}, result.error
    (change,) = result.adaptations
    assert (change.type, change.target) == ("node_added", "n1")
    assert change.after["with"] == "open('numbers.txt', 'w').write('4 5')"
    assert result.artifacts == ("numbers.txt",)


def test_a_node_that_nothing_misses_may_be_left_out(db: Database, tmp_path: Path) -> None:
    """Leaving out is offered only where no node, no output and no change depends on it."""
    skill = of(code("n1", "oops", effect="read"), code("n2", "print(2)", "n1"))
    result, _ = run(db, tmp_path, skill, answer("skip", "not needed for this task"))
    assert result.success, result.error
    assert [(one.type, one.target, one.reason) for one in result.adaptations] == [
        ("node_skipped", "n1", "not needed for this task")
    ]
    needed, agents = run(
        db, tmp_path, of(code("n1", "oops", effect="read"), output_bindings={"x": FromNode("n1")}),
        answer("skip"), answer("give_up", "no idea"),
    )  # fmt: skip
    assert not needed.success
    assert "it cannot be mended: no idea" in str(needed.error)
    assert "skip" not in agents.tasks[0].output_schema["properties"]["action"]["enum"]


def test_a_mended_node_must_still_do_what_it_promises(db: Database, tmp_path: Path) -> None:
    """Declared files, the schema of the result and what later nodes read are insisted on."""
    skill = of(
        code(
            "n1", "oops", writes=(FileUse(path=Constant("out.txt")),),
            output_schema={"type": "object", "required": ["total"]},
        ),
        tool("n2", "flaky", "n1", message=FromNode("n1", ("name",))),
    )  # fmt: skip
    good = "open('out.txt', 'w').write('x'); print('{\"total\": 1, \"name\": \"Ann\"}')"
    result, agents = run(
        db, tmp_path, skill,
        answer("code", code="print('{}')"),
        answer("code", code="open('out.txt', 'w').write('x'); print('{}')"),
        answer("code", code="open('out.txt', 'w').write('x'); print('{\"total\": 1}')"),
        answer("code", code=good),
        mendings=4,
    )  # fmt: skip
    assert result.success, result.error
    prompts = [task.prompt for task in agents.tasks]
    assert "it did not write out.txt" in prompts[1]
    assert "'total' is a required property" in prompts[2]
    assert "n2.message cannot be read from the mended result" in prompts[3]
    assert result.adaptations[0].evidence["rounds"] == 4
    assert bank.JOURNAL == [("try", "Ann")]


def test_mending_ends_after_its_turns(db: Database, tmp_path: Path) -> None:
    """The agent is asked as often as is set; what failed once is not run again; the first error is told."""
    wrong = answer("code", code="raise ValueError('still')")
    result, agents = run(db, tmp_path, of(code("n1", "raise KeyError('first')")), wrong, wrong)
    assert not result.success
    assert len(agents.tasks) == 2
    assert "ValueError: still" in str(result.error)
    assert "that is what has failed already" in str(result.error)
    assert result.adaptations == ()


@pytest.mark.parametrize(
    "useless",
    [{"action": "dance"}, {"action": "code"}, {"action": "code", "code": " "}, "no JSON at all",
     {"action": "code", "code": "x", "language": "cobol"}],
)  # fmt: skip
def test_useless_answers_end_in_a_failure_that_says_so(db: Database, tmp_path: Path, useless: Answer) -> None:
    """Nonsense changes nothing: the node fails with its own error and why mending was no use."""
    result, agents = run(db, tmp_path, of(code("n1", "oops")), useless, useless)
    assert not result.success
    assert "NameError" in str(result.error)
    assert "the answer could not be used" in str(result.error)
    assert len(agents.tasks) == 2


def test_a_spent_budget_ends_mending_at_once(db: Database, tmp_path: Path) -> None:
    """An agent that cannot be asked leaves the node's failure, with the reason."""
    result, agents = run(db, tmp_path, of(code("n1", "oops")), BudgetError("$1 is spent"))
    assert "mending it failed: $1 is spent" in str(result.error)
    assert len(agents.tasks) == 1
    gone, _ = run(db, tmp_path, of(code("n1", "oops")), AgentError("no connection"))
    assert "no connection" in str(gone.error)


@pytest.mark.parametrize("more", [{"adapt": False}, {"mendings": 0}])
def test_without_leave_nothing_is_mended(db: Database, tmp_path: Path, more: dict[str, Any]) -> None:
    """Neither when adaptation is not allowed, nor when the number of turns is zero."""
    result, agents = run(db, tmp_path, of(code("n1", "oops")), **more)
    assert not result.success
    assert not agents.tasks


def test_retries_come_before_mending(db: Database, tmp_path: Path) -> None:
    """A node is tried as often as the skill says before anybody is asked."""
    bank.FLAKY["left"] = 2
    node = replace(tool("n1", "flaky", message=Constant("hi")), retries=2)
    result, agents = run(db, tmp_path, of(node))
    assert result.success
    assert not agents.tasks
    assert [(one.type, one.after, one.evidence) for one in result.adaptations] == [
        ("retry", 3, {"error": "ConnectionError: the line is dead"})
    ]


def test_a_node_that_only_reads_cannot_be_mended_into_one_that_writes(db: Database, tmp_path: Path) -> None:
    """The skill's own limits hold for its mender."""
    skill = of(tool("n1", "get_account", effect="read", account_id=Constant("x")))
    close = answer("tool", tool="close_account", arguments={"account_id": "x"})
    result, _ = run(db, tmp_path, skill, close, close)
    assert "this step only reads" in str(result.error)
    assert not bank.JOURNAL


@pytest.mark.parametrize(("says", "journal"), [(True, [("close", "acc_ben_02")]), (False, [])])
def test_a_mended_change_is_asked_about(db: Database, tmp_path: Path, says: bool, journal: list[Any]) -> None:
    """Where a person can be asked, a mended call that changes something needs their yes."""
    asked: list[str] = []

    def approve(question: str, node: str) -> bool:
        asked.append(question)
        return says

    skill = of(tool("n1", "ask_credit", amount=Constant(5)))
    close = answer("tool", "wrong tool", tool="close_account", arguments={"account_id": "acc_ben_02"})
    result, _ = run(db, tmp_path, skill, close, callbacks=ExecutionCallbacks(approve=approve))
    assert asked == ["n1 is to be mended (wrong tool). Call close_account(account_id='acc_ben_02')?"]
    assert [entry for entry in bank.JOURNAL if entry[0] == "close"] == journal
    assert result.success is says


def test_what_cannot_even_be_resolved_is_mended(db: Database, tmp_path: Path) -> None:
    """A result that came back in another form does not stop the agent from finding the value in it."""
    skill = of(
        tool("n1", "get_account", effect="read", account_id=FromInput("account")),
        tool("n2", "flaky", "n1", message=FromNode("n1", ("name",))),
        variables=(Variable(name="account", type="id", default="acc_anna_01"),),
    )
    result, agents = run(db, tmp_path, skill, answer("arguments", arguments={"message": "Anna"}))
    assert result.success, result.error
    assert "nothing at name" in agents.tasks[0].prompt
    assert kinds(result) == ["parameter_change"]


def test_what_was_mended_is_known_after_resuming(db: Database, tmp_path: Path) -> None:
    """Adaptations of finished nodes outlive the execution that made them."""
    bank.FLAKY["left"] = 1
    skill = SkillRepository(db).add(of(code("n1", "oops"), tool("n2", "flaky", "n1", message=Constant("m"))))
    first, _ = run(db, tmp_path, skill, answer("code", code="print(1)"), answer("give_up"))
    assert not first.success
    executor = SkillExecutor(db, tools=module_tools("bank"))
    again = executor.execute_skill(skill, {}, resume=first.execution_id)
    assert again.success, again.error
    assert kinds(again) == ["code_modification"]
    assert again.model_calls == 2


def test_nodes_side_by_side_are_mended_on_their_own(db: Database, tmp_path: Path) -> None:
    """Several failing nodes are mended at once, each with its own answer."""

    def mend(task: AgentTask) -> Answer:
        key = task.prompt.split("The step ")[1].split(" ")[0]
        return answer("code", key, code=f"print('{key}')")

    skill = of(*(code(f"n{n}", f"oops{n}") for n in range(4)), output_bindings={"x": FromNode("n2")})
    executor = SkillExecutor(db, agents=Scripted(by=mend), work_dir=tmp_path)
    result = executor.execute_skill(skill, {})
    assert result.success, result.error
    assert result.outputs == {"x": "n2\n"}
    assert sorted((one.target, one.reason) for one in result.adaptations) == [
        (f"n{n}",) * 2 for n in range(4)
    ]


def test_after_ctrl_c_nothing_that_was_proposed_is_begun(db: Database, tmp_path: Path) -> None:
    """An answer that comes after the interrupt is written down, and changes nothing."""

    def interrupt(task: AgentTask) -> Answer:
        os.kill(os.getpid(), signal.SIGINT)
        assert task.cancelled is not None
        assert task.cancelled.wait(5)
        return answer("tool", tool="close_account", arguments={"account_id": "x"})

    skill = SkillRepository(db).add(of(tool("n1", "ask_credit", amount=Constant(5))))
    executor = SkillExecutor(db, agents=Scripted(by=interrupt), tools=module_tools("bank"))
    with pytest.raises(ExecutionInterruptedError) as caught:
        executor.execute_skill(skill, {})
    assert bank.JOURNAL == [("credit", 5)]
    execution = ExecutionLedger(db).get(caught.value.execution_id)
    assert RunRepository(db).get(execution.run_id or "").status == "interrupted"


def test_a_failing_optional_node_is_mended_too(db: Database, tmp_path: Path) -> None:
    """Optional means that its failure does not count, not that nobody tries."""
    result, agents = run(
        db, tmp_path, of(replace(code("n1", "oops"), optional=True)), answer("give_up", "hopeless")
    )
    assert result.success
    assert len(agents.tasks) == 1
    assert result.adaptations == ()
