"""What must hold for a skill to be stored or imported, whoever made it.

One function answers for the repository and for import alike, so nothing comes in through one door that the
other would refuse: names, declared variables, known and earlier nodes, no cycles, no paths that leave the
work folder, no values that JSON cannot hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import get_args

from skillsmith.errors import ExecutionError
from skillsmith.library.program.bindings import reads_item, sources, to_json
from skillsmith.library.program.conditions import names_in
from skillsmith.library.program.paths import leaves_folder
from skillsmith.library.program.schemas import schema_flaws
from skillsmith.library.program.slot_fit import misfit
from skillsmith.models import (
    Binding,
    FromInput,
    FromNode,
    Json,
    Node,
    Skill,
    SkillArtifact,
    Template,
    Variable,
    VariableType,
)

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
REFERENCE = re.compile(rf"({NAME.pattern})(?:@([1-9]\d{{0,8}}))?")
"""``NAME`` or ``NAME@VERSION``."""

MAX_NODES = 20_000
"""Ten times what one execution does; beyond it every reader of the skill would suffer."""

_TYPES = frozenset(get_args(VariableType))
_NODE_ID = re.compile(r"\w[\w.:-]{0,63}")
_NEEDS: Mapping[str, str] = {
    "code": "template", "agent": "template", "approval": "template", "check": "template", "tool": "tool",
    "skill": "tool",
}  # fmt: skip


LOOP_KINDS = frozenset({"tool", "code", "agent"})
"""Kinds of nodes that can be done for each item of a list."""


def validate_skill(skill: Skill, *, parsed: bool = False) -> list[str]:
    """Return what is wrong with a skill, one line each; nothing when it may be stored.

    Args:
        skill: The skill.
        parsed: Whether it was read from JSON, so that it cannot hold what JSON cannot.
    """
    if len(skill.nodes) > MAX_NODES:
        return [f"it has {len(skill.nodes):,} nodes, and more than {MAX_NODES:,} are not read"]
    problems = [
        *_identity(skill),
        *_variables(skill.variables),
        *_nodes(skill),
        *_outputs(skill),
        *_artifacts(skill.artifacts),
    ]
    if problems:  # where every node needs only earlier ones, there is no cycle
        problems = [*_cycles(skill.nodes), *problems]
    return problems if parsed else [*problems, *_values(skill)]


def _identity(skill: Skill) -> Iterator[str]:
    if not NAME.fullmatch(skill.name):
        yield (
            f"the name {skill.name[:80]!r} must be at most 64 lower-case letters, digits, - and _,"
            " beginning with a letter or digit"
        )
    if skill.version < 1:
        yield f"the version is {skill.version}, but versions count from 1"


def _variables(variables: Iterable[Variable]) -> Iterator[str]:
    seen: set[str] = set()
    for variable in variables:
        if not variable.name.isidentifier():
            yield f"the variable {variable.name!r} is not an identifier"
        if variable.name in seen:
            yield f"the variable {variable.name} is declared twice"
        seen.add(variable.name)
        if variable.type not in _TYPES:
            yield f"the variable {variable.name} has the unknown type {variable.type!r}"
        if variable.type == "enum" and not variable.enum:
            yield f"the variable {variable.name} is an enum without values"


def _nodes(skill: Skill) -> Iterator[str]:
    declared = {variable.name for variable in skill.variables}
    known = {node.id for node in skill.nodes}
    earlier: set[str] = set()
    for node in skill.nodes:
        if not _NODE_ID.fullmatch(node.id):
            yield f"the node id {node.id[:80]!r} may hold letters, digits and _ . : - only"
        if node.id in earlier:
            yield f"two nodes are called {node.id}"
        yield from _node(node, skill)
        yield from _reads(node, declared, known, earlier)
        earlier.add(node.id)


def _node(node: Node, skill: Skill) -> Iterator[str]:
    if node.kind not in _NEEDS:
        yield f"node {node.id} has the unknown kind {node.kind!r}"
        return
    needed = _NEEDS[node.kind]
    if not getattr(node, needed):
        yield f"node {node.id} is of kind {node.kind} and needs a {needed}"
    elif node.kind == "skill":
        yield from _sub_skill(node, skill)
    if node.timeout_seconds is not None and not 0 < node.timeout_seconds < math.inf:
        yield f"node {node.id} has the time limit {node.timeout_seconds}, which must be more than 0"
    yield from _loop(node)
    if node.retries < 0:
        yield f"node {node.id} cannot be tried again {node.retries} times"


def _loop(node: Node) -> Iterator[str]:
    """Check a node's loop, and that nothing reads an item where there is none."""
    if node.for_each is None:
        for where, binding in bindings_of(node):
            if reads_item(binding):
                yield f"{where} reads the item of a loop, and node {node.id} is in none"
        return
    if node.kind not in LOOP_KINDS:
        yield f"node {node.id} is of kind {node.kind}, which cannot be done for each item of a list"
    if reads_item(node.for_each):
        yield f"the list of node {node.id} is read from the items of the very same list"


def _sub_skill(node: Node, skill: Skill) -> Iterator[str]:
    match = REFERENCE.fullmatch(node.tool or "")
    if match is None:
        yield f"node {node.id} calls the skill {node.tool!r}, which must be NAME or NAME@VERSION"
    elif match[1] == skill.name:
        yield f"node {node.id} calls the skill it is part of"


def _reads(node: Node, declared: set[str], known: set[str], earlier: set[str]) -> Iterator[str]:
    """Yield what a node reads that is not there, or not there yet."""
    for where, binding in bindings_of(node):
        for problem in _unbound(binding, declared, known, earlier):
            yield f"{where} {problem}"
    for other in node.after:
        if other not in known:
            yield f"node {node.id} comes after {other}, which is not a node"
        elif other not in earlier:
            yield f"node {node.id} stands before {other}, which it needs"
    for name in _template_names(node.template) - declared - node.bindings.keys():
        yield f"the template of node {node.id} uses {{{name}}}, which is not declared"
    if node.template is not None:
        yield from _places(node.id, node.template)
        yield from _encodings(node, node.template)
    for what, expression in expressions_of(node):
        yield from _expression(f"the {what} of node {node.id}", expression, declared | known, node)


def bindings_of(node: Node) -> Iterator[tuple[str, Binding]]:
    """Yield every binding of a node with words for where it stands."""
    for name, binding in node.arguments.items():
        yield f"{node.id}.{name}", binding
    for name, binding in node.bindings.items():
        yield f"{node.id}.{name}", binding
    if node.for_each is not None:
        yield f"the list of node {node.id}", node.for_each
    for use in node.reads:
        yield f"a file that {node.id} reads", use.path
    for use in node.writes:
        yield f"a file that {node.id} writes", use.path


def _unbound(binding: Binding, declared: set[str], known: set[str], earlier: set[str]) -> Iterator[str]:
    for source in sources(binding):
        if isinstance(source, FromInput):
            if source.name not in declared:
                yield f"reads the input {source.name!r}, which is not declared"
        elif source.node not in known:
            yield f"reads the result of {source.node}, which is not a node"
        elif source.node not in earlier:
            yield f"reads the result of {source.node}, which does not come before it"


def _template_names(template: Template | None) -> set[str]:
    return {slot.variable for slot in template.slots} if template else set()


def _places(node: str, template: Template) -> Iterator[str]:
    """Check that each slot's place stands in the template, in order."""
    at = 0
    for slot in template.slots:
        place = f"{{{slot.variable}}}"
        found = template.text.find(place, at)
        if found < 0:
            yield f"the template of node {node} has no place {place} for its slot"
            return
        at = found + len(place)


def _encodings(node: Node, template: Template) -> Iterator[str]:
    """Refuse ways of writing values that could write more than a value: text in code is code."""
    for slot in template.slots:
        problem = misfit(slot.encoding, node.kind, node.language)
        if problem:
            yield f"the place {{{slot.variable}}} of node {node.id} {problem}"


def expressions_of(node: Node) -> Iterator[tuple[str, str]]:
    """Yield the expressions of a node: its condition, and what a check says."""
    if node.condition is not None:
        yield "condition", node.condition
    if node.kind == "check" and node.template is not None and not node.template.slots:
        yield "check", node.template.text


def _expression(where: str, expression: str, known: set[str], node: Node) -> Iterator[str]:
    try:
        names = names_in(expression)
    except ExecutionError as error:
        yield f"{where}: {error.message}"
        return
    for name in sorted(names - known - node.bindings.keys()):
        yield f"{where} reads {name!r}, which is neither an input nor a node"


def _cycles(nodes: Iterable[Node]) -> Iterator[str]:
    """Refuse cycles, whether made by order or by data."""
    edges: dict[str, set[str]] = {}
    for node in nodes:
        needed = {source.node for _, binding in bindings_of(node) for source in sources(binding)
                  if isinstance(source, FromNode)}  # fmt: skip
        edges[node.id] = needed | set(node.after)
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        yield f"the nodes wait for each other: {' → '.join(reversed(error.args[1]))}"


def _outputs(skill: Skill) -> Iterator[str]:
    declared = {variable.name for variable in skill.variables}
    known = {node.id for node in skill.nodes}
    for name, binding in skill.output_bindings.items():
        for problem in _unbound(binding, declared, known, known):
            yield f"the output {name} {problem}"
        if reads_item(binding):
            yield f"the output {name} reads the item of a loop, and outputs are in none"
    yield from _broken_promises(skill)
    yield from schema_flaws(dict(skill.outputs), "the output schema")
    for node in skill.nodes:
        yield from schema_flaws(node.output_schema, f"the output schema of node {node.id}")


def _broken_promises(skill: Skill) -> Iterator[str]:
    """Refuse required outputs that come from a node which may be skipped."""
    skipped = {node.id for node in skill.nodes if node.condition is not None}
    required = skill.outputs.get("required", ())
    for name in required if isinstance(required, (list, tuple)) else ():
        binding = skill.output_bindings.get(name)
        for source in sources(binding) if binding is not None else ():
            if isinstance(source, FromNode) and source.node in skipped:
                yield (
                    f"the output {name} is required, but node {source.node}, which gives it, is done only"
                    " under a condition: it cannot be required"
                )


def _artifacts(artifacts: Iterable[SkillArtifact]) -> Iterator[str]:
    seen: set[str] = set()
    for artifact in artifacts:
        if artifact.name in seen:
            yield f"two artifacts are called {artifact.name!r}"
        seen.add(artifact.name)
        if artifact.path is not None and leaves_folder(artifact.path):
            yield f"the artifact {artifact.name!r} would be written outside the work folder: {artifact.path}"


def _values(skill: Skill) -> Iterator[str]:
    """Refuse numbers and objects that JSON cannot hold."""
    for where, value in _all_values(skill):
        if not _is_json(value):
            yield f"{where} holds {as_shown(value)}, which JSON cannot hold"


def _all_values(skill: Skill) -> Iterator[tuple[str, Json]]:
    for variable in skill.variables:
        yield f"the variable {variable.name}", [variable.default, list(variable.enum)]
    for node in skill.nodes:
        for where, binding in bindings_of(node):
            yield where, to_json(binding)
        yield f"the output schema of node {node.id}", node.output_schema
    yield "the output schema", dict(skill.outputs)
    yield "context_requirements", dict(skill.context_requirements)
    yield "extras", dict(skill.extras)
    yield from ((f"the reason for {reason.subject}", reason.value) for reason in skill.why)


def _is_json(value: Json) -> bool:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return True
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return all(map(_is_json, value))
    return kind is dict and all(type(name) is str for name in value) and all(map(_is_json, value.values()))


def as_shown(value: Json) -> str:
    """Write any value shortly."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"  # noqa: PLR2004  (a line's worth)
