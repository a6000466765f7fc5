"""What makes a skill unfit to be stored; the repository and the import ask the same."""

from __future__ import annotations

from skillsmith.library.program.validation import validate_skill
from skillsmith.models import FromInput, FromNode, Node, Skill, Variable


def made(*required: str, condition: str | None = None) -> Skill:
    """Return a skill with an output from a node that may be conditional, and one from an input."""
    return Skill(
        name="s", variables=(Variable(name="note", type="string", default="x"),),
        nodes=(Node(id="n1", kind="tool", tool="get", effect="read", condition=condition),),
        outputs={"type": "object", "required": list(required)},
        output_bindings={"result": FromNode("n1"), "note": FromInput("note")},
    )  # fmt: skip


def test_required_outputs_cannot_come_from_a_step_that_may_be_skipped() -> None:
    """The skill would fail whenever its condition is false; as an optional output it may."""
    problems = validate_skill(made("result", "note", condition='note == "x"'))
    assert len(problems) == 1
    assert "output result" in problems[0]
    assert "n1" in problems[0]
    assert validate_skill(made("note", condition='note == "x"')) == []
    assert validate_skill(made("result", "note")) == []
