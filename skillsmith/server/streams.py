"""Events for many listeners: each is read from the file and written as JSON once, whoever listens.

Events are kept in blocks of a fixed range of numbers. A block that is full never changes, so listeners that
replay the same run share it; only the last block is read again, and only when the file has changed. A
listener pulls at its own pace: a slow one holds no memory here and delays nobody, least of all the writer.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from skillsmith.db import Database
from skillsmith.errors import StorageError
from skillsmith.events import dump_json
from skillsmith.models import Event, Json, Run
from skillsmith.notices import ended, notices
from skillsmith.server.pool import ReaderPool
from skillsmith.tail import Tail
from skillsmith.workspace import Workspace

BLOCK: Final = 200
CACHED_CHARS: Final = 32 * 1024 * 1024
ACTIVE_SECONDS: Final = 0.01
IDLE_SECONDS: Final = 0.05
ACTIVE_LOOKS: Final = 200
"""So many looks after the last change the file is looked at often."""

_KNOWN_RUNS: Final = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """What listeners get for one stored event.

    Args:
        key: Its number: in the run, or in the file.
        run: Primary key of its run.
        heads: One text for each notice, to which the cursor is still to be added.
    """

    key: int
    run: int
    heads: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Events with numbers in one range.

    Args:
        complete: Nothing more can come into it.
        version: The state of the file that it was read in.
        asked: Runs of which it is known whether they were over.
        over: Those that were, with the head of the notice that says so.
    """

    entries: Sequence[Entry] = ()
    complete: bool = False
    version: int = -1
    asked: frozenset[int] = frozenset()
    over: dict[int, str] = field(default_factory=dict)


class Source(Protocol):
    """Where a stream's events come from."""

    def read(self, tail: Tail, workspace: Workspace, *, after: int, until: int) -> tuple[list[Entry], bool]:
        """Return the events from behind ``after`` up to ``until``, and whether no more can come there."""
        ...


class AllRuns:
    """The events of every run, by their number in the file."""

    def __init__(self) -> None:
        self._runs: OrderedDict[int, Run] = OrderedDict()

    def read(self, tail: Tail, workspace: Workspace, *, after: int, until: int) -> tuple[list[Entry], bool]:
        """Return events; see ``Source``."""
        del workspace
        complete = tail.last_id() >= until  # read first: what is missing below it will never come
        placed = tail.events(after, run=None, limit=until - after)
        return [_entry(one.id, one.event, self._run(tail, one.run), one.run)
                for one in placed if one.id <= until], complete  # fmt: skip

    def _run(self, tail: Tail, pk: int) -> Run:
        if pk not in self._runs:
            if len(self._runs) >= _KNOWN_RUNS:
                self._runs.popitem(last=False)
            self._runs[pk] = tail.run(pk)
        return self._runs[pk]


class OneRun:
    """The events of one run, by their sequence number.

    Args:
        run: The run.
        pk: Its primary key.
    """

    def __init__(self, run: Run, pk: int) -> None:
        self._run = run
        self._pk = pk

    def read(self, tail: Tail, workspace: Workspace, *, after: int, until: int) -> tuple[list[Entry], bool]:
        """Return events; see ``Source``."""
        del tail
        found = islice(workspace.log.replay(self._pk, after=after, window=BLOCK), until - after)
        entries = [_entry(event.seq, event, self._run, self._pk) for event in found]
        return entries, bool(entries) and entries[-1].key >= until


def _entry(key: int, event: Event, run: Run, pk: int) -> Entry:
    return Entry(key, pk, tuple(_head(*notice) for notice in notices(event, run=run)))


def _head(name: str, data: dict[str, Json]) -> str:
    return f'{{"event":"{name}","data":{dump_json(data)},"cursor":"'


class Stream:
    """One order of events, shared by its listeners.

    Args:
        source: What is read.
        readers: Where it is read.
    """

    def __init__(self, source: Source, readers: ReaderPool) -> None:
        self._source = source
        self._readers = readers
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._chars: dict[int, int] = {}
        self._reading = asyncio.Lock()
        self._changed = asyncio.Event()
        self._version = 0
        self.waiting: dict[object, frozenset[int]] = {}
        """Runs whose end each listener waits for that has had everything else."""

    def bump(self) -> None:
        """Note that the file has changed."""
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, block: Block) -> None:
        """Wait until the file has changed since a block was read."""
        while block.version == self._version:
            await self._changed.wait()

    async def block(self, number: int, *, asking: frozenset[int]) -> Block:
        """Return a block.

        Args:
            number: Which; block 0 begins with event 1.
            asking: Runs of which the caller wants to know whether they are over.
        """
        known = self._known(number, asking)
        if known is not None:
            return known
        async with self._reading:
            known = self._known(number, asking)
            if known is not None:
                return known
            version, before = self._version, self._blocks.get(number, Block())
            runs = asking.union(*self.waiting.values())
            read = await self._readers.run(
                lambda workspace: self._read(workspace, number, before, version, runs)
            )
            self._keep(number, read)
            return read

    def _known(self, number: int, asking: frozenset[int]) -> Block | None:
        block = self._blocks.get(number)
        if block is None:
            return None
        if block.complete or (block.version == self._version and asking <= block.asked):
            self._blocks.move_to_end(number)
            return block
        return None

    def _read(
        self, workspace: Workspace, number: int, before: Block, version: int, runs: frozenset[int]
    ) -> Block:
        """Read what is new in a block, on a reader's thread."""
        tail = Tail(workspace.db)
        over = tail.over(runs)  # read first: all events of theirs are then among those read afterwards
        after = before.entries[-1].key if before.entries else number * BLOCK
        entries, complete = self._source.read(tail, workspace, after=after, until=(number + 1) * BLOCK)
        return Block(
            entries=[*before.entries, *entries], complete=complete, version=version, asked=runs,
            over={pk: _head(*ended(tail.run(pk))) for pk in over},
        )  # fmt: skip

    def _keep(self, number: int, block: Block) -> None:
        self._blocks[number] = block
        self._blocks.move_to_end(number)
        self._chars[number] = sum(len(head) for entry in block.entries for head in entry.heads)
        while sum(self._chars.values()) > CACHED_CHARS and len(self._blocks) > 1:
            dropped, _ = self._blocks.popitem(last=False)
            del self._chars[dropped]


class Streams:
    """The streams that somebody listens to, and the thread that watches the file for them.

    Args:
        path: The file.
        readers: Where it is read.
    """

    def __init__(self, path: Path, readers: ReaderPool) -> None:
        self._path = path
        self._readers = readers
        self._streams: dict[int | None, tuple[Stream, int]] = {}
        self._loop = asyncio.get_running_loop()
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="skillsmith-watch", daemon=True)
        self._thread.start()
        self.listeners = 0

    def join(self, run: Run | None, pk: int | None) -> Stream:
        """Begin to listen to one run, or to all; whoever joins leaves later."""
        stream, count = self._streams.get(pk, (None, 0))
        if stream is None:
            source: Source = AllRuns() if run is None or pk is None else OneRun(run, pk)
            stream = Stream(source, self._readers)
        self._streams[pk] = stream, count + 1
        self.listeners += 1
        self._wanted.set()
        return stream

    def leave(self, pk: int | None) -> None:
        """Stop listening."""
        stream, count = self._streams[pk]
        self.listeners -= 1
        if count > 1:
            self._streams[pk] = stream, count - 1
            return
        del self._streams[pk]
        if not self._streams:
            self._wanted.clear()

    def close(self) -> None:
        """End the watching thread."""
        self._closing.set()
        self._wanted.set()
        self._thread.join()

    def _bump(self) -> None:
        for stream, _ in self._streams.values():
            stream.bump()

    def _watch(self) -> None:
        with closing(Database(self._path, readonly=True)) as db:
            version, quiet = -1, 0
            while not self._closing.is_set():
                self._wanted.wait()
                current = _version_of(db)
                quiet = 0 if current != version else quiet + 1
                if current != version:
                    version = current
                    self._tell()
                self._closing.wait(ACTIVE_SECONDS if quiet < ACTIVE_LOOKS else IDLE_SECONDS)

    def _tell(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._bump)


def _version_of(db: Database) -> int:
    try:
        return int(db.data_version())
    except StorageError:  # locked for a moment: the next look tells
        return -2
