"""Old runs moved to a second file that is itself a skillsmith file, and back.

A run is copied in one transaction, both copies are read and compared, the second file is on the disk, and
only then does the run go from the first, in one transaction with its head staying behind. Killed at any
moment in between, the run is still where it was and is listed once; doing it again finishes the move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from skillsmith import archive_rows as rows
from skillsmith.archived import ArchivedRun, ArchivedRuns
from skillsmith.db import Database
from skillsmith.errors import StorageError, UsageError
from skillsmith.runs import RunRepository

Progress: TypeAlias = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What was moved.

    Args:
        runs: Ids, in the order they went.
        path: The second file.
        events: How many events went with them.
        contents: Stored texts and files that nothing else needed.
    """

    runs: tuple[str, ...]
    path: Path
    events: int
    contents: int


class RunArchive:
    """Moves runs between this file and others.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._runs = RunRepository(db)
        self._heads = ArchivedRuns(db)

    def older_than(self, moment: float) -> list[str]:
        """Return the ids of the runs that were over before a Unix time, oldest first."""
        return rows.older_than(self._db, moment)

    def archive(self, run_ids: Sequence[str], path: Path, *, progress: Progress | None = None) -> Move:
        """Move runs to a second file, which is made when it is not there.

        Args:
            run_ids: Ids or unique prefixes.
            path: The second file.
            progress: Told after each run, with its id.

        Raises:
            UsageError: A run is not over, or the path is this file.
            StorageError: The second file cannot be written, or does not hold what was copied.
        """
        chosen = list({run.id: run for run in map(self._runs.get, run_ids)}.values())
        for run in chosen:
            if run.status == "running":
                raise UsageError(f"run {run.id[:18]} is not over", hint="archive it when it has ended")
        released: set[str] = set()
        with self._second(path) as second:
            for run in chosen:
                pk = self._runs.key(run.id)
                stored = rows.head(self._db, pk)
                released |= set(rows.contents(self._db, pk))
                _copy_checked(self._db, pk, second)
                with self._db.transaction():
                    self._refuse_changed(run.id, stored)
                    self._heads.add(pk, path)
                    rows.remove(self._db, pk)
                if progress is not None:
                    progress(1, run.id)
        return Move(
            runs=tuple(run.id for run in chosen), path=path, events=sum(run.events for run in chosen),
            contents=self._forget(self._db, released),
        )  # fmt: skip

    def restore(self, run_ids: Sequence[str], *, progress: Progress | None = None) -> tuple[Move, ...]:
        """Move archived runs back, and return what came from each file.

        Raises:
            NotFoundError: A run is not archived, or its file is gone.
        """
        heads = list({head.id: head for head in map(self._heads.get, run_ids)}.values())
        for head in heads:
            if head.on_hub:
                self._heads.refuse(head.id)  # says how it comes back
        by_path: dict[Path, list[ArchivedRun]] = {}
        for head in heads:
            by_path.setdefault(head.archive, []).append(head)
        return tuple(self._restore(path, group, progress) for path, group in by_path.items())

    def _restore(self, path: Path, heads: Sequence[ArchivedRun], progress: Progress | None) -> Move:
        released: set[str] = set()
        with self._second(path, create=False) as second, _on_the_disk(self._db):
            for head in heads:
                pk = rows.find(second, head.id)
                if pk is None:
                    raise StorageError(f"{path} does not hold run {head.id[:18]} any more")
                released |= set(rows.contents(second, pk))
                _copy_checked(second, pk, self._db, also=partial(self._heads.drop, head.id))
                with second.transaction():
                    rows.remove(second, pk)
                if progress is not None:
                    progress(1, head.id)
            contents = self._forget(second, released)
        return Move(
            runs=tuple(head.id for head in heads), path=path, events=sum(head.events for head in heads),
            contents=contents,
        )  # fmt: skip

    @contextmanager
    def _second(self, path: Path, *, create: bool = True) -> Iterator[Database]:
        if path.exists() and Path(self._db.path).exists() and path.samefile(self._db.path):
            raise UsageError(f"{path} is this very file", hint="name another with --to")
        if not create and not path.exists():
            raise StorageError(f"the archive {path} is gone", hint="put it back where it was")
        second = Database(path)
        try:
            with _on_the_disk(second):
                yield second
            second.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            second.close()

    def _refuse_changed(self, run_id: str, stored: tuple[object, ...]) -> None:
        """Refuse to remove a run that someone has changed since it was copied."""
        pk = rows.find(self._db, run_id)
        if pk is None or rows.head(self._db, pk) != stored:
            raise StorageError(
                f"run {run_id[:18]} was changed while it was archived", hint="archive it once more"
            )

    def _forget(self, db: Database, digests: set[str]) -> int:
        with db.transaction():
            return rows.forget(db, digests)


@contextmanager
def _on_the_disk(db: Database) -> Iterator[None]:
    """Have each transaction outlive a power cut: what is in it goes from the other file next."""
    db.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:
        db.execute("PRAGMA synchronous = NORMAL")


def _copy_checked(
    source: Database, pk: int, target: Database, *, also: Callable[[], None] | None = None
) -> None:
    """Copy a run and compare what arrived; an older copy, left by a move that broke off, is replaced.

    Args:
        source: Where it is.
        pk: Its key there.
        target: Where it goes.
        also: What belongs to the target's transaction.

    Raises:
        StorageError: It did not arrive whole; nothing was changed.
    """
    wanted = rows.fingerprint(source, pk)
    run_id = str(source.scalar("SELECT id FROM runs WHERE pk = ?", (pk,)))
    with target.transaction():
        known = rows.find(target, run_id)
        if known is None or rows.fingerprint(target, known) != wanted:
            if known is not None:
                rows.remove(target, known)
            known = rows.copy(source, pk, target)
            if rows.fingerprint(target, known) != wanted:
                raise StorageError(f"{target.path}: run {run_id[:18]} did not arrive whole", hint="try again")
        if also is not None:
            also()
