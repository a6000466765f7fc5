"""A person's judgement of a run."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Button, Input, Label

from skillsmith.models import Outcome, Run
from skillsmith.output import shorten
from skillsmith.tui.base import Dialog


class MarkDialog(Dialog[Run | None]):
    """Ask for the outcome and a note; ends with the run as it then is.

    Args:
        run: The run to judge.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+s", "mark('success')", "Success", show=False),
        Binding("alt+f", "mark('failure')", "Failure", show=False),
    ]

    class Marked(Message):
        """The judgement is stored."""

        def __init__(self, run: Run) -> None:
            super().__init__()
            self.run = run

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical(classes="box") as box:
            box.border_title = "Mark the run"
            yield Label(shorten(self._run.task or self._run.id, 200), markup=False)
            yield Label(f"so far: {self._run.outcome}", classes="hint")
            yield Input(self._run.note or "", placeholder="why (optional)")
            with Horizontal(classes="buttons"):
                yield Button("Success", variant="success", id="success")
                yield Button("Failure", variant="error", id="failure")
                yield Button("Unknown", id="unknown")

    def on_mount(self) -> None:
        """Put the focus on what is most likely."""
        self.query_one("#success", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_mark(str(event.button.id))

    def action_mark(self, outcome: str) -> None:
        """Store the judgement."""
        run_id, note = self._run.id, self.query_one(Input).value.strip() or None
        chosen: Outcome = outcome  # type: ignore[assignment]  # the buttons' ids are outcomes
        self.ask(lambda workspace: workspace.runs.mark(run_id, chosen, note=note), self.Marked, lane="write")

    @on(Marked)
    def _marked(self, event: Marked) -> None:
        self.notify(f"marked as {event.run.outcome}", timeout=2)
        self.dismiss(event.run)
