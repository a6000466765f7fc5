"""Recording never costs the host a lock, a wait or an exception, and nothing recorded is lost on the way.

``record`` appends to a queue and returns. One daemon thread with its own connection stores what is there in
one transaction, so at an agent's pace an event is durable within 10 ms. With ``durability="sync"`` the
caller's thread commits, so that even SIGKILL loses nothing; where it cannot, the entry takes the queue.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TypeAlias
from weakref import WeakSet

from skillsmith.capture import lifecycle
from skillsmith.capture.entries import Entry, EntryStore, Late, Noted, RunKey
from skillsmith.capture.inbox import Inbox
from skillsmith.capture.spill import absorb_into
from skillsmith.capture.writer import LOCK_SECONDS, Flush, Item, Park, Stop, Writer
from skillsmith.db import Database
from skillsmith.errors import UsageError

Durability: TypeAlias = Literal["group", "sync"]

PARK_SECONDS = 1.0
SPILL_SECONDS = 2.0
"""Beyond its deadline a writer may be held by the driver's patience with a lock; then it spills."""

REPLACED_THREADS = 3
"""A writer thread that was killed is replaced, this many times."""


class HasPath(Protocol):
    """A Workspace or a Database."""

    @property
    def path(self) -> str: ...  # noqa: D102


DatabaseLike: TypeAlias = str | os.PathLike[str] | HasPath


def database_path(target: DatabaseLike) -> str:
    """Return the absolute path of a database file, workspace or open database.

    Raises:
        UsageError: It is in memory, where another thread could not reach it.
    """
    path = os.fspath(target) if isinstance(target, (str, os.PathLike)) else target.path
    if path == ":memory:":
        raise UsageError("a capture needs a database file", hint="name one instead of ':memory:'")
    return str(Path(path).absolute())


class Recorder:
    """Record entries of runs from any thread.

    Args:
        db: Path of the database, or an object with a ``path``: a Workspace or Database.
        durability: "group": a writer thread stores, at once; "sync": the caller's thread commits.
        redact: Replace secrets before anything is stored.

    ``put`` is ``record`` for a run and its entry in one; another function takes its place when the recorder
    starts and ends. ``replaced`` counts writer threads that were killed and replaced.

    Raises:
        UsageError: The durability is not known, or the database is in memory.
    """

    def __init__(self, db: DatabaseLike, *, durability: Durability = "group", redact: bool = True) -> None:
        if durability not in ("group", "sync"):
            raise UsageError(f"durability {durability!r} is not known", hint="use 'group' or 'sync'")
        self.path = database_path(db)
        self.durability: Durability = durability
        self.redact = redact
        self.replaced = 0
        self._late = 0
        self._inherited: list[object] = []
        self._begin()
        if durability == "group":
            self._start()  # here, because starting a thread may take the caller some milliseconds
        lifecycle.watch(self)

    def _begin(self) -> None:
        self._queue: Inbox[Item] = Inbox()
        self._writer = Writer(self.path, self._queue, redact=self.redact)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._committing = threading.Lock()
        self._committer: int | None = None
        self._spilling = threading.RLock()
        self._own = threading.local()
        self._connections: WeakSet[Database] = WeakSet()
        self._last_words: dict[RunKey, Entry] = {}
        self._forks: dict[int, tuple[Park | None, list[Database]]] = {}
        self._ended = False
        self._offline = False
        self._done = threading.Event()
        self.put: Callable[[Noted], None] = self._commit if self.durability == "sync" else self._start_and_put

    def record(self, run_pk: RunKey, entry: Entry | Late) -> None:
        """Take an entry; it never raises, and with durability "group" it never waits.

        Args:
            run_pk: The run's primary key, or its id.
            entry: An event, or what else belongs to a run, or what becomes one of them where it is stored;
                its dictionaries must not be changed afterwards.
        """
        self.put((run_pk, entry))

    def set_last_words(self, run_pk: RunKey, entry: Entry | None) -> None:
        """Choose what is recorded for a run when its process ends before the recorder is closed.

        Args:
            run_pk: The run's primary key, or its id.
            entry: The entry; None takes it back.
        """
        if entry is None:
            self._last_words.pop(run_pk, None)
        else:
            self._last_words[run_pk] = entry

    @property
    def dropped(self) -> int:
        """How many entries were lost: recorded after the end, or with no disk left to write to."""
        return self._late + self._writer.dropped

    @property
    def waiting(self) -> int:
        """How many entries are neither in the database nor in a side file yet."""
        return len(self._queue) + self._writer.waiting

    @property
    def problem(self) -> str | None:
        """The last thing that went wrong while storing; it may have been mended since."""
        return self._writer.problem

    @property
    def side_files(self) -> tuple[str, ...]:
        """After the end: files that hold what could not be stored."""
        return self._writer.left_behind

    def flush(self, timeout: float = lifecycle.GRACE_SECONDS) -> bool:
        """Wait until everything recorded so far is in the database, and tell whether it is.

        Args:
            timeout: Seconds to wait at most.
        """
        if self._ended or self._offline or (self._thread is None and not self._queue):
            return not self._offline and self.waiting == 0
        flush = Flush()
        self._queue.ask(flush)
        return flush.stored.wait(timeout)

    def close(self, timeout: float = lifecycle.GRACE_SECONDS) -> None:
        """Store everything and end; what cannot be stored in time waits in a side file.

        Args:
            timeout: Seconds to try when the database is locked.
        """
        self._last_words.clear()
        deadline = time.monotonic() + timeout
        self._stop(deadline, late=self._drop)
        self._wait(deadline)

    def release(self) -> None:
        """End without waiting: the writer stores what is there, then stops."""
        self._stop(time.monotonic() + lifecycle.GRACE_SECONDS, late=self._drop)
        self._start()

    def end(self, deadline: float) -> None:
        """Store everything because the process ends; what is recorded later still is committed at once."""
        self._stop(deadline, late=self._commit)
        self._wait(deadline)

    def _stop(self, deadline: float, *, late: Callable[[Noted], None]) -> None:
        if self._ended:
            return
        self._ended = True
        self.put = late
        for noted in self._last_words.items():
            self._queue.put(noted)
        self._queue.ask(Stop(deadline, then=self._stopped))

    def _stopped(self) -> None:
        self._done.set()
        lifecycle.unwatch(self)

    def _wait(self, deadline: float) -> None:
        if self._offline:
            self._writer.leave()
            self._stopped()
            return
        if self._thread is None or not self._thread.is_alive():
            self._writer.run()
        self._done.wait(max(deadline - time.monotonic(), 0) + SPILL_SECONDS)
        self._disconnect_own()
        lifecycle.unwatch(self)

    def _start_and_put(self, noted: Noted) -> None:
        self._queue.put(noted)
        self._start()

    def _start(self) -> None:
        if self._thread is not None or not self._starting.acquire(blocking=False):
            return
        thread = threading.Thread(target=self._write, name="skillsmith-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can start now; ``end`` stores what is in the queue
            self._starting.release()
            return
        self._thread = thread
        if self.durability == "group" and not self._ended:
            self.put = self._queue.put

    def _write(self) -> None:
        """Run the writer; should its thread be killed, let another one go on where it stopped."""
        try:
            self._writer.run()
        except BaseException as error:  # noqa: BLE001  (told by ``problem``; what waits must not wait forever)
            self._writer.revive(error)
            self.replaced += 1
            if self.replaced <= REPLACED_THREADS:
                self._thread = None
                self._starting.release()
                self._start()

    def _commit(self, noted: Noted) -> None:
        """Store on the caller's thread; behind what waits in the queue, go there too."""
        me = threading.get_ident()
        if not self._writer.idle or self._committer == me:  # the latter: in a signal handler during a commit
            self._fall_back(noted)
            return
        try:
            ready = self._writer.ready([noted])
            with self._committing:
                self._committer = me
                try:
                    self._own_store().write(ready)
                finally:
                    self._committer = None
        except Exception as error:  # noqa: BLE001  (it must not reach the host: the writer sorts it out)
            self._writer.problem = str(error)
            self._fall_back(noted)

    def _own_store(self) -> EntryStore:
        store: EntryStore | None = getattr(self._own, "store", None)
        if store is None:
            db = Database(self.path, patience=LOCK_SECONDS)
            store = EntryStore(db)
            if not self._connections:
                absorb_into(store, db)
            self._connections.add(db)
            self._own.db, self._own.store = db, store
        return store

    def _disconnect_own(self) -> None:
        if (db := getattr(self._own, "db", None)) is not None:
            db.close()
            self._connections.discard(db)
            self._own.db = self._own.store = None

    def _fall_back(self, noted: Noted) -> None:
        if self._ended:
            self._spill(noted)
            return
        self._writer.idle = False
        self._queue.put(noted)
        self._start()

    def _spill(self, noted: Noted) -> None:
        try:
            with self._spilling:
                self._writer.spill.append([(noted[0], self._writer.clean(noted[1]))])
        except OSError as error:
            self._writer.problem = str(error)
            self._drop(noted)

    def _drop(self, _noted: Noted) -> None:
        self._late += 1

    def before_fork(self) -> None:
        """Close our connections: SQLite's state of an open one would be wrong in the child.

        Those of other threads cannot be closed here; they are held, so that the child does not close them
        when it frees what belonged to threads that it does not have.
        """
        self._disconnect_own()
        park = Park() if self._thread is not None and not self._ended else None
        self._forks[threading.get_ident()] = park, list(self._connections)
        if park:
            self._queue.ask(park)
            park.parked.wait(PARK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Let the writer go on."""
        park, _connections = self._forks.pop(threading.get_ident(), (None, []))
        if park:
            park.resume.set()

    def after_fork_in_child(self) -> None:
        """Begin anew: what waits is the parent's to store, and threads do not survive a fork.

        Where a connection could not be closed before, SQLite must not touch the database in this process:
        entries then go to a side file, which is absorbed when this process is gone.
        """
        _park, open_elsewhere = self._forks.get(threading.get_ident(), (None, []))
        unsafe = self._writer.connected or bool(open_elsewhere)
        self._inherited += [self._writer, self._own, open_elsewhere]  # never closed: the parent uses them
        self._writer.spill.close()
        self._begin()
        if unsafe:
            self._offline, self.put = True, self._spill
