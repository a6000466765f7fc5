"""A skill as templates for others: its graph as JSON, its code with values in place, words for its agents.

Nothing here runs anything; what is shown is what an execution would take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from skillsmith.errors import UsageError
from skillsmith.library.code.encodings import plain_text
from skillsmith.library.program.bindings import UnresolvedError, resolve, show, sources
from skillsmith.library.program.document import input_schema
from skillsmith.library.program.validation import bindings_of
from skillsmith.library.templates import fill
from skillsmith.models import Binding, FromInput, FromNode, Json, Node, Skill


class SkillTemplateBuilder:
    """Write skills out as templates."""

    def build_dag_template(self, skill: Skill) -> dict[str, Json]:
        """Return a skill's graph as JSON.

        Args:
            skill: The skill.

        Returns:
            ``inputs`` (JSON Schema), ``nodes``, ``edges`` (from, to, why), ``levels`` (ids that may run side
            by side, level after level) and ``agents``.

        Raises:
            UsageError: When the nodes wait for each other.
        """
        edges = list(_edges(skill))
        return {
            "inputs": input_schema(skill),
            "nodes": [_node(node) for node in skill.nodes],
            "edges": [{"from": start, "to": end, "why": why} for start, end, why in edges],
            "levels": _levels(skill, edges),
            "agents": list(skill.agents),
        }

    def build_agent_instructions(self, skill: Skill, context: Mapping[str, Json]) -> dict[str, str]:
        """Return for each agent of a skill what it has to do, in words.

        Args:
            skill: The skill.
            context: Values of inputs; anything else in it is passed on as context.
        """
        inputs = _inputs(skill, context)
        names = dict.fromkeys([*skill.agents, *(node.agent for node in skill.nodes if node.agent)])
        return {name: "\n".join(_instructions(skill, name, inputs, context)) for name in names}

    def build_code_templates(self, skill: Skill, variables: Mapping[str, Json]) -> list[str]:
        """Return the code of a skill's code nodes, in order, with the given values in place.

        Args:
            skill: The skill.
            variables: Values of inputs; a place whose value is not given stays ``{variable}``.

        Raises:
            UsageError: When a value is for no input of the skill, or cannot be written at its place.
        """
        unknown = sorted(set(variables) - {variable.name for variable in skill.variables})
        if unknown:
            known = ", ".join(variable.name for variable in skill.variables) or "none"
            raise UsageError(f"skill {skill.name!r} has no input {unknown[0]!r}", hint=f"its inputs: {known}")
        return [_filled(node, variables) for node in skill.nodes if node.kind == "code"]

    def instantiate_template(self, template: str, variables: Mapping[str, Json]) -> str:
        """Return text with the variables' values in place; every other brace stays as it is.

        Args:
            template: Plain text, such as a prompt. Code has templates of its own, which know how values are
                quoted.
            variables: Values by name.
        """
        if not variables:
            return template
        names = "|".join(re.escape(name) for name in variables)
        return re.sub(rf"\{{({names})\}}", lambda match: plain_text(variables[match[1]]), template)


def _node(node: Node) -> dict[str, Json]:
    return {
        "id": node.id,
        "kind": node.kind,
        "title": node.title,
        "agent": node.agent,
        "tool": node.tool,
        "effect": node.effect,
        "arguments": {name: show(binding) for name, binding in node.arguments.items()},
        "for_each": None if node.for_each is None else show(node.for_each),
        "template": node.template.text if node.template else None,
        "variables": sorted({slot.variable for slot in node.template.slots}) if node.template else [],
        "reads": [show(use.path) for use in node.reads],
        "writes": [show(use.path) for use in node.writes],
        "condition": node.condition,
        "optional": node.optional,
    }


def _edges(skill: Skill) -> Iterator[tuple[str, str, str]]:
    """Yield from, to and "data" or "order", each pair once."""
    for node in skill.nodes:
        data = {
            source.node
            for _, binding in bindings_of(node)
            for source in sources(binding)
            if isinstance(source, FromNode)
        }
        yield from ((other, node.id, "data") for other in sorted(data))
        yield from ((other, node.id, "order") for other in node.after if other not in data)


def _levels(skill: Skill, edges: Iterable[tuple[str, str, str]]) -> list[list[str]]:
    waits: dict[str, set[str]] = {node.id: set() for node in skill.nodes}
    for start, end, _ in edges:
        waits[end].add(start)
    sorter = TopologicalSorter(waits)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise UsageError(
            f"the nodes of {skill.name!r} wait for each other: {circle}", hint="remove one of the edges"
        ) from error
    levels = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=list(waits).index)
        levels.append(ready)
        sorter.done(*ready)
    return levels


def _inputs(skill: Skill, context: Mapping[str, Json]) -> dict[str, Json]:
    return {variable.name: context.get(variable.name, variable.default) for variable in skill.variables}


def _filled(node: Node, inputs: Mapping[str, Json]) -> str:
    """Return a node's template with the values that are known."""
    if node.template is None:
        return ""
    values = {}
    for name in {slot.variable for slot in node.template.slots}:
        try:
            values[name] = resolve(node.bindings.get(name, FromInput(name)), inputs, {})
        except UnresolvedError:  # known only when the skill runs: its place stays
            continue
    return fill(node.template, values)


def _instructions(
    skill: Skill, agent: str, inputs: Mapping[str, Json], context: Mapping[str, Json]
) -> Iterator[str]:
    task = SkillTemplateBuilder().instantiate_template(skill.task_pattern, inputs)
    yield f"You are {agent}. The task: {task or skill.description}"
    others = {name: value for name, value in context.items() if name not in inputs}
    if inputs:
        yield "Inputs: " + ", ".join(f"{name} = {plain_text(value)}" for name, value in inputs.items())
    if others:
        yield "Context: " + ", ".join(f"{name} = {plain_text(value)}" for name, value in others.items())
    own = [node for node in skill.nodes if node.agent == agent]
    if not own:
        yield "None of the steps is yours; support the others when asked."
    for number, node in enumerate(own, start=1):
        yield f"{number}. {_step(node, inputs)}"
    if skill.body:
        yield f"Notes:\n{skill.body}"


def _step(node: Node, inputs: Mapping[str, Json]) -> str:
    """Return what a node does, as an order."""
    title = node.title or node.id
    if node.for_each is not None:
        title += f", once for each item of {_known(node.for_each, inputs)}"
    if node.kind == "tool":
        given = ", ".join(f"{name}={_known(binding, inputs)}" for name, binding in node.arguments.items())
        return f"{title}: call {node.tool}({given})"
    if node.kind == "skill":
        return f"{title}: use the skill {node.tool}"
    text = _filled(node, inputs)
    if node.kind == "code":
        return (
            f"{title}: run this {node.language or 'python'} code\n```{node.language or 'python'}\n{text}\n```"
        )
    return f"{title}: {text}"


def _known(binding: Binding, inputs: Mapping[str, Json]) -> str:
    """Return a binding's value where it is known, else where it comes from."""
    try:
        return json.dumps(resolve(binding, inputs, {}), ensure_ascii=False)
    except UnresolvedError:  # an earlier node's result
        return show(binding)
