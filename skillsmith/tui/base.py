"""What panes, pages and dialogs share: the frame around them, asking the file while the screen goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.message_pump import MessagePump
from textual.reactive import reactive
from textual.screen import ModalScreen, Screen

from skillsmith.tui.widgets.key_bar import KeyBar
from skillsmith.tui.widgets.top_bar import TopBar
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.tui.app import SkillsmithApp

T = TypeVar("T")
R = TypeVar("R")


class Asking(MessagePump):
    """What can ask the file: see ``data.Data.ask``."""

    @property
    def smith(self) -> SkillsmithApp:
        """The application."""
        return cast("SkillsmithApp", self.app)

    def ask(
        self,
        question: Callable[[Workspace], T],
        answer: Callable[[T], Message],
        *,
        lane: str = "read",
        group: str | None = None,
    ) -> None:
        """Have a question answered on a worker thread; the answer comes back here as a message.

        Args:
            question: Runs on the lane's thread with its workspace; it touches no widget.
            answer: Makes the message from what the question returned.
            lane: See ``data.LANES``.
            group: A newer question of the same group supersedes an older one.
        """
        self.smith.data.ask(self, question, answer, lane=lane, group=group)


class Pane(Asking, Vertical):
    """One tab of the main screen, mounted when it is first shown."""

    def shown(self) -> None:
        """Do what is wanted whenever the pane becomes visible."""


class Page(Asking, Screen[None]):
    """A screen pushed over the main one."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "app.pop_screen", "Back")]

    heading: reactive[str] = reactive("")

    def compose(self) -> ComposeResult:
        """Put the body between the top line and the keys."""
        yield TopBar(self.heading)
        yield from self.body()
        yield KeyBar()

    def body(self) -> ComposeResult:
        """Yield what stands between the top line and the keys."""
        raise NotImplementedError

    def watch_heading(self, heading: str) -> None:
        """Show a new heading."""
        for bar in self.query(TopBar):
            bar.title = heading


class Dialog(Asking, ModalScreen[R]):
    """A box over the screen below; escape ends it with None."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "Cancel")]
