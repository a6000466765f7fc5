"""Which ways of writing values fit a node: in code, only those of its own language.

A value that is written into Python as plain text is code, and would run unseen; so a template's encodings
are checked before a skill is stored, whoever made it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from skillsmith.errors import UsageError
from skillsmith.library.bindings import UnresolvedError, resolve
from skillsmith.library.templates import fill, is_python, is_shell, verify_template
from skillsmith.models import FromInput, Json, Node, Skill

_SHAPES: Final[Mapping[str, re.Pattern[str]]] = {
    "Python": re.compile(
        r"(?:[bf]-)?(?:raw-)?t?[ds]q|(?:[bf]-)?nested|spec|python(?:-(?:group|tuple|nested|str|bytes))?"
    ),
    "shell": re.compile(r"sh-(?:bare|dq|sq)(?:-arg)?"),
    "plain text": re.compile(r"text|json|json-str"),
}


def misfit(encoding: str, kind: str, language: str | None) -> str | None:
    """Say what is wrong with an encoding at a place of a node; None when it fits.

    Args:
        encoding: As in ``Slot.encoding``.
        kind: Of the node.
        language: Of the node's code; code without one is Python.
    """
    name = encoding.partition("=")[0]
    own = next((place for place, shape in _SHAPES.items() if shape.fullmatch(name)), None)
    if own is None:
        return f"has the unknown encoding {name[:40]!r}"
    wanted = _written_in(kind, language)
    if wanted is None:
        return f"stands in {(language or '')[:40]!r} code, into which no values can be written"
    return None if own == wanted else f"has the encoding {name[:40]!r} of {own}, but stands in {wanted}"


def _written_in(kind: str, language: str | None) -> str | None:
    if kind == "check":
        return "Python"
    if kind != "code":
        return "plain text"
    if not language or is_python(language):
        return "Python"
    return "shell" if is_shell(language) else None


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
