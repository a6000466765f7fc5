"""Chats of one agent and of several: what each message becomes, and what the facts around them mean."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest

from skillsmith.capture.importers import read_path
from skillsmith.capture.importers.execution import execution_reply, fenced_blocks
from skillsmith.models import Event, Problem, RunRecord

LOGS = Path(__file__).parent / "fixtures" / "logs"


def _runs(path: Path, format: str | None = None) -> list[RunRecord]:  # noqa: A002  (as in read_path)
    return [item.value for item in read_path(path, format=format) if isinstance(item.value, RunRecord)]


def _kinds(events: tuple[Event, ...]) -> list[str]:
    return [event.kind for event in events]


def _roles(run: RunRecord) -> dict[str | None, int]:
    return dict(Counter(event.role for event in run.events if event.role))


def _write(folder: Path, value: object) -> Path:
    path = folder / "log.json"
    path.write_bytes(orjson.dumps(value))
    return path


def test_a_chat_becomes_messages_calls_and_results() -> None:
    """Each message is one event; calls follow their message, results know their tool, errors are seen."""
    (run,) = _runs(LOGS / "chat.json")
    assert _kinds(run.events) == [
        "message", "message", "message", "tool_call", "tool_call", "tool_result", "tool_result", "reasoning",
        "message", "message", "message",
    ]  # fmt: skip
    assert _roles(run) == {"system": 1, "user": 2, "assistant": 3, "tool": 2}
    good, bad = (event.tool for event in run.events if event.kind == "tool_call")
    assert good
    assert bad
    assert (good.name, good.call_id, good.parsed) == ("find_book", "call_1", {"title": "Dune"})
    assert (bad.arguments, bad.parsed) == ('{"card": "C-17"', None)
    found, failed = (event.tool for event in run.events if event.kind == "tool_result")
    assert found
    assert failed
    assert (found.name, found.result, found.error) == ("find_book", '{"book": "B-3"}', None)
    assert (failed.name, failed.error) == ("find_card", "Error: the arguments are not JSON")
    assert [event.content for event in run.events if event.kind == "reasoning"] == ["The branch is missing."]
    assert [event.step for event in run.events] == [1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2]
    assert [event.agent for event in run.events][-2:] == ["user", "assistant"]
    picture = run.events[-2].content
    assert picture == "The one on this picture.\n[image_url data:image/png;base64, 12 characters]"
    assert run.task == "Lend me 'Dune', please. My card is C-17."
    assert (run.outcome, run.native_id, run.cost_usd) == ("unknown", None, None)


def test_a_file_may_hold_many_conversations_or_one_message_a_line() -> None:
    """Both shapes of JSON lines are read, bad lines reported, verdicts and ids taken."""
    items = [item.value for item in read_path(LOGS / "chats.jsonl")]
    first, second = (value for value in items if isinstance(value, RunRecord))
    assert (first.native_id, _roles(first)) == ("conv-1", {"system": 1, "user": 1})
    assert (second.outcome, second.outcome_reason) == ("success", "success true")
    assert [(value.line, value.reason) for value in items if isinstance(value, Problem)] == [
        (4, "not valid JSON: unexpected end of data"),
        (5, "neither a message nor a conversation"),
    ]
    (run,) = _runs(LOGS / "messages.jsonl")
    assert _roles(run) == {"user": 1, "assistant": 1, "tool": 2}
    assert run.events[0].at == 1740823200.0


def test_tau_bench_runs_keep_reward_and_task() -> None:
    """The reward decides the outcome; the simulated customer's cost is not the run's."""
    won, lost = _runs(LOGS / "tau.json")
    assert (won.outcome, won.outcome_reason, won.native_id) == ("success", "reward 1.0", "task4-trial0")
    assert (lost.outcome, lost.native_id) == ("failure", "task4-trial1")
    assert won.task == "You want to borrow Dune."
    assert won.cost_usd is None
    assert won.metadata["user_cost"] == 0.002
    assert won.metadata["user_id"] == "mia"
    assert won.metadata["actions"] == [{"name": "lend", "kwargs": {"book": "B-3"}}]
    assert (won.metadata["task_id"], won.metadata["trial"], won.metadata["reward"]) == (4, 0, 1.0)


def test_blocks_of_the_anthropic_shape_are_taken_apart() -> None:
    """Thinking, tool uses and tool results inside content blocks become events of their own."""
    (run,) = _runs(LOGS / "blocks.json")
    assert _kinds(run.events) == ["message", "reasoning", "message", "tool_call", "tool_result", "message"]
    assert _roles(run) == {"user": 1, "assistant": 2, "tool": 1}
    assert {event.step for event in run.events} == {1}
    result = run.events[4].tool
    assert result
    assert (result.name, result.result) == ("clock", "10:15")


def test_code_in_a_plain_chat_counts_only_when_it_was_run() -> None:
    """A fenced block is code once an executor answered it; an example stays a message."""
    (run,) = _runs(LOGS / "executed.json")
    assert _kinds(run.events) == ["message", "message", "code", "message", "code_result", "message"]
    code, result = run.events[2].code, run.events[4].code
    assert code
    assert result
    assert (code.language, code.text) == ("python", "print(2 + 3)")
    assert (result.call_id, result.exit_code, result.output) == (code.call_id, 0, "5\n")
    assert {event.step for event in run.events} == {1}


def test_named_speakers_give_transitions_code_and_results() -> None:
    """An AG2 history: speakers by name, a transition at each change, blocks joined with their results."""
    (run,) = _runs(LOGS / "captain.json")
    assert (run.source, run.outcome, run.outcome_reason) == ("multi-agent", "failure", "is_correct false")
    assert (run.native_id, run.task) == ("q-1/ag2", "How many loans are overdue?")
    assert run.metadata["mistake_step"] == 1
    turns = [(event.agent, event.recipient) for event in run.events if event.kind == "transition"]
    assert turns == [
        ("Manager", "Clerk"), ("Clerk", "Terminal"), ("Terminal", "Clerk"), ("Clerk", "Terminal"),
        ("Terminal", "Clerk"),
    ]  # fmt: skip
    codes = [event.code for event in run.events if event.kind == "code" and event.code]
    assert [(code.language, code.text) for code in codes] == [
        ("sh", "pip install loans"), ("python", "print(4)"), ("python", "print(5)"),
    ]  # fmt: skip
    results = [event.code for event in run.events if event.kind == "code_result" and event.code]
    assert [(result.call_id, result.exit_code) for result in results] == [
        (codes[1].call_id, 1), (codes[2].call_id, 0),
    ]  # fmt: skip
    assert codes[0].call_id == codes[1].call_id


def test_speakers_in_the_role_give_agent_addressee_and_channel() -> None:
    """A Magentic-One history: agent and addressee are read out of the role, thoughts are marked."""
    (run,) = _runs(LOGS / "magentic.json")
    said = [(e.role, e.agent, e.recipient, e.data) for e in run.events if e.kind == "message"]
    assert said == [
        ("user", "human", None, None),
        ("assistant", "Orchestrator", None, {"channel": "thought"}),
        ("assistant", "Orchestrator", "WebSurfer", None),
        ("assistant", "WebSurfer", None, None),
        ("assistant", "Orchestrator", None, {"channel": "termination condition"}),
    ]
    assert "code" not in _kinds(run.events)
    assert (run.outcome, run.native_id) == ("success", "q-1/magentic-one")


def test_packed_tool_answers_are_unpacked() -> None:
    """AG2's one message with several tool answers becomes one result an answer."""
    (run,) = _runs(LOGS / "ag2_tools.json")
    results = [
        (e.agent, e.tool.name, e.tool.result) for e in run.events if e.kind == "tool_result" and e.tool
    ]
    assert results == [("_Group_Tool_Executor", "lend", "lent"), ("_Group_Tool_Executor", "note", "noted")]
    assert run.cost_usd == 0.25


def test_legacy_and_odd_messages_are_kept(tmp_path: Path) -> None:
    """Old function calls, developer prompts, unknown roles and things that are no messages all survive."""
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "error: no"},
        {"role": "critic", "content": {"score": 1}},
        "just text", 7,
        {"role": "assistant", "content": None, "refusal": "I will not."},
        {"role": "assistant", "tool_calls": [{"id": "x", "type": "custom", "custom": {"name": "g",
                                                                                      "input": "raw"}}, 5]},
    ]  # fmt: skip
    (run,) = _runs(_write(tmp_path, messages), "openai-chat")
    assert _kinds(run.events) == [
        "message", "message", "tool_call", "tool_result", "message", "raw", "raw", "message", "message",
        "tool_call",
    ]  # fmt: skip
    developer, critic, refusal = run.events[0], run.events[4], run.events[7]
    assert (developer.role, developer.data) == ("system", {"source_role": "developer"})
    assert (critic.content, critic.data) == ('{"score":1}', {"source_role": "critic"})
    assert refusal.content == "I will not."
    result, custom = run.events[3].tool, run.events[9].tool
    assert result
    assert custom
    assert (result.name, result.error) == ("f", "error: no")
    assert (custom.name, custom.arguments, custom.parsed) == ("g", "raw", None)


def test_files_without_messages_are_problems(tmp_path: Path) -> None:
    """An empty conversation and a document of another kind are told apart."""
    for value, reason in (
        ({"messages": []}, "a conversation without messages"),
        ({"a": 1}, "holds no list of messages"),
        ([{"messages": []}, 3], "a conversation without messages"),
    ):
        first, *_ = read_path(_write(tmp_path, value), format="openai-chat")
        assert isinstance(first.value, Problem)
        assert first.value.reason == reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exitcode: 0 (execution succeeded)\nCode output: 4\n", (0, "4\n")),
        ("exitcode: 1 (execution failed)\nCode output: Traceback", (1, "Traceback")),
        ("exitcode: 0 (execution succeeded)", (0, "")),
        ("The script ran, then exited with Unix exit code: 0\nIts output was:\nok", (0, "ok")),
        ("The script ran, then exited with an error (POSIX exit code: 2)\nIts output was:\nno", (2, "no")),
        ("There is no code from the last 1 message for me to execute.", None),
        (None, None),
    ],
)
def test_replies_of_executors_are_recognised(text: str | None, expected: tuple[int, str] | None) -> None:
    """AG2's and Magentic-One's executors are understood; other messages are none."""
    found = execution_reply(text)
    assert (found and (found.exit_code, found.output)) == expected


def test_fences_are_read_line_by_line() -> None:
    """Only a fence on its own line opens or closes a block, and one that stays open is none."""
    text = "a ```python inline```\n```py\nx = '```'\n```\n```sh code blocks)\nno\n```\nnot closed"
    assert [(block.language, block.text) for block in fenced_blocks(text)] == [("py", "x = '```'")]


def _deeds(path: Path) -> list[tuple[str, str, str | None]]:
    """Return kind and tool of every call, and of every result with its text."""
    runs = [item.value for item in read_path(path)]
    assert all(isinstance(run, RunRecord) for run in runs), runs
    return [
        (event.kind, event.tool.name, event.tool.arguments or event.tool.result)
        for run in runs
        if isinstance(run, RunRecord)
        for event in run.events
        if event.tool
    ]


@pytest.mark.parametrize(
    "chat",
    [
        {"messages": [
            {"role": "user", "content": [{"type": "input_text", "text": "Cancel ord_5512"}]},
            {"type": "function_call", "call_id": "f1", "name": "cancel", "arguments": '{"id":"ord_5512"}'},
            {"type": "function_call_output", "call_id": "f1", "output": "ok"},
        ]},
        {"history": [
            {"role": "user", "parts": [{"text": "Cancel ord_5512"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "cancel", "args": {"id": "ord_5512"}}}]},
            {"role": "user",
             "parts": [{"functionResponse": {"name": "cancel", "response": {"result": "ok"}}}]},
        ]},
        {"simulations": [{"id": "s1", "reward_info": {"reward": 1.0}, "messages": [
            {"role": "user", "content": "Cancel ord_5512"},
            {"role": "assistant", "content": None,
             "tool_calls": [{"id": "c1", "name": "cancel", "arguments": {"id": "ord_5512"}}]},
            {"id": "c1", "role": "tool", "content": "ok"},
        ]}]},
        {"conversations": [
            {"role": "user", "content": "Cancel ord_5512"},
            {"role": "assistant", "function_call": {"name": "cancel", "arguments": '{"id":"ord_5512"}'}},
            {"role": "function", "name": "cancel", "content": "ok"},
        ]},
    ],
)  # fmt: skip
def test_chats_of_other_libraries_lose_no_call(tmp_path: Path, chat: dict[str, object]) -> None:
    """Items of the Responses API, Google's parts and lists of simulations give words, calls and results."""
    path = tmp_path / "chat.json"
    path.write_bytes(orjson.dumps(chat))
    call, result = _deeds(path)
    assert call == ("tool_call", "cancel", '{"id":"ord_5512"}')
    assert (result[0], result[2]) == ("tool_result", "ok")
    (run,) = [item.value for item in read_path(path)]
    assert isinstance(run, RunRecord)
    assert run.task == "Cancel ord_5512"
    assert run.outcome == ("success" if "simulations" in chat else "unknown")
