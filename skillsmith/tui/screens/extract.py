"""A skill from a run: its name, then how far the proof is, then what came of it."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Checkbox, Input, Label, ProgressBar, Static

from skillsmith.errors import NearDuplicateError
from skillsmith.library.extractor import ExtractionReport
from skillsmith.models import Run
from skillsmith.output import clean, shorten
from skillsmith.tui.base import Dialog
from skillsmith.tui.messages import Failed
from skillsmith.tui.text import duration, plural
from skillsmith.workspace import Workspace

TICK_SECONDS = 0.2


class ExtractDialog(Dialog[str | None]):
    """Make a skill; ends with its name when it is to be shown.

    Args:
        run: Where it comes from.
    """

    DEFAULT_CSS = """
    ExtractDialog #extract-result { height: auto; max-height: 22; }
    ExtractDialog #extract-result > Static { height: auto; }
    ExtractDialog ProgressBar { display: none; margin-top: 1; }
    ExtractDialog.working ProgressBar { display: block; }
    ExtractDialog.working #extract-form { display: none; }
    ExtractDialog #extract-form { height: auto; }
    ExtractDialog.done #extract-form { display: none; }
    ExtractDialog #extract-answers { display: none; }
    ExtractDialog.answer #extract-answers { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    class Made(Message):
        """The skill is stored."""

        def __init__(self, report: ExtractionReport) -> None:
            super().__init__()
            self.report = report

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._begun = 0.0
        self._made: str | None = None
        self._twin = ""

    def compose(self) -> ComposeResult:
        """Lay out the box."""
        with Vertical(classes="box") as box:
            box.border_title = "Make a skill from the run"
            yield Label(shorten(self._run.task or self._run.id, 200), markup=False)
            with Vertical(id="extract-form"):
                yield Input(
                    placeholder="name, e.g. refund_booking (empty: told from what it does)", id="extract-name"
                )
                yield Input(placeholder="tags, with commas (empty: those found)", id="extract-tags")
                yield Checkbox(
                    "run its code once for the proof", self._own, id="extract-replay", compact=True
                )
                with Horizontal(classes="buttons"):
                    yield Button("Make it", variant="primary", id="extract-make")
            yield ProgressBar(show_percentage=False, show_eta=False)
            with VerticalScroll(id="extract-result"):
                yield Static(id="extract-text")
            with Horizontal(classes="buttons", id="extract-answers"):
                yield Button("", variant="primary", id="extract-yes")
                yield Button("Keep both", id="extract-force")
                yield Button("Close", id="extract-close")

    @property
    def _own(self) -> bool:
        """Whether its code ran here already, so that running it again is no surprise."""
        return self._run.source in ("capture", "execution")

    def on_mount(self) -> None:
        """Count the time while it works."""
        self.set_interval(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        if self.has_class("working"):
            seconds = time.monotonic() - self._begun
            self._say(f"extracting and proving… {duration(seconds)}")

    def _say(self, text: str | Text) -> None:
        self.query_one("#extract-text", Static).update(Text(text) if isinstance(text, str) else text)

    @on(Input.Submitted)
    @on(Button.Pressed, "#extract-make")
    def _make(self) -> None:
        self._extract()

    @on(Button.Pressed, "#extract-force")
    def _keep_both(self) -> None:
        self._extract(force=True)

    def _extract(self, *, force: bool = False, name: str | None = None) -> None:
        run_id = self._run.id
        name = name or self.query_one("#extract-name", Input).value.strip() or None
        tags = tuple(
            part.strip() for part in self.query_one("#extract-tags", Input).value.split(",") if part.strip()
        )
        replay = self.query_one("#extract-replay", Checkbox).value

        def extract(workspace: Workspace) -> Any:
            return workspace.extractor.extract([run_id], name=name, tags=tags, force=force, replay=replay)

        self._begun = time.monotonic()
        self.remove_class("answer", "done").add_class("working")
        self.ask(extract, self.Made, lane="run")

    @on(Made)
    def _show(self, event: Made) -> None:
        report = event.report
        skill = report.skill
        self._made = skill.name
        text = Text(f"{skill.name}@{skill.version}  ", style="bold")
        text.append(
            f"{skill.state}\n", style=self.smith.style("success" if skill.state != "draft" else "warning")
        )
        for proof in skill.proofs:
            sign, colour = ("✓", "success") if proof.passed else ("✗", "error")
            text.append(f"{sign} {proof.level}", style=self.smith.style(colour))
            text.append(f"  {plural(proof.compared, 'thing')} compared\n")
            for failure in proof.failures[:5]:
                text.append(f"    {clean(failure)}\n", style=self.smith.style("error"))
        if skill.variables:
            text.append("inputs  ", style=self.smith.style("muted"))
            text.append(", ".join(f"{one.name} ({one.type})" for one in skill.variables) + "\n")
        text.append(f"{plural(len(skill.nodes), 'step')}", style=self.smith.style("muted"))
        if report.left_out:
            text.append(f", {len(report.left_out)} of the run left out", style=self.smith.style("muted"))
        if skill.state == "draft" and report.proof is not None and report.proof.passed:
            text.append("\na draft until its code has run once", style=self.smith.style("warning"))
        self._answer(text, yes="Show the skill", force=False)

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        event.stop()
        error = event.error
        text = Text(clean(error.message), style=self.smith.style("error"))
        if isinstance(error, NearDuplicateError):
            self._twin = error.message.split("'")[1]
            self._answer(text, yes=f"New version of {self._twin}", force=True)
            return
        if error.hint:
            text.append(f"\n{clean(error.hint)}", style=self.smith.style("muted"))
        self._say(text)
        self.remove_class("working")

    def _answer(self, text: Text, *, yes: str, force: bool) -> None:
        self._say(text)
        self.remove_class("working").add_class("answer", "done")
        button = self.query_one("#extract-yes", Button)
        button.label = yes
        self.query_one("#extract-force").display = force
        button.focus()

    @on(Button.Pressed, "#extract-yes")
    def _yes(self) -> None:
        if self._made is None:
            self._extract(name=self._twin)
            return
        name = self._made
        self.dismiss(name)
        self.smith.open_screen("skill", name)

    @on(Button.Pressed, "#extract-close")
    def action_cancel(self) -> None:
        """End; what is under way goes on and is told when it is done."""
        self.dismiss(None)
