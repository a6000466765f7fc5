from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from cli_process import Cli, code_skill, fill, tool_skill

from skillsmith.workspace import open_workspace


@pytest.fixture
def ann(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Ann's command line with two skills."""
    monkeypatch.setenv("SKILLSMITH_HUB", database)
    line = Cli(tmp_path, tmp_path / "ann.db")
    fill(line, tool_skill(), code_skill())
    return line


@pytest.fixture
def bob(tmp_path: Path, ann: Cli) -> Cli:
    """Bob's command line without any."""
    return Cli(tmp_path, tmp_path / "bob.db")


def test_push_pull_match_status(ann: Cli, bob: Cli) -> None:
    """The whole way of a skill from one file to another, with the documents that scripts rely on."""
    pushed = ann.json("hub", "push")
    assert (sorted(pushed["versions"]), pushed["conflicts"]) == (["cancel_order@1", "write_greeting@1"], [])
    fill(bob)
    found = bob.json("hub", "match", "cancel order ORD-7001 of eve1@example.org", "--min-confidence", 0)
    assert found["matches"][0]["name"] == "cancel_order"
    assert found["matches"][0]["here"] is None
    pulled = bob.json("hub", "pull")
    assert sorted(pulled["quarantined"]) == ["cancel_order@1", "write_greeting@1"]
    state = bob.json("hub", "status", "cancel_order")
    assert (state["skills"], state["to_read"]["versions"]) == (2, 0)
    assert state["numbers"][0]["here"] == 1
    assert "cancel_order@1" not in bob.inside("hub", "pull").stdout
    assert bob.inside("hub", "match", "water the roses").code == 4


def test_a_conflict_has_its_exit_code(ann: Cli, bob: Cli) -> None:
    """Pointers that both moved are told row by row, with the commands that decide."""
    ann.json("hub", "push")
    fill(bob, replace(tool_skill(), description="Bob's own."))
    result = bob.inside("hub", "push")
    assert (result.code, "conflict: cancel_order@1 and the hub's" in result.stderr) == (5, True)
    assert "--ours cancel_order" in result.stderr
    assert "nothing is known that both came from" in bob.inside("hub", "pull").stderr
    assert bob.json("hub", "push", "--ours", "cancel_order")["moved"] == ["cancel_order"]


def test_runs_are_archived_and_brought_back(ann: Cli) -> None:
    """A run moves to the hub and back by two commands; the list of archived runs knows it meanwhile."""
    with open_workspace(ann.db) as workspace:
        run = workspace.runs.finish(workspace.runs.create("a task").id, outcome="success")
    assert ann.json("hub", "archive", run.id, "--yes")["runs"] == [run.id]
    assert [one["id"] for one in ann.json("runs", "--archived")["items"]] == [run.id]
    shown = ann.inside("timeline", run.id)
    assert (shown.code, "hub pull --run" in shown.stderr) == (3, True)
    assert "hub pull --run" in ann.inside("archive", run.id, "--restore").stderr
    assert ann.json("hub", "pull", "--run", run.id)["runs"] == [run.id]
    assert ann.json("runs", "--archived")["items"] == []


def test_text_for_people(ann: Cli, bob: Cli) -> None:
    """Without --json everything is told in lines."""
    assert "pushed cancel_order@1" in ann.inside("hub", "push").stdout
    assert "pulled cancel_order@1" in bob.inside("hub", "pull").stdout
    assert "nothing new" in ann.inside("hub", "push").stderr + ann.inside("hub", "push").stderr
    text = bob.inside("hub", "status", "cancel_order").stdout
    assert "2 in 2 versions" in text
    assert "version 1 here" in text
    assert "cancel_order" in bob.inside("hub", "match", "cancel an order", "--min-confidence", 0).stdout


def test_mistakes_are_one_line(ann: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, a password in the open, no runs named, a folder that is not empty."""
    assert ann.inside("hub", "push", "--hub", "postgresql://a:b@c/d").code == 2
    assert ann.inside("hub", "archive").code == 2
    result = ann.inside("hub", "try", str(ann.folder), "--yes")
    assert (result.code, "holds something else" in result.stderr) == (1, True)
    assert ann.inside("hub", "try", str(ann.folder / "none"), "--stop").code == 3
    monkeypatch.delenv("SKILLSMITH_HUB")
    assert ann.inside("hub", "status").code == 2
