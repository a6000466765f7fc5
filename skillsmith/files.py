"""Files in runs' work folders, version by version, each version's content addressed by its digest."""

from __future__ import annotations

from collections.abc import Iterator

from skillsmith.blobs import BlobStore
from skillsmith.db import Database, Row
from skillsmith.errors import NotFoundError
from skillsmith.ids import digest_of
from skillsmith.models import FileSnapshot, FileVersion

MAX_STORED_BYTES = 64 * 1024 * 1024
"""Of a larger file only digest and size are kept."""

_SELECT = """
SELECT v.*, f.path, r.id AS run_id
FROM file_versions v JOIN files f ON f.id = v.file JOIN runs r ON r.pk = f.run
"""
_LATEST = """
SELECT f.id AS file, v.id, v.version, v.digest FROM files f LEFT JOIN file_versions v ON v.id =
  (SELECT id FROM file_versions WHERE file = f.id ORDER BY version DESC LIMIT 1)
WHERE f.run = ? AND f.path = ?
"""


class FileRepository:
    """Record and read file versions.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._blobs = BlobStore(db)

    def record(self, run: int, snapshot: FileSnapshot) -> FileVersion:
        """Store a file's content as its next version; the same content again adds nothing.

        Args:
            run: The run's primary key.
            snapshot: Path relative to the work folder, content, agent (None: there before the run).
        """
        self.store(run, snapshot)
        return self.history(run, snapshot.path)[-1]

    def store(self, run: int, snapshot: FileSnapshot) -> None:
        """Do the same as ``record`` without looking up what there is then."""
        with self._db.transaction():
            known = self._db.one(_LATEST, (run, snapshot.path))
            file = self._new(run, snapshot.path) if known is None else int(known["file"])
            latest = known if known is not None and known["version"] else None
            digest = snapshot.digest or digest_of(snapshot.content)
            if latest is None or latest["digest"] != digest:
                self._add(file, snapshot, latest, digest=digest)

    def _new(self, run: int, path: str) -> int:
        cursor = self._db.execute("INSERT INTO files (run, path) VALUES (?, ?)", (run, path))
        return int(cursor.lastrowid)

    def _add(self, file: int, snapshot: FileSnapshot, parent: Row | None, *, digest: str) -> None:
        stored = snapshot.digest is None and len(snapshot.content) <= MAX_STORED_BYTES
        if stored:
            self._blobs.put(snapshot.content)
        size = len(snapshot.content) if snapshot.size is None else snapshot.size
        version = parent["version"] + 1 if parent else 1
        self._db.execute(
            "INSERT INTO file_versions"
            " (file, version, parent_file_id, digest, size, created_by_agent, seq, at, stored)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (file, version, parent["id"] if parent else None, digest, size,
             snapshot.agent, snapshot.seq, snapshot.at, stored),
        )  # fmt: skip
        if parent:
            self._db.execute(
                "UPDATE file_versions SET superseded_by = ? WHERE id = ?",
                (f"{snapshot.path}@{version}", parent["id"]),
            )

    def supersede(self, run: int, path: str, *, by: str) -> None:
        """Note that another file took its place (``plot_v1.py`` → ``plot_v2.py``)."""
        self._db.execute(
            "UPDATE file_versions SET superseded_by = ? WHERE superseded_by IS NULL AND file ="
            " (SELECT id FROM files WHERE run = ? AND path = ?)",
            (by, run, path),
        )

    def versions(self, run: int) -> list[FileVersion]:
        """Return every version of every file of a run, by path and version."""
        rows = self._db.all(_SELECT + " WHERE f.run = ? ORDER BY f.path, v.version", (run,))
        return [_version(row) for row in rows]

    def history(self, run: int, path: str) -> list[FileVersion]:
        """Return a file's versions, oldest first.

        Raises:
            NotFoundError: The run has no such file.
        """
        rows = self._db.all(_SELECT + " WHERE f.run = ? AND f.path = ? ORDER BY v.version", (run, path))
        if not rows:
            raise NotFoundError(f"the run has no file {path!r}", hint="`skillsmith artifacts RUN` lists them")
        return [_version(row) for row in rows]

    def content(self, version: FileVersion) -> bytes | None:
        """Return a version's bytes, or None when it was too large to keep."""
        stored = self._db.scalar(
            "SELECT v.stored FROM file_versions v JOIN files f ON f.id = v.file JOIN runs r ON r.pk = f.run"
            " WHERE r.id = ? AND f.path = ? AND v.version = ?",
            (version.run_id, version.path, version.version),
        )
        return self._blobs.get(version.digest) if stored else None

    def verify(self) -> Iterator[str]:
        """Yield a line for every version whose content is gone."""
        sql = " WHERE v.stored AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = v.digest)"
        for row in self._db.all(_SELECT + sql):
            yield f"file {row['path']}@{row['version']} of run {row['run_id']} has lost its content"


def _version(row: Row) -> FileVersion:
    return FileVersion(
        run_id=row["run_id"], path=row["path"], version=row["version"], digest=row["digest"],
        size=row["size"], agent=row["created_by_agent"], at=row["at"], seq=row["seq"],
        superseded_by=row["superseded_by"],
    )  # fmt: skip
