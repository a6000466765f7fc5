"""What is new in the file since a place in it: the questions of a follower, each answered from an index.

SQLite has one writer at a time, so event ids become visible in the order of the ids: whoever has read up to
an id has missed nothing before it, whichever process wrote it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from skillsmith.db import Database
from skillsmith.events import EventLog, dump_json
from skillsmith.models import Event, Run
from skillsmith.runs import RunRepository


@dataclass(frozen=True, slots=True)
class Placed:
    """An event and its place in the file: its id, and the primary key of its run."""

    id: int
    run: int
    event: Event


class Tail:
    """Read what has been appended.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._log = EventLog(db)
        self._runs = RunRepository(db)

    def last_id(self) -> int:
        """Return the id of the last event, 0 when there is none."""
        return int(self._db.scalar("SELECT coalesce(max(id), 0) FROM events"))

    def events(self, after: int, *, run: int | None, limit: int) -> list[Placed]:
        """Return events in order.

        Args:
            after: The id of the last event already seen.
            run: Only those of this run, by primary key.
            limit: How many at most.
        """
        if run is None:
            rows = self._db.all("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
        else:  # a run's sequence numbers grow with the ids; by them there is an index
            rows = self._db.all(
                "SELECT * FROM events WHERE run = ? AND seq > (SELECT coalesce(max(seq), 0) FROM events"
                " WHERE run = ? AND id <= ?) ORDER BY seq LIMIT ?",
                (run, run, after, limit),
            )
        return [Placed(row["id"], row["run"], self._log.event(row)) for row in rows]

    def running(self) -> frozenset[int]:
        """Return the primary keys of the runs that are not over."""
        return frozenset(row[0] for row in self._db.all("SELECT pk FROM runs WHERE status = 'running'"))

    def over(self, keys: Collection[int]) -> list[int]:
        """Return those of the runs with these primary keys that are over, in order."""
        if not keys:
            return []
        rows = self._db.all(
            "SELECT pk FROM runs WHERE pk IN (SELECT value FROM json_each(?)) AND status != 'running'"
            " ORDER BY pk",
            (dump_json(sorted(keys)),),
        )
        return [row[0] for row in rows]

    def newest_running(self, *, active_since: float) -> Run | None:
        """Return the newest run under way with a sign of life since then.

        Args:
            active_since: Unix time; a process that was killed leaves its run running for ever.
        """
        row = self._db.one(
            "SELECT r.id FROM runs r WHERE r.status = 'running' AND max(r.created_at, coalesce((SELECT at"
            " FROM events e WHERE e.run = r.pk ORDER BY e.seq DESC LIMIT 1), 0)) >= ?"
            " ORDER BY r.pk DESC LIMIT 1",
            (active_since,),
        )
        return None if row is None else self._runs.get(row[0])

    def last_run(self) -> int:
        """Return the primary key of the newest run, 0 when there is none."""
        return int(self._db.scalar("SELECT coalesce(max(pk), 0) FROM runs"))

    def next_live(self, after: int) -> Run | None:
        """Return the first run begun here, not imported, after the one with this primary key."""
        row = self._db.one("SELECT id FROM runs WHERE pk > ? AND chain IS NULL ORDER BY pk LIMIT 1", (after,))
        return None if row is None else self._runs.get(row[0])

    def key(self, run_id: str) -> int:
        """Return a run's primary key by its id or a unique beginning of it; see ``RunRepository.key``."""
        return self._runs.key(run_id)

    def run(self, pk: int) -> Run:
        """Return the run with a primary key."""
        return self._runs.get(self._db.scalar("SELECT id FROM runs WHERE pk = ?", (pk,)))
