"""Agents as lanes: one column each, a mark where one acts, an arrow where it turns to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from rich.segment import Segment
from rich.style import Style

CELLS: Final = 2
"""Cells a lane takes."""

ACTS: Final = "●"
HEADS: Final = {True: "▶", False: "◀"}
RULES: Final = {True: "━", False: "─"}
CROSSINGS: Final = {True: "┿", False: "┼"}


class Lanes:
    """The agents of one run in order of first appearance.

    Args:
        colour: Returns the colour of a lane by its place.
    """

    def __init__(self, colour: Callable[[int], str]) -> None:
        self._colour = colour
        self._places: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """The agents in order."""
        return list(self._places)

    def add(self, names: Iterable[str | None]) -> bool:
        """Give agents that are not known yet a lane; tell whether there were any."""
        before = len(self._places)
        for name in names:
            if name:
                self._places.setdefault(name, len(self._places))
        return len(self._places) > before

    def style(self, name: str | None) -> Style:
        """Return an agent's colour."""
        place = self._places.get(name or "")
        return Style() if place is None else Style(color=self._colour(place))

    def width(self, most: int) -> int:
        """Return the cells that the lanes take where at most so many are shown."""
        return CELLS * min(len(self._places), most)

    def draw(self, agent: str | None, recipient: str | None, *, most: int, strong: bool) -> list[Segment]:
        """Draw one event's cells.

        Args:
            agent: Who acts.
            recipient: Whom it turns to.
            most: Lanes that are shown; the agents beyond share the last.
            strong: Draw the arrow heavily: the turn passes.
        """
        shown = min(len(self._places), most)
        source, target = self._lane(agent, shown), self._lane(recipient, shown)
        if source is None or target is None or source == target:
            return [cell for lane in range(shown) for cell in self._idle(lane, acts=lane == source)]
        return [
            cell
            for lane in range(shown)
            for cell in self._crossed(lane, source, target, strong=strong, arrow=self.style(agent))
        ]

    def _idle(self, lane: int, *, acts: bool) -> tuple[Segment, Segment]:
        """Return a lane's cells beside which nothing passes."""
        own = Style(color=self._colour(lane))
        return (Segment(ACTS, own) if acts else Segment("│", own + Style(dim=True))), Segment(" ")

    def _crossed(
        self, lane: int, source: int, target: int, *, strong: bool, arrow: Style
    ) -> tuple[Segment, Segment]:
        """Return a lane's cells where an arrow goes from one lane to another."""
        low, high = sorted((source, target))
        if not low <= lane <= high:
            return self._idle(lane, acts=False)
        rule = Segment(RULES[strong] if lane < high else " ", arrow)
        if lane == source:
            return Segment(ACTS, arrow), rule
        return Segment(HEADS[target > source] if lane == target else CROSSINGS[strong], arrow), rule

    def _lane(self, name: str | None, shown: int) -> int | None:
        place = self._places.get(name or "")
        return None if place is None or not shown else min(place, shown - 1)
