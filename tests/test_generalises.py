from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from family_runs import ORDERS, cancel, look, record, refund, traced
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.errors import ExtractionError, UsageError
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.extractor import SkillExtractor
from skillsmith.library.families.fitting import fit
from skillsmith.library.families.generalises import generalises, leave_one_out
from skillsmith.library.families.merging import family_skill
from skillsmith.library.families.perturbation import perturbed
from skillsmith.library.repository import SkillRepository
from skillsmith.library.trace.regenerating import done_by, regenerated
from skillsmith.models import FileSnapshot, Json, Node, Outcome, Skill, Slot, Template, Variable
from skillsmith.runs import RunRepository

ONE = traced("Cancel W7701", [look("W7701"), cancel("W7701")])
TWO = traced("Cancel W7702 and W7703", [look("W7702"), cancel("W7702"), look("W7703"), cancel("W7703")])
FOUR = traced("Cancel W7701, W7703 and W7702", [cancel("W7701"), cancel("W7703"), cancel("W7702")])
THREE = traced("I do not want my last order", [look("W7703"), cancel("W7703")])


def store(db: Database, *runs: tuple[str, list[tuple[str, dict[str, object], object]], Outcome]) -> list[str]:
    """Store runs and return their ids."""
    kept = RunRepository(db)
    return [kept.ingest(record(task, made, outcome=outcome)).run.id for task, made, outcome in runs]


def test_each_run_is_left_out_once_and_regenerated_by_the_others() -> None:
    """The proof says for each run what its words gave and what only its record had."""
    proof = generalises([ONE, TWO, THREE, FOUR])
    assert (proof.level, proof.passed, proof.compared) == ("generalises", True, 4)
    assert proof.detail["tasks"] == 4
    by_run = {one["run"]: one for one in proof.detail["left_out"]}
    assert by_run[ONE.run.id]["from_words"] == ["order_ids"]
    assert by_run[THREE.run.id]["from_record"] == ["order_ids"]
    assert by_run[TWO.run.id]["changes"] == 2


def test_what_the_others_never_did_is_said() -> None:
    """A run with a step of its own is not regenerated, and the failure names the step."""
    more = traced("Cancel W7701, refund 5.25", [look("W7701"), cancel("W7701"), refund("W7701", 5.25)])
    proof = generalises([ONE, TWO, FOUR, more])
    assert not proof.passed
    assert len(proof.failures) == 1
    assert "also does send_refund" in proof.failures[0]
    found = leave_one_out([ONE, TWO, FOUR, more])
    assert [one.fit.problem is None for one in found] == [True, True, True, False]


def test_one_thing_shows_no_loop() -> None:
    """From runs that did a step once nobody can tell that it may be done twice."""
    (found,) = (one for one in leave_one_out([ONE, TWO, THREE]) if one.run is TWO)
    assert "also does cancel_order" in (found.fit.problem or "")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(sorted(ORDERS)), min_size=1, max_size=4, unique=True))
def test_a_familys_loop_does_any_number_of_items(orders: list[str]) -> None:
    """A run that cancels n orders is regenerated call by call, in its order."""
    skill = family_skill([ONE, TWO])
    run = traced(f"Cancel {' and '.join(orders)}", [cancel(order) for order in orders])
    found = fit(skill, run)
    assert found.problem is None
    assert found.inputs == {"order_ids": orders}
    assert regenerated(skill, run, found.inputs, [done_by(call) for call in run.goals])[0] is None


def test_regenerating_is_no_mere_claim() -> None:
    """With other inputs the changes differ, and the difference is told."""
    skill = family_skill([ONE, TWO])
    wanted = [done_by(call) for call in ONE.goals]
    problem, _ = regenerated(skill, ONE, {"order_ids": []}, wanted)
    assert problem == "0 changes, the run has 1"
    problem, _ = regenerated(skill, ONE, {"order_ids": ["W9999"]}, wanted)
    assert "the run has no call with" in (problem or "")


def test_several_runs_are_stored_as_one_proven_skill(db: Database) -> None:
    """With both proofs, all runs as sources, and a failed run that gives no step."""
    ids = store(
        db,
        ("Cancel W7701", [look("W7701"), cancel("W7701")], "success"),
        ("Cancel W7702 and W7703", [cancel("W7702"), cancel("W7703")], "success"),
        ("Cancel W7701 and W7703", [cancel("W7701"), cancel("W7703")], "success"),
        ("Cancel W7703 at once", [("send_refund", {"amount": 1}, "ok")], "failure"),
    )
    report = SkillExtractor(db).extract(ids, name="cancel")
    stored = SkillRepository(db).get("cancel")
    assert stored.state == "proven"
    assert stored.source_run_ids == tuple(ids[:3])
    assert [(proof.level, proof.passed) for proof in stored.proofs] == [
        ("reconstructs", True), ("generalises", True),
    ]  # fmt: skip
    assert report.proof is not None
    assert report.proof.level == "generalises"
    assert [node.tool for node in stored.nodes] == ["cancel_order"]


class Shop:
    """Tools that note what they were called with."""

    def __init__(self) -> None:
        self.cancelled: list[Json] = []

    def names(self) -> frozenset[str]:
        return frozenset({"cancel_order"})

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        self.cancelled.append(arguments["order_id"])
        return {"tool": name}


@pytest.mark.parametrize("orders", [["W8801"], ["W8801", "W8802"], ["W8801", "W8802", "W8803"]])
def test_a_familys_skill_does_a_new_task_for_as_many_things_as_it_names(
    db: Database, orders: list[str]
) -> None:
    """Its words alone say for which; each is done once, in their order."""
    ids = store(
        db, ("Cancel W7701", [cancel("W7701")], "success"),
        ("Cancel W7702 and W7703", [cancel("W7702"), cancel("W7703")], "success"),
    )  # fmt: skip
    skill = SkillExtractor(db).extract(ids, name="cancel").skill
    assert skill.task_pattern == "Cancel {order_ids}"
    shop = Shop()
    result = SkillExecutor(db, tools=shop).execute_skill(skill, {"task": f"Cancel {' and '.join(orders)}"})
    assert result.success
    assert shop.cancelled == orders


def test_one_task_alone_is_proven_and_says_what_it_cannot_show(db: Database) -> None:
    """A family whose runs do not regenerate each other is proven by its own runs, and the failure is kept."""
    ids = store(
        db,
        ("Cancel W7701", [cancel("W7701")], "success"),
        (
            "Cancel W7702 and refund 44.75",
            [cancel("W7702"), look("W7702"), refund("W7702", 44.75)],
            "success",
        ),
    )
    report = SkillExtractor(db).extract(ids, name="cancel")
    assert [(proof.level, proof.passed) for proof in report.skill.proofs] == [
        ("reconstructs", True), ("generalises", False),
    ]  # fmt: skip
    assert report.skill.state == "proven"
    assert report.proof is not None
    assert report.proof.level == "reconstructs"


def test_several_runs_are_refused_with_a_reason(db: Database) -> None:
    """Only failures, a range of steps, and code are each one clear line."""
    ids = store(
        db, ("Cancel W7701", [cancel("W7701")], "failure"), ("Cancel W7702", [cancel("W7702")], "failure"),
        ("Cancel W7703", [cancel("W7703")], "success"),
    )  # fmt: skip
    extractor = SkillExtractor(db)
    with pytest.raises(ExtractionError, match="none of the runs succeeded"):
        extractor.extract(ids[:2], name="x")
    with pytest.raises(UsageError, match="--steps is for one run"):
        extractor.extract(ids, name="x", steps="1-2")


def code_skill(text: str, *variables: Variable) -> Skill:
    """Return a skill of one code block with these inputs in it."""
    slots = tuple(Slot(variable=one.name, encoding="python") for one in variables)
    node = Node(id="n1", kind="code", language="python", template=Template(text=text, slots=slots))
    return Skill(name="code", nodes=(node,), variables=variables)


COUNT = Variable(name="count", type="integer", default=3)
UNUSED = Variable(name="limit", type="integer", default=40)
FILE = FileSnapshot(path="in.txt", content=b"1 2 30 4", agent=None, at=0.0)


def test_changed_inputs_change_what_code_does() -> None:
    """The proof says which value made the difference."""
    proof = perturbed(code_skill("print('x' * {count})", COUNT), [])
    assert proof is not None
    assert proof.passed
    assert proof.detail["changed"] == [{"input": "count", "from": 3, "to": 4}]


def test_an_input_that_changes_nothing_is_told() -> None:
    """Neither one step on, nor the double, nor the half."""
    text = "limit = {limit}\nprint(open('in.txt').read())"
    proof = perturbed(code_skill(text, UNUSED), [FILE])
    assert proof is not None
    assert (proof.passed, proof.failures) == (False, ("limit: other values than 40 change nothing",))


def test_refused_values_and_no_inputs_prove_nothing() -> None:
    """Code that takes no other value is noted; code without numbers has nothing to change."""
    refused = perturbed(code_skill("assert {count} == 3\nprint('three')", COUNT), [])
    assert refused is not None
    assert (refused.passed, refused.compared, refused.detail["refused"]) == (False, 0, ["count"])
    assert perturbed(code_skill("print('x')"), []) is None
    assert Path.cwd().joinpath("in.txt").exists() is False
