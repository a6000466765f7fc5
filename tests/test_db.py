from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlean
from hypothesis import given
from hypothesis import strategies as st

from skillsmith import db as db_module
from skillsmith.blobs import BlobStore
from skillsmith.db import Database, is_locked, page
from skillsmith.errors import NotFoundError, StorageError
from skillsmith.events import EventLog
from skillsmith.files import FileRepository
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.library.vectors import extension_path
from skillsmith.migrations import SCHEMA_VERSION
from skillsmith.models import Event, FileSnapshot, RunRecord, Skill
from skillsmith.runs import RunRepository
from skillsmith.schema import APPLICATION_ID


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a file is about to be."""
    return tmp_path / "skillsmith.db"


@pytest.fixture
def locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A file that another connection holds for writing."""
    monkeypatch.setattr(db_module, "BUSY_TIMEOUT_SECONDS", 0.01)
    database = Database(path)
    other = sqlean.connect(str(path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield database
    other.close()


def test_a_new_file_is_ready_and_says_whose_it_is(path: Path) -> None:
    """Its folder is made too; the write-ahead log, foreign keys, version and application id are set."""
    database = Database(path.parent / "new" / "folder" / "a.db")
    assert database.scalar("PRAGMA journal_mode") == "wal"
    assert database.scalar("PRAGMA foreign_keys") == 1
    assert database.scalar("PRAGMA user_version") == SCHEMA_VERSION
    assert database.scalar("PRAGMA application_id") == APPLICATION_ID
    assert database.check() == []


@pytest.mark.parametrize("name", ["a?b#c.db", "a %41&mode=ro.db", "größe.db"])
def test_any_file_name_works(tmp_path: Path, name: str) -> None:
    """Characters with a meaning in addresses have none here."""
    Database(tmp_path / name).close()
    assert (tmp_path / name).exists()


def test_an_up_to_date_file_opens_without_sqlite_utils(path: Path) -> None:
    """Commands that only read do not pay for migrations."""
    Database(path).close()
    code = (
        "import sys; from skillsmith.db import Database; Database(sys.argv[1]);"
        " print('sqlite_utils' in sys.modules, 'numpy' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["False", "False"]


def test_processes_may_open_and_write_a_new_file_at_once(path: Path) -> None:
    """One of them makes the schema, none fails, and every row arrives."""
    code = (
        "import sys; from skillsmith.db import Database; db = Database(sys.argv[1])\n"
        "for number in range(30):\n"
        "    with db.transaction():\n"
        "        db.execute('INSERT INTO meta VALUES (?, ?)', (f'{sys.argv[2]}-{number}', 'x'))\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(number)], stderr=subprocess.PIPE)
        for number in range(3)
    ]
    assert [(writer.communicate(timeout=60)[1], writer.returncode) for writer in writers] == [(b"", 0)] * 3
    database = Database(path)
    assert database.scalar("SELECT count(*) FROM meta") == 90
    assert database.scalar("PRAGMA journal_mode") == "wal"


WRITERS: dict[str, Callable[[Database], Any]] = {
    "execute": lambda db: db.execute("INSERT INTO meta VALUES ('a', 'b')"),
    "executemany": lambda db: db.executemany("INSERT INTO meta VALUES (?, ?)", [("a", "b")]),
    "one": lambda db: db.one("INSERT INTO meta VALUES ('a', 'b') RETURNING key"),
    "all": lambda db: db.all("INSERT INTO meta VALUES ('a', 'b') RETURNING key"),
    "blob": lambda db: BlobStore(db).put(b"x"),
    "create": lambda db: RunRepository(db).create("task"),
    "ingest": lambda db: RunRepository(db).ingest(RunRecord(source="x", events=())),
    "append": lambda db: EventLog(db).append(1, [Event(kind="message")]),
    "index": lambda db: EventLog(db).index_pending(),
    "reindex": lambda db: EventLog(db).reindex(),
    "file": lambda db: FileRepository(db).record(1, FileSnapshot(path="a", content=b"")),
    "add": lambda db: SkillRepository(db).add(Skill(name="plot")),
    "add_example": lambda db: SkillRepository(db).add_example("plot", "x"),
    "delete": lambda db: SkillRepository(db).delete("plot"),
    "start": lambda db: ExecutionLedger(db).start(Skill(name="plot"), task="", run_id=None, inputs={}),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_locked_file_is_an_error_that_says_what_to_do(locked: Database, writer: str) -> None:
    """Every way to write says which file is locked, and that trying again helps."""
    with pytest.raises(StorageError, match="another process is writing") as caught:
        WRITERS[writer](locked)
    assert locked.path in str(caught.value)
    assert is_locked(caught.value)
    assert not is_locked(StorageError("other"))


def test_a_locked_new_file_is_an_error_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making the schema waits for the other process, and then says so."""
    monkeypatch.setattr(db_module, "BUSY_TIMEOUT_SECONDS", 0.01)
    other = sqlean.connect(str(path), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="try again"):
        Database(path)
    other.close()


def test_reading_goes_on_while_another_writes(locked: Database) -> None:
    """A writer blocks no reader."""
    assert locked.all("SELECT * FROM meta") == []


@pytest.mark.parametrize("content", [b"hello, this is text " * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_what_is_no_database_stays_as_it_is(path: Path, content: bytes) -> None:
    """A text file is not overwritten; the error names it."""
    path.write_bytes(content)
    with pytest.raises(StorageError, match=path.name):
        Database(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "setup", ["", "PRAGMA user_version = 1", "PRAGMA user_version = 77", "PRAGMA application_id = 9"]
)
def test_another_programs_database_is_left_alone(path: Path, setup: str) -> None:
    """Whatever version it claims, a foreign file is refused as foreign."""
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE bookmarks (url)")
    foreign.execute(setup)
    foreign.commit()
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        Database(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_release_is_refused(path: Path) -> None:
    """An old program never writes into what it does not understand."""
    Database(path).execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StorageError, match="newer skillsmith"):
        Database(path)


def test_an_empty_file_becomes_ours(path: Path) -> None:
    """What `touch` made is filled."""
    path.touch()
    assert Database(path).check() == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """The error says to name a file."""
    with pytest.raises(StorageError, match="is a folder"):
        Database(tmp_path)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    """A path below a file cannot be made."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        Database(tmp_path / "file" / "a.db")


def test_a_missing_file_cannot_be_opened_for_reading(path: Path) -> None:
    """Reading never makes a file."""
    with pytest.raises(NotFoundError, match="no database"):
        Database(path, readonly=True)
    assert not path.exists()


def test_a_file_opened_for_reading_cannot_be_written(path: Path) -> None:
    """Reads work, writes say why they do not."""
    Database(path).close()
    reader = Database(path, readonly=True)
    assert reader.all("SELECT * FROM meta") == []
    with pytest.raises(StorageError, match="permissions"):
        reader.execute("INSERT INTO meta VALUES ('a', 'b')")


def test_an_older_file_opened_for_reading_says_so(path: Path) -> None:
    """Reading does not migrate."""
    Database(path).execute("PRAGMA user_version = 0")
    with pytest.raises(StorageError, match="older schema"):
        Database(path, readonly=True)


@pytest.mark.parametrize("shrink", [False, True])
def test_a_reader_without_rights_sees_what_others_write(
    path: Path, monkeypatch: pytest.MonkeyPatch, shrink: bool
) -> None:
    """Who reads a file as one that does not change is not misled when its owner changes it after all."""
    with closing(Database(path)) as writer:
        rows = [(f"key {number}", "x" * 400) for number in range(2000)]
        writer.executemany("INSERT INTO meta VALUES (?, ?)", rows)
    monkeypatch.setattr(db_module, "may_write", lambda _path: False)
    with closing(Database(path, readonly=True)) as reader:
        reader.load_extension(extension_path())
        version = reader.data_version()
        assert reader.scalar("SELECT count(*) FROM meta") == 2000
        assert reader.data_version() == version
        with closing(Database(path)) as writer:
            writer.execute("DELETE FROM meta WHERE key <> 'key 7'")
            if shrink:
                writer.execute("VACUUM")
        assert reader.data_version() > version
        assert [row["key"] for row in reader.all("SELECT key FROM meta")] == ["key 7"]
        assert reader.scalar("SELECT vec_version()")
        path.rename(path.with_suffix(".moved"))
        for _ in range(2):
            with pytest.raises(NotFoundError):
                reader.scalar("SELECT 1")
        path.with_suffix(".moved").rename(path)
        assert reader.scalar("SELECT 1") == 1
    assert sorted(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_without_the_right_to_write(path: Path) -> None:
    """The error names the file and its permissions."""
    Database(path).close()
    path.chmod(0o400)
    with pytest.raises(StorageError, match="permissions"):
        Database(path).execute("INSERT INTO meta VALUES ('a', 'b')")


def test_a_full_disk_is_an_error_that_says_so(path: Path) -> None:
    """Nothing of the transaction stays, and the file is whole."""
    database = Database(path)
    pages = database.scalar("PRAGMA page_count")
    database.execute(f"PRAGMA max_page_count = {pages + 2}")
    rows = [("small", "x"), ("large", "x" * 100_000)]
    with pytest.raises(StorageError, match="free some disk space"), database.transaction():
        database.executemany("INSERT INTO meta VALUES (?, ?)", rows)
    assert database.all("SELECT * FROM meta") == []
    assert database.check() == []


def test_damage_is_found(path: Path) -> None:
    """Overwritten pages are complained about, in words or as an error with a hint."""
    database = Database(path)
    with database.transaction():
        for number in range(500):
            database.execute("INSERT INTO meta VALUES (?, ?)", (f"key {number}", "x" * 500))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    data = bytearray(path.read_bytes())
    for start in range(len(data) // 2, len(data) - 4096, 4096):
        data[start : start + 2000] = b"\xff" * 2000
    path.write_bytes(bytes(data))
    try:
        problems = Database(path).check()
    except StorageError as error:
        problems = [str(error)]
    assert problems


def test_a_lost_reference_is_found(path: Path) -> None:
    """Rows that refer to nothing are reported by the check."""
    database = Database(path)
    database.execute("PRAGMA foreign_keys = OFF")
    database.execute("INSERT INTO files (run, path) VALUES (99, 'a')")
    assert database.check() == ["row 1 of files refers to a missing row of runs"]


def test_a_programming_error_is_not_dressed_up(db: Database) -> None:
    """Only what a user can mend becomes a storage error."""
    with pytest.raises(Exception, match="no such table") as caught:
        db.execute("SELECT * FROM nowhere")
    assert not isinstance(caught.value, StorageError)


def test_a_transaction_is_all_or_nothing(db: Database) -> None:
    """Also when one is inside another."""

    def fail() -> None:
        with db.transaction():
            db.execute("INSERT INTO meta VALUES ('a', '1')")
            with db.transaction():
                db.execute("INSERT INTO meta VALUES ('b', '2')")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert db.all("SELECT * FROM meta") == []
    with db.transaction(), db.transaction():
        db.execute("INSERT INTO meta VALUES ('a', '1')")
    assert db.scalar("SELECT value FROM meta") == "1"
    assert db.scalar("SELECT value FROM meta WHERE key = 'b'") is None
    assert db.one("SELECT 1 WHERE 0") is None


def test_another_connections_commits_are_noticed(path: Path) -> None:
    """Followers look at one number instead of the tables."""
    one, other = Database(path), Database(path)
    before = one.data_version()
    assert one.data_version() == before
    other.execute("INSERT INTO meta VALUES ('a', 'b')")
    assert one.data_version() != before


def test_an_extension_that_is_not_there_is_an_error(db: Database, tmp_path: Path) -> None:
    """The error names the library."""
    with pytest.raises(StorageError, match="vec9"):
        db.load_extension(tmp_path / "vec9.so")


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=30)


@given(rows=ROWS, window=st.sampled_from([1, 2, 3, 256]), descending=st.booleans(), skip=st.integers(0, 30))
def test_pages_give_what_one_query_gives(
    rows: list[tuple[int, int]], window: int, descending: bool, skip: int
) -> None:
    """At any window, in both directions, with equal keys, from any row on: the same rows, in order."""
    database = Database(":memory:")
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT)")
    database.executemany("INSERT INTO t (a, b) VALUES (?, ?)", rows)
    word, order = (" desc", "a DESC, id DESC") if descending else ("", "a, id")
    whole = [tuple(row) for row in database.all(f"SELECT * FROM t WHERE b <> 1 ORDER BY {order}")]
    sql = f"SELECT * FROM t /*key{word}: a, id*/ WHERE b <> ? AND {{after}} ORDER BY {order} LIMIT ?"
    after = (whole[skip][1], whole[skip][0]) if skip < len(whole) else None
    expected = whole[skip + 1 :] if after else whole
    found = page(
        database, sql, key=lambda row: (row["a"], row["id"]), params=(1,), after=after, window=window
    )
    assert [tuple(row) for row in found] == expected


def test_a_page_holds_no_lock_while_its_reader_dawdles(path: Path) -> None:
    """Between two windows others may write, and later rows are seen."""
    database, other = Database(path), Database(path)
    for key in "ac":
        database.execute("INSERT INTO meta VALUES (?, 'x')", (key,))
    sql = "SELECT key FROM meta /*key: key*/ WHERE {after} ORDER BY key LIMIT ?"
    rows = page(database, sql, key=tuple, window=1)
    assert next(rows)[0] == "a"
    other.execute("INSERT INTO meta VALUES ('b', 'x')")
    assert [row[0] for row in rows] == ["b", "c"]


def test_a_query_without_a_key_cannot_be_paged(db: Database) -> None:
    """The mistake shows at once, not as a wrong page."""
    with pytest.raises(ValueError, match="names its key"):
        next(page(db, "SELECT 1", key=tuple))


def test_a_backup_is_whole_while_others_write(path: Path, tmp_path: Path) -> None:
    """The copy opens, checks, and holds some moment between the beginning and the end."""
    database = Database(path)
    database.execute("INSERT INTO meta VALUES ('first', 'x')")
    stop = threading.Event()

    def write() -> None:
        writer = Database(path)
        number = 0
        while not stop.is_set():
            with writer.transaction():
                for half in "ab":
                    writer.execute("INSERT INTO meta VALUES (?, ?)", (f"{number}{half}", "x" * 1000))
            number += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        (tmp_path / "copies").mkdir()
        for number in range(3):
            database.backup(tmp_path / "copies" / f"{number}.db")
    finally:
        stop.set()
        thread.join()
    for number in range(3):
        copy = Database(tmp_path / "copies" / f"{number}.db")
        assert copy.check() == []
        assert copy.scalar("SELECT value FROM meta WHERE key = 'first'") == "x"
        assert copy.scalar("SELECT count(*) FROM meta WHERE key GLOB '[0-9]*'") % 2 == 0
    assert sorted(file.name for file in (tmp_path / "copies").glob("*.partial*")) == []


def test_a_backup_replaces_nothing_when_it_fails(db: Database, tmp_path: Path) -> None:
    """The database itself and a folder are no targets; an old backup is replaced whole."""
    with pytest.raises(StorageError, match="is the database itself"):
        db.backup(Path(db.path))
    with pytest.raises(StorageError, match="there is no folder"):
        db.backup(tmp_path / "nowhere" / "copy.db")
    assert not (tmp_path / "nowhere").exists()
    folder = tmp_path / "folder"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(StorageError, match="choose another place"):
        db.backup(folder)
    assert (folder / "inside").exists()
    target = tmp_path / "copy.db"
    target.write_text("old", encoding="utf-8")
    db.backup(target)
    assert Database(target).check() == []
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        db.backup(tmp_path / "file" / "copy.db")
