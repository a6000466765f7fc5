"""Where a value stands in the results of several runs alike: one path that leads to it in all of them.

A position in a list holds for other tasks only when runs of different tasks agree on it, or the list has one
item; otherwise a field that people named in every run must pick the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skillsmith.library.families.inputs import FamilyInputs
from skillsmith.library.program.bindings import UnresolvedError, as_text, resolve
from skillsmith.library.trace.align import TracedRun
from skillsmith.library.trace.calls import Call
from skillsmith.library.trace.results import as_exact, fold
from skillsmith.library.trace.selectors import MIN_CHARS, is_collection, records_of
from skillsmith.models import FromNode, Json, PathStep, Where


@dataclass(frozen=True, slots=True)
class Sought:
    """A value that all runs have somewhere.

    Args:
        runs: By number; those that take part.
        values: What each of them has.
        calls: The call whose result is looked at, by run.
    """

    runs: dict[int, TracedRun]
    values: dict[int, Json]
    calls: dict[int, Call]

    @property
    def varied(self) -> bool:
        """Whether runs of different tasks take part."""
        return len({as_exact(value) for value in self.values.values()}) > 1


def follows(result: Json, path: Sequence[PathStep], value: Json, cast: str | None) -> bool:
    """Tell whether a plain path into a result leads to exactly this value."""
    try:
        got = resolve(FromNode("n", tuple(path), cast), {}, {"n": result})
    except UnresolvedError:
        return False
    return as_exact(got) == as_exact(value)


def common_path(
    sought: Sought, path: Sequence[PathStep], cast: str | None, inputs: FamilyInputs, count: int
) -> tuple[PathStep, ...] | None:
    """Return a path that leads to the value in all runs, made from one run's path; None when there is none.

    Args:
        sought: The value.
        path: The path that one run has.
        cast: What is made of what stands there.
        inputs: Where a selecting input is lifted.
        count: How many runs the family has.
    """
    plain = [step for step in path if not isinstance(step, Where)]
    holds = len(plain) == len(path) and all(
        follows(call.result, path, sought.values[number], cast) for number, call in sought.calls.items()
    )
    if holds and (sought.varied or not _picks(sought, path)):
        return tuple(path)
    for place in range(len(path)):
        selected = _selected(sought, path, place, cast, inputs, count)
        if selected is not None:
            return selected
    return None


def _picks(sought: Sought, path: Sequence[PathStep]) -> bool:
    """Whether the path picks one of several by its place."""
    for call in sought.calls.values():
        for depth, step in enumerate(path):
            if isinstance(step, (int, str)):
                held = _value(call.result, path[:depth])
                listed = isinstance(held, list) and len(held) > 1
                if (isinstance(step, int) and listed) or (isinstance(step, str) and is_collection(held)):
                    return True
    return False


def _value(result: Json, path: Sequence[PathStep]) -> Json:
    try:
        return resolve(FromNode("n", tuple(path)), {}, {"n": result})
    except UnresolvedError:
        return None


def _selected(
    sought: Sought,
    path: Sequence[PathStep],
    place: int,
    cast: str | None,
    inputs: FamilyInputs,
    count: int,
) -> tuple[PathStep, ...] | None:
    """Return the path with the step at this place replaced by a selector that people's words can fill."""
    before, after = tuple(path[:place]), tuple(path[place + 1 :])
    if any(isinstance(step, Where) for step in (*before, *after)):
        return None
    chosen: dict[int, dict[str, Json]] = {}
    for number, call in sought.calls.items():
        collection = _value(call.result, before)
        if not is_collection(collection):
            return None
        fitting = [
            record for record in records_of(collection) if follows(record, after, sought.values[number], cast)
        ]
        if not fitting:
            return None
        chosen[number] = _only_fields(fitting[0], records_of(collection))
    for field in next(iter(chosen.values())):
        if all(
            field in fields and sought.runs[number].witnesses(fields[field], field)
            for number, fields in chosen.items()
        ):
            values = [chosen[number][field] if number in chosen else None for number in range(count)]
            picks = inputs.lift(values, field, description=f"{field} of the wanted record", said=len(chosen))
            return (*before, Where(field, picks), *after)
    return None


def _only_fields(record: dict[str, Json], records: Sequence[dict[str, Json]]) -> dict[str, Json]:
    """Return the fields whose values tell a record from the others."""
    return {
        name: value
        for name, value in record.items()
        if not isinstance(value, (dict, list, bool)) and value is not None
        and len(as_text(value)) >= MIN_CHARS
        and sum(fold(other.get(name)) == fold(value) for other in records) == 1
    }  # fmt: skip
