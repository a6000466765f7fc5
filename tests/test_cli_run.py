"""Tests of running skills from the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import TOOLS, Cli, code_skill, fill, tool_skill

TASK = "I am ann@example.org. Please cancel order ORD-8001: I changed my mind."


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with a tool skill, a code skill and one in quarantine."""
    line = Cli(tmp_path, tmp_path / "x.db")
    quarantined = replace(code_skill("foreign"), state="quarantined")
    fill(line, tool_skill(), code_skill(), quarantined)
    (tmp_path / "shop.py").write_text(TOOLS)
    return line


def test_named_skill_runs_with_the_tasks_values(cli: Cli) -> None:
    """A named skill runs without a question; what it did has the documented keys."""
    document = cli.json("run", TASK, "--use-skill", "cancel_order", "--tools", "shop.py", "--yes")
    assert set(document) >= {
        "run_id", "execution_id", "skill_used", "version", "confidence", "success", "adapted", "adaptations",
        "outputs", "artifacts", "duration_seconds", "cost_usd", "error",
    }  # fmt: skip
    assert (document["skill_used"], document["version"], document["success"]) == ("cancel_order", 1, True)
    assert document["outputs"] == {"status": "cancelled"}
    calls = cli.json("timeline", document["run_id"], "--kind", "tool_call")["items"]
    assert calls[1]["tool"]["arguments"]["order_id"] == "ORD-8001"


def test_failure_is_told_and_has_exit_code_1(cli: Cli) -> None:
    """A skill that fails leaves its document, its error and exit code 1."""
    words = ("run", TASK, "--use-skill", "cancel_order", "--tools", "shop.py", "--yes")
    result = cli(*words, "--set", "order_id=ORD-8002", "--json")
    assert result.code == 1
    assert result.document["success"] is False
    assert "ORD-8002 cannot be cancelled" in result.document["error"]


def test_code_runs_in_the_work_folder(cli: Cli) -> None:
    """A code skill makes its files in ``--workdir``."""
    result = cli("run", "greet", "--use-skill", "write_greeting", "--set", "person=Bob", "--workdir", "out")
    assert result.code == 0, result
    assert (cli.folder / "out" / "greeting.txt").read_text() == "Hello Bob"
    assert "made out/greeting.txt" in result.stdout or str(cli.folder / "out/greeting.txt") in result.stdout
    assert "n1 done" in result.stderr


def test_missing_input_is_named(cli: Cli) -> None:
    """A required input without a value is named, with how to give it, and the exit code is 2."""
    result = cli("run", "do it", "--use-skill", "cancel_order", "--tools", "shop.py", "--json")
    assert (result.code, result.stdout) == (2, "")
    assert result.error["code"] == "missing_input"
    assert "email" in result.error["message"]
    assert "--set email=VALUE" in result.error["hint"]


@pytest.mark.parametrize("setting", ["nonsense=1", "email", "email=not an address"])
def test_wrong_settings_are_usage_errors(cli: Cli, setting: str) -> None:
    """A setting that names no input, has no value or does not fit its type has exit code 2."""
    result = cli("run", TASK, "--use-skill", "cancel_order", "--tools", "shop.py", "--set", setting)
    assert result.code == 2
    assert result.stderr.count("\n") == 1


def test_untrusted_code_does_not_run(cli: Cli) -> None:
    """A skill in quarantine runs only after it was trusted; until then the exit code is 5."""
    words = (
        "run",
        "Write a greeting for Bob into greeting.txt",
        "--use-skill",
        "foreign",
        "--workdir",
        "out",
    )
    result = cli(*words, "--json")
    assert (result.code, result.error["code"]) == (5, "untrusted")
    assert not (cli.folder / "out").exists()
    assert cli.json("trust", "foreign")["state"] == "trusted"
    assert cli(*words).code == 0
    assert (cli.folder / "out" / "greeting.txt").read_text() == "Hello Bob"


def test_missing_tools_are_named_before_anything_runs(cli: Cli) -> None:
    """Without ``--tools`` a skill that calls tools says so, and nothing is recorded."""
    result = cli("run", TASK, "--use-skill", "cancel_order")
    assert result.code == 1
    assert "--tools" in result.stderr
    assert cli.json("executions", "cancel_order")["items"] == []


def test_dry_run_runs_nothing(cli: Cli) -> None:
    """``--dry-run`` shows exactly what would run, from where each value comes, and does none of it."""
    task = "Write a greeting for Bob into greeting.txt"
    words = ("run", task, "--use-skill", "write_greeting", "--workdir", "out", "--dry-run")
    text = cli(*words).stdout
    assert "file.write('Hello ' + 'Bob')" in text
    plan = cli.json(*words)
    assert plan["inputs"][0]["value"] == "Bob"
    assert plan["nodes"][0]["writes"] == [{"value": "greeting.txt"}]
    assert not (cli.folder / "out").exists()
    assert cli.json("runs")["items"] == []


def test_dry_run_of_tools_names_their_sources(cli: Cli) -> None:
    """People see each call with its arguments, also without the tools and while inputs are missing."""
    result = cli("run", "cancel order ORD-8001", "--use-skill", "cancel_order", "--dry-run")
    assert result.code == 0
    assert "order_id = ORD-8001" in result.stdout
    assert "--tools" in result.stdout


def test_broken_off_execution_is_resumed(cli: Cli) -> None:
    """``--resume`` goes on where an execution failed, with its task and inputs, without doing work twice."""
    broken = TOOLS.replace('if ORDERS.get(order_id) != "pending":', "if True:").replace(
        "def find_user(email: str) -> dict:\n",
        'def find_user(email: str) -> dict:\n    open("found", "a").write("x")\n',
    )
    (cli.folder / "broken.py").write_text(broken)
    words = ("run", TASK, "--use-skill", "cancel_order", "--yes", "--json")
    failed = cli(*words, "--tools", "broken.py").document
    assert failed["success"] is False
    resumed = cli("run", "--resume", failed["execution_id"][:-3], "--tools", "shop.py", "--yes", "--json")
    assert resumed.code == 0, resumed
    assert resumed.document["execution_id"] == failed["execution_id"]
    assert resumed.document["outputs"] == {"status": "cancelled"}
    assert (cli.folder / "found").read_text() == "x"
    again = cli("run", "--resume", failed["execution_id"], "--tools", "shop.py")
    assert again.code == 2
    assert cli("run", "--resume", "ffffffff").code == 3


def test_no_match_without_a_skill_has_nothing_to_run(cli: Cli) -> None:
    """``--no-match`` without a named skill says what to name, with exit code 4."""
    result = cli("run", TASK, "--no-match", "--json")
    assert (result.code, result.error["code"]) == (4, "no_match")
