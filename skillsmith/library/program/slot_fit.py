"""Which ways of writing values fit a node: in code, only those of its own language.

A value that is written into Python as plain text is code, and would run unseen; so a template's encodings
are checked before a skill is stored, whoever made it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from skillsmith.library.program.languages import is_python, is_shell

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
