"""Tests of what every command shares: options, help, errors and exit codes, also of real processes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from cli_process import Cli, fill, order_run, tool_skill, write_json

from skillsmith.cli.app import COMMANDS, GROUPS


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Return a command line with three runs in its file."""
    folder = tmp_path_factory.mktemp("basics")
    line = Cli(folder, folder / "x.db")
    log = write_json(folder / "log.json", [order_run(1), order_run(2), order_run(3, success=False)])
    assert line("ingest", log).code == 0
    return line


def test_version_is_printed(cli: Cli) -> None:
    """``--version`` prints name and version and nothing else."""
    result = cli.process("--version")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.split()[0] == "skillsmith"


def test_help_lists_every_command(cli: Cli) -> None:
    """``--help`` lists every command with a whole sentence, not cut off."""
    result = cli.process("--help")
    assert result.code == 0
    lines = result.stdout.splitlines()
    for name, entry in COMMANDS.items():
        if " " not in name:
            assert any(line.split()[:1] == [name] and line.endswith(entry.summary) for line in lines), name
    for name, summary in GROUPS.items():
        assert any(line.split()[:1] == [name] and line.endswith(summary) for line in lines), name


def test_nothing_asked_for_shows_help(cli: Cli) -> None:
    """Without a command the help goes to stderr, stdout stays empty and the exit code is 2."""
    result = cli.process()
    assert (result.code, result.stdout) == (2, "")
    assert "Usage: skillsmith" in result.stderr


@pytest.mark.parametrize("words", [("--db", "{db}", "runs"), ("runs", "--db", "{db}")])
def test_db_stands_before_or_after_the_command(cli: Cli, words: tuple[str, ...]) -> None:
    """``--db`` is taken on either side of the command's name, and wins over the environment."""
    line = [word.format(db=cli.db) for word in words]
    result = cli(*line, "--json", SKILLSMITH_DB="/nowhere/else.db")
    assert len(result.document["items"]) == 3


@pytest.mark.parametrize("words", [("--json", "runs"), ("runs", "--json"), ("--json", "runs", "--json")])
def test_json_stands_before_or_after_the_command(cli: Cli, words: tuple[str, ...]) -> None:
    """``--json`` is taken on either side of the command's name."""
    result = cli(*words)
    assert result.stderr == ""
    assert set(result.document) == {"items", "next"}


def test_options_of_a_group_stand_on_either_side(cli: Cli) -> None:
    """Also a command of two words takes ``--json`` before and after."""
    for words in (("--json", "model", "status"), ("model", "status", "--json")):
        assert "ready" in cli(*words).document


USAGE = [
    ("nonsense",),
    ("runs", "--nonsense"),
    ("runs", "--limit", "many"),
    ("runs", "--limit", "-1"),
    ("runs", "--outcome", "great"),
    ("timeline",),
    ("timeline", "0", "--kind", "nonsense"),
    ("timeline", "0", "--after", "x"),
    ("mark", "0"),
    ("mark", "0", "--outcome", "great"),
    ("list", "--sort", "colour"),
    ("list", "--state", "good"),
    ("extract",),
    ("run",),
    ("export", "-o", "out"),
    ("export", "a", "--all", "-o", "out"),
    ("ingest", ".", "--format", "nonsense"),
    ("model", "nonsense"),
]


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_usage_errors(cli: Cli, words: tuple[str, ...]) -> None:
    """A wrong command line is told in one line with a way out, and the exit code is 2."""
    result = cli.inside(*words)
    assert (result.code, result.stdout) == (2, ""), result
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert ";" in result.stderr


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_usage_errors_as_json(cli: Cli, words: tuple[str, ...]) -> None:
    """With ``--json`` a wrong command line is one error document on stderr."""
    result = cli.inside(*words, "--json")
    assert (result.code, result.stdout) == (2, "")
    assert result.error["code"] == "usage"
    assert result.error["hint"]


NOT_FOUND = [
    ("timeline", "ffffffff"),
    ("mark", "ffffffff", "--outcome", "success"),
    ("artifacts", "ffffffff"),
    ("runs", "--after", "ffffffff"),
    ("extract", "ffffffff", "--name", "x"),
    ("show", "nothing"),
    ("show", "nothing@3"),
    ("delete", "nothing", "--yes"),
    ("stats", "nothing"),
    ("executions", "nothing"),
    ("trust", "nothing"),
    ("export", "nothing", "-o", "out"),
    ("import", "nowhere.skill.json"),
    ("verify", "nowhere.skill.json"),
    ("ingest", "nowhere.json"),
]


@pytest.mark.parametrize("words", NOT_FOUND, ids=" ".join)
def test_unknown_names(cli: Cli, words: tuple[str, ...]) -> None:
    """What does not exist is named, and the exit code is 3."""
    result = cli.inside(*words, "--json")
    assert (result.code, result.stdout) == (3, ""), result
    assert result.error["code"] == "not_found"
    assert result.error["message"]


@pytest.mark.parametrize(("words", "code"), [(USAGE[0], 2), (NOT_FOUND[0], 3)], ids=["usage", "not found"])
def test_errors_of_a_process(cli: Cli, words: tuple[str, ...], code: int) -> None:
    """A real process ends with the same exit code and the same one line."""
    result, inside = cli.process(*words), cli.inside(*words)
    assert (result.code, result.stdout, result.stderr) == (code, "", inside.stderr)


def test_every_command_works_as_a_process(tmp_path: Path) -> None:
    """Every command, as a real process, succeeds and prints exactly one JSON document."""
    line = Cli(tmp_path, tmp_path / "x.db")
    log = write_json(tmp_path / "log.json", [order_run(1), order_run(2)])
    run = line.json("ingest", log)["runs"][0]["id"]
    fill(line, tool_skill("first"), tool_skill("second"))
    commands: list[tuple[object, ...]] = [
        ("ingest", log), ("runs",), ("timeline", run), ("artifacts", run),
        ("mark", run, "--outcome", "success"), ("extract", run, "--name", "third"), ("list",),
        ("show", "third", "--why"),
        ("match", "cancel order ORD-7001", "--min-confidence", "0"),
        ("run", "cancel order ORD-7001", "--use-skill", "first", "--dry-run"), ("executions", "first"),
        ("stats", "first"), ("compare", "first", run), ("export-run", run),
        ("optimize", "first"), ("versions", "first"), ("diff", "first", "1", "1"),
        ("rollback", "first", "--to", "1"), ("analytics",), ("usage", "first"), ("learn", run),
        ("summarize", run),
        ("export", "first", "-o", "out"), ("delete", "first", "--yes"), ("import", "out"),
        ("trust", "first"), ("sync", "git"), ("verify",), ("verify", "out"), ("reindex",), ("doctor",),
        ("compose", "--skills", "first,second", "--pattern", "parallel", "--name", "both"),
        ("backup", "copy.db"), ("archive", run, "--to", "old.db", "--yes"),
        ("model", "status"),
    ]  # fmt: skip
    missing = {
        name for name in COMMANDS if not any(" ".join(map(str, words)).startswith(name) for words in commands)
    }
    own_files = {"demo", "hub", "mcp", "model install", "run-many", "serve", "tui", "watch"}
    assert {name for name in missing if name.split()[0] not in own_files} == {"model install"}
    for words in commands:
        result = line.process(*words, "--json", SKILLSMITH_MODEL_DIR=str(tmp_path / "no models"))
        assert (result.code, result.stderr) == (0, ""), (words, result)
        assert isinstance(result.document, dict), words


def test_missing_file_is_not_made_by_reading(cli: Cli, tmp_path: Path) -> None:
    """A command that reads does not make a missing file; it says how to get one."""
    result = cli("runs", "--db", tmp_path / "none.db")
    assert result.code == 3
    assert "ingest" in result.stderr
    assert not (tmp_path / "none.db").exists()


def test_foreign_file_is_refused(cli: Cli, tmp_path: Path) -> None:
    """A file that is not a skillsmith file is left alone, and named in one line."""
    foreign = tmp_path / "notes.txt"
    foreign.write_text("my notes, " * 100)
    result = cli("runs", "--db", foreign)
    assert result.code == 1
    assert str(foreign) in result.stderr
    assert result.stderr.count("\n") == 1
    assert foreign.read_text() == "my notes, " * 100


def test_closed_pipe_is_no_error(cli: Cli) -> None:
    """A reader that goes away early (``| head``) causes no message."""
    process = cli.start("timeline", cli.json("runs")["items"][0]["id"])
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.wait(30)


def test_interrupt_keeps_what_was_done(cli: Cli, tmp_path: Path) -> None:
    """Ctrl-C ends a command with one line and exit code 130; what was stored stays, and can be completed."""
    mine = Cli(tmp_path, tmp_path / "x.db")
    mine.json("ingest", write_json(tmp_path / "first.json", [order_run(5000)]))
    log = write_json(tmp_path / "log.json", [order_run(number) for number in range(400)])
    process = mine.start("ingest", log)
    while len(mine.inside("runs", "--limit", "3", "--json").document["items"]) < 3:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (130, "", "error: interrupted\n")
    before = len(mine.json("runs", "--limit", 0)["items"]) - 1
    assert 0 < before < 400
    added = mine.json("ingest", log)["runs"]
    assert sum(run["new"] for run in added) == 400 - before


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_the_commands(cli: Cli, shell: str) -> None:
    """The shell completes names of commands."""
    result = cli.process(
        _SKILLSMITH_COMPLETE=f"complete_{shell}", COMP_WORDS="skillsmith ex", COMP_CWORD="1",
        _TYPER_COMPLETE_ARGS="skillsmith ex",
    )  # fmt: skip
    assert "extract" in result.stdout
    assert "export" in result.stdout
