"""One sound skill with all that sharing must carry: code, a tool, bytes, a huge number, a proof."""

from __future__ import annotations

from typing import Any

from skillsmith.models import (
    Constant,
    FromInput,
    Node,
    Proof,
    Skill,
    SkillArtifact,
    Slot,
    Template,
    Variable,
)


def plot(**fields: Any) -> Skill:
    """Return a skill with code, a tool, an artifact and a proof."""
    code = Template(text="print({path})\r\nx = 1", slots=(Slot(variable="path", encoding="python"),))
    plain: dict[str, Any] = {
        "name": "plot",
        "description": "Plots",
        "variables": (Variable(name="path", type="path", required=True),),
        "nodes": (
            Node(
                id="n1", kind="tool", tool="load", arguments={"p": FromInput("path"), "n": Constant(10**30)}
            ),
            Node(id="n2", kind="code", language="python", template=code, after=("n1",)),
        ),
        "artifacts": (SkillArtifact(name="a", type="data", content=b"\xff\x00"),),
        "proofs": (Proof(level="replays", passed=True, compared=2, at=1.0, detail={"dir": "/tmp/q"}),),
        "examples": ("Plot a.csv",),
    }
    return Skill(**(plain | fields))
