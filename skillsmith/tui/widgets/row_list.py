"""A list of any length: its keys are known, of its rows only those that are seen."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.message import Message
from textual.strip import Strip

from skillsmith.output import shorten
from skillsmith.tui.widgets.lines import Lines
from skillsmith.workspace import Workspace

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

GAP = 2
LEAST_GROWN = 16
"""Columns are left out until each growing one has so much room, unless it says how much."""


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column.

    Args:
        title: Its heading.
        text: What it shows of a row.
        width: In cells.
        grow: Takes the room that is left.
        right: Align to the right.
        spare: The higher, the sooner it is left out where there is little room; 0: never.
        least: Of a growing one: columns are left out until it has so much room.
    """

    title: str
    text: Callable[[R], str | Text]
    width: int
    grow: bool = False
    right: bool = False
    spare: int = 0
    least: int = LEAST_GROWN


class Source(Protocol[R_co]):
    """Where a list's rows come from; both run on a worker thread."""

    def keys(self, workspace: Workspace, /) -> Sequence[Hashable]:
        """Return the keys of all rows, in order."""

    def rows(self, workspace: Workspace, keys: Sequence[Any], /) -> Sequence[R_co | None]:
        """Return the rows with these keys, in their order; None: it is gone by now."""


class RowList(Lines[R]):
    """A list with columns.

    Args:
        columns: From left to right.
        empty: What to say when there is no row.
    """

    HEAD: ClassVar[int] = 1

    class About(Message):
        """What is said about a row."""

        def __init__(self, rows: RowList[Any], row: Any | None) -> None:
            super().__init__()
            self.rows = rows
            self.row = row

        @property
        def control(self) -> RowList[Any]:
            """The list, for ``@on`` selectors."""
            return self.rows

    class Moved(About):
        """The cursor is on another row, or its row has changed; None: there is none."""

    class Chosen(About):
        """A row is to be opened."""

    class Listed(About):
        """The keys are there: how many rows there are is known."""

    class Keyed(Message):
        """The keys arrived."""

        def __init__(self, source: Source[Any], keys: Sequence[Hashable]) -> None:
            super().__init__()
            self.source = source
            self.keys = keys

    def __init__(
        self,
        columns: tuple[Column[R], ...],
        *,
        empty: str = "nothing here",
        id: str | None = None,  # noqa: A002  (Textual's name for it)
    ) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._empty = empty
        self._source: Source[R] | None = None
        self._asked_of: Source[R] | None = None
        self._lane = "read"
        self._keys: Sequence[Hashable] = ()
        self._ready = False

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._keys)

    @property
    def current(self) -> R | None:
        """The row under the cursor, if it is loaded."""
        return self.row(self.cursor)

    @property
    def current_key(self) -> Hashable | None:
        """The key under the cursor."""
        return self._keys[self.cursor] if self.cursor < len(self._keys) else None

    def show(self, source: Source[R], *, lane: str = "read") -> None:
        """Load a source; the cursor stays on the same key when the source has it.

        Args:
            source: Where the rows come from.
            lane: Where its keys are asked for.
        """
        self._asked_of, self._lane = source, lane
        self.ask(source.keys, lambda keys: self.Keyed(source, keys), lane=lane, group="keys")

    def reload(self) -> None:
        """Load the same source again."""
        if self._asked_of is not None:
            self.show(self._asked_of, lane=self._lane)

    def on_row_list_keyed(self, event: Keyed) -> None:
        """Take over new keys."""
        event.stop()
        held, at_top = self.current_key, round(self.scroll_target_y) == 0
        fresh = event.source is not self._source
        known = {
            self._keys[first + place]: row
            for first, rows in self.loaded()
            for place, row in enumerate(rows)
            if first + place < len(self._keys)
        }
        self._source, self._keys, self._ready = event.source, event.keys, True
        self.realign(lambda slot: known.get(self._keys[slot]) if slot < len(self._keys) else None)
        place = 0
        if held is not None and (not fresh or held in self._keys):
            place = self._keys.index(held) if held in self._keys else min(self.cursor, len(self._keys) - 1)
        self.set_lines(len(self._keys), stale_from=0)
        shift = place - self.cursor
        if shift and not at_top:
            self.scroll_to(y=self.scroll_target_y + shift, animate=False, force=True)
        self.go(place)
        self.post_message(self.Listed(self, None))
        self.moved()

    def slot(self, line: int) -> int | None:
        """Return the line itself: lines and slots are one."""
        return line

    def fetch(self, first: int, count: int, generation: int) -> None:
        """Ask the source for rows."""
        source, keys = self._source, self._keys[first : first + count]
        if source is not None and keys:
            self.ask(
                lambda workspace: source.rows(workspace, keys),
                lambda rows: self.Arrived(generation, first, rows),
                group="rows",
            )

    def moved(self) -> None:
        """Tell where the cursor is."""
        self.post_message(self.Moved(self, self.current))

    def chosen(self) -> None:
        """Tell that the row is to be opened."""
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current))

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        if self._ready and not self._keys and y == 2:  # noqa: PLR2004  (below the heading, with air)
            style = self.get_component_rich_style("lines--muted")
            text = set_cell_size("  " + self._empty, self.scrollable_content_region.width)
            return Strip([Segment(text, style)])
        return super().render_line(y)

    def head(self, width: int) -> Strip:
        """Draw the headings."""
        style = self.get_component_rich_style("lines--heading")
        return self._join([(column, column.title) for column in self._columns], width, style)

    def draw(self, line: int, row: R | None, width: int) -> Strip:  # noqa: ARG002  (a row says it all)
        """Draw a row."""
        if row is None:
            return Strip([Segment("  …", self.get_component_rich_style("lines--muted"))])
        return self._join([(column, column.text(row)) for column in self._columns], width, Style())

    def _join(self, cells: Sequence[tuple[Column[R], str | Text]], width: int, style: Style) -> Strip:
        segments = [Segment(" ", style)]
        widths = self._widths(width - 1)
        for column, value in cells:
            room = widths.get(column.title)
            if room is None:
                continue
            text = Text(shorten(value, room)) if isinstance(value, str) else value.copy()
            text.truncate(room, overflow="ellipsis")
            text.align("right" if column.right else "left", room)
            base = style + self.app.console.get_style(text.style)
            segments += [
                Segment(part.text, base + part.style if part.style else base)
                for part in text.render(self.app.console, end="")
            ]
            segments.append(Segment(" " * GAP, style))
        return Strip(segments).adjust_cell_length(width, style)

    def _widths(self, room: int) -> dict[str, int]:
        """Return the width of each column that fits, by its title."""
        chosen = list(self._columns)
        while True:
            fixed = sum((0 if column.grow else column.width) + GAP for column in chosen)
            growing = [column for column in chosen if column.grow]
            spare = max(chosen, key=lambda column: column.spare, default=None)
            if fixed + sum(column.least for column in growing) <= room or spare is None or not spare.spare:
                break
            chosen.remove(spare)
        each = max((room - fixed) // max(len(growing), 1), 4)
        return {column.title: each if column.grow else column.width for column in chosen}
