"""Share skills as files: the same skill is the same bytes everywhere, and nothing that comes in is trusted.

Files are checked before the library is touched, and whole batches of them are stored in one transaction, so
that nothing is ever half imported. What could run stays in quarantine until its user has looked at it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from skillsmith.errors import InvalidSkillFileError, SkillsmithError, StorageError, UsageError
from skillsmith.library.program.document import Document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.program.stability import unstable_places
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.file import SUFFIX, SkillFile, differing, write_skill_file
from skillsmith.library.sharing.folder_export import write_skill_folders
from skillsmith.library.sharing.shared_files import named_and_found, read_found, read_shared
from skillsmith.library.sharing.skill_md import DIALECTS
from skillsmith.library.sharing.skill_md_reader import carries_code
from skillsmith.models import Problem, Skill, SkillState

BATCH = 200
"""Files stored in one transaction; full text costs ten times as much one by one."""

FORMATS = ("json", "skill-md")
"""What skills can be exported as."""

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
        reasons: Why they cannot be brought together, a line each.
    """

    name: str
    path: str
    version: int
    differs: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


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
    dialect: str = "open",
    allow_secrets: bool = False,
) -> list[Path]:
    """Write skills as files, together with the versions of other skills that they call and that are here.

    Args:
        repo: Where they are.
        names: ``NAME`` for the current version, or ``NAME@VERSION``.
        target: A folder, made when it is missing; for a single skill as JSON also a file ending in ``.json``.
        format: ``json``, or ``skill-md`` for a folder each in the open Agent Skills format.
        dialect: Of the front matter of a SKILL.md: ``open``, or ``claude-code`` with that client's keys.
        allow_secrets: Write them although something in them looks like a secret.

    Returns:
        The files, ``NAME.skill.json`` each (``NAME@VERSION.skill.json`` when it is not the current one), or
        the folders.

    Raises:
        NotFoundError: There is no such skill.
        RefusedError: A folder holds something that is not in the library; nothing was written.
        SecretFoundError: A skill holds what looks like a secret; nothing was written.
        StorageError: A file cannot be written.
    """
    if format not in FORMATS:
        raise UsageError(f"skills cannot be exported as {format!r}", hint=f"use {' or '.join(FORMATS)}")
    if dialect not in DIALECTS:
        raise UsageError(f"there is no dialect {dialect!r}", hint=f"use {' or '.join(DIALECTS)}")
    documents = list(with_called(repo, names))
    if not allow_secrets:
        repo.clearance.refuse_secrets(documents)
    if format == "skill-md":
        make_folder(target)
        return write_skill_folders(repo, documents, target, dialect=dialect)
    if target.suffix == ".json" and not target.is_dir():
        return [_write_single(documents, target)]
    make_folder(target)
    written = []
    for name, document in documents:
        written.append(target / (name + SUFFIX))
        write_skill_file(written[-1], document)
    return written


def _write_single(documents: Sequence[tuple[str, Document]], target: Path) -> Path:
    first, *others = documents
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
    """Read skills from files and folders; what could run waits in quarantine, prose comes in as a draft.

    A skill that is named is expected to be valid: when one is not, nothing is imported. Of a folder the valid
    ones are imported, and the others reported.

    Args:
        repo: Where to.
        paths: Skill files, SKILL.md folders, and folders that hold either at any depth.
        new_version: Store what conflicts with a skill of the library as its next version; it becomes the
            current one when it is trusted.
        newer_only: With ``new_version``: only when its version number is higher than those of the library.

    Raises:
        InvalidSkillFileError: A named skill is not valid, or was changed after its export.
        NotFoundError: A path is not there, or a folder holds no skills.
    """
    import_ = Import(repo, new_version=new_version, newer_only=newer_only)
    named, found = named_and_found(paths)
    checked = [read_shared(path, reference=import_) for path in named]
    files = chain(checked, import_.readable(found))
    while batch := sorted(islice(files, BATCH), key=lambda file: (file.skill.name, file.skill.version)):
        with repo.transaction():
            for file in batch:
                import_.take(file)
    return import_.report()


class Import:
    """One import under way."""

    def __init__(self, repo: SkillRepository, *, new_version: bool, newer_only: bool) -> None:
        self._repo = repo
        self._new_version = new_version
        self._newer_only = newer_only
        self._held: set[str] = set()
        self._fresh: set[str] = set()
        self._imported: list[str] = []
        self._unchanged: list[str] = []
        self._conflicts: list[Conflict] = []
        self._quarantined: list[str] = []
        self._problems: list[Problem] = []

    def readable(self, paths: Iterable[Path]) -> Iterator[SkillFile]:
        """Yield the valid files and note the others."""
        for path in paths:
            try:
                yield read_found(path, reference=self)
            except (InvalidSkillFileError, UsageError) as error:
                self.refuse(path, error)

    def refuse(self, path: Path, error: SkillsmithError) -> None:
        """Note why a file or folder was not taken."""
        self._problems.append(Problem(path=str(path), reason=error.message.removeprefix(f"{path}: ")))

    def original(self, name: str, digest: str) -> Document | None:
        """Return the version of our library that has this digest."""
        documents = (self._repo.document(f"{name}@{number}") for number in self._repo.versions(name))
        return next((document for document in documents if document["digest"] == digest), None)

    def holds(self, name: str, digest: str) -> bool:
        """Tell whether a version of our library has this content, and so was examined when it came in."""
        found = digest in self._repo.contents(name)
        if found:
            self._held.add(digest)
        return found

    def take(self, file: SkillFile, *, follows: bool = False) -> None:
        """Store what a file holds, unless it is there already or in conflict.

        Args:
            file: Read and checked.
            follows: It is known to follow the library's versions, so it is in conflict with none.
        """
        name, digest = file.skill.name, content_digest(file.document)
        known = self._repo.contents(name)
        if digest in known:
            self._unchanged.append(f"{name}@{known[digest]}")
            return
        if digest in self._held and (problems := unstable_places(file.skill)):  # deleted since it was read
            self.refuse(file.path, InvalidSkillFileError("; ".join(problems[:3])))
            return
        version = self._number_for(file, list(known.values()))
        if version is None and follows:
            version = max(known.values()) + 1
        if version is None:
            self._conflicts.append(self._conflict(file))
        else:
            self._store(file, version, leads=not known or self._leads(file, version, follows=follows))

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
        """Store a file's skill as a version, outside quarantine only when nothing of it could run."""
        state: SkillState = "quarantined" if carries_code(file.skill) else "draft"
        self._repo.add_imported(file.skill, file.document, version=version, make_current=leads, state=state)
        self._imported.append(f"{file.skill.name}@{version}")
        if state == "quarantined":
            self._quarantined.append(self._imported[-1])

    def _leads(self, file: SkillFile, version: int, *, follows: bool) -> bool:
        """Tell whether a new version takes over: never from one that was found good here, nor with code."""
        name = file.skill.name
        if version <= self._repo.current_version(name):
            return False
        state = self._repo.state(name)
        return state in UNUSABLE or (follows and state == "draft" and not carries_code(file.skill))

    def note_quarantined(self, ref: str) -> None:
        """Note a version that waits for trust although it was not read as it is."""
        self._quarantined.append(ref)

    def _conflict(self, file: SkillFile) -> Conflict:
        ours = self._repo.document(file.skill.name)
        differs = [
            key for key in differing(file.document, ours) if key not in ("version", "proof", "examples")
        ]
        return Conflict(
            name=file.skill.name, path=str(file.path), version=ours["version"], differs=tuple(differs)
        )

    def report(self) -> ImportReport:
        """Return what became of everything taken."""
        return ImportReport(
            imported=tuple(self._imported),
            unchanged=tuple(self._unchanged),
            conflicts=tuple(self._conflicts),
            quarantined=tuple(self._quarantined),
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
