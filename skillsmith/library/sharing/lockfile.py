"""Keep the digests of a project's skill folders in its ``skills-lock.json``, beside what others wrote there.

The file is shared with other tools: entries and keys that are not ours stay as they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skillsmith.errors import InvalidSkillFileError, SkillsmithError, StorageError
from skillsmith.library.sharing.folder import Files, folder_hash, read_files

LOCK: Final = "skills-lock.json"

PLACES: Final[Mapping[str, Path]] = {
    "agents": Path(".agents", "skills"),
    "claude": Path(".claude", "skills"),
}
"""Where agents look for the skills of a project, by the name that ``--to`` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A skill folder that was written.

    Args:
        folder: Where.
        files: What it holds.
        skill: ``NAME@VERSION`` in the library.
        digest: Of the skill's document.
    """

    folder: Path
    files: Files
    skill: str
    digest: str


def lock_of(target: Path) -> Path | None:
    """Return the lock file that speaks for a folder of skills, there or not; None when none does.

    Args:
        target: ``PROJECT/.agents/skills`` and its like, or any folder that holds a lock file itself.
    """
    whole = target.absolute()
    if whole.name == "skills" and whole.parent.name.startswith("."):
        return whole.parents[1] / LOCK
    return whole / LOCK if (whole / LOCK).is_file() else None


def read_lock(lock: Path) -> dict[str, Any]:
    """Return what a lock file holds; of one that is not there an empty one.

    Raises:
        InvalidSkillFileError: It is no lock file.
    """
    try:
        data = json.loads(lock.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"version": 1, "skills": {}}
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidSkillFileError(f"{lock} cannot be read: {error}", hint="repair or remove it") from error
    skills = data.get("skills") if isinstance(data, dict) else None
    if not isinstance(skills, dict) or not all(isinstance(entry, dict) for entry in skills.values()):
        raise InvalidSkillFileError(f"{lock} is no lock file of skills", hint="repair or remove it")
    return dict(data)


def record(lock: Path, written: list[Locked]) -> None:
    """Bring the entries of folders that were written up to date.

    Raises:
        InvalidSkillFileError: The lock file cannot be read.
        StorageError: It cannot be written.
    """
    data = read_lock(lock)
    skills = dict(data["skills"])
    for one in written:
        place = one.folder.absolute().relative_to(lock.parent).as_posix()
        made = {"source": place, "sourceType": "local", "skillPath": f"{place}/SKILL.md"}
        known = skills.get(one.folder.name, {})
        is_ours = "skillsmith" in known and known.get("sourceType") == "local"
        moved = made if is_ours else {"skillPath": made["skillPath"]}
        skills[one.folder.name] = {
            **made, **known, **moved,
            "computedHash": folder_hash(one.files), "skillsmith": one.skill, "skillsmithDigest": one.digest,
        }  # fmt: skip
    text = json.dumps({**data, "skills": skills}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    partial = lock.with_name(f".{LOCK}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(lock)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{lock}: {error.strerror}", hint="choose another place") from error


def lock_problems(target: Path) -> Iterator[str]:
    """Yield a line for every folder of skills that is not as its lock file says.

    Args:
        target: A folder of skills, or a project.
    """
    lock = lock_of(target)
    if lock is None or not lock.is_file():
        return
    try:
        skills = read_lock(lock)["skills"]
    except SkillsmithError as error:
        yield error.message
        return
    for name, entry in sorted(skills.items()):
        yield from _entry_problems(lock, name, entry)


def _entry_problems(lock: Path, name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    stated = entry.get("computedHash")
    folders = [folder for place in PLACES.values() if (folder := lock.parent / place / name).is_dir()]
    if (lock.parent / name).is_dir():
        folders.append(lock.parent / name)
    if "skillsmith" in entry and not folders:
        yield f"{lock}: the folder of {name} is missing"
    for folder in folders:
        try:
            actual = folder_hash(read_files(folder))
        except SkillsmithError as error:
            yield f"{folder}: {error.message}"
            continue
        if isinstance(stated, str) and actual != stated:
            yield f"{folder} is not what {lock.name} says: it was changed since"
