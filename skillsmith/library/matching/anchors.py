"""Where a task pattern's places stand in another task: the whole pattern, or the words around one place."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from skillsmith.library.matching.mentions import quotes_in
from skillsmith.word_pieces import UNSPACED, has_runs

MIN_FIXED_WORDS = 2
"""A pattern with fewer words of its own would match anything."""
MAX_PATTERN = 100_000
"""No task is a longer pattern with other values in it."""

REACH_LEFT, REACH_RIGHT = 4, 3
"""How many words on each side of a place say what stands there."""

_WORD = re.compile(r"\w+(?:['\u2019]\w+)?")
_BREAK = re.compile(r"[.!?;:](?=\s|$)|\n")
FUNCTION_WORDS = frozenset(
    "a an and are as at by for from in into is it of on or that the to via with your my".split()
)
QUOTES = "\"'“”\u2018\u2019`"
_BRACKETS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a text: folded, and where it stands."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One ``{variable}`` of a task pattern with its surroundings.

    Args:
        left: Words before it in its sentence, the nearest last.
        right: Words after it in its sentence, the nearest first.
        ends: Whether its sentence ends with it.
        begins: Whether its sentence begins with it.
        quoted: Whether it stands in quotes.
        gaps: Marks between it and the nearest word on each side, such as a bracket.
    """

    variable: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    begins: bool
    ends: bool
    quoted: bool = False
    gaps: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of a task that surroundings lead to, and how many words on each side agree."""

    start: int
    end: int
    left: int
    right: int

    @property
    def agreement(self) -> int:
        """Words that agree in all."""
        return self.left + self.right


class Wording:
    """A text with its words and the ends of its sentences.

    Args:
        text: The text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = words_of(text)
        self._starts = [word.start for word in self.words]
        self._ends = [word.end for word in self.words]
        self._breaks = [found.start() for found in _BREAK.finditer(text)]
        self._quoted = [(start, end) for start, end, _ in quotes_in(text)]

    def before(self, position: int, count: int) -> list[Word]:
        """Return the words before a position, the nearest first."""
        index = bisect_right(self._ends, position)
        return self.words[max(index - count, 0) : index][::-1]

    def after(self, position: int, count: int) -> list[Word]:
        """Return the words after a position, the nearest first."""
        index = bisect_left(self._starts, position)
        return self.words[index : index + count]

    def stop(self, start: int, end: int) -> int | None:
        """Return where a sentence ends between two positions, or None."""
        index = bisect_left(self._breaks, start)
        return self._breaks[index] if index < len(self._breaks) and self._breaks[index] < end else None

    def cuts_quote(self, start: int, end: int) -> bool:
        """Whether a span has a part of a quoted text, or more than it: what is quoted is one piece."""
        return any(
            start < last and end > first and (start, end) != (first + 1, last - 1)
            for first, last in self._quoted
            if last - first <= len(self.text) / 2  # else it is the task that stands in quotes
        )

    def quote_at(self, position: int) -> tuple[int, int] | None:
        """Return the quoted text that begins at a position, with its quotes."""
        return next((span for span in self._quoted if span[0] == position), None)

    def begins_sentence(self, position: int) -> bool:
        """Whether a sentence begins with the word at a position."""
        before = self.before(position, 1)
        return not before or self.stop(before[0].end, position) is not None


def words_of(text: str) -> list[Word]:
    """Return a text's words in order; in scripts without spaces every letter is one."""
    word = _word_or_letter() if has_runs(text) else _WORD
    return [Word(found[0].casefold(), found.start(), found.end()) for found in word.finditer(text)]


@cache
def _word_or_letter() -> re.Pattern[str]:
    """Return the pattern for such texts, which takes milliseconds to compile."""
    letter = rf"[^\W{UNSPACED}]"
    return re.compile(rf"[{UNSPACED}]|{letter}+(?:['\u2019]{letter}+)?")


def places_in(pattern: str, names: Iterable[str]) -> list[Place]:
    """Return a pattern's places; braces around anything but these names stand for themselves."""
    return list(_places_in(pattern, tuple(names)))


@lru_cache(maxsize=64)
def _places_in(pattern: str, names: tuple[str, ...]) -> tuple[Place, ...]:
    if len(pattern) > MAX_PATTERN:
        return ()
    marks = list(_marks(pattern, names))
    places = []
    for mark in marks:
        others = [other for other in marks if other is not mark]
        start = max((other.end() for other in others if other.end() <= mark.start()), default=0)
        end = min((other.start() for other in others if other.start() >= mark.end()), default=len(pattern))
        before, after = pattern[start : mark.start()], pattern[mark.end() : end]
        before, cut_left = _last_sentence(before)
        after, cut_right = _first_sentence(after)
        left = tuple(word.text for word in words_of(before))[-REACH_LEFT:]
        right = tuple(word.text for word in words_of(after))[:REACH_RIGHT]
        places.append(Place(
            variable=mark[1], left=left, right=right,
            begins=not left and (cut_left or start == 0),
            ends=not right and (cut_right or end == len(pattern)),
            quoted=pattern[mark.start() - 1 : mark.start()] in tuple(QUOTES)
            and pattern[mark.end() : mark.end() + 1] in tuple(QUOTES),
            gaps=(marks_in(re.split(r"\w", before)[-1]), marks_in(re.split(r"\w", after)[0])),
        ))  # fmt: skip
    return tuple(places)


def _marks(pattern: str, names: Iterable[str]) -> Iterator[re.Match[str]]:
    alternatives = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return re.finditer(rf"\{{({alternatives})\}}", pattern) if alternatives else iter(())


def marks_in(gap: str) -> str:
    """Return what of the text between two words is no blank and no quote."""
    return "".join(character for character in gap if not character.isspace() and character not in QUOTES)


def _last_sentence(text: str) -> tuple[str, bool]:
    breaks = list(_BREAK.finditer(text))
    return (text[breaks[-1].end() :], True) if breaks else (text, False)


def _first_sentence(text: str) -> tuple[str, bool]:
    found = _BREAK.search(text)
    return (text[: found.start()], True) if found else (text, False)


def match_whole(pattern: str, task: str, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the span of each place when the task is the pattern with other values in it, else nothing.

    A place whose span depends on how the others are read is left out: the text between places is looked
    for from the left and from the right, and both must agree.
    """
    if len(pattern) > MAX_PATTERN:
        return {}
    marks = list(_marks(pattern, names))
    cuts = [0, *(edge for mark in marks for edge in mark.span()), len(pattern)]
    fixed = [pattern[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True)]
    fixed[-1] = fixed[-1].rstrip(" .!?\n")
    possible = marks and all(fixed[1:-1]) and all(map(_in(task), fixed))
    if not possible or len(_WORD.findall(" ".join(fixed))) < MIN_FIXED_WORDS:
        return {}
    first = re.match(_flexible(fixed[0].lstrip()), task, re.IGNORECASE)
    last = re.search(_flexible(fixed[-1]) + r"[\s.!?]*\Z", task, re.IGNORECASE)
    if first is None or last is None or first.end() >= last.start():
        return {}
    inner = [re.compile(_flexible(text), re.IGNORECASE) for text in fixed[1:-1]]
    forward = _from_left(inner, task, first.end(), last.start())
    backward = _from_right(inner, task, first.end(), last.start())
    if forward is None or backward is None:
        return {}
    spans: dict[str, tuple[int, int]] = {}
    for mark, one, other in zip(marks, forward, backward, strict=True):
        known = spans.get(mark[1], one)
        if task[slice(*known)].casefold() != task[slice(*one)].casefold():
            return {}  # one variable cannot have two values
        if one == other:
            spans[mark[1]] = one
    return spans


def _in(task: str) -> Callable[[str], bool]:
    """Return what tells whether a task may hold a text: most hold none, and to search them costs far more."""
    said = " ".join(task.split()).casefold()
    return lambda text: " ".join(text.split()).casefold() in said


def _from_left(
    inner: Sequence[re.Pattern[str]], task: str, start: int, end: int
) -> list[tuple[int, int]] | None:
    spans = []
    for separator in inner:
        found = separator.search(task, start + 1, end)
        if found is None:
            return None
        spans.append((start, found.start()))
        start = found.end()
    return [*spans, (start, end)] if start < end else None


def _from_right(
    inner: Sequence[re.Pattern[str]], task: str, start: int, end: int
) -> list[tuple[int, int]] | None:
    spans = []
    for separator in reversed(inner):
        found = list(separator.finditer(task, start + 1, end - 1))
        if not found:
            return None
        spans.append((found[-1].end(), end))
        end = found[-1].start()
    return [(start, end), *reversed(spans)] if start < end else None


def _flexible(text: str) -> str:
    return r"\s+".join(re.escape(part) for part in re.split(r"\s+", text))


def agreement(place: Place, wording: Wording, start: int, end: int) -> tuple[int, int]:
    """Return how many words before and after a span are those around a place, within its sentence."""
    before, after = wording.before(start, REACH_LEFT), wording.after(end, REACH_RIGHT)
    left = _common(place.left[::-1], before)
    right = _common(place.right, after)
    if left and wording.stop(before[left - 1].end, start) is not None:
        left = 0
    if right and wording.stop(end, after[right - 1].start) is not None:
        right = 0
    return left, right


def _common(wanted: Iterable[str], found: Iterable[Word]) -> int:
    count = 0
    for one, other in zip(wanted, found, strict=False):
        if one != other.text and stem(one) != stem(other.text):
            break
        count += 1
    return count


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """Return a word without its plural ending; ``baggages`` and ``bags`` are one."""
    if word.endswith("ies") and len(word) > len("ties"):
        return word[: -len("ies")] + "y"
    for ending in ("gages", "gage", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 - (ending == "gages"):
            return word[: -len(ending)]
    return word


def spans_between(place: Place, wording: Wording, *, max_words: int) -> Iterator[Span]:
    """Yield the pieces of a text that stand between the words around a place.

    Both sides must agree: by a telling word, or by the sentence's beginning or end where the place has none.

    Args:
        place: The place.
        wording: The text.
        max_words: A longer piece is none.
    """
    for first, word in enumerate(wording.words):
        before = wording.before(word.start, REACH_LEFT)
        left = _common(reversed(place.left), before)
        opens = not before or wording.stop(before[0].end, word.start) is not None
        if left and opens:
            left = 0
        if not left and not (place.begins and opens):
            continue
        telling = not left or {one.text for one in before[:left]} - FUNCTION_WORDS
        for stop, right in _extend(place, wording, first, max_words):
            if telling or left + right > MIN_FIXED_WORDS:
                start, end = _trimmed(wording.text, before[0].end if before else 0, stop)
                if start < end and not wording.cuts_quote(start, end):
                    yield Span(start=start, end=end, left=max(left, 1), right=right)


def _extend(place: Place, wording: Wording, first: int, max_words: int) -> Iterator[tuple[int, int]]:
    """Yield each end of a piece that begins with a word, and how many words after it agree."""
    words = wording.words
    for last in range(first, min(first + max_words, len(words))):
        following = words[last + 1 : last + 1 + REACH_RIGHT]
        next_start = following[0].start if following else len(wording.text)
        stop = wording.stop(words[last].end, next_start)
        right = _common(place.right, following)
        if stop is not None or not following:
            if place.ends:
                yield next_start if stop is None else stop, 1
            return
        if right:
            yield next_start, right


def ends_like(place: Place, wording: Wording, start: int, end: int) -> bool:
    """Whether a span begins or ends its sentence just as the place does."""
    before, after = wording.before(start, 1), wording.after(end, 1)
    opens = not before or wording.stop(before[0].end, start) is not None
    closes = not after or wording.stop(end, after[0].start) is not None
    return (place.begins and opens) or (place.ends and closes)


def _trimmed(task: str, start: int, end: int) -> tuple[int, int]:
    """Return a span without blanks, quotes, commas and lone brackets at its ends."""
    while end > start and (
        task[end - 1].isspace() or task[end - 1] in QUOTES + ",:;.!?" or _ends_alone(task[start:end])
    ):
        end -= 1
    while start < end and (
        task[start].isspace() or task[start] in QUOTES + ",:" or _begins_alone(task[start:end])
    ):
        start += 1
    return start, end


def _ends_alone(text: str) -> bool:
    """Whether a text ends with a bracket whose other half is not in it."""
    last = text[-1]
    return last in _BRACKETS.values() or (
        last in _BRACKETS and text.count(last) > text.count(_BRACKETS[last])
    )


def _begins_alone(text: str) -> bool:
    """Whether a text begins with a bracket whose other half is not in it."""
    closing = {opening: close for close, opening in _BRACKETS.items()}.get(text[0])
    return text[0] in _BRACKETS or (closing is not None and text.count(text[0]) > text.count(closing))
