"""Prove that a library or a folder of skill files still holds what its digests say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from skillsmith.blobs import BlobStore
from skillsmith.db import Database
from skillsmith.errors import InvalidSkillFileError, SkillsmithError, UsageError
from skillsmith.files import FileRepository
from skillsmith.library.program.seal import content_digest
from skillsmith.library.program.validation import validate_skill
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.lockfile import lock_problems
from skillsmith.library.sharing.shared_files import named_and_found, read_found


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What was checked and what is wrong.

    Args:
        checked: How many things of each sort.
        problems: One line each.
    """

    checked: Mapping[str, int]
    problems: tuple[str, ...]


def verify_library(db: Database) -> VerifyReport:
    """Check the file itself, every stored content, and every version of every skill against its digest."""
    repo = SkillRepository(db)
    problems = db.check()
    problems += BlobStore(db).verify()
    problems += FileRepository(db).verify()
    problems += repo.pointer_problems()
    for name in repo.names():
        for number in repo.versions(name):
            problems += _version_problems(repo, f"{name}@{number}")
    return VerifyReport(checked=repo.counts(), problems=tuple(problems))


def _version_problems(repo: SkillRepository, reference: str) -> Iterator[str]:
    try:
        skill, document = repo.get(reference), repo.document(reference)
    except (SkillsmithError, ValueError, TypeError, KeyError) as error:
        yield f"skill {reference} cannot be read: {error}"
        return
    if content_digest(document) != repo.stored_digest(reference):
        yield f"skill {reference} does not hold what its digest says"
    yield from (f"skill {reference}: {problem}" for problem in validate_skill(skill))
    for node in skill.nodes:
        if node.kind == "skill" and not repo.has(node.tool or ""):
            yield f"skill {reference} calls {node.tool}, which is not in the library"


def verify_files(paths: Sequence[Path]) -> VerifyReport:
    """Check skills in files and folders as an import would, and against the lock file of their project.

    Raises:
        NotFoundError: A path is not there, or a folder holds no skills.
    """
    files = list(chain.from_iterable(named_and_found(paths)))
    problems: list[str] = []
    for file in files:
        try:
            read_found(file)
        except (InvalidSkillFileError, UsageError) as error:
            problems.append(error.message)
    for path in paths:
        problems += lock_problems(path)
    return VerifyReport(checked={"files": len(files)}, problems=tuple(problems))
