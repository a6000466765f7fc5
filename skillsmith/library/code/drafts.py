"""The variables found so far in a run's code: one value, one variable, all its places.

A place is only taken when the template can write other values there and gives the default back as it was
spelled, and when no other variable has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from skillsmith.errors import UsageError
from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.encodings import encode
from skillsmith.library.code.literals import Literal
from skillsmith.library.code.words import is_weak
from skillsmith.library.templates import place_encoding
from skillsmith.library.trace.literals import Occurrence
from skillsmith.models import Json, VariableType


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A stretch of a literal in one block that a variable takes."""

    facts: Facts
    literal: Literal
    start: int
    end: int


@dataclass(slots=True, kw_only=True)
class Draft:
    """A variable in the making.

    Args:
        value: The literal, kept as the default.
        type: Its kind.
        rule: Which rule lifted it.
        mention: Where it was said, when it was.
        names: Names that suggest themselves, the best first.
        required: Whether an execution must give it.
        description: One sentence for people.
        name: Chosen in the end.
        places: Where it stands in the code.
    """

    value: Json
    type: VariableType
    rule: str
    mention: Occurrence | None = None
    names: list[str] = field(default_factory=list)
    required: bool = False
    description: str = ""
    name: str = ""
    places: list[Place] = field(default_factory=list)


class Drafts:
    """All variables of a plan, in the order in which they were found."""

    def __init__(self) -> None:
        self._all: list[Draft] = []
        self._taken: dict[int, list[tuple[int, int]]] = {}

    def __iter__(self) -> Iterator[Draft]:
        return iter(draft for draft in self._all if draft.places)

    def add(self, draft: Draft) -> Draft:
        """Take a draft in, or return the one there is already for the same value."""
        for known in self._all:
            if _is_same(known, draft):
                known.mention = known.mention or draft.mention
                known.names += [name for name in draft.names if name not in known.names]
                return known
        self._all.append(draft)
        return draft

    def put(self, draft: Draft) -> Draft:
        """Take a draft in as a variable of its own, whatever value it has."""
        self._all.append(draft)
        return draft

    def place(
        self, draft: Draft, facts: Facts, literal: Literal, span: tuple[int, int] | None = None
    ) -> bool:
        """Give a draft one more place; return whether it could be had.

        Args:
            draft: The variable.
            facts: The block.
            literal: One of the block's literals.
            span: Offsets in the source; by default all of the literal's content.
        """
        start, end = span or (literal.start, literal.end)
        if self.is_taken(facts, start, end) or not _is_writable(draft.value, facts, literal, start, end):
            return False
        self._taken.setdefault(facts.seq, []).append((start, end))
        draft.places.append(Place(facts=facts, literal=literal, start=start, end=end))
        return True

    def is_taken(self, facts: Facts, start: int, end: int) -> bool:
        """Whether a variable has part of a stretch of code already."""
        return any(start < other_end and other < end for other, other_end in self._taken.get(facts.seq, ()))

    def has(self, facts: Facts, literal: Literal) -> bool:
        """Whether a variable has part of a literal already."""
        return self.is_taken(facts, literal.start, max(literal.end, literal.start + 1))


def _is_same(known: Draft, draft: Draft) -> bool:
    """Whether two drafts are one variable; of short or common values only those said in the same place."""
    if known.type != draft.type or repr(known.value) != repr(draft.value):
        return False
    return known.mention == draft.mention or not is_weak(draft.value)


def _is_writable(value: Json, facts: Facts, literal: Literal, start: int, end: int) -> bool:
    """Whether a template gives the value back as it is spelled there."""
    source = facts.block.text[start:end]
    try:
        encoding = place_encoding(facts.block.text, literal, start, end, variable="value")
        return encode(value, encoding, variable="value") == source
    except UsageError:  # an escape would be cut, or nothing else can be written there
        return False


def string_literals(facts: Facts) -> Sequence[Literal]:
    """Return a block's literals of text that are the code's own values: no documentation, no formats."""
    return [
        literal
        for literal in facts.literals
        if isinstance(literal.value, str)
        and literal.value.strip()
        and literal.liftable
        and not literal.beside.docstring
        and not literal.format_spec
    ]
