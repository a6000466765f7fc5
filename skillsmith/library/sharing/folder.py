"""Files of one folder as bytes by path, read and written so that nothing leads out of the folder.

Links are refused, whatever they point at, and so are folders beyond the limits: what is shared is small.
A folder is replaced as a whole, so that nobody ever sees half of it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

from skillsmith.errors import InvalidSkillFileError, RefusedError, StorageError, UsageError
from skillsmith.library.program.paths import leaves_folder

Files: TypeAlias = Mapping[str, bytes]
"""Content by path, with ``/``, relative to the folder."""

MAX_FILES: Final = 1_000
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
MAX_FOLDER_BYTES: Final = 64 * 1024 * 1024

IGNORED: Final = frozenset(
    {".git", ".hg", ".svn", ".DS_Store", "Thumbs.db", "__pycache__", "node_modules", ".venv"}
)
"""Never part of what is shared, nor looked into."""

_PUNCTUATION = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"
"""In the order in which Unicode collation sorts it, before digits and letters."""


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, sorted by path.

    Raises:
        InvalidSkillFileError: It holds links, or too much.
        UsageError: A file cannot be read.
    """
    found: dict[str, bytes] = {}
    left = MAX_FOLDER_BYTES
    for path in _paths(folder):
        name = path.relative_to(folder).as_posix()
        try:
            size = path.stat().st_size
            if size > MAX_FILE_BYTES:
                raise InvalidSkillFileError(f"{name} is larger than {MAX_FILE_BYTES // 2**20} MB")
            found[name] = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        left -= len(found[name])
        if left < 0:
            raise InvalidSkillFileError(f"its files are larger than {MAX_FOLDER_BYTES // 2**20} MB together")
        if len(found) > MAX_FILES:
            raise InvalidSkillFileError(f"it holds more than {MAX_FILES:,} files")
    return dict(sorted(found.items()))


def _paths(folder: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(folder, onerror=refuse_unreadable):
        folders[:] = sorted(set(folders) - IGNORED)
        for name in (*folders, *sorted(set(names) - IGNORED)):
            path = Path(top, name)
            shown = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise InvalidSkillFileError(f"{shown} is a link, which may lead anywhere")
            if name not in folders:
                if not path.is_file():
                    raise InvalidSkillFileError(f"{shown} is no ordinary file")
                yield path


def refuse_unreadable(error: OSError) -> None:
    """Raise for a folder that a walk cannot look into: what stands there must not count as gone.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"{error.filename} cannot be read: {error.strerror}") from error


def is_plain_path(path: str) -> bool:
    """Tell whether a path names the same file inside its folder on every platform."""
    parts = path.split("/")
    return not leaves_folder(path) and not any(
        part in ("", ".")
        or part in IGNORED
        or part != part.rstrip(". ")
        or re.search(r'[\\:*?"<>|\0-\x1f]', part)
        for part in parts
    )


def fit_together(files: Files) -> bool:
    """Tell whether the paths can all stand in one folder, on a file system that ignores case, too."""
    folded = [path.casefold() for path in files]
    folders = {"/".join(parts[:end]) for parts in map(_split, folded) for end in range(1, len(parts))}
    return len(set(folded)) == len(folded) and folders.isdisjoint(folded)


def _split(path: str) -> list[str]:
    return path.split("/")


def write_folder(files: Files, target: Path) -> None:
    """Write a folder whole or not at all; one of that name is replaced.

    Args:
        files: With plain paths.
        target: The folder.

    Raises:
        RefusedError: What is to be replaced holds more than files of a skill, like a repository.
        StorageError: It cannot be written.
    """
    _refuse_more_than_files(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        for name, content in files.items():
            _write(partial / name, content)
        if target.exists():
            target.rename(old)
        partial.rename(target)
    except OSError as error:
        if old.exists():
            old.rename(target)
        raise StorageError(f"{target}: {error.strerror}", hint="choose another place") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a skill's folder.

    Raises:
        RefusedError: It holds more than files of a skill, like a repository.
        StorageError: It cannot be removed.
    """
    _refuse_more_than_files(folder)
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}", hint="remove it yourself") from error


def _refuse_more_than_files(target: Path) -> None:
    for _top, folders, _files in os.walk(target):
        kept = sorted(IGNORED.intersection(folders) - {"__pycache__"})
        if kept:
            raise RefusedError(f"{target} holds {kept[0]}, which would be lost", hint="choose another place")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if content.startswith(b"#!"):
        path.chmod(path.stat().st_mode | 0o111)


def folder_hash(files: Files) -> str:
    """Return the hash over a folder that ``skills-lock.json`` files hold, as other tools compute it."""
    total = sha256()
    for name in sorted(files, key=_collation):
        total.update(name.encode())
        total.update(files[name])
    return total.hexdigest()


def _collation(name: str) -> tuple[list[int], str]:
    """Return a sort key like that of ``localeCompare``: punctuation, digits, letters; lower case first."""
    ranks = [
        _PUNCTUATION.find(letter) if letter in _PUNCTUATION else 1000 + ord(letter)
        for letter in name.casefold()
    ]
    return ranks, name.swapcase()


def seal_of(files: Files) -> str:
    """Return 64 hex digits over paths and contents; line ends may be those of any platform."""
    total = sha256()
    for name in sorted(files):
        content = files[name].replace(b"\r\n", b"\n")
        total.update(f"{name}\0{sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()
