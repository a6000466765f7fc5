"""Whether a model knows words: one that reads a text letter by letter, or as unknown, tells nothing of it.

Models for English have the letters of many scripts, and make of them vectors that mean nothing and are all
near each other; of invented words of a field they see syllables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

MOST_PIECES = 2
"""A word in more pieces than these was seldom seen when the model was made."""
_UNKNOWN = frozenset({"[UNK]", "<unk>"})
_WORD_SIGNS = ("\u3400", "\u9fff")  # a Chinese sign is a word, so models that know it read it alone


@runtime_checkable
class KnowsWords(Protocol):
    """An embedder that can tell which words its model knows."""

    def knows(self, words: Sequence[str]) -> list[bool]:
        """Tell of each word whether the model knows it."""
        ...


def known_words(tokenizer: Any, words: Sequence[str]) -> list[bool]:
    """Tell of each word whether a model knows it; what is too far behind to be read counts as known.

    Args:
        tokenizer: Of the model, from the tokenizers package.
        words: In order.
    """
    read = tokenizer.encode(list(words), is_pretokenized=True, add_special_tokens=False)
    pieces = defaultdict[int, list[str]](list)
    for number, piece in zip(read.word_ids, read.tokens, strict=True):
        if piece.strip("\u2581#"):
            pieces[number].append(piece)
    return [_is_known(word, pieces[number]) for number, word in enumerate(words)]


def _is_known(word: str, pieces: Sequence[str]) -> bool:
    if len(pieces) > MOST_PIECES or not _UNKNOWN.isdisjoint(pieces):
        return False
    signs = all(_WORD_SIGNS[0] <= letter <= _WORD_SIGNS[1] for letter in word)
    return signs or len(word) == 1 or len(pieces) < len(word)
