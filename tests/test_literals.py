from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.trace.calls import Said
from skillsmith.library.trace.literals import find, is_weak, type_of


def said(text: str) -> list[Said]:
    """Return one user message."""
    return [Said(3, "user", text)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("NQNU5R", "please cancel NQNU5R."),
        ("2024-05-22", "I leave on May 22."),
        ("2024-05-22", "on the 22nd of May, 2024"),
        ("2024-05-22", "on 5/22"),
        ("basic_economy", "a Basic Economy ticket"),
        ("round_trip", "the round-trip one"),
        (1500, "for 1,500 dollars"),
        (1500.0, "for $1500"),
        ("ivan@example.com", "write to ivan@example.com, please"),
        ("sales_east.csv", "read sales_east.csv and plot it"),
    ],
)
def test_values_are_found_as_people_write_them(value: object, text: str) -> None:
    """A value is found in the spelling that people use for it."""
    found = find(value, said(text), before=10)
    assert found is not None
    assert found.said.text[found.start : found.end]


@pytest.mark.parametrize(
    ("value", "text"), [("economy", "basic_economy"), ("2024", "20240"), ("HAT1", "HAT12")]
)
def test_parts_of_words_do_not_count(value: object, text: str) -> None:
    """A value inside a longer word is another value."""
    assert find(value, said(text), before=10) is None


def test_weak_values_need_their_name_close_by() -> None:
    """A short value binds only where a word of its parameter's name stands near."""
    assert find(3, said("I want 3 checked bags"), before=10, near="total_baggages") is not None
    assert find(3, said("two checked bags"), before=10, near="total_baggages") is None
    assert find(3, said("my 3 children travel too"), before=10, near="total_baggages") is None
    assert find(2, said("two checked bags"), before=10, near="total_baggages") is not None


def test_only_earlier_words_count() -> None:
    """What is said after a call cannot be the source of its arguments."""
    assert find("NQNU5R", said("cancel NQNU5R"), before=3) is None


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("when", "2024-05-22", "date"),
        ("mail", "a.b@example.org", "email"),
        ("link", "https://x.org/a?b", "url"),
        ("data_file", "data/in.csv", "path"),
        ("out", "plot.png", "path"),
        ("user", "ivan_muller_7015", "id"),
        ("reservation_id", "NQNU5R", "id"),
        ("bags", 3, "integer"),
        ("share", 0.5, "number"),
        ("on", True, "boolean"),
        ("cabin", "economy", "string"),
        ("items", [1], "list"),
        ("options", {"a": 1}, "object"),
    ],
)
def test_types_come_from_values_and_names(name: str, value: object, kind: str) -> None:
    """A variable's type follows from what its value looks like, then from its name."""
    assert type_of(name, value) == kind


@given(st.text(alphabet=string.ascii_letters + string.digits, min_size=4, max_size=12), st.text(max_size=30))
@settings(max_examples=80)
def test_a_strong_word_is_found_wherever_it_stands_alone(word: str, around: str) -> None:
    """A value of four characters or more, set apart by blanks, is always found."""
    if not is_weak(word):
        assert find(word, said(f"{around} {word} {around}"), before=10) is not None


@given(st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False), st.text(), st.integers()), st.text())
@settings(max_examples=80)
def test_no_value_and_no_text_make_it_fail(value: object, text: str) -> None:
    """Looking for anything in anything answers with a place or None."""
    found = find(value, said(text), before=10)
    assert found is None or 0 <= found.start < found.end <= len(text)
