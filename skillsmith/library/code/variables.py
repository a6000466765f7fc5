"""Which literals of a run's code are its inputs: those that people said.

What stands in the words becomes a variable, with every other place where the same value stands; a value too
short or common to prove anything needs a second witness beside it; the rest stays constant, and why is kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.drafts import Draft, Drafts, string_literals
from skillsmith.library.code.encodings import plain_text
from skillsmith.library.code.literals import Literal
from skillsmith.library.code.naming import has_telling_name, is_column, is_folder, names_for
from skillsmith.library.code.words import (
    Words,
    distance,
    is_display,
    is_quoted,
    is_supported,
    is_weak,
    near_words,
    spelled,
    stem,
    structured,
    unit_of,
)
from skillsmith.library.trace.literals import Occurrence, type_of
from skillsmith.library.trace.naming import IDENTIFYING
from skillsmith.models import VariableType

_GAP = 12
_IDIOMS = (0, 1, -1)
"""Numbers that stand for a beginning, a step or an end more often than for a choice."""
_TELLING_CAPITALS = 3
_SHELL_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_PARTS_OF_ADDRESSES = re.compile(r"\S*(?:/|\.[A-Za-z]\w{0,4}\Z)\S*")
_TOOLS = frozenset(
    "python pandas numpy matplotlib seaborn excel sql api html css javascript bash linux".split()
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A literal that may be an input.

    Args:
        value: What it says; a number for a number, also in a shell word.
    """

    facts: Facts
    literal: Literal
    value: object


def lift_said(kept: Sequence[Facts], drafts: Drafts, words: Words) -> None:
    """Turn what people said into variables, whole literals before parts of them."""
    tracer = _Tracer(kept, drafts, words)
    tracer.lists()
    tracer.whole()
    tracer.followers()
    tracer.parts()


class _Tracer:
    """Looks for the code's literals in the words.

    Args:
        kept: The blocks of the plan.
        drafts: Variables found so far, added to.
        words: What people said.
    """

    def __init__(self, kept: Sequence[Facts], drafts: Drafts, words: Words) -> None:
        self._kept = kept
        self._drafts = drafts
        self._words = words
        self._made = _made_keys(kept)

    # ------------------------------------------------------------------------------------- whole values

    def lists(self) -> None:
        """Lift lists whose items were all said, where the items stand nowhere else."""
        counts = Counter(
            repr(literal.value)
            for facts in self._kept
            for literal in facts.literals
            if literal.whole and not isinstance(literal.value, list | dict)
        )
        for facts in self._kept:
            for literal in facts.literals:
                items = literal.value if isinstance(literal.value, list) else []
                if len(items) < 2 or is_display(literal) or not all(map(_is_item, items)):  # noqa: PLR2004  (one item is no list)
                    continue
                inside = Counter(map(repr, items))
                found = self._enumeration(items, facts, literal)
                if found is not None and all(counts[item] == inside[item] for item in inside):
                    self._lift(Candidate(facts, literal, items), found)

    def _enumeration(self, items: Sequence[object], facts: Facts, literal: Literal) -> Occurrence | None:
        """Return where the items were said one after the other."""
        found = [self._words.mentions(item, before=facts.seq) for item in items]
        if not all(found):
            return None
        first = [mentions[0] for mentions in found]
        ordered = sorted(first, key=lambda mention: mention.start)
        near = all(b.start - a.end <= _GAP and a.said == b.said for a, b in pairwise(ordered))
        telling = any(not is_weak(item) for item in items) or is_supported(first[0], literal)
        return replace(ordered[0], end=ordered[-1].end) if near and telling else None

    def whole(self) -> None:
        """Lift strings and numbers that were said."""
        for candidate in self._candidates():
            found = self._proof(candidate)
            if found is not None:
                self._lift(candidate, found)

    def _candidates(self) -> Iterator[Candidate]:
        for facts in self._kept:
            paths = {id(use.literal) for use in facts.paths}
            for literal in facts.literals:
                usable = literal.whole and literal.liftable and not literal.beside.docstring
                if usable and id(literal) not in paths and not self._drafts.has(facts, literal):
                    yield from _candidate(facts, literal)

    def _proof(self, candidate: Candidate) -> Occurrence | None:
        """Return where a value was said, if that proves that it came from there."""
        literal, value = candidate.literal, candidate.value
        if literal.beside.dict_key or literal.beside.stored or isinstance(value, list):
            return None
        mentions = self._words.mentions(value, before=candidate.facts.seq)
        if isinstance(value, str):
            return next((found for found in mentions if self._is_said_value(value, literal, found)), None)
        if not is_weak(value):
            return mentions[0] if mentions else None
        near = [(steps, found) for found in mentions if (steps := distance(found, literal)) is not None]
        if near:
            return min(near, key=lambda pair: pair[0])[1]
        standing = self._is_setting(value, literal) or self._is_argument(value)
        return mentions[0] if standing and _is_said_once(value, mentions) else None

    def _is_setting(self, value: object, literal: Literal) -> bool:
        """Whether a short number is the one that the code gives a telling name."""
        named = literal.beside.source == "target" and has_telling_name(literal)
        return named and len(self._standing(value)) == 1

    def _is_argument(self, value: object) -> bool:
        """Whether the code has a short number only as what it gives to functions of its own."""
        standing = self._standing(value)
        return bool(standing) and all(
            literal.beside.source == "parameter" and literal.beside.call is not None for literal in standing
        )

    def _standing(self, value: object) -> list[Literal]:
        """Return the places where the code has a number."""
        return [
            literal
            for facts in self._kept
            for literal in facts.literals
            if literal.whole and _is_same(literal.value, value)
        ]

    def _is_said_value(self, value: str, literal: Literal, found: Occurrence) -> bool:
        """Whether words that equal a string are that string's source, and no mere chance."""
        if is_quoted(found) or (not is_weak(value) and not _is_plain_word(value)):
            return True
        if value in self._made or is_display(literal):
            return False
        if is_weak(value):
            exact = len(value) >= _TELLING_CAPITALS and value.isupper() and spelled(found) == value
            in_column = is_column(literal) and "column" in near_words(found)
            return exact or in_column or is_supported(found, literal)
        if literal.kind == "word":  # a plain word of a command is its verb, unless an option takes it
            return literal.beside.name is not None
        named = has_telling_name(literal) or is_folder(found)
        return named or is_column(literal) or is_supported(found, literal)

    def _lift(self, candidate: Candidate, found: Occurrence) -> None:
        literal, value = candidate.literal, candidate.value
        names = names_for(literal, found)
        kind = type_of(names[0] if names else "", value)
        draft = self._drafts.add(_said(value, kind, found, names))
        self._drafts.place(draft, candidate.facts, literal)

    def followers(self) -> None:
        """Give variables the other literals with the same value."""
        for draft in list(self._drafts):
            if draft.rule != "user-words" or is_weak(draft.value):
                continue
            for facts in self._kept:
                for literal in facts.literals:
                    same = any(_is_same(item.value, draft.value) for item in _candidate(facts, literal))
                    if same and literal.whole and not literal.beside.docstring:
                        self._drafts.place(draft, facts, literal)

    # ------------------------------------------------------------------------------------ parts of strings

    def parts(self) -> None:
        """Lift what was said where it is a part of a longer string."""
        known = {
            plain_text(draft.value): draft
            for draft in self._drafts
            if draft.rule == "user-words" and draft.type != "path" and _is_findable(draft)
        }
        for found in structured(self._words.said):
            text = spelled(found)
            if text not in known and not is_weak(text) and text.lower() not in _TOOLS:
                known[text] = _said(text, type_of("", text), found, [])
        if not known:
            return
        longest_first = sorted(known, key=lambda text: (-len(text), text))
        pattern = re.compile("|".join(rf"(?<![\w]){re.escape(text)}(?!\w)" for text in longest_first))
        for facts in self._kept:
            for literal in string_literals(facts):
                self._parts_of(facts, literal, pattern, known)

    def _parts_of(
        self, facts: Facts, literal: Literal, pattern: re.Pattern[str], known: dict[str, Draft]
    ) -> None:
        if literal.segment is None and literal.kind != "word":
            return
        for match in pattern.finditer(literal.value):
            draft = known[match[0]]
            if not _may_take(draft, facts, literal, match):
                continue
            span: tuple[int, int] | None = (literal.start + match.start(), literal.start + match.end())
            if literal.segment is not None:
                span = literal.segment.source_span(*match.span())
            if span is not None:
                self._drafts.place(self._drafts.add(draft), facts, literal, span)


def _is_said_once(value: object, mentions: Sequence[Occurrence]) -> bool:
    """Whether a number that is no idiom was said in figures, once by each who said it."""
    said = [found for found in mentions if spelled(found)[0].isdigit() or spelled(found)[0] == "-"]
    once_each = len({found.said.seq for found in mentions}) == len(mentions)
    return value not in _IDIOMS and bool(said) and once_each


def _may_take(draft: Draft, facts: Facts, literal: Literal, match: re.Match[str]) -> bool:
    """Whether a part of a string is the value, and not a part of a name or the like by chance."""
    mention = draft.mention
    if mention is None or (mention.said.where != "task" and mention.said.seq >= facts.seq):
        return False
    address = _PARTS_OF_ADDRESSES.fullmatch(literal.value.strip()) is not None
    if isinstance(draft.value, str):
        return not (address and _is_plain_word(draft.value))
    following = re.match(r"[\s-]*([A-Za-z]+)", literal.value[match.end() :])
    return not address and following is not None and _counts(mention, following[1])


def _counts(mention: Occurrence, word: str) -> bool:
    """Whether a number counts the same in the code's text as in the words."""
    unit = unit_of(mention)
    return unit is not None and stem(unit) == stem(word.lower())


def _is_findable(draft: Draft) -> bool:
    """Whether a value may be looked for inside longer strings; a number is, together with its unit."""
    if isinstance(draft.value, bool | list) or draft.names[:1] == ["output_format"]:
        return False
    return not isinstance(draft.value, str) or not is_weak(draft.value)


def _is_item(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _is_same(value: object, other: object) -> bool:
    return type(value) is type(other) and value == other


def _made_keys(kept: Sequence[Facts]) -> set[str]:
    """Return the keys that the code itself makes: written before, or without, being read."""
    made: set[str] = set()
    read: set[str] = set()
    for facts in kept:
        loaded = {
            (literal.line, literal.value)
            for literal in string_literals(facts)
            if literal.beside.subscript and not literal.beside.stored
        }
        for literal in string_literals(facts):
            beside, value = literal.beside, literal.value
            if beside.dict_key or (beside.subscript and beside.stored):
                if value not in read and (literal.line, value) not in loaded:
                    made.add(value)
            elif beside.subscript:
                read.add(value)
    return made


def _said(value: object, kind: VariableType, found: Occurrence, names: Iterable[str]) -> Draft:
    return Draft(
        value=value,
        type=kind,
        rule="user-words",
        mention=found,
        names=list(names),
        required=kind in IDENTIFYING,
        description=f"Said as {spelled(found)!r} in the {found.said.where}.",
    )


def _candidate(facts: Facts, literal: Literal) -> Iterator[Candidate]:
    """Yield a literal as a candidate, a shell word that is a number as the number."""
    value = literal.value
    if literal.kind == "word" and _SHELL_NUMBER.fullmatch(value) and plain_text(float(value)) == value:
        value = float(value) if "." in value else int(value)
    if value is not None and not isinstance(value, dict | list) and not literal.format_spec:
        yield Candidate(facts, literal, value)


def _is_plain_word(text: str) -> bool:
    """Whether text is one ordinary lower-case word."""
    return text.isalpha() and text.islower()
