"""Tests of making skills from runs on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_process import TOOLS, Cli, order_run, write_json


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a command line with two successful runs and a failed one, and no model."""
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path / "no models"))
    line = Cli(tmp_path, tmp_path / "x.db")
    runs = [order_run(1), order_run(2), order_run(3, success=False)]
    assert line("ingest", write_json(tmp_path / "log.json", runs)).code == 0
    (tmp_path / "shop.py").write_text(TOOLS)
    return line


def _run(cli: Cli, number: int) -> str:
    (found,) = cli.json("runs", "--search", f"ORD-{7000 + number}")["items"]
    identity: str = found["id"]
    return identity


def test_a_run_becomes_a_proven_skill(cli: Cli) -> None:
    """The document has skill, proof, inputs, outputs, nodes, and what was left out."""
    document = cli.json("extract", _run(cli, 1), "--name", "cancel")
    assert set(document) >= {
        "skill", "version", "state", "proof", "inputs", "outputs", "nodes", "left_out", "duplicates",
    }  # fmt: skip
    assert (document["skill"], document["version"], document["state"]) == ("cancel", 1, "proven")
    assert document["proof"]["passed"] is True
    assert document["proof"]["failures"] == []
    assert document["inputs"]["properties"]["order_id"]["default"] == "ORD-7001"
    assert "cancel_order" in [node.get("tool") for node in document["nodes"]]
    assert any("list_orders" in reason["subject"] for reason in document["left_out"])


def test_the_skill_does_the_same_for_another_customer(cli: Cli) -> None:
    """A skill made from one run does another task with the values of that task."""
    cli.json("extract", _run(cli, 1), "--name", "cancel")
    task = "I am ann@example.org. Please cancel order ORD-8001: ordered by mistake."
    document = cli.json("run", task, "--use-skill", "cancel", "--tools", "shop.py", "--yes")
    assert document["success"] is True
    calls = cli.json("timeline", document["run_id"], "--kind", "tool_call")["items"]
    assert calls[-1]["tool"]["arguments"]["order_id"] == "ORD-8001"


def test_people_see_proof_inputs_and_steps(cli: Cli) -> None:
    """People see the proof, the inputs and the steps of what was made."""
    text = cli("extract", _run(cli, 1), "--name", "cancel").stdout
    for part in ("cancel@1  proven", "proof: reconstructs passed", "cancel_order", "ORD-7001"):
        assert part in text


def test_options_reach_the_skill(cli: Cli) -> None:
    """Tags, description and the public mark given are those of the skill."""
    cli.json(
        "extract",
        _run(cli, 1),
        "--name",
        "cancel",
        "--tags",
        "shop, orders",
        "--description",
        "Mine.",
        "--public",
    )
    document = cli.json("show", "cancel")
    assert (document["tags"], document["description"], document["public"]) == (
        ["shop", "orders"],
        "Mine.",
        True,
    )


def test_a_known_name_gets_a_new_version(cli: Cli) -> None:
    """Extracting under a name that is there makes the next version of it."""
    cli.json("extract", _run(cli, 1), "--name", "cancel")
    assert cli.json("extract", _run(cli, 2), "--name", "cancel")["version"] == 2


def test_a_near_duplicate_is_refused(cli: Cli) -> None:
    """What the library has already under another name is refused with exit code 5, unless forced."""
    cli.json("extract", _run(cli, 1), "--name", "cancel")
    result = cli("extract", _run(cli, 2), "--name", "again", "--json")
    assert (result.code, result.stdout, result.error["code"]) == (5, "", "near_duplicate")
    assert "cancel" in result.error["message"]
    assert (
        cli.json("extract", _run(cli, 2), "--name", "again", "--force")["duplicates"][0]["name"] == "cancel"
    )


def test_a_failed_run_gives_no_skill(cli: Cli) -> None:
    """A failed run is refused with its reason; a person may say that it succeeded."""
    run = _run(cli, 3)
    result = cli("extract", run, "--name", "cancel", "--json")
    assert (result.code, result.error["code"]) == (1, "extraction")
    assert "mark" in result.error["hint"]
    cli.json("mark", run, "--outcome", "success")
    assert cli.json("extract", run, "--name", "cancel")["state"] == "proven"


@pytest.mark.parametrize("steps", ["3-1", "a", "1-"])
def test_wrong_steps_are_usage_errors(cli: Cli, steps: str) -> None:
    """A range of steps that is none has exit code 2."""
    assert cli("extract", _run(cli, 1), "--name", "x", "--steps", steps).code == 2


def test_all_successful_runs_at_once(cli: Cli) -> None:
    """Each family of successful runs becomes one skill; nothing is made twice."""
    document = cli.json("extract", "--all-successful", "--name", "shop")
    (made,) = document["items"]
    assert made["skill"] == "shop-1"
    assert sorted(made["runs"]) == sorted([_run(cli, 1), _run(cli, 2)])
    assert (made["proof"]["level"], made["proof"]["passed"]) == ("generalises", True)
    assert [sorted(one["runs"]) for one in document["families"]] == [sorted(made["runs"])]
    again = cli.json("extract", "--all-successful", "--name", "shop")
    assert {item["code"] for item in again["items"]} == {"near_duplicate"}
    assert len(cli.json("list")["items"]) == 1
    text = cli("extract", _run(cli, 1), "--all-successful", "--name", "more", "--force").stdout
    assert "1 skill from 1 successful run" in text


def test_several_runs_give_one_skill(cli: Cli) -> None:
    """Runs named together are lined up; a range of steps is for one run only."""
    runs = [_run(cli, 1), _run(cli, 2)]
    document = cli.json("extract", *runs, "--name", "both")
    assert document["state"] == "proven"
    assert (document["proof"]["level"], document["proof"]["compared"]) == ("generalises", 2)
    assert cli("extract", *runs, "--steps", "1-2").code == 2
