"""Run a skill: fill in its inputs, see what would run, watch it node by node, see what came of it.

The execution works on its own thread and its own connection; leaving stops it in a way that can be gone on
with, just as Ctrl-C does on the command line.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Static, TabbedContent, TabPane, Tabs

from skillsmith.library.execution.outcome import ExecutionResult
from skillsmith.models import Json, Skill
from skillsmith.output import clean
from skillsmith.tui.base import Page
from skillsmith.tui.messages import Failed
from skillsmith.tui.screens.skill_dialogs import ConfirmDialog
from skillsmith.tui.skill_runner import Order, Preview, Stopped, perform, preview, resumable
from skillsmith.tui.text import joined, short_id
from skillsmith.tui.widgets.dag_model import SkillGraph, graph_of
from skillsmith.tui.widgets.run_fields import RunFields
from skillsmith.tui.widgets.run_pages import calls_page, plan_page, result_page
from skillsmith.tui.widgets.run_progress import RunProgress
from skillsmith.tui.widgets.skill_pages import Pen

ANSWER_SECONDS: Final = 0.1
"""How long a thread that waits for a person's answer does not look whether it is to stop."""


class RunFormScreen(Page):
    """Runs one skill.

    Args:
        name: ``NAME`` or ``NAME@VERSION``.
        task: What is to be done, in words.
        inputs: Values that stand in the form at first.
        confidence: The matcher's, when it chose the skill; ``reason`` says why.
        resume: Id of an execution to go on with.
    """

    DEFAULT_CSS = """
    RunFormScreen {
        & TabbedContent, & ContentSwitcher { height: 1fr; }
        & TabPane { padding: 0; height: 1fr; }
        & .run--form { height: 1fr; padding: 0 1; }
        & .run--page { padding: 0 1; height: auto; }
        & .run--buttons { height: 1; align-horizontal: right; background: $surface; }
        & .run--state { width: 1fr; height: 1; padding: 0 1; }
        & Button { margin: 0 1 0 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back"),
        Binding("f4", "preview", "Preview", key_display="F4"),
        Binding("f5,ctrl+r", "run", "Run", key_display="F5"),
        Binding("f6", "timeline", "Timeline", key_display="F6"),
        Binding("f8,ctrl+x", "stop", "Stop", key_display="F8"),
    ]

    class Opened(Message):
        """The skill is there, for an execution to go on with also its task and inputs."""

        def __init__(self, skill: Skill, task: str, inputs: Mapping[str, Json]) -> None:
            super().__init__()
            self.skill = skill
            self.task = task
            self.inputs = inputs

    class Previewed(Message):
        """What would run is known."""

        def __init__(self, preview: Preview, *, run: bool) -> None:
            super().__init__()
            self.preview = preview
            self.run = run

    class Happened(Message):
        """The execution told something."""

        def __init__(self, name: str, data: Mapping[str, Json]) -> None:
            super().__init__()
            self.name = name
            self.data = data

    class Asked(Message):
        """The execution wants a person's yes or no."""

        def __init__(self, question: str, answers: queue.SimpleQueue[bool]) -> None:
            super().__init__()
            self.question = question
            self.answers = answers

    class Ended(Message):
        """The execution is over, or was stopped."""

        def __init__(self, result: ExecutionResult | Stopped) -> None:
            super().__init__()
            self.result = result

    def __init__(
        self,
        name: str,
        *,
        task: str = "",
        inputs: Mapping[str, Json] | None = None,
        confidence: float | None = None,
        reason: str | None = None,
        resume: str | None = None,
    ) -> None:
        super().__init__()
        self._name_asked = name
        self._first = task, dict(inputs or {})
        self._confidence, self._reason = confidence, reason
        self._resume = resume
        self._graph = SkillGraph(nodes=(), edges=())
        self._run_id: str | None = None
        self._at_work = False
        self._cancelled = threading.Event()
        self._question: ConfirmDialog | None = None

    # ------------------------------------------------------------------------------------------ building

    def body(self) -> ComposeResult:
        """Build the tabs and the line with the buttons."""
        with TabbedContent():
            with TabPane("Inputs", id="tab-inputs"):
                yield VerticalScroll(classes="run--form", can_focus=False)
            with TabPane("Preview", id="tab-preview"), VerticalScroll():
                yield Static("F4 shows what would run", id="plan", classes="run--page")
            with TabPane("Progress", id="tab-progress"):
                yield RunProgress()
            with TabPane("Result", id="tab-result"), VerticalScroll():
                yield Static("nothing was run yet", id="result", classes="run--page")
        with Horizontal(classes="run--buttons"):
            yield Static("", classes="run--state", markup=False)
            yield Button("Preview", id="preview", compact=True)
            yield Button("Run", id="run", variant="primary", compact=True)
            yield Button("Stop", id="stop", variant="error", disabled=True, compact=True)

    def on_mount(self) -> None:
        """Ask for the skill."""
        self.heading = f"Run {self._name_asked}"
        name, resume = self._name_asked, self._resume
        task, inputs = self._first
        if resume is None:
            self.ask(lambda workspace: self.Opened(workspace.skills.get(name), task, inputs), _itself)
        else:
            self.ask(lambda workspace: self.Opened(*resumable(workspace, resume)), _itself)

    def on_unmount(self) -> None:
        """Stop what still runs."""
        self._cancelled.set()

    @on(Opened)
    async def _opened(self, event: Opened) -> None:
        event.stop()
        if self.query(RunFields):
            self._resuming(event.inputs)
            return
        skill = event.skill
        self.heading = f"Run {skill.name}@{skill.version}"
        fields = RunFields(skill, task=event.task, inputs=event.inputs)
        await self.query_one(".run--form", VerticalScroll).mount(fields)
        self._graph = graph_of(skill)
        self.query_one(RunProgress).begin(self._graph)
        if self._resume is not None:
            self._resuming(event.inputs)
        else:
            fields.query_one("#task").focus()

    def _resuming(self, inputs: Mapping[str, Json]) -> None:
        self.query_one(RunFields).freeze(inputs)
        self.query_one("#run", Button).label = "Go on"
        self.query_one("#run", Button).focus()
        self._say(f"goes on with execution {short_id(self._resume)}", "warning")

    @property
    def pen(self) -> Pen:
        """How the theme writes."""
        return Pen(style=self.smith.style, dark=self.smith.current_theme.dark)

    def _say(self, words: str, meaning: str = "muted") -> None:
        self.query_one(".run--state", Static).update(Text(clean(words), style=self.smith.style(meaning)))

    def _tab(self, name: str) -> None:
        tabs = self.query_one(TabbedContent)
        tabs.query_one(Tabs).focus()  # a field that keeps the focus would bring its own tab back
        tabs.active = f"tab-{name}"

    # ----------------------------------------------------------------------------------------- previewing

    def _order(self) -> Order | None:
        """Return what is wanted, None when a field is wrong."""
        if not self.query(RunFields):
            return None
        order = self.query_one(RunFields).order(
            confidence=self._confidence, reason=self._reason, resume=self._resume
        )
        if order is None:
            self._tab("inputs")
            self._say("an input does not fit", "error")
        return order

    def action_preview(self) -> None:
        """Show what would run; nothing is run."""
        self._look(run=False)

    def action_run(self) -> None:
        """Run it, after asking where it changes things."""
        self._look(run=True)

    def _look(self, *, run: bool) -> None:
        if self._at_work:
            self.notify("it is running")
            return
        order = self._order()
        if order is not None:
            self._say("looking …")
            self.ask(
                lambda workspace: preview(workspace, order),
                lambda found: self.Previewed(found, run=run), lane="run", group="preview",
            )  # fmt: skip

    @on(Previewed)
    def _previewed(self, event: Previewed) -> None:
        event.stop()
        found = event.preview
        self.query_one("#plan", Static).update(plan_page(found, pen=self.pen))
        if found.plan["missing"] and event.run:
            self._tab("inputs")
            self._say(f"needed: {joined(found.plan['missing'])}", "error")
            self.query_one(RunFields).need(found.plan["missing"])
        elif found.plan["problems"] or not event.run:
            self._say("it cannot run yet" if found.plan["problems"] else "it can run")
            self._tab("preview")
        elif found.changing:
            self._confirm(found)
        else:
            self._start(found.order)

    def _confirm(self, found: Preview) -> None:
        field = self.focused
        self.set_focus(self.query_one(Tabs))  # a field would get it back late, and bring its tab with it

        def answered(yes: bool | None) -> None:  # noqa: FBT001  (Textual calls it so)
            if yes:
                self._start(found.order)
            else:
                self._say("not run")
                self.set_focus(field)

        question = f"May it call {joined(found.changing)}? These can change things."
        dialog = ConfirmDialog(question, details=calls_page(found), action="Run it")
        self.app.push_screen(dialog, answered)

    # ------------------------------------------------------------------------------------------- running

    def _start(self, order: Order) -> None:
        from skillsmith.library.execution.walk import ExecutionCallbacks  # noqa: PLC0415  (only to run)

        self._cancelled.clear()
        callbacks = ExecutionCallbacks(
            approve=self._approve, cancelled=self._cancelled,
            on_event=self._hear,
        )  # fmt: skip
        self._set_work(at_work=True)
        self.query_one(RunProgress).begin(self._graph)
        self._tab("progress")
        self._say("running …", "warning")
        self.ask(lambda workspace: perform(workspace, order, callbacks), self.Ended, lane="run")

    def _hear(self, name: str, data: Mapping[str, Json]) -> None:
        """Pass on what the execution tells, from its thread."""
        self.post_message(self.Happened(name, dict(data)))

    def _set_work(self, *, at_work: bool) -> None:
        self._at_work = at_work
        for name in ("#run", "#preview"):
            self.query_one(name, Button).disabled = at_work
        self.query_one("#stop", Button).disabled = not at_work

    def _approve(self, question: str, _node: str) -> bool:
        """Ask a person, on the execution's thread, and wait for the answer.

        Raises:
            KeyboardInterrupt: The execution is to stop.
        """
        answers: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.post_message(self.Asked(question, answers))
        while not self._cancelled.is_set():
            try:
                return answers.get(timeout=ANSWER_SECONDS)
            except queue.Empty:
                continue
        raise KeyboardInterrupt

    @on(Asked)
    def _asked(self, event: Asked) -> None:
        event.stop()
        self._question = ConfirmDialog(event.question)
        self.app.push_screen(self._question, lambda yes: event.answers.put(bool(yes)))

    @on(Happened)
    def _happened(self, event: Happened) -> None:
        event.stop()
        data = event.data
        match event.name:
            case "SKILL_EXECUTION_START":
                self._run_id = data["run_id"]
            case "NODE_STARTED":
                self._node(data["node"], "running", data.get("title") or "")
            case "NODE_MENDING":
                self._node(data["node"], "mending", data["error"])
            case "NODE_ENDED":
                self._node(data["node"], data["status"], data["error"] or "")

    def _node(self, key: str, status: str, words: str) -> None:
        self.query_one(RunProgress).mark(key, status, words, pen=self.pen, at=self.smith.now())

    @on(Ended)
    def _ended(self, event: Ended) -> None:
        event.stop()
        self._set_work(at_work=False)
        if self._question is not None and self._question.is_current:
            self._question.dismiss(None)  # nobody waits for the answer any more
        if isinstance(event.result, Stopped):
            self._say("stopped", "warning")
            stopped = self._resume = event.result.execution_id
            self.ask(lambda workspace: self.Opened(*resumable(workspace, stopped)), _itself)
            return
        result = event.result
        self._resume = None
        self.query_one(RunFields).freeze(None)
        self.query_one("#run", Button).label = "Run again"
        self.query_one("#result", Static).update(result_page(result, pen=self.pen))
        self._say("succeeded" if result.success else "failed", "success" if result.success else "error")
        self._tab("result")

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        """Go on bubbling to the application, which tells; nothing was run."""
        self._set_work(at_work=False)
        self._say(event.error.message, "error")

    def action_stop(self) -> None:
        """Stop the execution; it can be gone on with."""
        if self._at_work:
            self._cancelled.set()
            self._say("stopping …", "warning")

    def action_timeline(self) -> None:
        """Open the timeline of the run, live."""
        if self._run_id is None:
            self.notify("nothing was run yet")
        else:
            self.smith.open_screen("timeline", self._run_id)

    def action_leave(self) -> None:
        """Go back; what runs is stopped only when that is wanted."""
        if not self._at_work:
            self.dismiss()
            return

        def answered(yes: bool | None) -> None:  # noqa: FBT001  (Textual calls it so)
            if yes:
                self.dismiss()

        dialog = ConfirmDialog(
            "It is running. Stop it and go back?", details="It can be resumed.", action="Stop"
        )
        self.app.push_screen(dialog, answered)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        actions = {"run": self.action_run, "preview": self.action_preview, "stop": self.action_stop}
        actions[event.button.id or ""]()


def _itself(message: RunFormScreen.Opened) -> Message:
    return message
