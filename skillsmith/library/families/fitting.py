"""Fit a skill to a run it was not made from: find inputs with which it would do what the run did.

The fit only proposes inputs; ``regenerated`` then runs the skill over the run's own recorded looks and
compares every change, so nothing is taken for done that the skill would not really do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from skillsmith.library.program.bindings import ITEM, UnresolvedError, as_text, reads_item, resolve
from skillsmith.library.program.conditions import names_in
from skillsmith.library.trace.align import TracedRun
from skillsmith.library.trace.calls import Call
from skillsmith.library.trace.regenerating import changes_something, done_by, regenerated
from skillsmith.library.trace.results import as_exact
from skillsmith.library.trace.selectors import records_of
from skillsmith.models import (
    Binding,
    Constant,
    Each,
    FromInput,
    FromItem,
    FromNode,
    Json,
    ListOf,
    Node,
    ObjectOf,
    PathStep,
    Skill,
    Text,
    Where,
)

MAX_FITS = 200
"""Of a run: so many proposals are tried before it counts as not fitting."""

MAX_STEPS = 50_000
"""Of one search: a run with many alike looks could be searched for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a skill does with a run.

    Args:
        inputs: The values that were found for its inputs.
        said: Names of those that people said in the run.
        given: Names of those that only the run's record has.
        problem: Why the skill does not do what the run did; None when it does.
        changes: How many changes were compared.
        results: Of the nodes that were reached, by id.
    """

    inputs: Mapping[str, Json] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    problem: str | None = None
    changes: int = 0
    results: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _State:
    """What is assumed so far: values of inputs, and the calls that nodes stand for."""

    inputs: Mapping[str, Json]
    calls: Mapping[str, tuple[Call, ...]]

    def with_input(self, name: str, value: Json) -> _State | None:
        if name in self.inputs:
            return self if as_exact(self.inputs[name]) == as_exact(value) else None
        return replace(self, inputs={**self.inputs, name: value})


def fit(skill: Skill, run: TracedRun) -> Fit:
    """Find inputs with which the skill makes exactly the run's changes, in their order.

    Args:
        skill: Made of tool nodes.
        run: A run of the same family.
    """
    goals = _goals(skill, run)
    places = _places(skill, goals)
    if isinstance(places, str):
        return Fit(problem=places, changes=len(goals))
    solver = _Solver(skill, run)
    start = _State(_absent(skill, places), {})
    best: Fit | None = None
    for state in islice(solver.solve(places, start), MAX_FITS):
        inputs = {one.name: state.inputs.get(one.name, one.default) for one in skill.variables}
        wanted = [done_by(call) for calls in places.values() for call in calls]
        problem, results = regenerated(skill, run, inputs, wanted)
        said = tuple(n for n, value in state.inputs.items() if value is not None and run.witnesses(value, n))
        given = tuple(
            n for n, v in state.inputs.items() if n not in said and v is not None and not isinstance(v, bool)
        )
        best = Fit(inputs=inputs, said=said, given=given, problem=problem, changes=len(goals),
                   results=results)  # fmt: skip
        if problem is None:
            return best
    return best or Fit(problem=_Solver(skill, run).why(places, start), changes=len(goals))


def _goals(skill: Skill, run: TracedRun) -> tuple[Call, ...]:
    """Return what of the run the skill must do: its changes, or its looks when the skill only looks."""
    if changes_something(skill) or run.goals:
        return run.goals
    return tuple(call for call in run.looks if any(_is_like(node, call) for node in skill.nodes))


def _places(skill: Skill, goals: Sequence[Call]) -> dict[str, tuple[Call, ...]] | str:
    """Return the calls that each node which changes something stands for, or why they cannot be placed."""
    if not changes_something(skill):
        return _looks(skill, goals)
    places: dict[str, tuple[Call, ...]] = {}
    left = list(goals)
    for node in (node for node in skill.nodes if node.effect == "write"):
        count = 0
        while count < len(left) and _is_like(node, left[count]) and (node.for_each is not None or not count):
            count += 1
        if not count and node.condition is None and node.for_each is None:
            return f"the run does not do {node.tool}, which the skill always does"
        places[node.id], left = tuple(left[:count]), left[count:]
    if left:
        return f"the run also does {left[0].name} with {', '.join(left[0].arguments or ())}"
    return places


def _looks(skill: Skill, goals: Sequence[Call]) -> dict[str, tuple[Call, ...]] | str:
    """Place the looks of a run that changed nothing, in whatever order it made them."""
    changed = next((call for call in goals if call.effect == "write"), None)
    if changed is not None:
        return f"the run does {changed.name}, and the skill changes nothing"
    places: dict[str, tuple[Call, ...]] = {}
    left = list(goals)
    for node in (node for node in skill.nodes if node.kind == "tool"):
        fitting = [call for call in left if _is_like(node, call)]
        fitting = fitting if node.for_each is not None else fitting[:1]
        if not fitting and node.for_each is None:
            return f"the run does not do {node.tool}, which the skill always does"
        places[node.id], left = tuple(fitting), [call for call in left if call not in fitting]
    return places


def _is_like(node: Node, call: Call) -> bool:
    return node.tool == call.name and set(node.arguments) == set(call.arguments or {})


def _absent(skill: Skill, places: Mapping[str, tuple[Call, ...]]) -> dict[str, Json]:
    """Return inputs that say whether a step is done at all: by a switch, or by having no value."""
    values: dict[str, Json] = {}
    by_name = {variable.name: variable for variable in skill.variables}
    for node in skill.nodes:
        if node.condition is None or node.id not in places:
            continue
        for name in names_in(node.condition) & by_name.keys():
            if by_name[name].type == "boolean":
                values[name] = bool(places[node.id])
            elif not places[node.id] and not by_name[name].required:
                values[name] = None
    return values


class _Solver:
    """Reads bindings backwards, from the recorded arguments to inputs and results."""

    def __init__(self, skill: Skill, run: TracedRun) -> None:
        self._nodes = {node.id: node for node in skill.nodes}
        self._run = run
        self._left = MAX_STEPS

    def solve(self, places: Mapping[str, tuple[Call, ...]], state: _State) -> Iterator[_State]:
        """Yield assumptions with which every placed node has its recorded arguments."""
        if not places:
            yield state
            return
        node, *rest = places
        for found in self._node(self._nodes[node], places[node], state):
            yield from self.solve({name: places[name] for name in rest}, found)

    def why(self, places: Mapping[str, tuple[Call, ...]], state: _State) -> str:
        """Say which argument of which node nothing gives."""
        for node, calls in places.items():
            for name, binding in self._nodes[node].arguments.items():
                if self._nodes[node].for_each is None and calls:
                    value = (calls[0].arguments or {})[name]
                    if next(self._value(binding, value, state, calls[0].seq), None) is None:
                        return f"{node} {calls[0].name}.{name}: nothing gives {as_text(value)[:80]}"
            if next(self._node(self._nodes[node], calls, state), None) is None and calls:
                return f"{node} {calls[0].name}: no inputs give the arguments that the run has"
        return "the steps fit one by one, but not together"

    def _node(self, node: Node, calls: tuple[Call, ...], state: _State) -> Iterator[_State]:
        known = state.calls.get(node.id)
        if known is not None:
            if known == calls:
                yield state
            return
        state = replace(state, calls={**state.calls, node.id: calls})
        if node.for_each is not None:
            yield from self._loop(node, node.for_each, calls, state)
        elif not calls:
            yield state
        else:
            given = calls[0].arguments or {}
            pairs = [(binding, given[name]) for name, binding in node.arguments.items()]
            yield from self._all(pairs, state, calls[0].seq)

    def _all(self, pairs: Sequence[tuple[Binding, Json]], state: _State, seq: int) -> Iterator[_State]:
        if not pairs:
            yield state
            return
        (binding, value), *rest = pairs
        for found in self._value(binding, value, state, seq):
            yield from self._all(rest, found, seq)

    def _value(  # noqa: C901, PLR0912  (one case a form)
        self, binding: Binding, value: Json, state: _State, seq: int
    ) -> Iterator[_State]:
        """Yield assumptions with which a binding has this value at an event."""
        self._left -= 1
        if self._left < 0:
            return
        match binding:
            case Constant(fixed):
                if as_exact(fixed) == as_exact(value):
                    yield state
            case FromInput(name):
                found = state.with_input(name, value)
                if found is not None:
                    yield found
            case FromNode():
                yield from self._from_node(binding, value, state, seq)
            case ListOf(items):
                if isinstance(value, list) and len(value) == len(items):
                    yield from self._all(list(zip(items, value, strict=True)), state, seq)
            case ObjectOf(fields):
                if isinstance(value, dict) and tuple(value) == tuple(name for name, _ in fields):
                    yield from self._all([(one, value[name]) for name, one in fields], state, seq)
            case Text(parts):
                yield from self._text(parts, value, state, seq)
            case Each(items, made):
                yield from self._each(items, made, value, state, seq)
            case FromItem():
                return

    def _text(self, parts: Sequence[str | Binding], value: Json, state: _State, seq: int) -> Iterator[_State]:
        if not isinstance(value, str):
            return
        pattern = "".join(re.escape(part) if isinstance(part, str) else "(.+?)" for part in parts)
        found = re.fullmatch(pattern, value, re.DOTALL)
        if found is None:
            return
        bound = [part for part in parts if not isinstance(part, str)]
        pairs = list(zip(bound, found.groups(), strict=True))
        casts = [(replace(one, cast="string") if isinstance(one, FromNode) else one, text)
                 for one, text in pairs]  # fmt: skip
        yield from self._all(casts, state, seq)

    def _candidates(self, node: Node, state: _State, seq: int) -> list[Call]:
        assumed = state.calls.get(node.id)
        if assumed is not None:
            return [call for call in assumed[:1] if call.result_seq is not None and call.result_seq < seq]
        fitting = [call for call in self._run.calls if call.known_before(seq) and _is_like(node, call)]
        return fitting[::-1]

    def _from_node(self, binding: FromNode, value: Json, state: _State, seq: int) -> Iterator[_State]:
        node = self._nodes[binding.node]
        if node.for_each is not None:
            return
        for call in self._candidates(node, state, seq):
            for found in _reach(call.result, binding.path, value, binding.cast, state):
                yield from self._node(node, (call,), found)

    def _each(self, items: Binding, made: Binding, value: Json, state: _State, seq: int) -> Iterator[_State]:
        if not isinstance(value, list):
            return
        if isinstance(items, FromInput):
            built = [_built([(made, one)]) for one in value]
            if None not in built:
                yield from self._value(items, built, state, seq)
        elif isinstance(items, FromNode) and self._nodes[items.node].for_each is None:
            for call in self._candidates(self._nodes[items.node], state, seq):
                results = {items.node: call.result}
                if _same(Each(items, made), state.inputs, results, value):
                    yield from self._node(self._nodes[items.node], (call,), state)

    def _loop(self, node: Node, items: Binding, calls: tuple[Call, ...], state: _State) -> Iterator[_State]:
        given = [call.arguments or {} for call in calls]
        outer = {name: one for name, one in node.arguments.items() if not reads_item(one)}
        inner = {name: one for name, one in node.arguments.items() if name not in outer}
        pairs = [(one, arguments[name]) for arguments in given for name, one in outer.items()]
        first = min((call.seq for call in calls), default=10**9)
        for found in self._all(pairs, state, first):
            match items:
                case FromInput():
                    built = [_built([(one, args[name]) for name, one in inner.items()]) for args in given]
                    if None not in built:
                        yield from self._value(items, built, found, first)
                case FromNode(source, ()) if self._nodes[source].for_each is not None:
                    looked = [self._looked(self._nodes[source], inner, call) for call in calls]
                    if all(looked):
                        group = tuple(one for one in looked if one is not None)
                        yield from self._node(self._nodes[source], group, found)
                case FromNode(source):
                    wanted = [{name: args[name] for name in inner} for args in given]
                    made = Each(items, ObjectOf(tuple(inner.items())))
                    for call in self._candidates(self._nodes[source], found, first):
                        if _same(made, found.inputs, {source: call.result}, wanted):
                            yield from self._node(self._nodes[source], (call,), found)

    def _looked(self, node: Node, inner: Mapping[str, Binding], call: Call) -> Call | None:
        """Return the latest look whose result gives the arguments that a loop takes from its items."""
        for other in reversed(self._run.calls):
            if other.known_before(call.seq) and _is_like(node, other):
                item = {ITEM: other.result}
                if all(_same(one, item, {}, (call.arguments or {})[name]) for name, one in inner.items()):
                    return other
        return None


def _same(binding: Binding, inputs: Mapping[str, Json], results: Mapping[str, Json], value: Json) -> bool:
    try:
        return as_exact(resolve(binding, inputs, results)) == as_exact(value)
    except UnresolvedError:
        return False


def _built(pairs: Sequence[tuple[Binding, Json]]) -> Json:
    """Return the item that gives these values; None when none does."""
    item: dict[str, Json] = {}
    for binding, value in pairs:
        match binding:
            case FromItem(()):
                return value
            case FromItem((str() as name,)):
                item[name] = value
            case _:
                return None
    return item


def _reach(
    result: Json, path: Sequence[PathStep], value: Json, cast: str | None, state: _State
) -> Iterator[_State]:
    """Yield assumptions on selecting inputs with which a path leads to the value."""
    places = [place for place, step in enumerate(path) if isinstance(step, Where)]
    if not places:
        if _same(FromNode("n", tuple(path), cast), state.inputs, {"n": result}, value):
            yield state
        return
    place = places[0]
    step = path[place]
    assert isinstance(step, Where)
    try:
        held = resolve(FromNode("n", tuple(path[:place])), state.inputs, {"n": result})
    except UnresolvedError:
        return
    for record in records_of(held):
        if not isinstance(record, dict) or step.field not in record:
            continue
        picked: _State | None = state
        if isinstance(step.equals, FromInput):
            picked = state.with_input(step.equals.name, record[step.field])
        elif not _same(step.equals, state.inputs, {}, record[step.field]):
            picked = None
        if picked is not None:
            yield from _reach(record, path[place + 1 :], value, cast, picked)
