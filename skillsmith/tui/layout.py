"""Which line of a timeline shows which event, with steps that can be folded, by arithmetic alone.

Sequence numbers are dense from 1. A stretch of one step has a heading line above its events; folding hides
the events. No line is ever stored, so a run of any length costs what its stretches cost.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MOST_STRETCHES: Final = 20_000
"""Steps that alternate more often than this are shown without headings."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What a line shows.

    Args:
        stretch: Number of the stretch from 0.
        seq: The event; None: the stretch's heading.
    """

    stretch: int
    seq: int | None


class StepLayout:
    """The lines of one run.

    Args:
        last: The run's last sequence number.
    """

    def __init__(self, last: int = 0) -> None:
        self.last = last
        self._starts: list[int] = []
        self._steps: list[int] = []
        self._folded: set[int] = set()
        self._tops: list[int] = []
        """Line of each stretch's heading."""
        self._flat = False

    @property
    def has_headings(self) -> bool:
        """Whether there is more than one stretch to tell apart."""
        return len(self._starts) > 1 and not self._flat

    @property
    def stretches(self) -> int:
        """How many stretches there are."""
        return len(self._starts)

    def add(self, starts: Iterable[tuple[int, int]]) -> None:
        """Add where further steps begin: sequence number and step, in order."""
        for seq, step in starts:
            if not self._steps or self._steps[-1] != step:
                self._starts.append(seq)
                self._steps.append(step)
        self._flat = self._flat or len(self._starts) > MOST_STRETCHES
        self._place()

    def grow(self, last: int) -> None:
        """Take note that the run has more events."""
        self.last = max(last, self.last)

    def _place(self) -> None:
        top, self._tops = 0, []
        for stretch in range(len(self._starts)):
            self._tops.append(top)
            top += 1 + (0 if stretch in self._folded else self.size(stretch))

    def size(self, stretch: int) -> int:
        """Return how many events a stretch has."""
        end = self._starts[stretch + 1] if stretch + 1 < len(self._starts) else self.last + 1
        return end - self._starts[stretch]

    def step(self, stretch: int) -> int:
        """Return a stretch's step."""
        return self._steps[stretch]

    def is_folded(self, stretch: int) -> bool:
        """Tell whether a stretch's events are hidden."""
        return stretch in self._folded

    @property
    def count(self) -> int:
        """How many lines there are."""
        if not self.has_headings:
            return self.last
        final = len(self._starts) - 1
        return self._tops[-1] + 1 + (0 if final in self._folded else self.size(final))

    def at(self, line: int) -> Spot:
        """Return what a line shows."""
        if not self.has_headings:
            return Spot(0, line + 1)
        stretch = bisect_right(self._tops, line) - 1
        below = line - self._tops[stretch]
        return Spot(stretch, self._starts[stretch] + below - 1 if below else None)

    def line_of(self, seq: int) -> int:
        """Return the line of an event, or of its stretch's heading where that is folded."""
        if not self.has_headings:
            return seq - 1
        stretch = max(bisect_right(self._starts, seq) - 1, 0)
        if stretch in self._folded:
            return self._tops[stretch]
        return self._tops[stretch] + 1 + seq - self._starts[stretch]

    def heading_of(self, stretch: int) -> int:
        """Return the line of a stretch's heading."""
        return self._tops[stretch]

    def fold(self, stretch: int, *, folded: bool) -> None:
        """Hide a stretch's events, or show them."""
        if self.has_headings:
            (self._folded.add if folded else self._folded.discard)(stretch)
            self._place()

    def fold_all(self, *, folded: bool) -> None:
        """Hide the events of all stretches, or show them."""
        if self.has_headings:
            self._folded = set(range(len(self._starts))) if folded else set()
            self._place()
