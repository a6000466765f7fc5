"""Databases of other programs: read while they are in use, never written to, never written beside."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from skillsmith import db
from skillsmith.errors import StorageError
from skillsmith.foreign import open_foreign


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return another program's open connection to a file with one table."""
    connection = sqlite3.connect(tmp_path / "foreign.db")
    connection.execute("CREATE TABLE 'odd \"name\"' (a TEXT, b BLOB)")
    connection.execute("INSERT INTO 'odd \"name\"' VALUES ('x', x'00ff'), (CAST(x'c3' AS TEXT), NULL)")
    connection.commit()
    yield connection
    connection.close()


def _files(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        path.name: (sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir())
    }


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_rows_are_read_while_another_program_has_the_file_open(
    tmp_path: Path, foreign: sqlite3.Connection, journal: str
) -> None:
    """Committed rows are seen, those in the log too; no byte in the folder changes, no file appears."""
    foreign.execute(f"PRAGMA journal_mode = {journal}")
    foreign.execute("INSERT INTO 'odd \"name\"' VALUES ('late', NULL)")
    foreign.commit()
    before = _files(tmp_path)
    with open_foreign(tmp_path / "foreign.db") as database:
        assert database.tables() == {'odd "name"': ("a", "b")}
        rows = list(database.rows('odd "name"'))
    assert rows == [{"a": "x", "b": b"\x00\xff"}, {"a": "�", "b": None}, {"a": "late", "b": None}]
    assert _files(tmp_path) == before


def test_a_closed_file_with_a_log_is_read_in_a_folder_that_may_not_be_written(
    tmp_path: Path, foreign: sqlite3.Connection
) -> None:
    """A file of the write-ahead mode needs no index beside it, so a read-only folder will do."""
    foreign.execute("PRAGMA journal_mode = wal")
    foreign.close()
    tmp_path.chmod(0o500)
    try:
        with open_foreign(tmp_path / "foreign.db") as database:
            assert len(list(database.rows('odd "name"'))) == 2
    finally:
        tmp_path.chmod(0o700)


NOISE = random.Random(1).randbytes(4096)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"plain text, not a database at all", "not a database"), (NOISE, "not a database")],
    ids=["text", "noise"],
)
def test_what_is_no_database_is_a_clear_error(tmp_path: Path, content: bytes, reason: str) -> None:
    """Text and encrypted files are told in one line with the file's name."""
    path = tmp_path / "x.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=reason) as caught, open_foreign(path) as database:
        database.tables()
    assert str(path) in caught.value.message
    assert "encrypted" in caught.value.hint


def test_a_missing_file_and_a_folder_are_clear_errors(tmp_path: Path) -> None:
    """Neither is made."""
    for path in (tmp_path / "none.db", tmp_path):
        with pytest.raises(StorageError), open_foreign(path):
            pass
    assert list(tmp_path.iterdir()) == []


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_locked_file_is_a_clear_error(
    tmp_path: Path, foreign: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that holds the file alone is waited for, then named as the reason."""
    foreign.close()
    monkeypatch.setattr(db, "BUSY_TIMEOUT_SECONDS", 0.1)
    path = tmp_path / "foreign.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError, match="locked") as caught, open_foreign(path) as file:
            file.tables()
        holder.communicate("")
    assert "try again" in caught.value.hint


def test_a_journal_left_by_a_crash_is_not_rolled_back_by_us(tmp_path: Path) -> None:
    """Rolling back would write to the file: that is left to the program whose file it is."""
    path, crashed = tmp_path / "a.db", tmp_path / "crashed"
    crashed.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 200)
        connection.execute("BEGIN")
        connection.execute("UPDATE t SET a = 'y' || a")
        for name in ("a.db", "a.db-journal"):
            (crashed / name).write_bytes((tmp_path / name).read_bytes())
    before = _files(crashed)
    with pytest.raises(StorageError) as caught, open_foreign(crashed / "a.db") as database:
        database.tables()
    assert caught.value.hint
    assert _files(crashed) == before
