"""The last line: what the keys do here. One widget, where Textual's footer makes one for each key."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.binding import Binding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget


class KeyBar(Widget):
    """Shows the keys that work now; a click presses one."""

    DEFAULT_CSS = """
    KeyBar { height: 1; dock: bottom; background: $panel; }
    KeyBar > .key-bar--key { color: $footer-key-foreground; background: $panel; text-style: bold; }
    KeyBar > .key-bar--text { color: $foreground; background: $panel; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--text"}

    def __init__(self) -> None:
        super().__init__()
        self._spans: list[tuple[int, int, Binding]] = []

    def on_mount(self) -> None:
        """Follow what the focus allows."""
        self.screen.bindings_updated_signal.subscribe(self, self._updated)

    def _updated(self, _: Screen[object]) -> None:
        self.refresh()

    def _shown(self) -> list[tuple[str, Binding]]:
        """Return each key to show, once for each action."""
        shown: dict[str, tuple[str, Binding]] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.enabled:
                key = self.app.get_key_display(active.binding)
                shown.setdefault(active.binding.action, (key, active.binding))
        return list(shown.values())

    def render_line(self, y: int) -> Strip:  # noqa: ARG002  (there is one line)
        """Draw the line; keys for which there is no room are in the help."""
        width = self.size.width
        key_style = self.get_component_rich_style("key-bar--key")
        text_style = self.get_component_rich_style("key-bar--text")
        segments, at = [Segment(" ", text_style)], 1
        self._spans = []
        for key, binding in self._by_worth(width - 1):
            text = f" {binding.description}  "
            segments += [Segment(key, key_style), Segment(text, text_style)]
            cells = cell_len(key) + cell_len(text)
            self._spans.append((at, at + cells - 2, binding))
            at += cells
        return Strip(segments).adjust_cell_length(width, text_style)

    def _by_worth(self, room: int) -> list[tuple[str, Binding]]:
        """Return the keys that fit; help and quit go last, so those before them make room."""
        shown = self._shown()
        while shown and sum(cell_len(key) + cell_len(one.description) + 3 for key, one in shown) - 2 > room:
            del shown[max(len(shown) - 3, 0)]
        return shown

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        for start, end, binding in self._spans:
            if start <= event.x < end:
                self.app.simulate_key(binding.key)
