"""What the keys of the screen below do."""

from __future__ import annotations

import re
from typing import Any

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from skillsmith.tui.base import Dialog

_UNTOLD = re.compile(r"(app\.|screen\.)?(page_(left|right)|scroll_|focus_(next|previous)|copy_text)")
"""What Textual binds on every screen."""


class HelpScreen(Dialog[None]):
    """Lists every key that works now, and how the colours and signs read.

    Args:
        below: The screen it explains; None: the one it is pushed over.
    """

    DEFAULT_CSS = """
    HelpScreen > .box { width: 84; height: 90%; }
    HelpScreen Static { height: auto; }
    """

    def __init__(self, below: Screen[Any] | None = None) -> None:
        super().__init__()
        self._below = below

    @property
    def _explained(self) -> Screen[Any]:
        return self._below or self.app.screen_stack[-2]

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with VerticalScroll(classes="box") as box:
            box.border_title = "Help"
            box.border_subtitle = "escape closes"
            yield Static(self._keys(), id="keys")

    def _keys(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(justify="right", style=f"bold {self.smith.style('accent')}", no_wrap=True)
        table.add_column()
        for title, rows in (("here", self._here()), ("everywhere", self._everywhere())):
            table.add_row("", Text(title, style=f"bold {self.smith.style('primary')}"))
            for key, text in rows:
                table.add_row(key, text)
            table.add_row("", "")
        return table

    def _here(self) -> list[tuple[str, str]]:
        found: dict[str, tuple[list[str], str]] = {}
        actives = sorted(self._explained.active_bindings.values(), key=lambda one: not one.binding.show)
        for active in actives:
            binding = active.binding
            if binding.description and active.node is not self.app and not _UNTOLD.match(binding.action):
                keys, _ = found.setdefault(binding.action, ([], _words(binding)))
                keys.append(self.app.get_key_display(binding))
        return [(" ".join(dict.fromkeys(keys)), text) for keys, text in found.values()]

    def _everywhere(self) -> list[tuple[str, str]]:
        return [
            ("1 2 3", "runs, skills, analytics"),
            ("tab", "the next part of the screen"),
            ("^p", "command palette: every action by name"),
            ("^t", "next theme: dark, light, high contrast"),
            ("escape", "back"),
            ("q ^q ^c", "quit"),
        ]


def _words(binding: Binding) -> str:
    return f"{binding.description}: {binding.tooltip}" if binding.tooltip else binding.description
