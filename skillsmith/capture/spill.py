"""What the database cannot take yet waits in a side file that nobody else takes while its owner lives.

The owner holds a lock on its side file for as long as it uses it, so the lock tells whether the owner is
alive, even when process numbers are reused. Side files stand beside the database as ``NAME.spill-PID.jsonl``
or, where nothing can be written there, in a folder of their own among the temporary files. A file is deleted
right after the commit that stored its entries: a kill in that instant would store them twice, not lose them.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import IO, TypeAlias

from skillsmith.capture.entries import EntryStore, Filed, from_line, to_line
from skillsmith.db import Database
from skillsmith.errors import StorageError
from skillsmith.ids import digest_of

CHUNK_ENTRIES = 1000
SET_ASIDE = ".unreadable"
"""Added to the name of a side file that held lines which can never be stored."""

_OWN_PREFIX = "spill-"
"""Of side files in a folder that is for nothing else: the folder for temporary files may hold thousands."""

_Place: TypeAlias = tuple[Path, str]
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorbed:
    """What became of one side file.

    Args:
        path: The side file; with problems, the name under which it is kept.
        entries: How many of its entries are in the database now.
        problems: A line for each that could not be stored.
    """

    path: str
    entries: int
    problems: tuple[str, ...]


class SpillFile:
    """The side files of one writer; made when first needed, more than one only when a disk is full.

    Args:
        db_path: The database.
    """

    def __init__(self, db_path: str) -> None:
        self._db_path = db_path
        self._files: list[tuple[Path, IO[bytes]]] = []

    @property
    def paths(self) -> list[Path]:
        """The files that hold what waits; none when nothing does."""
        return [path for path, _file in self._files]

    def append(self, filed: Sequence[Filed]) -> None:
        """Write entries to disk.

        Raises:
            OSError: No side file can be written anywhere.
        """
        lines = b"".join(to_line(run, entry) for run, entry in filed)
        if self._files:
            with suppress(OSError):
                return _write(self._files[-1][1], lines)
        for place in _places(self._db_path):
            with suppress(OSError):
                self._files.append(_create(place, lines))
                return None
        raise OSError(f"no side file of {self._db_path} can be written")

    def absorb(self, store: EntryStore, db: Database) -> list[Absorbed]:
        """Bring what waits here into the database, oldest first, and delete the files."""
        done = []
        while self._files:
            path, file = self._files[0]
            done.append(_absorb(path, file, store, db))
            self._files.pop(0)
        return done

    def close(self) -> None:
        """Leave the files to whoever absorbs them later."""
        for _path, file in self._files:
            file.close()
        self._files = []


def absorb_spills(db_path: str) -> list[Absorbed]:
    """Store what writers that are gone have left in side files.

    Args:
        db_path: The database.

    Raises:
        StorageError: The database cannot be written; the side files stay as they are.
    """
    if not spills_of(db_path):
        return []
    with closing(Database(db_path)) as db:
        return absorb_into(EntryStore(db), db)


def absorb_into(store: EntryStore, db: Database) -> list[Absorbed]:
    """Do ``absorb_spills`` through an open connection."""
    done = []
    for path in spills_of(db.path):
        try:
            file = path.open("r+b", buffering=0)
        except OSError:  # taken meanwhile, or not ours to open
            continue
        with file:
            if _lock(file) and path.exists():
                done.append(_absorb(path, file, store, db))
    return done


def spills_of(db_path: str) -> list[Path]:
    """Return the side files of a database, oldest first, those in use included."""
    found: list[tuple[float, Path]] = []
    for folder, prefix in _places(db_path):
        with suppress(OSError):
            # three times as fast as an iterator of entries, in a folder with thousands of other files
            names = [name for name in os.listdir(folder) if name.startswith(prefix)]  # noqa: PTH208  (as above)
            for path in (folder / name for name in names if name.endswith(".jsonl")):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and _is_ours(status):
                    found.append((status.st_mtime, path))
    return [path for _time, path in sorted(found)]


def _places(db_path: str) -> tuple[_Place, _Place]:
    from tempfile import gettempdir  # noqa: PLC0415  (8 ms; while a file is being opened, not on import)

    path = Path(db_path).absolute()
    own = Path(gettempdir(), f"skillsmith-{digest_of(os.fsencode(path))[:12]}")
    return (path.parent, f"{path.name}.spill-"), (own, _OWN_PREFIX)


def _is_ours(status: os.stat_result) -> bool:
    """Anyone may put something into the folder for temporary files."""
    owner = getattr(os, "getuid", None)
    return owner is None or status.st_uid == owner()


def _make_own(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not (stat.S_ISDIR(status.st_mode) and _is_ours(status)):
        raise PermissionError(f"{folder} belongs to somebody else")


def _create(place: _Place, lines: bytes) -> tuple[Path, IO[bytes]]:
    """Make a side file that holds these lines, or none at all."""
    folder, prefix = place
    if prefix == _OWN_PREFIX:
        _make_own(folder)
    for number in count():
        path = folder / f"{prefix}{os.getpid()}{f'-{number}' if number else ''}.jsonl"
        try:
            descriptor = os.open(path, _NEW, 0o600)
        except FileExistsError:
            continue
        file = os.fdopen(descriptor, "r+b", buffering=0)
        _lock(file)
        try:
            _write(file, lines)
        except OSError:
            file.close()
            path.unlink()
            raise
        return path, file
    raise AssertionError("a count never ends")


def _write(file: IO[bytes], data: bytes) -> None:
    """Write all of the data or, where the disk is full, none of it."""
    start = file.seek(0, os.SEEK_END)
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        with suppress(OSError):
            file.truncate(start)
        raise


def _absorb(path: Path, file: IO[bytes], store: EntryStore, db: Database) -> Absorbed:
    problems: list[str] = []
    try:
        with db.transaction():
            entries = _store_all(_entries(file, problems), store)
    except (StorageError, OSError):
        raise
    except Exception:  # noqa: BLE001  (one entry cannot be stored: find out which, keep the others)
        problems.clear()
        entries = _store_singly(_entries(file, problems), store, problems)
    kept = _discard(path, file, keep=bool(problems))
    return Absorbed(path=str(kept), entries=entries, problems=tuple(problems))


def _store_all(filed: Iterator[Filed], store: EntryStore) -> int:
    stored = 0
    while chunk := list(islice(filed, CHUNK_ENTRIES)):
        store.write(chunk)
        stored += len(chunk)
    return stored


def _store_singly(filed: Iterator[Filed], store: EntryStore, problems: list[str]) -> int:
    stored = 0
    for run, entry in filed:
        try:
            store.write([(run, entry)])
        except (StorageError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  (reported with the file that is kept)
            problems.append(f"{type(entry).__name__} of run {run}: {error}")
        else:
            stored += 1
    return stored


def _entries(file: IO[bytes], problems: list[str]) -> Iterator[Filed]:
    file.seek(0)
    with os.fdopen(os.dup(file.fileno()), "rb") as reader:
        for number, line in enumerate(reader, 1):
            try:
                yield from_line(line)
            except ValueError as error:
                problems.append(f"line {number}: {error}")


def _discard(path: Path, file: IO[bytes], *, keep: bool) -> Path:
    """Delete or rename a side file before its lock is given up, so that nobody stores it again."""
    if not keep:
        file.truncate(0)  # should it not be deletable
    if sys.platform == "win32":  # where an open file can be neither deleted nor renamed
        file.close()
    with suppress(OSError):
        if keep:
            path = path.rename(path.with_name(path.name + SET_ASIDE))
        else:
            path.unlink()
            if path.name.startswith(_OWN_PREFIX):
                path.parent.rmdir()  # unless it holds more
    file.close()
    return path


def _lock(file: IO[bytes]) -> bool:
    """Lock a file for as long as it is open; False when someone else has."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415  (there only)

            file.seek(1 << 30)  # a byte that is never read: Windows locks keep readers out
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415  (not on Windows)

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
