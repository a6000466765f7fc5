"""Tests of sharing skills as files: export, import, trust, verify; through real processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import Cli, code_skill, fill, tool_skill


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with two skills in its file."""
    (tmp_path / "ours").mkdir()
    line = Cli(tmp_path / "ours", tmp_path / "ours" / "x.db")
    fill(line, tool_skill(), code_skill())
    return line


@pytest.fixture
def other(tmp_path: Path) -> Cli:
    """Return a command line of somebody else, with no file yet."""
    (tmp_path / "theirs").mkdir()
    return Cli(tmp_path / "theirs", tmp_path / "theirs" / "x.db")


def test_export_and_import_keep_everything(cli: Cli, other: Cli) -> None:
    """What is exported arrives whole, in quarantine, and exports to the same bytes again."""
    written = cli.json("export", "--all", "-o", "shared")["written"]
    assert sorted(Path(path).name for path in written) == [
        "cancel_order.skill.json", "write_greeting.skill.json",
    ]  # fmt: skip
    document = other.json("import", cli.folder / "shared")
    assert (
        sorted(document["imported"])
        == sorted(document["quarantined"])
        == ["cancel_order@1", "write_greeting@1"]
    )
    assert document["conflicts"] == []
    assert other("trust", "write_greeting").code == 0
    other.json("export", "write_greeting", "-o", "back")
    assert (other.folder / "back/write_greeting.skill.json").read_bytes() == (
        cli.folder / "shared/write_greeting.skill.json"
    ).read_bytes()


def test_importing_again_changes_nothing(cli: Cli, other: Cli) -> None:
    """A file that is in the library already adds nothing."""
    cli.json("export", "--all", "-o", "shared")
    other.json("import", cli.folder / "shared")
    again = other.json("import", cli.folder / "shared")
    assert again["imported"] == []
    assert len(again["unchanged"]) == 2


def test_tampered_file_is_refused(cli: Cli, other: Cli) -> None:
    """A file that was changed after its export is refused by import and verify, with exit code 5."""
    cli.json("export", "write_greeting", "-o", "shared")
    path = cli.folder / "shared" / "write_greeting.skill.json"
    assert other.json("verify", path)["problems"] == []
    path.write_text(path.read_text().replace("'Hello '", "'Goodbye '"))
    result = other("import", path, "--json")
    assert (result.code, result.stdout, result.error["code"]) == (5, "", "invalid_skill_file")
    result = other("verify", path, "--json")
    assert result.code == 5
    assert len(result.document["problems"]) == 1
    assert "write_greeting.skill.json" in result.document["problems"][0]
    assert other.json("list")["items"] == []


def test_one_bad_file_does_not_spoil_a_folder(cli: Cli, other: Cli) -> None:
    """Of a folder the valid files are imported, the others named, and the exit code is 5."""
    cli.json("export", "--all", "-o", "shared")
    bad = cli.folder / "shared" / "write_greeting.skill.json"
    bad.write_text(bad.read_text()[:-50])
    result = other("import", cli.folder / "shared", "--json")
    assert result.code == 5
    assert result.document["imported"] == ["cancel_order@1"]
    assert [Path(problem["path"]).name for problem in result.document["problems"]] == [bad.name]
    assert bad.name in result.stderr


def test_conflicts_are_shown_and_can_become_versions(cli: Cli, other: Cli) -> None:
    """Other content under a name that is taken is left out and named; ``--new-version`` adds it."""
    fill(other, replace(code_skill(), description="Another one."))
    cli.json("export", "write_greeting", "-o", "shared")
    result = other("import", cli.folder / "shared", "--json")
    assert result.code == 1
    assert result.document["conflicts"][0]["name"] == "write_greeting"
    assert "description" in result.document["conflicts"][0]["differs"]
    assert "--new-version" in other("import", cli.folder / "shared").stderr
    assert other.json("import", cli.folder / "shared", "--new-version")["imported"] == ["write_greeting@2"]
    assert other.json("show", "write_greeting")["version"] == 1
    assert other.json("trust", "write_greeting") == {
        "skill": "write_greeting",
        "version": 2,
        "state": "trusted",
    }
    assert other.json("show", "write_greeting")["version"] == 2


def test_single_skill_can_be_named_with_its_version(cli: Cli) -> None:
    """``NAME@VERSION`` exports that version, also to a file of a given name."""
    fill(cli, replace(code_skill(), description="Better."))
    cli.json("export", "write_greeting@1", "-o", "first.json")
    assert "Write a greeting into a file." in (cli.folder / "first.json").read_text()


def test_verify_checks_the_database(cli: Cli) -> None:
    """Without a path the whole database is checked; people get a line of counts."""
    document = cli.json("verify")
    assert document["problems"] == []
    assert document["checked"]
    assert "0 problems" in cli("verify").stdout


def test_sync_goes_both_ways_and_says_what_moved(cli: Cli, other: Cli, tmp_path: Path) -> None:
    """Skills made here appear in the folder; another library takes them from there, in quarantine."""
    folder = tmp_path / "git"
    written = cli.json("sync", folder)["written"]
    assert len(written) == 2
    assert cli.json("sync", folder)["written"] == []
    taken = other.json("sync", folder)
    assert taken["written"] == []
    assert sorted(taken["imported"]) == sorted(taken["quarantined"]) == ["cancel_order@1", "write_greeting@1"]
