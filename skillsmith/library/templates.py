"""Code with ``{variable}`` places that renders back byte for byte, and never into anything else.

The text between places is the source as it was: no brace is escaped, nothing is reformatted. That is
unambiguous because a name is only chosen when ``{name}`` does not occur in the source. A value is written at
its place by the slot's encoding, which can change the value of that literal and nothing else.
"""

from __future__ import annotations

import ast
import keyword
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from skillsmith.errors import UsageError
from skillsmith.library.code.encodings import decode, encode, with_spelling
from skillsmith.library.code.firm_parts import FirmParts
from skillsmith.library.code.literals import Literal, cut_problem, python_literals
from skillsmith.library.code.shell import shell_literals
from skillsmith.library.code.source import require_python
from skillsmith.library.program.languages import is_python, is_shell
from skillsmith.models import Json, Slot, Template

__all__ = [
    "Lift", "Literal", "build_python_template", "build_shell_template", "build_template",
    "build_text_template", "choose_names", "cut_problem", "fill", "is_python", "is_shell", "join_templates",
    "place_encoding", "python_literals", "render", "shell_literals", "split_template", "verify_template",
]  # fmt: skip

_NOT_IN_NAMES = re.compile(r"\W+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """A stretch of source that becomes a place.

    Args:
        start: Offset of its first character: of a whole literal, or of characters inside a string.
        end: Offset after its last.
        variable: The variable's name.
        encoding: For plain text: ``text``, ``json`` or ``json-str``; in code the literal decides.
    """

    start: int
    end: int
    variable: str
    encoding: str = "text"


# ------------------------------------------------------------------------------------------------ building


def build_python_template(code: str, lifts: Sequence[Lift]) -> Template:
    """Make a template of a block of Python.

    Args:
        code: The source.
        lifts: Whole literals, or characters inside strings and literal parts of f-strings.

    Raises:
        UsageError: When the code does not parse, a name is ambiguous, or a lift is no literal.
    """
    return _build_code(code, lifts, python_literals)


def build_shell_template(code: str, lifts: Sequence[Lift]) -> Template:
    """Make a template of shell commands.

    Args:
        code: The commands.
        lifts: Words, or literal parts of them.

    Raises:
        UsageError: When the commands cannot be read, a name is ambiguous, or a lift is no literal.
    """
    return _build_code(code, lifts, shell_literals)


def build_text_template(text: str, spans: Sequence[Lift]) -> Template:
    """Make a template of plain text, such as a prompt; JSON inside it may be lifted too.

    Raises:
        UsageError: When a name is ambiguous or spans overlap.
    """
    _check(text, spans)
    return _assemble(text, [(span, _text_encoding(text, span)) for span in spans])


def _text_encoding(text: str, span: Lift) -> str:
    source = text[span.start : span.end]
    return with_spelling(span.encoding, decode(span.encoding, source), source, variable=span.variable)


def build_template(code: str, lifts: Sequence[Lift], *, language: str | None) -> Template:
    """Make a template in any language; in one whose literals are unknown, nothing can be lifted.

    Raises:
        UsageError: As for the language's own builder.
    """
    if is_python(language):
        return build_python_template(code, lifts)
    if is_shell(language):
        return build_shell_template(code, lifts)
    if lifts:
        raise UsageError(f"nothing can be lifted from {language!r} code", hint="keep it as it is")
    return Template(text=code)


def _build_code(
    code: str, lifts: Sequence[Lift], literals_of: Callable[[str], Sequence[Literal]]
) -> Template:
    if not lifts:
        return Template(text=code)
    finder = _Finder(code, literals_of(code))
    found = [(finder.content(lift), finder.encoding(lift)) for lift in lifts]
    _check(code, [lift for lift, _ in found])
    return _assemble(code, found)


def place_encoding(code: str, literal: Literal, start: int, end: int, *, variable: str) -> str:
    """Return how values are written at a stretch of a literal.

    Args:
        code: The source.
        literal: As listed for the source.
        start: Offset of the stretch's first character.
        end: Offset after it.
        variable: For errors.

    Raises:
        UsageError: When the stretch cannot become a place.
    """
    source, problem = code[start:end], cut_problem(literal, start, end)
    if problem:
        raise UsageError(
            f"{source!r} on line {literal.line} cannot become {variable!r}: {problem}",
            hint="lift the whole literal or keep it",
        )
    name = literal.encoding if start == literal.start else literal.encoding.removesuffix("-arg")
    return with_spelling(name, decode(name, source), source, variable=variable)


def _check(text: str, lifts: Sequence[Lift]) -> None:
    """Refuse names and spans that would be ambiguous."""
    position = 0
    for lift in sorted(lifts, key=lambda lift: (lift.start, lift.end)):
        if not lift.variable.isidentifier():
            raise UsageError(f"{lift.variable!r} is no variable name", hint="use letters, digits and _")
        if f"{{{lift.variable}}}" in text:
            raise UsageError(
                f"'{{{lift.variable}}}' stands in the text already", hint="take the name choose_names gives"
            )
        if not position <= lift.start <= lift.end <= len(text):
            raise UsageError(
                f"the place {lift.start}:{lift.end} of {lift.variable!r} overlaps another or lies outside",
                hint="lift each literal once",
            )
        position = lift.end


def _assemble(text: str, lifts: Sequence[tuple[Lift, str]]) -> Template:
    parts, slots, position = [], [], 0
    for lift, encoding in sorted(lifts, key=lambda pair: (pair[0].start, pair[0].end)):
        parts += [text[position : lift.start], f"{{{lift.variable}}}"]
        slots.append(Slot(variable=lift.variable, encoding=encoding))
        position = lift.end
    return Template(text="".join([*parts, text[position:]]), slots=tuple(slots))


class _Finder:
    """Finds the literal that a lift names.

    Args:
        code: The source, for errors.
        literals: All literals in it.
    """

    def __init__(self, code: str, literals: Sequence[Literal]) -> None:
        self._code = code
        self._whole = {(item.token_start, item.token_end): item for item in literals if item.whole}
        self._parts = sorted(
            (item for item in literals if item.segment or item.kind == "word"), key=lambda item: item.start
        )

    def content(self, lift: Lift) -> Lift:
        """Return the lift, inside the quotes when it named a string with its quotes."""
        whole = self._whole.get((lift.start, lift.end))
        return replace(lift, start=whole.start, end=whole.end) if whole else lift

    def encoding(self, lift: Lift) -> str:
        """Return how values are written at the lift's place."""
        span = self.content(lift)
        literal = self._whole.get((lift.start, lift.end)) or self._part(span)
        if literal is None:
            raise UsageError(
                f"{self._code[lift.start : lift.end]!r} at {lift.start}:{lift.end} cannot become "
                f"{lift.variable!r}: it is no literal",
                hint="lift a literal",
            )
        return place_encoding(self._code, literal, span.start, span.end, variable=lift.variable)

    def _part(self, span: Lift) -> Literal | None:
        index = bisect_right(self._parts, span.start, key=lambda item: item.start) - 1
        return self._parts[index] if index >= 0 and span.end <= self._parts[index].end else None


def choose_names(code: str, wanted: Iterable[str]) -> dict[str, str]:
    """Choose variable names whose places cannot be confused with braces in the source.

    Args:
        code: The source, of all blocks that share the names.
        wanted: Names as they suggested themselves; they need not be identifiers.

    Returns:
        Wanted name → distinct identifier, in the order given.
    """
    chosen: dict[str, str] = {}
    for want in wanted:
        if want in chosen:
            continue
        base = _NOT_IN_NAMES.sub("_", want).strip("_").lower() or "value"
        base = f"value_{base}" if base[0].isdigit() or keyword.iskeyword(base) else base
        name, number = base, 2
        while name in chosen.values() or f"{{{name}}}" in code:
            name, number = f"{base}_{number}", number + 1
        chosen[want] = name
    return chosen


def join_templates(templates: Sequence[Template], *, separator: str = "\n\n") -> Template:
    """Put templates after each other; their names must have been chosen for all of them together.

    Raises:
        UsageError: When a name's place would be ambiguous in the whole.
    """
    joined = Template(
        text=separator.join(template.text for template in templates),
        slots=tuple(slot for template in templates for slot in template.slots),
    )
    split_template(joined)
    return joined


# ----------------------------------------------------------------------------------------------- rendering


def split_template(template: Template) -> list[str]:
    """Return the text before, between and after the places, one more than there are slots.

    Raises:
        UsageError: When the places do not stand in the text as the slots say.
    """
    pieces, rest = [], template.text
    for slot in template.slots:
        before, place, rest = rest.partition(f"{{{slot.variable}}}")
        if not place:
            raise UsageError(
                f"the template has no place for {slot.variable!r}", hint="make it again from its source"
            )
        pieces.append(before)
    pieces.append(rest)
    for name in {slot.variable for slot in template.slots}:
        if any(f"{{{name}}}" in piece for piece in pieces):
            raise UsageError(
                f"'{{{name}}}' stands in the template more often than it has places",
                hint="make it again from its source",
            )
    return pieces


def render(template: Template, values: Mapping[str, Json], *, language: str | None) -> str:
    """Write values at the places of a template.

    Args:
        template: Made by one of the builders.
        values: A value for each variable in it; more are ignored.
        language: Of the code; Python is parsed once more before it is returned.

    Raises:
        UsageError: When a value is missing or cannot be written at its place.
    """
    return _rendered(template, values, language=language)[0]


def _rendered(
    template: Template, values: Mapping[str, Json], *, language: str | None
) -> tuple[str, ast.Module | None]:
    missing = sorted({slot.variable for slot in template.slots} - set(values))
    if missing:
        raise UsageError(f"the template needs a value for {', '.join(missing)}", hint="give all its inputs")
    text = fill(template, values)
    if template.slots and is_python(language):
        return text, require_python(text, subject="the template with these values")
    return text, None


def fill(template: Template, values: Mapping[str, Json]) -> str:
    """Write the given values at their places and leave the other places as they are, for people to see.

    Raises:
        UsageError: When a value cannot be written at its place.
    """
    written = _written(template, values)
    pieces = split_template(template)
    return "".join(part for pair in zip(pieces, [*written, ""], strict=True) for part in pair)


def _written(template: Template, values: Mapping[str, Json]) -> list[str]:
    return [
        encode(values[slot.variable], slot.encoding, variable=slot.variable)
        if slot.variable in values
        else f"{{{slot.variable}}}"
        for slot in template.slots
    ]


def verify_template(
    template: Template, defaults: Mapping[str, Json], original: str, *, language: str | None
) -> list[str]:
    """Check that a template gives its source back, and stays valid with other values.

    Args:
        template: The template.
        defaults: The values of the source run.
        original: The source it was made from.
        language: Of the source.

    Returns:
        What is wrong, a sentence each; empty when all is well.
    """
    try:
        rendered, tree = _rendered(template, defaults, language=language)
    except UsageError as error:
        return [f"the defaults cannot be rendered: {error.message}"]
    problems = [] if rendered == original else ["the defaults do not render back to the source"]
    firm = FirmParts(split_template(template), _written(template, defaults), language=language, tree=tree)
    for name in dict.fromkeys(slot.variable for slot in template.slots):
        for other in _other_values(defaults[name]):
            problems += _change_problem(template, {**defaults, name: other}, firm)
    return problems


def _other_values(value: Json) -> list[Json]:
    """Return values of the same kind that are hard to write."""
    if isinstance(value, bool) or value is None:
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, -abs(value) - 1]
    if isinstance(value, list):
        return [[*value, *value], []]
    if isinstance(value, dict):
        return [{**value, "other \"key'": [1, None]}]
    return [f"{value} other", "", 'it\'s "two\\\n{lines}" of $(text) # here']


def _change_problem(template: Template, values: Mapping[str, Json], firm: FirmParts) -> list[str]:
    try:
        written = _written(template, values)
    except UsageError:
        return []  # refused, which is as safe as rendered
    return [] if firm.are_kept(written) else [f"other values change more than a literal: {dict(values)!r}"]
