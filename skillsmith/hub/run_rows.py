"""A run's rows as JSON, part by part, on their way to a hub and back into a file.

Every column travels as it is, whatever a later schema adds; what refers to another row does so by that row's
place in its part, since each file numbers its rows for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson

from skillsmith import archive_rows
from skillsmith.db import Database, Row, page
from skillsmith.leaks import refuse, scan

WINDOW: Final = 1000

_EVENTS = "SELECT * FROM events /*key: seq*/ WHERE run = ? AND {after} ORDER BY seq LIMIT ?"
_VERSIONS = """
SELECT v.* FROM files f JOIN file_versions v ON v.file = f.id WHERE f.run = ? ORDER BY v.id
"""
_PARTS: Final = {
    "runs": "SELECT * FROM runs WHERE pk = ?",
    "steps": "SELECT * FROM steps WHERE run = ? ORDER BY step",
    "summaries": "SELECT * FROM summaries WHERE run = ? ORDER BY first_seq",
    "extraction_progress": "SELECT * FROM extraction_progress WHERE run = ?",
    "files": "SELECT * FROM files WHERE run = ? ORDER BY id",
    "file_versions": _VERSIONS,
}
HINT = "take it out, or give --allow-secrets if it is none"

Parts = Callable[[str], Iterable[dict[str, Any]]]


def rows_of(db: Database, pk: int) -> Iterator[tuple[str, int, str | None, str | None, str]]:
    """Yield part, place in it, kind, agent and JSON of every row of a run."""
    for part, sql in _PARTS.items():
        for place, row in enumerate(db.all(sql, (pk,))):
            yield part, place, None, None, _json(row)
    for row in page(db, _EVENTS, key=lambda row: (row["seq"],), params=(pk,), window=WINDOW):
        agent = None if row["agent"] is None else row["agent"].replace("\0", "\ufffd")
        yield "events", row["seq"], row["kind"], agent, _json(row)


def _json(row: Row) -> str:
    return orjson.dumps({name: row[name] for name in row.keys()}).decode()  # noqa: SIM118  (a row, not a dict)


def blobs_of(db: Database, pk: int) -> Iterator[tuple[Any, ...]]:
    """Yield digest, encoding, size and bytes of what a run keeps in blobs."""
    for digest in archive_rows.contents(db, pk):
        yield tuple(db.all("SELECT digest, encoding, size, data FROM blobs WHERE digest = ?", (digest,))[0])


def put_rows(db: Database, parts: Parts, blobs: Iterable[tuple[Any, ...]]) -> int:
    """Store a run that was written by ``rows_of``, and return its key; inside a transaction.

    Args:
        db: A file without this run.
        parts: Gives the rows of a part in order.
        blobs: What ``blobs_of`` gave.
    """
    db.executemany("INSERT OR IGNORE INTO blobs (digest, encoding, size, data) VALUES (?, ?, ?, ?)", blobs)
    new = 0
    for row in parts("runs"):
        new = _insert(db, "runs", row, without="pk")
    for part in ("steps", "summaries", "extraction_progress"):
        for row in parts(part):
            _insert(db, part, row | {"run": new})
    for row in parts("events"):
        _insert(db, "events", row | {"run": new}, without="id")
    files = {row["id"]: _insert(db, "files", row | {"run": new}, without="id") for row in parts("files")}
    versions: dict[int, int] = {}
    for row in parts("file_versions"):
        parent = row["parent_file_id"]
        placed = {"file": files[row["file"]], "parent_file_id": None if parent is None else versions[parent]}
        versions[row["id"]] = _insert(db, "file_versions", row | placed, without="id")
    return new


def _insert(db: Database, table: str, row: dict[str, Any], *, without: str = "") -> int:
    values = {name: value for name, value in row.items() if name != without}
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    return int(db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values).lastrowid)  # noqa: S608  (our own column names)


def clear_of_secrets(db: Database, pk: int, run_id: str) -> None:
    """Raise when a run, or a text or file of it, holds what looks like a secret.

    Raises:
        SecretFoundError: Names the part.
    """
    for part, place, _kind, _agent, body in rows_of(db, pk):
        row = orjson.loads(body)
        if scan(row):
            where = f"event {place}" if part == "events" else part
            refuse(row, subject=f"{where} of run {run_id[:18]}", hint=HINT)
    from skillsmith.blobs import BlobStore  # noqa: PLC0415  (only where there are blobs)

    blobs = BlobStore(db)
    for digest in archive_rows.contents(db, pk):
        refuse(blobs.get(digest), subject=f"a text or file of run {run_id[:18]}", hint=HINT)
