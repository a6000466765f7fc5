"""One execution runs in one place at a time: whoever runs it holds a lock that ends with its process.

The lock is a file beside the database, so that it does not keep others from writing, and the system lets go
of it even when the process is killed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skillsmith.errors import ExecutionError


class StillRunningError(ExecutionError):
    """An execution is running in another place."""


@contextmanager
def lease(database: str, execution_id: str) -> Iterator[None]:
    """Hold an execution while it runs.

    Args:
        database: Path of the database, or ``:memory:``, which no other process can see.
        execution_id: Its whole id.

    Raises:
        StillRunningError: It is running already.
    """
    if database == ":memory:":
        yield
        return
    from filelock import FileLock, Timeout  # noqa: PLC0415  (30 ms; only to execute)

    path = Path(f"{database}.{execution_id}.running")
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise StillRunningError(
            f"execution {execution_id[:13]} is still running", hint="wait for it to end, or stop it first"
        ) from error
    try:
        yield
    finally:
        _give_up(path, lock.release)


def _give_up(path: Path, release: Callable[[], None]) -> None:
    if sys.platform != "win32":  # while it is held: later, somebody else's file might be taken away
        path.unlink(missing_ok=True)
        release()
        return
    release()  # Windows deletes no open file, neither our own nor that of the next holder
    with suppress(PermissionError, FileNotFoundError):
        path.unlink()
