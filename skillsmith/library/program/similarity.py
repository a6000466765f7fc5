"""When two skills do the same: equal structure, whatever they and their variables are called."""

from __future__ import annotations

from skillsmith.ids import digest_of
from skillsmith.library.program.bindings import leaves, to_json
from skillsmith.library.program.seal import canonical
from skillsmith.models import Constant, Each, FromInput, FromItem, FromNode, Json, Node, Skill, Text


def structure_digest(skill: Skill) -> str:
    """Return a digest over node kinds, tools, code and where each argument comes from."""
    return digest_of(canonical([_shape(node) for node in skill.nodes]))


def _shape(node: Node) -> Json:
    arguments = [
        [name, [[list(path), _source(binding)] for path, binding in leaves(argument)]]
        for name, argument in sorted(node.arguments.items())
    ]
    loop = [] if node.for_each is None else [_source(node.for_each)]
    code = [node.template.text, [slot.encoding for slot in node.template.slots]] if node.template else None
    return [node.id, node.kind, node.tool, node.language, arguments, code, list(node.after), node.condition,
            *loop]  # fmt: skip


def _source(binding: object) -> Json:
    match binding:
        case FromInput():
            return "input"
        case FromNode() | FromItem() | Constant() | Text() | Each():
            return to_json(binding)
        case _:
            return None
