"""Whether values can change more of a skill's code than the literals they stand for.

It is asked of every skill that comes in from a file: its templates were made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from skillsmith.errors import UsageError
from skillsmith.library.program.bindings import UnresolvedError, resolve
from skillsmith.library.templates import fill, verify_template
from skillsmith.models import FromInput, Json, Node, Skill


def unstable_places(skill: Skill) -> list[str]:
    """Return what is wrong with templates in which a value changes more than the literal it stands for.

    An encoding of the right language in the wrong place, as one for the inside of quotes where there are
    none, would let a value be code. Each template is rendered with its defaults and with values that are
    hard to write: the code around them must stay the same.

    Args:
        skill: A sound skill.
    """
    defaults = {variable.name: variable.default for variable in skill.variables}
    problems = []
    for node in skill.nodes:
        if node.kind != "code" or node.template is None or not node.template.slots:
            continue
        values = {slot.variable: _value(slot.variable, node, defaults) for slot in node.template.slots}
        try:
            text = fill(node.template, values)
        except UsageError as error:
            problems.append(f"{node.id}: {error.message}")
            continue
        language = node.language or "python"
        problems += [
            f"{node.id}: {problem}"
            for problem in verify_template(node.template, values, text, language=language)
        ]
    return problems


def _value(name: str, node: Node, defaults: Mapping[str, Json]) -> Json:
    """Return what a place has by default, or a word where only an execution can tell."""
    binding = node.bindings.get(name, FromInput(name))
    try:
        value = resolve(binding, defaults, {})
    except UnresolvedError:
        value = None
    return "word" if value is None else value
