"""The main screen: the panes, each mounted when it is first shown."""

from __future__ import annotations

from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from skillsmith.tui.base import Pane
from skillsmith.tui.registry import PANES
from skillsmith.tui.widgets.key_bar import KeyBar
from skillsmith.tui.widgets.top_bar import TopBar


class MainScreen(Screen[Any]):
    """The tabs and what they show.

    Args:
        pane: The tab shown first.
    """

    DEFAULT_CSS = """
    MainScreen > #panes { height: 1fr; }
    """

    def __init__(self, pane: str) -> None:
        super().__init__()
        self._first = pane

    def compose(self) -> ComposeResult:
        """Lay out the top line, the panes and the keys."""
        yield TopBar("skillsmith", tabs={name: pane.title for name, pane in PANES.items()})
        yield Container(id="panes")
        yield KeyBar()

    async def on_mount(self) -> None:
        """Show the first pane."""
        await self.show(self._first)

    async def on_screen_resume(self) -> None:
        """Tell the pane that it is seen again."""
        for pane in self.query(Pane):
            if pane.display:
                pane.shown()

    async def show(self, name: str) -> None:
        """Show a pane.

        Args:
            name: See ``registry.PANES``.
        """
        holder = self.query_one("#panes", Container)
        wanted = f"pane-{name}"
        if not holder.query(f"#{wanted}"):
            pane = PANES[name].load()()
            pane.id = wanted
            await holder.mount(pane)
        for pane in holder.query(Pane):
            pane.display = pane.id == wanted
            if pane.display:
                pane.shown()
        self.query_one(TopBar).active = name

    @on(TopBar.Picked)
    async def _picked(self, event: TopBar.Picked) -> None:
        await self.show(event.name)
