"""The runs, newest first, as they come; filtered and searched as one types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Label, Static

from skillsmith.browse import Browser, RunFilter
from skillsmith.models import Run
from skillsmith.output import clean, shorten
from skillsmith.tui.base import Pane
from skillsmith.tui.text import ago, duration, joined, moment, money, number, outcome_mark, plural, short_id
from skillsmith.tui.widgets.row_list import Column, RowList
from skillsmith.workspace import Workspace

TYPING_SECONDS: Final = 0.12
"""A search begins when nothing was typed for so long."""

TALL_ROWS: Final = 30
OUTCOMES: Final = (None, "success", "failure", "unknown")
_TERM: Final = re.compile(r"\b(outcome|source|status|agent):(\S*)")


@dataclass(frozen=True, slots=True)
class RunSource:
    """The runs that a filter lets through."""

    wanted: RunFilter

    def keys(self, workspace: Workspace) -> Sequence[int]:
        """Return their primary keys, newest first."""
        return Browser(workspace.db).run_keys(self.wanted)

    def rows(self, workspace: Workspace, keys: Sequence[Any]) -> list[Run | None]:
        """Return runs by primary key."""
        return Browser(workspace.db).runs(keys)


def read_filter(text: str) -> RunFilter:
    """Read what was typed: words, and ``outcome:``, ``source:``, ``status:`` and ``agent:`` terms."""
    terms = {name: value for name, value in _TERM.findall(text) if value}
    words = " ".join(_TERM.sub(" ", text).split())
    return RunFilter(words=words or None, **terms)


class RunsPane(Pane):
    """The list of runs."""

    DEFAULT_CSS = """
    RunsPane > #runs-filter { height: 1; background: $surface; }
    RunsPane > #runs-filter > Label { padding: 0 1; color: $foreground 65%; }
    RunsPane > #runs-filter > Input {
        width: 1fr; height: 1; border: none; padding: 0; background: $surface;
    }
    RunsPane > #runs-about {
        height: 7; padding: 0 1; border-top: solid $panel; background: $surface; display: none;
    }
    RunsPane.tall > #runs-about { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash", "filter", "Search", key_display="/", tooltip="words, outcome:, source:, status:, agent:"
        ),
        Binding("enter", "open", "Timeline"),
        Binding("o", "outcome", "Outcome", tooltip="only successes, failures, unknown, or all"),
        Binding("m", "mark", "Mark", tooltip="judge the run: success or failure"),
        Binding("x", "extract", "Extract", tooltip="make a skill from the run"),
        Binding("c", "compare", "Compare", tooltip="choose one run, then the run to lay beside it"),
        Binding("escape", "clear", "Clear the search", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._typing: Timer | None = None
        self._outcome: str | None = None
        self._beside: Run | None = None

    def compose(self) -> ComposeResult:
        """Lay out the filter, the list and what is known of the run under the cursor."""
        with Horizontal(id="runs-filter"):
            yield Label("search", id="runs-label")
            yield Input(placeholder="words, outcome:failure, source:…, agent:…", compact=True)
            yield Label("", id="runs-count")
        yield RowList[Run](self._columns(), empty="no runs", id="runs-list")
        yield Static(id="runs-about")

    def _columns(self) -> tuple[Column[Run], ...]:
        return (
            Column("outcome", self._outcome_text, 9),
            Column("task", lambda run: run.task or "(no task)", 20, grow=True, least=34),
            Column("agents", lambda run: joined(run.agents), 24, spare=4),
            Column("source", lambda run: run.source, 14, spare=5),
            Column("events", lambda run: number(run.events), 8, right=True),
            Column("took", lambda run: duration(run.duration_seconds), 8, right=True, spare=2),
            Column("tokens", lambda run: number(run.tokens), 9, right=True, spare=6),
            Column("cost", lambda run: money(run.cost_usd), 9, right=True, spare=3),
            Column(
                "when", lambda run: ago(run.started_at or run.created_at, self.smith.now()), 10, right=True
            ),
        )

    def _outcome_text(self, run: Run) -> Text:
        word = "running" if run.status == "running" else run.outcome
        sign, colour = outcome_mark(word)
        return Text(f"{sign} {word}", style=self.smith.style(colour))

    @property
    def _rows(self) -> RowList[Run]:
        return self.query_one("#runs-list", RowList)

    def on_mount(self) -> None:
        """Show all runs, and what comes."""
        self._load()
        self.smith.changed.subscribe(self, lambda _: self._rows.reload())
        self.smith.theme_changed_signal.subscribe(self, lambda _: self._tell(self._rows.current))

    def shown(self) -> None:
        """Put the focus on the list."""
        self._rows.focus()

    def on_resize(self, event: events.Resize) -> None:
        """Tell of the run under the cursor where there is room."""
        self.set_class(event.size.height >= TALL_ROWS, "tall")

    def _load(self) -> None:
        wanted = read_filter(self.query_one(Input).value)
        if self._outcome and wanted.outcome is None:
            wanted = replace(wanted, outcome=self._outcome)
        if wanted.words:
            self.query_one("#runs-count", Label).update("searching…")
        self._rows.show(RunSource(wanted), lane="search" if wanted.words else "read")

    @on(Input.Changed)
    def _typed(self) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, self._load)

    @on(Input.Submitted)
    def _entered(self) -> None:
        self._load()
        self._rows.focus()

    @on(RowList.Listed)
    def _listed(self, event: RowList.Listed) -> None:
        narrowed = f", {self._outcome}" if self._outcome else ""
        self.query_one("#runs-count", Label).update(plural(event.rows.count, "run") + narrowed)

    @on(RowList.Moved, "#runs-list")
    def _moved(self, event: RowList.Moved) -> None:
        self._tell(event.row)

    def _tell(self, run: Run | None) -> None:
        """Say what is known of a run."""
        if run is None:
            self.query_one("#runs-about", Static).update("")
            return
        muted = self.smith.style("muted")
        text = Text()
        text.append(shorten(run.task or "(no task)", 2 * max(self.size.width, 40)) + "\n", style="bold")
        text.append_text(self._outcome_text(run))
        text.append(f"  {clean(run.outcome_reason or '')}  {clean(run.note or '')}".rstrip() + "\n")
        facts = (
            short_id(run.id), run.source, moment(run.started_at), duration(run.duration_seconds),
            plural(run.events, "event"), f"{number(run.tokens)} tokens" if run.tokens else "",
            money(run.cost_usd),
        )  # fmt: skip
        text.append(" · ".join(fact for fact in facts if fact) + "\n", style=muted)
        text.append("agents  ", style=muted)
        for place, agent in enumerate(run.agents):
            text.append(f"● {clean(agent)}  ", style=self.smith.agent_style(place))
        self.query_one("#runs-about", Static).update(text)

    @on(RowList.Chosen, "#runs-list")
    def _chosen(self, event: RowList.Chosen) -> None:
        self._open(event.row)

    def action_open(self) -> None:
        """Open the timeline of the run under the cursor."""
        self._open(self._rows.current)

    def _open(self, run: Run | None) -> None:
        if run is not None:
            self.smith.open_screen("timeline", run.id)

    def action_filter(self) -> None:
        """Search."""
        self.query_one(Input).focus()

    def action_clear(self) -> None:
        """Return to the list; from the list, show all runs again."""
        field = self.query_one(Input)
        self._beside = None
        self._outcome = None
        if field.value:
            field.value = ""
        else:
            self._load()
        self._rows.focus()

    def action_outcome(self) -> None:
        """Show only the next kind of outcome."""
        self._outcome = OUTCOMES[(OUTCOMES.index(self._outcome) + 1) % len(OUTCOMES)]
        self._load()

    def action_mark(self) -> None:
        """Judge the run under the cursor."""
        from skillsmith.tui.screens.mark import MarkDialog  # noqa: PLC0415  (only when it is wanted)

        if self._rows.current is not None:
            self.app.push_screen(MarkDialog(self._rows.current), lambda _: self._rows.reload())

    def action_extract(self) -> None:
        """Make a skill from the run under the cursor."""
        from skillsmith.tui.screens.extract import ExtractDialog  # noqa: PLC0415  (only when it is wanted)

        if self._rows.current is not None:
            self.app.push_screen(ExtractDialog(self._rows.current))

    def action_compare(self) -> None:
        """Choose the run under the cursor; the second time, lay both side by side."""
        run = self._rows.current
        if run is None:
            return
        if self._beside is None or self._beside.id == run.id:
            self._beside = run
            self.notify("now choose the other run and press c again", title=shorten(run.task or run.id, 50))
        else:
            first, self._beside = self._beside, None
            self.smith.open_screen("compare", first.id, run.id)
