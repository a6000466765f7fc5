"""What a task says about inputs: bound, said otherwise than could be read, or not spoken of."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from skillsmith.library.matching.reading import Reading, read_task
from skillsmith.models import Node, Reason, Skill, Variable

TODAY = date(2026, 1, 15)


def var(name: str, kind: Any, default: Any = None, **more: Any) -> Variable:
    """Return an input."""
    return Variable(name=name, type=kind, default=default, **more)


BOOK = Skill(
    name="book",
    task_pattern=(
        "Rent a car in {city} for {days} days from {start}, with {seats} seats, for driver {driver}."
    ),
    variables=(
        var("city", "string", "Turin"), var("days", "integer", 4), var("start", "date", "2026-02-03"),
        var("seats", "integer", 5), var("driver", "id", "D-77", required=True),
    ),
    nodes=(Node(id="n1", kind="tool", tool="rent"),),
    examples=("Rent a car in Turin for 4 days from 2026-02-03, with 5 seats, for driver D-77.",),
    context_requirements={"source_tasks": 1},
)  # fmt: skip


def read(task: str, skill: Skill = BOOK) -> Reading:
    """Read a task on a fixed day."""
    return read_task(task, skill, today=TODAY, folder=Path("/nonexistent"))


def test_the_source_task_itself_has_the_recorded_values() -> None:
    """The very task that the skill was made from leaves nothing open."""
    reading = read(BOOK.examples[0])
    assert {name: one.value for name, one in reading.bound.items()} == {
        variable.name: variable.default for variable in BOOK.variables
    }
    assert (reading.unclear, reading.unspoken) == ({}, ())


def test_what_is_not_spoken_of_is_told_apart_from_what_is_said_otherwise() -> None:
    """An input keeps its recorded value silently never: it is listed, or it counts as missing."""
    reading = read("Rent a car in Bari for driver D-12 from 2026-05-06 for 2 days")
    assert reading.bound["city"].value == "Bari"
    assert (reading.unspoken, reading.unclear) == (("seats",), {})
    reading = read("Driver D-12 wants the Bari car from 2026-05-06 for 2 days with 4 seats")
    assert reading.unclear == {"city": "Bari"}


@pytest.mark.parametrize(
    ("task", "name", "said"),
    [
        ("Rent a car in bari, 2 days, from 2026-05-06 for driver D-12", "city", "bari"),
        ("Rent a car in Bari for two weeks from 2026-05-06 for driver D-12", "days", "two"),
        ("Rent a car in Bari for driver D-12, a dozen days from 2026-05-06", "days", "dozen"),
        ("A car in Bari for 2 days, 2026-05-06 or 2026-05-09, for driver D-12", "start", "2026-05-06"),
    ],
)  # fmt: skip
def test_another_value_of_the_same_kind_makes_an_input_missing(task: str, name: str, said: str) -> None:
    """A name, number or date that no input took belongs to one that has no value yet."""
    assert read(task).unclear[name] == said


def test_numbers_of_another_order_and_the_patterns_own_words_are_no_values() -> None:
    """A year is no count, and what the pattern itself says belongs to no input."""
    reading = read("Rent a car in Bari from 2026-05-06 for driver D-12 on the 2027 budget")
    assert reading.unclear == {}
    assert set(reading.unspoken) == {"days", "seats"}


QUOTED = Skill(
    name="post",
    task_pattern='Post a note "{title}" with urgency {urgency}, signed by the team {team}.',
    variables=(
        var("title", "string", "Lift out of order"), var("urgency", "string", "high"),
        var("team", "string", "facilities"),
    ),
    nodes=(Node(id="n1", kind="tool", tool="post"),),
)  # fmt: skip


def test_plain_words_beside_an_inputs_name_or_place_are_not_overlooked() -> None:
    """What stands right beside the name, or after "about the", speaks of the input."""
    reading = read('Post a low urgency note "Heating is on", signed by the team security.', QUOTED)
    assert reading.bound["title"].value == "Heating is on"
    assert reading.bound["team"].value == "security"
    assert reading.unclear == {"urgency": "low"}
    assert read("Post a note about the broken door", QUOTED).unclear == {"title": "broken"}


def test_values_that_follow_a_bound_neighbour_are_not_overlooked() -> None:
    """Where the pattern joins two places by "and", what follows the first by "and" belongs to the second."""
    skill = Skill(
        name="fit", task_pattern="Fit a line through {x} (x) and {y} (y) in {file}",
        variables=(
            var("x", "string", "age"), var("y", "string", "income"),
            var("file", "path", "a.csv", required=True),
        ),
        nodes=(Node(id="n1", kind="tool", tool="fit"),),
    )  # fmt: skip
    assert {name: one.value for name, one in read("Fit a line through dose (x) and effect (y) in b.csv",
                                                  skill).bound.items()} == {
        "x": "dose", "y": "effect", "file": "b.csv",
    }  # fmt: skip
    reading = read("Fit a line through dose and effect in b.csv", skill)
    assert "effect" in {*reading.unclear.values(), *(one.value for one in reading.bound.values())}
    assert "y" not in reading.unspoken


def test_only_what_people_said_is_looked_at() -> None:
    """An input that no words gave is neither unclear nor unspoken, unless the reasons say that words did."""
    made = var("limit", "integer", 20)
    skill = Skill(name="s", task_pattern="List all", variables=(made,), nodes=BOOK.nodes)
    assert read("List 30", skill) == Reading()
    why = Reason(subject="n1.limit", decision="input", rule="user-words", value=20)
    said = Skill(name="s", task_pattern="List all", variables=(made,), nodes=BOOK.nodes, why=(why,))
    assert read("List 30", said).unclear == {"limit": "30"}
    assert read("", said) == Reading()


def test_a_task_is_read_anew_when_its_files_have_changed(tmp_path: Path) -> None:
    """What is remembered of a task holds for the files there were, and nobody can change it."""
    skill = Skill(
        id="0192-skill", name="count", task_pattern="Count {items} in {table}",
        variables=(
            Variable(name="table", type="path", default="old.csv"),
            Variable(name="items", type="list", default=["Ann", "Bob"]),
        ),
    )  # fmt: skip
    task = "For new.csv, please count what there is of Carl and Dora"
    first = read_task(task, skill, today=TODAY, folder=tmp_path)
    first.bound["items"].value.append("Eve")
    assert read_task(task, skill, today=TODAY, folder=tmp_path).bound["items"].value == ["Carl", "Dora"]
    assert "the file exists" not in first.bound["table"].evidence
    (tmp_path / "new.csv").write_text("a\n")
    again = read_task(task, skill, today=TODAY, folder=tmp_path)
    assert "the file exists" in again.bound["table"].evidence
