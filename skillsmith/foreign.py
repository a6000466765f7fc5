"""SQLite files of other programs, opened for reading only: nothing is written to them or beside them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlean

from skillsmith.db import BUSY_TIMEOUT_SECONDS, Row, stamps, with_log
from skillsmith.errors import StorageError

_HINTS = (
    ("locked", "another program is writing it; try again in a moment"),
    ("not a database", "it is encrypted, or no SQLite file"),
    ("readonly", "the program that wrote it broke off; open it there once"),  # a journal to be rolled back
    ("unable to open", "check its permissions"),
)
_COPY_ATTEMPTS = 5


class ForeignDatabase:
    """Another program's SQLite file, opened for reading only by ``open_foreign``."""

    def __init__(self, path: Path, conn: Any) -> None:
        self._path = path
        self._conn = conn

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the columns by table."""
        names = [row[0] for row in self._rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: tuple(row[0] for row in self._rows("SELECT name FROM pragma_table_info(?)", name))
            for name in names
        }

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield a table's rows in the order they were written, as values by column name."""
        quoted = table.replace('"', '""')
        for row in self._rows(f'SELECT * FROM "{quoted}" ORDER BY rowid'):  # noqa: S608  (quoted just above)
            yield dict(zip(row.keys(), row, strict=True))

    def _rows(self, sql: str, *params: str) -> Iterator[Row]:
        try:
            yield from self._conn.execute(sql, params)
        except sqlean.DatabaseError as error:
            raise _foreign_error(self._path, error) from error


@contextmanager
def open_foreign(path: Path | str) -> Iterator[ForeignDatabase]:
    """Open a SQLite file of another program; nothing is written to it or beside it, even while it is in use.

    SQLite cannot read a write-ahead log without keeping an index beside it: a file that has one is read from
    a copy in a temporary folder.

    Raises:
        StorageError: It is no SQLite database, or encrypted, damaged or locked.
    """
    file = Path(path)
    with TemporaryDirectory(prefix="skillsmith-") as folder:
        try:
            with file.open("rb") as opened:
                mode = "?mode=ro&immutable=1" if opened.read(20)[18:] == b"\x02\x02" else "?mode=ro"
            logged = with_log(file)[1].exists()
            uri = (_copied(file, Path(folder)) if logged else file).absolute().as_uri()
            uri += "" if logged else mode
            conn = sqlean.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS)
        except OSError as error:
            raise StorageError(f"{file}: {error.strerror or error}", hint="check the path") from error
        except sqlean.DatabaseError as error:
            raise _foreign_error(file, error) from error
        with closing(conn):
            conn.row_factory = sqlean.Row
            conn.text_factory = lambda raw: raw.decode("utf-8", "replace")
            yield ForeignDatabase(file, conn)


def _copied(file: Path, folder: Path) -> Path:
    """Copy a database with its log at a moment at which nobody writes."""
    _, log = with_log(file)
    copy = folder / "copy.db"
    for _ in range(_COPY_ATTEMPTS):
        before = stamps(file, log)
        shutil.copyfile(file, copy)
        if log.exists():
            shutil.copyfile(log, folder / "copy.db-wal")
        if stamps(file, log) == before:
            return copy
    raise StorageError(f"{file} is being written without a pause", hint="try again in a moment")


def _foreign_error(file: Path, error: Exception) -> StorageError:
    hint = next((hint for word, hint in _HINTS if word in str(error)), "it may be damaged")
    return StorageError(f"{file}: {error}", hint=hint)
