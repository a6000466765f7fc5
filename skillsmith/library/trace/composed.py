"""Which pieces of a longer text that a call was given may come from somewhere else.

An identifier or figure is one by its look; a phrase is one when a person said it and another call was given
it as a whole; a plain number is one when a person said it of the very thing that the text says it of.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from skillsmith.library.program.bindings import as_text
from skillsmith.library.trace.calls import Call, Said
from skillsmith.library.trace.literals import STRONG_CHARS, Occurrence, find, is_weak
from skillsmith.library.trace.phrases import PhraseIndex, whole
from skillsmith.models import Json

_PIECE = re.compile(r"[#\w](?:[\w@#.:/-]*\w)?")
_NEXT_WORD = re.compile(r"[\s-]*([A-Za-z]{3,})")


def pieces(text: str, known: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield spans of known values and of what looks like an identifier or a figure, without overlap."""
    taken: list[tuple[int, int]] = []
    for value in known:
        taken += [found.span() for found in whole(value).finditer(text) if _is_free(found.span(), taken)]
    for found in _PIECE.finditer(text):
        piece = found[0]
        telling = any(character.isdigit() or character in "_@" for character in piece)
        coded = piece.isupper() and len(piece) > STRONG_CHARS
        if (coded or (telling and len(piece) > 1)) and _is_free(found.span(), taken):
            taken.append(found.span())
    yield from sorted(taken)


def _is_free(span: tuple[int, int], taken: Sequence[tuple[int, int]]) -> bool:
    return all(span[1] <= start or span[0] >= end for start, end in taken)


class GivenPhrases:
    """Texts and numbers that the calls of a run were given, with the names of their parameters.

    Args:
        calls: All calls of the run.
        words: What people said.
    """

    def __init__(self, calls: Sequence[Call], words: Sequence[Said]) -> None:
        self._words = words
        given = [(name, value, call) for call in calls for name, value in _leaves(call.arguments)]
        self._phrases = PhraseIndex(
            (value, (name, call.seq))
            for name, value, call in given
            if isinstance(value, str) and call.error is None and not is_weak(value)
        )
        self._names: dict[tuple[type, Json], set[str]] = defaultdict(set)
        for name, value, _ in given:
            if isinstance(value, (int, float)):
                self._names[type(value), value].add(name)

    def said_within(self, text: str, *, before: int) -> dict[str, str]:
        """Return phrases of a text that people said and that another call was given, with their names.

        Args:
            text: What a call was given.
            before: Sequence number of the call.
        """
        found: dict[str, str] = {}
        for value, given in self._phrases.within(text):
            others = [name for name, seq in given if seq != before]
            if others and value != text and find(value, self._words, before=before) is not None:
                found[value] = others[-1]
        return found

    def names_of(self, number: float) -> set[str]:
        """Return under which names calls were given just this number."""
        return self._names.get((type(number), number), set())


def counted(
    number: float, after: str, given: GivenPhrases, words: Sequence[Said], *, before: int
) -> tuple[str, Occurrence] | None:
    """Return name and place of a number that people said of the thing that a text says it of.

    Where a call was given the same number, it must have it from there too: else the text would follow a new
    task, and the call would not.

    Args:
        number: The number.
        after: The text after it.
        given: What all calls of the run were given.
        words: What people said.
        before: Sequence number of the call that was given the text.
    """
    unit = _NEXT_WORD.match(after)
    found = find(number, words, before=before, near=unit[1]) if unit else None
    if unit is None or found is None or _thing(found) != unit[1].lower():
        return None
    names = given.names_of(number)
    if not names:
        return unit[1].lower(), found
    said = [name for name in sorted(names) if find(number, words, before=before, near=name) is not None]
    return (said[0], found) if len(said) == len(names) == 1 else None


def _thing(found: Occurrence) -> str:
    """Return the word after a number in what was said."""
    word = _NEXT_WORD.match(found.said.text, found.end)
    return word[1].lower() if word else ""


def _leaves(value: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every leaf of a call's arguments with the last field name on its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, name)
    elif value is not None:
        yield name, value


def number_in(text: str) -> int | float | None:
    """Return the number that a text is, when it is spelled just as the number would be; else None."""
    if re.fullmatch(r"-?\d{1,15}", text):
        return int(text) if str(int(text)) == text else None
    if re.fullmatch(r"-?\d{1,15}\.\d{1,10}", text):
        return float(text) if as_text(float(text)) == text else None
    return None
