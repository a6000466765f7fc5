from __future__ import annotations

import pytest
from family_runs import cancel, look, refund, traced
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.library.trace.align import columns, common_sequence

WORDS = st.lists(st.sampled_from("abc"), max_size=7)


@settings(max_examples=60)
@given(WORDS, WORDS)
def test_a_common_sequence_is_common_in_order_and_longest(one: list[str], other: list[str]) -> None:
    """Its pairs hold equal things, go forward in both, and no subsequence of one found in other is longer."""
    pairs = common_sequence(one, other)
    assert all(one[at] == other[to] for at, to in pairs)
    assert [at for at, _ in pairs] == sorted({at for at, _ in pairs})
    assert [to for _, to in pairs] == sorted({to for _, to in pairs})
    longest = max(
        mask.bit_count()
        for mask in range(1 << len(one))
        if _is_in([word for place, word in enumerate(one) if mask >> place & 1], other)
    )
    assert len(pairs) == longest


@settings(max_examples=60)
@given(WORDS, WORDS)
def test_of_equally_long_sequences_it_is_always_the_same_one(one: list[str], other: list[str]) -> None:
    """Equal things ahead are paired; else the first sequence moves on unless that would cost length."""

    def length(at: int, to: int) -> int:
        return len(common_sequence(one[at:], other[to:]))

    pairs: list[tuple[int, int]] = []
    at = to = 0
    while at < len(one) and to < len(other):
        if one[at] == other[to]:
            pairs.append((at, to))
            at, to = at + 1, to + 1
        elif length(at + 1, to) >= length(at, to + 1):
            at += 1
        else:
            to += 1
    assert common_sequence(one, other) == pairs


def test_long_runs_line_up_without_a_table_of_all_pairs() -> None:
    """Two runs of thousands of steps, a few of them different, are lined up around the differences."""
    one = [f"step {number % 50}" for number in range(6000)]
    other = [word for number, word in enumerate(one) if number % 1000]
    assert common_sequence(one, other) == [
        (number, number - 1 - number // 1000) for number in range(6000) if number % 1000
    ]


def _is_in(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


def test_steps_of_runs_are_lined_up() -> None:
    """What only one run has stands between what both have."""
    first = traced("Cancel W7701", [look("W7701"), cancel("W7701")])
    second = traced(
        "Cancel W7702 and refund 44 to c_882", [look("W7702"), cancel("W7702"), refund("W7702", 44)]
    )
    lined = columns([first, second])
    assert [(one.tool, sorted(one.calls)) for one in lined] == [
        ("cancel_order", [0, 1]),
        ("send_refund", [1]),
    ]
    assert not any(one.loop for one in lined)


@pytest.mark.parametrize(("counts", "loop"), [((1, 2), True), ((2, 2), True), ((1, 1), False)])
def test_what_is_done_a_different_number_of_times_is_a_loop(counts: tuple[int, int], loop: bool) -> None:
    """Also what every run does twice in the same role."""
    runs = [
        traced(f"Cancel {', '.join(orders)}", [cancel(order) for order in orders])
        for orders in (["W7701", "W7702"][: counts[0]], ["W7702", "W7703"][: counts[1]])
    ]
    (column,) = columns(runs)
    assert column.loop is loop


def test_the_same_tool_in_two_roles_is_two_steps() -> None:
    """A message to a customer and one to a fixed address are not one loop."""
    runs = [
        traced(
            f"Tell {who} that it is done",
            [
                ("send_mail", {"to": who, "text": "It is done"}, "ok"),
                ("send_mail", {"to": "archive", "text": "It is done"}, "ok"),
            ],
        )
        for who in ("ann@example.org", "ben@example.org")
    ]
    assert [(one.tool, one.loop) for one in columns(runs)] == [("send_mail", False), ("send_mail", False)]


def test_calls_with_other_arguments_are_other_steps() -> None:
    """The same tool with another set of arguments does another job."""
    runs = [
        traced("Send 5", [("send", {"n": 5}, "ok")]),
        traced("Send 6 twice", [("send", {"n": 6, "times": 2}, "ok")]),
    ]
    assert [sorted(one.calls) for one in columns(runs)] == [[0], [1]]
