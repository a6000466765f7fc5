from __future__ import annotations

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.extraction import describe
from skillsmith.models import Node, Reason, Variable, Witness


def test_the_task_pattern_has_the_variables_in_place() -> None:
    """Every variable that the task names stands in its pattern, also where it is written another way."""
    variables = [
        Variable(name="reservation_id", type="id", default="NQNU5R"),
        Variable(name="date", type="date", default="2024-05-22"),
        Variable(name="other", type="id", default="ZZZZ99"),
    ]
    pattern = describe.task_pattern("Move NQNU5R to May 22, please", variables)
    assert pattern == "Move {reservation_id} to {date}, please"


def test_names_descriptions_and_tags_say_what_is_done() -> None:
    """Tools that change something name the skill; the description has the task and the deeds."""
    nodes = [
        Node(id="n1", kind="tool", tool="get_order", effect="read"),
        Node(id="n2", kind="tool", tool="cancel_order"),
        Node(id="n3", kind="tool", tool="cancel_order"),
    ]
    assert describe.skill_name(nodes, "whatever") == "cancel_order"
    assert describe.description(nodes, "Cancel two. Thanks!") == "Cancel two. Cancel order (2 times)."
    assert describe.tags(nodes, ())[0] == "order"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(values)
@settings(max_examples=80)
def test_a_value_meets_its_own_schema(value: object) -> None:
    """The schema made from a value is valid JSON Schema and accepts the value."""
    schema = describe.schema_of(value)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema)


def test_places_are_those_that_the_values_were_lifted_from() -> None:
    """Lists, small numbers and values that stand twice have their place where the witness saw them."""
    task = "Seat Ann, Bob and Cy at 2 tables for 2 hours"
    variables = [
        Variable(name="people", type="list", default=["Ann", "Bob", "Cy"]),
        Variable(name="hours_value", type="integer", default=2),
    ]
    why = [
        Reason(subject="n1.people", decision="input", rule="user-words", value=["Ann", "Bob", "Cy"],
               witnesses=(Witness(seq=0, where="task", path="5-20"),)),
        Reason(subject="n1.hours_value", decision="input", rule="user-words", value=2,
               witnesses=(Witness(seq=0, where="task", path="37-38"),)),
    ]  # fmt: skip
    pattern = describe.task_pattern(task, variables, why)
    assert pattern == "Seat {people} at 2 tables for {hours_value} hours"


def test_equal_values_keep_their_own_places() -> None:
    """Two inputs with one value are told apart by the name under which each was lifted."""
    variables = [
        Variable(name="guests", type="integer", default=3),
        Variable(name="nights", type="integer", default=3),
    ]
    why = [
        Reason(subject=f"n1.{name}", decision="input", rule="user-words", value=3,
               witnesses=(Witness(seq=0, where="task", path=path),))
        for name, path in (("nights", "15-16"), ("guests", "4-5"))
    ]  # fmt: skip
    first_only = describe.task_pattern("For 3 people / 3 days", variables, why[1:])
    assert first_only == "For {guests} people / 3 days"
    both = describe.task_pattern("For 3 people / 3 days", variables, why)
    assert both == "For {guests} people / {nights} days"
