"""Versions of skills: what each was made for and from, how they differ, and the way back to any of them.

A version never changes; what moves is the pointer to the current one. Whatever is done is in the history
with its reason, also after a version, or the whole skill, is gone. Going back to a version that may run is
always possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TypeAlias

from skillsmith.db import Database
from skillsmith.errors import NotFoundError, RefusedError, UntrustedError, UsageError
from skillsmith.library.evidence.rollback_rule import RollbackProposal, significantly_worse
from skillsmith.library.evidence.version_diff import Change, SkillDiff, changes_between
from skillsmith.library.program.document import to_document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.repository import SkillRepository
from skillsmith.library.store.history import ROLLED_BACK, Figures, HistoryEntry, SkillHistory
from skillsmith.models import Json, Proof, Skill, SkillState

__all__ = [
    "Change", "Figures", "HistoryEntry", "RollbackProposal", "SkillDiff", "SkillVersionManager",
    "VersionEntry",
]  # fmt: skip

Entries: TypeAlias = list[HistoryEntry]

_UNUSABLE = frozenset({"quarantined", "retired"})
_KEPT = frozenset(
    {"name", "version", "id", "created_at", "parent_id", "reason", "lineage", "state", "proofs"}
)
"""What a change to a skill's content cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionEntry:
    """One version of a skill.

    Args:
        current: Whether the name stands for it.
        reason: Why it was made.
        parent: Number of the version it was made from, as long as that one is there.
        lineage: What else it was made from: ``runs``, ``executions``, ``adaptations``, ``skills``.
        digest: Of its content.
        figures: How it has done.
    """

    version: int
    state: SkillState
    current: bool
    created_at: float
    reason: str
    parent: int | None
    lineage: Mapping[str, Json]
    digest: str
    figures: Figures


class SkillVersionManager:
    """Makes, lists, compares and goes back to versions.

    Args:
        db: The connection.
        skills: The library.
    """

    def __init__(self, db: Database, skills: SkillRepository) -> None:
        self._skills = skills
        self._history = SkillHistory(db)

    # ------------------------------------------------------------------------------------------- making

    def create_version(
        self,
        skill: Skill,
        *,
        reason: str,
        lineage: Mapping[str, Json] | None = None,
        make_current: bool = False,
    ) -> Skill:
        """Store a changed skill as the next version of its name, and return it.

        Its parent is the version that it was changed from, else the current one. Trust is not handed down:
        it is ``proven`` when it has proofs of its own that all passed and says so itself, else a ``draft``;
        what comes from quarantine stays there.

        Args:
            skill: A stored version with changes, or one made anew, of a name that is in the library.
            reason: Why it is made.
            lineage: What it was made from beside its parent; see ``models.Skill.lineage``.
            make_current: Whether the name stands for it at once.

        Raises:
            NotFoundError: There is no skill of this name.
            RefusedError: It is to become current and may not run.
            UsageError: The reason is empty, it is the same as its parent, or the skill is not sound.
        """
        if not reason.strip():
            raise UsageError(
                f"no reason is given for a new version of {skill.name}", hint="say why it is made"
            )
        with self._skills.transaction():
            parent = self._parent(skill)
            if content_digest(to_document(skill)) == content_digest(to_document(parent)):
                raise UsageError(
                    f"nothing was changed: version {parent.version} of {skill.name} is the same",
                    hint="change something, or use that version",
                )
            proofs = () if skill.proofs == parent.proofs else skill.proofs
            handed_down = {} if skill.lineage == parent.lineage else skill.lineage
            new = replace(
                skill, proofs=proofs, state=_state(skill, parent, proofs), parent_id=parent.id, reason=reason,
                lineage=dict(handed_down if lineage is None else lineage),
            )  # fmt: skip
            if make_current:
                _refuse_unusable(new)
            return self._skills.add(new, make_current=make_current)

    def create_new_version(self, skill_id: str, changes: Mapping[str, Json], reason: str) -> Skill:
        """Store a version with some fields changed as the next one and return it; the pointer stays.

        Args:
            skill_id: ``NAME``, ``NAME@VERSION`` or an id.
            changes: New values by field of ``models.Skill``.
            reason: Why it is made.

        Raises:
            UsageError: A field is not known or belongs to the version itself; see also ``create_version``.
        """
        known = [field.name for field in fields(Skill) if field.name not in _KEPT]
        for name in changes:
            if name not in known:
                raise UsageError(f"a version cannot change {name!r}", hint=f"change {', '.join(known)}")
        return self.create_version(replace(self._skills.get(skill_id), **changes), reason=reason)

    def _parent(self, skill: Skill) -> Skill:
        for ref in (skill.id, skill.parent_id):
            try:
                parent = self._skills.get(ref) if ref else None
            except NotFoundError:  # deleted meanwhile
                continue
            if parent is not None and parent.name == skill.name:
                return parent
        return self._skills.get(skill.name)

    # ---------------------------------------------------------------------------------------- looking

    def get_version_history(self, name: str) -> list[VersionEntry]:
        """Return the versions of a skill, newest first.

        Raises:
            NotFoundError: There is no such skill and never was.
        """
        if not self._skills.exists(name):
            self.history(name)
            return []
        figures, current = self._history.figures(name), self._skills.current_version(name)
        numbers = self._skills.versions(name)
        found = [self._skills.get(f"{name}@{number}") for number in reversed(numbers)]
        ids = {skill.id: skill.version for skill in found}
        return [
            VersionEntry(
                version=one.version, state=one.state, current=one.version == current,
                created_at=one.created_at or 0.0, reason=one.reason, parent=ids.get(one.parent_id or ""),
                lineage=_lineage(one), digest=self._skills.stored_digest(one.id),
                figures=figures.get(one.version, Figures()),
            )
            for one in found
        ]  # fmt: skip

    def get_skill_versions(self, skill_name: str) -> list[Skill]:
        """Return all versions of a skill whole, oldest first.

        Raises:
            NotFoundError: There is no such skill.
        """
        self._skills.current_version(skill_name)
        return [self._skills.get(f"{skill_name}@{number}") for number in self._skills.versions(skill_name)]

    def history(self, name: str) -> Entries:
        """Return everything that was done to a skill, newest first; also of one that is gone.

        Raises:
            NotFoundError: There is no such skill and never was.
        """
        found = self._history.of(name)
        if not found:
            self._skills.current_version(name)  # a skill from before there was a history has none
        return found

    def diff(self, name: str, v1: int, v2: int) -> SkillDiff:
        """Return how one version of a skill differs from another.

        Args:
            name: The skill.
            v1: The version looked at as the earlier one.
            v2: The one it is compared with.

        Raises:
            NotFoundError: A version is not there; says when it was deleted, if it was.
        """
        one, other = (self._skills.document(self._ref(name, number)) for number in (v1, v2))
        return SkillDiff(skill=name, one=v1, other=v2, changes=tuple(changes_between(one, other)))

    def compare_versions(self, skill_name: str, version1: int, version2: int) -> SkillDiff:
        """Return how two versions differ: the specification's name for ``diff``."""
        return self.diff(skill_name, version1, version2)

    def _ref(self, name: str, version: int) -> str:
        """Return the reference of a version that is there.

        Raises:
            NotFoundError: It is not; says when it was deleted, if it was.
        """
        ref = f"{name}@{version}"
        if self._skills.has(ref):
            return ref
        gone = self._history.deletion(name, version)
        if gone is None:
            self._skills.get(ref)  # raises with the versions that are there, or names like this one
        assert gone is not None
        day = datetime.fromtimestamp(gone.at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        left = ", ".join(map(str, self._skills.versions(name)))
        raise NotFoundError(
            f"version {version} of {name} was deleted on {day}" + (f": {gone.reason}" if gone.reason else ""),
            hint=f"it has {left}" if left else "import it again, if it was exported",
        )

    # -------------------------------------------------------------------------------------- going back

    def rollback_to_version(self, name: str, version: int, *, reason: str = "") -> Skill:
        """Make another version the current one, say so in the history, and return it.

        The pointer may go forward again the same way. A version that is current already stays it.

        Args:
            name: The skill.
            version: Its number.
            reason: Why, for the history.

        Raises:
            NotFoundError: The version is not there; says when it was deleted, if it was.
            UntrustedError: It is in quarantine.
            RefusedError: It is retired.
        """
        with self._skills.transaction():
            ref = self._ref(name, version)
            _refuse_unusable(self._skills.get(ref))
            return self._skills.set_current(ref, reason=reason, action=ROLLED_BACK)

    def rollback_proposal(self, name: str) -> RollbackProposal | None:
        """Return why the current version should give way to the one it came from; None when nothing says so.

        Compared with its parent, else with the version it took over from; where that one is gone or may not
        run, with the one before. See ``rollback_rule``.

        Raises:
            NotFoundError: There is no such skill.
        """
        current = self._skills.current_version(name)
        figures = self._history.figures(name)
        before = next(self._before(name, current), None)
        if before is None:
            return None
        mine, theirs = figures[current], figures[before]
        found = significantly_worse(mine, theirs)
        if found is None:
            return None
        return RollbackProposal(
            skill=name, version=current, to=before, current=mine, parent=theirs, p_value=found[0],
            difference=found[1],
        )  # fmt: skip

    def _before(self, name: str, version: int) -> Iterator[int]:
        """Yield the versions that may run among those a version came from, the nearest first."""
        skills = {number: self._skills.get(f"{name}@{number}") for number in self._skills.versions(name)}
        ids = {skill.id: number for number, skill in skills.items()}
        took_over = {
            entry.version: entry.from_version
            for entry in reversed(self._history.of(name))
            if entry.moves and entry.action != ROLLED_BACK
        }
        seen = {version}
        at: int | None = version
        while at is not None:
            parent = skills[at].parent_id if at in skills else None
            at = ids.get(parent or "", took_over.get(at))
            if at is None or at in seen:
                return
            seen.add(at)
            if at in skills and skills[at].state not in _UNUSABLE:
                yield at


def _state(skill: Skill, parent: Skill, proofs: tuple[Proof, ...]) -> SkillState:
    """Return the state of a new version: nobody has trusted it, and it is proven by its own proofs only.

    A retired version may have come from quarantine, so changing one leads back there, too.
    """
    derived = parent.id in (skill.id, skill.parent_id)
    if skill.state in _UNUSABLE or (derived and parent.state in _UNUSABLE):
        return "quarantined"
    good = bool(proofs) and all(proof.passed for proof in proofs)
    return "proven" if good and skill.state in ("proven", "trusted") else "draft"


def _lineage(skill: Skill) -> dict[str, Json]:
    runs = {"runs": list(skill.source_run_ids)} if skill.source_run_ids else {}
    return {**runs, **skill.lineage}


def _refuse_unusable(skill: Skill) -> None:
    ref = f"{skill.name}@{skill.version}"
    if skill.state == "quarantined":
        raise UntrustedError(
            f"{ref} is in quarantine and cannot become current",
            hint=f"look at it with `skillsmith show {ref}`, then `skillsmith trust {ref}`",
        )
    if skill.state == "retired":
        raise RefusedError(
            f"{ref} is retired and cannot become current", hint=f"`skillsmith trust {ref}` brings it back"
        )
