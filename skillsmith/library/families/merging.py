"""The skill of a family: several successful runs of one kind of task, lined up and merged.

What not every run did is done on a condition that the runs support, or when the caller asks for it; nothing
is done unasked that a run went without. Failed runs give preconditions, never steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from skillsmith.errors import ExtractionError
from skillsmith.library.extraction import describe
from skillsmith.library.extraction.assemble import ordered, outputs
from skillsmith.library.families.conditions import Case, deciding
from skillsmith.library.families.inputs import FamilyInputs
from skillsmith.library.families.loops import LoopMerger
from skillsmith.library.families.merge import Merger
from skillsmith.library.program.bindings import rename_nodes, sources
from skillsmith.library.program.conditions import names_in
from skillsmith.library.program.validation import bindings_of, expressions_of
from skillsmith.library.trace.align import Column, TracedRun, columns
from skillsmith.library.trace.calls import Call, Said
from skillsmith.library.trace.literals import find
from skillsmith.models import FromInput, FromNode, Json, Node, Reason, Skill, Template, Variable

_BETWEEN = re.compile(r"\s*(?:,|;|&)?\s*(?:and|or)?\s*", re.IGNORECASE)
"""What may stand between the items of a list in words."""

MIN_FOR_CHECK = 3
"""A precondition needs so many tasks that succeeded and so many that failed: a wrong one stops good work."""


def family_skill(runs: Sequence[TracedRun], failed: Sequence[TracedRun] = ()) -> Skill:
    """Return the skill of a family, not yet named or proven.

    Args:
        runs: Successful runs, at least one.
        failed: Runs of the same kind that failed.

    Raises:
        ExtractionError: The runs have nothing in common, or nothing that can be repeated.
    """
    lined = columns(runs)
    if not lined:
        raise ExtractionError("no run has a successful tool call", hint="there is nothing to repeat")
    if len(runs) > 1 and not any(len(one.calls) > 1 for one in lined):
        raise ExtractionError(
            "the runs have no step in common",
            hint="name runs of one kind of task; --all-successful finds them",
        )
    return _Family(runs, failed, lined).skill()


@dataclass(slots=True)
class _Family:
    runs: Sequence[TracedRun]
    failed: Sequence[TracedRun]
    lined: Sequence[Column]

    def skill(self) -> Skill:
        base = max(range(len(self.runs)), key=lambda n: (sum(n in one.calls for one in self.lined), -n))
        inputs = FamilyInputs(base)
        merger = Merger(self.runs, inputs)
        lined, reasons = self._common()
        for column in lined:
            (LoopMerger(merger) if column.loop else merger).add(column)
        merger.reasons += reasons
        nodes = self._in_time(merger.nodes, merger.members)
        numbered, reasons = _renumbered(self._conditional(nodes, merger), merger.reasons)
        members = {new.id: merger.members[old] for old, new in numbered.items()}
        made, reasons = self._checked([*numbered.values()], members, reasons)
        return self._assembled(made, members, inputs, reasons, base)

    def _common(self) -> tuple[list[Column], list[Reason]]:
        """Return the steps to take: every change, and of runs that only look what all of them look at."""
        if any(run.goals for run in self.runs):
            return list(self.lined), []
        kept = [one for one in self.lined if len(one.calls) == len(self.runs)]
        if not kept:
            raise ExtractionError(
                "the runs only look, and no look is common to all of them",
                hint="name runs of one kind of task; --all-successful finds them",
            )
        reasons = [
            Reason(subject=one.tool, decision="left_out", rule="not-in-all-runs",
                   detail=f"only looks, and only in {len(one.calls)} of {len(self.runs)} runs")
            for one in self.lined if one not in kept
        ]  # fmt: skip
        return kept, reasons

    # ---------------------------------------------------------------------------------------------- order

    def _in_time(
        self, nodes: Sequence[Node], members: Mapping[str, Mapping[int, tuple[Call, ...]]]
    ) -> list[Node]:
        """Put each look before the changes that came after it in every run."""
        order: list[Node] = []
        for node in nodes:
            place = len(order)
            needed = _needs(node)
            while place and order[place - 1].id not in needed and _precedes(
                members[node.id], members[order[place - 1].id], node, order[place - 1]
            ):  # fmt: skip
                place -= 1
            order.insert(place, node)
        return order

    # ----------------------------------------------------------------------------------------- conditions

    def _conditional(self, nodes: Sequence[Node], merger: Merger) -> list[Node]:
        """Give every step that some runs lack its condition, and the looks that only it needs the same."""
        conditions: dict[str, str] = {}
        for node in nodes:
            present = [bool(merger.members[node.id].get(n)) for n in range(len(self.runs))]
            listed = isinstance(node.for_each, FromInput)  # nothing to do: an empty list
            if node.effect == "write" and not all(present) and not listed:
                conditions[node.id] = self._condition(node, nodes, present, merger)
        made = [replace(node, condition=conditions.get(node.id)) for node in nodes]
        for place in range(len(made) - 1, -1, -1):
            users = [one for one in made if made[place].id in _needs(one)]
            shared = {one.condition for one in users}
            if made[place].effect == "read" and users and None not in shared and len(shared) == 1:
                condition = shared.pop()
                assert condition is not None
                if not names_in(condition) & {one.id for one in made[place:]}:
                    made[place] = replace(made[place], condition=condition)
        return made

    def _condition(self, node: Node, nodes: Sequence[Node], present: Sequence[bool], merger: Merger) -> str:
        support = f"in {sum(present)} of {len(present)} runs"
        cases = self._cases(node, nodes, merger)
        found = deciding(
            [case for case, there in zip(cases, present, strict=True) if there],
            [case for case, there in zip(cases, present, strict=True) if not there],
        )
        if found is not None:
            return self._because(node, found, "condition-found", f"{support}, just where {found}", merger)
        own = _own_inputs(node, nodes)
        if own:
            found = " and ".join(f"{name} != None" for name in own)
            detail = f"{support}; nothing tells when, so it is done when {' and '.join(own)} is given"
            return self._because(node, found, "when-given", detail, merger)
        switch = merger.inputs.switch(
            f"with_{node.tool}", present, description=f"whether to do {(node.tool or '').replace('_', ' ')}"
        )
        detail = f"{support}; nothing tells when, so the input {switch.name} does"
        return self._because(node, switch.name, "switch", detail, merger)

    @staticmethod
    def _because(node: Node, condition: str, rule: str, detail: str, merger: Merger) -> str:
        merger.reasons.append(
            Reason(subject=f"{node.id}.condition", decision="kept", rule=rule, detail=detail, value=condition)
        )
        return condition

    def _cases(self, node: Node, nodes: Sequence[Node], merger: Merger) -> list[Case]:
        """Return what each run knew before the step: inputs that all runs have, and looks that all made."""
        earlier = nodes[: [one.id for one in nodes].index(node.id)]
        everywhere = [
            one.id for one in earlier
            if one.for_each is None and all(merger.members[one.id].get(n) for n in range(len(self.runs)))
        ]  # fmt: skip
        cases = []
        for number, run in enumerate(self.runs):
            values = {
                name: value for name, value in merger.inputs.of_run(number).items() if value is not None
            }
            results = {one: merger.members[one][number][0].result for one in everywhere}
            cases.append(Case(task=run.run.task, inputs=values, results=results))
        return cases

    # --------------------------------------------------------------------------------------------- checks

    def _checked(
        self,
        nodes: list[Node],
        members: Mapping[str, Mapping[int, tuple[Call, ...]]],
        reasons: list[Reason],
    ) -> tuple[list[Node], list[Reason]]:
        """Put a check before the first change when something held in all successes and in no failure."""
        first = next((place for place, node in enumerate(nodes) if node.effect == "write"), len(nodes))
        looks = [
            node for node in nodes[:first]
            if node.for_each is None and all(members[node.id].get(n) for n in range(len(self.runs)))
        ]  # fmt: skip
        good = [
            Case(task=run.run.task, inputs={}, results={
                node.id: members[node.id][number][0].result for node in looks
            })
            for number, run in enumerate(self.runs)
        ]  # fmt: skip
        bad = [case for run in self.failed if (case := _failed_case(run, looks)) is not None]
        found = deciding(good, bad, least=MIN_FOR_CHECK) if looks and bad else None
        if found is None:
            return nodes, reasons
        check = Node(
            id=f"n{len(nodes) + 1}", kind="check", title="precondition", effect="read",
            template=Template(text=found),
        )  # fmt: skip
        detail = f"held in all {len(good)} successful runs and in none of {len(bad)} that failed"
        reason = Reason(
            subject=check.id, decision="kept", rule="precondition-of-failures", detail=detail, value=found
        )
        return [*nodes[:first], check, *nodes[first:]], [*reasons, reason]

    # -------------------------------------------------------------------------------------------- the skill

    def _assembled(
        self,
        nodes: Sequence[Node],
        members: Mapping[str, Mapping[int, tuple[Call, ...]]],
        inputs: FamilyInputs,
        reasons: Sequence[Reason],
        base: int,
    ) -> Skill:
        made = ordered(nodes, _check_edges(nodes))
        used = {one.name for node in made for _, item in bindings_of(node) for one in sources(item)
                if isinstance(one, FromInput)}  # fmt: skip
        for node in made:
            used |= names_in(node.condition) - {one.id for one in made} if node.condition else set()
        variables, run = inputs.variables(used), self.runs[base].run
        results = {
            node.id: _result(node, members[node.id], base) for node in made
            if node.kind == "tool" and members[node.id].get(base)
        }  # fmt: skip
        schema, bindings = outputs([node for node in made if node.id in results], results)
        optional = {name for name, one in bindings.items() if _may_be_skipped(one, made)}
        schema = {**schema, "required": sorted(set(schema.get("required", ())) - optional)}
        return Skill(
            name="", description=describe.description(made, run.task),
            task_pattern=_with_lists(describe.task_pattern(run.task, variables), variables),
            tags=describe.tags(made, ()),
            variables=variables, outputs=schema, output_bindings=bindings, nodes=made,
            agents=tuple(dict.fromkeys(node.agent for node in made if node.agent)),
            examples=self._examples(base),
            context_requirements={
                "tools": sorted({node.tool for node in made if node.tool}), "packages": [], "notes": [],
                "source_tasks": 0 if _differs(variables, inputs, base) else len(_asked(self.runs[base])),
            },
            source_run_ids=tuple(one.run.id for one in self.runs),
            why=(*reasons, *self._not_taken(members)),
        )  # fmt: skip

    def _examples(self, base: int) -> tuple[str, ...]:
        """Return how the runs were asked for: the run first whose values are the defaults."""
        others = [run for number, run in enumerate(self.runs) if number != base]
        texts = [text for run in (self.runs[base], *others) for text in _asked(run)]
        return tuple(dict.fromkeys(texts))

    def _not_taken(self, members: Mapping[str, Mapping[int, tuple[Call, ...]]]) -> list[Reason]:
        """Return why calls of the runs are not in the skill, a line for each tool."""
        kept = {
            (number, call.seq) for one in members.values() for number, calls in one.items() for call in calls
        }
        counts: dict[tuple[str, str], list[int]] = {}
        for number, run in enumerate(self.runs):
            for call in run.calls:
                if (number, call.seq) not in kept:
                    why = "failed" if call.error else "its result is not needed in all runs"
                    counts.setdefault((call.name, why), []).append(number)
        return [
            Reason(
                subject=tool, decision="left_out", rule="failed" if why == "failed" else "result-unused",
                detail=f"{len(found)} calls in {len(set(found))} of {len(self.runs)} runs: {why}",
            )
            for (tool, why), found in counts.items()
        ]  # fmt: skip


def _needs(node: Node) -> set[str]:
    return {
        source.node
        for _, binding in bindings_of(node)
        for source in sources(binding)
        if isinstance(source, FromNode)
    }


def _precedes(
    one: Mapping[int, tuple[Call, ...]], other: Mapping[int, tuple[Call, ...]], node: Node, before: Node
) -> bool:
    """Whether a look came before a change in every run that has both."""
    if node.effect == "write" or before.effect == "read":
        return False
    pairs = [(one[n], other[n]) for n in one if other.get(n) and one[n]]
    return bool(pairs) and all(
        max(call.seq for call in looks) < min(call.seq for call in changes) for looks, changes in pairs
    )


def _own_inputs(node: Node, nodes: Sequence[Node]) -> list[str]:
    """Return inputs that only this node reads, directly."""
    mine = [one.name for _, item in bindings_of(node) for one in sources(item) if isinstance(one, FromInput)]
    others = {
        one.name for other in nodes if other.id != node.id
        for _, item in bindings_of(other) for one in sources(item) if isinstance(one, FromInput)
    }  # fmt: skip
    return [name for name in dict.fromkeys(mine) if name not in others]


def _renumbered(nodes: Sequence[Node], reasons: Sequence[Reason]) -> tuple[dict[str, Node], list[Reason]]:
    """Number the nodes in their order; return them by their old ids."""
    names = {node.id: f"n{number}" for number, node in enumerate(nodes, 1)}

    def again(text: str) -> str:
        return re.sub(r"\bn\d+\b", lambda found: names.get(found[0], found[0]), text)

    made = {
        node.id: replace(
            node, id=names[node.id], condition=node.condition and again(node.condition),
            arguments={name: rename_nodes(one, names) for name, one in node.arguments.items()},
            for_each=None if node.for_each is None else rename_nodes(node.for_each, names),
        )
        for node in nodes
    }  # fmt: skip
    return made, [
        replace(one, subject=again(one.subject), detail=again(one.detail),
                value=again(one.value) if one.subject.endswith(".condition") else one.value)
        for one in reasons
    ]  # fmt: skip


def _failed_case(run: TracedRun, looks: Sequence[Node]) -> Case | None:
    """Return what a failed run had seen where the skill looks; None when it did not look everywhere."""
    results: dict[str, Json] = {}
    for node in looks:
        fitting = [
            call for call in run.calls
            if call.name == node.tool and call.error is None and call.result_seq is not None
        ]  # fmt: skip
        if not fitting:
            return None
        results[node.id] = fitting[-1].result
    return Case(task=run.run.task, inputs={}, results=results)


def _check_edges(nodes: Sequence[Node]) -> dict[str, list[str]]:
    """Return what checks read, and that changes wait for the checks before them."""
    edges: dict[str, list[str]] = {}
    checks: list[str] = []
    known = {node.id for node in nodes}
    for node in nodes:
        expressions = [text for _, text in expressions_of(node)]
        edges[node.id] = [name for text in expressions for name in sorted(names_in(text) & known)]
        if node.kind == "check":
            checks.append(node.id)
        elif node.effect == "write":
            edges[node.id] += checks
    return edges


def _result(node: Node, members: Mapping[int, tuple[Call, ...]], base: int) -> Json:
    calls = members[base]
    return calls[0].result if node.for_each is None else [call.result for call in calls]


def _may_be_skipped(binding: object, nodes: Sequence[Node]) -> bool:
    conditional = {node.id for node in nodes if node.condition is not None}
    return isinstance(binding, FromNode) and binding.node in conditional


def _with_lists(pattern: str, variables: Sequence[Variable]) -> str:
    """Return a task pattern with a place for each list whose items stand in it one after the other."""
    for variable in variables:
        items = variable.default if variable.type == "list" and isinstance(variable.default, list) else []
        said = [Said(0, "task", pattern)]
        spans = [
            (found.start, found.end)
            for item in items
            if not isinstance(item, (dict, list))
            and (found := find(item, said, before=1, near=variable.name))
        ]
        spans.sort()
        together = all(_BETWEEN.fullmatch(pattern[end:start]) for (_, end), (start, _) in pairwise(spans))
        if spans and len(spans) == len(items) and together:
            pattern = f"{pattern[: spans[0][0]]}{{{variable.name}}}{pattern[spans[-1][1] :]}"
    return pattern


def _differs(variables: Sequence[Variable], inputs: FamilyInputs, base: int) -> bool:
    """Whether the defaults are not what the first run had: it had a step that is done only when asked for."""
    recorded = inputs.of_run(base)
    return any(one.default != recorded[one.name] for one in variables)


def _asked(run: TracedRun) -> tuple[str, ...]:
    """Return how a run was asked for: its task, and what the person typed first."""
    texts = [run.words[0].text] if run.words else []
    texts += [next((said.text for said in run.words if said.where == "user"), "")]
    return tuple(dict.fromkeys(text for text in texts if text))
