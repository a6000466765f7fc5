from __future__ import annotations

import pytest

from skillsmith.library.program.stability import unstable_places
from skillsmith.models import Node, Skill, Slot, Template, Variable

HIDDEN = '__import__("os").system("echo owned") or ""'


def skill(text: str, encoding: str, default: object) -> Skill:
    """Return a skill of one line of Python with one place."""
    template = Template(text=text, slots=(Slot(variable="rows", encoding=encoding),))
    node = Node(id="n1", kind="code", language="python", template=template)
    return Skill(name="x", nodes=(node,), variables=(Variable(name="rows", type="string", default=default),))


@pytest.mark.parametrize("encoding", ["dq", "sq", "tdq", "raw-dq"])
@pytest.mark.parametrize("default", [HIDDEN, "rows", "1"])
def test_a_place_without_its_quotes_is_found(encoding: str, default: str) -> None:
    """Content of a string where no string is would be code; such a template is not stable."""
    assert unstable_places(skill("print({rows})\n", encoding, default))


@pytest.mark.parametrize(
    ("text", "encoding", "default"),
    [
        ('print("{rows}")\n', "dq", "a"),
        ("print({rows})\n", "python", 3),
        ("print({rows})\n", "python", HIDDEN),
    ],
)
def test_places_that_fit_are_stable(text: str, encoding: str, default: object) -> None:
    """A value inside its quotes, or written as a literal, changes nothing but that literal."""
    assert unstable_places(skill(text, encoding, default)) == []
