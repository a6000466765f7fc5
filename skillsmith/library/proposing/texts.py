"""What several texts of the same code have in common: one literal that differs, or places for inputs.

Texts are compared word by word, so that a change is either exactly one literal at one spot or nothing that
this module will speak about.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skillsmith.errors import UsageError
from skillsmith.library.code.encodings import encode, with_spelling
from skillsmith.library.program.languages import is_python
from skillsmith.library.templates import split_template
from skillsmith.library.trace.literals import type_of
from skillsmith.models import Json, Slot, Template, Variable, VariableType

_WORD = re.compile(
    r"""\{\w+\}|[rbfu]{0,2}(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\d[\w.]*|\w+|\s+|.""", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """A template with one literal made a place.

    Args:
        original: The literal's value in the skill.
        values: Its value in each of the texts.
    """

    template: Template
    variable: Variable
    original: Json
    values: tuple[Json, ...]


def words(text: str) -> list[str]:
    """Split code into words, literals, places, blanks and signs; together they are the text."""
    return _WORD.findall(text)


def lifted_literal(template: Template, texts: Sequence[str], *, name: str) -> Lifted | None:
    """Return a template whose one differing literal is a place; None when more than one differs.

    Args:
        template: As the skill has it.
        texts: What it became in executions, with its places.
        name: Of the new variable.
    """
    own, others = words(template.text), [words(text) for text in texts]
    if any(len(other) != len(own) for other in others):
        return None
    spots = {place for other in others for place, word in enumerate(other) if word != own[place]}
    if len(spots) != 1:
        return None
    spot = spots.pop()
    try:
        value = ast.literal_eval(own[spot])
        values = tuple(ast.literal_eval(other[spot]) for other in others)
        if not all(_is_plain(one) for one in (value, *values)):
            return None
        encoding = with_spelling("python", value, own[spot], variable=name)
    except (ValueError, SyntaxError, UsageError):  # no literal, or none that a place can stand for
        return None
    commonest = max(values, key=values.count)
    variable = Variable(
        name=name, type=_type(name, values), default=commonest, description=f"was {own[spot]} in the code"
    )
    return Lifted(template=_with_place(template, own, spot, Slot(variable=name, encoding=encoding)),
                  variable=variable, original=value, values=values)  # fmt: skip


def _type(name: str, values: Sequence[Json]) -> VariableType:
    kinds = {type_of(name, value) for value in values}
    if len(kinds) == 1:
        return kinds.pop()
    return "number" if kinds == {"integer", "number"} else "string"


def _is_plain(value: Json) -> bool:
    return isinstance(value, (str, int, float))


def _with_place(template: Template, own: Sequence[str], spot: int, slot: Slot) -> Template:
    start = len("".join(own[:spot]))
    at, before = 0, 0
    for piece, old in zip(split_template(template), template.slots, strict=False):
        at += len(piece) + len(old.variable) + 2
        before += at <= start
    text = "".join((*own[:spot], f"{{{slot.variable}}}", *own[spot + 1 :]))
    return Template(text=text, slots=(*template.slots[:before], slot, *template.slots[before:]))


def slots_for(template: Template, text: str) -> Template | None:
    """Return a changed template text with its slots; None when it is not sure how a value is written.

    Args:
        template: As it was: says how each variable is written.
        text: Its changed text, with places of the same variables.
    """
    encodings: dict[str, set[str]] = {}
    for slot in template.slots:
        encodings.setdefault(slot.variable, set()).add(slot.encoding)
    if not encodings:
        return Template(text=text)
    if any(len(ways) > 1 for ways in encodings.values()):
        return None
    places = re.finditer("|".join(rf"\{{({re.escape(name)})\}}" for name in encodings), text)
    names = [next(group for group in place.groups() if group) for place in places]
    changed = Template(
        text=text, slots=tuple(Slot(variable=name, encoding=next(iter(encodings[name]))) for name in names)
    )
    try:
        split_template(changed)
    except UsageError:
        return None
    return changed


def shared_template(
    texts: Sequence[str], inputs: Sequence[Mapping[str, Json]], *, language: str | None
) -> Template | None:
    """Return the template of which every text is the filling with its execution's inputs, or None.

    Args:
        texts: Code, one of each execution.
        inputs: The values of that execution's inputs.
        language: Of the code.
    """
    split = [words(text) for text in texts]
    if len({len(one) for one in split}) != 1:
        return None
    parts, slots = [], []
    for column in zip(*split, strict=True):
        if len(set(column)) == 1:
            parts.append(column[0])
            continue
        name = _input_for(column, inputs) if is_python(language) else None
        if name is None:
            return None
        parts.append(f"{{{name}}}")
        slots.append(Slot(variable=name, encoding="python"))
    return Template(text="".join(parts), slots=tuple(slots))


def _input_for(column: Sequence[str], inputs: Sequence[Mapping[str, Json]]) -> str | None:
    for name in inputs[0]:
        try:
            if all(
                encode(one[name], "python", variable=name) == word
                for word, one in zip(column, inputs, strict=True)
            ):
                return name
        except (UsageError, KeyError):  # a value that no literal can stand for, or an input not there
            continue
    return None
