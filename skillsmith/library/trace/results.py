"""Where a literal stands in earlier tool results: as a whole JSON leaf, or as a piece of text in one.

Leaves are indexed by their folded text, so that looking a value up costs the same however long the run is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from unicodedata import normalize

import orjson

from skillsmith.events import dump_json
from skillsmith.library.program.bindings import UnresolvedError, as_text, resolve, show_path
from skillsmith.library.program.effects import name_words
from skillsmith.library.program.structures import structure_in
from skillsmith.library.program.values import plain_number
from skillsmith.library.trace.calls import Call
from skillsmith.library.trace.phrases import PhraseIndex, TextIndex, whole
from skillsmith.models import Between, FromNode, Json, PathStep, Witness

ANCHOR_CHARS = 24
"""How much fixed text on each side of a piece of text finds it again."""

PHRASE_CHARS = 5
"""Shorter leaves say too little to be recognised inside a longer text."""

MAX_LEAVES = 250_000
"""A result with more leaves is indexed only so far."""

MAX_PLACES = 40
"""Of a value that stands in more places the latest are looked at."""

MAX_LABEL = 4
"""So many words before a piece of text may name it."""

MAX_AMOUNT = 24
"""A longer text is no amount."""

_AMOUNT_MARK = re.compile(r"\d[,' \u00a0\u202f\u2019]\d|[$€£¥₹]|^\d+\.\d\d$|^-?[A-Z]{3}\s?\d|\d\s?[A-Z]{3}$")
_MARK = re.compile(r"\s|[,;:/=]")
_LINKS = frozenset({"are", "equals", "is", "was", "were"})


@dataclass(frozen=True, slots=True)
class Place:
    """One leaf of one result: which call's, the path to it, the value there, and what it is called.

    Args:
        echo: Whether the call was itself given this value, so that its result says nothing new.
    """

    call: Call
    path: tuple[PathStep, ...]
    value: Json
    echo: bool = False

    @property
    def key(self) -> str:
        """The last field name on the path, or the words before a piece of text."""
        for step in reversed(self.path):
            if isinstance(step, str):
                return step.rpartition(".")[2] or step
            if isinstance(step, Between):
                return _label(step.before)
        return ""

    def is_named(self, name: str) -> bool:
        """Tell whether it has an argument's name: ``Order ID`` and ``orderId`` are ``order_id``."""
        if self.key == name:
            return bool(name)
        wanted, key = name_words(name), name_words(self.key)
        between = bool(self.path) and isinstance(self.path[-1], Between)
        return bool(wanted) and (key[-len(wanted) :] if between else key) == wanted

    def witness(self) -> Witness:
        """Return it as evidence."""
        return Witness(
            seq=self.call.result_seq or self.call.seq,
            where="result",
            path=f"{self.call.name} → {show_path(self.path)}",
            text=as_text(self.value)[:80],
        )


class ResultIndex:
    """Leaves of the results of successful calls.

    Args:
        calls: In order.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self._leaves: dict[str, list[Place]] = defaultdict(list)
        self._texts: list[Place] = []
        self._fields: dict[str, list[Place]] = defaultdict(list)
        for call in calls:
            if call.error is None and call.result_seq is not None:
                self._add(call)

    def _add(self, call: Call) -> None:
        given = {fold(value) for _, value in _leaves(call.arguments)}
        for path, value in islice(_leaves(call.result), MAX_LEAVES):
            folded = fold(value)
            place = Place(call, path, value, folded in given)
            self._leaves[folded].append(place)
            for step in path:
                if isinstance(step, str):
                    self._fields[fold(step)].append(place)
            if isinstance(value, str) and _MARK.search(value) and structure_in(value) is None:
                self._texts.append(place)

    def exact(self, value: Json, *, before: int) -> list[Place]:
        """Return the leaves that hold the value, of results known before an event; of many the latest."""
        return self._known(self._leaves.get(fold(value), []), before)

    def field_names(self, value: Json, *, before: int) -> list[Place]:
        """Return leaves that have the value as a field name on their path."""
        return self._known(self._fields.get(fold(value), []), before)

    @staticmethod
    def _known(places: list[Place], before: int) -> list[Place]:
        """Return the latest of these places whose result was known before an event, in their order."""
        end = bisect_left(places, before, key=lambda place: place.call.seq)
        known = (places[at] for at in range(end - 1, -1, -1) if places[at].call.known_before(before))
        return list(islice(known, MAX_PLACES))[::-1]

    @cached_property
    def _phrases(self) -> PhraseIndex[Place]:
        return PhraseIndex(
            (place.value, place)
            for key, places in self._leaves.items()
            if len(key) >= PHRASE_CHARS
            for place in places
            if isinstance(place.value, str)
        )

    def phrases_in(self, text: str, *, before: int) -> list[str]:
        """Return text leaves of earlier results that stand in a longer text as whole words, longest first."""
        found = [
            phrase
            for phrase, places in self._phrases.within(text)
            if any(place.call.known_before(before) for place in places)
        ]
        return sorted(
            (phrase for phrase in found if " " in phrase or not phrase.islower()),
            key=lambda phrase: (-len(phrase), phrase),
        )

    @cached_property
    def _words(self) -> TextIndex:
        return TextIndex(place.value for place in self._texts)

    def pieces(self, value: Json, *, before: int, name: str | None = None) -> Iterator[Place]:
        """Yield places where the value is a whole word inside a longer text, with anchors that find it.

        Args:
            value: A scalar.
            before: Only results known before this sequence number count.
            name: Only where these words stand just before it: ``Order ID: 17``.
        """
        text = as_text(value)
        pattern = whole(text)
        for number in islice(self._words.candidates(text), MAX_PLACES):
            place = self._texts[number]
            if not place.call.known_before(before) or len(text) >= len(place.value):
                continue
            for found in pattern.finditer(place.value):
                step = _anchors(place.value, found.start(), found.end())
                piece = Place(place.call, (*place.path, step), text) if step is not None else None
                if piece is not None and (name is None or piece.is_named(name)):
                    yield piece
                    break
                if name is None:
                    break


def fold(value: Json) -> str:
    """Return what spellings of one scalar have in common: ``247``, ``247.0``, ``"247"``, ``"$247.00"``."""
    if isinstance(value, bool) or value is None:
        return f"\0{value}"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    text = str(value).strip()
    if not text.isascii():
        text = normalize("NFC", text)
    amount = plain_number(text) if len(text) <= MAX_AMOUNT and _AMOUNT_MARK.search(text) else None
    if amount is None:
        return text.casefold()
    return amount.rstrip("0").rstrip(".") if "." in amount else amount


def _label(text: str) -> str:
    """Return the words that name what stands after a text: its last ones, without what only links."""
    words = name_words(text)
    while words and words[-1] in _LINKS:
        words.pop()
    return " ".join(words[-MAX_LABEL:])


def _leaves(value: Json, path: tuple[PathStep, ...] = ()) -> Iterator[tuple[tuple[PathStep, ...], Json]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value
        held = structure_in(value) if isinstance(value, str) else None
        if held is not None:
            yield from _leaves(held, path)


def _anchors(text: str, start: int, end: int) -> Between | None:
    """Return anchors that lead back to exactly this piece, or None when none do."""
    before = text[max(0, start - ANCHOR_CHARS) : start]
    # An anchor of its own digits would tie the piece to this one value's neighbours: keep the nearest words.
    before = re.split(r"\d", before)[-1] or before
    after = re.split(r"[\w]", text[end : end + ANCHOR_CHARS], maxsplit=1)[0]
    occurrence = 0
    position = text.find(before) if before else 0
    while before and 0 <= position < start - len(before):
        occurrence += 1
        position = text.find(before, position + len(before))
    if before and position != start - len(before):
        return None
    if not before and start:
        return None
    step = Between(before, after, occurrence)
    rest = text[start:]
    taken = rest if not step.after else rest.split(step.after, 1)[0]
    return step if taken == text[start:end] else None


def best(places: Sequence[Place], name: str, *, used: Sequence[Place] = ()) -> Place:
    """Return the place that most likely is the source of an argument.

    In this order: the result does not merely echo what its call was given; the path does not contain the
    value itself (a mapping keyed by id); the field has the argument's name; it stands in the record, or at
    least the result, that the call's other arguments came from; the field shares a word with the name; it
    is the latest; its path is short.

    Args:
        places: Candidates, at least one.
        name: The argument's name.
        used: Places that other arguments of the same call were bound to.
    """
    records = {(place.call.seq, place.path[:-1]) for place in used}
    origins = {place.call.seq for place in used}

    def rank(place: Place) -> tuple[bool, bool, bool, bool, bool, int, bool, int, int]:
        shared = set(name_words(place.key)) & set(name_words(name))
        circular = any(isinstance(step, str) and fold(step) == fold(place.value) for step in place.path)
        return (
            not place.echo, not circular, place.is_named(name),
            (place.call.seq, place.path[:-1]) in records, place.call.seq in origins,
            len(shared), not any(isinstance(step, int) for step in place.path),
            place.call.seq, -len(place.path),
        )  # fmt: skip

    return max(places, key=rank)


def flow(place: Place, node: str, wanted: Json) -> FromNode | None:
    """Return the binding that reads a place as exactly the wanted value, or None when no cast leads to it."""
    if isinstance(wanted, str):
        casts: tuple[str | None, ...] = (None, "string")
    else:
        casts = (None, "integer" if isinstance(wanted, int) else "number")
    for cast in casts:
        binding = FromNode(node, place.path, cast)
        try:
            got = resolve(binding, {}, {node: place.call.result})
        except UnresolvedError:
            continue
        if as_exact(got) == as_exact(wanted):
            return binding
    return None


def as_exact(value: Json) -> bytes:
    """Return JSON bytes: they tell apart what Python's equality does not, ``1``, ``1.0`` and ``true``."""
    try:
        return orjson.dumps(value, default=str)
    except TypeError:  # deeper, or an integer longer, than it can write
        return dump_json(value).encode()
