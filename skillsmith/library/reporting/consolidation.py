"""Which skills of a library do nearly the same, and what to do about it: proposals only, nothing is changed.

Compared are what two skills do (the structure digest, then their steps), what they say (words, and vectors
where there are any), and where they came from. Skills are compared within groups that share something rare,
never all with all, so a library of ten thousand takes seconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from skillsmith.db import Database
from skillsmith.ids import digest_of
from skillsmith.library.evidence.intervals import wilson
from skillsmith.library.matching.wording import spoken, telling_stems, without_places
from skillsmith.library.program.seal import canonical
from skillsmith.library.reporting.consolidation_rows import ConsolidationRows, Held
from skillsmith.library.reporting.figures import Documented
from skillsmith.models import Json

Kind: TypeAlias = Literal["retire", "merge", "specialises", "choose"]

SAME_STEPS: Final = 0.99
MOSTLY_SAME_STEPS: Final = 0.6
RELATED: Final = 0.4
ALIKE: Final = 0.5
SAME_TASK: Final = 0.85
"""How alike two skills must be in words, 0 to 1."""

RARE: Final = 40
"""A word or step in more skills than these tells nothing about any two of them."""
SHARED: Final = 2
"""So many rare words or steps in common make two skills worth comparing."""

NEAR_COSINE: Final = 0.9
MOST_VECTORS: Final = 20_000
_BLOCK: Final = 1024
_STATES: Final = {"trusted": 3, "proven": 2, "draft": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidation(Documented):
    """Two skills that do nearly the same.

    Args:
        kind: retire (they do exactly the same), merge (the same steps with other values: one skill from all
            their runs), specialises (one does what the other does, and more) or choose (the same tasks, in
            two ways).
        keep: The better proven of the two; of ``specialises`` the one with fewer steps.
        similarity: 0 to 1.
        parts: structure, steps, text, vector: each 0 to 1; vector is left out without vectors.
        shared_runs: Runs that both were made from.
        reason: One sentence.
        command: What would do it; empty where it takes a person.
    """

    kind: Kind
    keep: str
    other: str
    similarity: float
    parts: Mapping[str, float]
    shared_runs: tuple[str, ...]
    reason: str
    command: str


@dataclass(frozen=True, slots=True)
class _Traits:
    held: Held
    steps: Counter[str] = field(default_factory=Counter)
    stems: frozenset[str] = frozenset()


class Consolidator:
    """Finds what could be consolidated.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._rows = ConsolidationRows(db)

    def candidates(self, *, limit: int = 20) -> tuple[Consolidation, ...]:
        """Return the pairs that are most alike, those that do exactly the same first.

        Args:
            limit: At most so many; 0: all.
        """
        traits = {held.pk: _traits(held) for held in self._rows.held()}
        near = _near(self._rows.vectors(), traits)
        found = []
        for first, second in sorted(_pairs(traits.values()) | near.keys()):
            proposal = self._judge(traits[first], traits[second], near.get((first, second)))
            if proposal is not None:
                found.append(proposal)
        order: Sequence[Kind] = ("retire", "merge", "choose", "specialises")
        found.sort(key=lambda one: (order.index(one.kind), -one.similarity, one.keep, one.other))
        return tuple(found[:limit] if limit else found)

    def _judge(self, first: _Traits, second: _Traits, cosine: float | None) -> Consolidation | None:
        parts: dict[str, float] = {
            "structure": float(bool(first.steps) and first.held.structure == second.held.structure),
            "steps": _dice(first.steps, second.steps), "text": _dice(first.stems, second.stems),
        }  # fmt: skip
        if cosine is not None:
            parts["vector"] = cosine
        shared = tuple(sorted(first.held.runs & second.held.runs))
        kind = _kind(first.steps, second.steps, parts, related=bool(shared))
        if kind is None:
            return None
        better, other = sorted((first, second), key=_worth, reverse=True)
        if kind == "specialises":
            better, other = sorted((first, second), key=lambda one: one.steps.total())
        return Consolidation(
            kind=kind, keep=better.held.name, other=other.held.name, parts=parts, shared_runs=shared,
            similarity=1.0 if parts["structure"] else (parts["steps"] + _meaning(parts)) / 2,
            reason=_reason(kind, better, other), command=self._command(kind, better.held, other.held),
        )  # fmt: skip

    def _command(self, kind: Kind, keep: Held, other: Held) -> str:
        if kind == "retire":
            return f"skillsmith delete {other.name}"
        runs = sorted(keep.runs | other.runs)
        if kind == "merge" and len(runs) > 1 and keep.runs and other.runs:
            missing = set(runs) - self._rows.known_runs(runs)
            return "" if missing else f"skillsmith extract {' '.join(runs)} --name {keep.name}"
        return ""


def _traits(held: Held) -> _Traits:
    name, description, pattern = held.text
    words = " ".join((spoken(name), description, without_places(pattern)))
    return _Traits(held, Counter(map(_step, held.nodes)), telling_stems(words))


def _step(node: Mapping[str, Json]) -> str:
    """Return what a node does, whatever values it does it with."""
    template = node.get("template") or {}
    code = digest_of(canonical(template.get("lines", [])))[:16] if template else ""
    names = ",".join(sorted(node.get("arguments") or {}))
    return f"{node['kind']}:{node.get('tool') or ''}({names}){code}"


def _kind(
    first: Counter[str], second: Counter[str], parts: Mapping[str, float], *, related: bool
) -> Kind | None:
    meaning = _meaning(parts)
    if parts["structure"]:
        return "retire"
    if parts["steps"] >= SAME_STEPS and (related or meaning >= RELATED):
        return "merge"
    contained = first and second and (first < second or second < first)
    if contained and (related or meaning >= ALIKE):
        return "specialises"
    if parts["steps"] >= MOSTLY_SAME_STEPS and meaning >= ALIKE:
        return "merge"
    return "choose" if meaning >= SAME_TASK else None


def _meaning(parts: Mapping[str, float]) -> float:
    """Return how alike two skills are in words; a cosine below one half says nothing."""
    return max(parts["text"], 2 * parts.get("vector", 0.0) - 1)


def _worth(one: _Traits) -> tuple[float, ...]:
    """Return what makes one skill better than another: evidence, then state, then age."""
    held = one.held
    rate = wilson(held.successes, held.successes + held.failures)
    usable = held.state in _STATES
    return usable, rate.low if rate else 0.0, _STATES.get(held.state, 0), held.successes, -held.pk


def _reason(kind: Kind, keep: _Traits, other: _Traits) -> str:
    one, two = keep.held, other.held
    used = f"{one.successes} of {one.successes + one.failures} succeeded"
    against = f"{two.successes} of {two.successes + two.failures}"
    return {
        "retire": f"they do exactly the same; {one.name} is the better proven ({used}, {against})",
        "merge": "they take the same steps with other values: one skill with inputs for what differs",
        "specialises": f"{two.name} does what {one.name} does, and more: it may call it",
        "choose": f"they serve the same tasks in different ways; {one.name} did better ({used}, {against})"
        if one.successes + one.failures
        else "they serve the same tasks in different ways; neither was tried yet",
    }[kind]


def _dice(one: Counter[str] | frozenset[str], other: Counter[str] | frozenset[str]) -> float:
    first, second = Counter(one), Counter(other)
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 0.0


def _pairs(traits: Iterable[_Traits]) -> set[tuple[int, int]]:
    """Return the keys of skills worth comparing, the smaller first."""
    groups: dict[tuple[str, str], list[_Traits]] = defaultdict(list)
    rare: dict[str, list[int]] = defaultdict(list)
    for one in traits:
        if one.steps:
            groups["structure", one.held.structure].append(one)
            groups["steps", repr(sorted(one.steps.items()))].append(one)
        for run in one.held.runs:
            groups["run", run].append(one)
        for feature in (*one.steps, *one.stems):
            rare[feature].append(one.held.pk)
    return set(_stars(groups.values())) | set(_alike(rare.values()))


def _stars(groups: Iterable[Sequence[_Traits]]) -> Iterator[tuple[int, int]]:
    """Yield each group's best skill with each of the others: all pairs of a large group would be too many."""
    for group in groups:
        best = max(group, key=_worth).held.pk
        for one in group:
            if one.held.pk != best:
                yield min(best, one.held.pk), max(best, one.held.pk)


def _alike(holders: Iterable[Sequence[int]]) -> Iterator[tuple[int, int]]:
    shared: Counter[tuple[int, int]] = Counter()
    for keys in holders:
        if len(keys) <= RARE:
            shared.update((first, second) for place, first in enumerate(keys) for second in keys[place + 1 :])
    return (pair for pair, count in shared.items() if count >= SHARED)


def _near(
    vectors: Iterable[tuple[int, bytes]], traits: Mapping[int, _Traits]
) -> dict[tuple[int, int], float]:
    """Return the cosine of each pair of skills whose vectors are near."""
    known = [(pk, vector) for pk, vector in vectors if pk in traits][:MOST_VECTORS]
    if len(known) < 2:  # noqa: PLR2004  (a pair)
        return {}
    import numpy as np  # noqa: PLC0415  (90 ms; only where there are vectors)

    matrix = np.stack([np.frombuffer(vector, "<f4") for _, vector in known])
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(known), _BLOCK):
        cosines = matrix[start : start + _BLOCK] @ matrix[start:].T
        for row, column in np.argwhere(np.triu(cosines, 1) >= NEAR_COSINE).tolist():
            pair = sorted((known[start + row][0], known[start + column][0]))
            found[pair[0], pair[1]] = min(float(cosines[row, column]), 1.0)
    return found
