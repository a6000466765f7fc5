"""The gate: what it rejects, what it leaves open, what it never runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from histories import code, live, number, of, tool

from skillsmith.errors import UntrustedError
from skillsmith.library.optimizer import edit_limit
from skillsmith.library.optimizing.gate import Gate
from skillsmith.library.proposing.edits import apply_change, template_json
from skillsmith.library.proposing.facts import FactReader
from skillsmith.library.proposing.proposals import Proposal
from skillsmith.models import Constant, FromNode, Slot, Template, Variable
from skillsmith.workspace import Workspace, open_workspace

SEED = (number("seed", 1, required=True),)
TABLE = Variable(name="table", type="path", default="table.csv", required=True)
PAUSE = "import time\ntime.sleep(0.25)\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A new file."""
    with open_workspace(tmp_path / "x.db", _embedder=None) as opened:
        yield opened


def kinds(found: tuple[Proposal, ...]) -> list[str]:
    """Return kind and target of proposals."""
    return [f"{one.kind} {one.target}" for one in found]


def facts_of(workspace: Workspace, name: str) -> Any:
    """Return what is known of a skill's use."""
    return FactReader(workspace.db).read(workspace.skills.get(name))


HARM = {
    "loses a file": {"edit": "drop", "node": "n2"},
    "wrong result": {
        "edit": "template", "node": "n1",
        "template": template_json(Template(text="print(0)")),
    },
    "slower": {
        "edit": "template", "node": "n1",
        "template": template_json(Template(
            text=PAUSE + "print({seed})", slots=(Slot(variable="seed", encoding="python"),)
        )),
    },
    "other effect": {"edit": "constant", "node": "n3", "argument": "text", "to": "bye"},
    "no effect": {"edit": "condition", "node": "n3", "condition": "seed < 0"},
}  # fmt: skip


def test_harmful_changes_are_rejected_and_the_world_is_left_alone(
    workspace: Workspace, tmp_path: Path
) -> None:
    """What a change loses is named; no tool that changes something is called, the ledger stays as it is."""
    sent: list[str] = []

    def send(text: str) -> dict[str, str]:
        sent.append(text)
        return {"sent": text}

    nodes = (
        code("n1", "print({seed})", places=("seed",)),
        code("n2", "open('kept.txt', 'w').write('x')", "n1"),
        tool("n3", "send", "n2", effect="write", text=Constant("hello")),
    )
    skill = of("all", SEED, *nodes, output_bindings={"result": FromNode("n1")})
    live(workspace, skill, tmp_path, lambda n: {"seed": n + 1}, count=5, tools={"send": send})
    before, runs = len(sent), workspace.db.scalar("SELECT count(*) FROM runs")
    facts = facts_of(workspace, "all")
    found = {}
    for label, change in HARM.items():
        proposal = Proposal(kind="drop_node", target=label, change=change, evidence={})
        verdict, _ = Gate(workspace.db).judge(facts, apply_change(facts.skill, change), [proposal])
        found[label] = verdict.decision
    assert set(found.values()) == {"rejected"}, found
    assert len(sent) == before
    assert workspace.db.scalar("SELECT count(*) FROM runs") == runs


def test_code_that_may_change_the_world_is_not_run_again(workspace: Workspace, tmp_path: Path) -> None:
    """Then the gate leaves the question open and says why."""
    skill = of(
        "net", (number("bins", 1),),
        code("n1", "import subprocess\nsubprocess.run(['true'])\nprint({bins})", places=("bins",)),
    )  # fmt: skip
    live(workspace, skill, tmp_path, lambda _: {"bins": 5})
    made = workspace.optimizer.optimize("net", apply=True)
    assert made.version is None
    assert made.verdict is not None
    assert (made.verdict.decision, "not run again" in made.verdict.reason) == ("undecided", True)
    assert kinds(workspace.optimizer.proposals("net")) == ["new_default bins"]


def test_what_is_not_trusted_is_not_optimized(workspace: Workspace, tmp_path: Path) -> None:
    """Proposals may be seen; nothing of it is run."""
    skill = of("bins", (number("bins", 10),), code("n1", "print({bins})", places=("bins",)))
    live(workspace, skill, tmp_path, lambda _: {"bins": 7})
    workspace.db.execute("UPDATE skill_versions SET state = 'quarantined'")
    assert kinds(workspace.optimizer.proposals("bins")) == ["new_default bins"]
    with pytest.raises(UntrustedError):
        workspace.optimizer.optimize("bins", apply=True)


def test_one_optimisation_changes_half_of_a_skill_at_most(workspace: Workspace) -> None:
    """Two nodes at least, then half of them."""
    assert [edit_limit(of("x", (), *(code(f"n{n}", "1") for n in range(count)))) for count in (1, 4, 7)] == [
        2,
        2,
        4,
    ]
