"""The order of a composition's parts, and under which condition each is done.

Parts that a condition reads are done before it, with all that stand before them; those after are branches.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.errors import ExecutionError
from skillsmith.library.composing.parts import Part, Pattern, always_given
from skillsmith.library.program.bindings import UnresolvedError, resolve
from skillsmith.library.program.conditions import names_in
from skillsmith.library.proof import defaults_of
from skillsmith.models import Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """How the parts follow each other.

    Args:
        before: By label, the parts that are done before, the nearest last.
        conditions: By label, under which condition a part is done.
        problems: Why it cannot be so, one line each.
    """

    before: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def flow_of(parts: Sequence[Part], pattern: Pattern, when: Sequence[str]) -> Flow:
    """Return how the parts of a composition follow each other.

    Args:
        parts: In their order.
        pattern: sequential, parallel or conditional.
        when: Conditions, one for each branch but the last, which may do without.
    """
    labels = [part.label for part in parts]
    if pattern != "conditional":
        sequence = pattern == "sequential"
        before = {label: tuple(labels[:place]) if sequence else () for place, label in enumerate(labels)}
        wrong = [f"a {pattern} composition takes no --when"] if when else []
        wrong += list(_races(parts)) if pattern == "parallel" else []
        return Flow(before=before, problems=tuple(wrong))
    return _conditional(labels, when)


def _conditional(labels: Sequence[str], when: Sequence[str]) -> Flow:
    problems, read = [], set[str]()
    for expression in when:
        try:
            read |= names_in(expression)
        except ExecutionError as error:
            problems.append(error.message)
    last = max((place for place, label in enumerate(labels) if label in read), default=-1)
    leading, branches = labels[: last + 1], labels[last + 1 :]
    if not when:
        problems.append('a conditional composition needs a condition: --when "amount > 100"')
    elif not branches:
        problems.append(
            f"nothing is left to be done under the condition: it reads {labels[last]}, the last part"
        )
    elif not len(when) <= len(branches) <= len(when) + 1:
        problems.append(
            f"{len(when)} conditions are for {len(when)} or {len(when) + 1} branches, and there are"
            f" {len(branches)}: {', '.join(branches)}"
        )
    before = {label: tuple(leading[:place]) for place, label in enumerate(leading)}
    before |= {label: tuple(leading) for label in branches}
    conditions = {label: _condition(when, place) for place, label in enumerate(branches)}
    return Flow(before=before, conditions=conditions, problems=tuple(problems))


def _condition(when: Sequence[str], place: int) -> str:
    """Return when a branch is done: its own condition holds, and none before it."""
    refused = [f"not ({one.strip()})" for one in when[:place]]
    own = [f"({when[place].strip()})" if refused else when[place].strip()] if place < len(when) else []
    return " and ".join([*refused, *own])


def condition_problems(
    parts: Sequence[Part], when: Sequence[str], variables: Sequence[Variable]
) -> Iterator[str]:
    """Yield what conditions read that nothing takes or gives."""
    known, inputs = {part.label: part for part in parts}, {variable.name for variable in variables}
    for expression in when:
        try:
            names = names_in(expression)
        except ExecutionError:  # the flow has said so
            continue
        for name in sorted(names - known.keys() - inputs):
            yield (
                f"the condition {expression} reads {name}, which no part takes or gives; the inputs are"
                f" {', '.join(sorted(inputs)) or 'none'}: declare it with --input {name}:string"
            )
        for label, name in _fields(expression):
            part = known.get(label)
            if part is None or label in inputs:
                continue
            if name not in part.skill.output_bindings:
                given = ", ".join(part.skill.output_bindings) or "nothing"
                yield f"the condition {expression} reads {label}.{name}, but {label} gives {given}"
            elif not always_given(part.skill, name):
                yield f"the condition {expression} reads {label}.{name}, which may be missing"


def _fields(expression: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of names that an expression reads: ``look.status`` and ``look["status"]``."""
    for node in ast.walk(ast.parse(expression.strip(), mode="eval")):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.value.id, node.attr
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and isinstance(node.slice, ast.Constant)
        ):
            yield node.value.id, str(node.slice.value)


def _races(parts: Sequence[Part]) -> Iterator[str]:
    """Yield files that one part makes and another, side by side with it, makes or reads."""
    made = {part.label: _files(part, writes=True) for part in parts}
    read = {part.label: _files(part, writes=False) for part in parts}
    for place, one in enumerate(parts):
        for other in parts[place + 1 :]:
            for path in sorted(made[one.label] & made[other.label]):
                yield f"{one.label} and {other.label} both make {path}, side by side"
            for maker, reader in ((one, other), (other, one)):
                for path in sorted(made[maker.label] & read[reader.label] - made[reader.label]):
                    yield f"{reader.label} reads {path}, which {maker.label} makes: compose them sequentially"


def _files(part: Part, *, writes: bool) -> set[str]:
    """Return the files that a part makes or reads, with its recorded values."""
    found = set[str]()
    for stop in part.graph.work():
        defaults = defaults_of(part.graph.skills[stop.scope])
        for use in stop.node.writes if writes else stop.node.reads:
            try:
                path = resolve(use.path, defaults, {})
            except UnresolvedError:  # known only when it runs
                continue
            found |= {path} if isinstance(path, str) else set()
    return found
