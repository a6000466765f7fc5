"""Carry out a proposal's change on a skill: a new, unsaved version that differs in nothing else.

Every edit is written as data, so that it can be stored, shown and done again on a later version. An edit
that no longer fits (its node is gone, its text is another) is refused, never bent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from skillsmith.errors import UsageError
from skillsmith.library.program.bindings import from_json, rename_nodes, sources
from skillsmith.library.program.conditions import names_in
from skillsmith.library.program.validation import bindings_of, expressions_of, validate_skill
from skillsmith.models import Binding, Constant, FromNode, Json, Node, Skill, Slot, Template, Variable

Change = Mapping[str, Any]


def apply_change(skill: Skill, change: Change) -> Skill:
    """Return the skill with one change made.

    Args:
        skill: The version to start from.
        change: ``edit`` names the sort of edit, the rest is what it needs.

    Raises:
        UsageError: The change does not fit the skill, or the result would not be sound.
    """
    edit = _EDITS.get(str(change.get("edit")))
    if edit is None:
        raise UsageError(f"nothing can make the edit {change.get('edit')!r}")
    changed = edit(skill, change)
    problems = validate_skill(changed)
    if problems:
        raise UsageError(f"the change does not fit {skill.name}@{skill.version}: {problems[0]}")
    return changed


def node_of(skill: Skill, key: str) -> Node:
    """Return a node by its id.

    Raises:
        UsageError: The skill has none of this id.
    """
    for node in skill.nodes:
        if node.id == key:
            return node
    raise UsageError(f"{skill.name}@{skill.version} has no node {key} any more")


def readers(skill: Skill, key: str) -> list[str]:
    """Return what reads a node's result: ids of nodes, and outputs as ``output NAME``."""
    found = [node.id for node in skill.nodes if _reads(node, key)]
    return found + [
        f"output {name}" for name, one in skill.output_bindings.items() if _binding_reads(one, key)
    ]


def _reads(node: Node, key: str) -> bool:
    return any(_binding_reads(one, key) for _, one in bindings_of(node)) or any(
        key in names_in(expression) for _, expression in expressions_of(node)
    )


def _binding_reads(binding: Binding, key: str) -> bool:
    return any(isinstance(one, FromNode) and one.node == key for one in sources(binding))


def template_json(template: Template) -> dict[str, Json]:
    """Return a template as JSON."""
    slots = [{"variable": slot.variable, "encoding": slot.encoding} for slot in template.slots]
    return {"text": template.text, "slots": slots}


def template_of(data: Mapping[str, Any]) -> Template:
    """Return a template from its JSON."""
    return Template(text=data["text"], slots=tuple(Slot(**slot) for slot in data["slots"]))


def variable_json(variable: Variable) -> dict[str, Json]:
    """Return a variable as JSON, as far as proposals make one."""
    return {
        "name": variable.name, "type": variable.type, "default": variable.default,
        "description": variable.description,
    }  # fmt: skip


def _with_node(skill: Skill, key: str, **fields: Any) -> Skill:
    node_of(skill, key)
    nodes = tuple(replace(node, **fields) if node.id == key else node for node in skill.nodes)
    return replace(skill, nodes=nodes)


# ------------------------------------------------------------------------------------------------- inputs


def _default(skill: Skill, change: Change) -> Skill:
    name = change["variable"]
    if name not in {variable.name for variable in skill.variables}:
        raise UsageError(f"{skill.name}@{skill.version} has no input {name} any more")
    variables = tuple(
        replace(variable, default=change["to"]) if variable.name == name else variable
        for variable in skill.variables
    )
    return replace(skill, variables=variables)


def _argument(skill: Skill, change: Change, binding: Binding) -> Skill:
    node = node_of(skill, change["node"])
    now = node.arguments.get(change["argument"])
    if not isinstance(now, Constant):
        raise UsageError(f"{node.id}.{change['argument']} is no constant any more")
    arguments = {**node.arguments, change["argument"]: binding}
    return _with_node(skill, node.id, arguments=arguments)


def _constant(skill: Skill, change: Change) -> Skill:
    return _argument(skill, change, Constant(change["to"]))


def _lift_argument(skill: Skill, change: Change) -> Skill:
    skill = _with_variable(skill, change)
    return _argument(skill, change, from_json({"input": change["variable"]["name"]}))


def _with_variable(skill: Skill, change: Change) -> Skill:
    return replace(skill, variables=(*skill.variables, Variable(**change["variable"])))


def _lift_literal(skill: Skill, change: Change) -> Skill:
    return _template(_with_variable(skill, change), change)


# -------------------------------------------------------------------------------------------------- nodes


def _template(skill: Skill, change: Change) -> Skill:
    node = node_of(skill, change["node"])
    before = change.get("before")
    if node.template is None or (before is not None and node.template.text != before):
        raise UsageError(f"the template of {node.id} is another by now")
    return _with_node(skill, node.id, template=template_of(change["template"]))


def _drop(skill: Skill, change: Change) -> Skill:
    gone = node_of(skill, change["node"])
    reading = readers(skill, gone.id)
    if reading:
        raise UsageError(f"{gone.id} cannot be dropped: {', '.join(reading)} read its result")
    nodes = tuple(_without(node, gone) for node in skill.nodes if node.id != gone.id)
    return replace(skill, nodes=nodes, agents=_agents(skill, nodes))


def _without(node: Node, gone: Node) -> Node:
    """Return a node that waits for what a dropped one waited for."""
    if gone.id not in node.after:
        return node
    waited = [*gone.after, *(one.node for _, binding in bindings_of(gone) for one in sources(binding)
                             if isinstance(one, FromNode))]  # fmt: skip
    after = [key for one in node.after for key in (waited if one == gone.id else [one])]
    return replace(node, after=tuple(dict.fromkeys(after)))


def _agents(skill: Skill, nodes: Iterable[Node]) -> tuple[str, ...]:
    lost = {node.agent for node in skill.nodes} - {node.agent for node in nodes}
    return tuple(agent for agent in skill.agents if agent not in lost)


def _condition(skill: Skill, change: Change) -> Skill:
    node = node_of(skill, change["node"])
    own = f"({node.condition}) and " if node.condition else ""
    text = f"{own}({change['condition']})" if own else change["condition"]
    return _with_node(skill, node.id, condition=text)


def _retries(skill: Skill, change: Change) -> Skill:
    return _with_node(skill, change["node"], retries=change["retries"])


def _check(skill: Skill, change: Change) -> Skill:
    """Put a check before everything that waits for nothing yet."""
    first = Node(
        id=change["id"], kind="check", title=change["title"], effect="read",
        template=Template(text=change["expression"]),
    )  # fmt: skip
    nodes = tuple(
        replace(node, after=(change["id"], *node.after)) if _is_root(node) else node for node in skill.nodes
    )
    return replace(skill, nodes=(first, *nodes))


def _is_root(node: Node) -> bool:
    reads = any(isinstance(one, FromNode) for _, binding in bindings_of(node) for one in sources(binding))
    return not node.after and not reads


def _add(skill: Skill, change: Change) -> Skill:
    target, new = node_of(skill, change["before"]), change["node"]
    waited = (one.node for _, binding in bindings_of(target) for one in sources(binding)
              if isinstance(one, FromNode))  # fmt: skip
    node = Node(
        id=new["id"], kind=new["kind"], title=new["title"], agent=target.agent, effect=new["effect"],
        tool=new.get("tool"), language=new.get("language"),
        template=template_of(new["template"]) if new.get("template") else None,
        arguments={name: from_json(one) for name, one in new.get("arguments", {}).items()},
        after=tuple(dict.fromkeys((*target.after, *waited))), condition=target.condition,
        timeout_seconds=target.timeout_seconds,
    )  # fmt: skip
    nodes: list[Node] = []
    for one in skill.nodes:
        if one.id == target.id:
            nodes += [node, replace(one, after=(*one.after, node.id))]
        else:
            nodes.append(one)
    return replace(skill, nodes=tuple(nodes))


# --------------------------------------------------------------------------------------------------- flow


def _order(skill: Skill, change: Change) -> Skill:
    wanted = change["after"]
    for key in wanted:
        node_of(skill, key)
    nodes = tuple(
        replace(node, after=tuple(wanted[node.id])) if node.id in wanted else node for node in skill.nodes
    )
    return replace(skill, nodes=nodes)


def _reuse(skill: Skill, change: Change) -> Skill:
    """Drop a node and let all that read its result read the earlier one's."""
    gone, kept = node_of(skill, change["node"]), node_of(skill, change["by"])
    names = {gone.id: kept.id}
    if any(gone.id in names_in(text) for node in skill.nodes for _, text in expressions_of(node)):
        raise UsageError(f"an expression reads the result of {gone.id}")
    nodes = tuple(_renamed(_without(node, gone), names) for node in skill.nodes if node.id != gone.id)
    outputs = {name: rename_nodes(one, names) for name, one in skill.output_bindings.items()}
    return replace(skill, nodes=nodes, output_bindings=outputs)


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    def again(binding: Binding) -> Binding:
        return rename_nodes(binding, names)

    return replace(
        node,
        arguments={name: again(one) for name, one in node.arguments.items()},
        bindings={name: again(one) for name, one in node.bindings.items()},
        for_each=None if node.for_each is None else again(node.for_each),
        reads=tuple(replace(use, path=again(use.path)) for use in node.reads),
        writes=tuple(replace(use, path=again(use.path)) for use in node.writes),
    )


_EDITS: Mapping[str, Callable[[Skill, Change], Skill]] = {
    "default": _default, "constant": _constant, "lift_argument": _lift_argument,
    "lift_literal": _lift_literal, "template": _template, "drop": _drop, "condition": _condition,
    "retries": _retries, "check": _check, "add": _add, "order": _order, "reuse": _reuse,
}  # fmt: skip


def changed_nodes(before: Skill, after: Skill) -> frozenset[str]:
    """Return ids of the nodes that were changed, dropped or added; their order alone does not count."""
    old = {node.id: replace(node, after=()) for node in before.nodes}
    new = {node.id: replace(node, after=()) for node in after.nodes}
    return frozenset(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def fresh_id(skill: Skill, base: str) -> str:
    """Return a node id that the skill does not use."""
    taken = {node.id for node in skill.nodes} | {variable.name for variable in skill.variables}
    return next(name for name in (f"{base}{number}" for number in range(1, len(taken) + 2))
                if name not in taken)  # fmt: skip


def fresh_name(skill: Skill, base: str) -> str:
    """Return a name for an input that the skill does not use."""
    taken = {node.id for node in skill.nodes} | {variable.name for variable in skill.variables}
    names = (base if number < 2 else f"{base}_{number}" for number in range(1, len(taken) + 2))  # noqa: PLR2004  (the first has no number)
    return next(name for name in names if name not in taken)
