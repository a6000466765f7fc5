"""Read what has been written since a place, in order, nothing lost, nothing twice, wherever one begins again.

``PRAGMA data_version`` says for microseconds whether another connection has committed; only then is the log
read. Which runs are over is read before their events, so the end of a run is told after all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypedDict

from skillsmith.db import Database, is_locked
from skillsmith.errors import SkillsmithError, UsageError
from skillsmith.models import Json, Run
from skillsmith.notices import ended, notices
from skillsmith.tail import Placed, Tail

ACTIVE_PAUSE_SECONDS: Final = 0.01
IDLE_PAUSE_SECONDS: Final = 0.05
ACTIVE_SECONDS: Final = 2.0
"""So long after the last event it is looked often."""

WINDOW: Final = 200
"""Events read at a time."""

_KNOWN_RUNS: Final = 100


class FeedEvent(TypedDict):
    """What a listener gets; ``cursor`` given as ``after`` goes on behind it."""

    event: str
    data: dict[str, Json]
    cursor: str


@dataclass(frozen=True, slots=True)
class Place:
    """How far a follower has come.

    Args:
        id: The last stored event that it has had whole.
        part: How many notices it has had of the one after that.
        open: Primary keys of runs that it has had events of, but not the end.
    """

    id: int
    part: int = 0
    open: frozenset[int] = frozenset()

    def cursor(self) -> str:
        """Return it as text: ``ID``, ``ID+PART``, ``ID:RUN,RUN``."""
        part = f"+{self.part}" if self.part else ""
        runs = f":{','.join(map(str, sorted(self.open)))}" if self.open else ""
        return f"{self.id}{part}{runs}"

    @classmethod
    def read(cls, cursor: int | str) -> Place:
        """Read a cursor, or the id of an event.

        Raises:
            UsageError: It is neither.
        """
        head, _, runs = str(cursor).partition(":")
        event, _, part = head.partition("+")
        try:
            numbers = [int(number) for number in (event, part or "0", *(runs.split(",") if runs else ()))]
        except ValueError:
            numbers = [-1]
        if min(numbers) < 0:
            raise UsageError(f"{cursor!r} is no place in the events", hint="give the `cursor` of an event")
        return cls(numbers[0], numbers[1], frozenset(numbers[2:]))


@dataclass(frozen=True, slots=True)
class Wish:
    """What a follower wants to hear.

    Args:
        path: The file.
        run: Primary key of the only run; None: of all.
        names: The only names; None: all.
        start: Where it begins.
    """

    path: str
    run: int | None
    names: frozenset[str] | None
    start: Place


class Follower:
    """Read a feed step by step, on the thread that makes it.

    Args:
        wish: What to read.
    """

    def __init__(self, wish: Wish) -> None:
        self.place = wish.start
        self._wish = wish
        self._db = Database(wish.path, readonly=True)
        self._tail = Tail(self._db)
        self._version = -1
        self._more = True
        self._runs: dict[int, Run] = {}
        self._heard_at = time.monotonic()

    @property
    def pause(self) -> float:
        """Seconds to wait when ``poll`` has found nothing."""
        active = time.monotonic() - self._heard_at < ACTIVE_SECONDS
        return ACTIVE_PAUSE_SECONDS if active else IDLE_PAUSE_SECONDS

    def poll(self) -> list[FeedEvent]:
        """Return what is new, a window at a time; empty when there is nothing.

        Raises:
            StorageError: The file cannot be read.
        """
        try:
            return self._poll()
        except SkillsmithError as error:
            if is_locked(error):
                return []
            raise

    def is_over(self) -> bool:
        """Tell whether the one run that is followed has ended and everything of it was read."""
        run = self._wish.run
        if run is None or self._more or run in self.place.open:
            return False
        return bool(self._tail.over([run]))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _poll(self) -> list[FeedEvent]:
        version = self._db.data_version()
        if version == self._version and not self._more:
            return []
        # Which runs are over is read first: every event of theirs is then among those read afterwards.
        over = self._tail.over(self.place.open)
        batch = self._tail.events(self.place.id, run=self._wish.run, limit=WINDOW)
        found = [told for placed in batch for told in self._tell(placed)]
        if not batch:
            found += [told for run in over for told in self._tell_end(run)]
        self._version, self._more = version, bool(batch)
        if batch or found:
            self._heard_at = time.monotonic()
        return found

    def _tell(self, placed: Placed) -> Iterator[FeedEvent]:
        had = self.place.part if placed.id == self.place.id + 1 else 0
        runs = self.place.open | {placed.run}
        every = notices(placed.event, run=self._run(placed.run))
        for number, (name, data) in enumerate(every, 1):
            whole = number == len(every)
            self.place = Place(placed.id, 0, runs) if whole else Place(placed.id - 1, number, runs)
            if number > had and self._wanted(name):
                yield {"event": name, "data": data, "cursor": self.place.cursor()}

    def _tell_end(self, pk: int) -> Iterator[FeedEvent]:
        self._runs.pop(pk, None)
        name, data = ended(self._run(pk))
        self.place = Place(self.place.id, self.place.part, self.place.open - {pk})
        if self._wanted(name):
            yield {"event": name, "data": data, "cursor": self.place.cursor()}

    def _run(self, pk: int) -> Run:
        if pk not in self._runs:
            if len(self._runs) >= _KNOWN_RUNS:
                self._runs.pop(next(iter(self._runs)))
            self._runs[pk] = self._tail.run(pk)
        return self._runs[pk]

    def _wanted(self, name: str) -> bool:
        return self._wish.names is None or name in self._wish.names
