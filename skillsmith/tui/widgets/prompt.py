"""One line at the foot of a screen in which something is asked: words to find, or a number to go to."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label


class Prompt(Horizontal):
    """Hidden until it is opened."""

    DEFAULT_CSS = """
    Prompt { height: 1; display: none; background: $panel; }
    Prompt.open { display: block; }
    Prompt > Label { color: $accent; padding: 0 1; }
    Prompt > Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Close", show=False)]

    class Asked(Message):
        """Something was entered.

        Args:
            purpose: What it was opened for.
            text: What was entered.
            final: Whether it was confirmed; else it is being typed.
        """

        def __init__(self, purpose: str, text: str, *, final: bool) -> None:
            super().__init__()
            self.purpose = purpose
            self.text = text
            self.final = final

    def __init__(self) -> None:
        super().__init__()
        self._purpose = ""
        self._before: Widget | None = None

    def compose(self) -> ComposeResult:
        """Lay out the label and the field."""
        yield Label("")
        yield Input(compact=True)

    def open(self, purpose: str, label: str, *, kind: str = "text") -> None:
        """Show it and put the focus into it.

        Args:
            purpose: Comes back with what is entered.
            label: Says what is wanted.
            kind: ``text`` or ``integer``.
        """
        self._purpose = purpose
        self.query_one(Label).update(label)
        field = self.query_one(Input)
        field.restrict = r"\d*" if kind == "integer" else None
        with self.prevent(Input.Changed):
            field.value = ""
        self.add_class("open")
        self._before = self.screen.focused
        self.screen.set_focus(field)

    def action_close(self) -> None:
        """Hide it, and put the focus back where it was."""
        self.screen.set_focus(self._before)
        self.remove_class("open")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Asked(self._purpose, event.value, final=False))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_close()
        self.post_message(self.Asked(self._purpose, event.value, final=True))
