"""Proposals from histories that really happened, and the gate that lets only sure gains through."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from histories import code, live, number, of, tool
from scripted_agents import Scripted, reply

from skillsmith.errors import NotFoundError, RefusedError, UsageError
from skillsmith.library.execution import tries
from skillsmith.library.optimizer import SkillOptimizer, choose
from skillsmith.library.proposing.proposals import Proposal
from skillsmith.models import Constant, FileUse, FromInput, FromNode, Node, Skill, Slot, Template, Variable
from skillsmith.workspace import Workspace, open_workspace

SEED = (number("seed", 1, required=True),)
TABLE = Variable(name="table", type="path", default="table.csv", required=True)
PAUSE = "import time\ntime.sleep(0.25)\n"
SHORT_PAUSE = "import time\ntime.sleep(0.1)\n"
FEW = 5
"""Executions of a test that really waits; the fewest that the gate compares."""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A new file."""
    with open_workspace(tmp_path / "x.db", _embedder=None) as opened:
        yield opened


def kinds(found: tuple[Proposal, ...]) -> list[str]:
    """Return kind and target of proposals."""
    return [f"{one.kind} {one.target}" for one in found]


# ------------------------------------------------------------------------------------------------- defaults


def test_a_default_that_everybody_overrides_alike_is_proposed_and_made(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The evidence counts the executions; the new version needs an input less and says where it came from."""
    skill = of(
        "bins", (*SEED, number("bins", 10)), code("n1", "print({seed} % {bins})", places=("seed", "bins"))
    )
    live(workspace, skill, tmp_path, lambda n: {"seed": n, "bins": 7})
    (proposal,) = workspace.optimizer.proposals("bins")
    assert (proposal.kind, proposal.target, proposal.change["to"]) == ("new_default", "bins", 7)
    assert (proposal.evidence["count"], proposal.evidence["executions"]) == (10, 10)
    assert proposal.evidence["low"] > 0.5
    made = workspace.optimizer.optimize("bins", apply=True, reason="everybody says 7")
    assert made.version == 2
    new = workspace.skills.get("bins")
    assert (new.version, new.state, new.reason) == (2, "proven", "everybody says 7")
    assert next(one.default for one in new.variables if one.name == "bins") == 7
    assert {proof.level for proof in new.proofs} == {"reconstructs", "replays"}
    assert new.lineage["proposals"][0]["kind"] == "new_default"
    assert len(new.lineage["executions"]) == 10
    assert workspace.optimizer.proposals("bins") == ()
    workspace.versions.rollback_to_version("bins", 1)
    assert workspace.optimizer.proposals("bins") == ()


def test_values_that_vary_and_values_that_any_task_changes_are_no_new_default(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Neither half of the executions, nor an id that happened to be the same, says anything."""
    variables = (number("bins", 10), Variable(name="who", type="id", default="a1"))
    skill = of("bins", variables, code("n1", "print({bins}, {who})", places=("bins", "who")))
    live(workspace, skill, tmp_path, lambda n: {"bins": 7 if n % 2 else n + 20, "who": "b2"})
    assert workspace.optimizer.proposals("bins") == ()


def test_too_few_executions_propose_nothing(workspace: Workspace, tmp_path: Path) -> None:
    """Ten by default; the user may ask for fewer."""
    skill = of("bins", (number("bins", 10),), code("n1", "print({bins})", places=("bins",)))
    live(workspace, skill, tmp_path, lambda _: {"bins": 7}, count=6)
    assert not workspace.optimizer.analyze_skill("bins").enough
    assert kinds(workspace.optimizer.proposals("bins", min_executions=6)) == ["new_default bins"]
    with pytest.raises(UsageError):
        workspace.optimizer.proposals("bins", min_executions=0)
    with pytest.raises(NotFoundError):
        workspace.optimizer.proposals("nothing")


# ---------------------------------------------------------------------------------------------------- order


def test_independent_steps_in_a_row_are_run_together_once_it_is_shown_to_be_faster(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The order changes, nothing else; both results and files are those of the parent."""

    def step(key: str, *after: str) -> Node:
        text = PAUSE + f"print({{seed}})\nopen('{key}.txt', 'w').write('x')"
        return code(key, text, *after, places=("seed",))

    skill = of("row", SEED, step("n1"), step("n2", "n1"), step("n3", "n2"))
    live(workspace, skill, tmp_path, lambda n: {"seed": n}, count=FEW)
    made = workspace.optimizer.optimize("row", apply=True, min_executions=FEW)
    assert kinds(made.proposals) == ["run_together n2, n3"]
    assert made.version == 2, made.verdict
    assert made.verdict is not None
    assert made.verdict.gains["time"]["low"] > 0.2
    assert [node.after for node in workspace.skills.get("row").nodes] == [(), (), ()]


@pytest.mark.parametrize(
    "second",
    [
        code("n2", SHORT_PAUSE + "print(open('handed.txt').read())", "n1"),
        code("n2", SHORT_PAUSE + "import os\nprint(sorted(os.listdir('.')))", "n1"),
        code("n2", SHORT_PAUSE + "import sqlite3\nsqlite3.connect('x.db').close()", "n1"),
        tool("n2", "send", "n1", effect="write", text=FromInput("seed")),
    ],
    ids=["reads the file", "looks at the folder", "reaches out", "changes something"],
)  # fmt: skip
def test_an_order_that_may_matter_stays(workspace: Workspace, tmp_path: Path, second: Node) -> None:
    """What the first wrote, the whole folder, the network, the world: each keeps its place."""
    first = code("n1", SHORT_PAUSE + "open('handed.txt', 'w').write('1')")
    tools = {"send": lambda text: {"sent": text}}
    skill = of("row", SEED, first, second)
    live(workspace, skill, tmp_path, lambda n: {"seed": n}, count=FEW, tools=tools)
    assert workspace.optimizer.proposals("row", min_executions=FEW) == ()


def test_a_pure_step_done_twice_is_done_once(workspace: Workspace, tmp_path: Path) -> None:
    """Its readers read the earlier result; an effect between the two forbids it."""

    def look(key: str) -> dict[str, Any]:
        time.sleep(0.05)
        return {"key": key, "owner": key.upper()}

    key = (Variable(name="key", type="id", default="a", required=True),)
    nodes = (
        tool("n1", "get_it", key=FromInput("key")),
        tool("n2", "get_it", "n1", key=FromNode("n1", ("key",))),
    )
    tools = {"get_it": look, "set_it": lambda key: {"key": key}}
    skill = of("twice", key, *nodes, output_bindings={"owner": FromNode("n2", ("owner",))})
    live(workspace, skill, tmp_path, lambda n: {"key": f"k{n}"}, tools=tools)
    made = workspace.optimizer.optimize("twice", apply=True)
    assert kinds(made.applied) == ["reuse_result n2"], made.verdict
    assert made.verdict is not None
    assert "answered from the record" in made.verdict.notes[0]
    new = workspace.skills.get("twice")
    assert [node.id for node in new.nodes] == ["n1"]
    assert new.output_bindings == {"owner": FromNode("n1", ("owner",))}

    between = tool("w", "set_it", "n1", effect="write", key=FromInput("key"))
    again = of("apart", key, nodes[0], between, nodes[1])
    live(workspace, again, tmp_path, lambda n: {"key": f"k{n}"}, tools=tools)
    assert workspace.optimizer.proposals("apart") == ()


# ------------------------------------------------------------------------------------------- nodes, failures


def test_a_step_that_never_gave_anything_is_dropped_if_that_saves_something(
    workspace: Workspace, tmp_path: Path
) -> None:
    """One that fails slowly goes; one whose condition was never true costs nothing and stays, for good."""
    nodes = (
        code("n1", "print({seed})", places=("seed",)),
        code("n2", PAUSE + "import nothing_like_it", "n1", optional=True),
        code("n3", "print('never')", "n1", condition="seed > 1000"),
    )
    skill = of("idle", SEED, *nodes, output_bindings={"result": FromNode("n1")})
    live(workspace, skill, tmp_path, lambda n: {"seed": n}, count=FEW)
    made = workspace.optimizer.optimize("idle", apply=True, min_executions=FEW)
    assert sorted(kinds(made.proposals)) == ["drop_node n2", "drop_node n3"]
    assert kinds(made.applied) == ["drop_node n2"]
    assert [node.id for node in workspace.skills.get("idle").nodes] == ["n1", "n3"]
    workspace.versions.rollback_to_version("idle", 1)
    analysis = workspace.optimizer.analyze_skill("idle", min_executions=FEW)
    assert analysis.proposals == ()
    assert {one.status for one in analysis.withheld} == {"applied", "rejected"}


def test_a_failure_that_the_input_announces_is_caught_before_anything_runs(
    workspace: Workspace, tmp_path: Path
) -> None:
    """A check over the input's own columns takes the place of a late failure; what works still works."""
    reads = (FileUse(path=FromInput("table")),)
    load = "import csv\nprint(sum(int(row['price']) for row in csv.DictReader(open({table}))))"
    skill = of(
        "late",
        (TABLE,),
        code("n1", SHORT_PAUSE + "print(1)"),
        code("n2", load, "n1", places=("table",), reads=reads),
    )
    live(
        workspace, skill, tmp_path, lambda _: {"table": "table.csv"}, count=12,
        files=lambda n: {"table.csv": f"day,{'cost' if n % 2 else 'price'}\n1,{n}\n"},
    )  # fmt: skip
    made = workspace.optimizer.optimize("late", apply=True)
    assert kinds(made.applied) == ["guard_failure n2"], made.verdict
    check = workspace.skills.get("late").nodes[0]
    assert check.template is not None
    assert (check.kind, check.template.text) == ("check", "not (not contains(columns(table), 'price'))")


def test_a_passing_failure_of_a_read_gets_another_try_only_where_that_can_be_shown(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record alone cannot say what a second try gives; real tools can."""
    monkeypatch.setattr(tries, "MAX_BACKOFF_SECONDS", 0.01)
    calls = {"made": 0}

    def get_rate(seed: int) -> int:
        calls["made"] += 1
        if calls["made"] % 2:
            raise ConnectionError("the line is dead")
        return seed

    skill = of("flaky", SEED, tool("n1", "get_rate", seed=FromInput("seed")))
    live(workspace, skill, tmp_path, lambda n: {"seed": n}, count=12, tools={"get_rate": get_rate})
    (proposal,) = workspace.optimizer.proposals("flaky")
    assert (proposal.kind, proposal.change["edit"]) == ("guard_failure", "retries")
    made = workspace.optimizer.optimize("flaky", apply=True)
    assert made.version is None
    assert made.verdict is not None
    assert (made.verdict.decision, "not in the record" in made.verdict.reason) == ("undecided", True)
    assert kinds(workspace.optimizer.proposals("flaky")) == ["guard_failure n1"]


# --------------------------------------------------------------------------------------------- with an agent


def mend(answer: dict[str, Any]) -> Scripted:
    """Return an agent that always gives this answer."""
    return Scripted(by=lambda _: answer)


def test_code_that_is_mended_alike_each_time_becomes_the_template(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The new version runs what the agent made of the old one, without the agent."""
    skill = of("mend", SEED, code("n1", "print(total({seed}))", places=("seed",)))
    by = Scripted(by=lambda task: {
        "action": "code", "reason": "no total",
        "code": "print(str(" + task.prompt.partition("total(")[2].partition(")")[0] + "))",
    })  # fmt: skip
    live(workspace, skill, tmp_path, lambda n: {"seed": 100 + n}, agents=by)
    made = workspace.optimizer.optimize("mend", apply=True)
    assert kinds(made.applied) == ["replace_template n1"], made.verdict
    template = workspace.skills.get("mend").nodes[0].template
    assert template == Template(text="print(str({seed}))", slots=(Slot(variable="seed", encoding="python"),))
    assert made.verdict is not None
    assert made.verdict.gains["cost"]["gain"] == 1.0


def test_a_step_that_is_put_in_each_time_is_added(workspace: Workspace, tmp_path: Path) -> None:
    """The step's code becomes a node before the one that needs it."""
    skill = of("ready", SEED, code("n1", "print(open('ready.txt').read(), {seed})", places=("seed",)))
    step = {
        "action": "add_before",
        "code": "open('ready.txt', 'w').write('yes')",
        "reason": "it must be there",
    }
    live(workspace, skill, tmp_path, lambda n: {"seed": n}, agents=mend(step))
    made = workspace.optimizer.optimize("ready", apply=True)
    assert kinds(made.applied) == ["add_node n1"], made.verdict
    assert [node.id for node in workspace.skills.get("ready").nodes] == ["added1", "n1"]


def test_a_constant_that_is_changed_each_time_becomes_an_input(workspace: Workspace, tmp_path: Path) -> None:
    """An argument's constant, changed to several values, is an input with the commonest as its default."""

    def buy(seed: int, limit: int) -> dict[str, int]:
        if limit < 10:
            raise ValueError(f"{seed} needs a limit of {10 + seed % 3}")
        return {"seed": seed, "limit": limit}

    skill = of("buy", SEED, tool("n1", "buy", effect="write", seed=FromInput("seed"), limit=Constant(5)))
    by = Scripted(by=lambda task: {
        "action": "arguments", "reason": "too low",
        "arguments": {
            "seed": int(task.prompt.partition("ValueError: ")[2].split()[0]),
            "limit": int(task.prompt.partition("limit of ")[2][:2]),
        },
    })  # fmt: skip
    live(workspace, skill, tmp_path, lambda n: {"seed": n}, tools={"buy": buy}, agents=by)
    made = workspace.optimizer.optimize("buy", apply=True)
    assert kinds(made.applied) == ["constant_to_variable n1.limit"], made.verdict
    new = workspace.skills.get("buy")
    assert new.nodes[0].arguments["limit"] == FromInput("limit")
    assert made.verdict is not None
    assert any("were not called" in note for note in made.verdict.notes)


PROMPT = (
    "Say only what the records of the customer really hold, and nothing else at all.\n\n" * 4 + "Say {word}."
)


def prompted() -> Skill:
    """Return a skill of one agent node whose prompt says the same four times."""
    template = Template(text=PROMPT, slots=(Slot(variable="word", encoding="text"),))
    node = Node(id="n1", kind="agent", agent="clerk", effect="read", template=template)
    return of("say", (Variable(name="word", type="string", default="a", required=True),), node)


def test_a_prompt_that_repeats_itself_is_shortened_only_if_a_model_answers_as_well(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Without a model the question stays open; with one the version is made, as it costs less."""

    def answer(task: Any) -> Any:
        return reply("said", agent=task.agent, cost_usd=len(task.prompt) * 1e-6)

    live(workspace, prompted(), tmp_path, lambda n: {"word": f"w{n}"}, agents=Scripted(by=answer))
    alone = workspace.optimizer.optimize("say", apply=True)
    assert kinds(alone.proposals) == ["shorten_prompt n1"]
    assert alone.verdict is not None
    assert alone.verdict.decision == "undecided"
    made = workspace.optimizing(agents=Scripted(by=answer)).optimize("say", apply=True)
    assert made.version == 2, made.verdict
    assert made.verdict is not None
    assert made.verdict.gains["cost"]["gain"] > 0.5


# ------------------------------------------------------------------------------------- names and choices


def test_the_specifications_names_do_the_same(workspace: Workspace, tmp_path: Path) -> None:
    """Analyse, recommend, create: as plain JSON, and a choice by what was recommended."""
    skill = of("bins", (number("bins", 10),), code("n1", "print({bins})", places=("bins",)))
    live(workspace, skill, tmp_path, lambda _: {"bins": 7})
    optimizer: SkillOptimizer = workspace.optimizer
    assert optimizer.analyze_skill_executions("bins")["executions"] == 10
    recommended = optimizer.recommend_optimizations("bins")
    assert optimizer.create_optimized_version("bins", recommended).version == 2
    with pytest.raises(RefusedError):
        optimizer.create_optimized_version("bins", [])


def test_proposals_are_chosen_by_number_kind_and_target() -> None:
    """A choice that names nothing is refused with what there is."""
    found = [
        Proposal(kind="drop_node", target="n1", change={"edit": "drop", "node": "n1"}, evidence={}),
        Proposal(kind="drop_node", target="n2", change={"edit": "drop", "node": "n2"}, evidence={}),
    ]
    assert choose(found, ["2"]) == found[1:]
    assert choose(found, ["drop_node"]) == found
    assert choose(found, ["drop_node:n1"]) == found[:1]
    with pytest.raises(UsageError, match="there is no proposal '7'"):
        choose(found, ["7"])


def test_a_deleted_skills_rejections_do_not_bind_its_successor(workspace: Workspace, tmp_path: Path) -> None:
    """Another skill of the same name begins without a past."""
    nodes = (
        code("n1", "print({seed})", places=("seed",)),
        code("n2", "print(1)", "n1", condition="seed > 99"),
    )
    skill = of("idle", SEED, *nodes, output_bindings={"result": FromNode("n1")})
    live(workspace, skill, tmp_path, lambda n: {"seed": n})
    assert workspace.optimizer.optimize("idle", apply=True).version is None
    assert workspace.optimizer.proposals("idle") == ()
    workspace.skills.delete("idle")
    again = tmp_path / "again"
    again.mkdir()
    live(workspace, skill, again, lambda n: {"seed": n})
    assert kinds(workspace.optimizer.proposals("idle")) == ["drop_node n2"]
