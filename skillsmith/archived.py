"""The heads of runs that were moved to a second file: enough to list them, and to know them again.

A run is either in ``runs`` or here, never in both: archiving and restoring change both tables in one
transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skillsmith.db import Database, Row, page
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.events import dump_json
from skillsmith.models import Outcome, Run, RunStatus

_COPIED = (
    "id", "source", "task", "status", "outcome", "started_at", "duration_seconds", "events", "tokens_in",
    "tokens_out", "cost_usd", "chain",
)  # fmt: skip

HUB = "hub:"
"""What the place of a run on a team's hub begins with; the hub's id follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedRun:
    """A run that is in another file.

    Args:
        archive: That file.
        chain: Digest over its events, when it was imported.
    """

    id: str
    archive: Path
    source: str
    task: str
    status: RunStatus
    outcome: Outcome
    started_at: float | None
    duration_seconds: float | None
    events: int
    tokens: int
    cost_usd: float | None
    chain: str | None
    archived_at: float

    @property
    def on_hub(self) -> bool:
        """Whether it is on a team's hub, and not in a file."""
        return self.archive.name.startswith(HUB)

    def as_run(self) -> Run:
        """Return what is known of the run without opening the other file."""
        return Run(
            id=self.id, task=self.task, source=self.source, status=self.status, outcome=self.outcome,
            outcome_reason=None, started_at=self.started_at, duration_seconds=self.duration_seconds,
            agents=(), events=self.events, messages_by_role={}, tokens=self.tokens, cost_usd=self.cost_usd,
            native_id=None, source_path=None, work_dir=None, metadata={}, created_at=self.archived_at,
        )  # fmt: skip


class ArchivedRuns:
    """Keeps and finds the heads of archived runs.

    Args:
        db: The connection; writes belong inside its transaction.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._folder = Path(db.path).absolute().parent

    def add(self, pk: int, archive: Path) -> None:
        """Keep the head of a stored run that is about to go.

        Args:
            pk: Its primary key.
            archive: Where it is then; a file below our own folder is named relative to it, so that both can
                be moved together.
        """
        whole = archive.absolute()
        place = whole.relative_to(self._folder) if whole.is_relative_to(self._folder) else whole
        names = ", ".join(_COPIED)
        self._db.execute(
            f"INSERT INTO archived_runs ({names}, archive, archived_at)"  # noqa: S608  (our own column names)
            f" SELECT {names}, ?, ? FROM runs WHERE pk = ?",
            (str(place), time.time(), pk),
        )

    def drop(self, run_id: str) -> None:
        """Forget the head of a run that is back."""
        self._db.execute("DELETE FROM archived_runs WHERE id = ?", (run_id,))

    def find(self, run_id: str) -> ArchivedRun | None:
        """Return the archived run with this id or unique prefix of an id, or None.

        Raises:
            UsageError: The prefix fits several.
        """
        prefix = run_id.strip().lower()
        if not prefix:
            return None
        rows = self._db.all(
            "SELECT * FROM archived_runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", (prefix, prefix + "~")
        )
        if len(rows) > 1 and rows[0]["id"] != prefix:
            raise UsageError(f"the run id {run_id!r} fits several runs", hint="give more of its digits")
        return self._head(rows[0]) if rows else None

    def get(self, run_id: str) -> ArchivedRun:
        """Return the archived run with this id or unique prefix.

        Raises:
            NotFoundError: There is none.
        """
        found = self.find(run_id)
        if found is None:
            raise NotFoundError(
                f"there is no archived run {run_id!r}", hint="`skillsmith runs --archived` lists them"
            )
        return found

    def refuse(self, run_id: str) -> None:
        """Say where an archived run is.

        Raises:
            NotFoundError: It is archived.
        """
        found = self.find(run_id)
        if found is not None and found.on_hub:
            raise NotFoundError(
                f"run {found.id[:18]} is archived on a hub",
                hint=f"bring it back with `skillsmith hub pull --run {found.id[:18]}`",
            )
        if found is not None:
            raise NotFoundError(
                f"run {found.id[:18]} is archived in {found.archive}",
                hint=f"add --db {found.archive} to look at it there, or bring it back with"
                f" `skillsmith archive {found.id[:18]} --restore`",
            )

    def continued(self, links: Sequence[str]) -> ArchivedRun | None:
        """Return the archived run that a log repeats or continues, or None.

        Args:
            links: The chain over the log's events; one that ends where the archived run does repeats it.
        """
        if self._db.one("SELECT 1 FROM archived_runs WHERE chain IS NOT NULL LIMIT 1") is None:
            return None
        row = self._db.one(
            "SELECT * FROM archived_runs WHERE chain IN (SELECT value FROM json_each(?))"
            " ORDER BY events DESC LIMIT 1",
            (dump_json(list(links)),),
        )
        return None if row is None else self._head(row)

    def list(self, *, after: str | None = None, window: int = 100) -> Iterator[ArchivedRun]:
        """Yield archived runs, newest first.

        Args:
            after: Id of the last run already seen.
            window: Rows fetched at a time.
        """
        sql = "SELECT * FROM archived_runs /*key desc: id*/ WHERE {after} ORDER BY id DESC LIMIT ?"
        start = None if after is None else (self.get(after).id,)
        return map(self._head, page(self._db, sql, key=lambda row: (row["id"],), after=start, window=window))

    def _head(self, row: Row) -> ArchivedRun:
        return ArchivedRun(
            id=row["id"], archive=self._folder / row["archive"], source=row["source"], task=row["task"],
            status=row["status"], outcome=row["outcome"], started_at=row["started_at"],
            duration_seconds=row["duration_seconds"], events=row["events"],
            tokens=row["tokens_in"] + row["tokens_out"], cost_usd=row["cost_usd"], chain=row["chain"],
            archived_at=row["archived_at"],
        )  # fmt: skip
