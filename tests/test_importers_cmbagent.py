"""CMBAgent's run folders: chats, reports, plan and code of one run, spread over several folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest

from skillsmith.capture.importers import NOT_A_LOG, read_path
from skillsmith.capture.importers.cmbagent_folder import part_of, root_of
from skillsmith.models import Problem, RunRecord

FOLDER = Path(__file__).parent / "fixtures" / "logs" / "cmbagent_run"


def _values(path: Path) -> list[RunRecord | Problem]:
    return [item.value for item in read_path(path)]


def _run(path: Path) -> RunRecord:
    (run,) = (value for value in _values(path) if isinstance(value, RunRecord))
    return run


def test_a_run_folder_is_one_run() -> None:
    """Planning, then each step with its history, nested chats and costs; the plan and the time are facts."""
    run = _run(FOLDER)
    said = [(event.step, event.agent) for event in run.events if event.kind == "message"]
    assert said == [
        (1, "_User"), (1, "planner"), (1, "_User"), (1, "engineer"), (1, "executor"), (1, "engineer_nest"),
        (1, "engineer_response_formatter"), (2, "_User"), (2, "researcher"),
    ]  # fmt: skip
    assert run.metadata["plan"] == [
        {"sub_task": "count", "sub_task_agent": "engineer", "bullet_points": ["all"]}
    ]
    assert (run.task, run.metadata["duration_seconds"]) == ("Count the loans.", 5.0)


def test_cost_reports_are_model_calls_without_their_totals() -> None:
    """Each agent's row of a report is one event under the agent's own name; the total adds nothing."""
    calls = [event for event in _run(FOLDER).events if event.kind == "llm_call"]
    assert [(e.agent, e.tokens_in, e.tokens_out, e.cost_usd, (e.data or {})["model"]) for e in calls] == [
        ("plan_setter", 10, 2, 0.001, "gpt-x"), ("engineer_response_formatter", 100, 20, 0.02, "o3"),
    ]  # fmt: skip


def test_code_left_in_the_folder_belongs_to_who_wrote_it() -> None:
    """A file of the codebase comes with the agent whose block names it."""
    (file,) = _run(FOLDER).files
    assert (file.path, file.agent, file.content) == (
        "control/codebase/count.py", "engineer", b"# filename: codebase/count.py\nprint(3)\n",
    )  # fmt: skip


def test_only_strangers_are_left_over() -> None:
    """Nothing of the folder but its code is counted as no log, and nothing is a problem."""
    reasons = [value.reason for value in _values(FOLDER) if isinstance(value, Problem)]
    assert reasons == [NOT_A_LOG]


def test_a_folder_that_grows_begins_as_it_was(tmp_path: Path) -> None:
    """The events of the steps that were done are the same after another step."""
    shutil.copytree(FOLDER, tmp_path / "run")
    before = _run(tmp_path / "run")
    history = [{"role": "assistant", "name": "writer", "content": "The end."}]
    (tmp_path / "run/control/chats/chat_history_step_3.json").write_bytes(orjson.dumps(history))
    after = _run(tmp_path / "run")
    assert after.events[: len(before.events)] == before.events
    assert len(after.events) == len(before.events) + 1


def test_two_run_folders_are_two_runs(tmp_path: Path) -> None:
    """Folders side by side stay apart."""
    for name in ("a", "b"):
        shutil.copytree(FOLDER, tmp_path / name)
    assert sum(isinstance(value, RunRecord) for value in _values(tmp_path)) == 2


def test_a_report_alone_says_what_to_do(tmp_path: Path) -> None:
    """A report whose chats are not there is no run, and the user is told so."""
    (name,) = (FOLDER / "planning/cost").iterdir()
    shutil.copy(name, tmp_path / name.name)
    (problem,) = _values(tmp_path / name.name)
    assert isinstance(problem, Problem)
    assert problem.reason == "a report without its chats: name the run's folder"


def test_a_damaged_report_costs_only_itself(tmp_path: Path) -> None:
    """What cannot be read is reported; the run is there."""
    shutil.copytree(FOLDER, tmp_path / "run")
    plan = tmp_path / "run/planning/final_plan.json"
    plan.write_text('{"sub_tasks": [{"sub_task": "x"}, ')
    values = _values(tmp_path / "run")
    assert str(plan) in [value.path for value in values if isinstance(value, Problem)]
    assert "plan" not in _run(tmp_path / "run").metadata


@pytest.mark.parametrize(
    ("name", "kind", "step"),
    [
        ("final_plan.json", "plan", 0), ("chat_history_step_12.json", "history", 12),
        ("chat_output_planning.json", "output", 0), ("chat_output_step_1.json", "output", 1),
        ("chat_output_idea_maker_step_2.json", "output", 2),
        ("nested_chat_output_engineer_step_2_attempt_3.json", "nested", 2),
        ("cost_report_20260101_100000.json", "cost", None),
        ("cost_report_step_4_20260101_100000.json", "cost", 4),
        ("timing_report_planning_20260101_100000.json", "time", 0),
        ("timing_report_control.json", "time", None),
    ],
)  # fmt: skip
def test_files_are_told_by_their_names(name: str, kind: str, step: int | None) -> None:
    """The names that CMBAgent gives say what a file is and to which step it belongs."""
    part = part_of(name)
    assert part
    assert (part.kind, part.step) == (kind, step)


def test_the_runs_folder_is_found_from_any_file_of_it() -> None:
    """Both layouts lead to the same place: with planning and control, and without."""
    for path in ("w/chats/x.json", "w/control/chats/x.json", "w/planning/final_plan.json", "w/x.json"):
        assert root_of(Path(path)) == Path("w")
    assert part_of("chat_history_step_x.json") is None
