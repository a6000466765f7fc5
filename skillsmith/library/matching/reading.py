"""What a task says about a skill's inputs: bound, said otherwise than could be read, or not spoken of.

An input that the source run took from a person's words may keep its recorded value only where the new task
does not speak of it. Where the task says something else that could not be bound, the recorded value would do
another thing than was asked for: such an input is missing, as a required one without a value is.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import dropwhile
from pathlib import Path

from skillsmith.library.matching.anchors import (
    FUNCTION_WORDS,
    QUOTES,
    Word,
    Wording,
    agreement,
    places_in,
    stem,
)
from skillsmith.library.matching.binder import BoundValue, explain_binding, read_part, recorded_values
from skillsmith.library.matching.mentions import Mention, files_named, is_year, look_of, mentions
from skillsmith.library.matching.one_sided import CLOSING_WORDS, slots_beside
from skillsmith.library.matching.wording import without_places
from skillsmith.library.program.effects import name_words
from skillsmith.models import Skill, Variable

_QUANTITY = re.compile(
    r"(?<![\w-])(?:dozens?|hundreds?|thousand|twice|double|triple|half|none|couple|several|quarter"
    r"|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-\w+)?)(?!\w)",
    re.IGNORECASE,
)
_INTRODUCING = frozenset("about on regarding concerning called named titled saying the a an our my".split())
_WHERE = frozenset("in to from at near".split())
_SET_PHRASES = frozenset("total advance full general particular addition words order case time cash".split())
_NO_NAME = frozenset("name text value number column file item items id type new data".split())
REMEMBERED = 64
"""Readings that are kept: a task is read to match, again to show what would run, and again to run it."""

_READ: dict[tuple[str, str, date, tuple[bool, ...]], Reading] = {}
_PLACED = frozenset({"string", "enum", "list"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a task says about a skill's inputs.

    Args:
        bound: Values with their evidence, by name.
        unclear: Inputs of which the task says something that could not be read: by name, what it says.
        unspoken: Inputs from a person's words that this task does not speak of.
    """

    bound: Mapping[str, BoundValue] = field(default_factory=dict)
    unclear: Mapping[str, str] = field(default_factory=dict)
    unspoken: tuple[str, ...] = ()


def read_task(task: str, skill: Skill, *, today: date | None = None, folder: Path | None = None) -> Reading:
    """Read a task for a skill.

    Args:
        task: The words; without any, nothing is said about any input.
        skill: Its variables, pattern and reasons.
        today: The day that dates without a year are near to; None: today.
        folder: Where named files may exist; None: the current folder.
    """
    if not task.strip():
        return Reading()
    recorded = recorded_values(task, skill)
    if recorded:
        return Reading(bound=recorded)
    today, folder = today or datetime.now(UTC).astimezone().date(), folder or Path()
    if not skill.id:
        return _read(task, skill, today, folder)
    key = (skill.id, task, today, files_named(task, folder=folder))
    if key not in _READ:
        while len(_READ) >= REMEMBERED:
            _READ.pop(next(iter(_READ)), None)
        _READ[key] = _read(task, skill, today, folder)
    return _own(_READ[key])


def _own(reading: Reading) -> Reading:
    """Return a reading whose values may be changed: they go to tools."""
    bound = {
        name: replace(one, value=copy.deepcopy(one.value)) if isinstance(one.value, (list, dict)) else one
        for name, one in reading.bound.items()
    }
    return replace(reading, bound=bound, unclear=dict(reading.unclear))


def _read(task: str, skill: Skill, today: date, folder: Path) -> Reading:
    bound = explain_binding(task, skill, today=today, folder=folder)
    return _Reader(read_part(task), skill, bound, today=today, folder=folder).run()


class _Reader:
    """Looks at the inputs that a task's words have not bound."""

    def __init__(
        self, task: str, skill: Skill, bound: Mapping[str, BoundValue], *, today: date, folder: Path
    ) -> None:
        self._task = task
        self._skill = skill
        self._bound = bound
        self._today = today
        self._folder = folder
        self._wording = Wording(task)
        self._places = places_in(skill.task_pattern, [variable.name for variable in skill.variables])
        self._taken = [one.span for one in bound.values() if one.span is not None]
        self._fixed = without_places(skill.task_pattern).casefold()

    def run(self) -> Reading:
        unclear: dict[str, str] = {}
        unspoken = []
        for variable in self._skill.variables:
            if variable.required or variable.name in self._bound or not self._was_said(variable):
                continue
            other = next(self._others(variable), None)
            if other is None:
                unspoken.append(variable.name)
            else:
                unclear[variable.name] = other
        return Reading(bound=self._bound, unclear=unclear, unspoken=tuple(unspoken))

    def _was_said(self, variable: Variable) -> bool:
        """Whether the recorded value came from a person's words."""
        if variable.default is None or variable.type == "boolean":
            return False
        return any(place.variable == variable.name for place in self._places) or any(
            reason.decision == "input" and reason.rule == "user-words" and reason.value == variable.default
            for reason in self._skill.why
        )

    def _others(self, variable: Variable) -> Iterator[str]:
        """Yield what the task may say of an input instead of its recorded value."""
        if variable.type in _PLACED:
            yield from self._at_place(variable)
            yield from self._introduced(variable)
            yield from self._after_neighbour(variable)
            yield from self._by_name(variable)
        for mention in self._of_kind(variable):
            text = self._task[mention.start : mention.end]
            if self._is_free(mention.start, mention.end) and not self._is_fixed(text):
                yield text

    def _at_place(self, variable: Variable) -> Iterator[str]:
        look = look_of(variable.default)
        for place in self._places:
            if place.variable != variable.name:
                continue
            for slot in slots_beside(place, self._wording):
                text = self._task[slot.start : slot.end].strip(QUOTES + " ")
                own = all(self._is_fixed(word) for word in text.split())
                if self._is_free(slot.start, slot.end) and not own and (not look or look_of(text) == look):
                    yield text

    def _introduced(self, variable: Variable) -> Iterator[str]:
        """Yield what follows the words of a place with "about the" or the like between them.

        A name is looked for in lower case too, right after the word that the pattern has there: "in porto".
        """
        look = look_of(variable.default)
        for place in (place for place in self._places if place.variable == variable.name):
            for index, word in enumerate(self._wording.words):
                left, _ = agreement(place, self._wording, word.start, word.end)
                if not left:
                    continue
                rest = dropwhile(lambda one: one.text in _INTRODUCING, self._wording.words[index : index + 4])
                other = next(rest, word)
                anchored = not look and set(place.left[-left:]) - FUNCTION_WORDS and other is not word
                if anchored or (look == "name" and other is word and place.left[-1] in _WHERE):
                    yield from self._telling(other, {*place.left, *place.right})

    def _telling(self, word: Word, known: AbstractSet[str]) -> Iterator[str]:
        """Yield a word that may be a value: neither a small word nor one of the pattern's own."""
        text = self._task[word.start : word.end]
        own = word.text in known or self._is_fixed(word.text) or word.text in CLOSING_WORDS | _SET_PHRASES
        if not own and self._is_free(word.start, word.end) and not text.isdigit():
            yield text

    def _after_neighbour(self, variable: Variable) -> Iterator[str]:
        """Yield what follows a bound value by the small word by which the pattern has this one follow it.

        In "{height} (x) and {weight} (y)" weight follows height by "and"; so it does in "mass and volume".
        """
        order = [place.variable for place in self._places]
        for index, place in enumerate(self._places[1:], 1):
            before = self._bound.get(order[index - 1])
            if place.variable != variable.name or before is None or before.span is None or not place.left:
                continue
            following = self._wording.after(before.span[1], 2)
            if len(following) > 1 and following[0].text == place.left[-1]:
                word = following[1]
                if word.text not in CLOSING_WORDS and self._is_free(word.start, word.end):
                    yield self._task[word.start : word.end]

    def _by_name(self, variable: Variable) -> Iterator[str]:
        """Yield what stands right beside the input's own name."""
        wanted = {stem(word) for word in name_words(variable.name) if len(word) > 2} - _NO_NAME  # noqa: PLR2004  (words like "of" name nothing)
        for word in self._wording.words:
            if stem(word.text) in wanted and self._is_free(word.start, word.end):
                beside = [*self._wording.after(word.end, 1), *self._wording.before(word.start, 1)]
                for other in beside:
                    between = self._task[min(word.end, other.end) : max(word.start, other.start)]
                    apart = between.strip(QUOTES + " :=")
                    telling = other.text not in CLOSING_WORDS and not self._is_fixed(other.text)
                    if telling and not apart and self._is_free(other.start, other.end):
                        yield self._task[other.start : other.end]

    def _of_kind(self, variable: Variable) -> Iterator[Mention]:
        """Yield what in the task could be such a value, whoever it belongs to."""
        if variable.type in ("integer", "number"):
            yield from self._quantities(variable)
            return
        for mention in mentions(self._task, variable, today=self._today, folder=self._folder):
            if variable.type in ("path", "date") or mention.strength:
                yield mention

    def _quantities(self, variable: Variable) -> Iterator[Mention]:
        """Yield numbers of the same order of things, and words for numbers that nothing here can read."""
        figure = Variable(name=variable.name, type="number", default=variable.default)
        for mention in mentions(self._task, figure, today=self._today, folder=self._folder):
            if mention.value != 1 and is_year(mention.value) == is_year(variable.default):
                yield mention
        for found in _QUANTITY.finditer(self._task):
            yield Mention(start=found.start(), end=found.end(), value=found[0])

    def _is_free(self, start: int, end: int) -> bool:
        return all(end <= first or start >= last for first, last in self._taken)

    def _is_fixed(self, text: str) -> bool:
        """Whether the pattern itself says these words, so that they belong to no input."""
        return re.search(rf"(?<!\w){re.escape(text.casefold())}(?!\w)", self._fixed) is not None
