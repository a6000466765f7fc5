"""The only file that opens a connection to a hub: schema, transactions, errors of one line.

What a user can mend (no server, no right, no pgvector, another schema) becomes one line without the
password; programming errors pass through raw.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from skillsmith.errors import StorageError
from skillsmith.hub.address import Address, driver
from skillsmith.hub.schema import MIGRATIONS, NAMESPACE, SCHEMA_LOCK, SCHEMA_VERSION, WRITER_LOCK
from skillsmith.ids import new_id

CONNECT_SECONDS = 10
LOCK_SECONDS = 60
"""So long a push waits for another one's batch."""
IDLE_SECONDS = 300
"""So long the open transaction of a machine that went away may hold up the others."""

_HINTS: Final = (
    ("password authentication failed", "set PGPASSWORD, or put the password into ~/.pgpass"),
    ("no password supplied", "set PGPASSWORD, or put the password into ~/.pgpass"),
    ("resolve", "check the host's name"),
    ("translate host", "check the host's name"),
    ("connection refused", "check host and port, and that the server runs"),
    ("no such file", "check the socket's folder, and that the server runs"),
    ("timeout", "check host and port, and that the server can be reached"),
    ("role", "check the user's name"),
    ("database", "check the database's name; `createdb NAME` makes one"),
)


class Hub:
    """One connection to a hub, for one thread.

    Args:
        address: Where it is.
        create: Make the schema in a database that has none.
        upgrade: Bring an older schema up to date; machines with an older skillsmith cannot use it then.

    Raises:
        StorageError: It cannot be reached or used; says why and what to do.
    """

    def __init__(self, address: Address, *, create: bool = False, upgrade: bool = False) -> None:
        self.shown = address.shown
        self._psycopg = driver()
        self._conn = self._connect(address)
        try:
            with self._errors():
                self._prepare(create=create, upgrade=upgrade)
                self.id = str(self.scalar("SELECT value FROM hub WHERE key = 'id'"))
        except BaseException:
            self._conn.close()
            raise

    def _connect(self, address: Address) -> Any:
        try:
            return self._psycopg.connect(
                address.url, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="skillsmith"
            )
        except (self._psycopg.OperationalError, UnicodeError) as error:
            said = _first_line(str(error))
            lowered = said.lower()
            hint = next((hint for word, hint in _HINTS if word in lowered), "check the address")
            raise StorageError(f"the hub {self.shown} cannot be opened: {said}", hint=hint) from None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what a user can mend into one line."""
        errors = self._psycopg.errors
        try:
            yield
        except errors.InsufficientPrivilege as error:
            raise StorageError(
                f"the hub {self.shown} does not allow it: {_first_line(str(error))}",
                hint=f"ask its owner for the rights on the schema {NAMESPACE}",
            ) from error
        except errors.LockNotAvailable as error:
            raise StorageError(
                f"another machine has been writing to the hub for {LOCK_SECONDS} s", hint="try again"
            ) from error
        except (self._psycopg.OperationalError, self._psycopg.InterfaceError) as error:
            raise StorageError(
                f"the hub {self.shown} broke off: {_first_line(str(error))}",
                hint="run the command again: what has arrived stays, nothing is sent twice",
            ) from error

    # ------------------------------------------------------------------------------------------ schema

    def _prepare(self, *, create: bool, upgrade: bool) -> None:
        self._conn.execute(f"SET search_path = {NAMESPACE}, {self._vector_schema() or 'public'}")
        self._conn.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
        self._conn.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        version = self._version()
        if version == 0 and not create:
            raise StorageError(f"{self.shown} holds no hub yet", hint="`skillsmith hub push` makes one")
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"the hub has schema {version}, and this skillsmith knows {SCHEMA_VERSION}",
                hint="upgrade skillsmith",
            )
        if 0 < version < SCHEMA_VERSION and not upgrade:
            raise StorageError(
                f"the hub has schema {version}, older than this skillsmith's {SCHEMA_VERSION}",
                hint="`skillsmith hub push --upgrade`, when everybody has this skillsmith, mends it",
            )
        if version < SCHEMA_VERSION:
            self._migrate()

    def _vector_schema(self) -> str | None:
        return self.scalar(  # type: ignore[no-any-return]  # a name
            "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
            " WHERE e.extname = 'vector'"
        )

    def _version(self) -> int:
        """Return the schema's version; 0 when there is none."""
        if self.scalar("SELECT to_regclass(%s)", (f"{NAMESPACE}.hub",)) is None:
            if self.scalar("SELECT to_regnamespace(%s)", (NAMESPACE,)) is not None:
                raise StorageError(
                    f"the schema {NAMESPACE} of {self.shown} belongs to something else",
                    hint="choose another database",
                )
            return 0
        return int(self.scalar("SELECT value FROM hub WHERE key = 'schema'"))

    def _migrate(self) -> None:
        """Apply what is missing, all in one transaction; machines that come at once wait for each other."""
        with self._conn.transaction():
            self._conn.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
            version = self._version()
            if version == 0:
                self._add_vector()
                self._conn.execute(f"CREATE SCHEMA {NAMESPACE}")
                self._conn.execute(f"SET search_path = {NAMESPACE}, {self._vector_schema()}")
            for _name, script in MIGRATIONS[version:]:
                self._conn.execute(script)
            facts = {"schema": str(SCHEMA_VERSION), "id": new_id()}
            for key, value in facts.items():
                self._conn.execute(
                    "INSERT INTO hub (key, value) VALUES (%s, %s) ON CONFLICT (key) DO UPDATE"
                    " SET value = excluded.value WHERE hub.key = 'schema'",
                    (key, value),
                )

    def _add_vector(self) -> None:
        if self._vector_schema() is not None:
            return
        known = self.scalar("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        if known is None:
            raise StorageError(
                f"the server of {self.shown} has no pgvector",
                hint="install it there: https://github.com/pgvector/pgvector#installation",
            )
        self._conn.execute("CREATE EXTENSION vector WITH SCHEMA public")

    # --------------------------------------------------------------------------------------- statements

    def all(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows; only for results known to be short."""
        with self._errors():
            return list(self._conn.execute(sql, params or None).fetchall())

    def one(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        with self._errors():
            row: tuple[Any, ...] | None = self._conn.execute(sql, params or None).fetchone()
        return row

    def scalar(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """Return the first column of the first row, or None when there is no row."""
        row = self.one(sql, params)
        return None if row is None else row[0]

    def execute(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run one statement and return how many rows it changed."""
        with self._errors():
            return int(self._conn.execute(sql, params or None).rowcount)

    def stage(self, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Copy rows into the temporary table ``stage``, which is there until the transaction ends.

        Args:
            columns: Names and types, as in ``CREATE TABLE``.
            rows: One value for each column.
        """
        with self._errors(), self._conn.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS pg_temp.stage")
            cursor.execute(f"CREATE TEMPORARY TABLE stage ({columns}) ON COMMIT DROP")
            self._copy(cursor, "pg_temp.stage", rows)

    def copy(self, target: str, rows: Iterable[Sequence[Any]]) -> None:
        """Copy rows into a table.

        Args:
            target: The table, with the columns in brackets.
            rows: One value for each of them.
        """
        with self._errors(), self._conn.cursor() as cursor:
            self._copy(cursor, target, rows)

    @staticmethod
    def _copy(cursor: Any, target: str, rows: Iterable[Sequence[Any]]) -> None:
        with cursor.copy(f"COPY {target} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def transaction(self, *, writer: bool = False) -> Iterator[None]:
        """Commit at the end, roll back on any error.

        Args:
            writer: Take the lock under which ``seq`` is drawn, so that numbers and commits have one order.
        """
        with self._errors(), self._conn.transaction():
            if writer:
                self._conn.execute("SELECT pg_advisory_xact_lock(%s)", (WRITER_LOCK,))
            yield

    @contextmanager
    def schema_change(self) -> Iterator[None]:
        """Hold the lock under which tables are added."""
        with self._errors(), self._conn.transaction():
            self._conn.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything as it is at one moment."""
        with self._errors(), self._conn.transaction():
            self._conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    def introduce(self, machine: str, name: str) -> None:
        """Tell the hub which file is writing."""
        self.execute(
            "INSERT INTO machines (id, name) VALUES (%s, %s)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, last_seen = now()",
            (machine, name),
        )

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _first_line(text: str) -> str:
    """Return the telling line of what the driver says."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = lines[0] if lines else "no reason given"
    return said.rsplit("FATAL:", 1)[-1].strip()
