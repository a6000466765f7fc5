"""Conditions and checks: what they can say, and what they cannot reach."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.errors import ExecutionError
from skillsmith.library.program import bounded
from skillsmith.library.program.conditions import Surroundings, holds, names_in

SEEN = Surroundings(
    inputs={"region": "EMEA", "limit": 3},
    results={"n1": {"total": 5, "items": [{"a": 1}], "ok": False}, "n2": "plain text"},
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('region == "EMEA" and n1.total > limit', True),
        ("n1.items[0].a == 1", True),
        ('n1["total"] == 5 and results["n1"].total == 5', True),
        ("inputs.limit in [1, 2, 3]", True),
        ('"total" in n1 and not n1.ok', True),
        ('contains(lower(n2), "plain")', True),
        ("len(n1.items) > 1 or limit > 10", False),
        ("any_missing if false else true", True),
        ("sum([item.a for item in n1.items]) == 1", True),
        ('n1 == {"total": 5, "items": [{"a": 1}], "ok": false}', True),
    ],
)
def test_expressions_read_inputs_and_results(expression: str, expected: bool) -> None:
    """Operators, fields, items and the listed functions work on inputs and results."""
    assert holds(expression, SEEN) is expected


def test_checks_look_at_files(tmp_path: Path) -> None:
    """Existence, size, text, columns and rows of files in the work folder can be checked."""
    (tmp_path / "out.csv").write_text("region,total\nEMEA,1\nAPAC,2\n")
    seen = Surroundings(inputs={"path": "out.csv"}, work_dir=tmp_path)
    assert holds('exists(path) and size(path) > 10 and columns(path) == ["region", "total"]', seen)
    assert holds('rows(path) == 2 and contains(text(path), "APAC") and not exists("no.csv")', seen)


@pytest.mark.parametrize(
    "expression",
    [
        "().__class__.__bases__",
        "len.__class__",
        "region.upper()",
        "n1.items()",
        "n1._fields",
        "__import__('os')",
        "open('/etc/passwd')",
        "2 ** 99999999",
        "'a' * 10 ** 9",
        "'%999999999d' % 1",
        "f'{1:999999999}'",
        "round(1, -999999999)",
        "4000000 ** 4000000",
        "1 << 9999999",
        "[0] * 99999 == 1",
        "len(f'{[[[x, x, x] for x in str(2 ** 4000)] for y in str(2 ** 4000)]}')",
        "unknown > 1",
        "1 / 0",
        "region > 1",
        "limit",
        "lower",
        "x = 3",
        "",
        "size('no.csv') > 1",
        "import os",
    ],
)
def test_everything_else_is_one_clear_error_or_a_plain_value(expression: str) -> None:
    """Neither Python's inside nor endless work can be reached; what fails says which expression."""
    if expression == "limit":
        assert holds(expression, SEEN) is True
        return
    with pytest.raises(ExecutionError) as caught:
        holds(expression, SEEN)
    assert expression in caught.value.message


def test_names_are_found_wherever_they_stand() -> None:
    """Names of inputs and nodes are found, also as items; functions and own variables are not names."""
    assert names_in('results["n3"].x > n1.total and lower(region) == "x"') == {"n3", "n1", "region"}
    assert names_in("[row.a for row in n1.rows]") == {"n1"}
    with pytest.raises(ExecutionError, match="valid expression"):
        names_in("a b")


@given(st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_no_text_breaks_the_evaluator(text: str) -> None:
    """Any text is either evaluated to a truth value or refused with our own error."""
    with contextlib.suppress(ExecutionError):
        assert holds(text, SEEN) in (True, False)


def test_whatever_goes_wrong_is_a_clear_failure(tmp_path: Path) -> None:
    """Odd files, long and deep expressions fail as conditions do, with a line that is not too long."""
    (tmp_path / "wide.csv").write_text("a\n" + "x" * 200_000)
    seen = Surroundings(work_dir=tmp_path)
    expressions = (
        'rows("wide.csv") > 0', "not " * 300 + "True", "(" * 300 + "1" + ")" * 300, "-" * 1500 + "1",
        "+".join("1" * 900), "1" * 2001, 'text("a\\0b")', "[" * 120 + "]" * 120,
    )  # fmt: skip
    for expression in expressions:
        with pytest.raises(ExecutionError) as caught:
            holds(expression, seen)
        assert len(caught.value.message) < 600


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret", "a/../../secret", "C:\\\\secret", "link/secret", ""]
)
@pytest.mark.parametrize("function", ["exists", "size", "text", "columns", "rows"])
def test_conditions_see_files_in_the_work_folder_only(tmp_path: Path, function: str, name: str) -> None:
    """A path that leads out of the work folder is refused, also through a link."""
    (tmp_path / "secret").write_text("key")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to(tmp_path)
    with pytest.raises(ExecutionError, match="outside the work folder"):
        holds(f'{function}("{name}")', Surroundings(work_dir=tmp_path / "work"))


def test_an_expression_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand rounds of real work are broken off at the time limit, with a clear word."""
    monkeypatch.setattr(bounded, "MAX_SECONDS", 0.0)
    with pytest.raises(ExecutionError, match=r"cannot be evaluated: .* takes longer than 0 s"):
        holds("sum([item for item in [1, 2, 3]]) == 6", SEEN)


def test_ordinary_arithmetic_is_unaffected() -> None:
    """Sums, products, remainders, powers, rounding and texts do what Python does."""
    assert holds("(7 * 3) % 4 == 1 and 2 ** 10 == 1024 and 2 ** -1 == 0.5 and 1 << 4 == 16", SEEN)
    assert holds("round(2.345, 1) == 2.3 and round(2.6) == 3 and round(1234, -2) == 1200", SEEN)
    assert holds("f'{region}-{limit}' == 'EMEA-3' and str([1, 'a']) == \"[1, 'a']\"", SEEN)


def test_a_comprehension_keeps_no_thousand_copies_of_a_file(tmp_path: Path) -> None:
    """However often an expression reads a large file, it ends before memory does."""
    (tmp_path / "big.txt").write_text("y" * bounded.MAX_CHARS)
    seen = Surroundings(inputs={"rows": list(range(1000))}, work_dir=tmp_path)
    with pytest.raises(ExecutionError, match="makes too much text"):
        holds("len([lower(text('big.txt')) for row in rows]) > 0", seen)
    assert holds("contains(lower(text('big.txt')), 'y')", seen)
