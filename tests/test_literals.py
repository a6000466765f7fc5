from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.trace.calls import Said
from skillsmith.library.trace.literals import find, find_alone, is_weak, type_of


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


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("05/22/2024", "on May 22, please"),
        ("22.05.2024", "on 2024-05-22"),
        ("20240522", "May 22nd"),
        ("May 22, 2024", "the 22nd of May"),
        ("2024-05-22T15:00:00", "May 22 at 3pm"),
        ("+15551234567", "call me at (555) 123-4567"),
        (1377.5, "pay $1,377.50 now"),
        ("Chloe\u0301", "I am Chlo\u00e9"),
        ("田中太郎", "名前は田中太郎です"),
        ("91202043", "注文番号91202043をキャンセル"),
    ],
)
def test_values_are_found_as_people_write_them_elsewhere(value: object, words: str) -> None:
    """Dates of any form, telephone numbers, amounts, accents and scripts without spaces are found."""
    assert find(value, said(words), before=10) is not None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("05/06/2024", "on May 6"),
        ("20241350", "May 13"),
        ("120204", "注文番号91202043"),
        (377.5, "pay $1,377.50"),
        (5377, "pay 15,377 dollars"),
        (1377, "pay 1377.50"),
        (2024, "on 22.05.2024"),
    ],
)
def test_what_may_mean_two_things_or_is_part_of_another_is_not_found(value: object, words: str) -> None:
    """A day and month that may be swapped, no date at all, and a piece of a number are not found."""
    assert find(value, said(words), before=10) is None


@pytest.mark.parametrize(
    ("name", "value", "words", "near"),
    [
        ("percent", 5, "a discount of 5% please", True),
        ("price", 12, "it costs $12", True),
        ("quantity", 7, "send 7 units", True),
        ("quantity", 7, "in 7 days", False),
        ("percent", 5, "5 units", False),
    ],
)
def test_a_unit_right_at_a_number_says_what_it_is(name: str, value: int, words: str, *, near: bool) -> None:
    """A sign or unit beside a short number is its second witness, when the name is such a thing's."""
    assert (find(value, said(words), before=10, near=name) is not None) is near


def test_a_short_code_counts_where_it_is_said_just_once() -> None:
    """A number or code of three characters is told by standing alone; a plain word or two of them are not."""
    task = Said(0, "task", "Move 402 dollars")
    assert find_alone(402, [task, Said(1, "user", "Move 402 dollars to IAH")], before=5)
    assert find_alone("IAH", [task, Said(1, "user", "Move 402 dollars to IAH")], before=5)
    assert find_alone(402, said("402 here, 402 there"), before=5) is None
    assert find_alone("day", said("that day"), before=5) is None
    assert find_alone(40, said("40 of them"), before=5) is None
