"""Run a skill over a run's own record: its looks are answered from it, its changes are compared with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skillsmith.errors import SkillsmithError
from skillsmith.library.program.bindings import ITEM, UnresolvedError, as_text, each_of, resolve, sources
from skillsmith.library.program.conditions import Surroundings, holds
from skillsmith.library.trace.align import TracedRun
from skillsmith.library.trace.calls import Call
from skillsmith.library.trace.results import as_exact
from skillsmith.models import FromNode, Json, Node, Skill


@dataclass(frozen=True, slots=True)
class Done:
    """One call that a skill makes, or a run made."""

    tool: str
    arguments: Mapping[str, Json]

    @property
    def exact(self) -> tuple[str, bytes]:
        """It as bytes that tell apart what Python's equality does not; the order of arguments is no part."""
        return self.tool, as_exact(dict(sorted(self.arguments.items())))


def done_by(call: Call) -> Done:
    """Return what a recorded call did."""
    return Done(call.name, call.arguments or {})


def changes_something(skill: Skill) -> bool:
    """Tell whether a skill does more than look."""
    return any(node.effect == "write" for node in skill.nodes)


def regenerated(
    skill: Skill, run: TracedRun, inputs: Mapping[str, Json], wanted: Sequence[Done]
) -> tuple[str | None, dict[str, Json]]:
    """Run the skill over a run's recorded results and compare what it would change.

    Args:
        skill: Made of tool nodes and checks.
        run: Answers the skill's looks, when it made the very same ones.
        inputs: Values of the skill's inputs.
        wanted: What the run changed, in order.

    Returns:
        What differs, or None; and the results of the nodes that were reached.
    """
    replay = _Replay(run)
    results: dict[str, Json] = {}
    changes = changes_something(skill)
    for node in skill.nodes:
        try:
            if _skipped(node, inputs, results):
                continue
            if node.kind == "check":
                if node.template and not holds(
                    node.template.text, Surroundings(inputs=inputs, results=results)
                ):
                    return f"{node.id}: the check {node.template.text} does not hold", results
                continue
            results[node.id] = replay.node(node, inputs, results)
        except SkillsmithError as error:
            return f"{node.id} {node.tool}: {error.message}", results
    made = [done for done in replay.done if not changes or done[1] == "write"]
    return _difference([one for one, _ in made], wanted), results


def _skipped(node: Node, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> bool:
    surroundings = Surroundings(inputs=inputs, results=results)
    if node.condition is not None and not holds(node.condition, surroundings):
        return True
    bindings = [*node.arguments.values(), *([] if node.for_each is None else [node.for_each])]
    needed = {one.node for item in bindings for one in sources(item) if isinstance(one, FromNode)}
    return not needed <= results.keys()


class _Replay:
    """Answers calls from a run's record."""

    def __init__(self, run: TracedRun) -> None:
        self._known: dict[tuple[str, bytes], list[Call]] = {}
        for call in run.calls:
            if call.error is None and call.arguments is not None:
                self._known.setdefault(done_by(call).exact, []).append(call)
        self.done: list[tuple[Done, str]] = []

    def node(self, node: Node, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Json:
        if node.for_each is None:
            return self._call(node, inputs, results)
        return [
            self._call(node, {**inputs, ITEM: item}, results)
            for item in each_of(node.for_each, inputs, results)
        ]

    def _call(self, node: Node, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Json:
        arguments = {name: resolve(one, inputs, results) for name, one in node.arguments.items()}
        done = Done(node.tool or "", arguments)
        self.done.append((done, node.effect))
        known = self._known.get(done.exact)
        if not known:
            raise UnresolvedError(f"the run has no call with {as_text(arguments)[:120]}")
        return known[-1].result if len(known) == 1 else known.pop(0).result


def _difference(made: Sequence[Done], wanted: Sequence[Done]) -> str | None:
    if [one.exact for one in made] == [one.exact for one in wanted]:
        return None
    for number, (one, other) in enumerate(zip(made, wanted, strict=False), 1):
        if one.exact != other.exact:
            return f"change {number} is {_shown(one)}, the run's is {_shown(other)}"
    return f"{len(made)} changes, the run has {len(wanted)}"


def _shown(one: Done) -> str:
    return f"{one.tool} {as_text(dict(one.arguments))[:120]}"
