"""Turn "the second item" into "the item whose field is what the user said", where the run shows it.

A flow through a list or a mapping of records by position fits only the run it came from. When the record
has another field that a person named, and only this record has that value, the path selects by that field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from skillsmith.library.program.bindings import as_text, take
from skillsmith.library.program.structures import opened
from skillsmith.library.trace.calls import Said
from skillsmith.library.trace.literals import find
from skillsmith.library.trace.naming import VariableSet
from skillsmith.library.trace.results import Place, fold
from skillsmith.models import FromNode, Json, PathStep, Where

MIN_CHARS = 3


def select_by_input(
    binding: FromNode, place: Place, words: Sequence[Said], variables: VariableSet, *, before: int
) -> FromNode:
    """Return the binding with positions replaced by selectors where a person's words identify the record.

    Args:
        binding: A plain path.
        place: Where it leads in the recorded result.
        words: What people said.
        variables: Where the selecting inputs are lifted.
        before: Only words said before this sequence number count.
    """
    path: list[PathStep] = []
    value = place.call.result
    for step in binding.path:
        if isinstance(step, (str, int)) and is_collection(value):
            path.append(_selector(value, step, words, variables, before) or step)
        else:
            path.append(step)
        value = take(value, step) if not isinstance(step, Where) else value
    return replace(binding, path=tuple(path))


def is_collection(value: Json) -> bool:
    """Tell whether this is a list, or a mapping, of several records of one shape."""
    records = records_of(value)
    return len(records) > 1 and all(isinstance(record, dict) for record in records) and bool(
        set.intersection(*(set(record) for record in records))
    )  # fmt: skip


def records_of(value: Json) -> list[Json]:
    """Return the records of a list or a mapping."""
    held = opened(value)
    return held if isinstance(held, list) else list(held.values()) if isinstance(held, dict) else []


def _selector(
    collection: Json, step: str | int, words: Sequence[Said], variables: VariableSet, before: int
) -> Where | None:
    record = take(collection, step)
    records = records_of(collection)
    for field, value in record.items():
        if isinstance(value, (dict, list, bool)) or value is None or len(as_text(value)) < MIN_CHARS:
            continue
        if sum(fold(other.get(field)) == fold(value) for other in records) > 1:
            continue
        if find(value, words, before=before, near=field) is not None:
            return Where(field, variables.lift(value, field, description=f"{field} of the wanted record"))
    return None
