"""Line up what several runs of one family did: which call of one run does the job of which call of another.

Calls stand for each other when they call the same tool with the same argument names. What stands next to
each other and is the same tool again may be one step, done for several things.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from skillsmith.library.dataflow import BoundCall, Flow
from skillsmith.library.program.bindings import leaves
from skillsmith.library.trace.calls import Call, Said
from skillsmith.library.trace.literals import find
from skillsmith.models import Binding, FromInput, FromNode, Json, Run

Signature: TypeAlias = tuple[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRun:
    """A run with its data flow.

    Args:
        calls: All its calls, also those that are not on the successful path.
        words: What people said in it.
        flow: Its successful path.
        has_code: Whether it ran code.
    """

    run: Run
    calls: tuple[Call, ...]
    words: tuple[Said, ...]
    flow: Flow
    has_code: bool = False
    _bound: Mapping[int, BoundCall] = field(init=False, repr=False, compare=False)
    _by_node: Mapping[str, Call] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kept = self.flow.kept
        object.__setattr__(self, "_bound", {one.call.seq: one for one in kept})
        by_node = {self.flow.names[f"call{one.call.seq}"]: one.call for one in kept}
        object.__setattr__(self, "_by_node", by_node)

    @property
    def task(self) -> str:
        """What was asked for; runs of one task are one witness."""
        return " ".join(self.run.task.split())

    @property
    def goals(self) -> tuple[Call, ...]:
        """What it changed, in order."""
        return tuple(bound.call for bound in self.flow.kept if bound.call.effect == "write")

    @property
    def looks(self) -> tuple[Call, ...]:
        """What it kept, in order; for a run that changed nothing."""
        return tuple(bound.call for bound in self.flow.kept)

    def binding(self, call: Call, name: str) -> Binding | None:
        """Return where the run itself has an argument from; None when the call is not on its path."""
        found = self._bound.get(call.seq)
        return found.arguments.get(name) if found else None

    def call_at(self, node: str) -> Call:
        """Return the call that one of the run's own node ids stands for."""
        return self._by_node[node]

    def witnesses(self, value: Json, name: str) -> bool:
        """Tell whether a person said the value, for lists and objects every part of it."""
        if isinstance(value, (list, dict)):
            parts = value if isinstance(value, list) else list(value.values())
            return bool(parts) and all(self.witnesses(part, name) for part in parts)
        last = max((said.seq for said in self.words), default=0)
        return find(value, self.words, before=last + 1, near=name) is not None


@dataclass(frozen=True, slots=True)
class Column:
    """One step of the family: the calls that each run has there, by the run's number.

    Args:
        tool: Which tool it calls.
        calls: More than one call of a run means that it did the step for several things.
        loop: Whether it is done for each item of a list.
    """

    tool: str
    calls: dict[int, tuple[Call, ...]]
    loop: bool = False


def columns(runs: Sequence[TracedRun]) -> list[Column]:
    """Line up the changes of all runs, or what they looked at when none changed anything."""
    changed = any(run.goals for run in runs)
    lined: list[tuple[Signature, dict[int, tuple[Call, ...]]]] = []
    for number, run in enumerate(runs):
        steps = _steps(run.goals if changed else run.looks)
        lined = _merged(lined, steps, number)
    result: list[Column] = []
    for (tool, _), calls in lined:
        result += _loops_or_singles(Column(tool, calls), runs)
    return result


def signature(call: Call) -> Signature:
    """Return what calls that do the same job have in common."""
    return call.name, frozenset(call.arguments or {})


def _steps(calls: Sequence[Call]) -> list[tuple[Signature, tuple[Call, ...]]]:
    steps: list[tuple[Signature, tuple[Call, ...]]] = []
    for call in calls:
        if steps and steps[-1][0] == signature(call):
            steps[-1] = (steps[-1][0], (*steps[-1][1], call))
        else:
            steps.append((signature(call), (call,)))
    return steps


def _merged(
    lined: Sequence[tuple[Signature, dict[int, tuple[Call, ...]]]],
    steps: Sequence[tuple[Signature, tuple[Call, ...]]],
    number: int,
) -> list[tuple[Signature, dict[int, tuple[Call, ...]]]]:
    """Put a run's steps into the line: the longest common sequence stays, the rest is put between."""
    pairs = common_sequence([one[0] for one in lined], [one[0] for one in steps])
    result: list[tuple[Signature, dict[int, tuple[Call, ...]]]] = []
    old = new = 0
    for at, to in [*pairs, (len(lined), len(steps))]:
        result += lined[old:at]
        result += [(name, {number: calls}) for name, calls in steps[new:to]]
        if at < len(lined):
            result.append((lined[at][0], {**lined[at][1], number: steps[to][1]}))
        old, new = at + 1, to + 1
    return result


def common_sequence(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the places of a longest common subsequence, as pairs of positions in order.

    The table of lengths is kept as its differences, a bit a cell (Hyyrö, 2004): two runs of 10,000 steps take
    12 MB and a fraction of a second.
    """
    rows = _fallings(one, other)
    best = len(other) - rows[0].bit_count()
    pairs: list[tuple[int, int]] = []
    at = to = 0
    while best:
        if one[at] == other[to]:
            pairs.append((at, to))
            at, to, best = at + 1, to + 1, best - 1
        elif _longest(rows[at + 1], len(other) - to) == best:
            at += 1
        else:
            to += 1
    return pairs


def _fallings(one: Sequence[Hashable], other: Sequence[Hashable]) -> list[int]:
    """Return a row of bits for each rest of ``one``: which items of ``other``, from its end, add nothing."""
    places: dict[Hashable, int] = {}
    for place, item in enumerate(reversed(other)):
        places[item] = places.get(item, 0) | 1 << place
    row = everything = (1 << len(other)) - 1
    rows = [row]
    for item in reversed(one):
        alike = row & places.get(item, 0)
        row = ((row + alike) | (row - alike)) & everything
        rows.append(row)
    rows.reverse()
    return rows


def _longest(row: int, width: int) -> int:
    """Return the length that a row of differences comes to over its first ``width`` places."""
    return width - (row & (1 << width) - 1).bit_count()


def _loops_or_singles(column: Column, runs: Sequence[TracedRun]) -> list[Column]:
    """Return a step as a loop when runs did it a different number of times, or each time in the same role."""
    counts = {len(calls) for calls in column.calls.values()}
    if counts == {1}:
        return [column]
    alike = all(
        len({_role(runs[number], call) for call in calls}) == 1 for number, calls in column.calls.items()
    )
    if len(counts) > 1 or alike:
        return [replace(column, loop=True)]
    return [
        Column(column.tool, {number: (calls[place],) for number, calls in column.calls.items()})
        for place in range(counts.pop())
    ]


def _role(run: TracedRun, call: Call) -> tuple[object, ...]:
    """Return what kinds of places a call's arguments come from."""
    roles: list[object] = []
    for name in sorted(call.arguments or {}):
        binding = run.binding(call, name)
        for _, leaf in leaves(binding) if binding else ():
            kind: object = type(leaf).__name__
            if isinstance(leaf, FromNode):
                kind = run.call_at(leaf.node).name
            if isinstance(leaf, FromInput):
                kind = "input"
            roles.append((name, kind))
    return tuple(dict.fromkeys(roles))
