"""Keep a library and a shared folder alike in both directions, without ever overwriting what differs.

A file is replaced only by a version that follows it: when what it holds is an earlier version of ours. What
both sides changed is a conflict and stays as it is on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from skillsmith.errors import InvalidSkillFileError, UsageError
from skillsmith.library.document import Document
from skillsmith.library.exchange import (
    UNUSABLE,
    ImportReport,
    import_files,
    make_folder,
    skill_files,
    with_called,
)
from skillsmith.library.repository import SkillRepository
from skillsmith.library.seal import content_digest
from skillsmith.library.skill_file import SUFFIX, SkillFile, read_skill_file, write_skill_file


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What came in and what went out.

    Args:
        imported: New skills and newer versions of the folder, all in quarantine.
        written: Files that are new or hold a later version now.
    """

    imported: ImportReport
    written: tuple[Path, ...]


def sync_folder(repo: SkillRepository, folder: Path) -> SyncReport:
    """Import what is new in a folder, and write what is new in the library but for quarantine.

    Args:
        repo: The library.
        folder: Made when it is missing.

    Raises:
        StorageError: The folder cannot be written.
    """
    make_folder(folder)
    report = ImportReport()
    if skill_files(folder):
        report = import_files(repo, [folder], new_version=True, newer_only=True)
    there = _newest(folder)
    ours = [summary.name for summary in repo.list() if summary.state not in UNUSABLE]
    written = []
    for label, document in with_called(repo, ours):
        path = _place(repo, label, document, folder, there)
        if path is not None:
            write_skill_file(path, document)
            written.append(path)
    return SyncReport(imported=report, written=tuple(written))


def _newest(folder: Path) -> dict[str, SkillFile]:
    """Return the file with the highest version of each skill."""
    found: dict[str, SkillFile] = {}
    for path in skill_files(folder):
        try:
            file = read_skill_file(path)
        except (InvalidSkillFileError, UsageError):
            continue  # the import has reported it
        name = file.skill.name
        if name not in found or found[name].skill.version < file.skill.version:
            found[name] = file
    return found


def _place(
    repo: SkillRepository, label: str, document: Document, folder: Path, there: dict[str, SkillFile]
) -> Path | None:
    """Return where a version is to be written, or None when the folder has it or something else."""
    name, version = document["name"], document["version"]
    if repo.state(f"{name}@{version}") == "quarantined":
        return None
    file = there.get(name)
    if label != name or file is None:
        path = folder / (label + SUFFIX)
        return None if path.exists() else path
    known = repo.contents(name).get(content_digest(file.document), version)
    return file.path if known < version else None
