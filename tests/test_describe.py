from __future__ import annotations

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library import describe
from skillsmith.models import Node, Variable


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
