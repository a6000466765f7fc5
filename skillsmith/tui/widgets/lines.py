"""Lines of any number, of which only those that are seen are loaded and drawn.

What is loaded is kept in pages by slot; a slot is what a line shows, so that a subclass may put lines
between its slots or hide some. The newest wish for pages supersedes older ones, so that a scroll bar dragged
over a long list asks for where it stops.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from skillsmith.tui.base import Asking

R = TypeVar("R")

PAGE: Final = 64
"""Slots loaded at a time."""

KEPT_PAGES: Final = 48
KEPT_STRIPS: Final = 600


@dataclass(slots=True)
class _Loaded(Generic[R]):
    """A page; not ``fresh``: shown only until its successor is there."""

    rows: Sequence[R | None]
    fresh: bool = True


class Lines(Asking, ScrollView, Generic[R], can_focus=True):
    """A cursor over lines."""

    DEFAULT_CSS = """
    Lines {
        height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1;
        background: $background;
    }
    Lines > .lines--heading { background: $background; color: $foreground 65%; text-style: bold; }
    Lines > .lines--cursor { background: $foreground 12%; }
    Lines:focus > .lines--cursor { background: $primary 35%; }
    Lines > .lines--muted { color: $foreground 65%; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--heading", "lines--cursor", "lines--muted"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown,space", "page(1)", "Page down", show=False),
        Binding("home,g", "to_start", "To the start", show=False),
        Binding("end,G", "to_end", "To the end", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    HEAD: ClassVar[int] = 0
    """Lines at the top that do not scroll: none or one."""

    cursor: reactive[int] = reactive(0, repaint=False)

    class Arrived(Message):
        """What was asked for is there."""

        def __init__(self, generation: int, first: int, rows: Sequence[Any]) -> None:
            super().__init__()
            self.generation = generation
            self.first = first
            self.rows = rows

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name for it)
        super().__init__(id=id)
        self._pages: OrderedDict[int, _Loaded[R]] = OrderedDict()
        self._asked: tuple[int, int] | None = None
        self._generation = 0
        self._lines = 0
        self._strips: dict[tuple[int, bool], Strip] = {}

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        return self._lines

    @property
    def visible_lines(self) -> int:
        """How many lines fit."""
        return max(self.scrollable_content_region.height - self.HEAD, 1)

    @abstractmethod
    def slot(self, line: int) -> int | None:
        """Return what a line shows, by its number; None for a line that needs nothing loaded."""

    @abstractmethod
    def fetch(self, first: int, count: int, generation: int) -> None:
        """Ask for slots; they come back as ``Arrived``."""

    @abstractmethod
    def draw(self, line: int, row: R | None, width: int) -> Strip:
        """Draw a line; ``row`` is None while it is being loaded."""

    def head(self, width: int) -> Strip:
        """Draw the line that does not scroll."""
        return Strip.blank(width)

    def moved(self) -> None:
        """Do what is wanted when the cursor's line or what it shows has changed."""

    def chosen(self) -> None:
        """Do what is wanted when the cursor's line is opened."""

    def row(self, line: int) -> R | None:
        """Return what a line shows, if it is loaded."""
        slot = self.slot(line) if 0 <= line < self._lines else None
        if slot is None or slot // PAGE not in self._pages:
            return None
        rows = self._pages[slot // PAGE].rows
        return rows[slot % PAGE] if slot % PAGE < len(rows) else None

    def loaded(self) -> Iterator[tuple[int, Sequence[R | None]]]:
        """Yield what is loaded: the first slot of each page, and its rows."""
        for number, page in self._pages.items():
            yield number * PAGE, page.rows

    def realign(self, row: Callable[[int], R | None]) -> None:
        """Show other rows until the right ones are loaded, after slots have got another meaning.

        Args:
            row: Returns the row that is known for a slot.
        """
        for number, page in self._pages.items():
            page.rows = [row(slot) for slot in range(number * PAGE, (number + 1) * PAGE)]
            page.fresh = False

    def set_lines(self, count: int, *, stale_from: int | None = None) -> None:
        """Set how many lines there are.

        Args:
            count: The number.
            stale_from: From this slot on what was loaded no longer holds; it stays on the screen until its
                successor is there.
        """
        if stale_from is not None:
            self._generation += 1
            self._asked = None
            for number, page in self._pages.items():
                page.fresh = page.fresh and number < stale_from // PAGE
        self._lines = count
        self.virtual_size = Size(self.scrollable_content_region.width, count + self.HEAD)
        self.redraw()
        if self.cursor >= count:
            self.cursor = max(count - 1, 0)
        self.want()

    def redraw(self) -> None:
        """Draw every line anew."""
        self._strips.clear()
        self.refresh()

    def want(self) -> None:
        """Ask for what is seen and not loaded."""
        first = max(self.scroll_offset.y, 0)
        seen = range(first, min(first + self.visible_lines, self._lines))
        slots = [slot for slot in map(self.slot, seen) if slot is not None]
        if not slots:
            return
        pages = range(min(slots) // PAGE, max(slots) // PAGE + 1)
        missing = [page for page in pages if page not in self._pages or not self._pages[page].fresh]
        if not missing or (self._asked and self._asked[0] <= missing[0] and missing[-1] <= self._asked[1]):
            return
        self._asked = (missing[0], missing[-1])
        self.fetch(missing[0] * PAGE, (missing[-1] - missing[0] + 1) * PAGE, self._generation)

    def on_lines_arrived(self, event: Arrived) -> None:
        """Keep what arrived and show it."""
        event.stop()
        if event.generation != self._generation:
            return
        for start in range(0, max(len(event.rows), 1), PAGE):
            number = (event.first + start) // PAGE
            self._pages[number] = _Loaded(event.rows[start : start + PAGE])
            self._pages.move_to_end(number)
        while len(self._pages) > KEPT_PAGES:
            self._pages.popitem(last=False)
        self._asked = None
        self.redraw()
        self.want()
        self.moved()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        if y < self.HEAD:
            return self.head(width)
        line = self.scroll_offset.y + y - self.HEAD
        if line >= self._lines:
            return Strip.blank(width, self.rich_style)
        at_cursor = line == self.cursor
        strip = self._strips.get((line, at_cursor))
        if strip is None:
            if len(self._strips) > KEPT_STRIPS:
                self._strips.clear()
            strip = self.draw(line, self.row(line), width).adjust_cell_length(width, self.rich_style)
            if at_cursor:
                strip = strip.apply_style(self.cursor_style)
            strip = self._strips[line, at_cursor] = strip.apply_style(self.rich_style)
        return strip

    @property
    def cursor_style(self) -> Style:
        """How the cursor's line looks."""
        whole = self.get_component_rich_style("lines--cursor")
        return Style(bgcolor=whole.bgcolor)

    def notify_style_update(self) -> None:
        """Draw anew in new colours."""
        super().notify_style_update()
        self._strips.clear()

    def watch_has_focus(self, _value: bool) -> None:  # noqa: FBT001  (Textual's signature)
        """Show the cursor as active or not."""
        super().watch_has_focus(_value)
        self.redraw()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for what has come into view."""
        super().watch_scroll_y(old_value, new_value)
        self.want()

    def on_resize(self) -> None:
        """Fit the lines to a new width."""
        self.set_lines(self._lines)
        self.show_cursor()

    def watch_cursor(self) -> None:
        """Keep the cursor in view."""
        self.show_cursor()
        self.refresh()
        self.moved()

    def show_cursor(self) -> None:
        """Scroll as little as brings the cursor's line into view."""
        top = round(self.scroll_target_y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + self.visible_lines:
            self.scroll_to(y=self.cursor - self.visible_lines + 1, animate=False, force=True)

    def go(self, line: int, *, centred: bool = False) -> None:
        """Put the cursor on a line.

        Args:
            line: Its number; beyond an end, that end.
            centred: Bring it to the middle unless it is in view.
        """
        line = max(0, min(line, self._lines - 1))
        top = round(self.scroll_target_y)
        if centred and not top <= line < top + self.visible_lines:
            self.scroll_to(y=line - self.visible_lines // 2, animate=False, force=True)
        self.cursor = line

    def action_move(self, by: int) -> None:
        """Move the cursor by lines."""
        self.go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by pages."""
        self.go(self.cursor + by * max(self.visible_lines - 1, 1))

    def action_to_start(self) -> None:
        """Move the cursor to the first line."""
        self.go(0)

    def action_to_end(self) -> None:
        """Move the cursor to the last line."""
        self.go(self._lines - 1)

    def action_choose(self) -> None:
        """Open the cursor's line."""
        if self._lines:
            self.chosen()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens."""
        line = self.scroll_offset.y + event.y - self.HEAD
        if event.y >= self.HEAD and line < self._lines:
            self.go(line)
            if event.chain > 1:
                self.chosen()
