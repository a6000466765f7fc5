"""What a file knows of one hub: how far it has read, what it has sent, where both sides' pointers last stood.

Kept in ``meta`` under the hub's own id, so that an address, let alone a password, is stored nowhere, and a
hub that moves is known again. Marks are written in the transaction of what they tell of, or after the hub
has committed: killed in between, the same work is done again, which changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from skillsmith.db import Database
from skillsmith.ids import new_id

_MACHINE = "hub:machine"
_PUT = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"

ALIVE: Final = "0"
GONE: Final = "1"
DEFERRED: Final = "2"
"""Deleted on the hub, and not retired here yet, because our name stands for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Where both pointers of a name stood when they were last brought together.

    Args:
        there: Digest of the hub's version; None: deleted there.
        here: Digest of ours; None: deleted here.
    """

    there: str | None
    here: str | None


def machine_id(db: Database) -> str:
    """Return the id under which this file writes to hubs; a copy of a file gets one of its own.

    Two files under one id would take each other's moves for their own.
    """
    place = "" if db.path == ":memory:" else str(Path(db.path).stat().st_ino)
    with db.transaction():
        known, _, where = str(db.scalar("SELECT value FROM meta WHERE key = ?", (_MACHINE,)) or "").partition(
            " "
        )
        if not known or where != place:
            known = new_id()
            db.execute(_PUT, (_MACHINE, f"{known} {place}"))
    return known


def machine_name(db: Database) -> str:
    """Return what people call this file."""
    return f"{socket.gethostname()}:{Path(db.path).name}"


class Marks:
    """Read and write what is known of one hub.

    Args:
        db: The connection.
        hub: The hub's id.
    """

    def __init__(self, db: Database, hub: str) -> None:
        self._db = db
        self._prefix = f"hub:{hub}:"

    def _under(self, kind: str) -> dict[str, str]:
        prefix = f"{self._prefix}{kind}:"
        rows = self._db.all("SELECT key, value FROM meta WHERE key >= ? AND key < ?", (prefix, prefix + "~"))
        return {row[0].removeprefix(prefix): row[1] for row in rows}

    def _put(self, kind: str, values: Iterable[tuple[str, str]]) -> None:
        rows = [(f"{self._prefix}{kind}:{key}", value) for key, value in values]
        if rows:
            with self._db.transaction():
                self._db.executemany(_PUT, rows)

    def cursor(self, table: str) -> int:
        """Return the number of the last row of a hub's table that was read."""
        value = self._db.scalar("SELECT value FROM meta WHERE key = ?", (f"{self._prefix}read:{table}",))
        return int(value or 0)

    def read_up_to(self, table: str, number: int) -> None:
        """Remember how far a hub's table was read."""
        self._put("read", [(table, str(number))])

    def sent(self, table: str) -> dict[int, str]:
        """Return the digests of the buckets of a table that the hub has, by bucket."""
        return {int(bucket): digest for bucket, digest in self._under(f"sent:{table}").items()}

    def put_sent(self, table: str, bucket: int, digest: str) -> None:
        """Remember that the hub has a bucket as it is now."""
        self._put(f"sent:{table}", [(str(bucket), digest)])

    def forget_sent(self) -> None:
        """Forget what the hub is thought to have, so that everything is offered again."""
        self._forget("sent")

    def forget_read(self) -> None:
        """Forget how far the hub was read, so that everything is looked at again."""
        self._forget("read")

    def _forget(self, kind: str) -> None:
        prefix = f"{self._prefix}{kind}:"
        with self._db.transaction():
            self._db.execute("DELETE FROM meta WHERE key >= ? AND key < ?", (prefix, prefix + "~"))

    def bases(self) -> dict[str, Base]:
        """Return where the pointers last stood, by name."""
        found = {name: orjson.loads(value) for name, value in self._under("base").items()}
        return {name: Base(there=pair[0], here=pair[1]) for name, pair in found.items()}

    def put_bases(self, bases: Iterable[tuple[str, Base]]) -> None:
        """Remember where pointers stand now."""
        self._put("base", ((name, orjson.dumps([one.there, one.here]).decode()) for name, one in bases))

    def numbers(self) -> dict[tuple[str, int], str]:
        """Return the digests of versions that the hub has or had, by our name and number."""
        found: dict[tuple[str, int], str] = {}
        for key, digest in self._under("number").items():
            name, _, number = key.rpartition("@")
            found[name, int(number)] = digest
        return found

    def put_numbers(self, numbers: Iterable[tuple[str, int, str]]) -> None:
        """Remember which of our numbers stands for which digest: name, number, digest."""
        self._put("number", ((f"{name}@{number}", digest) for name, number, digest in numbers))

    def gone(self) -> dict[tuple[str, str], str]:
        """Return what is known of deletions, by name and digest: ``ALIVE``, ``GONE`` or ``DEFERRED``."""
        found: dict[tuple[str, str], str] = {}
        for key, value in self._under("gone").items():
            name, _, digest = key.partition(" ")
            found[name, digest] = value
        return found

    def put_gone(self, versions: Iterable[tuple[str, str, str]]) -> None:
        """Remember what is known of deletions: name, digest, ``ALIVE``, ``GONE`` or ``DEFERRED``."""
        self._put("gone", ((f"{name} {digest}", what) for name, digest, what in versions))

    def open_names(self) -> set[str]:
        """Return the names whose pointers could not be brought together."""
        return {name for name, value in self._under("open").items() if value == "1"}

    def put_open(self, names: Iterable[tuple[str, bool]]) -> None:
        """Remember of names whether their pointers could not be brought together."""
        self._put("open", ((name, "01"[is_open]) for name, is_open in names))
