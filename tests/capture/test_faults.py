"""Whatever happens to the file, the user's run goes on unharmed, one warning says so, and nothing is lost."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import skillsmith
from skillsmith.capture import absorb_spills, session
from skillsmith.capture.spill import spills_of
from skillsmith.db import Database
from skillsmith.runs import RunRepository

PLANTED = "sk-proj-" + "Zq7" * 12
TURNS = 20


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user may enter."""
    made = Path(tempfile.mkdtemp(prefix="skillsmith-faults-"))
    made.chmod(0o755)
    yield made
    for path in [made, *made.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(made)


@pytest.fixture
def path(folder: Path) -> Path:
    """A database that is there already."""
    made = folder / "skillsmith.db"
    Database(made).close()
    return made


@pytest.fixture(autouse=True)
def _spills_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Side files of these tests stay out of the machine's folder for temporary files."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))


def work(run: session.Capture, *, turns: int = TURNS, text: str = "hello", pause: float = 0.0) -> int:
    """Stand for the user's run: it does some turns and returns how many."""
    for number in range(turns):
        turn = run.tape.begin_turn("a")
        run.tape.message(
            turn, sender="a", recipient="b", role="assistant", content=f"{number} {text} {PLANTED}"
        )
        run.tape.end_turn(turn)
        time.sleep(pause)
    return turns


def contents(path: Path, run_id: str) -> list[str]:
    """Return the numbers of the messages of a run."""
    with closing(Database(path)) as db:
        messages = [event for event in RunRepository(db).events(run_id) if event.kind == "message"]
    return [(event.content or "").split()[0] for event in messages]


def whole(turns: int = TURNS) -> list[str]:
    """Return those of a whole run."""
    return [str(number) for number in range(turns)]


def one_warning(caplog: pytest.LogCaptureFixture, *words: str) -> None:
    """Check that the user was told once, and what."""
    assert len(caplog.records) == 1, caplog.text
    for word in words:
        assert word in caplog.text


def no_secret_in(folder: Path) -> None:
    """Check that no file holds the planted secret."""
    for file in folder.rglob("*"):
        assert not file.is_file() or PLANTED.encode() not in file.read_bytes(), file


def status_of(path: Path, run_id: str) -> str:
    """Return how a run ended."""
    with closing(Database(path)) as db:
        return RunRepository(db).get(run_id).status


_LOCK = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
db.execute("ROLLBACK")
"""


@contextmanager
def _locked(path: Path, *, seconds: float = 60) -> Iterator[None]:
    """Let another process hold the write lock; in one process two SQLite libraries would not see it."""
    command = [sys.executable, "-c", _LOCK, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"locked"
        try:
            yield
        finally:
            other.kill()


def test_a_file_locked_to_the_end_is_stored_later(
    path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run does not wait; what it recorded lies in a side file until the file is next written."""
    with _locked(path), caplog.at_level(logging.WARNING):
        run = skillsmith.capture("locked", path)
        began = time.monotonic()
        run.begin()
        assert work(run) == TURNS
        worked = time.monotonic() - began
        run.end()
        ended = time.monotonic() - began
    assert worked < 0.5
    assert ended < session.CLOSE_SECONDS + 3
    one_warning(caplog, "locked", "waits in")
    assert spills_of(str(path))
    no_secret_in(folder)
    with skillsmith.capture("the next one", path):
        pass
    assert (contents(path, run.id), status_of(path, run.id)) == (whole(), "completed")
    assert not spills_of(str(path))


def test_a_file_locked_for_a_while_is_waited_for(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A lock that ends while the run goes on leaves no trace, and no warning."""
    with (
        _locked(path, seconds=1.2),
        caplog.at_level(logging.WARNING),
        skillsmith.capture("locked", path) as run,
    ):
        work(run, pause=0.08)
    assert contents(path, run.id) == whole()
    assert not caplog.records


@pytest.mark.skipif(
    "SKILLSMITH_SLOW" not in os.environ, reason="holds a lock for 30 s; set SKILLSMITH_SLOW=1"
)
def test_a_file_locked_for_half_a_minute(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same with a lock of 30 s, in the middle of a run that lasts longer."""
    with (
        _locked(path, seconds=30),
        caplog.at_level(logging.WARNING),
        skillsmith.capture("locked", path) as run,
    ):
        work(run, turns=330, pause=0.1)
    assert contents(path, run.id) == whole(330)
    assert not caplog.records


@contextmanager
def _as_ordinary_user() -> Iterator[None]:
    """Be nobody special: permissions mean nothing to root."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of this kind are those of POSIX")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_file_that_may_not_be_written(
    what: str, path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A read-only file or folder: what is recorded waits elsewhere until it may be written again."""
    (path if what == "file" else folder).chmod(0o444 if what == "file" else 0o555)
    with _as_ordinary_user(), caplog.at_level(logging.WARNING):
        with skillsmith.capture("read-only", path) as run:
            assert work(run) == TURNS
        one_warning(caplog, "waits in")
        waiting = spills_of(str(path))
    assert waiting
    no_secret_in(folder)
    folder.chmod(0o777)
    path.chmod(0o666)
    with _as_ordinary_user():
        absorb_spills(str(path))
    assert contents(path, run.id) == whole()


@contextmanager
def _files_no_larger_than(size: int) -> Iterator[None]:
    """Let every write beyond a size fail, as on a disk that is full."""
    import resource  # noqa: PLC0415  (POSIX only)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of this kind are those of POSIX")
def test_a_full_disk_for_the_database(path: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The database cannot grow: what was recorded waits beside it, and is stored when there is room."""
    text = os.urandom(4000).hex()
    with caplog.at_level(logging.WARNING), _files_no_larger_than(120_000):
        with skillsmith.capture("full", path) as run:
            assert work(run, text=text, pause=0.01) == TURNS
        one_warning(caplog, "waits in")
    assert spills_of(str(path))
    no_secret_in(folder)
    with skillsmith.capture("the next one", path):
        pass
    assert contents(path, run.id) == whole()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of this kind are those of POSIX")
def test_no_room_anywhere(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not even a side file can be written: the run goes on, and the user is told how much was lost."""
    with caplog.at_level(logging.WARNING), _files_no_larger_than(0):
        with skillsmith.capture("full", path) as run:
            assert work(run) == TURNS
        assert run.dropped > 0
    one_warning(caplog, f"{run.dropped} of its records were lost")


def test_a_writer_thread_that_is_killed_is_replaced(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another thread goes on where it stopped; the user is told, and nothing is lost."""
    with caplog.at_level(logging.WARNING), skillsmith.capture("killed", path) as run:
        work(run, turns=10)
        recorder = run.run.recorder
        recorder.flush()
        thread = recorder._thread
        assert thread is not None
        assert thread.ident is not None
        killed = ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
        )
        assert killed == 1
        for number in range(10, TURNS):
            turn = run.tape.begin_turn("a")
            run.tape.message(turn, sender="a", recipient="b", role="assistant", content=f"{number}")
            run.tape.end_turn(turn)
            time.sleep(0.01)
        assert recorder.flush()
        assert not thread.is_alive()
    assert contents(path, run.id) == whole()
    one_warning(caplog, "killed by SystemExit", "nothing was lost")


def test_a_run_that_begins_while_the_file_is_locked_is_made_later(path: Path) -> None:
    """Even beginning waits for nothing: the run has its id at once, and is in the file when that is free."""
    with _locked(path, seconds=0.5), skillsmith.capture("early", path) as run:
        assert run.id
        work(run, turns=3, pause=0.3)
    assert contents(path, run.id) == whole(3)


def test_a_killed_process_leaves_what_was_stored(path: Path, folder: Path) -> None:
    """With durability "sync" not even SIGKILL loses an event, and the run is found as it was left."""
    code = (
        "import os, signal, skillsmith\n"
        f"run = skillsmith.capture('killed', {str(path)!r}, durability='sync').begin()\n"
        "turn = run.tape.begin_turn('a')\n"
        "for n in range(5):\n"
        "    run.tape.message(turn, sender='a', recipient='b', role='assistant', content=str(n))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    with closing(Database(path)) as db:
        (run,) = list(RunRepository(db).list())
    assert contents(path, run.id) == whole(5)
    assert run.status == "running"
