"""The top line: the tabs of the main screen or a page's heading, and at the right the file's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from skillsmith.output import clean


class TopBar(Widget):
    """One line.

    Args:
        title: The heading; with tabs, the program's name.
        tabs: Titles by name.
    """

    DEFAULT_CSS = """
    TopBar { height: 1; background: $panel; color: $foreground; }
    TopBar > .top-bar--title { text-style: bold; color: $primary; background: $panel; }
    TopBar > .top-bar--tab { background: $panel; color: $foreground; }
    TopBar > .top-bar--active { background: $primary; color: $background; text-style: bold; }
    TopBar > .top-bar--file { background: $panel; color: $foreground 65%; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "top-bar--title", "top-bar--tab", "top-bar--active", "top-bar--file",
    }  # fmt: skip

    title: reactive[str] = reactive("")
    active: reactive[str] = reactive("")

    class Picked(Message):
        """A tab was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, title: str = "", *, tabs: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._tabs = dict(tabs or {})
        self._spans: list[tuple[int, int, str]] = []
        self.set_reactive(TopBar.title, title)

    def render_line(self, y: int) -> Strip:  # noqa: ARG002  (there is one line)
        """Draw the line."""
        width = self.size.width
        style = self.get_component_rich_style
        title = f" {clean(self.title)} "
        segments = [Segment(title, style("top-bar--title"))]
        self._spans, at = [], cell_len(title)
        for place, (name, label) in enumerate(self._tabs.items(), 1):
            text = f" {place} {label} "
            segments.append(
                Segment(text, style("top-bar--active" if name == self.active else "top-bar--tab"))
            )
            self._spans.append((at, at + cell_len(text), name))
            at += cell_len(text)
        return Strip([*segments, *self._file(width - at, style("top-bar--file"))]).crop(0, width)

    def _file(self, room: int, style: Style) -> list[Segment]:
        """Put the file's name at the right where it fits."""
        path = str(getattr(self.app, "path", ""))
        name = next((text for text in (path, Path(path).name) if cell_len(text) + 3 <= room), "")
        return [Segment(set_cell_size("", room - cell_len(name) - 1) + name + " ", style)] if room > 0 else []

    def on_click(self, event: events.Click) -> None:
        """Tell which tab was clicked."""
        for start, end, name in self._spans:
            if start <= event.x < end:
                self.post_message(self.Picked(name))
