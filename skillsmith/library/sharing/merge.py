"""Merge two versions of a skill that come from one, by node, variable, file and field.

What one side changed is taken; what both changed in the same way, too. Where both changed the same thing
differently, or the parts do not make a sound skill together, nothing is merged and the reasons are given. A
merged version has no proofs: nobody has run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Final, TypeAlias

from skillsmith.errors import InvalidSkillFileError
from skillsmith.library.program.document import Document, build_skill, from_document, to_document
from skillsmith.library.program.seal import canonical
from skillsmith.library.program.stability import unstable_places
from skillsmith.library.program.validation import validate_skill
from skillsmith.models import Json, Skill

Items: TypeAlias = list[Json]

_NAMED: Final[Mapping[str, str]] = {"nodes": "id", "variables": "name", "artifacts": "name"}
"""Lists of objects, and the key by which each object is known."""
_SETS: Final = ("tags", "examples", "agents", "why")
_MAPPINGS: Final = ("output_bindings", "context_requirements", "extras")
_NOT_MERGED: Final = ("format", "name", "version", "inputs", "proof", "digest", "history")
"""The same on both sides, or made anew."""

_QUIET: Final = frozenset({"tags", "examples", "public", "why", "source"})
_WORDS: Final = frozenset({"description", "task_pattern", "body"})
"""Said to agents, so harmless only where a skill has none."""
_WORDS_FOR: Final = ("agent",)

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What became of a merge.

    Args:
        skill: The merged skill without id, proofs and number; None when there is none.
        conflicts: Why there is none, one line each.
        taken: Keys of the document in which something of the other side was taken.
    """

    skill: Skill | None = None
    conflicts: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()

    @property
    def brings_code(self) -> bool:
        """Whether something came in that could run, or be said to an agent."""
        agents = self.skill is not None and any(node.kind in _WORDS_FOR for node in self.skill.nodes)
        return not self.taken <= (_QUIET if agents else _QUIET | _WORDS)


def merge_skills(base: Document, ours: Document, theirs: Document) -> Merge:
    """Merge what two sides made of one document.

    Args:
        base: What both had.
        ours: What this side has.
        theirs: What the other side has.
    """
    work = _Work()
    merged = {key: work.key(key, base.get(key), ours.get(key), theirs.get(key)) for key in ours}
    if work.conflicts:
        return Merge(conflicts=tuple(work.conflicts))
    merged |= {"version": max(ours["version"], theirs["version"]) + 1, "proof": []}
    try:
        skill = _settled(merged)
    except InvalidSkillFileError as error:
        return Merge(conflicts=(f"together they make no skill: {error.message}",))
    problems = validate_skill(skill) or unstable_places(skill)
    if problems:
        return Merge(conflicts=tuple(f"together they make no sound skill: {one}" for one in problems[:3]))
    return Merge(skill=skill, taken=frozenset(work.taken))


def _settled(merged: Document) -> Skill:
    """Return the skill of a merged document, with its nodes in an order in which each needs earlier ones."""
    inputs = to_document(build_skill(merged))["inputs"]
    merged = {key: value for key, value in merged.items() if key not in ("digest", "history")}
    return from_document({**merged, "inputs": inputs})


class _Work:
    """One merge under way."""

    def __init__(self) -> None:
        self.conflicts: list[str] = []
        self.taken: set[str] = set()

    def key(self, key: str, base: Json, ours: Json, theirs: Json) -> Json:
        """Return the merged value of a document's key."""
        if key in _NOT_MERGED or _same(ours, theirs) or _same(base, theirs):
            return ours
        self.taken.add(key)
        if _same(base, ours):
            return theirs
        if key in _SETS:
            return _set(base, ours, theirs)
        way = self._named if key in _NAMED else self._mapping if key in _MAPPINGS else self._one
        return way(key, base, ours, theirs)

    def _one(self, what: str, base: Json, ours: Json, theirs: Json) -> Json:
        """Return the side that changed; a conflict when both did."""
        if _same(ours, theirs) or _same(base, theirs):
            return ours
        if _same(base, ours):
            return theirs
        self.conflicts.append(_conflict(what, base, ours, theirs))
        return ours

    def _mapping(self, key: str, base: Json, ours: Json, theirs: Json) -> Json:
        names = dict.fromkeys([*ours, *theirs, *base])
        found = {name: self._one(f"{key}.{name}", *(side.get(name, _ABSENT) for side in (base, ours, theirs)))
                 for name in names}  # fmt: skip
        return {name: value for name, value in found.items() if value is not _ABSENT}

    def _named(self, key: str, base: Items, ours: Items, theirs: Items) -> Items:
        known_by = _NAMED[key]
        sides = [{item[known_by]: item for item in side} for side in (base, ours, theirs)]
        found = {
            name: self._one(f"{key.removesuffix('s')} {name}", *(side.get(name, _ABSENT) for side in sides))
            for name in dict.fromkeys([*sides[1], *sides[2], *sides[0]])
        }
        kept = {name: item for name, item in found.items() if item is not _ABSENT}
        try:
            order = _order([*sides[0]], [*sides[1]], [*sides[2]], kept)
        except CycleError:
            self.conflicts.append(f"the order of the {key} was changed differently on both sides")
            order = list(kept)
        return [kept[name] for name in order]


def _conflict(what: str, base: Json, ours: Json, theirs: Json) -> str:
    if base is _ABSENT:
        return f"{what} was added differently on both sides"
    if ours is _ABSENT:
        return f"{what} was deleted here and changed there"
    if theirs is _ABSENT:
        return f"{what} was changed here and deleted there"
    return f"{what} was changed differently on both sides"


def _order(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str], kept: Mapping[str, Json]
) -> list[str]:
    """Return the kept names so that each side's order holds; where a side moved something, its order.

    Raises:
        CycleError: The sides contradict each other.
    """
    common = [name for name in base if name in ours and name in theirs]
    moved = [side for side in (ours, theirs) if [name for name in side if name in common] != common]
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(kept, ()))
    for side in (ours, theirs):
        own = [name for name in side if name in kept]
        for before, after in pairwise(own):
            if side in moved or not moved or not (before in common and after in common):
                sorter.add(after, before)
    rank = {name: place for place, name in enumerate(kept)}
    sorter.prepare()
    done: list[str] = []
    ready = list(sorter.get_ready())
    while ready:
        ready.sort(key=rank.__getitem__)
        done.append(ready.pop(0))
        sorter.done(done[-1])
        ready += sorter.get_ready()
    return done


def _set(base: Items, ours: Items, theirs: Items) -> Items:
    """Return what either side has, but for what either side has taken out."""
    was, here, there = ({canonical(item): item for item in side} for side in (base, ours, theirs))
    every = {**here, **there}
    return [item for mark, item in every.items() if mark not in was or (mark in here and mark in there)]


def _same(one: Json, other: Json) -> bool:
    if one is _ABSENT or other is _ABSENT:
        return one is other
    return canonical(one) == canonical(other)
