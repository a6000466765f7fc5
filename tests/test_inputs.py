"""Values for inputs: read from text, checked by type, refused with the input's name."""

from __future__ import annotations

import contextlib
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.errors import MissingInputError, UsageError
from skillsmith.library.program.inputs import accept, coerce, parse_settings, require_inputs
from skillsmith.models import Skill, Variable, VariableType


def variable(kind: Any, default: Any = None, **more: Any) -> Variable:
    """Return an input called x."""
    return Variable(name="x", type=kind, default=default, **more)


@pytest.mark.parametrize(
    ("text", "kind", "default", "expected"),
    [
        ("7", "integer", 1, 7),
        ("1,200", "integer", 1, 1200),
        ("2.5", "number", 1.0, 2.5),
        ("3", "number", 1.0, 3.0),
        ("$12.50", "number", 1.0, 12.5),
        ("yes", "boolean", False, True),
        ("off", "boolean", True, False),
        ("May 22, 2024", "date", "2024-01-01", "2024-05-22"),
        ("2024-05-22", "date", "01.02.2023", "22.05.2024"),
        ("2024-05-22", "date", "January 5, 2023", "May 22, 2024"),
        ("2024-05-22T10:00:00", "date", "2024-01-01", "2024-05-22T10:00:00"),
        ('["a", "b"]', "list", [], ["a", "b"]),
        ('{"a": 1}', "object", {}, {"a": 1}),
        ("0123", "id", "0999", "0123"),
        ("123", "id", 999, 123),
        (" spaced ", "string", "", " spaced "),
        ("", "string", "x", ""),
        ("https://a.b/c", "url", "", "https://a.b/c"),
        ("a@b.c", "email", "", "a@b.c"),
        ("out/x.csv", "path", "", "out/x.csv"),
    ],
)
def test_text_is_read_by_type(text: str, kind: str, default: Any, expected: Any) -> None:
    """Text becomes a value of the input's type, dates as the default is written."""
    value = coerce(text, variable(kind, default))
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("seven", "integer"), ("7.5", "integer"), (True, "integer"), (7.5, "integer"), ("many", "number"),
        ("nan", "number"), ("inf", "number"), ("maybe", "boolean"), (3, "boolean"), ("soon", "date"),
        ("2024-13-40", "date"), (5, "date"), ("[1", "list"), ("{}", "list"), ("[]", "object"), ("", "path"),
        ("  ", "id"), ("nowhere", "url"), ("nobody", "email"), (5, "string"), (None, "string"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(value: Any, kind: str) -> None:
    """A value of the wrong type is a usage error that names the input."""
    with pytest.raises(UsageError, match="'x'"):
        accept(value, variable(kind, "y"))


def test_enums_take_their_own_values_only() -> None:
    """An enum takes its values, however they are cased, and lists them when it refuses."""
    cabin = variable("enum", "economy", enum=("economy", "business", 3))
    assert accept("Business", cabin) == "business"
    assert accept("3", cabin) == 3
    with pytest.raises(UsageError, match="economy, business, 3"):
        accept("first", cabin)


SKILL = Skill(
    name="plot",
    variables=(
        Variable(name="path", type="path", required=True),
        Variable(name="top_n", type="integer", default=5),
    ),
)


def test_settings_are_read_and_checked() -> None:
    """`--set` splits at the first =, knows the inputs, and says what is wrong."""
    assert parse_settings(["path=a=b.csv", "top_n=3"], SKILL) == {"path": "a=b.csv", "top_n": 3}
    with pytest.raises(UsageError, match="no ="):
        parse_settings(["top_n"], SKILL)
    with pytest.raises(UsageError, match="path, top_n"):
        parse_settings(["topn=3"], SKILL)
    with pytest.raises(UsageError, match="whole number"):
        parse_settings(["top_n=many"], SKILL)


def test_missing_inputs_are_named() -> None:
    """A required input without a value is named, with how to give it."""
    with pytest.raises(MissingInputError, match="--set path=VALUE"):
        require_inputs(SKILL, {"top_n": 5})


@given(st.text(max_size=30), st.sampled_from(get_args(VariableType)))
@settings(max_examples=200)
def test_any_text_is_read_or_refused(text: str, kind: str) -> None:
    """No text makes reading an input fail in any other way than a usage error."""
    with contextlib.suppress(UsageError):
        coerce(text, variable(kind, None))
