"""The application: one file, three panes, screens over them, and the keys that work everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.signal import Signal

from skillsmith.output import clean
from skillsmith.tui.data import Data
from skillsmith.tui.messages import Crashed, Failed, FileChanged
from skillsmith.tui.registry import PANES, SCREENS
from skillsmith.tui.screens.main import MainScreen
from skillsmith.tui.themes import LANES, MUTED, THEMES


class SkillsmithApp(App[None]):
    """Browse one skillsmith file.

    Args:
        path: The file; it exists and can be opened.
        pane: The tab shown first.
        screen: A screen of the registry pushed over it, with its arguments; None: none.
        theme: dark, light or contrast.
        now: Tells the time in Unix seconds; pinned for pictures.
        live: Whether changes that other processes make are shown at once.
    """

    TITLE = "skillsmith"
    CSS_PATH = "skillsmith.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(place), f"pane('{name}')", pane.title, show=False)
            for place, (name, pane) in enumerate(PANES.items(), 1)
        ),
        Binding("question_mark,f1", "help", "Help", key_display="?"),
        Binding("ctrl+t", "next_theme", "Theme", show=False),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+q,ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(
        self,
        path: str,
        *,
        pane: str = "runs",
        screen: tuple[str, *tuple[Any, ...]] | None = None,
        theme: str = "dark",
        now: Callable[[], float] = time.time,
        live: bool = True,
    ) -> None:
        super().__init__()
        self.path = path
        self.now = now
        self.data = Data(path)
        self.changed: Signal[None] = Signal(self, "changed")
        self._live = live
        self._pane = pane
        self._first_screen = screen
        for one in THEMES.values():
            self.register_theme(one)
        self.theme = theme

    def get_default_screen(self) -> Screen[Any]:
        """Return the screen with the panes."""
        return MainScreen(self._pane)

    def on_mount(self) -> None:
        """Begin to listen, and push the screen that was asked for."""
        if self._live:
            self.data.watch(self)
        if self._first_screen is not None:
            self.call_after_refresh(self.open_screen, *self._first_screen)

    def on_unmount(self) -> None:
        """Close the file."""
        self.data.close()

    def show_pane(self, name: str) -> None:
        """Return to the main screen and show one of its panes."""
        self.run_worker(self.action_pane(name), name="pane")

    def open_screen(self, name: str, *arguments: Any) -> None:
        """Push a screen of the registry.

        Args:
            name: See ``registry.SCREENS``.
            arguments: What its class takes.
        """
        self.push_screen(SCREENS[name].load()(*arguments))

    def style(self, name: str) -> str:
        """Return a colour of the theme for Rich: ``success``, ``muted``, …, by the names of the themes."""
        if name == "muted":
            return MUTED[self.theme_name]
        return str(getattr(THEMES[self.theme_name], name))

    @property
    def theme_name(self) -> str:
        """The name of the current theme, one of ours."""
        return self.theme if self.theme in THEMES else "dark"

    def agent_style(self, place: int) -> str:
        """Return the colour of an agent's lane by its place in the run."""
        colours = LANES[self.theme_name]
        return colours[place % len(colours)]

    async def action_pane(self, name: str) -> None:
        """Return to the main screen and show one of its panes."""
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        main = self.screen_stack[0]
        assert isinstance(main, MainScreen)
        await main.show(name)

    def action_next_theme(self) -> None:
        """Change to the next theme."""
        names = list(THEMES)
        self.theme = names[(names.index(self.theme_name) + 1) % len(names)]

    def action_help(self) -> None:
        """Show what the keys of this screen do."""
        if not self.screen.is_modal:
            self.push_screen(SCREENS["help"].load()(self.screen))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offer every key of the current screen, the panes and the themes."""
        for active in screen.active_bindings.values():
            binding, node = active.binding, active.node
            if binding.description and active.enabled:
                key = self.get_key_display(binding)
                yield SystemCommand(
                    binding.description, binding.tooltip or f"key {key}",
                    lambda action=binding.action, node=node: self.run_worker(
                        self.run_action(action, default_namespace=node)
                    ),
                )  # fmt: skip
        for name in THEMES:
            yield SystemCommand(f"Theme: {name}", "change the colours", lambda name=name: self._use(name))

    def _use(self, theme: str) -> None:
        self.theme = theme

    @on(FileChanged)
    def _tell_changed(self) -> None:
        self.changed.publish(None)

    @on(Failed)
    def _show_failure(self, event: Failed) -> None:
        error = event.error
        self.notify(clean(error.hint), title=clean(error.message), severity="error", markup=False)

    @on(Crashed)
    def _raise(self, event: Crashed) -> None:
        raise event.error
