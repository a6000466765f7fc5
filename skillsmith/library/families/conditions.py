"""When a step is done that only some runs have: an expression that tells those runs from the others.

The more expressions are tried, the more likely one fits by chance; so one counts only when runs of several
tasks on both sides support it, and short ones over inputs come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from skillsmith.errors import ExecutionError
from skillsmith.library.program.conditions import Surroundings, holds
from skillsmith.library.trace.naming import identifier
from skillsmith.models import Json

MIN_SUPPORT = 2
"""How many runs, of as many tasks, must stand on each side of a condition."""

MAX_LEAVES = 200
"""Of one result: more are not looked at."""

MAX_VALUES = 3
"""A field with more different values says what a run was about, not what kind of run it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run as a condition sees it.

    Args:
        task: What was asked for; runs of one task are one witness.
        inputs: By name.
        results: By node id.
    """

    task: str
    inputs: Mapping[str, Json]
    results: Mapping[str, Json]

    def meets(self, expression: str) -> bool | None:
        """Tell whether an expression is true here; None when it cannot be evaluated."""
        try:
            return holds(expression, Surroundings(inputs=self.inputs, results=self.results))
        except ExecutionError:  # a field that this run's result does not have
            return None


def deciding(yes: Sequence[Case], no: Sequence[Case], *, least: int = MIN_SUPPORT) -> str | None:
    """Return the simplest expression that is true in all of one side and false in all of the other.

    Args:
        yes: Where it must be true.
        no: Where it must be false.
        least: How many different tasks each side must have.
    """
    if min(_tasks(yes), _tasks(no)) < least:
        return None
    for expression in _expressions(yes, no):
        if all(case.meets(expression) is True for case in yes) and all(
            case.meets(expression) is False for case in no
        ):
            return expression
    return None


def _tasks(cases: Sequence[Case]) -> int:
    return len({case.task for case in cases})


def _expressions(yes: Sequence[Case], no: Sequence[Case]) -> Iterator[str]:
    """Yield expressions over what both sides have: equal to a value, not equal to it, at least or at most."""
    for name in _shared([case.inputs for case in (*yes, *no)]):
        yield from _over(name, [case.inputs[name] for case in yes], [case.inputs[name] for case in no])
    for node in _shared([case.results for case in (*yes, *no)]):
        leaves = [dict(_leaves(case.results[node], node)) for case in (*yes, *no)]
        for place in _shared(leaves):
            values = [one[place] for one in leaves]
            yield from _over(place, values[: len(yes)], values[len(yes) :])


def _shared(mappings: Sequence[Mapping[str, Json]]) -> list[str]:
    return [name for name in mappings[0] if all(name in one for one in mappings)]


def _over(place: str, yes: Sequence[Json], no: Sequence[Json]) -> Iterator[str]:
    if any(isinstance(value, (dict, list)) for value in (*yes, *no)):
        return
    if _is_one(yes):
        yield f"{place} == {yes[0]!r}"
    if _is_one(no):
        yield f"{place} != {no[0]!r}"
    if all(_is_number(value) for value in (*yes, *no)) and len({*yes, *no}) > MAX_VALUES:
        if min(yes) > max(no):
            yield f"{place} >= {min(yes)!r}"
        if max(yes) < min(no):
            yield f"{place} <= {max(yes)!r}"


def _is_one(values: Sequence[Json]) -> bool:
    return len({(type(value).__name__, value) for value in values}) == 1


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _leaves(value: Json, place: str, depth: int = 0) -> Iterator[tuple[str, Json]]:
    """Yield expressions for the scalar fields of a result; lists only by their length."""
    if isinstance(value, dict) and depth <= MAX_VALUES:
        for name, item in list(value.items())[:MAX_LEAVES]:
            plain = name.isidentifier() and identifier(name) == name
            yield from _leaves(item, f"{place}.{name}" if plain else f"{place}[{name!r}]", depth + 1)
    elif isinstance(value, list):
        yield f"len({place})", len(value)
    elif not isinstance(value, dict):
        yield place, value
