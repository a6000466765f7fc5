"""Which pieces of a task's words each open variable has a claim on, and what speaks for each.

A claim is weighed by itself: likeness of kind, the words around the pattern's place, the variable's name
close by, whether a file is read or written. Which claims win is decided in library/matching/binder.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeAlias

from skillsmith.library.matching.anchors import (
    FUNCTION_WORDS,
    Place,
    Span,
    Wording,
    agreement,
    ends_like,
    spans_between,
    stem,
    words_of,
)
from skillsmith.library.matching.mentions import Mention, look_of, mentions, things_in
from skillsmith.library.matching.one_sided import CLOSING_WORDS, spans_beside
from skillsmith.library.program.effects import name_words
from skillsmith.models import Json, Variable
from skillsmith.word_pieces import cuts_run

NAME_REACH = 4
"""How many words from a value its variable's name may stand."""

MORE_WORDS = 4
"""A text value may have so many words more than the default."""

_NEEDS_WITNESS = frozenset({"integer", "number"})
_INPUT_WORDS = frozenset("in input infile source src data read load".split())
OUTPUT_WORDS = frozenset("out output outfile dest destination target save export report result".split())
_WRITE_CUES = frozenset("to into as save write output export called named create produce make".split())
_ARTICLES = frozenset({"a", "an", "the"})
_ADJACENT = 2.0
"""Nearness of a name that stands right beside a value."""
_SWITCH_VERBS = frozenset("include with use has is should add".split())
_NO_WITNESS = frozenset("id ids name names value number no of the a an new file path text type".split())

IsFree: TypeAlias = Callable[[tuple[int, int]], bool]
"""Tells whether nothing has taken a part of a span of the task yet."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One variable's claim on one span of the task."""

    variable: str
    mention: Mention
    score: float
    evidence: tuple[str, ...]
    agreement: int = 0
    rule: str = "evidence"


class Claims:
    """Finds the claims of variables on a task.

    Args:
        wording: The task.
        places: Of the skill's pattern.
        roles: Names of the variables that name files which are read, and which are written.
        today: The day that dates without a year are near to.
        folder: Where named files may exist.
    """

    def __init__(
        self,
        wording: Wording,
        places: Sequence[Place],
        roles: tuple[frozenset[str], frozenset[str]],
        *,
        today: date,
        folder: Path,
    ) -> None:
        self._wording = wording
        self._places = places
        self._roles = roles
        self._today = today
        self._folder = folder

    def of(self, variable: Variable, is_free: IsFree) -> Iterator[Claim]:
        """Yield a variable's claims.

        Args:
            variable: An input that has no value yet.
            is_free: Whether no other input has taken a part of a span.
        """
        places = [place for place in self._places if place.variable == variable.name]
        found = mentions(self._wording.text, variable, today=self._today, folder=self._folder)
        found = [one for one in found if is_free((one.start, one.end)) and not self._is_inside_quote(one)]
        for mention in found:
            yield self._weigh(variable, mention, places, alone=len({str(one.value) for one in found}) == 1)
        if variable.type == "boolean":
            yield from self._switches(variable)
        text_items = variable.type == "list" and not found
        if (variable.type == "string" and not variable.enum) or text_items:
            yield from self._between(variable, places, is_free)

    def is_witnessed(self, variable: Variable, mention: Mention) -> bool:
        """Whether a word as in the pattern, or one of the variable's name, stands beside a piece of text."""
        places = [place for place in self._places if place.variable == variable.name]
        around = [agreement(place, self._wording, mention.start, mention.end) for place in places]
        return any(map(sum, around)) or self._nearness(variable, mention) > 0

    def _weigh(self, variable: Variable, mention: Mention, places: Sequence[Place], *, alone: bool) -> Claim:
        score, evidence = float(mention.strength), [mention.note] if mention.note else []
        best, telling = (0, 0), False
        for place in places:
            found = agreement(place, self._wording, mention.start, mention.end)
            best = max(best, found, key=sum)
            telling = telling or self._tells(place, mention, *found)
        if sum(best):
            score += 1.5 * sum(best)
            evidence.append(f"{sum(best)} neighbouring words as in the pattern")
        if any(ends_like(place, self._wording, mention.start, mention.end) for place in places):
            score += 0.25
        nearness = self._nearness(variable, mention)
        if nearness:
            score += nearness
            evidence.append("its name stands close by")
        role = self._role(variable, mention) if variable.type == "path" else 0.0
        if variable.type in _NEEDS_WITNESS and not (telling or nearness or mention.strength):
            score = 0.0
        elif variable.type == "string" and not variable.enum:
            adjacent = nearness >= _ADJACENT or (nearness > 0 and not self._is_quoted(mention))
            score = self._text_score(score, mention, places, witnessed=sum(best) > 0 or adjacent, alone=alone)
        elif alone and score + role > 0:
            score += 0.5
            evidence.append(f"the only {variable.type} like it")
        return Claim(variable.name, mention, score + role, tuple(evidence), sum(best))

    def _text_score(
        self, score: float, mention: Mention, places: Sequence[Place], *, witnessed: bool, alone: bool
    ) -> float:
        """Weigh quoted text and names: by themselves they say nothing about whose they are."""
        wanted, quoted = any(place.quoted for place in places), self._is_quoted(mention)
        if wanted and quoted:
            return score + 1.0 + 0.5 * alone
        belongs = not wanted and not (quoted and any(place.quoted for place in self._places))
        return score if witnessed and belongs else 0.0

    def _tells(self, place: Place, mention: Mention, left: int, right: int) -> bool:
        """Whether agreeing words say what a number counts; small words do where the place has no others."""
        if not {*place.left, *place.right} - FUNCTION_WORDS:
            return left + right > 0
        if {*place.right[:right], *place.left[-1:][:left]} - FUNCTION_WORDS:
            return True
        following = self._wording.after(mention.end, 1) if set(place.right[:1]) - FUNCTION_WORDS else []
        other = bool(following) and following[0].text not in FUNCTION_WORDS
        return bool(set(place.left[len(place.left) - left :]) - FUNCTION_WORDS) and not other

    def _is_inside_quote(self, mention: Mention) -> bool:
        """Whether a value stands inside of a text that is quoted as the pattern has one quoted."""
        quoted = any(place.quoted for place in self._places) and not self._is_quoted(mention)
        return quoted and self._wording.cuts_quote(mention.start, mention.end)

    def _is_quoted(self, mention: Mention) -> bool:
        return self._wording.quote_at(mention.start) is not None

    def _nearness(self, variable: Variable, mention: Mention) -> float:
        """Return 0 to 2 for a word of the variable's name, or its unit, close to the value."""
        wanted = {stem(word) for word in name_words(variable.name) if len(word) > 2} - _NO_WITNESS  # noqa: PLR2004
        sides = (
            self._wording.before(mention.start, NAME_REACH),
            self._wording.after(mention.end, NAME_REACH),
        )
        steps = [
            distance for side in sides for distance, word in enumerate(side) if stem(word.text) in wanted
        ]
        return 2.0 - 0.25 * min(steps) if steps else 0.0

    def _role(self, variable: Variable, mention: Mention) -> float:
        """Weigh whether a file is read or written against what the skill does with the variable."""
        reads, writes = variable.name in self._roles[0], variable.name in self._roles[1]
        if reads == writes:
            words = set(name_words(variable.name))
            reads, writes = bool(words & _INPUT_WORDS), bool(words & OUTPUT_WORDS)
        if reads == writes:
            return 0.0
        before = [word.text for word in self._wording.before(mention.start, 3)]
        written = 1.0 if _WRITE_CUES & set(before) else 0.0
        exists = "exists" in mention.note
        return (
            written - (1.0 if exists and not written else 0.0)
            if writes
            else (0.75 if exists else 0.25) - written
        )

    def _switches(self, variable: Variable) -> Iterator[Claim]:
        words = [word for word in name_words(variable.name) if word not in _SWITCH_VERBS]
        name = r"[\s_-]+".join(map(re.escape, words))
        off = r"(?P<no>without|no|exclude|excluding|skip)"
        on = r"(?P<yes>with|include|including|add|use)"
        pattern = rf"\b{off}?\s*{on}?\s*(?:an?\s+|the\s+)?{name}\b"
        for found in re.finditer(pattern, self._wording.text, re.IGNORECASE) if words else ():
            if found["no"] or found["yes"]:
                mention = Mention(start=found.start(), end=found.end(), value=not found["no"], strength=2)
                yield Claim(variable.name, mention, 2.0, (f"“{found[0].strip()}”",))

    def _between(self, variable: Variable, places: Sequence[Place], is_free: IsFree) -> Iterator[Claim]:
        """Yield the text between the words that stand around the variable's places, or beside them."""
        default = variable.default
        text = default if isinstance(default, str) else " ".join(map(str, default or ()))
        known = len(words_of(text))
        for place in places:
            both = list(spans_between(place, self._wording, max_words=known + MORE_WORDS))
            yield from self._around(variable, both, 0.0, is_free)
            if variable.type == "string":
                beside = spans_beside(place, self._wording, words=known)
                yield from self._around(variable, self._alike(default, beside), -0.5, is_free)

    def _eats(self, default: Json, span: Span) -> bool:
        """Whether a piece may hold more than one value: a date or file too, or more words than a name has.

        In a run without spaces nothing tells where a value ends.
        """
        text, known, look = self._wording.text[span.start : span.end], str(default), look_of(default)
        words = words_of(text)
        if look and look_of(text) != look and len(words) > len(words_of(known)):
            return True
        if self._wording.quote_at(span.start - 1) is not None:
            return False
        if cuts_run(self._wording.text, span.start) or cuts_run(self._wording.text, span.end):
            return True
        first = {word.text for word in words[:1]} - set(known.casefold().split())
        begins = bool(first & (CLOSING_WORDS - _ARTICLES))
        marks = isinstance(default, str) and any(mark in text and mark not in known for mark in ",;")
        return begins or marks or text[0] in "([{" or bool(things_in(text) and not things_in(known))

    def _alike(self, default: Json, spans: Iterable[Span]) -> Iterator[Span]:
        """Yield the pieces that are written like the default and are not just the pattern's own words."""
        look = look_of(default)
        fixed = {word for place in self._places for word in (*place.left, *place.right)}
        for span in spans:
            text = self._wording.text[span.start : span.end]
            quoted = self._wording.quote_at(span.start - 1) is not None
            own = fixed.issuperset(word.text for word in words_of(text))
            if quoted or not (own or (look and look_of(text) != look)):
                yield span

    def _around(
        self, variable: Variable, spans: Iterable[Span], less: float, is_free: IsFree
    ) -> Iterator[Claim]:
        quotes = any(place.quoted for place in self._places if place.variable != variable.name)
        for span in spans:
            foreign = quotes and self._wording.quote_at(span.start - 1) is not None
            if is_free((span.start, span.end)) and not foreign and not self._eats(variable.default, span):
                value: Json = self._wording.text[span.start : span.end]
                if variable.type == "list":
                    value = _items(value)
                mention = Mention(start=span.start, end=span.end, value=value)
                evidence = f"{span.agreement} neighbouring words as in the pattern"
                score = 1.5 * span.agreement + less
                yield Claim(variable.name, mention, score, (evidence,), span.agreement, "words-around")


def _items(text: str) -> list[str]:
    parts = re.split(r"\s*(?:,\s*and\s|,|;|\band\b)\s*", text)
    return [part.strip("\"'“” ") for part in parts if part.strip()]
