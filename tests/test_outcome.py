"""The verdict on outputs: our own quick checker never lets through what the full validator refuses."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.execution.outcome import misfit
from skillsmith.models import Json

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.text("ab\n", max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner),
    max_leaves=6,
)
TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
LEAVES = st.one_of(
    st.fixed_dictionaries({"type": TYPES}),
    st.fixed_dictionaries({"type": st.lists(TYPES, min_size=1, max_size=2, unique=True)}),
    st.fixed_dictionaries({"enum": st.lists(SCALARS, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": SCALARS}),
    st.fixed_dictionaries({"type": st.just("string"), "pattern": st.sampled_from(["^a", "b$"])}),
    st.fixed_dictionaries({"type": st.just("string"), "maxLength": st.just(1)}),
    st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.just(0), "maximum": st.just(2)}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({
            "type": st.just("object"), "properties": st.dictionaries(st.sampled_from("xyz"), inner),
            "required": st.lists(st.sampled_from("xyz"), unique=True),
            "additionalProperties": st.booleans(),
        }),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=4,
)  # fmt: skip


@given(SCHEMAS, VALUES)
@settings(max_examples=300)
def test_a_value_fits_exactly_when_the_full_validator_says_so(schema: Json, value: Json) -> None:
    """Whichever of the two checkers answers, the verdict is that of JSON Schema."""
    assert (misfit(schema, value) is None) is jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize("schema", [{"pattern": "("}, {"type": "string", "pattern": "("}, {"enum": 3}])
def test_a_broken_schema_is_said_and_not_raised(schema: Json) -> None:
    """A schema that nothing can apply is a failure in words."""
    assert "schema cannot be applied" in (misfit(schema, "x") or "")
