"""Values that are hard to write at a place of a template, for tests."""

from __future__ import annotations

from hypothesis import strategies as st

MARK = "MARK"
"""Stands in generated code where another value goes."""

HARD = [
    "",
    "'",
    '"',
    "\\",
    "\n",
    "{",
    "}",
    "{{x}}",
    '"""',
    "'''",
    '\\"',
    "a\\",
    "\x00",
    "\r\n",
    "é\u2028",
    "🎈",
    "7",
]
VALUES = st.one_of(
    st.sampled_from(HARD),
    st.text(alphabet=st.sampled_from("'\"\\{}\n\r\t$`#% aé7")),
    st.text(max_size=20),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(VALUES, inner, max_size=2),
    max_leaves=5,
)
