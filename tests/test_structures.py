from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.program.structures import opened, structure_in
from skillsmith.library.program.values import UnresolvedError, cast_to

WORDS = st.text(alphabet="abcdefgh XYZ019", min_size=1, max_size=12).map(str.strip).filter(bool)
RECORD = st.dictionaries(st.sampled_from(["id", "name", "total", "Order No"]), WORDS, min_size=2)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)


def _markdown(rows: list[dict[str, str]]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@given(st.dictionaries(WORDS, JSON, min_size=1, max_size=3) | st.lists(JSON, min_size=1, max_size=3))
@settings(max_examples=60)
def test_json_is_found_however_it_is_wrapped(value: Any) -> None:
    """JSON alone, after a line of words, in a fence, or as Python prints it, is the same value."""
    text = json.dumps(value, indent=1)
    assert structure_in(text) == value
    assert structure_in(f"Here is the result:\n{text}") == value
    assert structure_in(f"Found it.\n```json\n{text}\n```\nAnything else?") == value
    assert opened(repr(value)) == value or "'" not in repr(value)


@given(RECORD)
@settings(max_examples=60)
def test_lines_of_names_and_values_are_an_object(record: dict[str, str]) -> None:
    """Lines of ``key: value``, as a list or under a heading too, and a table of fields are one object."""
    lines = [f"{name}: {value}" for name, value in record.items()]
    assert structure_in("\n".join(lines)) == record
    assert (
        structure_in("The order\n" + "\n".join(f"- **{line.replace(': ', ':** ')}" for line in lines))
        == record
    )
    rows = [{"Field": name, "Value": value} for name, value in record.items()]
    assert structure_in("Found:\n\n" + _markdown(rows)) == record


@given(st.lists(st.fixed_dictionaries({"id": WORDS, "name": WORDS}), min_size=1, max_size=4))
@settings(max_examples=60)
def test_tables_are_lists_of_records(rows: list[dict[str, str]]) -> None:
    """A Markdown table and comma-separated rows give one record a row."""
    assert structure_in(_markdown(rows)) == rows
    separated = "\n".join(["id,name", *(f"{row['id']},{row['name']}" for row in rows)])
    assert structure_in(separated) == rows


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[", "plain words", "Error: no such order", "a: b", "Dear Ann,\nthe parcel is lost.\nBob",
        "one, two\nthree, four", "a,b\nc", "| a | b |\n| 1 | 2 |", "{'a': object()}", "{'a': {1, 2}}",
        "[" * 99_999, "see {this}", "```\nnot json\n```", "id: 1\nid: 2", "time: 10:30",
        "| a | a |\n|---|---|\n| 1 | 2 |",
    ],
)  # fmt: skip
def test_a_text_that_only_looks_a_little_like_it_stays_text(text: str) -> None:
    """Prose, broken JSON, names that occur twice and rows that do not fit are not opened."""
    assert opened(text) == text


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_any_text_is_opened_or_left(text: str) -> None:
    """No text makes it fail, and what comes out is an object, a list or the text."""
    assert opened(text) == text or isinstance(opened(text), (dict, list))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$1,377.00", 1377), ("1,377", 1377), ("1.377,50 €", 1377.5), ("1 377,50 EUR", 1377.5), ("-€20", -20),
        ("USD 99.95", 99.95), ("12", 12), ("1'250'000,00 CHF", 1_250_000), ("9,95 €", 9.95),
    ],
)  # fmt: skip
def test_amounts_are_read_as_people_write_them(text: str, amount: float) -> None:
    """Thousands are set apart, a currency stands before or behind, and the number is the same."""
    assert cast_to(text, "number") == amount


@pytest.mark.parametrize("text", ["HAT 157", "1,5", "12,34,5", "2024-05-22", "5%", "$", ""])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """Codes, dates and what could mean two numbers are not read as one."""
    with pytest.raises(UnresolvedError):
        cast_to(text, "number")


def test_an_empty_list_is_a_list() -> None:
    """A result without items is opened as well, so that a loop over it does nothing."""
    assert structure_in(" [] ") == []
    assert structure_in("Found:\n{}") == {}


@pytest.mark.parametrize(
    "text",
    [
        "x```\ny" * 100_000,
        "k: v" + " " * 200_000 + "x\nb: 2",
        "--|--" + " " * 200_000 + "x\na|b",
        " " * 200_000 + "x|\na|b",
        ": " * 60 + " " * 200_000 + "x\nb",
        "['a', " + "1+" * 400_000 + "1]",
        "['a', " + "[" * 5_000 + "]" * 5_000 + "]",
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """However a result is made, looking for a structure in it takes time in proportion to its length."""
    started = time.process_time()
    structure_in(text)
    assert time.process_time() - started < 3  # each took minutes


@pytest.mark.parametrize("item", ["0x" + "f" * 20_000, "'\\ud800'", "1e999", "1j", "b'x'", "{'a'}"])
def test_what_json_cannot_hold_is_not_read_from_what_python_prints(item: str) -> None:
    """A printed object whose values could not be stored or written stays text."""
    assert structure_in(f"['a', {item}]") is None
