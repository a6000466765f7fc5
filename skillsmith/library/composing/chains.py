"""Which skills together do a task that none of them does alone.

The task is cut into what has to be done one after the other; each piece is matched for itself. A cut that
people surely meant (a new sentence, "then") always counts; one that may lie inside a piece ("and", a comma)
only where both sides are matched better than the whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

from skillsmith.errors import UsageError
from skillsmith.library.matcher import SkillMatcher
from skillsmith.models import Json, Match

Chains: TypeAlias = "list[Chain]"

MAX_PIECES = 8
"""Small pieces that a task is looked at in; what is left of a longer one belongs to the last."""

ALTERNATIVES = 2
"""Skills that are tried for one piece."""

_SURE = re.compile(
    r"(?:[,;]|\band\b)*\s*\b(?:and then|then|after that|afterwards|finally|next|lastly)\b[,:]?\s+"
    r"|(?<=[.!?])\s+|\s*;\s*|\s*\n\s*(?:[-*•]|\d+[.)])?\s*",
    re.IGNORECASE,
)
_PERHAPS = re.compile(r"\s*,\s+and\s+|\s+and\s+|\s*,\s+", re.IGNORECASE)
_WORD = re.compile(r"\w{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A piece of a task and the skill that does it.

    Args:
        clause: The piece, as the task says it.
        skill: The skill's name.
        reason: Why it fits.
    """

    clause: str
    skill: str
    version: int
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Skills that together do a task, in their order.

    Args:
        confidence: How likely all links are right.
        uncovered: Pieces of the task that no skill does.
    """

    links: tuple[Link, ...]
    confidence: float
    uncovered: tuple[str, ...] = ()

    @property
    def skills(self) -> tuple[str, ...]:
        """The skills' names in their order."""
        return tuple(link.skill for link in self.links)

    @property
    def command(self) -> str:
        """The command line that composes them."""
        return f"skillsmith compose --skills {','.join(self.skills)} --pattern sequential --name NAME"

    def document(self) -> dict[str, Json]:
        """Return the chain as JSON."""
        return {
            "skills": list(self.skills), "confidence": self.confidence, "uncovered": list(self.uncovered),
            "links": [
                {"clause": one.clause, "skill": one.skill, "version": one.version,
                 "confidence": one.confidence, "reason": one.reason}
                for one in self.links
            ],
            "command": self.command,
        }  # fmt: skip


def find_chains(
    task: str, matcher: SkillMatcher, *, limit: int = 3, min_confidence: float | None = None
) -> Chains:
    """Return chains of at least two skills for a task, best first: the most covered, then the most likely.

    Args:
        task: What is to be done, in words.
        matcher: Finds the skill for a piece.
        limit: At most so many.
        min_confidence: The least confidence in a link; None: the library's own threshold.

    Raises:
        UsageError: The task is empty.
    """
    if not task.strip():
        raise UsageError("the task is empty", hint="say in words what is to be done")
    search = _Search(matcher, min_confidence)
    found = [search.piece(clause) for clause in clauses(task)]
    pieces = [one for some in found for one in some]
    chains = [chain for chain in _chains(pieces) if not search.is_beaten(chain, task)]
    chains.sort(key=lambda chain: (len(chain.uncovered), -chain.confidence))
    return chains[:limit]


def clauses(task: str) -> list[str]:
    """Return what a task surely asks for one after the other."""
    return _trimmed(_SURE.split(task.strip()))


def _trimmed(texts: Sequence[str | None]) -> list[str]:
    trimmed = [(text or "").strip(" ,;.!?\n") for text in texts]
    return [text for text in trimmed if _WORD.search(text)]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of the task with the skills that fit it, best first."""

    text: str
    matches: tuple[Match, ...]


class _Search:
    """Cuts clauses where that matches better."""

    def __init__(self, matcher: SkillMatcher, least: float | None) -> None:
        self._matcher = matcher
        self._least = least
        self._known: dict[str, tuple[Match, ...]] = {}

    def piece(self, clause: str) -> list[_Piece]:
        """Return a clause as one piece, or as several that are matched better."""
        whole = _Piece(clause, self._matches(clause))
        best, value = [whole], _value([whole])
        for cut in list(_PERHAPS.finditer(clause))[:MAX_PIECES]:
            sides = _trimmed([clause[: cut.start()], clause[cut.end() :]])
            if len(sides) < 2:  # noqa: PLR2004  (both sides of the cut)
                continue
            left = _Piece(sides[0], self._matches(sides[0]))
            if not left.matches:
                continue
            both = [left, *self.piece(sides[1])]
            if all(one.matches for one in both) and _names(both) > 1 and _value(both) > value:
                best, value = both, _value(both)
        return best

    def is_beaten(self, chain: Chain, task: str) -> bool:
        """Tell whether another skill does the whole task at least as surely as the chain its weakest link."""
        alone = self._matches(task)[:1]
        weakest = min(link.confidence for link in chain.links)
        return any(one.name not in chain.skills and one.confidence >= weakest for one in alone)

    def _matches(self, text: str) -> tuple[Match, ...]:
        if text not in self._known:
            found = self._matcher.match(text, top_k=ALTERNATIVES, min_confidence=self._least)
            self._known[text] = found.matches
        return self._known[text]


def _value(pieces: Sequence[_Piece]) -> float:
    """Return how sure the least sure of some pieces is."""
    return min(one.matches[0].confidence if one.matches else 0.0 for one in pieces)


def _names(pieces: Sequence[_Piece]) -> int:
    return len({one.matches[0].name for one in pieces if one.matches})


def _chains(pieces: Sequence[_Piece]) -> Iterator[Chain]:
    """Yield every choice of skills for the pieces; neighbouring pieces of one skill are one link."""
    covered = [one for one in pieces if one.matches][:MAX_PIECES]
    uncovered = tuple(one.text for one in pieces if not one.matches)
    seen = set[tuple[str, ...]]()
    for chosen in product(*(one.matches for one in covered)):
        links: list[Link] = []
        for piece, match in zip(covered, chosen, strict=True):
            link = Link(
                clause=piece.text, skill=match.name, version=match.version, confidence=match.confidence,
                reason=match.reason,
            )  # fmt: skip
            if not links or links[-1].skill != match.name:
                links.append(link)
        names = tuple(link.skill for link in links)
        if len(set(names)) > 1 and names not in seen:
            seen.add(names)
            likely = round(prod(link.confidence for link in links), 4)
            yield Chain(links=tuple(links), confidence=likely, uncovered=uncovered)
