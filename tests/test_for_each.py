from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.errors import ExecutionError
from skillsmith.library.checkpoints import SkillCheckpointManager
from skillsmith.library.execution.callbacks import ExecutionCallbacks
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.program.document import from_document, to_document
from skillsmith.library.program.validation import validate_skill
from skillsmith.library.repository import SkillRepository
from skillsmith.models import (
    Binding,
    Constant,
    Each,
    FromInput,
    FromItem,
    FromNode,
    Json,
    Node,
    ObjectOf,
    Skill,
    Slot,
    Template,
    Variable,
)


class Office:
    """Tools that note what they were called with; one item can be made to fail or to be interrupted."""

    def __init__(self) -> None:
        self.done: list[tuple[str, dict[str, Json]]] = []
        self.fail_on: Json = None
        self.interrupt_on: Json = None

    def names(self) -> frozenset[str]:
        return frozenset({"close", "look"})

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        item = arguments.get("id")
        if item is not None and item == self.interrupt_on:
            self.interrupt_on = None
            raise KeyboardInterrupt
        if item is not None and item == self.fail_on:
            self.fail_on = None
            raise ValueError(f"{item} is locked")
        self.done.append((name, dict(arguments)))
        return {"name": name, **arguments}


def closing(for_each: Binding | None = None, **arguments: Binding) -> Skill:
    """Return a skill that closes each of the ids."""
    node = Node(
        id="n1", kind="tool", tool="close", arguments=arguments or {"id": FromItem()},
        for_each=for_each or FromInput("ids"),
    )  # fmt: skip
    return Skill(
        name="closing", nodes=(node,), variables=(Variable(name="ids", type="list", default=["a", "b"]),),
        outputs={"type": "object", "required": ["closed"]}, output_bindings={"closed": FromNode("n1")},
        state="proven",
    )  # fmt: skip


def run(db: Database, office: Office, skill: Skill, ids: Json = None, **options: Any) -> Any:
    """Execute the skill with these ids."""
    executor = SkillExecutor(db, tools=office, backoff_seconds=0.0)
    context = {"inputs": {} if ids is None else {"ids": ids}}
    return executor.execute_skill(skill, context, **options)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("abcdef", min_size=1, max_size=4) | st.integers(0, 99), max_size=6))
def test_a_loop_of_n_items_equals_n_single_calls(db: Database, ids: list[Json]) -> None:
    """The calls, their order and their results are those of one node an item."""
    looped, single = Office(), Office()
    result = run(db, looped, closing(), ids)
    nodes = tuple(
        Node(id=f"n{number}", kind="tool", tool="close", arguments={"id": Constant(item)},
             after=(f"n{number - 1}",) if number else ())
        for number, item in enumerate(ids)
    )  # fmt: skip
    one_by_one = run(db, single, Skill(name="singles", nodes=nodes, state="proven"))
    assert result.success
    assert looped.done == single.done
    assert result.outputs["closed"] == [node.result for node in one_by_one.nodes]


def test_an_item_is_an_object_and_a_later_loop_reads_an_earlier_ones_results(db: Database) -> None:
    """A loop over a list of objects gives a list; another loop goes over that list."""
    look = Node(
        id="n1", kind="tool", tool="look", effect="read", for_each=FromInput("orders"),
        arguments={
            "id": FromItem(("id",)),
            "lines": Each(FromItem(("lines",)), ObjectOf((("no", FromItem()),))),
        },
    )  # fmt: skip
    close = Node(
        id="n2", kind="tool", tool="close", for_each=FromNode("n1"), after=("n1",),
        arguments={"id": FromItem(("id",)), "first": FromItem(("lines", 0, "no"))},
    )  # fmt: skip
    orders = [{"id": "w1", "lines": [7, 8]}, {"id": "w2", "lines": [9]}]
    skill = Skill(
        name="orders", nodes=(look, close), variables=(Variable(name="orders", type="list", default=orders),)
    )
    office = Office()
    assert validate_skill(skill) == []
    assert run(db, office, skill).success
    assert office.done[2:] == [("close", {"id": "w1", "first": 7}), ("close", {"id": "w2", "first": 9})]


def test_an_interrupted_loop_goes_on_where_it_stopped(db: Database) -> None:
    """No item is done twice: those that are settled stay so, the one under way is asked about."""
    office, skill = Office(), SkillRepository(db).add(closing())
    office.interrupt_on = "b"
    result = run(db, office, skill, ["a", "b", "c"])
    assert not result.success
    assert [call[1]["id"] for call in office.done] == ["a"]
    asked: list[str] = []

    def approve(_question: str, key: str) -> bool:
        asked.append(key)
        return True

    callbacks = ExecutionCallbacks(approve=approve)
    again = run(db, office, skill, resume=result.execution_id, callbacks=callbacks)
    assert again.success
    assert asked == []  # what raised has ended: it did nothing
    assert [call[1]["id"] for call in office.done] == ["a", "b", "c"]
    assert again.outputs["closed"] == [{"name": "close", "id": item} for item in "abc"]


def test_a_failing_item_fails_its_loop_and_is_done_again_on_resume(db: Database) -> None:
    """What was done before it is not repeated, what comes after it is not begun."""
    office, skill = Office(), SkillRepository(db).add(closing())
    office.fail_on = "b"
    result = run(db, office, skill, ["a", "b", "c"])
    assert not result.success
    assert "n1[1]: ValueError: b is locked" in result.error
    assert [call[1]["id"] for call in office.done] == ["a"]
    again = run(db, office, skill, resume=result.execution_id)
    assert again.success
    assert [call[1]["id"] for call in office.done] == ["a", "b", "c"]


@pytest.mark.parametrize("again", [True, False])
def test_an_item_that_was_under_way_is_asked_about(db: Database, *, again: bool) -> None:
    """An execution that died inside an item may have done it: a person says whether it is done again."""
    office, skill = Office(), SkillRepository(db).add(closing())
    office.fail_on = "b"
    result = run(db, office, skill, ["a", "b", "c"])
    SkillCheckpointManager(ExecutionLedger(db)).started(result.execution_id, "n1[1]")
    callbacks = ExecutionCallbacks(approve=lambda _question, key: again and key == "n1[1]")
    if again:
        assert run(db, office, skill, resume=result.execution_id, callbacks=callbacks).success
    else:
        with pytest.raises(ExecutionError, match=r"n1\[1\] \(close\) was under way"):
            run(db, office, skill, resume=result.execution_id, callbacks=callbacks)
    assert [call[1]["id"] for call in office.done] == (["a", "b", "c"] if again else ["a"])


def test_an_item_that_failed_is_tried_again(db: Database) -> None:
    """Retries count for each item, and are told as an adaptation of that item."""
    node = closing().nodes[0]
    office, skill = Office(), closing()
    skill = Skill(
        name="closing", variables=skill.variables,
        nodes=(Node(id=node.id, kind="tool", tool=node.tool, arguments=node.arguments,
                    for_each=node.for_each, retries=1),),
    )  # fmt: skip
    office.fail_on = "b"
    result = run(db, office, skill)
    assert result.success
    assert [(one.type, one.target) for one in result.adaptations] == [("retry", "n1[1]")]


def test_a_loop_over_no_list_is_one_clear_error(db: Database) -> None:
    """What it would be done for must be a list."""
    skill = closing(for_each=FromInput("ids"), id=FromItem())
    text = Skill(name="t", nodes=skill.nodes, variables=(Variable(name="ids", type="string", default="a b"),))
    result = run(db, Office(), text)
    assert not result.success
    assert "{ids} should be a list, and is a b" in result.error


def test_an_empty_list_is_done_at_once(db: Database) -> None:
    """Nothing is called, and the result is an empty list."""
    office = Office()
    assert run(db, office, closing(), []).outputs == {"closed": []}
    assert office.done == []


def test_code_is_run_for_each_item(db: Database, tmp_path: Path) -> None:
    """A template's place can be filled from the item."""
    node = Node(
        id="n1", kind="code", language="python", for_each=FromInput("ids"), bindings={"one": FromItem()},
        template=Template(text="print({one} * 2)", slots=(Slot(variable="one", encoding="python"),)),
    )  # fmt: skip
    variables = (Variable(name="ids", type="list", default=[1, 2]),)
    skill = Skill(name="code", nodes=(node,), variables=variables,
                  output_bindings={"said": FromNode("n1")})  # fmt: skip
    result = SkillExecutor(db, work_dir=tmp_path).execute_skill(skill, {})
    assert result.outputs == {"said": [2, 4]}


def test_a_dry_run_shows_every_call() -> None:
    """Where the list is known, the calls are; where it is not, what they are made of."""
    from skillsmith.library.execution.dry_run import document_of  # noqa: PLC0415  (next to its only use)
    from skillsmith.library.execution.preparation import Means, prepare  # noqa: PLC0415

    db = Database(":memory:")
    preparation = prepare(
        closing(), task="", given={}, skills=SkillRepository(db), means=Means(tools=Office()), only_look=True
    )
    node = document_of(preparation, means=Means(tools=Office()))["nodes"][0]
    db.close()
    assert node["for_each"] == {"value": ["a", "b"]}
    assert node["arguments"] == {"id": {"from": "item"}}
    assert node["calls"] == [{"id": {"value": "a"}}, {"id": {"value": "b"}}]


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (Node(id="n1", kind="tool", tool="close", arguments={"id": FromItem()}), "is in none"),
        (Node(id="n1", kind="tool", tool="close", for_each=FromItem()), "of the very same list"),
        (Node(id="n1", kind="skill", tool="other", for_each=FromInput("ids")), "cannot be done for each"),
    ],
)
def test_unsound_loops_are_refused(node: Node, problem: str) -> None:
    """An item outside a loop, a loop over itself, and kinds that cannot be done for each item."""
    found = validate_skill(Skill(name="s", nodes=(node,), variables=closing().variables))
    assert any(problem in one for one in found)


def test_a_loop_survives_document_and_store(db: Database) -> None:
    """Also through a JSON text with sorted keys."""
    skill = SkillRepository(db).add(closing())
    text = json.dumps(to_document(skill), sort_keys=True)
    assert from_document(json.loads(text)).nodes == closing().nodes
    assert SkillRepository(db).get("closing").nodes == closing().nodes
