"""Claude Code sessions: what each line becomes, what counts once, and where things belong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest

from skillsmith.capture.importers import LogSource, read_path
from skillsmith.capture.importers.claude_code import parse
from skillsmith.models import Event, Problem, RunRecord

LOGS = Path(__file__).parent / "fixtures" / "logs" / "claude"


def _runs(path: Path) -> list[RunRecord]:
    return [item.value for item in read_path(path) if isinstance(item.value, RunRecord)]


@pytest.fixture
def run() -> RunRecord:
    """The session with a bit of everything."""
    (record,) = _runs(LOGS / "session.jsonl")
    return record


def _tools(run: RunRecord, kind: str) -> list[Event]:
    return [event for event in run.events if event.kind == kind]


def test_the_session_is_one_run_with_its_facts(run: RunRecord) -> None:
    """Id, folder, version, models, title and the count of bad lines are taken from the lines."""
    assert run.native_id == "5f0c2c1e-0000-4000-8000-000000000001"
    assert run.work_dir == "/home/mia/loans"
    assert run.metadata["models"] == ["claude-test-1"]
    assert run.metadata["summaries"] == ["Loans script"]
    assert run.metadata["bad_lines"] == 2
    assert run.status == "interrupted"


def test_bad_lines_are_problems(run: RunRecord) -> None:
    """A malformed line and a line that is no object are named, and cost nothing else."""
    problems = [value for value in parse(LogSource(LOGS / "session.jsonl")) if isinstance(value, Problem)]
    assert [problem.line for problem in problems] == [15, 16]


def test_the_task_is_what_the_user_typed_first(run: RunRecord) -> None:
    """Meta lines, commands and reminders that the program put in are not the task."""
    assert run.task == "Write loans.py that prints 3."


def test_every_line_becomes_an_event_that_names_its_type(run: RunRecord) -> None:
    """Lines can be counted by type again, the unknown ones with their whole record."""
    types = Counter(
        event.data["line_type"] for event in run.events if event.data and "line_type" in event.data
    )
    assert types == {
        "summary": 1, "queue-operation": 1, "user": 9, "assistant": 6, "system": 1, "hologram": 1,
    }  # fmt: skip
    (unknown,) = (e for e in run.events if e.data and e.data.get("line_type") == "hologram")
    assert unknown.kind == "raw"
    assert unknown.data is not None
    assert unknown.data["record"]["payload"] == {"x": 1}
    (failed,) = _tools(run, "error")
    assert failed.content == "overloaded"


def test_usage_is_counted_once_a_message(run: RunRecord) -> None:
    """A message over three lines counts its tokens once, with the last line's figures."""
    assert sum(event.tokens_in or 0 for event in run.events) == 115 + 4 + 1 + 2
    assert sum(event.tokens_out or 0 for event in run.events) == 40 + 20 + 1 + 7
    first = next(event for event in run.events if event.tokens_in)
    assert first.data is not None
    assert first.data["model"] == "claude-test-1"
    assert first.data["cache_creation_input_tokens"] == 100


def test_calls_and_results_are_joined_and_errors_seen(run: RunRecord) -> None:
    """Tool uses keep their arguments, results know their tool and whether they failed."""
    calls = [event.tool for event in _tools(run, "tool_call") if event.tool]
    assert [call.name for call in calls] == ["Write", "Edit", "Bash", "Bash"]
    assert calls[2].parsed == {"command": "python loans.py"}
    results = [(event.tool.name, event.tool.error) for event in _tools(run, "tool_result") if event.tool]
    assert results == [
        ("Write", None),
        ("Edit", None),
        ("Bash", "<tool_use_error>no python</tool_use_error>"),
        ("Bash", None),
    ]
    assert [bool(event.data and event.data.get("is_error")) for event in _tools(run, "tool_result")] == [
        False, False, True, False,
    ]  # fmt: skip


def test_one_message_a_line_with_its_thinking_before_it(run: RunRecord) -> None:
    """Each assistant line is one message; thinking is an event of its own; text blocks are joined."""
    kinds = [event.kind for event in run.events]
    at = kinds.index("reasoning")
    assert kinds[at : at + 4] == ["reasoning", "message", "message", "message"]
    assert run.events[at].content == "A small script."
    assert [event.content for event in run.events if event.agent == "assistant" and event.content][-1] == (
        "Done.\nIt prints 3."
    )


def test_sub_agents_speak_under_their_own_name(run: RunRecord) -> None:
    """In a side chain the main agent asks and the sub-agent answers."""
    side = [event for event in run.events if event.data and event.data.get("sidechain")]
    assert [(event.role, event.agent, event.recipient) for event in side] == [
        ("user", "assistant", "subagent:ab12"),
        ("assistant", "subagent:ab12", None),
        ("tool", None, "subagent:ab12"),
    ]


def test_a_step_is_a_turn_of_the_user(run: RunRecord) -> None:
    """Each thing the user typed begins a step; what the program sent does not."""
    steps = {event.content: event.step for event in run.events if event.role == "user"}
    assert steps["Now run it with python3."] == 2
    assert steps["Look for python."] == 1


def test_files_are_known_as_far_as_the_log_holds_them(run: RunRecord) -> None:
    """A written and an edited file give two versions with the agent and the event that made them."""
    assert [(one.path, one.content, one.agent) for one in run.files] == [
        ("loans.py", b"print(2)\n", "assistant"),
        ("loans.py", b"print(3)\n", "assistant"),
    ]
    for snapshot in run.files:
        assert snapshot.seq
        assert run.events[snapshot.seq - 1].kind == "tool_result"


def test_files_outside_the_work_folder_and_failed_writes_are_left_out(tmp_path: Path) -> None:
    """Nothing is stored for a path outside the folder, a failed call, or content the log does not hold."""
    calls = [
        ("w1", "Write", {"file_path": "/etc/motd", "content": "x"}, False),
        ("w2", "Write", {"file_path": "/home/mia/../root/x", "content": "x"}, False),
        ("w3", "Write", {"file_path": "/home/mia/no.txt", "content": "x"}, True),
        ("w4", "Edit", {"file_path": "/home/mia/e.txt", "old_string": "a", "new_string": "b"}, False),
        ("w5", "Write", {"file_path": "sub/yes.txt", "content": "y"}, False),
    ]
    lines = []
    for call_id, name, arguments, failed in calls:
        common = {"sessionId": "s", "cwd": "/home/mia", "uuid": call_id, "isSidechain": False}
        use = {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
        result = {"type": "tool_result", "tool_use_id": call_id, "content": "ok", "is_error": failed}
        lines.append({**common, "type": "assistant", "message": {"role": "assistant", "content": [use]}})
        lines.append({**common, "type": "user", "message": {"role": "user", "content": [result]}})
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    (run,) = _runs(path)
    assert [(one.path, one.content) for one in run.files] == [("sub/yes.txt", b"y")]


def test_sessions_in_one_file_are_runs_of_their_own() -> None:
    """Lines are sorted by session, interleaved or not."""
    first, second = _runs(LOGS / "two_sessions.jsonl")
    assert (first.task, second.task, second.native_id) == ("One.", "Two.", "second")
    assert [event.content for event in first.events] == ["One.", "Yes."]


def test_a_sub_agents_own_file_is_a_run_of_its_own() -> None:
    """It is told from its session, and its task is what it was asked."""
    (run,) = _runs(LOGS / "agent-ab12.jsonl")
    assert run.native_id == "5f0c2c1e-0000-4000-8000-000000000001/subagent:ab12"
    assert run.metadata["session"] == "5f0c2c1e-0000-4000-8000-000000000001"
    assert run.task == "Look for python."


def test_files_without_a_session_are_told_apart() -> None:
    """Snapshots without messages stay readable; summaries of other sessions alone are no run."""
    (run,) = _runs(LOGS / "no_session.jsonl")
    assert (run.native_id, run.task, [event.kind for event in run.events]) == (None, "Old talk", ["raw"] * 2)
    (item,) = read_path(LOGS / "only_summaries.jsonl")
    assert isinstance(item.value, Problem)
    assert item.value.reason == "holds only summaries of other sessions"
