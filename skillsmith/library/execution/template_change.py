"""What changed code means for its template: the places stay places where the values still stand in the code.

A mended block is code with values in it. Said in terms of the template, the change is the same whatever the
values were, so that the same mending in several executions can be recognised, and put into the skill.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from skillsmith.errors import UsageError
from skillsmith.library.code.encodings import encode
from skillsmith.library.templates import fill, split_template
from skillsmith.models import Json, Slot, Template

MIN_VALUE_CHARS = 2
"""A shorter value in changed lines says too little to be taken for the place."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a slot's value stands in code."""

    start: int
    end: int
    slot: Slot


def changed_template(template: Template, values: Mapping[str, Json], code: str) -> Template | None:
    """Return the template that gives changed code with the same values; None when none surely does.

    Args:
        template: As the skill has it.
        values: A value for each variable in it.
        code: What ran in place of the template with these values.
    """
    try:
        before, marks = _rendered(template, values)
        kept = sorted(_moved(before, marks, code), key=lambda mark: mark.start)
        changed = _with_places(code, kept)
        split_template(changed)
        same = fill(changed, values) == code
    except UsageError:  # a name stands in the code as it is, or a value cannot be written
        return None
    return changed if same else None


def _rendered(template: Template, values: Mapping[str, Json]) -> tuple[str, list[_Mark]]:
    text, marks = "", []
    pieces = split_template(template)
    for piece, slot in zip(pieces, template.slots, strict=False):
        text += piece
        written = encode(values[slot.variable], slot.encoding, variable=slot.variable)
        marks.append(_Mark(len(text), len(text) + len(written), slot))
        text += written
    return text + pieces[-1], marks


def _moved(before: str, marks: Sequence[_Mark], after: str) -> Iterator[_Mark]:
    """Yield where the values stand in the changed code, those that are still there."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    old_at, new_at = _offsets(old), _offsets(new)
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        inside = [mark for mark in marks if old_at[i] <= mark.start and mark.end <= old_at[j]]
        if tag == "equal":
            shift = new_at[k] - old_at[i]
            yield from (_Mark(mark.start + shift, mark.end + shift, mark.slot) for mark in inside)
        else:
            yield from _found(before, inside, after, new_at[k], new_at[m])


def _offsets(lines: Sequence[str]) -> list[int]:
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    return offsets


def _found(before: str, marks: Sequence[_Mark], after: str, start: int, end: int) -> Iterator[_Mark]:
    """Yield values found again in changed lines, in their order, each as a whole word."""
    for mark in marks:
        value = before[mark.start : mark.end]
        at = after.find(value, start, end) if len(value) >= MIN_VALUE_CHARS else -1
        if at >= 0 and _is_whole(after, at, at + len(value)):
            start = at + len(value)
            yield _Mark(at, start, mark.slot)


def _is_whole(text: str, start: int, end: int) -> bool:
    left = text[start - 1 : start] + text[start]
    right = text[end - 1] + text[end : end + 1]
    return not any(len(pair) > 1 and pair.replace("_", "a").isalnum() for pair in (left, right))


def _with_places(code: str, marks: Sequence[_Mark]) -> Template:
    parts, position = [], 0
    for mark in marks:
        parts += [code[position : mark.start], f"{{{mark.slot.variable}}}"]
        position = mark.end
    parts.append(code[position:])
    return Template(text="".join(parts), slots=tuple(mark.slot for mark in marks))
