"""Tests for which line of a timeline shows which event."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.tui.layout import MOST_STRETCHES, StepLayout

Steps = st.lists(st.integers(1, 4), min_size=1, max_size=40)


def built(steps: list[int], folded: set[int], *, cut: int = 0) -> StepLayout:
    """Return the layout of a run with a step for each event, found in two parts."""
    layout = StepLayout(len(steps))
    starts = [(seq, step) for seq, step in enumerate(steps, 1) if seq == 1 or steps[seq - 2] != step]
    layout.add(pair for pair in starts if pair[0] <= cut)
    layout.add(pair for pair in starts if pair[0] > cut)
    for stretch in folded:
        if stretch < layout.stretches:
            layout.fold(stretch, folded=True)
    return layout


@given(Steps, st.sets(st.integers(0, 40)), st.integers(0, 40))
@settings(max_examples=60)
def test_lines_and_events_are_the_same_map_both_ways(steps: list[int], folded: set[int], cut: int) -> None:
    """Every line leads to an event and back; each event that is not folded away has exactly one line."""
    layout = built(steps, folded, cut=cut)
    spots = [layout.at(line) for line in range(layout.count)]
    seqs = [spot.seq for spot in spots if spot.seq is not None]
    assert seqs == sorted(set(seqs))
    for line, spot in enumerate(spots):
        if spot.seq is not None:
            assert layout.line_of(spot.seq) == line
        else:
            assert layout.heading_of(spot.stretch) == line
    hidden = set(range(1, len(steps) + 1)) - set(seqs)
    assert all(layout.at(layout.line_of(seq)).seq is None for seq in hidden)
    if not folded:
        assert not hidden


@given(Steps)
def test_a_heading_counts_its_events(steps: list[int]) -> None:
    """The sizes of the stretches add up to the run, and the count of lines adds one for each heading."""
    layout = built(steps, set())
    assert sum(layout.size(stretch) for stretch in range(layout.stretches)) == len(steps)
    headings = layout.stretches if layout.has_headings else 0
    assert layout.count == len(steps) + headings


def test_a_run_of_one_step_has_no_heading() -> None:
    """One step alone needs no line of its own."""
    layout = built([1, 1, 1], set())
    assert (layout.has_headings, layout.count, layout.at(2).seq) == (False, 3, 3)


def test_a_live_run_grows_at_its_end() -> None:
    """Events that are added belong to the last stretch until another step begins."""
    layout = built([1, 2], set())
    layout.grow(5)
    assert (layout.count, layout.at(6).seq) == (7, 5)
    layout.add([(6, 3)])
    layout.grow(6)
    assert (layout.count, layout.at(7).seq, layout.at(8).seq) == (9, None, 6)


def test_steps_that_alternate_all_the_time_are_shown_flat() -> None:
    """A run whose steps interleave event by event has no headings, so that it can be read."""
    layout = built([1 + number % 2 for number in range(MOST_STRETCHES + 2)], set())
    assert not layout.has_headings
    assert layout.count == MOST_STRETCHES + 2


def test_all_steps_fold_and_unfold_at_once() -> None:
    """Folded, only the headings are left."""
    layout = built([1, 1, 2, 3], set())
    layout.fold_all(folded=True)
    assert [layout.at(line).seq for line in range(layout.count)] == [None, None, None]
    layout.fold_all(folded=False)
    assert layout.count == 7
