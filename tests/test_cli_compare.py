"""Tests of ``compare`` and of what ``stats`` says against runs without the skill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_process import TOOLS, Cli, code_skill, fill, order_run, tool_skill, write_json

TASK = "I am ann@example.org. Please cancel order ORD-8001: I changed my mind."


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line whose skill came from one of its two runs and was used twice."""
    line = Cli(tmp_path, tmp_path / "x.db")
    logs = [write_json(tmp_path / f"log{n}.json", order_run(n, success=n == 1)) for n in (1, 2)]
    runs = [line.json("ingest", log)["runs"][0]["id"] for log in logs]
    timeline = line.json("timeline", runs[0])["items"]
    calls = {item["tool"]["name"]: item["seq"] for item in timeline if item["kind"] == "tool_call"}
    skill = tool_skill()
    nodes = tuple(replace(node, source_seqs=(calls[node.tool or ""],)) for node in skill.nodes)
    fill(line, replace(skill, source_run_ids=(runs[0],), nodes=nodes), code_skill())
    (tmp_path / "shop.py").write_text(TOOLS)
    use = ("run", TASK, "--use-skill", "cancel_order", "--tools", "shop.py", "--yes")
    assert line.inside(*use).code == 0
    assert line.inside(*use, "--set", "order_id=ORD-8002").code == 1
    return line


def ids(cli: Cli, command: str, *words: str) -> list[str]:
    """Return the ids that a list command lists, newest first."""
    return [item["id"] for item in cli.json(command, *words)["items"]]


def test_executions_are_laid_side_by_side(cli: Cli) -> None:
    """Each step has what each execution did there; the failing one says where and why."""
    failed, done = ids(cli, "executions", "cancel_order")
    document = cli.json("compare", "cancel_order", done[:20], failed)
    assert [(one["kind"], one["success"], one["version"]) for one in document["runs"]] == [
        ("execution", True, 1), ("execution", False, 1),
    ]  # fmt: skip
    steps = {step["step"]: step for step in document["steps"]}
    assert list(steps) == ["inputs", "n1", "n2"]
    assert [cell["status"] for cell in steps["n2"]["cells"]] == ["done", "failed"]
    assert "cannot be cancelled" in steps["n2"]["cells"][1]["error"]
    assert [cell["adaptations"] for cell in steps["inputs"]["cells"]] == [["parameter_change"]] * 2
    assert all(cell["duration_seconds"] is not None for cell in steps["n1"]["cells"])
    newest: Any = cli.json("compare", "cancel_order")
    assert [one["id"] for one in newest["runs"]] == [failed, done]


def test_a_runs_id_means_its_execution(cli: Cli) -> None:
    """The id that ``run`` prints is as good as the execution's own."""
    execution = cli.json("executions", "cancel_order")["items"][0]
    document = cli.json("compare", "cancel_order", execution["run_id"])
    assert document["runs"][0]["id"] == execution["id"]


def test_runs_without_the_skill_are_laid_beside_it(cli: Cli) -> None:
    """The source run by its events, another by its tools; what has no node stands in the last row."""
    source, other = reversed([run["id"] for run in cli.json("runs", "--source", "openai-chat")["items"]])
    done = ids(cli, "executions", "cancel_order")[1]
    document = cli.json("compare", "cancel_order", source, other, done)
    assert [one["kind"] for one in document["runs"]] == ["run", "run", "execution"]
    steps = {step["step"]: step for step in document["steps"]}
    assert list(steps) == ["inputs", "n1", "n2", "rest"]
    assert [cell["status"] for cell in steps["n2"]["cells"]] == ["done"] * 3
    assert [cell and cell["status"] for cell in steps["rest"]["cells"]] == ["done", "done", None]


def test_people_get_a_table(cli: Cli) -> None:
    """A row a step, a column each, the whole in the last row."""
    result = cli("compare", "cancel_order")
    assert result.code == 0, result
    assert "n2" in result.stdout
    assert "failure" in result.stdout
    assert "2 adapted" not in result.stdout
    assert "parameter change" in result.stdout


def test_wrong_things_to_compare_are_told(cli: Cli) -> None:
    """What is not there, not used, or of another skill has its own error."""
    done = ids(cli, "executions", "cancel_order")[0]
    assert cli.inside("compare", "write_greeting").code == 3
    assert cli.inside("compare", "cancel_order", "0000").code == 3
    wrong = cli("compare", "write_greeting", done, "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "usage")
    assert "cancel_order" in wrong.error["message"]


def test_stats_measure_against_the_users_own_runs(cli: Cli) -> None:
    """The baseline is counted from the runs of the family, each by its rule, with confidence intervals."""
    stats = cli.json("stats", "cancel_order")
    baseline = stats["baseline"]
    assert (baseline["runs"], baseline["successes"]) == (2, 1)
    assert baseline["by"] == {"pattern": 1, "source": 1}
    assert 0 < baseline["success_rate_low"] < 0.5 < baseline["success_rate_high"] < 1
    assert stats["difference"]["verdict"] == "not shown"
    assert (stats["selected"], stats["applied"], stats["completed"]) == (2, 2, 1)
    assert stats["hurt"] >= 1
    shown = cli("stats", "cancel_order").stdout
    assert "2 runs (1 by pattern, 1 by source)" in shown
    assert "no difference shown" in shown
