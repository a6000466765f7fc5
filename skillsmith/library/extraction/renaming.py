"""Inputs of a skill under other names, everywhere at once: schema, bindings, templates, expressions, pattern.

Only names change: with its inputs named back, the skill is byte for byte what it was.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from skillsmith.library.code.source import Positions
from skillsmith.library.program.bindings import rename_inputs
from skillsmith.library.program.validation import expressions_of
from skillsmith.library.templates import split_template
from skillsmith.models import FileUse, Node, Reason, Skill, Template


def renamed_inputs(skill: Skill, names: Mapping[str, str]) -> Skill:
    """Return a skill whose inputs have other names.

    Args:
        skill: The skill.
        names: New names by old ones; they are identifiers that neither inputs, nodes nor templates have.
    """
    return replace(
        skill,
        variables=tuple(replace(one, name=names.get(one.name, one.name)) for one in skill.variables),
        nodes=tuple(_node(node, names) for node in skill.nodes),
        output_bindings={name: rename_inputs(one, names) for name, one in skill.output_bindings.items()},
        task_pattern=_in_braces(skill.task_pattern, names),
        why=tuple(_reason(reason, names) for reason in skill.why),
    )


def _node(node: Node, names: Mapping[str, str]) -> Node:
    own = {name for name in node.bindings if name in names}
    places = {old: new for old, new in names.items() if old not in own}
    expressions = dict(expressions_of(node))
    template = node.template
    if "check" in expressions:
        template = Template(text=_expression(expressions["check"], places))
    elif template is not None:
        template = _template(template, places)
    return replace(
        node,
        arguments={name: rename_inputs(one, names) for name, one in node.arguments.items()},
        bindings={name: rename_inputs(one, names) for name, one in node.bindings.items()},
        for_each=None if node.for_each is None else rename_inputs(node.for_each, names),
        reads=_uses(node.reads, names),
        writes=_uses(node.writes, names),
        condition=None if node.condition is None else _expression(node.condition, places),
        template=template,
    )


def _uses(uses: Sequence[FileUse], names: Mapping[str, str]) -> tuple[FileUse, ...]:
    return tuple(replace(use, path=rename_inputs(use.path, names)) for use in uses)


def _template(template: Template, names: Mapping[str, str]) -> Template:
    """Return a template with its places renamed; the text between them stays as it is."""
    slots = tuple(replace(slot, variable=names.get(slot.variable, slot.variable)) for slot in template.slots)
    pieces = split_template(template)
    places = [f"{{{slot.variable}}}" for slot in slots]
    return Template(
        text="".join(part for pair in zip(pieces, [*places, ""], strict=True) for part in pair), slots=slots
    )


def _expression(text: str, names: Mapping[str, str]) -> str:
    """Return an expression with its names replaced, whatever its texts say."""
    tree, lines = ast.parse(text.strip(), mode="eval"), Positions(text.strip())
    spans = [
        (lines.offset(node.lineno, node.col_offset), node.id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in names
    ]
    made = text.strip()
    for start, name in sorted(spans, reverse=True):
        made = f"{made[:start]}{names[name]}{made[start + len(name) :]}"
    return re.sub(
        r"""\binputs\[(['"])(\w+)\1\]|\binputs\.(\w+)""",
        lambda found: _field(found, names),
        made,
    )


def _field(found: re.Match[str], names: Mapping[str, str]) -> str:
    name = found[2] or found[3]
    return found[0].replace(name, names[name]) if name in names else found[0]


def _in_braces(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: f"{{{names.get(found[1], found[1])}}}", text)


def _reason(reason: Reason, names: Mapping[str, str]) -> Reason:
    """Return a reason that is about an input with the input's new name; what it says of the run stays."""
    head, dot, last = reason.subject.rpartition(".")
    if reason.decision == "input" and last in names and reason.subject.startswith("n"):
        return replace(reason, subject=f"{head}{dot}{names[last]}")
    return reason
