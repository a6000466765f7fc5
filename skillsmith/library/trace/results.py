"""Where a literal stands in earlier tool results: as a whole JSON leaf, or as a piece of text in one.

Leaves are indexed by their folded text, so that looking a value up costs the same however long the run is.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from skillsmith.library.program.bindings import UnresolvedError, as_text, resolve, show_path
from skillsmith.library.program.effects import name_words
from skillsmith.library.trace.calls import Call
from skillsmith.models import Between, FromNode, Json, PathStep, Witness

ANCHOR_CHARS = 24
"""How much fixed text on each side of a piece of text finds it again."""

PHRASE_CHARS = 5
"""Shorter leaves say too little to be recognised inside a longer text."""

MAX_LEAVES = 20_000
"""A result with more leaves is indexed only so far."""


@dataclass(frozen=True, slots=True)
class Place:
    """One leaf of one result: which call's, the path to it, and the value there."""

    call: Call
    path: tuple[PathStep, ...]
    value: Json

    @property
    def key(self) -> str:
        """The last field name on the path."""
        return next((step for step in reversed(self.path) if isinstance(step, str)), "")

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
        for count, (path, value) in enumerate(_leaves(call.result)):
            if count >= MAX_LEAVES:
                return
            place = Place(call, path, value)
            self._leaves[fold(value)].append(place)
            if path and isinstance(path[-1], str):
                self._fields[fold(path[-1])].append(place)
            for step in path[:-1]:
                if isinstance(step, str):
                    self._fields[fold(step)].append(place)
            if isinstance(value, str) and re.search(r"\s|[,;:/=]", value):
                self._texts.append(place)

    def exact(self, value: Json, *, before: int) -> list[Place]:
        """Return the leaves that hold the value, of results known before an event."""
        return [place for place in self._leaves.get(fold(value), ()) if place.call.known_before(before)]

    def phrases_in(self, text: str, *, before: int) -> list[str]:
        """Return text leaves of earlier results that stand in a longer text as whole words, longest first."""
        folded = text.casefold()
        found = {
            str(place.value)
            for key, places in self._leaves.items()
            if len(key) >= PHRASE_CHARS and key in folded
            for place in places
            if isinstance(place.value, str) and place.call.known_before(before) and place.value in text
        }
        return sorted(
            (phrase for phrase in found if " " in phrase or not phrase.islower()), key=len, reverse=True
        )

    def field_names(self, value: Json, *, before: int) -> list[Place]:
        """Return leaves that have the value as a field name on their path."""
        return [place for place in self._fields.get(fold(value), ()) if place.call.known_before(before)]

    def pieces(self, value: Json, *, before: int) -> Iterator[Place]:
        """Yield places where the value is a whole word inside a longer text, with anchors that find it."""
        text = as_text(value)
        pattern = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
        for place in reversed(self._texts):
            if not place.call.known_before(before):
                continue
            found = pattern.search(str(place.value))
            if found and len(text) < len(str(place.value)):
                step = _anchors(str(place.value), found.start(), found.end())
                if step is not None:
                    yield Place(place.call, (*place.path, step), text)


def fold(value: Json) -> str:
    """Return what two spellings of one scalar have in common: ``247``, ``247.0`` and ``"247"`` are one."""
    if isinstance(value, bool) or value is None:
        return f"\0{value}"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value).strip().casefold()


def _leaves(value: Json, path: tuple[PathStep, ...] = ()) -> Iterator[tuple[tuple[PathStep, ...], Json]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


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
            not echoes(place), not circular, place.key == name,
            (place.call.seq, place.path[:-1]) in records, place.call.seq in origins,
            len(shared), not any(isinstance(step, int) for step in place.path),
            place.call.seq, -len(place.path),
        )  # fmt: skip

    return max(places, key=rank)


def echoes(place: Place) -> bool:
    """Whether the call was itself given this value, so that its result says nothing new."""
    return any(fold(value) == fold(place.value) for _, value in _leaves(place.call.arguments))


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
    return orjson.dumps(value, default=str)
