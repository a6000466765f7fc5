"""A run's rows, all of them, as they travel from one skillsmith file to another.

Keys are the receiving file's own; everything else arrives as it was. ``fingerprint`` says whether it did: a
digest over every row and every stored content that belongs to a run, read anew from the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

from skillsmith.blobs import BlobStore
from skillsmith.db import Database, Row, page
from skillsmith.errors import StorageError
from skillsmith.events import dump_json
from skillsmith.ids import digest_of

WINDOW = 1000
"""Rows that are held at a time."""

_EVENTS = "SELECT * FROM events /*key: seq*/ WHERE run = ? AND {after} ORDER BY seq LIMIT ?"
_VERSIONS = """
SELECT v.*, f.path FROM files f JOIN file_versions v ON v.file = f.id WHERE f.run = ?
ORDER BY f.path, v.version
"""
_SMALL = {
    "steps": "SELECT * FROM steps WHERE run = ? ORDER BY step",
    "summaries": "SELECT * FROM summaries WHERE run = ? ORDER BY first_seq",
    "extraction_progress": "SELECT * FROM extraction_progress WHERE run = ?",
}
_CONTENTS = """
SELECT blob FROM events WHERE run = :run AND blob IS NOT NULL
UNION SELECT v.digest FROM files f JOIN file_versions v ON v.file = f.id WHERE f.run = :run AND v.stored
ORDER BY 1
"""
_UNUSED = """
DELETE FROM blobs WHERE digest IN (SELECT value FROM json_each(?))
  AND digest NOT IN (SELECT blob FROM events WHERE blob IS NOT NULL)
  AND digest NOT IN (SELECT digest FROM file_versions)
  AND digest NOT IN (SELECT digest FROM skill_artifacts)
  AND digest NOT IN (SELECT substr(value, instr(value, ' ') + 1) FROM meta WHERE key LIKE 'sync:%')
"""
_OLD = """
SELECT id FROM runs WHERE status <> 'running' AND coalesce(ended_at, started_at, created_at) < ? ORDER BY pk
"""
_LOWER = """
UPDATE meta SET value = CAST(min(CAST(value AS INTEGER), (SELECT coalesce(max(id), 0) FROM events)) AS TEXT)
WHERE key = 'fts_watermark'
"""
"""When the newest events go, the next ones get their numbers, and must not count as indexed."""
_KEYS = frozenset({"id", "pk", "run", "file", "parent_file_id"})
"""Columns that each file numbers for itself (the ``id`` of a run is not among what is compared so)."""


def find(db: Database, run_id: str) -> int | None:
    """Return the primary key of the run with exactly this id, or None."""
    key = db.scalar("SELECT pk FROM runs WHERE id = ?", (run_id,))
    return None if key is None else int(key)


def head(db: Database, pk: int) -> tuple[Any, ...]:
    """Return the run's own row without its key."""
    row = db.one("SELECT * FROM runs WHERE pk = ?", (pk,))
    assert row is not None
    return tuple(row[name] for name in row.keys() if name != "pk")  # noqa: SIM118  (a row, not a dict)


def older_than(db: Database, moment: float) -> list[str]:
    """Return the ids of the runs that were over before a Unix time, oldest first."""
    return [row[0] for row in db.all(_OLD, (moment,))]


def contents(db: Database, pk: int) -> list[str]:
    """Return the digests of what the run's events and files hold in blobs."""
    return [row[0] for row in db.all(_CONTENTS, {"run": pk})]


def copy(source: Database, pk: int, target: Database) -> int:
    """Copy a run with all that belongs to it, and return its key there; inside the target's transaction."""
    for digest in contents(source, pk):
        blob = source.one("SELECT * FROM blobs WHERE digest = ?", (digest,))
        if blob is None:
            raise StorageError(f"blob {digest[:12]} is missing", hint="run `skillsmith doctor`")
        _insert(target, "blobs", blob, or_ignore=True)
    row = source.one("SELECT * FROM runs WHERE pk = ?", (pk,))
    assert row is not None
    new = _insert(target, "runs", row, left_out=("pk",))
    for table, sql in _SMALL.items():
        for one in source.all(sql, (pk,)):
            _insert(target, table, one, run=new)
    _copy_events(source, pk, target, new)
    _copy_files(source, pk, target, new)
    return new


def _copy_events(source: Database, pk: int, target: Database, new: int) -> None:
    batch: list[tuple[Any, ...]] = []
    names: Sequence[str] = ()
    for row in page(source, _EVENTS, key=lambda row: (row["seq"],), params=(pk,), window=WINDOW):
        names = names or [name for name in row.keys() if name not in ("id", "run")]  # noqa: SIM118  (a row)
        batch.append((new, *(row[name] for name in names)))
        if len(batch) == WINDOW:
            _insert_events(target, names, batch)
            batch.clear()
    _insert_events(target, names, batch)


def _insert_events(target: Database, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        marks = ", ".join("?" * (len(names) + 1))
        target.executemany(f"INSERT INTO events (run, {', '.join(names)}) VALUES ({marks})", rows)  # noqa: S608  (column names of our own table)


def _copy_files(source: Database, pk: int, target: Database, new: int) -> None:
    files, versions = dict[int, int](), dict[int, int]()
    for row in source.all("SELECT * FROM files WHERE run = ? ORDER BY id", (pk,)):
        files[row["id"]] = _insert(target, "files", row, left_out=("id",), run=new)
    for row in source.all(_VERSIONS, (pk,)):
        parent = row["parent_file_id"]
        versions[row["id"]] = _insert(
            target, "file_versions", row, left_out=("id", "path"), file=files[row["file"]],
            parent_file_id=None if parent is None else versions[parent],
        )  # fmt: skip


def _insert(
    db: Database,
    table: str,
    row: Row,
    *,
    left_out: Sequence[str] = (),
    or_ignore: bool = False,
    **changed: Any,
) -> int:
    values = {name: row[name] for name in row.keys() if name not in left_out} | changed  # noqa: SIM118  (a row)
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    verb = "INSERT OR IGNORE" if or_ignore else "INSERT"
    return int(db.execute(f"{verb} INTO {table} ({names}) VALUES ({marks})", values).lastrowid)


def fingerprint(db: Database, pk: int) -> str:
    """Return a digest over all rows and contents of a run, whatever its keys.

    Raises:
        StorageError: A content is missing or damaged.
    """
    found = sha256(repr(head(db, pk)).encode())
    for line in _lines(db, pk):
        found.update(line)
    return found.hexdigest()


def _lines(db: Database, pk: int) -> Iterator[bytes]:
    for table, sql in _SMALL.items():
        yield table.encode()
        yield from map(_line, db.all(sql, (pk,)))
    yield from map(_line, page(db, _EVENTS, key=lambda row: (row["seq"],), params=(pk,), window=WINDOW))
    yield from map(_line, db.all(_VERSIONS, (pk,)))
    blobs = BlobStore(db)
    for digest in contents(db, pk):
        yield digest.encode()
        if digest_of(blobs.get(digest)) != digest:
            raise StorageError(f"blob {digest[:12]} does not hold what its digest says")


def _line(row: Row) -> bytes:
    return repr([row[name] for name in row.keys() if name not in _KEYS]).encode()  # noqa: SIM118  (a row)


def remove(db: Database, pk: int) -> None:
    """Remove a run with its full text; its contents stay until ``forget``."""
    db.execute("DELETE FROM events_fts WHERE rowid IN (SELECT id FROM events WHERE run = ?)", (pk,))
    db.execute("DELETE FROM runs WHERE pk = ?", (pk,))
    db.execute(_LOWER)


def forget(db: Database, digests: Iterable[str]) -> int:
    """Remove those of these contents that nothing refers to any more, and return how many went."""
    return int(db.execute(_UNUSED, (dump_json(sorted(digests)),)).rowcount)
