"""What a task's words mention, by type: dates, files, addresses, ids, numbers, quoted text.

A mention is a span of the task with the value that a variable of some type would take from it. Whether it
is the right one is not decided here (library/matching/binder.py weighs the evidence).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path, PurePath

from skillsmith.library.program.dates import days_in, keeps_a_time, like_default
from skillsmith.models import Json, Variable, VariableType
from skillsmith.word_pieces import without_runs

NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty".split()
)
YEARS = range(1900, 2101)
"""A whole number among these is rather a year than a count."""
FORMATS = (
    frozenset("png pdf svg jpg jpeg eps tiff webp gif".split()),
    frozenset("csv tsv json jsonl xlsx xls parquet xml yaml yml feather".split()),
    frozenset("md html pdf docx txt rst tex markdown".split()),
)
"""Families of file formats within which one can stand for another."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s<>\"']+", re.IGNORECASE)
_PATH = re.compile(
    r"(?<![\w@/\\.:~-])(?:~?[\\/]|[A-Za-z]:[\\/]|\.{1,2}[\\/])?(?:[\w.+-]+[\\/])*"
    r"[\w+-][\w.+-]*\.[A-Za-z][A-Za-z0-9]{0,7}(?![\w@/\\])"
)
_FOLDER = re.compile(r"(?<![\w@/\\.:~-])(?:~?/|\.{1,2}/)?(?:[\w.+-]+/)+[\w+-]*|(?<![\w:/])/(?:[\w.+-]+/?)+")
_ID = re.compile(r"(?<!\w)[#@]?\w(?:[\w:#.-]*\w)?")
_NUMBER = re.compile(
    r"(?<![\w#.,/:-])[$€£]?(?P<number>-?\d{1,3}(?:,\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?)(?![\w/:-]|[.,]\d)"
)
_QUOTED = re.compile(
    r"\"([^\"\n]+)\"|“([^”\n]+)”|\u2018([^\u2019\n]+)\u2019|`([^`\n]+)`|(?<!\w)'([^'\n]+)'(?!\w)"
)
_CODE = re.compile(r"(?=[A-Z0-9]*[A-Z])[A-Z0-9]{4,}")
_CAPITALS = re.compile(r"(?<![\w./-])[A-Z][A-Z0-9_]+(?![\w/-]|\.\w)")
_LETTERED = re.compile(r"(?<![\w./@-])[^\W\d_](?:[\w'\u2019-]*\w)?(?![\w/@]|\.\w)")
_WRITTEN_APART = frozenset({"url", "email", "id", "integer", "number"})
"""Types of values that hold no letter of a script without spaces, and end where such letters begin."""
_SEPARATOR = re.compile(r"\s*(?:,\s*and|,\s*or|,|;|\band\b|\bor\b|&)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """One span of the task with the value it gives.

    Args:
        strength: How much the span itself says that it is such a value: 0 only by its kind, 1 also by its
            likeness to the default, 2 beyond doubt.
        note: What likeness, for people.
    """

    start: int
    end: int
    value: Json
    strength: int = 0
    note: str = ""


def mentions(task: str, variable: Variable, *, today: date, folder: Path) -> list[Mention]:
    """Return what in a task could be a value of a variable, in order of appearance.

    Args:
        task: The words.
        variable: Its type and default decide what is looked for.
        today: Decides the year of dates that have none, and what "tomorrow" means.
        folder: Where named files may exist.
    """
    if variable.enum:
        return list(_enum(task, variable))
    if variable.type == "date":
        return list(_dates(task, variable, today))
    if variable.type == "path":
        return list(_paths(task, variable, folder))
    finder = _FINDERS.get(variable.type)
    text = without_runs(task) if variable.type in _WRITTEN_APART else task
    return list(finder(text, variable)) if finder else []


def _dates(task: str, variable: Variable, today: date) -> Iterator[Mention]:
    if keeps_a_time(variable.default):
        return
    found_days = days_in(without_runs(task), today=today, like=variable.default)
    for found in sorted(found_days, key=lambda one: one.start):
        value = like_default(found.day, variable.default)
        yield Mention(start=found.start, end=found.end, value=value, strength=1, note=found.note)


def _paths(task: str, variable: Variable, folder: Path) -> Iterator[Mention]:
    default = PurePath(str(variable.default or ""))
    with_ending = bool(default.suffix) or variable.default is None
    taken = [*_addresses(task)]
    for start, end, text in [*quotes_in(task), *_matches(_PATH if with_ending else _FOLDER, task)]:
        suffix = PurePath(text).suffix
        quoted = start + len(text) != end
        if _overlaps(start, end, taken) or (quoted and not re.fullmatch(r"\.[A-Za-z]\w*", suffix)):
            continue
        taken.append((start, end))
        exists = os.path.exists(folder / text)  # noqa: PTH110  (False, not an error, for what is no path)
        alike = bool(suffix) and suffix.lower() == default.suffix.lower()
        note = ", ".join(["the file exists"] * exists + [f"a {suffix} file like the default"] * alike)
        yield Mention(start=start, end=end, value=text, strength=exists + alike, note=note)


def files_named(task: str, *, folder: Path) -> tuple[bool, ...]:
    """Return which of the texts in a task that could be paths are there: all that reading asks the disk."""
    return tuple(os.path.exists(folder / text) for text in _paths_in(task))  # noqa: PTH110  (as above)


@lru_cache(maxsize=32)
def _paths_in(task: str) -> tuple[str, ...]:
    found = (*quotes_in(task), *_matches(_PATH, task), *_matches(_FOLDER, task))
    return tuple(dict.fromkeys(text for _, _, text in found))


@lru_cache(maxsize=32)
def _addresses(task: str) -> tuple[tuple[int, int], ...]:
    """Return where URLs and e-mail addresses stand: what is inside them is nothing else."""
    text = without_runs(task)
    return tuple(found.span() for pattern in (_URL, _EMAIL) for found in pattern.finditer(text))


@lru_cache(maxsize=32)
def _reserved(task: str) -> tuple[tuple[int, int], ...]:
    """Return where URLs, e-mail addresses and dates stand."""
    days = days_in(without_runs(task), today=date.today())  # noqa: DTZ011  (only where they stand counts)
    return (*_addresses(task), *((day.start, day.end) for day in days))


@lru_cache(maxsize=32)
def things_in(task: str) -> tuple[tuple[int, int], ...]:
    """Return where a task has values of a look of their own: dates, addresses and names of files."""
    return (*_reserved(task), *(found.span() for found in _PATH.finditer(task)))


def _overlaps(start: int, end: int, spans: Iterable[tuple[int, int]]) -> bool:
    return any(start < other_end and end > other_start for other_start, other_end in spans)


def _matches(pattern: re.Pattern[str], task: str) -> Iterator[tuple[int, int, str]]:
    yield from ((*found.span(), found[0]) for found in pattern.finditer(task))


def quotes_in(task: str) -> Iterator[tuple[int, int, str]]:
    """Yield the quoted pieces of a text: where each begins and ends, quotes included, and what it says."""
    for found in _QUOTED.finditer(task):
        yield (*found.span(), next(group for group in found.groups() if group))


def _pattern(regex: re.Pattern[str]) -> Callable[[str, Variable], Iterator[Mention]]:
    def find(task: str, _: Variable) -> Iterator[Mention]:
        for found in regex.finditer(task):
            text = found[0].rstrip(".,;:!?)")
            yield Mention(start=found.start(), end=found.start() + len(text), value=text, strength=1)

    return find


def _ids(task: str, variable: Variable) -> Iterator[Mention]:
    if variable.default is None:
        return
    for start, end, text in _matches(_ID, task):
        if _overlaps(start, end, _reserved(task)):
            continue
        strength, note = likeness(text, str(variable.default))
        if strength >= 0:
            value: Json = int(text) if isinstance(variable.default, int) and text.isdigit() else text
            yield Mention(start=start, end=end, value=value, strength=strength, note=note)


def likeness(text: str, default: str) -> tuple[int, str]:
    """Tell how much a word looks like an id: -1 not, 0 it might be one, 1 or 2 it is like the default."""
    digits = any(character.isdigit() for character in text)
    if shape(text) == shape(default) and (digits or text.isupper()):
        return 2, f"written like {default}"
    if not digits:
        return -1, ""
    if _CODE.fullmatch(text) and _CODE.fullmatch(default) and len(text) == len(default):
        return 1, f"a code of {len(text)} characters like {default}"
    stem = re.split(r"\d", text, maxsplit=1)[0]
    if stem and stem == re.split(r"\d", default, maxsplit=1)[0]:
        return 1, f"begins like {default}"
    return (-1 if text.isdigit() else 0), ""


def shape(text: str) -> str:
    """Return what ids of one kind have in common: ``HAT136`` → ``A393``, ``mia_li_3668`` → ``a+_a+_94``."""
    parts = []
    for kind, run in groupby(text, key=_kind):
        length = len(list(run))
        parts.append("a+" if kind == "a" else f"{kind}{length}" if kind in "A9" else kind * length)
    return "".join(parts)


def _kind(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalpha():
        return "A" if character.isupper() else "a"
    return character


def _enum(task: str, variable: Variable) -> Iterator[Mention]:
    taken: list[tuple[int, int]] = []
    for value in sorted(variable.enum, key=lambda one: -len(str(one))):
        words = [re.escape(word) for word in re.split(r"[\s_-]+", str(value)) if word]
        spelled = r"[\s_-]+".join(words)
        pattern = re.compile(rf"(?<!\w){spelled}(?:e?s)?(?!\w)", re.IGNORECASE)
        for found in pattern.finditer(task) if words else ():
            if all(found.end() <= start or found.start() >= end for start, end in taken):
                taken.append(found.span())
                yield Mention(
                    start=found.start(), end=found.end(), value=value, strength=1, note="an allowed value"
                )


def _numbers(task: str, variable: Variable) -> Iterator[Mention]:
    whole = variable.type == "integer"
    for found in _NUMBER.finditer(task):
        number = float(found["number"].replace(",", ""))
        if _overlaps(*found.span(), _reserved(task)):
            continue
        if number == int(number) and (whole or "." not in found["number"]):
            year = "," not in found["number"] and is_year(int(number)) and is_year(variable.default)
            yield Mention(
                start=found.start(), end=found.end(), value=int(number), strength=int(year),
                note="a year" if year else "",
            )  # fmt: skip
        elif not whole:
            yield Mention(start=found.start(), end=found.end(), value=number)
    for found in re.finditer(rf"\b({'|'.join(NUMBER_WORDS)})\b", task, re.IGNORECASE):
        yield Mention(start=found.start(), end=found.end(), value=NUMBER_WORDS.index(found[1].lower()))


def is_year(value: Json) -> bool:
    """Whether a value is a number that is rather a year than a count."""
    return isinstance(value, int) and value in YEARS


def _texts(task: str, variable: Variable) -> Iterator[Mention]:
    quoted = list(quotes_in(task))
    for start, end, text in quoted:
        yield Mention(start=start, end=end, value=text, strength=1, note="in quotes")
    look = look_of(variable.default)
    for start, end in _written_like(task, look) if look else ():
        if not _overlaps(start, end, [(first, last) for first, last, _ in quoted]):
            note = f"written like {variable.default}"
            yield Mention(start=start, end=end, value=task[start:end], strength=1, note=note)


def look_of(value: Json) -> str:
    """Return what tells a text from plain words: "capitals" (``WARN``), "name" (``New York``) or nothing."""
    if not isinstance(value, str) or not value:
        return ""
    if _CAPITALS.fullmatch(value):
        return "capitals"
    words = value.split(" ")
    return "name" if all(_LETTERED.fullmatch(word) and word[0].isupper() for word in words) else ""


def _written_like(task: str, look: str) -> Iterator[tuple[int, int]]:
    """Yield the pieces of a task that look so; what only begins a sentence is no name."""
    reserved = _reserved(task)
    capitals = (found.span() for found in _CAPITALS.finditer(task))
    spans = capitals if look == "capitals" else _names(task)
    yield from (span for span in spans if not _overlaps(*span, reserved))


def _names(task: str) -> Iterator[tuple[int, int]]:
    """Yield runs of words with a capital letter."""
    run: tuple[int, int] | None = None
    for found in _LETTERED.finditer(task):
        before = task[: found.start()].rstrip()
        opens = not before or before[-1] in ".!?:" or "\n" in task[len(before) : found.start()]
        shouted = found[0].isupper() and (len(found[0]) > 1 or found[0] == "I")
        capital = found[0][0].isupper() and not opens and not shouted
        if run and (not capital or task[run[1] : found.start()] != " "):
            yield run
            run = None
        if capital:
            run = (run[0] if run else found.start(), found.end())
    if run:
        yield run


def _lists(task: str, variable: Variable) -> Iterator[Mention]:
    """Yield enumerations (``A, B and C``) of words that look like the default's items."""
    items = variable.default if isinstance(variable.default, list) else []
    if not items or not isinstance(items[0], (str, int)) or isinstance(items[0], bool):
        return
    names = all(look_of(item) for item in items)
    kind: VariableType = "integer" if isinstance(items[0], int) else "string" if names else "id"
    one = Variable(name=variable.name, type=kind, default=items[0])
    found = [mention for mention in _FINDERS[kind](task, one) if kind == "integer" or mention.strength > 0]
    found.sort(key=lambda mention: mention.start)
    run: list[Mention] = []
    for mention, following in [*pairwise([*found, None])]:
        assert mention is not None
        run.append(mention)
        if following is None or not _SEPARATOR.fullmatch(task[mention.end : following.start]):
            if not names or len(run) > 1:  # one name alone may be anybody
                yield Mention(
                    start=run[0].start, end=run[-1].end, value=[part.value for part in run],
                    strength=min(part.strength for part in run), note="an enumeration",
                )  # fmt: skip
            run = []


_FINDERS: Mapping[str, Callable[[str, Variable], Iterator[Mention]]] = {
    "url": _pattern(_URL), "email": _pattern(_EMAIL), "id": _ids, "integer": _numbers, "number": _numbers,
    "string": _texts, "list": _lists,
}  # fmt: skip


def format_in(task: str, known: Json) -> tuple[str, int, int] | None:
    """Return the file format that a task asks for ("as PDF"), if it can stand for the known one.

    Args:
        task: The words.
        known: The format so far, with or without a dot.
    """
    current = str(known).lstrip(".").lower()
    family = frozenset().union(*(formats for formats in FORMATS if current in formats))
    if not family:
        return None
    name = "|".join(sorted(family))
    asked = rf"\b(?:as|into|to|in)\s+(?:an?\s+)?\.?(?P<a>{name})\b(?!\.\w)"
    called = rf"(?<![\w.])\.?(?P<b>{name})\s+(?:format|file|version|output)\b"
    matches = list(re.finditer(f"{asked}|{called}", task, re.IGNORECASE))
    found = [((match["a"] or match["b"]), *match.span()) for match in matches]
    if len({one.lower() for one, _, _ in found}) != 1:
        return None
    return found[0]
