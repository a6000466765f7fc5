"""What is asked before a skill is changed: yes or no, a reason, trust."""

from __future__ import annotations

from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Static

from skillsmith.output import clean
from skillsmith.tui.base import Dialog


class ConfirmDialog(Dialog[bool]):
    """Asks whether something is to be done; what is safe has the focus.

    Args:
        question: One sentence.
        details: What else there is to know.
        action: What the yes-button says.
    """

    DEFAULT_CSS = """
    ConfirmDialog .dialog--details { height: auto; max-height: 14; margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", "Yes"),
        Binding("n", "dismiss", "No"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, *, details: RenderableType = "", action: str = "Yes") -> None:
        super().__init__()
        self._question = question
        self._details = details
        self._action = action

    def compose(self) -> ComposeResult:
        """Build the box."""
        with Vertical(classes="box"):
            yield Static(Text(clean(self._question), style="bold"))
            if self._details:
                with VerticalScroll(classes="dialog--details", can_focus=False):
                    yield Static(self._details)
            with Horizontal(classes="buttons"):
                yield Button("No", id="no")
                yield Button(self._action, id="yes", variant="warning")

    def on_mount(self) -> None:
        """Put the focus where nothing happens."""
        self.query_one("#no", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_yes(self) -> None:
        """Agree."""
        self.dismiss(True)  # noqa: FBT003  (Textual's way to answer)


class ReasonDialog(Dialog[str]):
    """Asks why something is done; without a reason it is not done.

    Args:
        question: One sentence.
        action: What the button says.
        reason: What stands there at first.
    """

    def __init__(self, question: str, *, action: str, reason: str = "") -> None:
        super().__init__()
        self._question = question
        self._action = action
        self._reason = reason

    def compose(self) -> ComposeResult:
        """Build the box."""
        with Vertical(classes="box"):
            yield Static(Text(clean(self._question), style="bold"))
            yield Input(self._reason, placeholder="why? It is kept in the history")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button(self._action, id="go", variant="warning", disabled=not self._reason)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#go", Button).disabled = not event.value.strip()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.dismiss(event.value.strip())

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(self.query_one(Input).value.strip() if event.button.id == "go" else None)


class TrustDialog(Dialog[bool]):
    """Shows everything of a skill that could run; it can be trusted once the end was in view.

    Args:
        name: The skill, with its version.
        page: Its code, defaults and files.
    """

    DEFAULT_CSS = """
    TrustDialog {
        & VerticalScroll { height: 1fr; background: $background; padding: 0 1; }
        & .dialog--note { width: 1fr; padding: 1 0; color: $foreground 65%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("end", "to_end", "To the end")]

    def __init__(self, name: str, page: RenderableType) -> None:
        super().__init__()
        self._reference = name
        self._page = page

    def compose(self) -> ComposeResult:
        """Build the box."""
        with Vertical(classes="box"):
            yield Static(Text(clean(f"Trust {self._reference}? It can run this:"), style="bold"))
            with VerticalScroll():
                yield Static(self._page)
            with Horizontal(classes="buttons"):
                yield Static("read it to its end first", classes="dialog--note")
                yield Button("No", id="no")
                yield Button("Trust it", id="yes", variant="error", disabled=True)

    def on_mount(self) -> None:
        """Watch how far it was read."""
        box = self.query_one(".box")
        box.styles.width, box.styles.height, box.styles.max_height = "96%", "94%", "94%"
        box.styles.padding = (0, 1)
        scroll = self.query_one(VerticalScroll)
        scroll.focus()
        self.watch(scroll, "scroll_y", self._read, init=False)
        self.watch(scroll, "virtual_size", self._read, init=False)
        self.call_after_refresh(self._read)

    def _read(self) -> None:
        scroll = self.query_one(VerticalScroll)
        if scroll.virtual_size.height and scroll.scroll_offset.y >= scroll.max_scroll_y:
            self.query_one("#yes", Button).disabled = False
            self.query_one(".dialog--note", Static).update("")

    def action_to_end(self) -> None:
        """Scroll to the end."""
        self.query_one(VerticalScroll).scroll_end(animate=False)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
