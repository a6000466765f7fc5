"""Codex rollouts: three generations of the format, and nothing said twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from skillsmith.capture.importers import read_path
from skillsmith.models import Event, Problem, RunRecord

LOGS = Path(__file__).parent / "fixtures" / "logs" / "codex"


def _run(name: str) -> RunRecord:
    (item,) = read_path(LOGS / name)
    assert isinstance(item.value, RunRecord)
    return item.value


@pytest.fixture
def run() -> RunRecord:
    """The session with a bit of everything."""
    return _run("rollout.jsonl")


def _of(run: RunRecord, kind: str) -> list[Event]:
    return [event for event in run.events if event.kind == kind]


def test_the_session_is_described_by_its_first_line(run: RunRecord) -> None:
    """Id and folder are the session's own, also in a fork that repeats its parent's description."""
    assert (run.native_id, run.work_dir) == ("019c-child", "/home/mia/loans")
    assert run.metadata["cli_version"] == "0.140.0"
    assert run.metadata["models"] == ["gpt-test"]
    assert "base_instructions" not in run.metadata


def test_the_task_is_what_was_typed(run: RunRecord) -> None:
    """Developer prompts and the environment that the program injects are not the task."""
    assert run.task == "Count the loans."


def test_mirrors_are_kept_once_and_repetitions_twice(run: RunRecord) -> None:
    """What stands as item and as event is one message; an answer really given twice is two."""
    said = [event.content for event in run.events if event.role == "assistant"]
    assert said == ["I count.", "Seven.", "Seven."]
    typed = [e.content for e in run.events if e.role == "user" and not (e.data and e.data.get("injected"))]
    assert typed == ["Count the loans.", "Again."]
    assert [event.content for event in _of(run, "reasoning")] == ["**Listing**", "**Counting**"]
    roles = Counter(event.role for event in run.events if event.role)
    assert roles == {"system": 1, "user": 3, "assistant": 3, "tool": 3}


def test_calls_have_one_answer_each_with_exit_code_and_duration(run: RunRecord) -> None:
    """Commands, patches, searches and MCP calls are calls; the first answer to each counts."""
    calls = [event.tool.name for event in _of(run, "tool_call") if event.tool]
    assert calls == ["exec_command", "apply_patch", "web_search", "shelf.count"]
    command, patch, count = _of(run, "tool_result")
    assert command.tool
    assert patch.tool
    assert count.tool
    assert (command.tool.result, command.tool.error) == ("7\n", None)
    assert (command.data, command.duration_seconds) == ({"exit_code": 0}, 1.5)
    assert (patch.tool.result, patch.tool.error, patch.data) == ("Failed", "Failed", {"exit_code": 1})
    assert (count.tool.name, count.tool.result) == ("shelf.count", "7")


def test_model_calls_are_counted_once(run: RunRecord) -> None:
    """The same totals again, with other rate limits, are no second call."""
    (call,) = _of(run, "llm_call")
    assert (call.tokens_in, call.tokens_out) == (100, 9)
    assert call.data == {"model": "gpt-test", "cached_input_tokens": 2}


def test_steps_context_errors_and_the_rest_are_kept(run: RunRecord) -> None:
    """A typed message begins a step; an unchanged context is not repeated; other records stay raw."""
    assert {event.content: event.step for event in run.events if event.role == "user"}["Again."] == 2
    assert len(_of(run, "context")) == 1
    assert [event.content for event in _of(run, "error")] == ["stream cut"]
    assert [event.data["line_type"] for event in _of(run, "raw") if event.data] == [
        "task_started", "task_complete", "turn_aborted", "world_state", "compacted",
    ]  # fmt: skip
    assert run.status == "interrupted"


def test_bare_lines_after_a_header_are_read() -> None:
    """The generation before the envelope: folder from the environment, request without the IDE's context."""
    run = _run("bare.jsonl")
    assert (run.native_id, run.work_dir, run.task) == ("bare-1", "/home/mia/old", "List files.")
    (result,) = _of(run, "tool_result")
    assert result.tool
    assert (result.tool.result, result.duration_seconds) == ("a.txt\n", 0.2)


def test_the_oldest_sessions_are_one_document() -> None:
    """A session with its items in one JSON document is read too."""
    run = _run("rollout-2025-06-26-legacy.json")
    assert (run.native_id, run.task) == ("legacy-1", "List files.")
    (call,) = _of(run, "tool_call")
    assert call.tool
    assert (call.tool.name, call.tool.parsed) == ("local_shell", {"type": "exec", "command": ["ls"]})


def test_items_of_paginated_sessions_are_read() -> None:
    """Sessions that write completed items instead of mirrors give the same messages."""
    run = _run("paginated.jsonl")
    assert [(event.kind, event.content) for event in run.events] == [
        ("message", "Hello."), ("reasoning", "Greeting"), ("message", "Hi."), ("raw", None),
    ]  # fmt: skip


def test_a_rollout_in_which_nothing_happened_is_a_problem(tmp_path: Path) -> None:
    """A description without a single event is no run."""
    path = tmp_path / "rollout.jsonl"
    path.write_text('{"type": "session_meta", "payload": {"id": "x"}}\n')
    (item,) = read_path(path)
    assert isinstance(item.value, Problem)
    assert item.value.reason == "a rollout in which nothing happened"
