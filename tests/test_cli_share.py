"""Tests of sharing skills as files: export, import, trust, verify."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import Cli, code_skill, fill, tool_skill

from skillsmith.library.sharing.folder import folder_hash, read_files


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


def test_export_to_where_agents_look(cli: Cli, other: Cli) -> None:
    """``--to`` writes SKILL.md folders into the project and their digests into its lock file."""
    (cli.folder / "skills-lock.json").write_text(
        '{"version": 1, "kept": 1, "skills": {"x": {"source": "a/b", "sourceType": "github"}}}'
    )
    for place in ("agents", "claude"):
        written = cli.json("export", "--all", "--to", place)["written"]
        folder = cli.folder / f".{place}" / "skills"
        assert [cli.folder / path for path in written] == [folder / "cancel-order", folder / "write-greeting"]
    lock = json.loads((cli.folder / "skills-lock.json").read_text())
    assert (lock["kept"], sorted(lock["skills"])) == (1, ["cancel-order", "write-greeting", "x"])
    entry = lock["skills"]["write-greeting"]
    assert entry["computedHash"] == folder_hash(read_files(folder / "write-greeting"))
    assert (entry["sourceType"], entry["skillsmith"]) == ("local", "write_greeting@1")
    assert (entry["source"], entry["skillPath"]) == (
        ".claude/skills/write-greeting",
        ".claude/skills/write-greeting/SKILL.md",
    )
    assert cli.json("verify", folder)["problems"] == []
    taken = other.json("import", folder)
    assert taken["quarantined"] == ["cancel_order@1", "write_greeting@1"]
    shutil.rmtree(cli.folder / ".agents")
    (folder / "write-greeting/scripts/n1.py").write_text("print(1)")
    problems = cli("verify", folder, "--json").document["problems"]
    assert any("it was changed since" in problem for problem in problems)


@pytest.mark.parametrize("words", [
    (), ("--to", "nowhere"), ("--to", "agents", "-o", "x"), ("--to", "agents", "--format", "json"),
    ("-o", "x", "--format", "yaml"), ("-o", "x", "--dialect", "klingon"),
])  # fmt: skip
def test_where_and_how_to_export_must_be_clear(cli: Cli, words: tuple[str, ...]) -> None:
    """Options that say nothing, too much or nonsense are answered with exit code 2 and one line."""
    result = cli.inside("export", "--all", *words)
    assert (result.code, result.stderr.count("\n")) == (2, 1)


def test_a_damaged_lock_file_stops_the_export(cli: Cli) -> None:
    """What others wrote into it is not lost; nothing is written."""
    (cli.folder / "skills-lock.json").write_text("{")
    result = cli("export", "--all", "--to", "agents")
    assert (result.code, result.stderr.count("\n")) == (5, 1)
    assert not list((cli.folder / ".agents/skills").iterdir())


def test_a_prose_skill_goes_to_an_agent(other: Cli) -> None:
    """A SKILL.md from elsewhere is found for its task; without a model, running it says what is missing."""
    folder = other.folder / "tree" / "make-gif"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(
        "---\nname: make-gif\ndescription: Make animated GIFs.\n---\nUse pillow.\n"
    )
    (other.folder / "tree" / "bad").mkdir()
    (other.folder / "tree" / "bad" / "SKILL.md").write_text("---\nname: bad\n---\n")
    result = other("import", other.folder / "tree", "--json")
    assert (result.code, result.document["imported"], result.document["quarantined"]) == (
        5,
        ["make-gif@1"],
        [],
    )
    assert "no description" in result.document["problems"][0]["reason"]
    assert "Use pillow." in other("show", "make-gif").stdout
    assert other.json("match", "animated gifs", "--min-confidence", "0")["matches"][0]["name"] == "make-gif"
    words = ("run", "Dance", "--use-skill", "make-gif", "--set", "task=Dance", "--json")
    plan = other.json(*words[:-1], "--dry-run")
    assert "Dance" in json.dumps(plan)
    result = other(*words, "--yes")
    assert result.code == 1
    assert "no agent can run them" in result.error["message"]


def test_sync_refuses_what_both_changed(cli: Cli, other: Cli, tmp_path: Path) -> None:
    """The exit code is 5, the line names the step and both ways on; merged skills are told."""
    folder = tmp_path / "git"
    cli.json("sync", folder)
    other.json("sync", folder)
    other.json("trust", "cancel_order")
    first, second = tool_skill().nodes
    fill(cli, replace(tool_skill(), nodes=(replace(first, title="one"), second)))
    cli.json("sync", folder)
    fill(other, replace(tool_skill(), nodes=(first, replace(second, title="two"))))
    assert other.json("sync", folder)["merged"] == ["cancel_order@4"]
    fill(cli, replace(tool_skill(), nodes=(replace(first, title="other"), second)))
    fill(other, replace(tool_skill(), nodes=(replace(first, title="another"), second)))
    assert cli.json("sync", folder)["merged"]
    result = other("sync", folder)
    assert result.code == 5
    assert "node n1 was changed differently on both sides; both are kept" in result.stderr
