"""What stands beside the words on one side of a pattern's place, where the other side tells nothing.

Such a piece of text must end by itself, and the marks between it and the words must be the pattern's own:
after a bracket stands something else than after a blank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from skillsmith.library.matching.anchors import (
    FUNCTION_WORDS,
    QUOTES,
    Place,
    Span,
    Word,
    Wording,
    agreement,
    marks_in,
    words_of,
)

CLOSING_WORDS = FUNCTION_WORDS | frozenset(
    "please thanks then but so if when where which who how what using this these those there they them it "
    "its we you i he she be been was were will would can could should must may might do does did have has "
    "had all any some every each no not only also just than about against over under above below between "
    "through per during after before until since without within regarding".split()
)
"""Words that a value of a few words does not hold: it ends before them."""


def spans_beside(place: Place, wording: Wording, *, words: int) -> Iterator[Span]:
    """Yield the pieces of a text that stand after, or before, the words on one side of a place.

    The other side tells nothing, so the piece must end by itself: at a comma, a bracket, the sentence's end
    or a word like "and"; and it must have just as many words as the value that it stands for.

    Args:
        place: The place.
        wording: The text.
        words: How many words the place's known value has.
    """
    for slot in slots_beside(place, wording):
        quote = wording.quote_at(slot.start) if slot.left else None
        if quote is not None:
            yield replace(slot, start=quote[0] + 1, end=quote[1] - 1)
        elif len(words_of(wording.text[slot.start : slot.end])) == words and not wording.cuts_quote(
            slot.start, slot.end
        ):
            yield slot


def slots_beside(place: Place, wording: Wording) -> Iterator[Span]:
    """Yield what stands, up to its own end, beside telling words of one side of a place.

    Nothing is yielded where the value was left out, so that the other side's words stand there.
    """
    text = wording.text
    for index, word in enumerate(wording.words):
        left, right = agreement(place, wording, word.start, word.end)
        if left and _tells(place.left[-left:]) and _gap_before(wording, word) == place.gaps[0]:
            piece = _piece(wording, wording.words[index:], place.right[:1])
            if piece:
                start = word.start - (text[word.start - 1 : word.start] in tuple(QUOTES))
                yield Span(start=start, end=piece[-1].end, left=left, right=0)
        if right and _tells(place.right[:right]) and _gap_after(wording, word) == place.gaps[1]:
            piece = _piece(wording, wording.words[index::-1], place.left)
            if piece:
                yield Span(start=piece[-1].start, end=word.end, left=0, right=right)


def _gap_before(wording: Wording, word: Word) -> str:
    before = wording.before(word.start, 1)
    return marks_in(wording.text[before[0].end if before else 0 : word.start])


def _gap_after(wording: Wording, word: Word) -> str:
    after = wording.after(word.end, 1)
    return marks_in(wording.text[word.end : after[0].start if after else len(wording.text)])


def _tells(words: Iterable[str]) -> bool:
    return bool(set(words) - FUNCTION_WORDS)


def _piece(wording: Wording, words: Sequence[Word], other_side: Sequence[str]) -> list[Word]:
    """Return the words, going one way, up to where a value of a few words ends."""
    piece: list[Word] = []
    for word in words:
        first, last = sorted((piece[-1] if piece else word, word), key=lambda one: one.start)
        apart = wording.text[first.end : last.start].strip(" -/") if piece else ""
        if word.text in CLOSING_WORDS or word.text in other_side or apart:
            break
        piece.append(word)
    return piece
