"""Everything taken from the queue ends in the database, in order; while that cannot be written, it waits.

What arrives within a few milliseconds is written in one transaction. While the process computes, writing
would take the interpreter from the host's threads, many times: it is left alone until it waits for something
(a model, a person), or for 50 ms at most. A database that is locked, full or read-only is
tried again after a growing pause; what waits then moves to a side file when it grows large.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from skillsmith.capture.entries import (
    Entry,
    EntryStore,
    Filed,
    Late,
    Noted,
    RunKey,
    note_for,
    redact_entry,
    whole,
)
from skillsmith.capture.inbox import Empty, Inbox
from skillsmith.capture.ready import made_ready
from skillsmith.capture.spill import Absorbed, SpillFile, absorb_into
from skillsmith.db import Database
from skillsmith.errors import StorageError
from skillsmith.models import Event

BATCH_ENTRIES = 1000
SPILL_AFTER_ENTRIES = 10_000
GATHER_SECONDS = 0.004
"""Between an entry's arrival and its transaction, for what comes with it: a turn leaves several in a row."""

BUSY_SHARE = 0.5
"""A process that takes this share of a processor computes; below it, a host waits for something."""

LONGEST_GATHERING_SECONDS = 0.05
"""A host that computes is left alone for so long at most.

Even to look whether it still does takes the interpreter from it, for a tenth of a millisecond: the pauses
between two looks grow with the time that it has computed.
"""

LONGEST_FIRST_LOOK_SECONDS = 0.008
"""Until the first look, for a host that was computing before: it may wait from now on."""

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0
LOCK_SECONDS = 0.5
"""The driver waits so long for another process, then the writer looks whether it should stop."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Asks to be told when everything before it is in the database."""

    stored: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Park:
    """Asks for the connection to be closed until ``resume``: a fork must not inherit one."""

    parked: threading.Event = field(default_factory=threading.Event)
    resume: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Stop:
    """Asks to come to an end; what cannot be stored by the deadline (monotonic time) goes to a side file."""

    deadline: float
    then: Callable[[], None]


Item: TypeAlias = Noted | Flush | Park | Stop


class Writer:
    """Bring entries from a queue into a database, on one thread at a time.

    Args:
        db_path: The database.
        queue: Entries, and requests in between.
        redact: Whether secrets are replaced.
    """

    def __init__(self, db_path: str, queue: Inbox[Item], *, redact: bool) -> None:
        self._db_path = db_path
        self._queue = queue
        self._redact = redact
        self._turn = threading.Lock()
        self._db: Database | None = None
        self._store: EntryStore | None = None
        self._taken: list[Noted] = []
        self._pending: list[Filed] = []
        self._flushes: list[Flush] = []
        self._parks: list[Park] = []
        self._stops: list[Stop] = []
        self._pause = 0.0
        self._patience = 0.0
        self.spill = SpillFile(db_path)
        self.dropped = 0
        self.problem: str | None = None
        self.idle = True
        self.left_behind: tuple[str, ...] = ()

    @property
    def connected(self) -> bool:
        """Whether it holds a connection now."""
        return self._db is not None

    @property
    def waiting(self) -> int:
        """How many entries it has taken and not yet stored."""
        return len(self._pending) + len(self._taken)

    def run(self) -> None:
        """Work until asked to stop; return at once when another thread is at it."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            while not self._over():
                self._collect()
                self._settle()
            self._disconnect()
            self.leave()
        finally:
            self._turn.release()
        for stop in self._stops:
            stop.then()

    def revive(self, error: BaseException) -> None:
        """Get ready to run on another thread after one was killed: a connection belongs to its thread."""
        self.problem = f"the writer thread was killed by {type(error).__name__} and replaced"
        self._db = self._store = None

    def leave(self) -> None:
        """Leave the side files to whoever absorbs them."""
        self.left_behind += tuple(map(str, self.spill.paths))
        self.spill.close()

    def ready(self, noted: Sequence[Noted]) -> list[Filed]:
        """Return entries as they may be stored."""
        return made_ready(noted, self.clean, redact=self._redact)

    def clean(self, entry: Entry | Late) -> Entry:
        """Return an entry as it may be stored: made, and without secrets, unless those are wanted."""
        try:
            made = entry.made() if isinstance(entry, Late) else entry
            return redact_entry(made) if self._redact else made
        except Exception as error:  # noqa: BLE001  (a caller changed its dictionary meanwhile: say so instead)
            return note_for(entry, error, with_text=False)

    def _over(self) -> bool:
        return bool(self._stops) and not self.waiting and not self._queue

    def _collect(self) -> None:
        if self._pause:
            self._collect_for(self._pause)
        else:
            if not self.waiting:  # else another thread was killed before it had stored them
                self._queue.take(self._accept)
                if self._taken:
                    self._gather()
            self._queue.drain(self._accept, most=BATCH_ENTRIES)
        self._pending += self.ready(self._taken)
        self._taken.clear()

    def _gather(self) -> None:
        """Let more come, while the process computes still more; whoever waits for an answer is not kept."""
        began = now = time.monotonic()
        busy = True
        while busy and (left := began + LONGEST_GATHERING_SECONDS - now) > 0 and not self._asked():
            before, spent = now, time.process_time()
            self._queue.rest(min(max(GATHER_SECONDS, self._patience, now - began), left))
            now = time.monotonic()
            busy = time.process_time() - spent > BUSY_SHARE * (now - before)
        self._patience = LONGEST_FIRST_LOOK_SECONDS if busy and not self._asked() else 0.0

    def _asked(self) -> bool:
        """Tell whether the last thing that came is a request."""
        last = self._queue.last()
        return last is not None and not isinstance(last, tuple)

    def _collect_for(self, seconds: float) -> None:
        end = min([time.monotonic() + seconds, *(stop.deadline for stop in self._stops)])
        with suppress(Empty):
            while (left := end - time.monotonic()) > 0 and not self._parks:
                self._queue.take(self._accept, timeout=left)

    def _accept(self, item: Item) -> None:
        if isinstance(item, tuple):
            self._taken.append(item)
        elif isinstance(item, Flush):
            self._flushes.append(item)
        elif isinstance(item, Park):
            self._parks.append(item)
        else:
            self._stops.append(item)

    def _settle(self) -> None:
        if self._pause and self._out_of_time():
            self._make_room()
        else:
            self._try_to_write()
        self._rest()

    def _try_to_write(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001  (whatever is wrong with the file, entries wait for better times)
            self.problem = str(error)
            self._disconnect()
            self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            self._make_room()
            return
        self._pause = 0.0
        self.idle = not self._queue
        for flush in self._flushes:
            flush.stored.set()
        self._flushes.clear()

    def _write(self) -> None:
        if not self._pending and not self.spill.paths:
            return
        store, db = self._connect()
        self._note_problems(self.spill.absorb(store, db))
        if not self._pending:
            return
        try:
            store.write(self._pending, hurried=self._patience > 0)
        except (StorageError, OSError):
            raise
        except Exception:  # noqa: BLE001  (one entry cannot be stored: find out which, keep the others)
            self._write_singly(store)
        self._pending.clear()

    def _connect(self) -> tuple[EntryStore, Database]:
        if self._db is None or self._store is None:
            self._db = Database(self._db_path, patience=LOCK_SECONDS)
            self._store = EntryStore(self._db)
            self._note_problems(absorb_into(self._store, self._db))
        return self._store, self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = self._store = None

    def _write_singly(self, store: EntryStore) -> None:
        while self._pending:
            run, entry = self._pending[0]
            try:
                store.write([(run, entry)])
            except (StorageError, OSError):
                raise
            except Exception as error:  # noqa: BLE001  (counted and reported when not even a note can be stored)
                self._write_note(store, run, note_for(whole(entry), error))
            self._pending.pop(0)

    def _write_note(self, store: EntryStore, run: RunKey, note: Event) -> None:
        try:
            store.write([(run, note)])
        except (StorageError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  (the run itself is gone)
            self.dropped += 1
            self.problem = f"run {run}: {error}"

    def _note_problems(self, absorbed: list[Absorbed]) -> None:
        for done in absorbed:
            if done.problems:
                self.problem = f"{done.path}: {done.problems[0]}"

    def _make_room(self) -> None:
        """Move what waits to the side file when it is much, or when there is no time left."""
        if not self._pending or not (self._out_of_time() or len(self._pending) > SPILL_AFTER_ENTRIES):
            return
        try:
            self.spill.append(self._pending)
        except OSError as error:
            self.problem = str(error)
            if not self._out_of_time():
                return
            self._save_what_fits()
        self._pending.clear()

    def _save_what_fits(self) -> None:
        """Spill one by one: on a nearly full disk some may find room where all together do not."""
        for filed in self._pending:
            try:
                self.spill.append([filed])
            except OSError:
                self.dropped += 1

    def _out_of_time(self) -> bool:
        return any(time.monotonic() >= stop.deadline for stop in self._stops)

    def _rest(self) -> None:
        if self._parks:
            self._disconnect()
        for park in self._parks:
            park.parked.set()
            park.resume.wait()
        self._parks.clear()
