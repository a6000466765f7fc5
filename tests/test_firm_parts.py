"""What values may not change is found around the places as it is in the whole source."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.code.firm_parts import FirmParts, firm_shape

BEFORE = ("", "import math\n", "def f(x):\n    return x\n\n", "@f\ndef g(y):\n    pass\n", "a = '''x\ny'''; ")
AROUND = (
    ("n = ", "\n"),
    ("print(", ", 2)\n"),
    ("if True:\n    z = ", "\nelse:\n    z = 0\n"),
    ("s = 'a", "b'\n"),
)
AFTER = ("", "t = 'end'\n", "else_ = 1\n", "# a word\nu = [1,\n 2]\n", "v = 3  # '''\n")
VALUES = (
    "1",
    "'x'",
    "f(2)",
    "'",
    "'''",
    "1\nw = 2",
    "1  # off",
    "\\",
    "(",
    "1); g(2",
    "",
    "it's",
    "{x}",
    "[1, 2]",
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(BEFORE), st.sampled_from(AROUND), st.sampled_from(AFTER), st.sampled_from(VALUES),
    st.sampled_from(VALUES),
)  # fmt: skip
def test_changes_are_judged_as_in_the_whole(
    before: str, around: tuple[str, str], after: str, old: str, new: str
) -> None:
    """Whatever is written at a place, the answer is that of comparing both whole sources."""
    pieces = [before + around[0], around[1] + after]
    whole = ["".join((pieces[0], value, pieces[1])) for value in (old, new)]
    if firm_shape(whole[0], "python") is None:
        return  # no template is made of what cannot be parsed
    expected = firm_shape(whole[0], "python") == firm_shape(whole[1], "python")
    assert FirmParts(pieces, [old], language="python").are_kept([new]) is expected


@pytest.mark.parametrize("language", ["sh", "javascript"])
def test_other_languages_are_compared_as_a_whole(language: str) -> None:
    """Words of a shell command may not become several; of other languages nothing is known."""
    parts = FirmParts(["cp ", " out\n"], ["a"], language=language)
    assert parts.are_kept(["b"])
    assert parts.are_kept(["b; rm c"]) is (language != "sh")
