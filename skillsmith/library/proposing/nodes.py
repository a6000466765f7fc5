"""Proposals about single nodes: one that is left out, one that is put in, one that is mended alike each time.

A node that something reads is never proposed to go. Where executions did not all do alike, only what tells
them apart without fail is proposed, as a condition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from skillsmith.events import dump_json
from skillsmith.library.program.bindings import to_json
from skillsmith.library.program.effects import effect_of_call
from skillsmith.library.proposing.conditions import separating
from skillsmith.library.proposing.edits import fresh_id, readers, template_json
from skillsmith.library.proposing.facts import Fact, FactReader, Facts
from skillsmith.library.proposing.inputs import mending_saved
from skillsmith.library.proposing.proposals import Proposal, is_most, support
from skillsmith.library.proposing.texts import shared_template, slots_for
from skillsmith.models import Adaptation, Binding, Constant, FromInput, Json, Node


def left_out(facts: Facts, reader: FactReader) -> Iterator[Proposal]:
    """Propose to drop a node that gave nothing in any execution, or a condition that says when it does."""
    for node in facts.skill.nodes:
        if node.kind in ("check", "approval") or readers(facts.skill, node.id):
            continue
        idle = [fact for fact in facts.uses if _is_idle(fact, node)]
        busy = [fact for fact in facts.uses if fact.node(node.id).status == "done"]
        if not idle or not is_most(len(idle), len(facts.uses)):
            continue
        if not busy and len(idle) == len(facts.uses):
            yield _drop(facts, node, idle)
        elif busy and not node.condition:
            yield from _conditional(facts, reader, node, idle, busy)


def _is_idle(fact: Fact, node: Node) -> bool:
    """Whether an execution left a node out, or went on without it although it failed."""
    did = fact.node(node.id)
    passed_over = node.optional and did.status == "failed" and fact.execution.success
    return did.status == "skipped" or bool(passed_over)


def _wasted(facts: Facts, node: Node, idle: Sequence[Fact]) -> dict[str, Json]:
    seconds = sum(fact.node(node.id).seconds for fact in idle) / len(facts.uses)
    costs = [fact.node(node.id).cost_usd for fact in idle]
    cost = None if any(one is None for one in costs) else sum(one or 0.0 for one in costs) / len(facts.uses)
    whole = facts.mean_seconds
    return {"seconds": seconds, "share": seconds / whole if whole else None, "cost_usd": cost}


def _drop(facts: Facts, node: Node, idle: Sequence[Fact]) -> Proposal:
    why = Counter(fact.node(node.id).why or "; ".join(fact.node(node.id).errors[:1]) for fact in idle)
    reason = why.most_common(1)[0][0]
    return Proposal(
        kind="drop_node",
        target=node.id,
        change={"edit": "drop", "node": node.id},
        evidence=support(
            [fact.execution for fact in idle], facts.executions,
            f"{{of}} went on without {node.id}, and nothing reads its result"
            + (f": {reason}" if reason else ""),
            reasons=[one for one, _ in why.most_common(3) if one],
        ),
        expected=_wasted(facts, node, idle),
    )  # fmt: skip


def _conditional(
    facts: Facts, reader: FactReader, node: Node, idle: Sequence[Fact], busy: Sequence[Fact]
) -> Iterator[Proposal]:
    found = separating(idle, busy, reader, facts.skill)
    if found is None:
        return
    yield Proposal(
        kind="add_condition",
        target=node.id,
        change={"edit": "condition", "node": node.id, "condition": f"not ({found.expression})"},
        evidence=support(
            [fact.execution for fact in idle], facts.executions,
            f"{{of}} went on without {node.id}: just those with {found.expression}", **found.document(),
        ),
        expected=_wasted(facts, node, idle),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- adding


def put_in(facts: Facts) -> Iterator[Proposal]:
    """Propose a step that most executions put before a node."""
    for node in facts.skill.nodes:
        groups: dict[str, list[tuple[Adaptation, Fact]]] = {}
        for fact in facts.successes:
            for one in fact.execution.adaptations:
                if one.type == "node_added" and one.target == node.id and isinstance(one.after, dict):
                    groups.setdefault(f"{one.after.get('kind')} {one.after.get('what')}", []).append(
                        (one, fact)
                    )
        for found in groups.values():
            once = {fact.execution.id: (one, fact) for one, fact in found}
            if len(once) == len(found) and is_most(len(found), len(facts.uses)):
                yield from _added(facts, node, found)


def _added(facts: Facts, node: Node, found: Sequence[tuple[Adaptation, Fact]]) -> Iterator[Proposal]:
    step = _step(facts, node, found)
    if step is None:
        return
    reason = Counter(one.reason for one, _ in found).most_common(1)[0][0]
    yield Proposal(
        kind="add_node",
        target=node.id,
        change={"edit": "add", "before": node.id, "node": step},
        evidence=support(
            [fact.execution for _, fact in found], facts.executions,
            f"{{of}} had to put the same step before {node.id}: {reason}",
        ),
        expected=mending_saved(facts, node.id),
    )  # fmt: skip


def _step(facts: Facts, node: Node, found: Sequence[tuple[Adaptation, Fact]]) -> dict[str, Any] | None:
    """Return the added step as data; None when the executions did not all add the same."""
    first = found[0][0].after
    done = [one.after.get("with") for one, _ in found]
    inputs = [fact.execution.inputs for _, fact in found]
    step: dict[str, Any] = {
        "id": fresh_id(facts.skill, "added"), "kind": first["kind"], "effect": "write",
        "title": f"before {node.title or node.id}",
    }  # fmt: skip
    if first["kind"] == "code":
        template = shared_template([str(one) for one in done], inputs, language=first["what"] or "python")
        return (
            None
            if template is None
            else {**step, "language": first["what"], "template": template_json(template)}
        )
    names = {tuple(sorted(one)) for one in done if isinstance(one, dict)}
    if first["kind"] != "tool" or len(names) != 1 or not all(isinstance(one, dict) for one in done):
        return None
    bound = {name: _binding([one[name] for one in done], inputs) for name in done[0]}
    if any(binding is None for binding in bound.values()):
        return None
    effect = "write" if node.effect == "write" else effect_of_call(first["what"], done[0])
    arguments = {name: to_json(binding) for name, binding in bound.items() if binding is not None}
    return {**step, "tool": first["what"], "arguments": arguments, "effect": effect}


def _binding(values: Sequence[Json], inputs: Sequence[Any]) -> Binding | None:
    exact = [dump_json(value) for value in values]
    if len(set(exact)) == 1:
        return Constant(values[0])
    for name in inputs[0]:
        if all(dump_json(one.get(name)) == value for one, value in zip(inputs, exact, strict=True)):
            return FromInput(name)
    return None


# ------------------------------------------------------------------------------------------------ mending


def mended_alike(facts: Facts) -> Iterator[Proposal]:
    """Propose the template that most executions ran in place of a node's own, after the very same mending."""
    for node in facts.skill.nodes:
        if node.template is None:
            continue
        texts: dict[str, list[tuple[Adaptation, Fact]]] = {}
        for fact in facts.successes:
            for one in fact.execution.adaptations:
                if one.type == "code_modification" and one.target == node.id:
                    text = one.evidence.get("template")
                    texts.setdefault(str(text) if text else "", []).append((one, fact))
        texts.pop("", None)  # said of the code alone: its values are in it
        for text, found in texts.items():
            if is_most(len(found), len(facts.uses)):
                yield from _mended(facts, node, text, found)


def _mended(
    facts: Facts, node: Node, text: str, found: Sequence[tuple[Adaptation, Fact]]
) -> Iterator[Proposal]:
    assert node.template is not None
    template = slots_for(node.template, text)
    if template is None:
        return
    adaptation = found[0][0]
    errors = Counter(str(one.evidence.get("error", "")) for one, _ in found)
    yield Proposal(
        kind="replace_template",
        target=node.id,
        change={
            "edit": "template", "node": node.id, "before": node.template.text,
            "template": template_json(template),
        },
        evidence=support(
            [fact.execution for _, fact in found], facts.executions,
            f"{{of}} had to mend {node.id} in the very same way"
            + (f": {adaptation.reason}" if adaptation.reason else ""),
            diff=adaptation.after, errors=[error for error, _ in errors.most_common(3)],
        ),
        expected=mending_saved(facts, node.id),
    )  # fmt: skip
