"""Tests of better words from a model: real HTTP to a scripted server, bounded edits, the same proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli, order_run, write_json
from code_runs import asked, capture, program, table
from hypothesis import given, settings
from hypothesis import strategies as st
from model_server import Server, text

from skillsmith.db import Database
from skillsmith.library.extraction.renaming import renamed_inputs
from skillsmith.library.extractor import ExtractionReport, SkillExtractor
from skillsmith.library.program.validation import validate_skill
from skillsmith.models import AgentReply, AgentTask, Json, Skill
from skillsmith.models.protocols import AgentError
from skillsmith.runs import RunRepository

CASES = [("sales.csv", "amount", 10, "sum.json"), ("costs.csv", "price", 25, "costs.json")]
GOOD: dict[str, Json] = {
    "name": "sum_of_column", "description": "Add up a column of a table, above a limit.",
    "tags": ["csv", "totals"], "variables": {"limit": "at_least", "input_file": "table_file"},
}  # fmt: skip


class Proposes:
    """A model that answers one thing, or fails."""

    def __init__(self, value: Json) -> None:
        self.value = value
        self.asked: list[AgentTask] = []

    def run(self, task: AgentTask) -> AgentReply:
        """Answer."""
        self.asked.append(task)
        if isinstance(self.value, Exception):
            raise self.value
        return AgentReply(value=self.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a library with two captured runs."""
    for number, case in enumerate(CASES):
        files = {case[0]: table(5, 20, 30, column=case[1])}
        capture(tmp_path / "x.db", tmp_path / f"w{number}", asked(*case), program(*case), files)
    return tmp_path / "x.db"


def make(path: Path, value: Json, *, count: int = 1, **options: Any) -> ExtractionReport:
    """Make a skill of the first runs with what the model proposes."""
    db = Database(path)
    ids = [run.id for run in RunRepository(db).list()][::-1][:count]
    return SkillExtractor(db).extract(ids, polish=Proposes(value), **options)


@pytest.mark.parametrize("count", [1, 2])
def test_sound_words_are_taken_everywhere(path: Path, count: int) -> None:
    """Name, description, tags and input names are taken; templates and bindings follow; the proof passes."""
    skill = make(path, GOOD, count=count).skill
    assert (skill.name, skill.tags, skill.state) == ("sum_of_column", ("csv", "totals"), "proven")
    assert {"at_least", "table_file"} <= {one.name for one in skill.variables}
    assert "{at_least}" in skill.task_pattern
    template = skill.nodes[0].template
    assert template is not None
    assert {"at_least", "table_file"} <= {slot.variable for slot in template.slots}
    assert validate_skill(skill) == []
    assert all(proof.passed for proof in skill.proofs if proof.level != "generalises")


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"name": "No Name!"}, "skill name"),
        ({"description": "x" * 400}, "300 characters"),
        ({"tags": ["UPPER"]}, "lower-case"),
        ({"variables": {"limit": "class"}}, "no name for an input"),
        ({"variables": {"limit": "input_file"}}, "something else already"),
        ({"variables": {"nothing": "more"}}, "no such input"),
        (AgentError("the model is not there"), "not there"),
    ],
)
def test_unsound_words_are_dropped_with_their_reason(path: Path, value: Json, rule: str) -> None:
    """What is no sound edit is left out and says why; the skill is made all the same."""
    report = make(path, value)
    (reason,) = report.proposed
    assert reason.rule == "proposal-dropped"
    assert rule in reason.detail
    assert report.skill.state == "proven"


def test_what_the_user_said_stays(path: Path) -> None:
    """A name, description or tags given by the user are not asked about."""
    skill = make(path, GOOD, name="mine", description="Mine.", tags=["own"]).skill
    assert (skill.name, skill.description, skill.tags) == ("mine", "Mine.", ("own",))


def test_no_model_is_asked_unless_wanted(path: Path) -> None:
    """Without the option nothing is asked and nothing is missing."""
    db = Database(path)
    first = next(iter(RunRepository(db).list())).id
    assert SkillExtractor(db).extract([first]).proposed == ()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), min_size=3, max_size=3, unique=True))
def test_names_can_be_taken_back(names: list[str]) -> None:
    """Renaming and renaming back gives the very same nodes."""
    there = dict(zip(("order", "amount", "note"), (f"v_{name}" for name in names), strict=True))
    back = {new: old for old, new in there.items()}
    skill = _skill()
    assert renamed_inputs(renamed_inputs(skill, there), back) == skill


def _skill() -> Skill:
    from skillsmith.models import FromInput, Node, Slot, Template, Text, Variable  # noqa: PLC0415  (only here)

    return Skill(
        name="s", task_pattern="Do {order} with {amount}",
        variables=tuple(Variable(name=name, type="string") for name in ("order", "amount", "note")),
        nodes=(
            Node(id="n1", kind="check", effect="read", template=Template(text="order != 'order' and amount")),
            Node(id="n2", kind="tool", tool="t", condition="note != None and inputs['note']",
                 arguments={"a": Text(("x", FromInput("order")))}),
            Node(id="n3", kind="code", language="python",
                 template=Template(text='print("{note}", {amount})',
                                   slots=(Slot(variable="note", encoding="python-str"),
                                          Slot(variable="amount", encoding="python")))),
        ),
    )  # fmt: skip


def test_the_command_line_asks_a_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``extract --polish`` speaks to the configured model; without one it says how to configure it."""
    pytest.importorskip("ag2")
    pytest.importorskip("openai")
    monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path / "no models"))
    for name in ("SKILLSMITH_MODEL", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    cli = Cli(tmp_path, tmp_path / "x.db")
    assert cli("ingest", write_json(tmp_path / "log.json", [order_run(1)])).code == 0
    (run,) = cli.json("runs")["items"]
    refused = cli("extract", run["id"], "--polish", "--json")
    assert (refused.code, "SKILLSMITH_MODEL" in refused.error["hint"]) == (2, True)
    answer = {"name": "cancel_an_order", "variables": {"order_id": "order_number"}}
    with Server([text(json.dumps(answer))]) as server:
        monkeypatch.setenv("SKILLSMITH_MODEL", "scripted")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        document = cli.json("extract", run["id"], "--polish")
    assert (document["skill"], document["state"]) == ("cancel_an_order", "proven")
    assert "order_number" in document["inputs"]["properties"]
    assert {one["rule"] for one in document["proposed"]} == {"model-proposed"}
