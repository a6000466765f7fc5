"""One execution runs in one place at a time: whoever runs it holds a lock that ends with its process.

The lock is a file beside the database, so that it does not keep others from writing, and the system lets go
of it even when the process is killed.
"""

from __future__ import annotations

import os
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
        ExecutionError: No lock can be held in the database's folder.
    """
    if database == ":memory:":
        yield
        return
    path = Path(f"{database}.{execution_id}.running")
    release = _take_on_windows(path) if sys.platform == "win32" else _take(path)
    if release is None:
        raise StillRunningError(
            f"execution {execution_id[:13]} is still running", hint="wait for it to end, or stop it first"
        )
    try:
        yield
    finally:
        release()


def _take(path: Path) -> Callable[[], None] | None:
    """Lock a file and return what gives it up; None when another process or thread has it."""
    import fcntl  # noqa: PLC0415  (not on Windows)

    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:
            os.close(handle)
            raise _unusable(path, error) from error
        if os.fstat(handle).st_nlink:
            return lambda: _give_up(path, handle)
        os.close(handle)  # the last holder took the file away after it was opened here


def _give_up(path: Path, handle: int) -> None:
    path.unlink(missing_ok=True)  # while it is held: later, somebody else's file might be taken away
    os.close(handle)


def _take_on_windows(path: Path) -> Callable[[], None] | None:
    from filelock import FileLock, Timeout  # noqa: PLC0415  (30 ms; only to execute)

    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        raise _unusable(path, error) from error

    def give_up() -> None:
        lock.release()  # Windows deletes no open file, neither our own nor that of the next holder
        with suppress(PermissionError, FileNotFoundError):
            path.unlink()

    return give_up


def _unusable(path: Path, error: OSError) -> ExecutionError:
    return ExecutionError(
        f"{path} cannot be locked: {error.strerror}",
        hint="executions need a lock beside the database: use --db in a folder where that is possible",
    )
