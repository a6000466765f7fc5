"""Write skills of the library as SKILL.md folders, and never over something that would be lost by it.

A folder is replaced only when the library holds what is in it. All is checked before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from skillsmith.errors import RefusedError
from skillsmith.library.program.document import Document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.folder import read_files, write_folder
from skillsmith.library.sharing.lockfile import Locked, lock_of, read_lock, record
from skillsmith.library.sharing.skill_md import MAX_NAME
from skillsmith.library.sharing.skill_md_reader import read_skill_folder
from skillsmith.library.sharing.skill_md_writer import folder_name, skill_md_files
from skillsmith.models import Skill


def write_skill_folders(
    repo: SkillRepository,
    documents: Sequence[tuple[str, Document]],
    target: Path,
    *,
    dialect: str = "open",
) -> list[Path]:
    """Write a folder for each skill, bring the lock file that speaks for them up to date, return the folders.

    Args:
        repo: Where the skills are.
        documents: ``NAME`` or ``NAME@VERSION``, and the document.
        target: The folder they stand in.
        dialect: Of the front matter.

    Raises:
        RefusedError: A folder holds something that the library does not.
        StorageError: A folder cannot be written.
    """
    plan, taken = list[Locked](), set[str]()
    for label, document in documents:
        skill = repo.get(f"{document['name']}@{document['version']}")
        name = _free_name(skill, taken, current=label == skill.name)
        taken.add(name)
        files = skill_md_files(document, folder=name, dialect=dialect)
        ref = f"{skill.name}@{skill.version}"
        plan.append(Locked(folder=target / name, files=files, skill=ref, digest=document["digest"]))
    changed = [one for one in plan if _differs(repo, one)]
    lock = lock_of(target)
    if lock is not None:
        read_lock(lock)  # refuses before anything is written
    for one in changed:
        write_folder(one.files, one.folder)
    if lock is not None and plan:
        record(lock, plan)
    return [one.folder for one in plan]


def _free_name(skill: Skill, taken: Iterable[str], *, current: bool) -> str:
    """Return a skill's folder name; of two that would have the same one, the second carries a digest."""
    plain = folder_name(skill)
    mark = "" if current else f"-v{skill.version}"
    if plain[: MAX_NAME - len(mark)] + mark in taken:
        mark = f"-{sha256(skill.name.encode()).hexdigest()[:6]}{mark}"
    return plain[: MAX_NAME - len(mark)].rstrip("-") + mark


def _differs(repo: SkillRepository, one: Locked) -> bool:
    """Tell whether a folder has to be written.

    Raises:
        RefusedError: It holds something that would be lost.
    """
    if not one.folder.exists():
        return True
    there = read_files(one.folder) if one.folder.is_dir() else {"": b""}
    if not there or there == one.files:
        return not there
    name = one.skill.partition("@")[0]
    try:
        known = read_skill_folder(one.folder)
    except RefusedError as error:
        raise RefusedError(error.message, hint="move it away, or choose another place") from error
    if known.skill.name != name or content_digest(known.document) not in repo.contents(name):
        raise RefusedError(
            f"{one.folder} holds {known.skill.name}@{known.skill.version}, which the library does not hold",
            hint=f"`skillsmith import {one.folder} --new-version` first, or choose another place",
        )
    return True
