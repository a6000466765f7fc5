"""Where a literal of the code stands in what people said, and whether that proves anything.

A match must be a whole word or number. What is short or common (``1``, ``0.5``, ``mean``) proves nothing
alone: one of the names beside the literal in the code must stand near it in the words as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from skillsmith.library.code.literals import Literal
from skillsmith.library.matching.mentions import NUMBER_WORDS
from skillsmith.library.program.effects import name_words
from skillsmith.library.trace.calls import Said
from skillsmith.library.trace.literals import Occurrence, find, type_of
from skillsmith.models import Json

REACH = 6
"""How many words away a second witness may stand."""

_FILE_OR_URL = re.compile(r"\S*(?:/|@|://)\S*|\S+\.[A-Za-z]\w{0,4}(?!\w)|\d{1,4}(?:[-/.:]\d{1,4}){2,}")
_NUMBER = re.compile(r"(?<![\w.,])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w|[.,]\d)")
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(NUMBER_WORDS)})\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z]+")
_UNIT = re.compile(r"\s?-?\s?([A-Za-z]{2,})")
_LABEL = re.compile(r"([A-Za-z]{2,})\s*(?:of|=|:|is|to|at|equals|set to)?\s*\Z")
_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_FILLER = frozenset(
    "a an the of for to in on at by as is are be with from and or not it its this that these those than then "
    "each every all any some most only into per over under above below between about using use please give "
    "show make get find set new old see your my our their we you they he she more less least same".split()
)
_COMMON = _FILLER | frozenset(
    "true false none null yes no auto data file files name names value values text type list test index row "
    "rows column columns key keys id user result results output input number string int float date time mean "
    "sum count max min median std left right inner outer both first last top bottom line bar plot chart "
    "table title label figure csv json png pdf python code default utf ascii error info red blue green black "
    "white".split()
)
_SYNONYMS = {
    "head": {"first", "top"}, "tail": {"last", "bottom"}, "nlargest": {"top", "largest", "highest"},
    "nsmallest": {"smallest", "lowest"}, "round": {"decimal", "place", "digit"},
    "rolling": {"window", "moving"}, "limit": {"first", "top", "most"}, "dpi": {"resolution"},
}  # fmt: skip
_SMALL = 10
_SHORT = 3


class Words:
    """What people said in a run.

    Args:
        said: Sequence number, "task" or "user", and the words, in order.
    """

    def __init__(self, said: Sequence[tuple[int, str, str]]) -> None:
        self.said = [Said(*item) for item in said]

    def mentions(self, value: Json, *, before: int) -> list[Occurrence]:
        """Return where a value was said before an event, the most literal spelling first.

        Args:
            value: A string or number.
            before: Sequence number of the event that used it.
        """
        heard = [said for said in self.said if said.where == "task" or said.seq < before]
        if isinstance(value, str | bool):
            return self._texts(str(value), heard)
        return [found for said in heard for found in _numbers(said) if _number(found) == value]

    def _texts(self, value: str, heard: Sequence[Said]) -> list[Occurrence]:
        text = value.strip()
        if not re.search(r"\w", text):
            return []
        for flags in (re.NOFLAG, re.IGNORECASE):
            pattern = re.compile(_whole(text), flags)
            found = [
                Occurrence(said, match.start(), match.end())
                for said in heard
                for match in pattern.finditer(said.text)
            ]
            if found:
                return found
        if re.search(r"[./\s]", text):
            return []
        other = find(text, heard, before=max((said.seq for said in heard), default=0) + 1)
        return [other] if other else []


def _whole(text: str) -> str:
    if re.search(r"\w\.\w|/", text):  # a file name is more than the word before its dot
        return rf"(?<![\w.-]){re.escape(text)}(?![\w/-]|\.\w)"
    before = r"(?<!\w)" if re.match(r"[\w.]", text) else ""  # an ending is a part of some file's name
    after = r"(?!\w)" if re.search(r"\w\Z", text) else ""
    return f"{before}{re.escape(text)}{after}"


@lru_cache(maxsize=64)
def _numbers(said: Said) -> tuple[Occurrence, ...]:
    """Return the numbers in words, but none inside file names, addresses, dates or versions."""
    plain = _FILE_OR_URL.sub(lambda match: "_" * len(match[0]), said.text)
    matches = [*_NUMBER.finditer(plain), *_NUMBER_WORD.finditer(plain)]
    return tuple(Occurrence(said, match.start(), match.end()) for match in matches)


def _number(found: Occurrence) -> float:
    text = spelled(found).lower()
    return NUMBER_WORDS.index(text) if text in NUMBER_WORDS else float(text.replace(",", ""))


def spelled(found: Occurrence) -> str:
    """Return the words that were matched."""
    return found.said.text[found.start : found.end]


def is_quoted(found: Occurrence) -> bool:
    """Whether the value stands in quotes: then it is a value beyond doubt."""
    text = found.said.text
    return text[max(found.start - 1, 0) : found.start] in tuple(_QUOTES) and text[
        found.end : found.end + 1
    ] in tuple(_QUOTES)


def is_weak(value: Json) -> bool:
    """Whether a value is too short or common to prove anything by standing in the words."""
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        plain = abs(value)
        return plain <= _SMALL or plain in {100, 1000, 10_000}
    text = str(value).strip()
    if len(text) < _SHORT or text.lower() in _COMMON:
        return True
    return text.isalpha() and text.islower() and len(text) <= _SHORT


def is_supported(found: Occurrence, literal: Literal) -> bool:
    """Whether a name beside the literal in the code stands near the value in the words."""
    return distance(found, literal) is not None


def distance(found: Occurrence, literal: Literal) -> int | None:
    """Return how far a name beside the literal stands from the value in the words; None beyond reach.

    The literal's own name is always nearer than the function it is given to or other names.
    """
    beside = literal.beside
    call = "" if is_display(literal) else (beside.call or "").rpartition(".")[2]
    own = set(_telling([beside.name]))
    others = set(_telling([call, *beside.words]))
    before, after = _around(found)
    steps = [
        index + (0 if word in own else REACH)
        for words in (reversed(before), after)
        for index, word in enumerate(words)
        if word in own or word in others
    ]
    return min(steps, default=None)


def _telling(names: Iterable[str | None]) -> Iterator[str]:
    """Yield the words of names that can be witnesses, in the singular, and words that mean the same."""
    for name in names:
        for word in name_words(name or ""):
            if len(word) > 2 and word not in _FILLER:  # noqa: PLR2004  (words like "df" witness nothing)
                yield stem(word)
                yield from _SYNONYMS.get(word, ())


def is_display(literal: Literal) -> bool:
    """Whether a literal is only shown to people: printed, logged, a title or label."""
    call = (literal.beside.call or "").rpartition(".")[2]
    shown = re.fullmatch(
        r"print|log|info|debug|warning|error|exception|echo|printf|suptitle|annotate|text|"
        r"(?:set_)?[xyz]?(?:label|title|ticks|ticklabels)|\w*Error|Exception",
        call,
    )
    return shown is not None or literal.beside.name in {"title", "label", "xlabel", "ylabel", "help"}


def near_words(found: Occurrence) -> set[str]:
    """Return the words near a value in what was said, in the singular; the value's own are not among them."""
    before, after = _around(found)
    return {*before, *after}


def _around(found: Occurrence) -> tuple[list[str], list[str]]:
    text = found.said.text
    before = _WORD.findall(text[: found.start])[-REACH:]
    after = _WORD.findall(text[found.end :])[:REACH]
    return [stem(word.lower()) for word in before], [stem(word.lower()) for word in after]


def stem(word: str) -> str:
    """Return a word in the singular."""
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word  # noqa: PLR2004  ("gas" is none)


def unit_of(found: Occurrence) -> str | None:
    """Return the word that says what a number counts: the one after it, else the one it is the value of."""
    text = found.said.text
    after = _UNIT.match(text, found.end)
    if after and after[1].lower() not in _FILLER:
        return after[1].lower()
    before = _LABEL.search(text[: found.start])
    return before[1].lower() if before and before[1].lower() not in _FILLER else None


def structured(said: Iterable[Said]) -> Iterator[Occurrence]:
    """Yield what in words is a value by its look: quoted text, dates, addresses, ids, proper names."""
    for item in said:
        for match in _STRUCTURED.finditer(item.text):
            group = match.lastindex or 0
            found = Occurrence(item, match.start(group), match.end(group))
            counted = re.fullmatch(r"\d+(?:[a-z]+|-[a-z-]+)", spelled(found))
            if group or (not counted and type_of("", spelled(found)) in {"date", "email", "url", "id"}):
                yield found


_STRUCTURED = re.compile(
    r"\"([^\"\n]{3,80})\"|`([^`\n]{3,80})`|\u201c([^\u201d\n]{3,80})\u201d|(?<!\w)'([^'\n]{3,80})'(?!\w)"
    r"|(?<=[a-z,] )((?:[A-Z][a-z]+)(?: [A-Z][a-z]+)*)(?!\w)"
    r"|[a-z][a-z0-9+.-]*://[^\s<>\"']+[\w/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w/.-])[\w#][\w:#-]*\w(?![\w/-])"
)
