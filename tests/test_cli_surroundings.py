"""Tests of a command's surroundings: files that may not be written, streams that are closed or full."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from cli_process import Cli, fill, order_run, tool_skill, write_json

from skillsmith.library.sync import sync_folder
from skillsmith.workspace import open_workspace

READING = (
    ("runs",), ("runs", "--search", "order"), ("list",), ("show", "cancel_order"), ("analytics",),
    ("match", "cancel order ORD-1"), ("versions", "cancel_order"), ("stats", "cancel_order"),
    ("executions", "cancel_order"), ("optimize",), ("verify",), ("doctor",),
)  # fmt: skip


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line whose file has runs and a skill."""
    line = Cli(tmp_path, tmp_path / "x.db")
    line.json("ingest", write_json(tmp_path / "log.json", [order_run(number) for number in range(1, 4)]))
    fill(line, tool_skill())
    return line


@pytest.fixture
def frozen(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return the same where neither file nor folder may be written (root may write everything)."""
    kept = os.access

    def access(path: str | Path, mode: int) -> bool:
        return not mode & os.W_OK and kept(path, mode)

    monkeypatch.setattr(os, "access", access)
    return cli


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_reading_works_without_the_right_to_write(frozen: Cli, words: tuple[str, ...]) -> None:
    """Commands that only read do so on a read-only file, and leave nothing beside it."""
    before = sorted(frozen.folder.iterdir())
    result = frozen.inside(*words)
    assert result.code in (0, 4), result.stderr
    assert sorted(frozen.folder.iterdir()) == before


@pytest.mark.parametrize(
    "words", [("delete", "cancel_order", "--yes"), ("reindex",), ("rollback", "cancel_order", "--to", "1")]
)
def test_writing_says_why_it_cannot(frozen: Cli, words: tuple[str, ...]) -> None:
    """A command that has to write says in one line that it may not, and what to look at."""
    result = frozen.inside(*words)
    assert result.code == 1
    assert result.stderr.startswith("error: ")
    assert "readonly" in result.stderr
    assert result.stderr.endswith("check the permissions of the file and its folder\n")


def test_an_incomplete_search_says_so(frozen: Cli) -> None:
    """Where full text cannot be brought up to date, people are told that something may be missing."""
    assert "not indexed yet" in frozen.inside("runs", "--search", "order").stderr


def _in_shell(cli: Cli, words: str) -> subprocess.CompletedProcess[str]:
    line = " ".join(map(str, cli.line("runs")))
    return subprocess.run(
        ["/bin/sh", "-c", f"{line} {words}"], cwd=cli.folder, env=cli.environment(), text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="streams are closed by a POSIX shell")
@pytest.mark.parametrize("words", [">&-", "2>&- >/dev/null", "<&-", ">&- 2>&- <&-", "--json >&-"])
def test_closed_streams_are_no_error(cli: Cli, words: str) -> None:
    """A caller that closed standard streams gets its exit code, and the file stays whole."""
    result = _in_shell(cli, words)
    assert (result.returncode, result.stderr) == (0, "")
    assert cli.inside("verify").code == 0


@pytest.mark.skipif(
    not Path("/dev/full").exists() or not stat.S_ISCHR(Path("/dev/full").stat().st_mode),
    reason="this system has no /dev/full",
)
def test_output_that_cannot_be_written_is_one_line(cli: Cli) -> None:
    """A full disk behind stdout is told in one line, with exit code 1."""
    result = _in_shell(cli, "> /dev/full")
    assert result.returncode == 1
    assert result.stderr.startswith("error: the output cannot be written: ")
    assert result.stderr.count("\n") == 1


def test_a_new_file_is_told_once_it_is_there(cli: Cli, tmp_path: Path) -> None:
    """``new file`` is said of a file that was made, not of one that could not be."""
    (tmp_path / "taken").write_text("no folder")
    result = cli.inside("ingest", tmp_path / "log.json", "--db", tmp_path / "taken" / "new.db")
    assert result.code == 1
    assert "new file" not in result.stderr


def test_syncs_at_once_retire_nothing(cli: Cli, tmp_path: Path) -> None:
    """What one sync is about to write is not missing for another that began meanwhile."""
    retired: list[str] = []

    def sync() -> None:
        with open_workspace(cli.db) as workspace:
            retired.extend(sync_folder(workspace.skills, tmp_path / "team").retired)

    for _ in range(3):
        threads = [threading.Thread(target=sync) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert retired == []
    assert (tmp_path / "team" / "cancel_order.skill.json").exists()
