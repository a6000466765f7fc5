"""A run's timeline beside the event under the cursor; it follows a run that is under way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message

from skillsmith.browse import Browser, Stretch, Wanted
from skillsmith.models import Run
from skillsmith.output import shorten
from skillsmith.tui.base import Page
from skillsmith.tui.details import Detail, read_detail
from skillsmith.tui.layout import StepLayout
from skillsmith.tui.messages import Failed
from skillsmith.tui.text import number, plural
from skillsmith.tui.widgets.event_detail import EventDetail
from skillsmith.tui.widgets.prompt import Prompt
from skillsmith.tui.widgets.timeline_rows import OpenedRun, TimelineRows
from skillsmith.workspace import Workspace

STRETCH_EVENTS: Final = 20_000
"""So many are looked through at a time."""

SIDE_BY_SIDE_CELLS: Final = 132
DETAIL_DELAY_SECONDS: Final = 0.03
SEARCH_DELAY_SECONDS: Final = 0.15


@dataclass(frozen=True, slots=True)
class _Opening:
    run: Run
    opened: OpenedRun
    stretch: Stretch
    last: int


class TimelineScreen(Page):
    """The events of a run.

    Args:
        run_id: Id or unique prefix.
        seq: The event to begin at; None: the first.
    """

    DEFAULT_CSS = """
    TimelineScreen > #timeline { height: 1fr; layout: vertical; }
    TimelineScreen > #timeline > TimelineRows { height: 3fr; }
    TimelineScreen > #timeline > EventDetail { height: 2fr; border-top: solid $panel; }
    TimelineScreen > #timeline.side { layout: horizontal; }
    TimelineScreen > #timeline.side > TimelineRows { width: 3fr; height: 1fr; }
    TimelineScreen > #timeline.side > EventDetail {
        width: 2fr; height: 1fr; border-top: none; border-left: solid $panel;
    }
    TimelineScreen > #timeline.alone > EventDetail { display: none; }
    TimelineScreen > #timeline.whole > TimelineRows { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("n", "again(False)", "Next", show=False, tooltip="the next event found"),
        Binding("N", "again(True)", "Previous", show=False, tooltip="the previous event found"),
        Binding("e", "error(False)", "Next error", tooltip="the next error; E: the previous"),
        Binding("E", "error(True)", "Previous error", show=False),
        Binding(
            "a",
            "agent(False)",
            "Next of this agent",
            show=False,
            tooltip="the next event of this agent; A: the previous",
        ),
        Binding("A", "agent(True)", "Previous of this agent", show=False),
        Binding(
            "t",
            "kind(False)",
            "Next of this kind",
            show=False,
            tooltip="the next event of this kind; T: the previous",
        ),
        Binding("T", "kind(True)", "Previous of this kind", show=False),
        Binding("colon", "number", "Go to", key_display=":"),
        Binding(
            "d", "detail", "Detail", show=False, tooltip="beside the timeline, hidden, or on the whole screen"
        ),
        Binding("o", "whole_text", "Show all of a long text", show=False),
        Binding("m", "mark", "Mark"),
        Binding("x", "extract", "Extract"),
    ]

    class Opened(Message):
        """The run is there."""

        def __init__(self, opening: _Opening) -> None:
            super().__init__()
            self.opening = opening

    class Looked(Message):
        """More of the run was looked through."""

        def __init__(self, stretch: Stretch, run: Run | None, last: int) -> None:
            super().__init__()
            self.stretch = stretch
            self.run = run
            self.last = last

    class Found(Message):
        """A search ended."""

        def __init__(self, seq: int | None) -> None:
            super().__init__()
            self.seq = seq

    class Detailed(Message):
        """The event under the cursor was read."""

        def __init__(self, detail: Detail) -> None:
            super().__init__()
            self.detail = detail

    def __init__(self, run_id: str, seq: int | None = None) -> None:
        super().__init__()
        self._run_id = run_id
        self._first_seq = seq
        self._key = 0
        self._run: Run | None = None
        self._wanted = Wanted()
        self._shown_seq: int | None = None
        self._looked_to = 0

    def body(self) -> ComposeResult:
        """Lay out the timeline, the detail and the line for searching."""
        with Container(id="timeline"):
            yield TimelineRows(id="events")
            yield EventDetail(id="event")
        yield Prompt()

    def on_mount(self) -> None:
        """Open the run."""
        self.heading = "Timeline"
        self.ask(self._open, self.Opened)
        self.smith.changed.subscribe(self, self._follow)
        self.smith.theme_changed_signal.subscribe(self, lambda _: self.query_one(EventDetail).restyle())
        self.query_one(TimelineRows).focus()

    def on_resize(self, event: events.Resize) -> None:
        """Lay the detail beside the timeline where there is room, else below it."""
        self.query_one("#timeline").set_class(event.size.width >= SIDE_BY_SIDE_CELLS, "side")

    def _open(self, workspace: Workspace) -> _Opening:
        run = workspace.runs.get(self._run_id)
        key, browser = workspace.runs.key(run.id), Browser(workspace.db)
        opened = OpenedRun(
            key=key, agents=run.agents, started_at=run.started_at, titles=browser.step_titles(key)
        )
        stretch = browser.stretch(key, after=0, count=STRETCH_EVENTS)
        return _Opening(run, opened, stretch, browser.event_count(key))

    @on(Opened)
    def _show(self, event: Opened) -> None:
        opening = event.opening
        self._run, self._key = opening.run, opening.opened.key
        layout = StepLayout(opening.last)
        layout.add(opening.stretch.starts)
        rows = self.query_one(TimelineRows)
        rows.longest_seconds = opening.stretch.longest_seconds
        rows.open(opening.opened, layout)
        if self._first_seq is not None:
            rows.go_to(min(max(self._first_seq, 1), max(opening.last, 1)))
        elif not opening.last:
            self.query_one(EventDetail).say("this run has no events yet")
        self._retitle()
        self._looked_to = opening.stretch.last
        self._look_on()

    def _retitle(self) -> None:
        run = self._run
        if run is None:
            return
        facts = [plural(self.query_one(TimelineRows).layout_.last, "event"), run.outcome]
        if run.status == "running":
            facts[-1] = "under way, following"
        if run.tokens:
            facts.append(f"{number(run.tokens)} tokens")
        self.heading = f"{shorten(run.task or run.id, max(self.size.width - 60, 24))}  ({' · '.join(facts)})"

    def _look_on(self) -> None:
        """Look through the rest of the run, a stretch at a time."""
        if self._looked_to < self.query_one(TimelineRows).layout_.last:
            self._look(lane="search")

    def _look(self, *, lane: str) -> None:
        key, after, run_id = self._key, self._looked_to, self._run_id

        def look(workspace: Workspace) -> tuple[Stretch, Run | None, int]:
            browser = Browser(workspace.db)
            run = workspace.runs.get(run_id) if lane == "read" else None
            return browser.stretch(key, after=after, count=STRETCH_EVENTS), run, browser.event_count(key)

        self.ask(look, lambda found: self.Looked(*found), lane=lane, group="look")

    def _follow(self, _: None) -> None:
        """Look at what was added, after a change of the file."""
        if self._run is not None and self._run.status == "running":
            self._look(lane="read")

    @on(Looked)
    def _grow(self, event: Looked) -> None:
        stretch = event.stretch
        if stretch.last <= self._looked_to and event.run is None:
            return
        self._looked_to = max(stretch.last, self._looked_to)
        self._run = event.run or self._run
        self.query_one(TimelineRows).grow(event.last, stretch.starts, stretch.longest_seconds)
        self._retitle()
        self._look_on()

    @on(TimelineRows.Moved)
    def _moved(self, event: TimelineRows.Moved) -> None:
        if event.seq is None:
            self._shown_seq = None
            self.query_one(EventDetail).say("a step: enter folds or unfolds it, [ and ] go from step to step")
            return
        if event.seq == self._shown_seq:
            return
        self._shown_seq = event.seq
        self.set_timer(DETAIL_DELAY_SECONDS, self._read_detail)

    def _read_detail(self) -> None:
        key, seq = self._key, self._shown_seq
        if seq is not None:
            self.ask(lambda workspace: read_detail(workspace, key, seq), self.Detailed, group="detail")

    @on(Detailed)
    def _detailed(self, event: Detailed) -> None:
        self.query_one(EventDetail).show(event.detail)

    @on(TimelineRows.Chosen)
    def _look_closer(self) -> None:
        self.query_one("#timeline").remove_class("alone")
        self.query_one(EventDetail).focus()

    def action_detail(self) -> None:
        """Show the detail beside the timeline, not at all, or alone, in turn."""
        holder = self.query_one("#timeline")
        if holder.has_class("whole"):
            holder.remove_class("whole")
            self.query_one(TimelineRows).focus()
        elif holder.has_class("alone"):
            holder.remove_class("alone")
            holder.add_class("whole")
            self.query_one(EventDetail).focus()
        else:
            holder.add_class("alone")
            self.query_one(TimelineRows).focus()

    def action_back(self) -> None:
        """Return to the timeline from the detail, else to the screen below."""
        if self.query_one(EventDetail).has_focus or self.query_one("#timeline").has_class("whole"):
            self.query_one("#timeline").remove_class("whole")
            self.query_one(TimelineRows).focus()
        else:
            self.app.pop_screen()

    def action_whole_text(self) -> None:
        """Show all of a long text."""
        self.query_one(EventDetail).show_whole()

    def action_search(self) -> None:
        """Ask for words to find."""
        self.query_one(Prompt).open("search", "find")

    def action_number(self) -> None:
        """Ask for an event's number."""
        self.query_one(Prompt).open("number", "event number", kind="integer")

    @on(Prompt.Asked)
    def _asked(self, event: Prompt.Asked) -> None:
        if event.purpose == "number" and event.final and event.text:
            last = self.query_one(TimelineRows).layout_.last
            if last:
                self.query_one(TimelineRows).go_to(min(max(int(event.text), 1), last))
        elif event.purpose == "search" and event.text:
            self._wanted = Wanted(text=event.text)
            here = self.query_one(TimelineRows).seq or 1
            self._find(start=here - 1, backwards=False, delay=0 if event.final else SEARCH_DELAY_SECONDS)

    def action_again(self, backwards: bool) -> None:  # noqa: FBT001  (from a key)
        """Go to the next event of the last search."""
        if self._wanted == Wanted():
            self.action_search()
        else:
            self._find(start=self._here(), backwards=backwards)

    def action_error(self, backwards: bool) -> None:  # noqa: FBT001  (from a key)
        """Go to the next error."""
        self._jump(Wanted(errors=True), backwards=backwards)

    def action_agent(self, backwards: bool) -> None:  # noqa: FBT001  (from a key)
        """Go to the next event of the agent under the cursor."""
        line = self.query_one(TimelineRows).row(self.query_one(TimelineRows).cursor)
        if line is not None and line.agent:
            self._jump(Wanted(agent=line.agent), backwards=backwards)

    def action_kind(self, backwards: bool) -> None:  # noqa: FBT001  (from a key)
        """Go to the next event of the kind under the cursor."""
        line = self.query_one(TimelineRows).row(self.query_one(TimelineRows).cursor)
        if line is not None:
            self._jump(Wanted(kind=line.kind), backwards=backwards)

    def _here(self) -> int:
        """Return the event under the cursor; on a heading, the one before it."""
        rows = self.query_one(TimelineRows)
        if not rows.line_count:
            return 0
        return rows.seq or (rows.slot_seq(min(rows.cursor + 1, rows.line_count - 1)) or 1) - 1

    def _jump(self, wanted: Wanted, *, backwards: bool) -> None:
        self._wanted = wanted
        self._find(start=self._here(), backwards=backwards)

    def _find(self, *, start: int, backwards: bool, delay: float = 0.0) -> None:
        key, wanted = self._key, replace(self._wanted)

        def ask() -> None:
            if wanted == self._wanted:
                self.ask(
                    lambda workspace: Browser(workspace.db).find(
                        key, wanted, start=start, backwards=backwards
                    ),
                    self.Found, lane="search", group="find",
                )  # fmt: skip

        if delay:
            self.set_timer(delay, ask)
        else:
            ask()

    @on(Found)
    def _found(self, event: Found) -> None:
        if event.seq is None:
            self.notify("no further event like that", timeout=2)
        else:
            self.query_one(TimelineRows).go_to(event.seq)

    def action_mark(self) -> None:
        """Judge the run."""
        from skillsmith.tui.screens.mark import MarkDialog  # noqa: PLC0415  (only when it is wanted)

        if self._run is not None:
            self.app.push_screen(MarkDialog(self._run), self._marked)

    def _marked(self, run: Run | None) -> None:
        self._run = run or self._run
        self._retitle()

    def action_extract(self) -> None:
        """Make a skill from the run."""
        from skillsmith.tui.screens.extract import ExtractDialog  # noqa: PLC0415  (only when it is wanted)

        if self._run is not None:
            self.app.push_screen(ExtractDialog(self._run))

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        if self._run is None:
            self.query_one(EventDetail).fail(event.error)
