"""Proposals about values: a default that is always overridden, a constant that executions had to change.

A value that any new task changes (an id, a date, a file) is ordinary use; only what was meant to stay and
did not is evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from skillsmith.events import dump_json, load_json
from skillsmith.library.matching.binder import file_roles
from skillsmith.library.proposing.edits import fresh_name, node_of, template_json, variable_json
from skillsmith.library.proposing.facts import Fact, Facts
from skillsmith.library.proposing.proposals import Proposal, is_most, support
from skillsmith.library.proposing.texts import Lifted, lifted_literal
from skillsmith.library.trace.literals import type_of
from skillsmith.library.tracking import ORDINARY_TYPES
from skillsmith.models import Adaptation, Constant, Json, Variable

MIN_VALUES = 2
"""How many different values make a constant a variable."""


def new_defaults(facts: Facts) -> Iterator[Proposal]:
    """Propose the value that most successful executions give to an input instead of its default."""
    reads = set(file_roles(facts.skill)[0])
    for variable in facts.skill.variables:
        ordinary = variable.required or variable.type in ORDINARY_TYPES or variable.name in reads
        given = [fact for fact in facts.successes if variable.name in fact.execution.inputs]
        if ordinary or not given:
            continue
        value, users = _commonest([(_value(fact, variable), fact) for fact in given])
        if dump_json(value) != dump_json(variable.default) and is_most(len(users), len(facts.uses)):
            yield _new_default(facts, variable, value, users)


def _value(fact: Fact, variable: Variable) -> Json:
    return fact.execution.inputs[variable.name]


def _commonest(pairs: Sequence[tuple[Json, Fact]]) -> tuple[Json, list[Fact]]:
    common, _ = Counter(dump_json(value) for value, _ in pairs).most_common(1)[0]
    return load_json(common), [fact for value, fact in pairs if dump_json(value) == common]


def _new_default(facts: Facts, variable: Variable, value: Json, users: Sequence[Fact]) -> Proposal:
    shown, old = dump_json(value), dump_json(variable.default)
    return Proposal(
        kind="new_default",
        target=variable.name,
        change={"edit": "default", "variable": variable.name, "from": variable.default, "to": value},
        evidence=support(
            [fact.execution for fact in users], facts.executions,
            f"{{of}} gave {variable.name} = {shown}; its default is {old}",
        ),
        expected={"inputs": len(users) / len(facts.uses)},
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- constants


def changed_constants(facts: Facts) -> Iterator[Proposal]:
    """Propose an input, or another constant, where mending changed a constant in most executions."""
    constants = [
        (node.id, name)
        for node in facts.skill.nodes
        for name, binding in node.arguments.items()
        if isinstance(binding, Constant)
    ]
    for node, name in constants:
        found = _changes(facts, "parameter_change", f"{node}.{name}")
        if found and is_most(len(found), len(facts.uses)):
            yield _changed_argument(facts, node, name, found)


def _changes(facts: Facts, kind: str, target: str) -> list[tuple[Adaptation, Fact]]:
    """Return the changes of one target that successful executions made, the last one of each."""
    found: list[tuple[Adaptation, Fact]] = []
    for fact in facts.successes:
        of_it = [one for one in fact.execution.adaptations if one.type == kind and one.target == target]
        found += [(of_it[-1], fact)] if of_it else []
    return found


def _changed_argument(
    facts: Facts, node: str, name: str, found: Sequence[tuple[Adaptation, Fact]]
) -> Proposal:
    value, users = _commonest([(one.after, fact) for one, fact in found])
    target, old = f"{node}.{name}", dump_json(found[0][0].before)
    executions = [fact.execution for _, fact in found]
    saved = mending_saved(facts, node)
    if len(users) == len(found):
        evidence = support(
            executions, facts.executions, f"{{of}} had to change {target} from {old} to {dump_json(value)}"
        )
        change = {"edit": "constant", "node": node, "argument": name, "from": found[0][0].before, "to": value}
        return Proposal(kind="new_default", target=target, change=change, evidence=evidence, expected=saved)
    values = [one.after for one, _ in found]
    variable = Variable(
        name=fresh_name(facts.skill, name), type=type_of(name, value), default=value,
        description=f"{name} of {node}: was the constant {old}",
    )  # fmt: skip
    evidence = support(
        executions, facts.executions,
        f"{{of}} changed the constant {target} = {old}, to {len(set(map(dump_json, values)))} values",
        given={fact.execution.id: one.after for one, fact in found},
    )  # fmt: skip
    change = {
        "edit": "lift_argument", "node": node, "argument": name, "variable": variable_json(variable),
        "from": found[0][0].before,
    }  # fmt: skip
    return Proposal(
        kind="constant_to_variable", target=target, change=change, evidence=evidence, expected=saved
    )


def changed_literals(facts: Facts) -> Iterator[Proposal]:
    """Propose an input where mended code differs from its template in one literal, each time in another."""
    for node in facts.skill.nodes:
        if node.kind != "code" or node.template is None:
            continue
        found = _changes(facts, "code_modification", node.id)
        texts = [str(one.evidence.get("template", "")) for one, _ in found]
        if len(set(texts)) < MIN_VALUES or not is_most(len(found), len(facts.uses)):
            continue
        lifted = lifted_literal(node.template, texts, name=fresh_name(facts.skill, f"{node.id}_value"))
        if lifted is not None:
            yield _lifted(facts, node.id, lifted, found)


def _lifted(facts: Facts, node: str, lifted: Lifted, found: Sequence[tuple[Adaptation, Fact]]) -> Proposal:
    before = node_of(facts.skill, node).template
    assert before is not None
    given = {fact.execution.id: value for (_, fact), value in zip(found, lifted.values, strict=True)}
    return Proposal(
        kind="constant_to_variable",
        target=node,
        change={
            "edit": "lift_literal", "node": node, "before": before.text,
            "template": template_json(lifted.template), "variable": variable_json(lifted.variable),
            "from": lifted.original,
        },
        evidence=support(
            [fact.execution for _, fact in found], facts.executions,
            f"{{of}} changed the same literal in the code of {node},"
            f" to {len(set(map(dump_json, lifted.values)))} values",
            given=given,
        ),
        expected=mending_saved(facts, node),
    )  # fmt: skip


def mending_saved(facts: Facts, node: str) -> dict[str, Json]:
    """Return what an execution saves when a node need not be mended: failed tries and the agent's work."""
    whole = facts.mean_seconds
    mended = [fact for fact in facts.successes if node in fact.adapted]
    if not mended:
        return {}
    tries = [
        fact.node(node).seconds * (1 - 1 / max(len(fact.node(node).codes or fact.node(node).calls), 1))
        for fact in mended
    ]
    costs = [fact.node(node).cost_usd for fact in mended]
    seconds = sum(tries) / len(facts.uses)
    cost = None if any(one is None for one in costs) else sum(one or 0.0 for one in costs) / len(facts.uses)
    return {"seconds": seconds, "share": seconds / whole if whole else None, "cost_usd": cost}
