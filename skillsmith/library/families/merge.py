"""One skill from the lined-up steps of several runs: what they agree on stays, what differs becomes an input.

A source that one run shows is kept only when it gives every run's recorded value. In this order: words in
all runs → input; one path into the result of the same tool → flow; the same literal everywhere → constant;
else an input whose value differs. So nothing is taken from one run that another contradicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from skillsmith.library.families.inputs import FamilyInputs
from skillsmith.library.families.sources import (
    as_each,
    fields_to,
    given,
    gives,
    looks_before,
    moved,
    node_of,
    part_of,
)
from skillsmith.library.program.bindings import resolve, show, sources
from skillsmith.library.trace.align import Column, TracedRun, signature
from skillsmith.library.trace.calls import Call
from skillsmith.library.trace.common_paths import Sought, common_path
from skillsmith.library.trace.results import as_exact
from skillsmith.models import (
    Binding,
    Constant,
    Each,
    FromInput,
    FromNode,
    Json,
    ListOf,
    Node,
    ObjectOf,
    Reason,
    Text,
    Witness,
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One place in the arguments of a step: what stands there in each run, and where each run has it from."""

    name: str
    subject: str
    values: dict[int, Json]
    traced: dict[int, Binding | None]
    calls: dict[int, Call]

    def part(self, step: str | int) -> Leaf:
        """Return a part of it, of an object or a list."""
        traced = {number: part_of(binding, step) for number, binding in self.traced.items()}
        return replace(
            self, name=step if isinstance(step, str) else self.name,
            subject=f"{self.subject}[{step}]" if isinstance(step, int) else f"{self.subject}.{step}",
            values={number: value[step] for number, value in self.values.items()}, traced=traced,
        )  # fmt: skip


@dataclass(slots=True)
class Merger:
    """Makes nodes of columns.

    Args:
        runs: The family.
        inputs: Where inputs are lifted.
    """

    runs: Sequence[TracedRun]
    inputs: FamilyInputs
    nodes: list[Node] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    members: dict[str, dict[int, tuple[Call, ...]]] = field(default_factory=dict)

    def add(self, column: Column) -> str:
        """Make the node of a column that is no loop, and those of the looks that it needs; return its id."""
        return self.single({number: calls[0] for number, calls in column.calls.items()})

    # -------------------------------------------------------------------------------------- single nodes

    def single(self, calls: Mapping[int, Call]) -> str:
        """Return the id of the node that stands for these calls, by run number; made now if need be."""
        known = self._known(calls)
        if known is not None:
            return known
        before = self._snapshot()
        wider = self._made_everywhere(calls)
        if wider is not None:
            node = self._bound(wider)
            new = [one for one in self.inputs.all_but(before.inputs) if one.said < len(self.runs)]
            if not new:
                return node
            self._restore(before)
        return self._bound(calls)

    def _made_everywhere(self, calls: Mapping[int, Call]) -> dict[int, Call] | None:
        """Return a look together with the same one of the runs that made it, too, and had no use for it."""
        first = next(iter(calls.values()))
        if first.effect != "read" or len(calls) == len(self.runs):
            return None
        found = dict(calls)
        for number, run in enumerate(self.runs):
            if number in found:
                continue
            end = min((goal.seq for goal in run.goals), default=run.calls[-1].seq + 1 if run.calls else 0)
            alike = [
                call for call in looks_before(run, first.name, end) if signature(call) == signature(first)
            ]
            if len({as_exact(given(call)) for call in alike}) != 1:
                return None
            found[number] = alike[-1]
        return dict(sorted(found.items()))

    def _bound(self, calls: Mapping[int, Call]) -> str:
        """Make the node of calls and return its id."""
        first = next(iter(calls.values()))
        mark = f"call{first.seq}@{next(iter(calls))}"
        arguments = {
            name: self.bind(Leaf(
                name, f"{mark}.{name}", {number: given(call)[name] for number, call in calls.items()},
                {number: self.runs[number].binding(call, name) for number, call in calls.items()},
                dict(calls),
            ))
            for name in given(first)
        }  # fmt: skip
        return self.put({n: (call,) for n, call in calls.items()}, arguments, mark)

    def _known(self, calls: Mapping[int, Call]) -> str | None:
        """Return the node that stands for these calls already, one by one."""
        loops = {node.id for node in self.nodes if node.for_each is not None}
        for node, members in self.members.items():
            if node not in loops and all(members.get(number) == (call,) for number, call in calls.items()):
                return node
        return None

    def may_read(self, calls: Mapping[int, Call]) -> bool:
        """Tell whether a step can read these calls' results: a change is made once, by the node it has."""
        looks = all(call.effect == "read" for call in calls.values())
        return looks or self._known(calls) is not None

    def put(
        self,
        calls: dict[int, tuple[Call, ...]],
        arguments: dict[str, Binding],
        mark: str,
        for_each: Binding | None = None,
    ) -> str:
        """Add a node and return its id.

        Args:
            calls: What it stands for, by run number.
            arguments: Bound.
            mark: What reasons about it are called so far.
            for_each: The list that it is done for.
        """
        base = next(iter(calls))
        call = calls[base][0] if calls[base] else next(one[0] for one in calls.values() if one)
        node = Node(
            id=f"n{len(self.nodes) + 1}", kind="tool", tool=call.name, agent=call.agent, effect=call.effect,
            title=call.name.replace("_", " "), arguments=arguments, for_each=for_each,
            source_seqs=tuple(seq for one in calls.get(0, ()) for seq in (one.seq, one.result_seq) if seq),
        )  # fmt: skip
        self.nodes.append(node)
        self.members[node.id] = calls
        self.reasons = [
            replace(one, subject=node.id + one.subject.removeprefix(mark))
            if one.subject.startswith(f"{mark}.") else one
            for one in self.reasons
        ]  # fmt: skip
        return node.id

    # ------------------------------------------------------------------------------------------ arguments

    def bind(self, leaf: Leaf) -> Binding:
        """Return where a place's value comes from in every run; what differs is lifted."""
        values = list(leaf.values.values())
        if all(isinstance(value, dict) and value for value in values) and len({*map(tuple, values)}) == 1:
            return ObjectOf(tuple((name, self.bind(leaf.part(name))) for name in values[0]))
        if all(isinstance(value, list) and value for value in values):
            made = self._each(leaf)
            if made is not None:
                return made
            if len({len(value) for value in values}) == 1:
                return self._items_or_whole(leaf, len(values[0]))
        return self._leaf(leaf)

    def _items_or_whole(self, leaf: Leaf, count: int) -> Binding:
        """Return a list bound item by item; one input for all of it when part of it must be given anyway."""
        before = self._snapshot()
        bound = ListOf(tuple(self.bind(leaf.part(place)) for place in range(count)))
        new = [one for one in self.reasons[len(before.reasons) :] if one.decision == "input"]
        if all(one.rule == "user-words" for one in new):
            return bound
        self._restore(before)
        return self._lift(leaf, "differs-between-runs")

    def _snapshot(self) -> Merger:
        return Merger(self.runs, self.inputs.copy(), [*self.nodes], [*self.reasons], dict(self.members))

    def _restore(self, before: Merger) -> None:
        self.inputs.restore(before.inputs)
        self.nodes, self.reasons, self.members = before.nodes, before.reasons, before.members

    def _leaf(self, leaf: Leaf) -> Binding:
        exact = {as_exact(value) for value in leaf.values.values()}
        if all(isinstance(one, FromInput) for one in leaf.traced.values()):
            return self._lift(leaf, "user-words")
        flow = self._flow(leaf)
        if flow is not None:
            self._decide(leaf, "flow", "earlier-result", f"in all {len(leaf.values)} runs from {show(flow)}")
            return flow
        text = self._text(leaf)
        if text is not None:
            return text
        spoken = any(isinstance(one, (FromInput, Text)) for one in leaf.traced.values())
        if len(exact) == 1 and not spoken and self._tasks(leaf) == 1 and not self._is_plain(leaf):
            return self._lift(leaf, "one-task-only")
        if len(exact) == 1 and not spoken:
            value = next(iter(leaf.values.values()))
            runs = f"{len(leaf.values)} of {len(leaf.values)} runs"
            self._decide(leaf, "constant", "same-in-all-runs", f"the same in {runs}", value=value)
            return Constant(value)
        return self._lift(leaf, "differs-between-runs" if len(exact) > 1 else "user-words")

    def _tasks(self, leaf: Leaf) -> int:
        return len({self.runs[number].task for number in leaf.values})

    def _is_plain(self, leaf: Leaf) -> bool:
        """Whether a value says nothing about the task: empty, a switch, or one run's alone."""
        value = next(iter(leaf.values.values()))
        return len(self.runs) == 1 or value in (None, "", [], {}) or isinstance(value, bool)

    def _lift(self, leaf: Leaf, rule: str) -> FromInput:
        said = sum(self.runs[number].witnesses(value, leaf.name) for number, value in leaf.values.items())
        tool = next(iter(leaf.calls.values())).name
        lifted = self.inputs.lift(
            self._aligned(leaf.values), leaf.name, said=said,
            description=f"{leaf.name.replace('_', ' ')} for {tool}",
        )  # fmt: skip
        kinds = len({as_exact(value) for value in leaf.values.values()})
        detail = f"{kinds} different values in {len(leaf.values)} runs, said by people in {said} of them"
        self._decide(leaf, "input", rule, detail, value=next(iter(leaf.values.values())))
        return lifted

    def _aligned(self, values: Mapping[int, Json]) -> list[Json]:
        return [values.get(number) for number in range(len(self.runs))]

    def _decide(self, leaf: Leaf, decision: str, rule: str, detail: str, *, value: Json = None) -> None:
        seen = [(call.seq, f"run {self.runs[number].run.id[:13]}") for number, call in leaf.calls.items()]
        witnesses = tuple(Witness(seq=seq, where="argument", path=where) for seq, where in seen[:4])
        self.reasons.append(
            Reason(subject=leaf.subject, decision=decision, rule=rule, detail=detail, value=value,
                   witnesses=witnesses)
        )  # fmt: skip

    # ---------------------------------------------------------------------------------------------- flows

    def _flow(self, leaf: Leaf) -> FromNode | None:
        """Return a path into the result of one tool that gives every run's value."""
        for number, traced in leaf.traced.items():
            if not isinstance(traced, FromNode):
                continue
            source = self.runs[number].call_at(traced.node)
            calls = {number: source}
            for other, value in leaf.values.items():
                if other != number:
                    found = self._counterpart(other, source.name, traced, value, leaf)
                    if found is None:
                        break
                    calls[other] = found
            else:
                calls = dict(sorted(calls.items()))
                sought = Sought({n: self.runs[n] for n in calls}, dict(leaf.values), calls)
                path = common_path(sought, traced.path, traced.cast, self.inputs, len(self.runs))
                if path is not None and self.may_read(calls):
                    return FromNode(self.single(calls), path, traced.cast)
        return None

    def _counterpart(self, number: int, tool: str, traced: FromNode, value: Json, leaf: Leaf) -> Call | None:
        """Return the call of another run whose result has the value where the traced path leads, or near."""
        run, before = self.runs[number], leaf.calls[number].seq
        own = leaf.traced.get(number)
        if isinstance(own, FromNode) and run.call_at(own.node).name == tool:
            return run.call_at(own.node)
        wanted = [step for step in traced.path if isinstance(step, str)][-1:]
        fitting = [
            call for call in looks_before(run, tool, before)
            if any(path[-1:] == tuple(wanted) for path in fields_to(call.result, value))
        ]  # fmt: skip
        return fitting[-1] if fitting else None

    def _each(self, leaf: Leaf) -> Each | None:
        """Return a list made item by item from a list in an earlier result, when it gives all runs' lists."""
        for number, traced in leaf.traced.items():
            found = as_each(traced) if traced else None
            if found is None or any(isinstance(source, FromInput) for source in sources(found)):
                continue
            source = self.runs[number].call_at(node_of(found))
            calls = self._sources(found, source.name, leaf)
            if (
                calls is not None
                and self.may_read(calls)
                and len({as_exact(value) for value in leaf.values.values()}) > 1
            ):
                node = self.single(calls)
                made = moved(found, node)
                self._decide(leaf, "flow", "each-of-a-list", f"in all {len(calls)} runs {show(made)}")
                return made
        return None

    def _sources(self, binding: Each, tool: str, leaf: Leaf) -> dict[int, Call] | None:
        """Return for each run the call whose result gives its value through the binding."""
        node, calls = node_of(binding), dict[int, Call]()
        for number, value in leaf.values.items():
            fitting = [
                call for call in looks_before(self.runs[number], tool, leaf.calls[number].seq)
                if gives(binding, {node: call.result}, value)
            ]  # fmt: skip
            if not fitting:
                return None
            calls[number] = fitting[-1]
        return calls

    def _text(self, leaf: Leaf) -> Text | None:
        """Return text put together alike in all runs, part by part."""
        texts = {number: one.parts for number, one in leaf.traced.items() if isinstance(one, Text)}
        if len(texts) < len(leaf.traced):
            return None
        shapes = {tuple(part if isinstance(part, str) else None for part in one) for one in texts.values()}
        if len(shapes) != 1:
            return None
        parts: list[str | Binding] = []
        for place, fixed in enumerate(shapes.pop()):
            if fixed is not None:
                parts.append(fixed)
                continue
            inner = {n: one for n, parts_of in texts.items() if not isinstance(one := parts_of[place], str)}
            values = {number: self._recorded(number, one) for number, one in inner.items()}
            name = next((one.name for one in inner.values() if isinstance(one, FromInput)), leaf.name)
            parts.append(self._leaf(replace(leaf, name=name, values=values, traced={**inner})))
        return Text(tuple(parts))

    def _recorded(self, number: int, binding: Binding) -> Json:
        """Return what a run's own binding gave in it."""
        run = self.runs[number]
        results = {run.flow.names[f"call{one.call.seq}"]: one.call.result for one in run.flow.kept}
        return resolve(binding, run.flow.variables.defaults(), results)
