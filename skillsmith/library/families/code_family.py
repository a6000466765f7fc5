"""The skill of several runs whose work is code: one run's code, with what differs between them as inputs.

What only some runs did is done on a condition that the runs support or when asked for; what failed runs
tripped over, a missing file or column, becomes a check before the code. Failed runs give no steps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.flow import plan_of
from skillsmith.library.code.nodes import SEPARATOR, CodePart, part_of
from skillsmith.library.extraction import describe
from skillsmith.library.extraction.assemble import ordered
from skillsmith.library.families.code_checks import CheckFound, checks_from
from skillsmith.library.families.code_columns import CodeColumn, CodedRun, LinedUp, line_up, narrowed
from skillsmith.library.families.code_skeleton import first_line
from skillsmith.library.families.code_spots import Spots, lift_spots
from skillsmith.library.families.conditions import Case, deciding
from skillsmith.library.program.conditions import names_in
from skillsmith.library.proof import Recorded
from skillsmith.library.trace.naming import identifier
from skillsmith.library.trace.results import as_exact
from skillsmith.models import Binding, FromInput, FromNode, Json, Node, Reason, Skill, Template, Variable


@dataclass(frozen=True, slots=True)
class CodeFamily:
    """The skill of a family of code runs, and how it came from them.

    Args:
        skill: Not yet named or proven.
        runs: The family.
        line: Its blocks, lined up.
        spots: Its inputs' places.
        node_of: Node id by the number of the block.
        switches: Input that asks for a node, by the node's id.
    """

    skill: Skill
    runs: tuple[CodedRun, ...]
    line: LinedUp
    spots: Spots
    node_of: tuple[str, ...]
    switches: Mapping[str, str]
    part: CodePart

    @property
    def base(self) -> CodedRun:
        """The run whose code it is."""
        return self.runs[self.line.base]


def code_family(runs: Sequence[CodedRun], failed: Sequence[CodedRun] = ()) -> CodeFamily:
    """Make the skill of a family of code runs.

    Args:
        runs: Successful runs, at least one.
        failed: Runs of the same kind that failed.

    Raises:
        ExtractionError: Their code is built differently.
    """
    made = _made(runs, failed, conditional=True)
    if made.part.unsound and made.line.alone:  # a block between others of one process cannot be left out
        made = _made(runs, failed, conditional=False)
    return made


def _made(runs: Sequence[CodedRun], failed: Sequence[CodedRun], *, conditional: bool) -> CodeFamily:
    line = line_up(runs, conditional=conditional)
    base = runs[line.base]
    spots = lift_spots(runs, line.base, line.columns)
    plan = plan_of(narrowed(base, line), spots.lifted)
    part = part_of(plan, before=base.before, taken={}, alone=line.alone)
    by_seq = {seq: node.id for node in part.nodes for seq in node.source_seqs}
    node_of = tuple(by_seq[column.facts.seq] for column in line.columns)
    builder = _Builder(runs, line, spots, part, node_of)
    nodes, switches = builder.conditional()
    checks = checks_from(failed, runs, line, spots)
    skill = builder.skill(nodes, checks)
    return CodeFamily(skill, tuple(runs), line, spots, node_of, switches, part)


@dataclass(slots=True)
class _Builder:
    runs: Sequence[CodedRun]
    line: LinedUp
    spots: Spots
    part: CodePart
    node_of: Sequence[str]
    reasons: list[Reason] = field(default_factory=list)
    switches: list[Variable] = field(default_factory=list)

    def conditional(self) -> tuple[list[Node], dict[str, str]]:
        """Give the nodes that only some runs have their conditions."""
        nodes, switches = [], {}
        members = {self.node_of[place]: column for place, column in enumerate(self.line.columns)}
        for node in self.part.nodes:
            column = members[node.id]
            if column.facts.seq not in self.line.alone:
                nodes.append(node)
                continue
            condition, switch = self._condition(node, column)
            nodes.append(replace(node, condition=condition))
            if switch:
                switches[node.id] = switch
        return nodes, switches

    def _condition(self, node: Node, column: CodeColumn) -> tuple[str, str | None]:
        support = f"in {len(column.members)} of {len(self.runs)} runs"
        cases = [self._case(number) for number in range(len(self.runs))]
        found = deciding(
            [case for number, case in enumerate(cases) if number in column.members],
            [case for number, case in enumerate(cases) if number not in column.members],
        )
        if found is not None:
            self._because(node, found, "condition-found", f"{support}, just where {found}")
            return found, None
        made = ", ".join(column.facts.writes)
        does = f"write {made}" if made else f"run “{first_line(column.facts)}”"
        stem = PurePosixPath(next(iter(column.facts.writes), "")).stem
        name = self._free(f"with_{stem or first_line(column.facts)}")
        self.switches.append(
            Variable(name=name, type="boolean", description=f"Whether to {does}.", default=False)
        )
        self._because(node, name, "switch", f"{support}; nothing tells when, so the input {name} does")
        return name, name

    def _free(self, text: str) -> str:
        taken = {variable.name for variable in (*self.part.variables, *self.switches)}
        name, number = identifier(text)[:40].rstrip("_"), 2
        base = name
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        return name

    def _because(self, node: Node, condition: str, rule: str, detail: str) -> None:
        self.reasons.append(
            Reason(subject=f"{node.id}.condition", decision="kept", rule=rule, detail=detail, value=condition)
        )

    def _case(self, number: int) -> Case:
        inputs = values_of(self.spots, number)
        return Case(task=self.runs[number].run.task, inputs=inputs, results={})

    def skill(self, nodes: Sequence[Node], checks: Sequence[CheckFound]) -> Skill:
        """Put the skill together."""
        base = self.runs[self.line.base]
        variables = self.part.variables
        made, reasons = _with_checks(nodes, checks)
        ids = {node.id for node in nodes}
        edges = {node.id: list(self.part.edges.get(node.id, ())) for node in made}
        for node in made:
            if node.kind == "check":
                edges[node.id] += sorted(names_in(node.template.text) & ids) if node.template else []
            elif checks and node.id == nodes[0].id:
                edges[node.id] += [one.id for one in made if one.kind == "check"]
        ready = ordered(made, edges)
        why = (*self.part.reasons, *self.reasons, *reasons)
        differing = {name for name, kinds in kinds_of(self.spots).items() if kinds > 1}
        always = [node.id for node in nodes if not node.condition]
        outputs, bindings = _outputs_of(self.part, nodes, always=always, differing=differing)
        asked = [
            text for run in (base, *(one for one in self.runs if one is not base)) for text in asked_of(run)
        ]
        return Skill(
            name="", description=describe.description(ready, base.run.task),
            task_pattern=describe.task_pattern(base.run.task, variables, why),
            tags=describe.tags(nodes, self.part.packages), variables=(*variables, *self.switches),
            outputs=outputs, output_bindings=bindings,
            nodes=ready, agents=tuple(dict.fromkeys(node.agent for node in nodes if node.agent)),
            examples=tuple(dict.fromkeys(asked)),
            context_requirements={
                "tools": [], "packages": list(self.part.packages), "notes": list(self.part.notes),
                "source_tasks": 0 if self.switches else len(asked_of(base)),
            },
            source_run_ids=tuple(run.run.id for run in self.runs), artifacts=self.part.artifacts, why=why,
        )  # fmt: skip


def values_of(spots: Spots, number: int) -> dict[str, Json]:
    """Return the values that a run of the family has for its inputs."""
    return {
        draft.name: spots.values[id(draft)][number]
        for draft in spots.lifted.drafts
        if number in spots.values.get(id(draft), {})
    }


def asked_of(run: CodedRun) -> tuple[str, ...]:
    """Return how a run was asked for: its task, and what the person typed first."""
    said = run.read.words.said
    texts = [run.run.task, next((one.text for one in said if one.where == "user"), "")]
    return tuple(dict.fromkeys(text for text in texts if text))


def _with_checks(nodes: Sequence[Node], checks: Sequence[CheckFound]) -> tuple[list[Node], list[Reason]]:
    """Put what failed runs tripped over as checks before the code."""
    made, reasons = [], []
    for number, found in enumerate(checks, len(nodes) + 1):
        node = Node(
            id=f"n{number}", kind="check", title=found.title, effect="read",
            template=Template(text=found.expression),
        )  # fmt: skip
        made.append(node)
        reasons.append(
            Reason(subject=node.id, decision="kept", rule=found.rule, detail=found.detail,
                   value=found.expression, witnesses=found.witnesses)
        )  # fmt: skip
    return [*made, *nodes], reasons


def kinds_of(spots: Spots) -> dict[str, int]:
    """Return how many different values the runs have for each input."""
    return {
        draft.name: len({as_exact(value) for value in spots.values[id(draft)].values()})
        for draft in spots.lifted.drafts
        if id(draft) in spots.values
    }


def _outputs_of(
    part: CodePart, nodes: Sequence[Node], *, always: Sequence[str], differing: Collection[str]
) -> tuple[dict[str, Json], dict[str, Binding]]:
    """Return the outputs, named after no single run's files; only what is always made is promised."""
    properties: dict[str, Json] = {}
    bindings: dict[str, Binding] = {}
    promised = []
    for own, given in part.output_bindings.items():
        binding = replace(given, node=always[-1]) if isinstance(given, FromNode) and always else given
        name = binding.name if isinstance(binding, FromInput) and binding.name in differing else own
        properties[name], bindings[name] = part.outputs["properties"][own], binding
        if not any(use.path == binding for node in nodes if node.condition for use in node.writes):
            promised.append(name)
    return {"type": "object", "properties": properties, "required": sorted(promised)}, bindings


def blocks_of(family: CodeFamily, members: Mapping[int, Facts]) -> dict[str, list[Facts]]:
    """Return the blocks that stand for each node.

    Args:
        family: The family.
        members: A run's blocks by the number of the family's block.
    """
    found: dict[str, list[Facts]] = {}
    for place in sorted(members):
        found.setdefault(family.node_of[place], []).append(members[place])
    return found


def recorded_of(
    family: CodeFamily, run: CodedRun, blocks: Mapping[str, Sequence[Facts]]
) -> dict[str, Recorded]:
    """Return what a run did at each node, for a replay with its values."""
    folder = family.spots.lifted.folder
    places = {folder.name: run.read.work_dir or "."} if folder else {}
    return {
        node: Recorded(
            code=SEPARATOR.join(one.block.text for one in group), exit_code=group[-1].block.exit_code,
            output="".join(one.block.output for one in group),
            files={path: digest for one in group for path, digest in one.block.files_written.items()},
            places=places,
        )
        for node, group in blocks.items()
    }  # fmt: skip
