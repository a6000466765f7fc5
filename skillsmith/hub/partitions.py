"""Whole runs on a hub, in monthly partitions that are made when a run of a new month arrives.

What goes up is read back and compared with what is here, row by row and content by content, before anything
is removed here: a move that is killed anywhere leaves the run in one place at least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from skillsmith import archive_rows
from skillsmith.archived import HUB, ArchivedRuns
from skillsmith.db import Database
from skillsmith.errors import NotFoundError, StorageError, UsageError
from skillsmith.hub.client import Hub
from skillsmith.hub.marks import machine_id, machine_name
from skillsmith.hub.run_rows import blobs_of, clear_of_secrets, put_rows, rows_of
from skillsmith.models import Run
from skillsmith.workspace import Workspace

Progress = Callable[[int, str], None]

WINDOW: Final = 1000
_PARTITIONED: Final = ("archived_runs", "archived_rows", "archived_blobs")

_ROWS = """
SELECT part, ordinal, body FROM archived_rows
WHERE run = %s AND started_at = %s AND part = %s AND ordinal > %s ORDER BY ordinal LIMIT %s
"""
_FIND = """
SELECT id::text, started_at, fingerprint, events FROM archived_runs
WHERE id::text >= %s AND id::text < %s ORDER BY id LIMIT 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubMove:
    """Runs that went to a hub, or came from one.

    Args:
        runs: Their ids.
        events: How many events they have.
        months: The partitions they are in, like ``2026_11``.
    """

    runs: tuple[str, ...]
    events: int
    months: tuple[str, ...]


class HubArchive:
    """Sends whole runs to a hub and brings them back.

    Args:
        workspace: The file.
        hub: The hub.
    """

    def __init__(self, workspace: Workspace, hub: Hub) -> None:
        self._db = workspace.db
        self._runs = workspace.runs
        self._heads = ArchivedRuns(workspace.db)
        self._hub = hub
        self._machine = machine_id(workspace.db)

    def send(
        self,
        run_ids: Sequence[str],
        *,
        remove: bool = False,
        allow_secrets: bool = False,
        progress: Progress | None = None,
    ) -> HubMove:
        """Copy whole runs to the hub; what it has already is compared, not sent again.

        Args:
            run_ids: Ids or unique prefixes.
            remove: Remove them here once the hub's copy was read back and found equal; their heads stay.
            allow_secrets: Send what looks like a secret.
            progress: Told after each run, with its id.

        Raises:
            SecretFoundError: A run holds what looks like a secret.
            StorageError: The hub's copy is not the same, or it broke off.
            UsageError: A run is not over.
        """
        chosen = list({run.id: run for run in map(self._runs.get, run_ids)}.values())
        for run in chosen:
            if run.status == "running":
                raise UsageError(f"run {run.id[:18]} is not over", hint="archive it when it has ended")
        months = dict[str, None]()
        self._hub.introduce(self._machine, machine_name(self._db))
        for run in chosen:
            months[self._send(run, remove=remove, allow_secrets=allow_secrets)] = None
            if progress is not None:
                progress(1, run.id)
        return HubMove(
            runs=tuple(run.id for run in chosen),
            events=sum(run.events for run in chosen),
            months=tuple(months),
        )

    def _send(self, run: Run, *, remove: bool, allow_secrets: bool) -> str:
        pk = self._runs.key(run.id)
        stored = archive_rows.head(self._db, pk)
        if not allow_secrets:
            clear_of_secrets(self._db, pk, run.id)
        wanted = archive_rows.fingerprint(self._db, pk)
        started = _moment(run)
        month = self._month(started)
        known = self._hub.one(
            "SELECT fingerprint, started_at, events FROM archived_runs WHERE id = %s", (run.id,)
        )
        if known is None or known[0] != wanted:
            if known is not None and known[2] > run.events:
                raise StorageError(
                    f"the hub has a longer copy of run {run.id[:18]}", hint="bring that one back instead"
                )
            self._upload(pk, run, started, wanted)
        if remove:
            self._remove(run.id, stored, wanted)
        return month

    def _month(self, started: datetime) -> str:
        """Return the month of a moment, having made its partitions."""
        name = f"{started:%Y_%m}"
        if self._hub.scalar("SELECT to_regclass(%s)", (f"{_PARTITIONED[-1]}_{name}",)) is None:
            first = f"{started:%Y-%m}-01 00:00+00"
            after = f"{started.year + started.month // 12}-{started.month % 12 + 1:02}-01 00:00+00"
            with self._hub.schema_change():
                for table in _PARTITIONED:
                    self._hub.execute(
                        f"CREATE TABLE IF NOT EXISTS {table}_{name} PARTITION OF {table}"
                        f" FOR VALUES FROM ('{first}') TO ('{after}')"
                    )
        return name

    def _upload(self, pk: int, run: Run, started: datetime, fingerprint: str) -> None:
        """Send a run in one transaction, in the place of an older copy."""
        hub = self._hub
        with hub.transaction():
            hub.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (run.id,))
            for table, column in zip(_PARTITIONED, ("id", "run", "run"), strict=True):
                hub.execute(f"DELETE FROM {table} WHERE {column} = %s", (run.id,))  # noqa: S608  (our own tables)
            hub.stage("digest text, encoding text, size bigint, data bytea", blobs_of(self._db, pk))
            hub.execute("INSERT INTO blobs SELECT * FROM stage ORDER BY digest ON CONFLICT DO NOTHING")
            hub.execute("INSERT INTO archived_blobs SELECT %s, %s, digest FROM stage", (run.id, started))
            hub.copy(
                "archived_rows (run, started_at, part, ordinal, kind, agent, body)",
                ((run.id, started, *row) for row in rows_of(self._db, pk)),
            )
            hub.execute(
                "INSERT INTO archived_runs (id, started_at, machine, events, fingerprint)"
                " VALUES (%s, %s, %s, %s, %s)",
                (run.id, started, self._machine, run.events, fingerprint),
            )

    def _remove(self, run_id: str, stored: tuple[Any, ...], wanted: str) -> None:
        with self._fetched(run_id, wanted):  # raises unless what the hub has is the same
            pass
        with self._db.transaction():
            pk = archive_rows.find(self._db, run_id)
            if pk is None or archive_rows.head(self._db, pk) != stored:
                raise StorageError(
                    f"run {run_id[:18]} was changed while it was archived", hint="archive it once more"
                )
            digests = archive_rows.contents(self._db, pk)
            self._heads.add(pk, Path(self._db.path).absolute().parent / f"{HUB}{self._hub.id}")
            archive_rows.remove(self._db, pk)
            archive_rows.forget(self._db, digests)

    def fetch(self, run_ids: Sequence[str], *, progress: Progress | None = None) -> HubMove:
        """Bring whole runs from the hub into this file; they stay there, too.

        Args:
            run_ids: Ids or unique prefixes.
            progress: Told after each run, with its id.

        Raises:
            NotFoundError: The hub has no such run.
            StorageError: A run is here with other content, or did not arrive whole.
        """
        found = [self._find(run_id) for run_id in run_ids]
        for run_id, _started, fingerprint, _events in found:
            known = archive_rows.find(self._db, run_id)
            if known is None:
                with self._fetched(run_id, fingerprint) as (source, pk), self._db.transaction():
                    archive_rows.copy(source, pk, self._db)
                    self._heads.drop(run_id)
            elif archive_rows.fingerprint(self._db, known) != fingerprint:
                raise StorageError(
                    f"run {run_id[:18]} is here already, and differs", hint="the hub's copy stays where it is"
                )
            if progress is not None:
                progress(1, run_id)
        months = dict.fromkeys(f"{started.astimezone(UTC):%Y_%m}" for _id, started, _print, _events in found)
        return HubMove(
            runs=tuple(row[0] for row in found), events=sum(row[3] for row in found), months=tuple(months)
        )

    def _find(self, run_id: str) -> tuple[Any, ...]:
        prefix = run_id.strip().lower()
        rows = self._hub.all(_FIND, (prefix, prefix + "~")) if prefix else []
        if not rows:
            raise NotFoundError(f"the hub has no run {run_id!r}", hint="`skillsmith hub status` counts them")
        if len(rows) > 1:
            raise UsageError(f"the run id {run_id!r} fits several runs", hint="give more of its digits")
        return rows[0]

    @contextmanager
    def _fetched(self, run_id: str, fingerprint: str) -> Iterator[tuple[Database, int]]:
        """Give a file that holds nothing but a run of the hub, whole and checked, and the run's key there."""
        with TemporaryDirectory(prefix="skillsmith-") as folder:
            second = Database(Path(folder) / "run.db")
            try:
                with second.transaction():
                    pk = put_rows(second, lambda part: self._rows(run_id, part), self._blobs(run_id))
                if archive_rows.fingerprint(second, pk) != fingerprint:
                    raise StorageError(
                        f"the hub's copy of run {run_id[:18]} is not whole", hint="send it again"
                    )
                yield second, pk
            finally:
                second.close()

    def _rows(self, run_id: str, part: str) -> Iterator[dict[str, Any]]:
        started = self._hub.scalar("SELECT started_at FROM archived_runs WHERE id = %s", (run_id,))
        after = -1
        while rows := self._hub.all(_ROWS, (run_id, started, part, after, WINDOW)):
            yield from (orjson.loads(row[2]) for row in rows)
            after = rows[-1][1]

    def _blobs(self, run_id: str) -> Iterable[tuple[Any, ...]]:
        digests = self._hub.all("SELECT DISTINCT digest FROM archived_blobs WHERE run = %s", (run_id,))
        for (digest,) in digests:
            yield self._hub.all(
                "SELECT digest, encoding, size, data FROM blobs WHERE digest = %s", (digest,)
            )[0]


def _moment(run: Run) -> datetime:
    """Return when a run began, in UTC; where that is not known, when it was stored."""
    return datetime.fromtimestamp(run.created_at if run.started_at is None else run.started_at, UTC)
