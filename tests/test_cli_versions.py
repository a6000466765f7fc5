"""Tests of ``versions``, ``diff`` and ``rollback``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import Cli, code_skill, fill

from skillsmith.db import Database
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Skill, Slot, Template


def used(db: Database, skill: Skill, *successes: bool) -> None:
    """Record one execution of a skill for each verdict."""
    ledger = ExecutionLedger(db)
    for success in successes:
        execution = ledger.start(skill, task="t", run_id=None, inputs={})
        ledger.finish(execution, success=success, outputs={}, adaptations=(), artifacts=())


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with a skill of two versions."""
    line = Cli(tmp_path, tmp_path / "x.db")
    skill = code_skill()
    code = replace(skill.nodes[0], template=Template(
        text="with open('greeting.txt', 'w') as file:\n    file.write('Hi ' + {person})\n",
        slots=(Slot(variable="person", encoding="python"),)))  # fmt: skip
    fill(line, skill, replace(skill, nodes=(code,), reason="shorter"))
    return line


def test_versions_are_listed_with_their_history(cli: Cli) -> None:
    """Items newest first, page by page; what was done; for people a table."""
    document = cli.json("versions", "write_greeting")
    assert [(one["version"], one["current"], one["reason"]) for one in document["items"]] == [
        (2, True, "shorter"), (1, False, ""),
    ]  # fmt: skip
    assert document["next"] is None
    assert document["proposal"] is None
    assert [one["action"] for one in document["history"]] == ["created", "created"]
    page = cli.json("versions", "write_greeting", "--limit", 1)
    assert [one["version"] for one in page["items"]] == [2]
    rest = cli.json("versions", "write_greeting", "--after", page["next"])
    assert [one["version"] for one in rest["items"]] == [1]
    shown = cli("versions", "write_greeting")
    assert shown.code == 0, shown
    assert "shorter" in shown.stdout
    assert cli.inside("versions", "write_greeting", "--after", "x").code == 2
    assert cli.inside("versions", "nothing").code == 3


def test_a_difference_is_shown_as_code(cli: Cli) -> None:
    """The changed template is a unified diff, for people and scripts."""
    document = cli.json("diff", "write_greeting", "1", "v2")
    assert document["versions"] == [1, 2]
    (change,) = document["changes"]
    assert (change["kind"], change["where"]) == ("template", "n1")
    shown = cli("diff", "write_greeting", 1, 2)
    assert shown.code == 0
    assert "-    file.write('Hello ' + {person})" in shown.stdout
    assert cli.inside("diff", "write_greeting", "one", "2").code == 2
    assert cli.inside("diff", "write_greeting", "1", "9").code == 3


def test_rollback_moves_the_pointer_and_says_why(cli: Cli) -> None:
    """The name means the older version again; a deleted one cannot come back."""
    result = cli("rollback", "write_greeting", "--to", 1, "--reason", "too short", "--json")
    assert result.document == {"skill": "write_greeting", "version": 1, "from_version": 2, "state": "proven"}
    history = cli.json("versions", "write_greeting")["history"]
    assert (history[0]["action"], history[0]["reason"]) == ("rolled_back", "too short")
    assert cli.json("show", "write_greeting")["version"] == 1
    cli.json("delete", "write_greeting@2", "--yes")
    gone = cli("rollback", "write_greeting", "--to", 2)
    assert gone.code == 3
    assert "version 2 of write_greeting was deleted on" in gone.stderr
    cli.json("delete", "write_greeting", "--yes")
    document = cli.json("versions", "write_greeting")
    assert document["items"] == []
    assert document["history"][0]["action"] == "deleted"


def test_a_version_in_quarantine_is_refused(cli: Cli) -> None:
    """Exit code 5, and the way out."""
    fill(cli, replace(code_skill(), body="x", state="quarantined"))
    fill(cli, replace(code_skill(), body="y"))
    result = cli("rollback", "write_greeting", "--to", 3, "--json")
    assert result.code == 5
    assert result.error["code"] == "untrusted"
    assert "skillsmith trust write_greeting@3" in result.error["hint"]


def test_going_back_is_proposed_on_the_command_line(cli: Cli) -> None:
    """A version that fails where its parent succeeded is shown with the command that leads back."""
    db = Database(cli.db)
    skills = SkillRepository(db)
    used(db, skills.get("write_greeting@1"), *[True] * 12)
    used(db, skills.get("write_greeting@2"), *[False] * 8)
    db.close()
    assert cli.json("versions", "write_greeting")["proposal"]["to"] == 1
    assert "skillsmith rollback write_greeting --to 1" in cli("versions", "write_greeting").stdout
