"""How much a task and a skill share in words, apart from how rare the words are.

Pure text: no index and no model. Names are read as the words they are made of (``cancel_reservation`` says
"cancel reservation"), and words are compared by their stems. Where a script has no spaces, its pieces are
the words (skillsmith/word_pieces.py), and its letters those of a phrasing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

from skillsmith.word_pieces import in_letters, in_pieces

MAX_CHARACTERS = 4000
"""Of a longer text only the beginning is compared."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_PLACE = re.compile(r"\{\w+\}")
_PIECE = re.compile(
    r"(?P<value>\"[^\"\n]+\"|“[^”\n]+”|「[^」\n]+」|`[^`\n]+`|(?<!\w)'[^'\n]+'(?!\w)|\{\w+\})|[\w'\u2019-]+|[.!?:\n]"
)
_SENTENCE_ENDS = ".!?:\n"
_VALUE, _EDGE = "…", "|"
_STOP_WORDS = frozenset(
    "a about all also am an and any are as at be been being but by can could did do does don for from get had"
    " has have he help her his how i if in into is it its just let m may me might my need no not of on or our"
    " please s she should so some such t than that the their them then there these they this to too us very"
    " want was we were what when where which who why will with would you your".split()
)
_ENDINGS = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", ""))
_SHORTEST_STEM = 3
_DOUBLED_AT_HOME = "lsz"  # "cancell", "pass", "buzz": the doubling belongs to the word


def spoken(name: str) -> str:
    """Return a name as words: ``getUserDetails`` and ``get_user_details`` both as "get user details"."""
    return " ".join(_WORD.findall(_HUMP.sub(" ", name))).lower()


def without_places(pattern: str) -> str:
    """Return a task pattern without its ``{variables}``."""
    return _PLACE.sub(" ", pattern)


def telling_words(text: str) -> list[str]:
    """Return the distinct words of a text that tell something, in order; all of them when none does."""
    words = list(dict.fromkeys(_words(text)))
    telling = [word for word in words if word not in _STOP_WORDS and (len(word) > 1 or word.isdigit())]
    return telling or words


@lru_cache(maxsize=1024)
def stems(text: str) -> frozenset[str]:
    """Return the stems of all words of a text."""
    return frozenset(map(stem, _words(text)))


@lru_cache(maxsize=1024)
def telling_stems(text: str) -> frozenset[str]:
    """Return the stems of a text's telling words."""
    return frozenset(map(stem, telling_words(text)))


def likeness(task: str, texts: Iterable[str]) -> float:
    """Return the largest share of common words, small ones included, between a task and one of the texts.

    Returns:
        Dice's coefficient, 0 to 1.
    """
    said = stems(task[:MAX_CHARACTERS])
    return max((_dice(said, stems(text[:MAX_CHARACTERS])) for text in texts), default=0.0)


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    total = len(one) + len(other)
    return 2 * len(one & other) / total if total else 0.0


def phrasing(task: str, texts: Iterable[str]) -> float:
    """Return how much the phrasing of a task is that of one of the texts, apart from their values.

    Compared are the pairs of neighbouring words, small ones included: "what is the … of the …" is what
    phrasings of one template have in common. Names, numbers and quoted pieces are what differs between them,
    so each counts as the same empty place.

    Returns:
        The largest share of common pairs (Dice's coefficient), 0 to 1.
    """
    said = _pairs(task[:MAX_CHARACTERS])
    return max((_common(said, _pairs(text[:MAX_CHARACTERS])) for text in texts), default=0.0)


def _common(one: Counter[str], other: Counter[str]) -> float:
    both = sum([min(one[pair], other[pair]) for pair in one.keys() & other.keys()])
    return 2 * both / (one.total() + other.total())


@lru_cache(maxsize=4096)
def _pairs(text: str) -> Counter[str]:
    """Return how often each pair of neighbouring words stands in a text, its begin and end included."""
    return Counter(map(" ".join, pairwise((_EDGE, *_phrase(text), _EDGE))))


def _phrase(text: str) -> Iterator[str]:
    """Yield the stems of a text, with one place for each run of names, numbers and quoted pieces."""
    begins, last = True, ""
    for found in _PIECE.finditer(in_letters(text)):
        piece = found[0]
        if piece.isalpha() and piece.islower():  # most are, and this is what matching does most
            begins, last = False, piece
            yield stem(piece)
            continue
        name = piece[0].isupper() and not begins and piece != "I"
        begins = piece in _SENTENCE_ENDS
        if found["value"] or name or any(map(str.isdigit, piece)):
            pieces = [] if last == _VALUE else [_VALUE]
        else:
            pieces = [stem(word) for word in _words(piece)]
        yield from pieces
        last = [last, *pieces][-1]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_HUMP.sub(" ", in_pieces(text)))]


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return a word without its commonest endings: plot, plots, plotted and plotting are one."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word.removesuffix(ending) + instead
            break
    if len(word) > _SHORTEST_STEM and word.endswith("e"):
        word = word[:-1]
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2] and word[-1] not in _DOUBLED_AT_HOME:
        word = word[:-1]
    return word[:-1] + "i" if len(word) > _SHORTEST_STEM and word.endswith("y") else word
