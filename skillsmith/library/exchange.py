"""Share skills as files: the same skill is the same bytes everywhere, and nothing that comes in is trusted.

Files are checked before the library is touched, and whole batches of them are stored in one transaction, so
that nothing is ever half imported. What was imported stays in quarantine until its user has looked at it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from skillsmith.errors import InvalidSkillFileError, NotFoundError, StorageError, UsageError
from skillsmith.library.document import Document
from skillsmith.library.repository import SkillRepository
from skillsmith.library.seal import content_digest
from skillsmith.library.skill_file import SUFFIX, SkillFile, differing, read_skill_file, write_skill_file
from skillsmith.models import Problem, Skill

BATCH = 200
"""Files stored in one transaction; full text costs ten times as much one by one."""

UNUSABLE = ("quarantined", "retired")
"""States of a version that does not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A file whose skill is in the library with other content.

    Args:
        name: The skill.
        path: The file.
        version: The current version in the library.
        differs: Keys of the document in which they differ.
    """

    name: str
    path: str
    version: int
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of imported files.

    Args:
        imported: ``NAME@VERSION`` of what is new in the library.
        unchanged: ``NAME@VERSION`` of what was there already.
        conflicts: What was left out because the library has something else of that name.
        quarantined: Those of ``imported`` that wait for ``trust``.
        problems: Files found in folders that are not valid.
    """

    imported: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    quarantined: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def export_skills(
    repo: SkillRepository,
    names: Iterable[str],
    target: Path,
    *,
    format: str = "json",  # noqa: A002  (the name of the command line's option)
) -> list[Path]:
    """Write skills as files, together with the versions of other skills that they call and that are here.

    Args:
        repo: Where they are.
        names: ``NAME`` for the current version, or ``NAME@VERSION``.
        target: A folder, made when it is missing; for a single skill also a file ending in ``.json``.
        format: ``json``.

    Returns:
        The files, ``NAME.skill.json`` each (``NAME@VERSION.skill.json`` when it is not the current one).

    Raises:
        NotFoundError: There is no such skill.
        StorageError: A file cannot be written.
    """
    if format != "json":
        raise UsageError(f"skills cannot be exported as {format!r}", hint="use json")
    documents = with_called(repo, names)
    if target.suffix == ".json" and not target.is_dir():
        return [_write_single(documents, target)]
    make_folder(target)
    written = []
    for name, document in documents:
        written.append(target / (name + SUFFIX))
        write_skill_file(written[-1], document)
    return written


def _write_single(documents: Iterator[tuple[str, Document]], target: Path) -> Path:
    first, *others = islice(documents, 2)
    if others:
        raise UsageError(f"several skills do not fit into the file {target}", hint="name a folder")
    make_folder(target.parent)
    write_skill_file(target, first[1])
    return target


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        StorageError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}", hint="choose another place") from error


def with_called(repo: SkillRepository, names: Iterable[str]) -> Iterator[tuple[str, Document]]:
    """Yield what each file is called and holds, one at a time."""
    waiting, seen = deque(names), set[str]()
    while waiting:
        reference = waiting.popleft()
        document = repo.document(reference)
        name, version = document["name"], document["version"]
        label = name if reference == name or repo.current_version(name) == version else f"{name}@{version}"
        if label not in seen:
            seen.add(label)
            yield label, document
            called = (node["tool"] for node in document["nodes"] if node["kind"] == "skill")
            waiting.extend(filter(repo.has, called))


def import_files(
    repo: SkillRepository,
    paths: Sequence[Path],
    *,
    new_version: bool = False,
    newer_only: bool = False,
) -> ImportReport:
    """Read skills from files and folders into quarantine.

    A file that is named is expected to be valid: when one is not, nothing is imported. Of a folder the valid
    files are imported, and the others reported.

    Args:
        repo: Where to.
        paths: Files, and folders that hold ``*.skill.json`` at any depth.
        new_version: Store what conflicts with a skill of the library as its next version; it becomes the
            current one when it is trusted.
        newer_only: With ``new_version``: only when its version number is higher than those of the library.

    Raises:
        InvalidSkillFileError: A named file is not valid, or was changed after its export.
        NotFoundError: A path is not there, or a folder holds no skill files.
    """
    import_ = _Import(repo, new_version=new_version, newer_only=newer_only)
    named, found = named_and_found(paths)
    checked = [read_skill_file(path, reference=import_.original) for path in named]
    files = chain(checked, import_.readable(found))
    while batch := sorted(islice(files, BATCH), key=lambda file: (file.skill.name, file.skill.version)):
        with repo.transaction():
            for file in batch:
                import_.take(file)
    return import_.report()


def skill_files(folder: Path) -> list[Path]:
    """Return the skill files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*" + SUFFIX) if path.is_file())


def named_and_found(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return the files that were named, and those in the folders that were named.

    Raises:
        NotFoundError: A folder holds no skill files.
    """
    named, found = list[Path](), list[Path]()
    for path in paths:
        if not path.is_dir():
            named.append(path)
        elif files := skill_files(path):
            found += files
        else:
            raise NotFoundError(f"the folder {path} holds no *{SUFFIX} files")
    return named, found


class _Import:
    """One import under way."""

    def __init__(self, repo: SkillRepository, *, new_version: bool, newer_only: bool) -> None:
        self._repo = repo
        self._new_version = new_version
        self._newer_only = newer_only
        self._fresh: set[str] = set()
        self._imported: list[str] = []
        self._unchanged: list[str] = []
        self._conflicts: list[Conflict] = []
        self._problems: list[Problem] = []

    def readable(self, paths: Iterable[Path]) -> Iterator[SkillFile]:
        """Yield the valid files and note the others."""
        for path in paths:
            try:
                yield read_skill_file(path, reference=self.original)
            except (InvalidSkillFileError, UsageError) as error:
                self._problems.append(Problem(path=str(path), reason=error.message.removeprefix(f"{path}: ")))

    def original(self, name: str, digest: str) -> Document | None:
        """Return the version of our library that has this digest."""
        documents = (self._repo.document(f"{name}@{number}") for number in self._repo.versions(name))
        return next((document for document in documents if document["digest"] == digest), None)

    def take(self, file: SkillFile) -> None:
        """Store what a file holds, unless it is there already or in conflict."""
        name, digest = file.skill.name, content_digest(file.document)
        known = self._repo.contents(name)
        if digest in known:
            self._unchanged.append(f"{name}@{known[digest]}")
            return
        version = self._number_for(file, list(known.values()))
        if version is None:
            self._conflicts.append(self._conflict(file))
        else:
            self._store(file, version, leads=not known or self._leads(name, version))

    def _number_for(self, file: SkillFile, versions: Sequence[int]) -> int | None:
        """Return the version number a file's skill gets, or None when it is in conflict."""
        name, own = file.skill.name, file.skill.version
        if not versions:
            self._fresh.add(name)
        highest = max(versions, default=0)
        if own > highest:
            return own if name in self._fresh or self._new_version else None
        if name in self._fresh and own not in versions:
            return own
        return highest + 1 if self._new_version and not self._newer_only else None

    def _store(self, file: SkillFile, version: int, *, leads: bool) -> None:
        self._repo.add_imported(file.skill, file.document, version=version, make_current=leads)
        self._imported.append(f"{file.skill.name}@{version}")

    def _leads(self, name: str, version: int) -> bool:
        """Tell whether a new version takes over; never from one that may run."""
        return self._repo.state(name) in UNUSABLE and version > self._repo.current_version(name)

    def _conflict(self, file: SkillFile) -> Conflict:
        ours = self._repo.document(file.skill.name)
        differs = [
            key for key in differing(file.document, ours) if key not in ("version", "proof", "examples")
        ]
        return Conflict(
            name=file.skill.name, path=str(file.path), version=ours["version"], differs=tuple(differs)
        )

    def report(self) -> ImportReport:
        return ImportReport(
            imported=tuple(self._imported),
            unchanged=tuple(self._unchanged),
            conflicts=tuple(self._conflicts),
            quarantined=tuple(self._imported),
            problems=tuple(self._problems),
        )


def trust(repo: SkillRepository, ref: str) -> Skill:
    """Let a version run, return it, and make it current when it is newer or the current one may not run.

    Args:
        repo: The library.
        ref: ``NAME@VERSION``, an id, or ``NAME`` for its newest version in quarantine (else the current one).

    Raises:
        NotFoundError: There is no such skill.
    """
    with repo.transaction():
        waiting = repo.newest_in_state(ref, "quarantined")
        chosen = ref if waiting is None else f"{ref}@{waiting}"
        if repo.get(chosen).state == "retired":
            repo.set_state(chosen, "quarantined")  # the one way back
        skill = repo.set_state(chosen, "trusted")
        if skill.version > repo.current_version(skill.name) or repo.state(skill.name) in UNUSABLE:
            repo.set_current(skill.id)
    return skill
