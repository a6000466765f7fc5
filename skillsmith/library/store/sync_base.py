"""What a folder held when it was last synced: the common ancestor that a three-way merge needs.

The document itself is kept, as a blob, so that it is there although the version was deleted meanwhile.
"""

from __future__ import annotations

import json
from pathlib import Path

from skillsmith.blobs import BlobStore
from skillsmith.db import Database
from skillsmith.ids import digest_of
from skillsmith.library.program.document import Document
from skillsmith.library.program.seal import content_digest, render


class SyncBase:
    """The last synced documents of one folder, by skill name.

    Args:
        db: The connection; writes belong inside its transaction.
        folder: The folder; where it stands is how it is known.
    """

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self._blobs = BlobStore(db)
        self._prefix = f"sync:{digest_of(str(folder.resolve()).encode())[:32]}:"

    def names(self) -> list[str]:
        """Return the names of the skills that were synced, sorted."""
        rows = self._db.all(
            "SELECT key FROM meta WHERE key >= ? AND key < ? ORDER BY key", (self._prefix, self._prefix + "~")
        )
        return [row[0].removeprefix(self._prefix) for row in rows]

    def get(self, name: str) -> Document | None:
        """Return what the folder held of a skill; None when it was never synced.

        Raises:
            StorageError: The document is damaged.
        """
        value = self._value(name)
        if value is None:
            return None
        document: Document = json.loads(self._blobs.get(value.partition(" ")[2]))
        return document

    def digest(self, name: str) -> str | None:
        """Return the content digest of what the folder held of a skill; None when it was never synced."""
        value = self._value(name)
        return None if value is None else value.partition(" ")[0]

    def _value(self, name: str) -> str | None:
        value = self._db.scalar("SELECT value FROM meta WHERE key = ?", (self._prefix + name,))
        return None if value is None else str(value)

    def put(self, name: str, document: Document) -> None:
        """Keep what the folder holds of a skill now."""
        digest = content_digest(document)
        if digest != self.digest(name):
            value = f"{digest} {self._blobs.put(render(document))}"
            self._db.execute(
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (self._prefix + name, value)
            )

    def drop(self, name: str) -> None:
        """Forget a skill that the folder holds no longer."""
        self._db.execute("DELETE FROM meta WHERE key = ?", (self._prefix + name,))
