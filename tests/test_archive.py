"""Runs moved to a second file and back: nothing lost, nothing twice, whenever it breaks off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_process import Cli, order_run, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith import archive as archive_module
from skillsmith import archive_rows as rows
from skillsmith.archive import RunArchive
from skillsmith.archived import ArchivedRuns
from skillsmith.db import Database
from skillsmith.errors import NotFoundError, StorageError, UsageError
from skillsmith.events import EventLog
from skillsmith.files import FileRepository
from skillsmith.models import CodeUse, Event, FileSnapshot, Run, RunRecord, ToolUse
from skillsmith.runs import RunRepository

LONG = "a long text of a run " * 600
Move = Callable[[], object]


def fill(db: Database, *, count: int = 3) -> list[Run]:
    """Store runs with every kind of row: blobs they share, files with versions, steps, summaries."""
    runs, log, files = RunRepository(db), EventLog(db), FileRepository(db)
    made = []
    for number in range(count):
        run = runs.create(f"task {number}", started_at=100.0 + number, metadata={"n": number})
        key = runs.key(run.id)
        log.append(key, [
            Event(kind="message", role="user", content=f"needle{number} {LONG}", agent="user"),
            Event(kind="message", role="system", content=LONG),
            Event(kind="tool_call", tool=ToolUse(name="t", call_id="1", arguments='{"a": 1}')),
            Event(kind="code", code=CodeUse(text="x = 1"), step=2, cost_usd=0.5, tokens_in=2, tokens_out=1),
        ])  # fmt: skip
        for content in (b"one", b"two" * 5000, b"shared" * 3000):
            files.record(key, FileSnapshot(path="a/b.txt", content=content, agent="coder", seq=4))
        db.execute("INSERT INTO summaries VALUES (?, 1, 2, 'extractive', 'text', 3, 4.0)", (key,))
        made.append(runs.finish(run.id, outcome="success"))
    return made


def state(db: Database) -> dict[str, str]:
    """Return what a file holds: a fingerprint of each run by id."""
    return {row[0]: rows.fingerprint(db, row[1]) for row in db.all("SELECT id, pk FROM runs ORDER BY id")}


def test_a_moved_run_arrives_whole_and_is_found_by_its_head(db: Database, tmp_path: Path) -> None:
    """Events, files, contents and summaries are the same there; here the head stays and says where."""
    first, second, third = fill(db)
    before, other = state(db), tmp_path / "old.db"
    log = EventLog(db)
    log.index_pending()
    move = RunArchive(db).archive([first.id, second.id], other)
    assert (move.runs, move.events) == ((first.id, second.id), 8)
    with_other = Database(other)
    assert state(with_other) == {first.id: before[first.id], second.id: before[second.id]}
    assert state(db) == {third.id: before[third.id]}
    assert [(one.id, one.archive) for one in ArchivedRuns(db).list()] == [
        (second.id, other), (first.id, other),
    ]  # fmt: skip
    with pytest.raises(NotFoundError, match=r"old\.db") as caught:
        RunRepository(db).get(first.id)
    assert f"--db {other}" in caught.value.hint
    assert log.runs_mentioning("needle0") == []
    assert len(EventLog(with_other).runs_mentioning("needle0")) == 1
    assert db.check() == with_other.check() == []
    assert db.scalar("SELECT count(*) FROM blobs") == len(rows.contents(db, RunRepository(db).key(third.id)))
    with_other.close()


def test_restoring_gives_back_what_was(db: Database, tmp_path: Path) -> None:
    """Archiving and restoring leaves this file's runs as they were and the second one empty."""
    made, other = fill(db), tmp_path / "old.db"
    before = state(db)
    archive = RunArchive(db)
    archive.archive([run.id for run in made], other)
    new = fill(db, count=1)
    assert EventLog(db).runs_mentioning("needle0") == [RunRepository(db).key(new[0].id)]
    archive.restore([run.id for run in made])
    assert {key: value for key, value in state(db).items() if key != new[0].id} == before
    assert list(ArchivedRuns(db).list()) == []
    with_other = Database(other)
    assert state(with_other) == {}
    assert with_other.scalar("SELECT count(*) FROM blobs") == 0
    with_other.close()


@settings(max_examples=12)
@given(stop=st.integers(0, 40), restoring=st.booleans())
def test_broken_off_at_any_statement_nothing_is_lost_or_shown_twice(
    stop: int, *, restoring: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed after any number of writes, every run is whole in a file and listed once; again finishes it."""
    folder = tmp_path_factory.mktemp("broken")
    db, other = Database(folder / "a.db"), folder / "b.db"
    made = fill(db)
    before, ids = state(db), [run.id for run in made]
    move: Move = lambda: RunArchive(db).archive(ids, other)  # noqa: E731  (one of two deeds)
    if restoring:
        move()
        move = lambda: RunArchive(db).restore(ids)  # noqa: E731
    _broken(move, after=stop)
    listed = [run.id for run in RunRepository(db).list()] + [one.id for one in ArchivedRuns(db).list()]
    assert sorted(listed) == sorted(ids)
    second = Database(other)
    for run_id in ids:
        here = state(db).get(run_id) if ArchivedRuns(db).find(run_id) is None else state(second)[run_id]
        assert here == before[run_id]
    second.close()
    if restoring:
        RunArchive(db).restore([one.id for one in ArchivedRuns(db).list()])
    else:
        RunArchive(db).archive([run.id for run in RunRepository(db).list()], other)
    assert (state(db) if restoring else _state_of(other)) == before
    db.close()


def _state_of(path: Path) -> dict[str, str]:
    second = Database(path)
    found = state(second)
    second.close()
    return found


class _Killed(BaseException):
    """Stands for a process that is no more."""


def _broken(move: Move, *, after: int) -> None:
    """Do a move, but break off after so many writes to either file."""
    left = after
    plain = Database.execute

    def count(self: Database, sql: str, params: object = ()) -> object:
        nonlocal left
        if sql.lstrip().startswith(("INSERT", "DELETE", "UPDATE")):
            if not left:
                raise _Killed
            left -= 1
        return plain(self, sql, params)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "execute", count)
        try:
            move()
        except _Killed:
            return


def test_a_copy_that_did_not_arrive_whole_removes_nothing(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When what is read back differs, the run stays and the second file takes nothing."""
    (run,) = fill(db, count=1)
    before, plain = state(db), rows.copy

    def lossy(source: Database, pk: int, target: Database) -> int:
        new = plain(source, pk, target)
        target.execute("DELETE FROM events WHERE run = ? AND seq = 2", (new,))
        return new

    monkeypatch.setattr(archive_module.rows, "copy", lossy)
    with pytest.raises(StorageError, match="whole"):
        RunArchive(db).archive([run.id], tmp_path / "old.db")
    assert state(db) == before
    assert _state_of(tmp_path / "old.db") == {}


def test_what_must_not_be_moved_is_refused(db: Database, tmp_path: Path) -> None:
    """A run under way, this very file, another program's file, a run that is not archived."""
    going = RunRepository(db).create("still at it")
    (done,) = fill(db, count=1)
    archive = RunArchive(db)
    with pytest.raises(UsageError, match="not over"):
        archive.archive([going.id], tmp_path / "old.db")
    with pytest.raises(UsageError, match="this very file"):
        archive.archive([done.id], Path(db.path))
    (tmp_path / "text.db").write_text("no database, but long enough to look at" * 40)
    with pytest.raises(StorageError, match="not a database"):
        archive.archive([done.id], tmp_path / "text.db")
    with pytest.raises(NotFoundError, match="no archived run"):
        archive.restore([done.id])
    archive.archive([done.id], tmp_path / "old.db")
    (tmp_path / "old.db").unlink()
    with pytest.raises(StorageError, match="gone"):
        archive.restore([done.id])


def test_the_log_of_an_archived_run_is_known_again(db: Database, tmp_path: Path) -> None:
    """Read again it adds nothing; when it has grown, the whole of it is here again under the same id."""
    runs = RunRepository(db)
    events = tuple(Event(kind="message", role="user", content=f"m{n}") for n in range(4))
    record = RunRecord(source="openai-chat", native_id="s1", task="t", events=events[:3], outcome="success")
    first = runs.ingest(record).run
    RunArchive(db).archive([first.id], tmp_path / "old.db")
    again = runs.ingest(record)
    assert (again.new, again.run.id, dict(again.added)) == (False, first.id, {})
    assert list(runs.list()) == []
    grown = runs.ingest(RunRecord(
        source="openai-chat", native_id="s1", task="t", events=events, outcome="success",
    ))  # fmt: skip
    assert (grown.run.id, grown.run.events, grown.new) == (first.id, 4, False)
    assert list(ArchivedRuns(db).list()) == []
    RunArchive(db).archive([first.id], tmp_path / "old.db")
    assert ArchivedRuns(db).get(first.id).events == 4


def test_the_command_moves_lists_and_restores(tmp_path: Path) -> None:
    """`archive`, `runs --archived` and the message of `timeline` lead through the whole of it."""
    cli = Cli(tmp_path, tmp_path / "x.db")
    cli.json("ingest", write_json(tmp_path / "log.json", [order_run(1), order_run(2)]))
    ids = [run["id"] for run in cli.json("runs")["items"]]
    assert cli.inside("archive", "--older-than", "0", "--to", "old.db").code == 5
    moved = cli.json("archive", "--older-than", "0", "--to", "old.db", "--yes")
    assert sorted(moved["runs"]) == sorted(ids)
    listed = cli.json("runs", "--archived")["items"]
    assert {run["archive"] for run in listed} == {str(tmp_path / "old.db")}
    gone = cli.inside("timeline", ids[0], "--json")
    assert gone.code == 3
    assert "old.db" in json.loads(gone.stderr)["error"]["hint"]
    assert cli.json("timeline", ids[0], "--db", tmp_path / "old.db")["items"]
    assert "in" in cli.inside("runs", "--archived").stdout.splitlines()[0]
    assert cli.json("archive", *ids, "--restore")["restored"][0]["events"] == moved["events"]
    assert len(cli.json("runs")["items"]) == 2
    for words in (["archive", "--to", "o.db"], ["archive", ids[0]], ["archive", "--restore"]):
        assert cli.inside(*words).code == 2
