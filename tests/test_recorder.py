"""What the recorder promises while its process lives: order, no waiting, no raising, no loss."""

from __future__ import annotations

import logging
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.capture import writer
from skillsmith.capture.entries import Entry, EntryStore, RunEnd, StepEnd, Superseded, from_line, to_line
from skillsmith.capture.recorder import Durability, Recorder, database_path
from skillsmith.capture.spill import SpillFile, absorb_spills, spills_of
from skillsmith.db import Database
from skillsmith.errors import UsageError
from skillsmith.files import FileRepository
from skillsmith.models import CodeUse, Event, FileSnapshot, StepExecutionSummary, ToolUse
from skillsmith.runs import RunRepository

BOTH = pytest.mark.parametrize("durability", ["group", "sync"])


@pytest.fixture
def pk(db: Database) -> int:
    """The primary key of a new run."""
    runs = RunRepository(db)
    return runs.key(runs.create("a task").id)


def event(text: str, **fields: Any) -> Event:
    """Return a message."""
    return Event(kind="message", role="user", agent="a", content=text, at=time.time(), **fields)


def bulky(start: str) -> str:
    """Return a text that no compression makes small."""
    return f"{start} {random.Random(1).randbytes(500_000).hex()}"


def contents(db: Database, pk: int) -> list[str | None]:
    """Return the contents of the run's events."""
    run_id = db.scalar("SELECT id FROM runs WHERE pk = ?", (pk,))
    return [found.content for found in RunRepository(db).events(run_id)]


def run_id_of(db: Database, pk: int) -> str:
    """Return the run's id."""
    return str(db.scalar("SELECT id FROM runs WHERE pk = ?", (pk,)))


@BOTH
def test_everything_is_stored_in_order(db: Database, pk: int, durability: Durability) -> None:
    """What is recorded is in the file after a flush, in the order of recording."""
    recorder = Recorder(db, durability=durability)
    texts = [f"event {number}" for number in range(2500)]
    for text in texts:
        recorder.record(pk, event(text))
    assert recorder.flush()
    assert contents(db, pk) == texts
    recorder.close()
    assert recorder.dropped == 0
    assert db.check() == []


@BOTH
def test_threads_do_not_lose_events(db: Database, pk: int, durability: Durability) -> None:
    """Events of many threads are all stored, each thread's own in order."""
    recorder = Recorder(db, durability=durability)

    def work(name: str) -> None:
        for number in range(100):
            recorder.record(pk, event(f"{name} {number}"))

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()
    stored = [str(text).split() for text in contents(db, pk)]
    assert len(stored) == 600
    for name in map(str, range(6)):
        assert [int(number) for who, number in stored if who == name] == list(range(100))


def test_runs_do_not_mix(db: Database) -> None:
    """Events of several runs, recorded in turn, keep their own order and numbers."""
    runs = RunRepository(db)
    keys = [runs.key(runs.create(f"task {number}").id) for number in range(3)]
    recorder = Recorder(db)
    for number in range(90):
        recorder.record(keys[number % 3], event(str(number)))
    recorder.close()
    for offset, key in enumerate(keys):
        assert contents(db, key) == [str(number) for number in range(offset, 90, 3)]


def test_an_event_is_durable_at_once(db: Database, pk: int) -> None:
    """Another connection sees an event shortly after it was recorded, without flush or close."""
    recorder = Recorder(db)
    recorder.record(pk, event("seen"))
    deadline = time.monotonic() + 5
    while contents(db, pk) != ["seen"]:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    recorder.close()


def test_secrets_do_not_reach_the_file(db: Database, pk: int) -> None:
    """A key in an event is replaced unless redaction is off."""
    key = "ghp_" + "a1B2" * 10
    for redact in (True, False):
        recorder = Recorder(db, redact=redact)
        recorder.record(pk, event(f"use {key}"))
        recorder.close()
    assert contents(db, pk) == ["use ‹redacted:github›", f"use {key}"]


def test_a_locked_file_costs_nothing(db: Database, pk: int) -> None:
    """While another connection holds the file, recording goes on; everything arrives later, in order."""
    recorder = Recorder(db)
    recorder.record(pk, event("before"))
    assert recorder.flush()
    with db.transaction():
        started = time.perf_counter()
        for number in range(300):
            recorder.record(pk, event(str(number)))
        took = time.perf_counter() - started
        assert not recorder.flush(timeout=0.05)
        assert recorder.waiting > 0
    assert took < 1
    assert recorder.flush(timeout=15)
    recorder.close()
    assert contents(db, pk) == ["before", *map(str, range(300))]


class FullDatabase(Database):
    """A real database that is not allowed to grow beyond a few pages."""

    pages = 0

    def _prepare(self) -> None:
        super()._prepare()
        self.conn.execute(f"PRAGMA max_page_count = {self.pages}")


def fill(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no recorder add a page to the file."""
    monkeypatch.setattr(FullDatabase, "pages", db.scalar("PRAGMA page_count"))
    monkeypatch.setattr(writer, "Database", FullDatabase)


def test_a_full_file_spills_and_is_absorbed(db: Database, pk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room for the events they wait in a side file, from which a later process stores them."""
    recorder = Recorder(db)
    fill(db, monkeypatch)
    texts = [f"{number} " + "x" * 3000 for number in range(60)]
    for text in texts:
        recorder.record(pk, event(text))
    recorder.close(timeout=0.2)
    assert recorder.dropped == 0
    (path,) = recorder.side_files
    assert path == f"{database_path(db)}.spill-{Path(path).stem.split('-')[-1]}.jsonl"
    assert "full" in (recorder.problem or "")
    monkeypatch.undo()
    (absorbed,) = absorb_spills(db.path)
    assert absorbed.problems == ()
    assert contents(db, pk) == texts
    assert spills_of(db.path) == []


def test_the_next_recorder_absorbs_first(db: Database, pk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier process left in a side file is stored before what a new recorder is given."""
    fill(db, monkeypatch)
    recorder = Recorder(db)
    recorder.record(pk, event(bulky("early")))
    recorder.close(timeout=0)
    assert len(spills_of(db.path)) == 1
    monkeypatch.undo()
    later = Recorder(db)
    later.record(pk, event("late"))
    later.close()
    assert [str(text)[:5] for text in contents(db, pk)] == ["early", "late"]
    assert spills_of(db.path) == []


def test_a_long_queue_moves_to_disk_and_back(db: Database, pk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """When much waits it leaves memory for the side file, and comes back in order once there is room."""
    fill(db, monkeypatch)
    monkeypatch.setattr(writer, "SPILL_AFTER_ENTRIES", 10)
    recorder = Recorder(db)
    texts = [f"{number} " + "x" * 3000 for number in range(100)]
    for text in texts:
        recorder.record(pk, event(text))
    deadline = time.monotonic() + 10
    while not spills_of(db.path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert absorb_spills(db.path) == []  # its owner lives
    monkeypatch.undo()
    recorder.record(pk, event("last"))
    assert recorder.flush(timeout=10)
    assert contents(db, pk) == [*texts, "last"]
    assert spills_of(db.path) == []
    recorder.close()


def test_what_sync_cannot_commit_takes_the_queue(
    db: Database, pk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With durability "sync" a commit that fails raises nothing; the events wait and arrive in order."""
    fill(db, monkeypatch)
    monkeypatch.setattr("skillsmith.capture.recorder.Database", FullDatabase)
    recorder = Recorder(db, durability="sync")
    texts = [bulky(str(number)) for number in range(5)]
    for text in texts:
        recorder.record(pk, event(text))
    assert recorder.waiting > 0
    monkeypatch.undo()
    recorder.record(pk, event("small"))
    assert recorder.flush(timeout=10)
    recorder.close()
    assert contents(db, pk) == [*texts, "small"]


def test_no_room_anywhere_is_counted(
    db: Database, pk: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only when neither the file nor any side file can be written are entries lost, and they are counted."""
    fill(db, monkeypatch)
    monkeypatch.setattr("skillsmith.capture.spill._places", lambda _path: [(tmp_path / "absent", "x")])
    recorder = Recorder(db)
    for number in range(3):
        recorder.record(pk, event(bulky(str(number))))
    recorder.close(timeout=0)
    assert recorder.dropped == 3
    assert "side file" in (recorder.problem or "")


def test_without_a_place_beside_the_database_a_folder_of_its_own_is_used(
    db: Database, pk: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It stands among the temporary files, goes with its last file, and is never a planted one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = str(tmp_path / "gone" / "skillsmith.db")
    spill = SpillFile(gone)
    spill.append([(pk, event("waits"))])
    (path,) = spills_of(gone)
    assert (path.parent.parent, path.parent.stat().st_mode & 0o777) == (tmp_path, 0o700)
    assert spill.absorb(EntryStore(db), db)[0].entries == 1
    assert not path.parent.exists()
    path.parent.symlink_to(tmp_path)
    with pytest.raises(OSError, match="no side file"):
        SpillFile(gone).append([(pk, event("waits"))])


def test_an_unstorable_event_does_not_take_others_along(db: Database, pk: int) -> None:
    """An event of wrong types leaves a note; the events around it are stored as they are."""
    recorder = Recorder(db)
    wrong: Any = event("x")
    object.__setattr__(wrong, "content", 12345)
    for entry in (event("one"), wrong, event("two")):
        recorder.record(pk, entry)
    recorder.close()
    (one, note, two) = RunRepository(db).events(run_id_of(db, pk))
    assert (one.content, two.content) == ("one", "two")
    assert note.kind == "raw"
    assert note.data is not None
    assert note.data["unstorable"] == "Event"
    assert "12345" in (note.content or "")
    assert recorder.dropped == 0


@BOTH
def test_an_unknown_run_is_counted(db: Database, pk: int, durability: Durability) -> None:
    """Entries of a run that does not exist are dropped, counted and named, and harm nothing else."""
    recorder = Recorder(db, durability=durability)
    recorder.record(pk, event("one"))
    recorder.record(pk + 1, event("lost"))
    recorder.record(pk, event("two"))
    recorder.close()
    assert contents(db, pk) == ["one", "two"]
    assert recorder.dropped == 1
    assert str(pk + 1) in (recorder.problem or "")


def test_after_close_entries_are_counted_not_raised(db: Database, pk: int) -> None:
    """Recording after the end neither raises nor stores, and closing again does nothing."""
    recorder = Recorder(db)
    recorder.close()
    recorder.record(pk, event("late"))
    recorder.close()
    assert recorder.dropped == 1
    assert contents(db, pk) == []


def test_release_stores_without_waiting(db: Database, pk: int) -> None:
    """A released recorder stores what it was given and says its last words, while nobody waits for it."""
    recorder = Recorder(db)
    recorder.set_last_words(pk, RunEnd(run_id=run_id_of(db, pk), status="interrupted"))
    recorder.record(pk, event("one"))
    recorder.release()
    deadline = time.monotonic() + 5
    while RunRepository(db).get(run_id_of(db, pk)).status == "running":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert contents(db, pk) == ["one"]


@BOTH
def test_release_without_a_thread_of_its_own(db: Database, pk: int, durability: Durability) -> None:
    """A recorder that was never used, or that commits on its callers' threads, is released just the same."""
    recorder = Recorder(db, durability=durability)
    recorder.set_last_words(pk, RunEnd(run_id=run_id_of(db, pk), status="interrupted"))
    recorder.release()
    deadline = time.monotonic() + 5
    while RunRepository(db).get(run_id_of(db, pk)).status == "running":
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_close_takes_last_words_back(db: Database, pk: int) -> None:
    """Last words are for a process that ends, not for a recorder that is closed."""
    recorder = Recorder(db)
    recorder.set_last_words(pk, RunEnd(run_id=run_id_of(db, pk), status="interrupted"))
    recorder.close()
    assert RunRepository(db).get(run_id_of(db, pk)).status == "running"


def test_sigterm_is_given_back(db: Database) -> None:
    """SIGTERM is caught only while a recorder is open."""
    before = signal.getsignal(signal.SIGTERM)
    first, second = Recorder(db), Recorder(db)
    during = signal.getsignal(signal.SIGTERM)
    first.close()
    assert signal.getsignal(signal.SIGTERM) is during
    second.close()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_handler_of_the_host_stays(db: Database) -> None:
    """A host that handles SIGTERM itself keeps its handler."""
    mine = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        Recorder(db).close()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_recording_during_a_commit_is_safe(db: Database, pk: int) -> None:
    """A signal handler that records while its thread commits neither deadlocks nor loses an event."""
    recorder = Recorder(db, durability="sync")
    signal.signal(signal.SIGALRM, lambda *_: recorder.record(pk, event("alarm")))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for _number in range(400):
            recorder.record(pk, event("main"))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    recorder.close()
    stored = contents(db, pk)
    assert stored.count("main") == 400
    assert recorder.dropped == 0
    assert db.check() == []


def test_wrong_arguments_are_refused(db: Database) -> None:
    """A durability that is not known and a database in memory are refused at once."""
    with pytest.raises(UsageError, match="durability"):
        Recorder(db, durability="maybe")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="database file"):
        Recorder(":memory:")


def test_a_torn_line_is_kept_and_the_rest_stored(db: Database, pk: int) -> None:
    """A side file that was cut off gives its whole entries, and stays under another name."""
    path = Path(db.path).with_name("skillsmith.db.spill-1.jsonl")
    whole = to_line(pk, event("whole"))
    path.write_bytes(whole + to_line(pk + 7, event("of no run")) + to_line(pk, event("torn"))[:-20])
    (absorbed,) = absorb_spills(db.path)
    assert absorbed.entries == 1
    assert len(absorbed.problems) == 2
    assert contents(db, pk) == ["whole"]
    assert not path.exists()
    assert Path(absorbed.path).read_bytes().startswith(whole)
    assert absorb_spills(db.path) == []


def test_absorbing_into_a_locked_file_keeps_the_side_file(
    db: Database, pk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the database cannot be written, side files stay as they are."""
    path = Path(db.path).with_name("skillsmith.db.spill-1.jsonl")
    path.write_bytes(to_line(pk, event(bulky("x"))))
    fill(db, monkeypatch)
    recorder = Recorder(db)
    recorder.record(pk, event(bulky("y")))
    recorder.close(timeout=0)
    assert path.exists()
    monkeypatch.undo()
    assert sum(done.entries for done in absorb_spills(db.path)) == 2
    assert [str(text)[:1] for text in contents(db, pk)] == ["x", "y"]


def test_a_side_file_that_cannot_be_deleted_is_stored_once(
    db: Database, pk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a side file cannot be deleted it is emptied, so that its entries are not stored again."""
    path = Path(db.path).with_name("skillsmith.db.spill-1.jsonl")
    path.write_bytes(to_line(pk, event("one")))
    monkeypatch.setattr(Path, "unlink", lambda *_args, **_kwargs: (_ for _ in ()).throw(OSError("no")))
    assert [done.entries for done in absorb_spills(db.path)] == [1]
    assert [done.entries for done in absorb_spills(db.path)] == [0]
    assert contents(db, pk) == ["one"]


TEXT = st.text(max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(["message", "tool_call", "code", "context", "raw"]),
    at=st.none() | st.floats(0, 2e9),
    step=st.integers(1, 9),
    content=st.none() | TEXT,
    tool=st.none() | st.builds(ToolUse, name=TEXT, arguments=st.none() | TEXT, parsed=JSON),
    code=st.none() | st.builds(CodeUse, text=st.none() | TEXT, exit_code=st.none() | st.integers(-9, 9)),
    data=st.none() | st.dictionaries(TEXT, JSON, max_size=3),
    tokens_in=st.none() | st.integers(0, 10**6),
)
SUMMARY = StepExecutionSummary(
    run_id="r", step=2, agents=("a",), events=1, messages=1, tool_calls=0, code_blocks=0,
    failed_code_blocks=0, transitions=(), artifacts=(), duration_seconds=0.5, tokens=3,
    cost_usd=None, dropped=0,
)  # fmt: skip
ENTRIES = st.one_of(
    EVENTS,
    st.builds(FileSnapshot, path=TEXT, content=st.binary(max_size=50), agent=st.none() | TEXT),
    st.builds(Superseded, path=TEXT, by=TEXT),
    st.builds(
        StepEnd, run_id=TEXT, summary=st.just(SUMMARY), columns=st.dictionaries(TEXT, JSON, max_size=3)
    ),
    st.builds(RunEnd, run_id=TEXT, outcome=st.sampled_from(["success", None]), reason=st.none() | TEXT),
)


@given(run=st.integers(1, 10**9), entry=ENTRIES)
@settings(max_examples=150, deadline=None)
def test_side_files_keep_entries_exactly(run: int, entry: Entry) -> None:
    """Any entry comes back from its line in a side file as it was."""
    line = to_line(run, entry)
    assert line.count(b"\n") == 1
    assert from_line(line) == (run, entry)


def test_files_and_ends_take_the_same_road(db: Database, pk: int) -> None:
    """File contents, successions, step ends and the run's end are stored in their place among events."""
    run_id = run_id_of(db, pk)
    recorder = Recorder(db)
    for entry in (
        event("one"),
        FileSnapshot(path="a_v1.py", content=b"1", agent="a"),
        FileSnapshot(path="a_v2.py", content=b"2", agent="a"),
        FileSnapshot(path="before.txt", content=b"0"),
        Superseded(path="a_v1.py", by="a_v2.py@1"),
        event("two"),
        StepEnd(run_id=run_id, summary=SUMMARY, columns={"host_id": "h", "title": None, "started_at": 1.0,
                "ended_at": 2.0, "agent_transitions": [], "intermediate_artifacts": [],
                "context_snapshots": []}),
        RunEnd(run_id=run_id, outcome="success", reason="all well"),
    ):  # fmt: skip
        recorder.record(pk, entry)
    recorder.close()
    versions = {version.path: version for version in FileRepository(db).versions(pk)}
    assert versions["a_v1.py"].superseded_by == "a_v2.py@1"
    assert (versions["a_v1.py"].seq, versions["a_v2.py"].seq, versions["before.txt"].seq) == (1, 1, None)
    run = RunRepository(db).get(run_id)
    assert (run.status, run.outcome, run.outcome_reason, run.events) == (
        "completed",
        "success",
        "all well",
        2,
    )
    assert db.scalar("SELECT host_id FROM steps WHERE run = ? AND step = 2", (pk,)) == "h"


def test_nothing_is_printed(db: Database, pk: int, caplog: pytest.LogCaptureFixture) -> None:
    """A recorder without problems says nothing."""
    with caplog.at_level(logging.DEBUG):
        recorder = Recorder(db)
        recorder.record(pk, event("quiet"))
        recorder.close()
    assert caplog.records == []


def test_whoever_waits_is_not_kept_by_a_busy_process(db: Database, pk: int) -> None:
    """While the process computes, entries may wait for each other, but a flush has them stored at once."""
    recorder = Recorder(db)
    for number in range(5):
        recorder.record(pk, event(str(number)))
        sum(range(200_000))
        assert recorder.flush()
        assert contents(db, pk) == [str(known) for known in range(number + 1)]
    recorder.close()


def test_a_process_that_never_waits_is_recorded_meanwhile(db: Database, pk: int) -> None:
    """Without a pause of the host entries are stored all the same, while it goes on computing."""
    recorder = Recorder(db)
    recorder.record(pk, event("seen"))
    deadline = time.monotonic() + 10
    while contents(db, pk) != ["seen"]:
        sum(range(100_000))
        assert time.monotonic() < deadline
    recorder.close()
