"""A skill's own schemas: what of them is refused before they are ever applied."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.execution.outcome import misfit
from skillsmith.library.program.schemas import pattern_flaw, schema_flaws
from skillsmith.library.program.validation import MAX_NODES, validate_skill
from skillsmith.models import Json, Node, Skill

BURSTING = (
    "(a+)+$",
    "(a*)*b",
    "(a|aa)+$",
    "((a+)b?)*c",
    "(?:x+){2,}y",
    "([a-z]+)*!",
    "(a?){50}b",
    "(.*a){20}",
)
HARMLESS = (
    r"^[A-Z]{3}-\d+$", r"\(a+\)+", "[(a+)+]+", "(?:abc)+", "^(yes|no)$", "(a+)?b", r"(?P<year>\d{4})-\d\d",
    "[]a+]+",
)  # fmt: skip


@pytest.mark.parametrize("pattern", BURSTING)
def test_patterns_that_might_never_end_are_refused(pattern: str) -> None:
    """A repeated group that can be read in several ways is refused, with the reason."""
    assert "might never end" in (pattern_flaw(pattern) or "")
    flaws = list(schema_flaws({"properties": {"id": {"anyOf": [{"pattern": pattern}]}}}, "the schema"))
    assert flaws == [f"the schema has the pattern {pattern!r}, which {pattern_flaw(pattern)}"]


@pytest.mark.parametrize("pattern", HARMLESS)
def test_ordinary_patterns_pass(pattern: str) -> None:
    """Classes, escaped brackets, single repetitions and choices are fine."""
    assert pattern_flaw(pattern) is None


@pytest.mark.parametrize("pattern", ["(", "a" * 501, "*", "[z-a]"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    """A broken or endless expression is named before anything tries to use it."""
    assert pattern_flaw(pattern)


@given(st.text(alphabet="ab()|+*?", max_size=10))
@settings(max_examples=300)
def test_what_passes_searches_quickly(pattern: str) -> None:
    """No short expression that passes takes long on a text made to hurt it."""
    if pattern_flaw(pattern) is None:
        begun = time.process_time()
        re.search(pattern, "a" * 24 + "!")
        assert time.process_time() - begun < 0.5


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        {"type": "nothing"},
        {"properties": 5},
    ],
)
def test_a_broken_schema_is_a_failure_of_the_skill(schema: Json) -> None:
    """A schema that turns in circles or is none fails the execution in words, never with a traceback."""
    assert "schema cannot be applied" in (misfit(schema, {"x": 1}) or "")


def test_a_skill_without_end_is_refused() -> None:
    """More nodes than any reader could bear are refused with their number."""
    nodes = tuple(Node(id=f"n{index}", kind="tool", tool="look") for index in range(MAX_NODES + 1))
    assert validate_skill(Skill(name="endless", nodes=nodes)) == [
        "it has 20,001 nodes, and more than 20,000 are not read"
    ]
