"""Keep a library and a shared folder alike in both directions, without ever overwriting what differs.

What the folder held at the last sync tells which side changed a skill. One side: the other follows. Both: the
changes are merged by node, and where that cannot be, nothing is touched and both versions stay where they
are. A skill that one side has let go leaves the other, too, unless it was changed there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from skillsmith.errors import InvalidSkillFileError, RefusedError, StorageError, UsageError
from skillsmith.library.exchange import UNUSABLE, Conflict, Import, ImportReport, make_folder, with_called
from skillsmith.library.program.document import Document, to_document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.file import SUFFIX, SkillFile, read_skill_bytes, write_skill_file
from skillsmith.library.sharing.folder import remove_folder, write_folder
from skillsmith.library.sharing.git_stages import BASE, OURS, THEIRS, conflict_stages
from skillsmith.library.sharing.merge import Merge, merge_skills
from skillsmith.library.sharing.shared_files import read_found, shared_in
from skillsmith.library.sharing.skill_md import SIDECAR, open_name
from skillsmith.library.sharing.skill_md_writer import skill_md_files
from skillsmith.models import SkillState


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What came in and what went out.

    Args:
        imported: New skills and newer versions of the folder, and what could not be brought together.
        written: Files that are new or hold a later version now.
        merged: ``NAME@VERSION`` of versions made of changes on both sides.
        retired: ``NAME@VERSION`` of what the folder has let go.
        removed: Files of skills that were deleted here.
    """

    imported: ImportReport
    written: tuple[Path, ...] = ()
    merged: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    removed: tuple[Path, ...] = ()


def sync_folder(repo: SkillRepository, folder: Path, *, allow_secrets: bool = False) -> SyncReport:
    """Import what is new in a folder, write what is new in the library but for quarantine, and merge.

    Args:
        repo: The library.
        folder: Made when it is missing.
        allow_secrets: Write skills although something in them looks like a secret.

    Raises:
        RefusedError: All skills have gone from the folder, which nobody is likely to have meant.
        SecretFoundError: A skill holds what looks like a secret; nothing was changed.
        StorageError: The folder cannot be written.
    """
    make_folder(folder)
    with repo.transaction():  # also while reading: what another sync is about to write is not missing
        sync = _Sync(repo, folder)
        sync.read()
        sync.take_in()
        sync.give_out()
        if not allow_secrets:
            repo.clearance.refuse_secrets([(document["name"], document) for document in sync.writes.values()])
        sync.write()
    return sync.report()


class _Sync:
    """One sync under way."""

    def __init__(self, repo: SkillRepository, folder: Path) -> None:
        self._repo = repo
        self._folder = folder
        self._bases = repo.sync_base(folder)
        self._import = Import(repo, new_version=True, newer_only=True)
        self._there: dict[str, list[SkillFile]] = {}
        self._torn: dict[str, Document | None] = {}
        self._damaged: set[str] = set()
        self._conflicts: dict[str, Conflict] = {}
        self._merged: list[str] = []
        self._retired: list[str] = []
        self._removed: list[Path] = []
        self.writes: dict[Path, Document] = {}

    def read(self) -> None:
        """Read the folder; what is not valid is reported and left alone."""
        for path in shared_in(self._folder):
            try:
                file = read_found(path, reference=self._import)
            except (InvalidSkillFileError, UsageError) as error:
                torn = self._mended(path)
                if torn is None:
                    self._import.refuse(path, error)
                    self._damaged.add(path.name.removesuffix(SUFFIX).partition("@")[0])
                    continue
                file = torn
            self._there.setdefault(file.skill.name, []).append(file)
        for files in self._there.values():
            files.sort(key=lambda file: file.skill.version)
        lost = [name for name in self._bases.names() if self._repo.exists(name)]
        if lost and not self._there and not self._damaged:
            raise RefusedError(
                f"{self._folder} held {', '.join(lost[:3])} at the last sync and holds no skills at all now",
                hint="put the files back, or delete the skills here, too: `skillsmith delete NAME`",
            )

    def _is_damaged(self, name: str) -> bool:
        return not self._damaged.isdisjoint((name, open_name(name)))

    def _mended(self, path: Path) -> SkillFile | None:
        """Return the side that is new to us of a file that a git merge left in conflict, if it is one."""
        stages = conflict_stages(path / SIDECAR if path.is_dir() else path)
        sides = {}
        for stage, content in stages.items():
            with suppress(InvalidSkillFileError):  # then the file is reported as it is found
                sides[stage] = read_skill_bytes(content)
        pair = [sides[stage] for stage in (OURS, THEIRS) if stage in sides]
        if len(pair) < 2 or len({skill.name for skill, _document in pair}) > 1:  # noqa: PLR2004  (two sides)
            return None
        name = pair[0][0].name
        known = self._repo.contents(name)
        pair.sort(key=lambda side: known.get(content_digest(side[1]), 1 << 30))
        if content_digest(pair[0][1]) not in known:
            return None
        self._torn[name] = sides[BASE][1] if BASE in sides else None
        return SkillFile(path=path, skill=pair[1][0], document=pair[1][1])

    def take_in(self) -> None:
        """Bring what the folder holds into the library."""
        for name, files in sorted(self._there.items()):
            for older in files[:-1]:
                if not self._deleted_here(name):
                    self._import.take(older)
            self._meet(name, files[-1])

    def _deleted_here(self, name: str) -> bool:
        return not self._repo.exists(name) and self._bases.digest(name) is not None

    def _meet(self, name: str, file: SkillFile) -> None:
        """Bring the newest version in the folder and the library together."""
        digest, base = content_digest(file.document), self._bases.digest(name)
        if self._deleted_here(name):
            if digest == base:
                self._let_go(name)
            else:
                self._refuse(file, f"{name} was deleted here and changed in the folder")
            return
        known = self._repo.contents(name)
        if digest in known:
            self._meet_known(name, file, known[digest])
        elif base is None and name not in self._torn:
            self._import.take(file)
            if digest in self._repo.contents(name):
                self._bases.put(name, file.document)
        elif name in self._torn or self._moved_on(name):
            self._merge(name, file)
        else:
            self._import.take(file, follows=True)
            self._settle(name, file, file.document)

    def _meet_known(self, name: str, file: SkillFile, version: int) -> None:
        base, current = self._bases.digest(name), self._repo.current_version(name)
        self._import.take(file)  # counts as unchanged
        if version >= current:
            self._settle(name, file, file.document)
        elif base not in (None, content_digest(file.document)) and name not in self._torn:
            self._refuse(file, f"the folder went back to version {version}, and {current} is current here")
        elif name in self._torn:
            self._settle(name, file, self._repo.document(name))

    def _moved_on(self, name: str) -> bool:
        """Tell whether the library has a version that was made here since the last sync."""
        if self._repo.state(name) in UNUSABLE:
            return False
        base = self._bases.digest(name)
        return self._repo.current_version(name) > self._repo.contents(name).get(base or "", 0)

    def _settle(self, name: str, file: SkillFile, document: Document) -> None:
        """Remember what the folder holds; a file with marks of a conflict is written."""
        self._bases.put(name, document)
        if name in self._torn:
            self.writes[file.path] = document

    def _merge(self, name: str, file: SkillFile) -> None:
        ours = self._repo.document(name)
        base = self._torn.get(name) or self._bases.get(name)
        merge = Merge(conflicts=("nothing is known that both came from",))
        if base is not None:
            merge = merge_skills(base, ours, file.document)
        if merge.skill is None:
            self._refuse(file, *merge.conflicts)
            return
        state: SkillState = "quarantined" if merge.brings_code else "draft"
        parent = self._repo.get(name).id
        self._import.take(file, follows=True)
        if content_digest(to_document(merge.skill)) == content_digest(file.document):
            self._settle(name, file, file.document)  # it has all that was changed here
            return
        skill = replace(merge.skill, state=state, parent_id=parent, proofs=())
        stored = self._repo.add(skill, make_current=state == "draft", keep_version=True)
        self._merged.append(f"{name}@{stored.version}")
        if state == "quarantined":
            self._import.note_quarantined(self._merged[-1])
        self.writes[file.path] = self._repo.document(stored.id)

    def _refuse(self, file: SkillFile, *reasons: str) -> None:
        name = file.skill.name
        version = self._repo.current_version(name) if self._repo.exists(name) else 0
        self._conflicts[name] = Conflict(name=name, path=str(file.path), version=version, reasons=reasons)

    def _let_go(self, name: str) -> None:
        """Remove the files of a skill that was deleted here."""
        for file in self._there.pop(name):
            self._removed.append(file.path)
        self._bases.drop(name)

    def give_out(self) -> None:
        """Decide what of the library the folder gets, and what it has let go."""
        usable = [summary.name for summary in self._repo.list() if summary.state not in UNUSABLE]
        lost = [name for name in usable if name not in self._there and self._bases.digest(name)]
        shared = [name for name in usable if name not in lost]
        given = list(with_called(self._repo, shared))
        needed = {document["name"] for _label, document in given}
        for name in lost:
            if name not in needed and not self._is_damaged(name):
                self._release(name)
        for label, document in given:
            path = self._place(label, document)
            if path is not None:
                self.writes[path] = document
        for name in self._bases.names():
            if name not in self._there and not self._repo.exists(name) and not self._is_damaged(name):
                self._bases.drop(name)  # gone on both sides

    def _release(self, name: str) -> None:
        """Retire a skill that the folder has let go, unless it was changed here since."""
        version = self._repo.current_version(name)
        if self._moved_on(name):
            self._conflicts[name] = Conflict(
                name=name, path=str(self._folder / (name + SUFFIX)), version=version,
                reasons=(f"{name} was changed here and deleted in the folder",),
            )  # fmt: skip
            return
        self._repo.set_state(f"{name}@{version}", "retired")
        self._bases.drop(name)
        self._retired.append(f"{name}@{version}")

    def _place(self, label: str, document: Document) -> Path | None:
        """Return where a version is to be written, or None when the folder has it or something else."""
        name, version = document["name"], document["version"]
        if name in self._conflicts or self._is_damaged(name):
            return None
        if self._repo.state(f"{name}@{version}") == "quarantined":
            return None
        files = self._there.get(name)
        if label != name or files is None:
            path = self._folder / (label + SUFFIX)
            return None if path.exists() else path
        known = self._repo.contents(name).get(content_digest(files[-1].document), version)
        return files[-1].path if known < version and files[-1].path not in self.writes else None

    def write(self) -> None:
        """Write and remove files, and remember what the folder holds of each skill."""
        for path, document in self.writes.items():
            if path.is_dir():
                write_folder(skill_md_files(document, folder=path.name), path)
            else:
                write_skill_file(path, document)
            name = document["name"]
            if "@" not in path.name and name not in self._conflicts:
                self._bases.put(name, document)
        for path in self._removed:
            _remove(path)

    def report(self) -> SyncReport:
        """Return what became of everything."""
        imported = self._import.report()
        return SyncReport(
            imported=replace(imported, conflicts=(*imported.conflicts, *self._conflicts.values())),
            written=tuple(self.writes), merged=tuple(self._merged), retired=tuple(self._retired),
            removed=tuple(self._removed),
        )  # fmt: skip


def _remove(path: Path) -> None:
    if path.is_dir():
        remove_folder(path)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="remove it yourself") from error
