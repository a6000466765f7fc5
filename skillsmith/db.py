"""The only file that opens our SQLite file: driver, pragmas, transactions, error wrapping and keyset paging.

Only what a user can mend becomes a ``StorageError`` (locked, read-only, full, damaged, not a database);
programming errors pass through raw.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import sqlean

from skillsmith.errors import NotFoundError, StorageError
from skillsmith.migrations import MIGRATIONS, SCHEMA_VERSION
from skillsmith.schema import APPLICATION_ID

Row: TypeAlias = Any
"""One row: by index or by column name."""

IntegrityError: TypeAlias = sqlean.IntegrityError
"""What the schema does not allow, such as a number that is taken."""

BUSY_TIMEOUT_SECONDS = 10.0
_MENDABLE = re.compile(
    r"locked|readonly|read-only|disk is full|disk I/O|malformed|not a database|unable to open|encrypted|busy",
    re.IGNORECASE,
)
_HINTS = (
    ("locked", "another process is writing; try again in a moment"),
    ("busy", "another process is writing; try again in a moment"),
    ("readonly", "check the permissions of the file and its folder"),
    ("full", "free some disk space"),
    ("unable to open", "check that the folder exists and may be written"),
    ("not a database", "choose another --db path"),
    ("malformed", "restore a backup, or run `skillsmith doctor` to see what is damaged"),
)

sqlean.register_adapter(type(None), {}.get)  # a builtin that returns None: without one the driver looks
# through four protocols for each NULL, which takes as long as the rest of a short row (1 µs, measured)


def is_locked(error: BaseException) -> bool:
    """Tell whether an error means that another process holds the file for now."""
    return isinstance(error, StorageError) and ("locked" in error.message or "busy" in error.message)


@contextmanager
def wrap_errors(path: str) -> Iterator[None]:
    """Turn the driver's mendable errors into StorageError naming the file."""
    try:
        yield
    except sqlean.DatabaseError as error:
        text = str(error)
        if not _MENDABLE.search(text):
            raise
        hint = next((hint for word, hint in _HINTS if word in text.lower()), "")
        raise StorageError(f"{path}: {text}", hint=hint) from error


class Database:
    """One connection to one skillsmith file, for one thread.

    Args:
        path: The file, or ``:memory:``.
        readonly: Open without the right to write; the file must exist.
        patience: Seconds to wait for a lock that another process holds; None: ``BUSY_TIMEOUT_SECONDS``.
    """

    def __init__(self, path: str | Path, *, readonly: bool = False, patience: float | None = None) -> None:
        self.path = str(path)
        self.readonly = readonly
        self._patience = BUSY_TIMEOUT_SECONDS if patience is None else patience
        self._depth = 0
        self._frozen: list[tuple[int, int]] | None = None
        self._renewed = 0
        self._extensions: list[Path] = []
        self._open()

    def _open(self) -> None:
        with wrap_errors(self.path):
            self.conn = self._connect()
            try:
                self._prepare()
            except BaseException:
                self.conn.close()
                raise

    def _renew(self) -> None:
        """Open a file anew that is read as one that does not change, when it did."""
        if self._frozen == stamps(*with_log(Path(self.path))):
            return
        old, frozen = self.conn, self._frozen
        try:
            self._open()
            for library in self._extensions:
                self._load(library)
        except BaseException:  # the next statement tries again
            self.conn, self._frozen = old, frozen
            raise
        old.close()
        self._renewed += 1

    def _connect(self) -> Any:
        if self.path == ":memory:":
            return sqlean.connect(":memory:", isolation_level=None)
        file = Path(self.path)
        if file.is_dir():
            raise StorageError(f"{self.path} is a folder", hint="name a file, e.g. --db skillsmith.db")
        if self.readonly and not file.exists():
            raise NotFoundError(f"there is no database at {self.path}")
        if not self.readonly:
            _make_folder(file.parent, hint="choose another --db")
        seen, mode = stamps(*with_log(file)), _reading(file) if self.readonly else ""
        self._frozen = seen if "immutable" in mode else None
        uri = file.absolute().as_uri() + mode
        return sqlean.connect(uri, uri=True, isolation_level=None, timeout=self._patience)

    def _prepare(self) -> None:
        self.conn.row_factory = sqlean.Row
        for pragma in (
            "foreign_keys = ON",
            "synchronous = NORMAL",
            f"mmap_size = {268435456 if self._frozen is None else 0}",  # others may cut such a file short
            "wal_autocheckpoint = 4000",
        ):
            self.conn.execute(f"PRAGMA {pragma}")
        self._refuse_foreign()
        version = self.conn.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"{self.path} was made by a newer skillsmith"
                f" (schema {version}, this one knows {SCHEMA_VERSION})",
                hint="upgrade skillsmith",
            )
        if version < SCHEMA_VERSION:
            self._migrate()
        if not self.readonly and self.conn.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
            self._use_wal()

    def _use_wal(self) -> None:
        """Switch to the write-ahead log; while another process holds the file, the next to open it does."""
        try:
            self.conn.execute("PRAGMA journal_mode = WAL")
        except sqlean.OperationalError as error:
            if "locked" not in str(error):
                raise

    def _refuse_foreign(self) -> None:
        application, tables = self.conn.execute("PRAGMA application_id").fetchone()[0], 0
        if application == 0:  # new, or not ours; both facts at once, as another process may be making it
            application, tables = self.conn.execute(
                "SELECT application_id, (SELECT count(*) FROM sqlite_master) FROM pragma_application_id"
            ).fetchone()
        if application not in (0, APPLICATION_ID) or (application == 0 and tables):
            raise StorageError(
                f"{self.path} is a SQLite database of another program", hint="choose another --db path"
            )

    def _migrate(self) -> None:
        if self.readonly:
            raise StorageError(f"{self.path} has an older schema", hint="open it once for writing")
        migrate(self.conn)

    def execute(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Run one statement and return its cursor."""
        if self._frozen is not None:
            self._renew()
        try:
            return self.conn.execute(sql, params)
        except sqlean.DatabaseError:
            with wrap_errors(self.path):  # only now: to enter it costs as much as a short statement
                raise

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> Any:
        """Run one statement for each row of parameters."""
        with wrap_errors(self.path):
            return self.conn.executemany(sql, rows)

    def one(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> Row | None:
        """Return the first row, or None."""
        if self._frozen is not None:
            self._renew()
        with wrap_errors(self.path):
            return self.conn.execute(sql, params).fetchone()

    def scalar(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Return the first column of the first row, or None when there is no row."""
        row = self.one(sql, params)
        return None if row is None else row[0]

    def all(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
        """Return all rows; only for results known to be short."""
        if self._frozen is not None:
            self._renew()
        with wrap_errors(self.path):
            return list(self.conn.execute(sql, params).fetchall())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock from the start, commit at the end, roll back on any error; nests."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        with wrap_errors(self.path):
            self.conn.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self.conn.execute("COMMIT")
            except BaseException:
                if self.conn.in_transaction:
                    self.conn.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    def load_extension(self, library: Path) -> None:
        """Load a SQLite extension library into this connection.

        Raises:
            StorageError: The library cannot be loaded here.
        """
        self._load(library)
        self._extensions.append(library)

    def _load(self, library: Path) -> None:
        try:
            self.conn.enable_load_extension(True)  # noqa: FBT003  (the driver takes it by position only)
            self.conn.load_extension(str(library.with_suffix("")))
            self.conn.enable_load_extension(False)  # noqa: FBT003
        except (sqlean.Error, AttributeError) as error:
            raise StorageError(f"cannot load the SQLite extension {library.name}: {error}") from error

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed."""
        return int(self.scalar("PRAGMA data_version")) + (self._renewed << 32)

    def backup(self, target: Path) -> None:
        """Write a consistent copy while the file is in use; replaces nothing on failure.

        Raises:
            StorageError: The copy cannot be written; its folder is not made, for it may be a slip of the pen.
        """
        if not target.parent.is_dir():
            raise StorageError(f"there is no folder {target.parent}", hint="make it first, or name another")
        if target.exists() and self.path != ":memory:" and target.samefile(self.path):
            raise StorageError(f"{target} is the database itself", hint="choose another place")
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        try:
            partial.unlink(missing_ok=True)
            with wrap_errors(str(target)), closing(sqlean.connect(str(partial))) as copy:
                self.conn.backup(copy)
            partial.replace(target)
        except OSError as error:
            raise StorageError(f"{target}: {error.strerror}", hint="choose another place") from error
        finally:
            partial.unlink(missing_ok=True)

    def check(self) -> list[str]:
        """Return what SQLite's own integrity and foreign key checks complain about."""
        problems = [row[0] for row in self.all("PRAGMA integrity_check") if row[0] != "ok"]
        problems += [f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}"
                     for row in self.all("PRAGMA foreign_key_check")]  # fmt: skip
        return problems

    def close(self) -> None:
        """Close the connection."""
        self.conn.close()


def may_write(path: Path | str) -> bool:
    """Tell whether this process has the right to write a database file: it and the log beside it."""
    file = Path(path)
    return os.access(file, os.W_OK) and os.access(file.absolute().parent, os.W_OK)


def _reading(file: Path) -> str:
    """Return how to open a file for reading only.

    A write-ahead log is read through an index beside it. Where that cannot be made, or would not belong to
    the file's owner, and nobody has the file open, it is read as a file that does not change.
    """
    _, log = with_log(file)
    return "?mode=ro" if log.exists() or may_write(file) else "?mode=ro&immutable=1"


def with_log(file: Path) -> tuple[Path, Path]:
    """Return a database file and its write-ahead log."""
    return file, file.with_name(file.name + "-wal")


def stamps(*files: Path) -> list[tuple[int, int]]:
    """Return size and time of change of those files that are there."""
    found = [file.stat() for file in files if file.exists()]
    return [(status.st_size, status.st_mtime_ns) for status in found]


def _make_folder(folder: Path, *, hint: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}", hint=hint) from error


def migrate(conn: Any) -> None:
    """Apply what is missing of the migrations, all in one transaction, recorded by name.

    Two processes that open a new file at once wait for each other here; the second finds nothing to do.

    Args:
        conn: A driver connection in autocommit mode.
    """
    import sqlite_utils  # noqa: PLC0415  (130 ms; only a new or older file needs it)

    migrations = sqlite_utils.Migrations("skillsmith")
    for name, function in MIGRATIONS:
        migrations(name=name)(function)
    conn.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(sqlite_utils.Database(conn))
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise


def page(
    db: Database,
    sql: str,
    *,
    key: Callable[[Row], Sequence[Any]],
    params: Sequence[Any] = (),
    after: Sequence[Any] | None = None,
    window: int = 256,
) -> Iterator[Row]:
    """Yield rows window by window, each window found by key, never by offset.

    No read transaction stays open between windows, so a slow consumer blocks nobody.

    Args:
        db: The connection.
        sql: A query with ``{after}`` where the keyset condition goes and ``LIMIT ?`` as its last
            parameter; ``{after}`` becomes ``1`` for the first window and ``KEY > (?, …)`` after it, so the
            statement must name its key as ``/*key: a, b*/`` or ``/*key desc: a, b*/``.
        key: Takes the key's values from a row, ending in a unique column.
        params: Parameters that come before those of the keyset condition.
        after: Key of the last row already seen.
        window: Rows fetched at a time.
    """
    match = re.search(r"/\*key( desc)?: ([\w., ]+)\*/", sql)
    if match is None:
        raise ValueError("a paged query names its key as /*key: column, …*/")
    columns = match[2]
    sign = "<" if match[1] else ">"
    marks = ", ".join("?" for _ in columns.split(","))
    while True:
        condition = "1" if after is None else f"({columns}) {sign} ({marks})"
        values = [*params, *(after or ()), window]
        rows = db.all(sql.replace("{after}", condition), values)
        yield from rows
        if len(rows) < window:
            return
        after = key(rows[-1])
