"""Which of many known phrases stand in a text, and which of many texts hold a phrase, by whole words.

Each is filed under its rarest word, so that looking one up costs the same however much a run has said.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from skillsmith.word_pieces import UNSPACED

T = TypeVar("T")

_WORD = re.compile(rf"[^\W{UNSPACED}]+")
_UNSPACED = re.compile(rf"[{UNSPACED}]")


@dataclass(frozen=True, slots=True)
class Whole:
    """A pattern that matches whole words only.

    The ends are looked at here: a pattern that holds all those letters takes milliseconds to compile.

    Args:
        pattern: Without its ends.
        begins: Whether a word may have to begin where it begins.
        ends: Whether a word may have to end where it ends.
    """

    pattern: re.Pattern[str]
    begins: bool
    ends: bool

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Yield every match in a text that stands alone."""
        at = 0
        while (found := self.pattern.search(text, at)) is not None:
            start, end = found.span()
            inside = self.begins and _goes_on(text[start - 1 : start] if start else "")
            if inside or (self.ends and _goes_on(text[end : end + 1])):
                at = start + 1
            else:
                yield found
                at = max(end, start + 1)

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match in a text that stands alone."""
        return next(self.finditer(text), None)


def _goes_on(letter: str) -> bool:
    """Tell whether a word goes on with a letter."""
    return (letter.isalnum() or letter == "_") and (letter.isascii() or _UNSPACED.match(letter) is None)


def whole(text: str, pattern: str | None = None, flags: re.RegexFlag = re.NOFLAG) -> Whole:
    """Return a pattern that finds a text as whole words.

    Args:
        text: As it begins and ends, so do all spellings of it.
        pattern: Of its spellings; None: just as it is.
        flags: Of the pattern.
    """
    made = re.compile(re.escape(text) if pattern is None else pattern, flags)
    return Whole(made, not _UNSPACED.match(text[:1]), not _UNSPACED.match(text[-1:]))


def count_chars(text: str) -> int:
    """Return how much a text says, in letters: a sign that is a syllable or a word counts for two."""
    return len(text) + len(_UNSPACED.findall(text))


class PhraseIndex(Generic[T]):
    """Phrases to be recognised in longer texts.

    Args:
        phrases: Each with what belongs to it.
    """

    def __init__(self, phrases: Iterable[tuple[str, T]]) -> None:
        kept = [(phrase, set(_WORD.findall(phrase)), item) for phrase, item in phrases]
        counts = Counter(word for _, words, _ in kept for word in words)
        self._filed: dict[str, dict[str, list[T]]] = defaultdict(dict)
        for phrase, words, item in kept:
            rarest = min(words, key=lambda word: (counts[word], -len(word), word), default="")
            self._filed[rarest].setdefault(phrase, []).append(item)

    def within(self, text: str) -> Iterator[tuple[str, list[T]]]:
        """Yield each phrase that a text may hold as whole words, with all that belongs to it."""
        for word in {*_WORD.findall(text), ""} & self._filed.keys():
            for phrase, items in self._filed[word].items():
                if phrase in text:
                    yield phrase, items


class TextIndex:
    """Texts, by number, to be searched for a phrase.

    Args:
        texts: In order.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._holding: dict[str, list[int]] = defaultdict(list)
        self._count = 0
        for text in texts:
            for word in set(_WORD.findall(text)):
                self._holding[word].append(self._count)
            self._count += 1

    def candidates(self, phrase: str) -> Iterable[int]:
        """Return the numbers of texts that hold the rarest word of a phrase, latest first."""
        words = _WORD.findall(phrase)
        if not words:
            return range(self._count - 1, -1, -1)
        return reversed(min((self._holding.get(word, []) for word in words), key=len))


class Haystack:
    """Texts to be searched for any string, in order; case does not count.

    Args:
        texts: In order.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._starts: list[int] = []
        parts: list[str] = []
        length = 0
        for text in texts:
            folded = text.casefold()
            self._starts.append(length)
            parts.append(folded)
            length += len(folded) + 1
        self._text = "\0".join(parts)
        self._first: dict[str, int] = {}

    def first(self, wanted: str) -> int | None:
        """Return the number of the first text that holds a string; None when none does."""
        folded = wanted.casefold()
        if folded not in self._first:
            self._first[folded] = self._text.find(folded)
        found = self._first[folded]
        if found < 0:
            return None
        return bisect_right(self._starts, found) - 1
