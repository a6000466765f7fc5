"""SWE-agent trajectories: messages from the history, steps from the trajectory, each exactly once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from skillsmith.capture.importers import read_path
from skillsmith.models import Problem, RunRecord

LOGS = Path(__file__).parent / "fixtures" / "logs" / "swe"


def _run(name: str) -> RunRecord:
    (item,) = read_path(LOGS / name)
    assert isinstance(item.value, RunRecord)
    return item.value


def test_actions_are_shell_code_with_what_was_observed() -> None:
    """Every step of the trajectory is code and result, also one that the history has dropped."""
    run = _run("text.traj")
    codes = [(event.step, event.code.text) for event in run.events if event.kind == "code" and event.code]
    assert codes == [(1, "ls\n"), (2, "edit bad\n"), (3, "edit 1:1\nx\nend_of_edit\n"), (4, "submit\n")]
    ids = [event.code.call_id for event in run.events if event.kind == "code" and event.code]
    results = {event.code.call_id: event.code.output for event in run.events
               if event.kind == "code_result" and event.code}  # fmt: skip
    assert [results[call_id] for call_id in ids] == ["a.py\n", "syntax error\n", "edited\n", "diff --git\n"]
    assert len(set(ids)) == 4


def test_messages_are_those_of_the_history() -> None:
    """Roles can be counted again; thoughts are events of their own; an empty thought is none."""
    run = _run("text.traj")
    roles = Counter(event.role for event in run.events if event.role)
    assert roles == {"system": 1, "user": 4, "assistant": 3}
    thoughts = [event.content for event in run.events if event.kind == "reasoning"]
    assert thoughts == ["Look.", "Oops.", "Submit."]


def test_task_totals_and_status_are_taken_over() -> None:
    """The task is the first message that is no demonstration; submitting is an end, not a success."""
    run = _run("text.traj")
    assert run.task == "ISSUE: loans crash"
    assert (run.outcome, run.outcome_reason, run.status) == ("unknown", "exit_status submitted", "completed")
    assert (run.cost_usd, run.work_dir) == (0.5, "/repo")
    assert sum(event.tokens_in or 0 for event in run.events) == 1000
    assert run.metadata["exit_status"] == "submitted"
    assert run.metadata["submission"] == "diff --git"
    assert "edited_files30" not in run.metadata


def test_called_tools_stay_tool_calls() -> None:
    """Where the model called tools, actions are tool calls with results, and no shell code."""
    run = _run("tools.traj")
    assert [event.kind for event in run.events] == [
        "message", "message", "reasoning", "message", "tool_call", "tool_result", "reasoning", "message",
        "tool_call", "tool_result",
    ]  # fmt: skip
    call, result = run.events[4], run.events[5]
    assert call.tool
    assert result.tool
    assert (call.tool.name, call.tool.parsed, call.step) == ("bash", {"command": "ls"}, 1)
    assert (result.tool.name, result.tool.result, result.duration_seconds) == ("bash", "a.py", 0.5)
    assert run.events[-1].step == 2


def test_a_history_alone_is_enough() -> None:
    """Without a trajectory each action is a step, and the end is unknown."""
    run = _run("history_only.traj")
    assert [event.step for event in run.events if event.kind == "tool_call"] == [1, 2]
    assert (run.outcome, run.outcome_reason) == ("unknown", None)


def test_a_file_with_neither_half_is_a_problem(tmp_path: Path) -> None:
    """A trajectory without steps and history is named as such."""
    path = tmp_path / "x.traj"
    path.write_text('{"trajectory": [], "history": []}')
    (item,) = read_path(path, format="swe-agent")
    assert isinstance(item.value, Problem)
    assert item.value.reason == "a trajectory without steps and without history"
