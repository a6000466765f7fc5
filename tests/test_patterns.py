"""Whether a search may take for ever: nothing that hurts passes, nothing that is common is refused."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.program.patterns import UnjudgedError, may_take_for_ever

SEMANTIC_VERSION = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$"
)
COMMON = (
    r"^[a-z]+(-[a-z]+)*$", r"[a-z]+(-[a-z]+)*", r"([a-z]+\.)+", r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
    r"[^@\s]+@[^@\s]+\.[^@\s]+", r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$", r"^\d{4}-\d{2}-\d{2}$",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$", r"^https?://[^\s/$.?#].[^\s]*$",
    r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$", r"^(\d+,)*\d+$",
    SEMANTIC_VERSION,
    r"^/?([^/]+/)*[^/]+\.csv$", r"^((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)$",
    r"^\s*(\w+)\s*=\s*(.*?)\s*$", r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", r"^.{1,5000}$",
    r"^(?=.*\d)(?=.*[a-z]).{8,}$", r"(?i)^[a-z_]\w*(\.[a-z_]\w*)*$", r"^[一-龥]+(,[一-龥]+)*$", r"(a|b)*",
    r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$", r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$", r"^\w+( \w+)*$", "",
    "order .* from .*",
)  # fmt: skip

ENDLESS = (
    "(a+)+$", "(a*)*b", "(a|aa)*b", "((a+)b?)*c", "(x+x+)+y", r"^(\w+\.?)*@", r"(\w+\s*)+:", "(ab|[aA]b)*c",
    "a*a*a*a*a*a*b", "(.*,){11}P", "^(.*a){20}$", "a?" * 40 + "a" * 40, "((?:a?)*b)*c", "(é|[^a])*x",
    r"(?i)(s|\u017fx?)*y", "(?=(a+)+b)a", r"^([\da-z.-]+)\.([a-z.]{2,6})([/\w .-]*)*/?$",
)  # fmt: skip


@pytest.mark.parametrize("pattern", COMMON)
def test_common_patterns_are_harmless(pattern: str) -> None:
    """Names, addresses, dates, versions and numbers in parts pass, though groups in them repeat."""
    assert not may_take_for_ever(pattern)


@pytest.mark.parametrize("pattern", ENDLESS)
def test_what_can_be_read_in_many_ways_is_found(pattern: str) -> None:
    """Loops that overlap inside or beside one another, and long rows of choices, are found."""
    assert may_take_for_ever(pattern)


@pytest.mark.parametrize("pattern", [r"(a)\1*", "(?:a(?=.*b))*c", "(a?){50}b", "(?a:a+)", "a?" * 240])
def test_what_cannot_be_told_is_said(pattern: str) -> None:
    """A pattern with means that are not followed here is no harmless one."""
    with pytest.raises(UnjudgedError):
        may_take_for_ever(pattern)


PIECES = st.sampled_from(
    ["a", "b", "ab", "[ab]", ".", "a?", "a*", "b+", r"\w+", "(?:a?)*", "(?=a)", "[^b]*?"]
)
REPEATS = st.sampled_from("* + ? {2,} {0,6} {5} *?".split())
PATTERNS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, REPEATS).map(lambda one: f"(?:{one[0]}){one[1]}"),
    ),
    max_leaves=9,
)


@given(PATTERNS)
@settings(max_examples=400, deadline=None)
def test_what_passes_searches_quickly(pattern: str) -> None:
    """Whatever is built of repeats and choices and passes ends soon on texts made to hurt it."""
    try:
        endless = may_take_for_ever(pattern)
    except UnjudgedError:
        return
    if not endless:
        begun = time.process_time()
        for text in ("a" * 40 + "!", "ab" * 20 + "!", "b" * 20 + "a" * 20 + "!", "aab" * 13 + "!"):
            re.search(f"(?:{pattern})!c", text)
        assert time.process_time() - begun < 1
