"""Reflexion's logs: attempts, what the tests said, what was learnt, and the verdict."""

from __future__ import annotations

from pathlib import Path

from skillsmith.capture.importers import read_path
from skillsmith.models import Problem, RunRecord

LOG = Path(__file__).parent / "fixtures" / "logs" / "reflexion.jsonl"


def _runs(path: Path) -> list[RunRecord]:
    return [item.value for item in read_path(path) if isinstance(item.value, RunRecord)]


def test_attempts_results_and_reflections_come_in_turn() -> None:
    """A step is an attempt: its code, what its tests said, and what was learnt when they failed."""
    run = _runs(LOG)[0]
    assert [(event.kind, event.step) for event in run.events] == [
        ("message", 1), ("message", 1), ("code", 1), ("code_result", 1), ("reasoning", 1),
        ("message", 2), ("code", 2), ("code_result", 2),
    ]  # fmt: skip
    results = [event.code for event in run.events if event.kind == "code_result"]
    assert [(code.call_id, code.exit_code, code.output) for code in results if code] == [
        ("attempt-1", 1, "Tests failed: add(1, 2) == 3"), ("attempt-2", 0, "Tests passed"),
    ]  # fmt: skip
    assert (run.native_id, run.outcome, run.outcome_reason) == ("reflexion/T/1", "success", "is_solved true")


def test_code_that_is_only_a_body_is_completed_by_the_prompt() -> None:
    """The message is what the agent wrote; the code is what can run."""
    run = _runs(LOG)[0]
    first, second = (event.code for event in run.events if event.kind == "code")
    assert first
    assert second
    assert first.text == "def add(a, b):\n    return a - b"
    assert second.text == 'def add(a, b):\n    """Add."""\n    return a + b'
    assert run.events[5].content == "    return a + b"


def test_logs_without_attempts_give_reflections_and_the_last_solution() -> None:
    """Older logs keep what was learnt and the end; an unsolved task without solution has no code."""
    _, unsolved, solved, plain = _runs(LOG)
    assert [event.kind for event in unsolved.events] == ["message", "reasoning", "reasoning"]
    assert (unsolved.outcome, unsolved.metadata["task_id"]) == ("failure", "T/2")
    assert [event.kind for event in solved.events] == [
        "message", "reasoning", "message", "code", "code_result",
    ]  # fmt: skip
    assert (solved.events[-1].step, solved.outcome) == (2, "success")
    verdict = plain.events[-1].code
    assert verdict
    assert (verdict.exit_code, plain.outcome) == (1, "failure")


def test_the_same_task_of_two_agents_is_two_runs(tmp_path: Path) -> None:
    """A record does not name its agent: the file does."""
    (tmp_path / "other.jsonl").write_bytes(LOG.read_bytes())
    (tmp_path / "reflexion.jsonl").write_bytes(LOG.read_bytes())
    names = [run.native_id for run in _runs(tmp_path)]
    assert len(set(names)) == len(names) == 8


def test_other_lines_are_reported(tmp_path: Path) -> None:
    """Lines that are no record of a run are named, the others are read; one record may be a document."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(LOG.read_bytes() + b'{"prompt": "x"}\n7\n')
    values = [item.value for item in read_path(path)]
    reasons = [value.reason for value in values if isinstance(value, Problem)]
    assert reasons == [
        "not a Reflexion record: it has no prompt and no is_solved", "a JSON number, not an object",
    ]  # fmt: skip
    assert len(values) == 6
    (tmp_path / "one.json").write_text('[{"prompt": "def f():", "is_solved": false}, 7]')
    single, problem = (item.value for item in read_path(tmp_path / "one.json", format="reflexion"))
    assert isinstance(single, RunRecord)
    assert isinstance(problem, Problem)
