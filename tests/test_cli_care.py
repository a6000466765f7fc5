"""Tests of the commands that care for file and installation."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_process import Cli, fill, order_run, tool_skill, write_json


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with a run and a skill in its file."""
    line = Cli(tmp_path, tmp_path / "x.db")
    assert line("ingest", write_json(tmp_path / "log.json", [order_run(1)])).code == 0
    fill(line, tool_skill())
    return line


def _checks(document: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {check["name"]: check["level"] for check in document["checks"]}


def test_doctor_finds_a_healthy_file(cli: Cli) -> None:
    """Everything is checked; a missing model is a warning, not a failure."""
    document = cli.json("doctor", SKILLSMITH_MODEL_DIR=str(cli.folder / "no models"))
    assert document["ok"] is True
    assert set(document["checks"][0]) >= {"name", "ok", "detail"}
    levels = _checks(document)
    assert levels["embedding model"] == "warning"
    assert {levels[name] for name in ("sqlite", "vector search", "content", "journal", "full text")} == {"ok"}


def test_doctor_mends_the_full_text(cli: Cli) -> None:
    """What is not searchable yet becomes so, and the doctor says how much."""
    details = {check["name"]: check["detail"] for check in cli.json("doctor")["checks"]}
    assert "12 events added" in details["full text"]
    details = {check["name"]: check["detail"] for check in cli.json("doctor")["checks"]}
    assert details["full text"] == "up to date"


def test_doctor_without_a_file(cli: Cli) -> None:
    """A file that is not there yet is a warning, and is not made."""
    result = cli("doctor", "--db", "none.db", "--json")
    assert result.code == 0
    assert _checks(result.document)["file"] == "warning"
    assert not (cli.folder / "none.db").exists()


def test_doctor_finds_damage(cli: Cli) -> None:
    """A damaged file is found, said to be broken, and the exit code is 1."""
    damaged = bytearray(cli.db.read_bytes())
    for page in range(3, len(damaged) // 4096):
        damaged[page * 4096 : page * 4096 + 40] = b"\xff" * 40
    cli.db.write_bytes(damaged)
    result = cli("doctor", "--json")
    assert result.code == 1, result
    assert result.document["ok"] is False
    broken = [check for check in result.document["checks"] if not check["ok"]]
    assert broken
    assert "Traceback" not in result.stderr


def test_doctor_names_a_foreign_file(cli: Cli) -> None:
    """A file of something else is named as broken."""
    (cli.folder / "notes.txt").write_text("no database at all, " * 50)
    result = cli("doctor", "--db", "notes.txt")
    assert result.code == 1
    assert "not a database" in result.stdout


def test_backup_is_a_whole_copy(cli: Cli) -> None:
    """The copy holds everything, and works as a file of its own; a folder that is not there is named."""
    refused = cli("backup", "copies/monday.db")
    assert (refused.code, "there is no folder copies" in refused.stderr) == (1, True)
    assert not (cli.folder / "copies").exists()
    (cli.folder / "copies").mkdir()
    document = cli.json("backup", "copies/monday.db")
    assert document["bytes"] > 0
    assert len(cli.json("runs", "--db", "copies/monday.db")["items"]) == 1
    assert len(cli.json("list", "--db", "copies/monday.db")["items"]) == 1


def test_backup_replaces_only_when_told_to(cli: Cli) -> None:
    """An existing file is replaced with ``--yes`` only, and never the file itself."""
    (cli.folder / "precious.txt").write_text("mine")
    assert cli("backup", "precious.txt").code == 5
    assert (cli.folder / "precious.txt").read_text() == "mine"
    assert cli("backup", "precious.txt", "--yes").code == 0
    assert cli("backup", cli.db, "--yes").code == 2
    assert len(cli.json("runs")["items"]) == 1


def test_reindex_rebuilds_search(cli: Cli) -> None:
    """Search works after full text and vectors were built anew."""
    document = cli.json("reindex")
    assert document["events"] == 12
    assert document["notice"] is None or document["vectors"] == 0
    assert len(cli.json("runs", "--search", "ORD-7001")["items"]) == 1


def test_model_status_downloads_nothing(cli: Cli) -> None:
    """A missing model is told as such, with how to get it."""
    empty = str(cli.folder / "no models")
    document = cli.json("model", "status", SKILLSMITH_MODEL_DIR=empty)
    assert document["ready"] is False
    assert "model install" in cli("model", "status", SKILLSMITH_MODEL_DIR=empty).stdout
