"""Steps that runs did for one thing or for several: the list that a loop goes over, and what of an item.

In this order: a list in one earlier result, whole and in its order; what was looked up for each item; else a
list that is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from skillsmith.library.families.inputs import plural
from skillsmith.library.families.merge import Leaf, Merger
from skillsmith.library.families.sources import field_of, given, gives, looks_before
from skillsmith.library.program.bindings import show, sources
from skillsmith.library.trace.align import Column
from skillsmith.library.trace.calls import Call
from skillsmith.library.trace.results import as_exact
from skillsmith.models import Binding, Each, FromItem, FromNode, Json, Reason


@dataclass(frozen=True, slots=True)
class LoopMerger:
    """Makes nodes of columns that are loops.

    Args:
        merger: Makes all others.
    """

    merger: Merger

    def add(self, column: Column) -> str:
        """Make the node of a loop, and those of what it goes over; return its id."""
        groups = column.calls
        first = next(iter(groups.values()))[0]
        names = list(given(first))
        varying = [name for name in names if self._varies(groups, name)]
        mark = f"call{first.seq}@{next(iter(groups))}"
        items, fields = self._items(column, varying, mark)
        fixed = {
            name: self.merger.bind(Leaf(
                name, f"{mark}.{name}", {n: given(calls[0])[name] for n, calls in groups.items() if calls},
                {n: self.merger.runs[n].binding(calls[0], name) for n, calls in groups.items() if calls},
                {n: calls[0] for n, calls in groups.items() if calls},
            ))
            for name in names if name not in varying
        }  # fmt: skip
        node = self.merger.put(groups, {name: fields.get(name) or fixed[name] for name in names}, mark, items)
        counts, runs = sorted(len(calls) for calls in groups.values()), self.merger.runs
        times = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        self.merger.reasons.append(Reason(
            subject=f"{node}.for_each", decision="kept", rule="repeated-step",
            detail=f"done {times} times a run in {len(groups)} of {len(runs)} runs; once for each of "
                   f"{show(items)}",
        ))  # fmt: skip
        return node

    @staticmethod
    def _varies(groups: Mapping[int, Sequence[Call]], name: str) -> bool:
        return any(len({as_exact(given(call)[name]) for call in calls}) > 1 for calls in groups.values())

    def _items(self, column: Column, varying: Sequence[str], mark: str) -> tuple[Binding, dict[str, Binding]]:
        """Return the list that a loop goes over, and what it takes from each item."""
        found = self._listed(column, varying) or self._looked_up(column, varying)
        if found is not None:
            return found
        values: dict[int, Json] = {}
        alone = varying[0] if len(varying) == 1 else None
        for number, calls in column.calls.items():
            values[number] = [
                given(call)[alone] if alone else {name: given(call)[name] for name in varying}
                for call in calls
            ]
        said = sum(
            self.merger.runs[number].witnesses(value, alone or column.tool)
            for number, value in values.items()
        )
        name = plural(alone or column.tool)
        description = f"one {alone.replace('_', ' ')} for each {column.tool}" if alone else (
            f"what each {column.tool} takes: {', '.join(varying)}"
        )  # fmt: skip
        lifted = self.merger.inputs.lift(
            [values.get(number, []) for number in range(len(self.merger.runs))], name,
            description=description, said=said,
        )  # fmt: skip
        self.merger.reasons.append(Reason(
            subject=f"{mark}.{name}", decision="input", rule="list-of-items",
            value=next(iter(values.values())),
            detail=f"{len(values)} runs did it for {', '.join(str(len(v)) for v in values.values())} items; "
                   f"people said all of them in {said} of {len(values)} runs",
        ))  # fmt: skip
        if alone:
            return lifted, {alone: FromItem()}
        return lifted, {name: FromItem((name,)) for name in varying}

    def _listed(self, column: Column, varying: Sequence[str]) -> tuple[Binding, dict[str, Binding]] | None:
        """Return a list in one earlier result whose items, all and in order, are what the loop was for."""
        for number, calls in column.calls.items():
            traced = self.merger.runs[number].binding(calls[0], varying[0]) if varying and calls else None
            if not isinstance(traced, FromNode) or not varying:
                continue
            source = self.merger.runs[number].call_at(traced.node)
            for depth, step in enumerate(traced.path):
                if step != 0 or isinstance(step, bool):
                    continue
                fields = {varying[0]: FromItem(traced.path[depth + 1 :], traced.cast)}
                if len(varying) > 1:
                    continue
                over = FromNode("list", traced.path[:depth])
                found = self._covering(column, over, fields, source.name)
                if found is not None and self.merger.may_read(found):
                    return replace(over, node=self.merger.single(found)), dict(fields)
        return None

    def _covering(
        self, column: Column, over: FromNode, fields: Mapping[str, Binding], tool: str
    ) -> dict[int, Call] | None:
        found: dict[int, Call] = {}
        for number, calls in column.calls.items():
            name, value = next(iter(fields.items()))
            wanted = [given(call)[name] for call in calls]
            fitting = [
                call for call in looks_before(self.merger.runs[number], tool, calls[0].seq)
                if gives(Each(over, value), {"list": call.result}, wanted)
            ]  # fmt: skip
            if not fitting:
                return None
            found[number] = fitting[-1]
        return found

    def _looked_up(self, column: Column, varying: Sequence[str]) -> tuple[Binding, dict[str, Binding]] | None:
        """Return a loop over what was looked up for each item, when all that varies stands in it."""
        for candidate in self._candidates(column, varying):
            tool, fields = candidate
            groups: dict[int, tuple[Call, ...]] = {}
            for number, calls in column.calls.items():
                looked = [self._look(number, tool, fields, call) for call in calls]
                if None in looked or len(set(map(id, looked))) < len(looked):
                    break
                groups[number] = tuple(one for one in looked if one is not None)
            else:
                return FromNode(self.add(Column(tool, groups, loop=True))), fields
        return None

    def _candidates(self, column: Column, varying: Sequence[str]) -> Iterator[tuple[str, dict[str, Binding]]]:
        """Yield tools, and what of their results each argument that varies could be."""
        if len(varying) < 2:  # noqa: PLR2004  (a single value is better given as it is)
            return
        for number, calls in column.calls.items():
            for call in calls:
                own = {name: self.merger.runs[number].binding(call, name) for name in varying}
                nodes = [
                    source.node for one in own.values() if one for source in sources(one)
                    if isinstance(source, FromNode)
                ]  # fmt: skip
                for node in dict.fromkeys(nodes):
                    source = self.merger.runs[number].call_at(node)
                    fields = {name: field_of(name, one, node, source, call) for name, one in own.items()}
                    if source.effect == "read" and all(fields.values()):
                        yield source.name, {name: one for name, one in fields.items() if one is not None}

    def _look(self, number: int, tool: str, fields: Mapping[str, Binding], call: Call) -> Call | None:
        fitting = [
            other for other in looks_before(self.merger.runs[number], tool, call.seq)
            if all(gives(one, {}, given(call)[name], item=other.result) for name, one in fields.items())
        ]  # fmt: skip
        return fitting[-1] if fitting else None
