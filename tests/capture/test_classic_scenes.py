"""Every interaction of a Classic run is recorded once, and the run is what it is without a capture."""

from __future__ import annotations

import pytest

pytest.importorskip("autogen", reason="AG2 Classic is not installed")

import classic_scenes as scenes
from classic_play import MODEL, asked, both, check, kinds, steps

from skillsmith.library.trace.calls import calls_of

CHECKER, SELECTOR, EXECUTOR = "checking_agent", "speaker_selection_agent", "_Group_Tool_Executor"


def test_code_in_an_executor() -> None:
    """Code, its result and the reasoning that led to it are recorded, in the step of who wrote it."""
    events = check(
        both(scenes.s1), "s1",
        turns=["user", "coder", "user", "coder"],
        messages=[
            ("user", "user", "coder", "compute"), ("system", "coder", "coder", "coder"),
            ("assistant", "coder", "user", "Here:\n```python\nprint(6*7)\n```"),
            ("assistant", "user", "coder", "exitcode: 0 (execution succeeded)\nCode output: 42\n"),
            ("assistant", "coder", "user", "TERMINATE"),
        ],
        reasoning=["I should compute 6*7", "done"],
        code=[("user", "python", "print(6*7)", 0, "42\n")],
        llm_calls=asked("coder", 2),
        notes=["termination"],
    )  # fmt: skip
    assert steps(events, "code") == [2]
    assert steps(events, "agent_start") == [1, 2, 2, 3]
    (call, _) = [event for event in events if event.kind == "llm_call"]
    assert call.cost_usd == pytest.approx((11 * 0.001 + 7 * 0.002) / 1000)
    assert call.data is not None
    assert (call.data["provider"], call.data["prompt_messages"]) == ("openai", 2)


def test_code_without_an_executor() -> None:
    """Each block has its own result, also the one that AG2 cannot run."""
    code = "```python\nprint(6*7)\n```\n```python\nprint(43)\n```\n```cobol\nSTOP RUN\n```"
    output = "\n42\n\n43\n\nunknown language cobol"
    check(
        both(scenes.s1_legacy), "s1_legacy",
        turns=["user", "coder", "user", "coder"],
        messages=[
            ("user", "user", "coder", "compute"), ("system", "coder", "coder", "coder"),
            ("assistant", "coder", "user", code),
            ("assistant", "user", "coder", f"exitcode: 1 (execution failed)\nCode output: {output}"),
            ("assistant", "coder", "user", "TERMINATE"),
        ],
        code=[
            ("user", "python", "print(6*7)", 0, "42\n"), ("user", "python", "print(43)", 0, "43\n"),
            ("user", "cobol", "STOP RUN", 1, "\nunknown language cobol"),
        ],
        llm_calls=asked("coder", 2),
        notes=["termination"],
    )  # fmt: skip


def test_code_that_fails() -> None:
    """The block that failed is told from the one that then never ran."""
    played = both(scenes.s6_code)
    check(
        played, "s6_code",
        turns=["user", "coder", "user", "coder"],
        messages=[
            ("user", "user", "coder", "compute"), ("system", "coder", "coder", "coder"),
            ("assistant", "coder", "user", "```python\nraise SystemExit(3)\n```\n```sh\necho never\n```"),
            ("assistant", "user", "coder", "exitcode: 3 (execution failed)\nCode output: "),
            ("assistant", "coder", "user", "TERMINATE"),
        ],
        code=[("user", "python", "raise SystemExit(3)", 3, "")],
        llm_calls=asked("coder", 2),
        notes=["termination"],
    )  # fmt: skip


def test_group_with_a_selecting_model() -> None:
    """What the selecting model says is the reason of a transition, in the step of who spoke before."""
    played = both(scenes.s2)
    said = {event.content for event in played.events if event.agent == CHECKER and event.kind == "message"}
    ask, again = sorted(said, key=lambda text: str(text).startswith("You didn't"))
    system = next(e.content for e in played.events if e.role == "system" and e.agent == SELECTOR)
    events = check(
        played, "s2",
        turns=["A", "B", "C", "A"],
        messages=[
            ("user", "A", "chat_manager", "start"), ("system", SELECTOR, SELECTOR, system),
            *[("assistant", CHECKER, SELECTOR, ask)] * 3, ("assistant", CHECKER, SELECTOR, again),
            ("assistant", SELECTOR, CHECKER, "B"),
            ("assistant", SELECTOR, CHECKER, "I think maybe nobody"),
            ("assistant", SELECTOR, CHECKER, "C"), ("assistant", SELECTOR, CHECKER, "A"),
            *[("system", name, name, name) for name in "BCA"],
            ("assistant", "B", "chat_manager", "hi from B"), ("assistant", "C", "chat_manager", "hi from C"),
            ("assistant", "A", "chat_manager", "TERMINATE"),
        ],
        reasoning=["selector thinks"] * 4 + ["agent thinks"] * 3,
        transitions=[("A", "B", "B"), ("B", "C", "C"), ("C", "A", "A")],
        llm_calls=asked(SELECTOR, 4) + asked("B") + asked("C") + asked("A"),
        notes=["termination"],
    )  # fmt: skip
    assert steps(events, "agent_start") == [1, 2, 3, 4]
    assert steps(events, "transition") == [1, 2, 3]
    assert {
        e.data["selects_speaker"] for e in events if e.agent == SELECTOR and e.role == "assistant" and e.data
    }


def test_group_asynchronously() -> None:
    """An asynchronous group is recorded as a synchronous one is."""
    played = both(scenes.s2_async)
    texts = {e.role: e.content for e in played.events if e.agent in (CHECKER, SELECTOR) and e.content != "B"}
    events = check(
        played, "s2_async",
        turns=["A", "B", "B"],
        messages=[
            ("user", "A", "chat_manager", "start"), ("system", SELECTOR, SELECTOR, texts["system"]),
            *[("assistant", CHECKER, SELECTOR, texts["assistant"])] * 2,
            *[("assistant", SELECTOR, CHECKER, "B")] * 2,
            ("system", "B", "B", "B"), *[("assistant", "B", "chat_manager", "hi from B")] * 2,
        ],
        transitions=[("A", "B", "B"), ("B", "B", "B")],
        llm_calls=asked(SELECTOR, 2) + asked("B", 2),
        notes=["termination"],
    )  # fmt: skip
    assert steps(events, "agent_start") == [1, 2, 3]


@pytest.mark.parametrize("name", ["s3", "s3_async", "s3_run"])
def test_pattern_with_handoffs(name: str) -> None:
    """Handoffs have their reasons and context variables are seen when they change, in every way to run."""
    handoff = "transfer_to_reviewer_1"
    events = check(
        both(getattr(scenes, name)), name,
        turns=["customer", "planner", EXECUTOR, "writer", EXECUTOR, "reviewer"],
        messages=[
            ("user", "customer", "chat_manager", "write a play"),
            *[("system", who, who, who) for who in ("planner", "writer", "reviewer")],
            ("assistant", "planner", "chat_manager", None), ("assistant", "writer", "chat_manager", None),
            ("assistant", "reviewer", "chat_manager", "looks good"),
        ],
        reasoning=["plan first", "handoff!"],
        tool_calls=[("planner", "set_plan", '{"plan": "3 acts"}'), ("writer", handoff, "{}")],
        tool_results=[
            (EXECUTOR, "set_plan", "plan=3 acts", False), (EXECUTOR, handoff, "Transfer to", False),
        ],
        transitions=[
            ("customer", "planner", "the pattern's initial agent"),
            ("planner", EXECUTOR, "tool calls: set_plan"),
            (EXECUTOR, "writer", "the tool's result names the next agent: writer"),
            ("writer", EXECUTOR, f"tool calls: {handoff}"),
            (EXECUTOR, "reviewer", "the model chose the handoff: reviewer"),
            ("reviewer", None, "after work: Terminate"),
        ],
        contexts=[("customer", {"plan": None}), (EXECUTOR, {"plan": "3 acts"})],
        llm_calls=[
            ("planner", MODEL, 13, 9), ("writer", MODEL, 13, 9), ("reviewer", MODEL, 11, 7),
        ],
        notes=["termination"],
    )  # fmt: skip
    assert steps(events, "agent_start") == [1, 2, 2, 3, 3, 4]
    assert kinds(events).index("tool_call") < kinds(events).index("tool_result")
    results = [event for event in events if event.kind == "tool_result" and event.tool]
    assert [event.tool and (event.tool.name, event.data) for event in results] == [
        ("set_plan", None), (handoff, {"routing": "AgentTarget"}),
    ]  # fmt: skip
    assert [(call.name, call.routes) for call in calls_of(events)] == [("set_plan", False), (handoff, True)]


@pytest.mark.parametrize("name", ["s4", "s4_async"])
def test_tools(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Tools are recorded with what they were given and gave, in the step of who asked for them."""
    events = check(
        both(getattr(scenes, name)), name,
        turns=["exec", "asst", "exec", "asst"],
        messages=[
            ("user", "exec", "asst", "go"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", "exec", "calling"), ("assistant", "asst", "exec", "TERMINATE"),
        ],
        reasoning=["use tools", "enough"],
        tool_calls=[("asst", "add", '{"a": 2, "b": 3}'), ("asst", "mul", '{"a": 2, "b": 4}')],
        tool_results=[("exec", "add", "5", False), ("exec", "mul", "{'r': 8}", False)],
        notes=["termination"],
        llm_calls=asked("asst", tokens=(13, 9)) + asked("asst"),
    )  # fmt: skip
    assert steps(events, "tool_result") == [2, 2]
    capsys.readouterr()  # AG2 prints what a thread of its own does


def test_tools_that_go_wrong() -> None:
    """A tool's own error keeps its type and traceback; the others keep what AG2 says of them."""
    events = check(
        both(scenes.s4_bad), "s4_bad",
        turns=["exec", "asst", "exec", "asst"],
        messages=[
            ("user", "exec", "asst", "go"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", "exec", None), ("assistant", "asst", "exec", "TERMINATE"),
        ],
        tool_calls=[
            ("asst", "boom", '{"x": 1}'), ("asst", "nope", "{}"), ("asst", "add", "{bad json"),
            ("asst", "add", '{"a": "zz", "b": 1}'),
        ],
        tool_results=[
            ("exec", "boom", "Error: kaput", True), ("exec", "nope", "Error: Function nope not found.", True),
            ("exec", "add", "Error: Expecting property name", True),
            ("exec", "add", "Error: 1 validation error for add", True),
        ],
        errors=[("exec", "ValueError"), ("exec", "ValidationError")],
        notes=["termination"],
        llm_calls=asked("asst", tokens=(13, 9)) + asked("asst"),
    )  # fmt: skip
    (first, *_) = [event for event in events if event.kind == "tool_result"]
    assert first.tool is not None
    assert first.tool.error == "ValueError: kaput"
    (error, _) = [event for event in events if event.kind == "error"]
    assert error.data is not None
    assert "in boom" in str(error.data["traceback"])


@pytest.mark.parametrize("name", ["s6_500", "s6_500_run"])
def test_model_error(name: str) -> None:
    """A model's error is recorded once with its call, and raised as without a capture."""
    played = both(getattr(scenes, name), raises="InternalServerError")
    check(
        played, name,
        turns=["u", "asst"],
        messages=[("user", "u", "asst", "go"), ("system", "asst", "asst", "asst")],
        llm_calls=[("asst", MODEL, None, None)],
        errors=[("asst", "InternalServerError")],
    )  # fmt: skip


def test_agent_with_an_executor_of_ag2s() -> None:
    """The executing agent that AG2 makes for ``run`` is recorded from its first message on."""
    check(
        both(scenes.s7_run_single), "s7_run_single",
        turns=["user", "asst", "user", "asst"],
        messages=[
            ("user", "user", "asst", "go"), ("system", "asst", "asst", "asst"),
            ("assistant", "asst", "user", None), ("assistant", "asst", "user", "TERMINATE"),
        ],
        reasoning=["use tools"],
        tool_calls=[("asst", "add", '{"a": 2, "b": 3}')],
        tool_results=[("user", "add", "5", False)],
        llm_calls=asked("asst", tokens=(13, 9)) + asked("asst"),
        notes=["termination"],
    )  # fmt: skip


def test_nested_chat() -> None:
    """A nested chat, with the model's summary of it, belongs to the step of the outer turn."""
    events = check(
        both(scenes.s8_nested), "s8_nested",
        turns=["u", "outer", "inner"],
        messages=[
            ("user", "u", "outer", "go"), ("assistant", "outer", "inner", "help me"),
            ("system", "inner", "inner", "inner"), ("assistant", "inner", "outer", "inner says 1"),
            ("assistant", "outer", "u", "help me says 2"),
        ],
        reasoning=["thought 1", "thought 2"],
        llm_calls=asked("inner") + asked("outer"),
        notes=["termination", "summary", "termination"],
    )  # fmt: skip
    assert {event.step for event in events} == {1, 2}
