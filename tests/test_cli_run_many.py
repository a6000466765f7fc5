"""Tests of ``run-many``."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_process import TOOLS, Cli, code_skill, fill, tool_skill


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with a code skill, a tool skill and one in quarantine."""
    line = Cli(tmp_path, tmp_path / "x.db")
    fill(line, tool_skill(), code_skill(), replace(code_skill("foreign"), state="quarantined"))
    (tmp_path / "shop.py").write_text(TOOLS)
    return line


def people(cli: Cli, count: int) -> Path:
    """Write a table of inputs."""
    path = cli.folder / "people.csv"
    path.write_text("person\n" + "".join(f"P{number}\n" for number in range(count)))
    return path


def lines(path: Path) -> list[Any]:
    """Return the results in a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_table_of_inputs_is_done(cli: Cli) -> None:
    """Each row has a result; the document counts them."""
    result = cli("run-many", "write_greeting", people(cli, 5), "--workers", 2, "--json")
    assert result.code == 0, result
    assert (result.document["items"], result.document["succeeded"], result.document["failed"]) == (5, 5, 0)
    kept = lines(Path(result.document["results"]))
    assert {one["inputs"]["person"] for one in kept} == {f"P{number}" for number in range(5)}
    assert cli.json("stats", "write_greeting")["executions"] == 5


def test_failures_are_results_too_and_can_be_tried_again(cli: Cli) -> None:
    """A failing input leaves its error and exit code 1, and does not keep the others from being done."""
    orders = cli.folder / "orders.jsonl"
    email = "ann@example.org"
    orders.write_text("".join(
        json.dumps({"email": email, "order_id": order}) + "\n" for order in ("ORD-8001", "ORD-8002")
    ))  # fmt: skip
    words = ("run-many", "cancel_order", orders, "--tools", "shop.py", "--yes", "-o", "out.jsonl")
    result = cli(*words)
    assert result.code == 1
    assert "1 succeeded, 1 failed" in result.stdout
    by_order = {one["inputs"]["order_id"]: one for one in lines(cli.folder / "out.jsonl")}
    assert by_order["ORD-8001"]["outputs"] == {"status": "cancelled"}
    assert "ORD-8002 cannot be cancelled" in by_order["ORD-8002"]["error"]


def test_tools_that_write_need_a_yes(cli: Cli) -> None:
    """Where nobody can be asked, nothing is called without --yes."""
    orders = cli.folder / "orders.jsonl"
    orders.write_text(json.dumps({"email": "ann@example.org", "order_id": "ORD-8001"}))
    result = cli("run-many", "cancel_order", orders, "--tools", "shop.py")
    assert (result.code, result.stdout) == (5, "")
    assert "--yes" in result.stderr


def test_what_could_not_begin_is_refused_before_anything_runs(cli: Cli) -> None:
    """A skill in quarantine, a bad row and a missing tool are told at once; no results file appears."""
    table = people(cli, 2)
    assert cli("run-many", "foreign", table).code == 5
    wrong = cli.folder / "wrong.csv"
    wrong.write_text("nobody\nAnn\n")
    result = cli("run-many", "write_greeting", wrong)
    assert result.code == 2
    assert "line 2" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in cli.folder.glob("*.results.jsonl*")] == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_was_stopped_goes_on(cli: Cli, how: signal.Signals) -> None:
    """After Ctrl-C or a kill the same command does the rest, and no input twice; no worker stays behind."""
    words = ("run-many", "write_greeting", people(cli, 60), "--workers", 2)
    process = cli.start(*words)
    results = cli.folder / "people.csv.results.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (results.exists() and results.stat().st_size):
        time.sleep(0.02)
    process.send_signal(how)
    process.wait(timeout=60)
    again = cli.json(*words, HOME=str(cli.folder))
    assert (again["succeeded"], again["failed"]) == (60, 0)
    assert again["executed"] < 60
    assert sorted(one["index"] for one in lines(results)) == list(range(1, 61))
    stats = cli.json("stats", "write_greeting")
    assert stats["completed"] == 60
    assert stats["executions"] == 60
