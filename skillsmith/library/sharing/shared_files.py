"""Find and read what is shared: skill files, and SKILL.md folders, named or below a folder that is named.

What lies inside a SKILL.md folder belongs to that one skill. Links are not followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from skillsmith.errors import InvalidSkillFileError, NotFoundError
from skillsmith.library.sharing.file import SUFFIX, Reference, SkillFile, read_skill_file
from skillsmith.library.sharing.folder import IGNORED, refuse_unreadable
from skillsmith.library.sharing.skill_md import FILE
from skillsmith.library.sharing.skill_md_reader import read_skill_folder

_MD_NAMES = (FILE, FILE.lower())


def is_skill_folder(path: Path) -> bool:
    """Tell whether a folder is one skill."""
    return any((path / name).is_file() for name in _MD_NAMES)


def shared_in(folder: Path) -> list[Path]:
    """Return the skill files and SKILL.md folders below a folder, sorted.

    Raises:
        UsageError: A folder cannot be looked into.
    """
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(folder, onerror=refuse_unreadable):
        here = Path(top)
        if here != folder and not {*_MD_NAMES}.isdisjoint(names):
            folders.clear()
            yield here
            continue
        folders[:] = [name for name in folders if name not in IGNORED]
        yield from (here / name for name in names if name.endswith(SUFFIX) and (here / name).is_file())
        yield from (here / name for name in folders if _leads_out(here / name, folder))


def _leads_out(path: Path, folder: Path) -> bool:
    """Tell whether a path is a link to a skill elsewhere; one inside the folder is found there anyway."""
    if not path.is_symlink() or not is_skill_folder(path):
        return False
    return not path.resolve().is_relative_to(folder.resolve())


def named_and_found(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return what was named itself, and what stands in the folders that were named.

    Raises:
        NotFoundError: A folder holds no skills.
    """
    named, found = list[Path](), list[Path]()
    for path in paths:
        if path.name in _MD_NAMES and path.is_file():
            named.append(path.parent)
        elif not path.is_dir() or is_skill_folder(path):
            named.append(path)
        elif shared := shared_in(path):
            found += shared
        else:
            raise NotFoundError(f"the folder {path} holds no *{SUFFIX} files and no folders with {FILE}")
    return named, found


def read_shared(path: Path, *, reference: Reference | None = None) -> SkillFile:
    """Read and check a skill file or a SKILL.md folder.

    Raises:
        InvalidSkillFileError: It does not hold what it promises; names it and says what is wrong.
        NotFoundError: It is not there.
        UsageError: It cannot be read.
    """
    if path.is_dir():
        return read_skill_folder(path, reference=reference)
    return read_skill_file(path, reference=reference)


def read_found(path: Path, *, reference: Reference | None = None) -> SkillFile:
    """Read and check what was found below a folder, and so may be a link that nobody has named.

    Raises:
        InvalidSkillFileError: As above, or it is a link to a folder elsewhere.
        UsageError: It cannot be read.
    """
    if path.is_dir() and path.is_symlink():
        raise InvalidSkillFileError(
            f"{path}: it is a link to {path.resolve()}", hint="name that folder itself"
        )
    return read_shared(path, reference=reference)
