"""The tabs of a skill's screen: each shows one side of a version, once it is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from skillsmith.library.store.cards import execution_ids
from skillsmith.models import Execution, Json, Reason, Skill
from skillsmith.output import clean, shorten
from skillsmith.tui.base import Asking
from skillsmith.tui.text import duration, moment, money, number, value_text
from skillsmith.tui.widgets.bars import tinted
from skillsmith.tui.widgets.choices import Choices
from skillsmith.tui.widgets.dag import DagView
from skillsmith.tui.widgets.dag_model import LEGEND, graph_of
from skillsmith.tui.widgets.row_list import Column, RowList
from skillsmith.tui.widgets.skill_pages import (
    Pen,
    ledger_page,
    node_page,
    overview_page,
    proofs_page,
    reason_page,
)
from skillsmith.workspace import Workspace

DECISIONS: Final = (
    ("Inputs: the task or a user gave them", ("input", "variable")),
    ("Flows: an earlier result gave them", ("flow", "file", "edge")),
    ("Constants: nothing gave them", ("constant",)),
    ("Outputs", ("output",)),
    ("Kept", ("kept",)),
    ("Left out", ("left_out",)),
)


class SkillPanel(Asking, Vertical):
    """One tab: gets the skill, and shows it when the tab is looked at."""

    DEFAULT_CSS = """
    SkillPanel {
        height: 1fr;
        & .panel--page { padding: 0 1; height: auto; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name)
        super().__init__(id=id)
        self.skill: Skill | None = None

    @property
    def pen(self) -> Pen:
        """How the theme writes."""
        return Pen(style=self.smith.style, dark=self.smith.current_theme.dark)

    def show(self, skill: Skill) -> None:
        """Show a version; called each time the tab is looked at."""
        if self.skill != skill:
            self.skill = skill
            self.load(skill)
        self.settle_focus()

    def load(self, skill: Skill) -> None:
        """Show a version that was not shown before."""
        raise NotImplementedError

    def settle_focus(self) -> None:
        """Put the focus where the keys are wanted."""
        target = next(iter(self.query("DagView, RowList, OptionList, Tree, VerticalScroll")), None)
        if target is not None and target.focusable:
            target.focus()


class PagePanel(SkillPanel):
    """A tab that is one page of text."""

    def compose(self) -> ComposeResult:
        """Build the page."""
        with VerticalScroll():
            yield Static("", classes="panel--page")

    def write(self, page: RenderableType) -> None:
        """Show a page."""
        self.query_one(".panel--page", Static).update(page)


class StatsPanel(PagePanel):
    """A page made of a version and its skill's figures."""

    class Counted(Message):
        """The figures are there."""

        def __init__(self, stats: Mapping[str, Json]) -> None:
            super().__init__()
            self.stats = stats

    def load(self, skill: Skill) -> None:
        """Ask for the figures."""
        self.ask(lambda workspace: workspace.ledger.stats(skill.name), self.Counted, group="stats")

    @on(Counted)
    def _counted(self, event: Counted) -> None:
        event.stop()
        if self.skill is not None:
            self.write(self.page(self.skill, event.stats))

    def page(self, skill: Skill, stats: Mapping[str, Json]) -> RenderableType:
        """Return the page."""
        return overview_page(skill, stats=stats, pen=self.pen)


class LedgerPanel(StatsPanel):
    """What a skill has done, beside the user's runs without it."""

    def page(self, skill: Skill, stats: Mapping[str, Json]) -> RenderableType:  # noqa: ARG002  (its likes need it)
        """Return the page."""
        return ledger_page(stats, pen=self.pen)


class ProofPanel(PagePanel):
    """What is proven of a version."""

    def load(self, skill: Skill) -> None:
        """Show the proofs."""
        self.write(proofs_page(skill.proofs, pen=self.pen))


class GraphPanel(SkillPanel):
    """The graph, and the selected node in full."""

    DEFAULT_CSS = """
    GraphPanel {
        layout: vertical;
        & .graph--legend { height: 1; color: $foreground 60%; padding: 0 1; }
        & #picture { height: 3fr; min-height: 6; }
        & .graph--node { height: 2fr; border-top: solid $panel; padding: 0 1; }
    }
    """

    def compose(self) -> ComposeResult:
        """Build graph and detail."""
        yield DagView(id="picture")
        with VerticalScroll(classes="graph--node"):
            yield Static("", id="node")
        yield Static("  ".join(f"{sign} {words}" for sign, words in LEGEND), classes="graph--legend")

    def load(self, skill: Skill) -> None:
        """Draw the graph."""
        self.query_one(DagView).show(graph_of(skill))
        if not skill.nodes:
            self.query_one("#node", Static).update("it has no steps: its text is handed to an agent")

    @on(DagView.NodeSelected)
    def _selected(self, event: DagView.NodeSelected) -> None:
        event.stop()
        node = next((one for one in self.skill.nodes if one.id == event.key), None) if self.skill else None
        if node is not None:
            self.query_one("#node", Static).update(node_page(node, pen=self.pen))
            self.query_one(".graph--node", VerticalScroll).scroll_home(animate=False)

    @on(DagView.NodeChosen)
    def _chosen(self, event: DagView.NodeChosen) -> None:
        event.stop()
        self.query_one(".graph--node", VerticalScroll).focus()


class ListPanel(SkillPanel):
    """A tab with things to choose from, and a page on the one that is chosen."""

    DEFAULT_CSS = """
    ListPanel {
        layout: vertical;
        & OptionList { height: 2fr; }
        & .list--page { height: 3fr; border-top: solid $panel; padding: 0 1; }
    }
    """

    def compose(self) -> ComposeResult:
        """Build list and page."""
        yield Choices(markup=False)
        with VerticalScroll(classes="list--page"):
            yield Static("", id="chosen")

    def offer(self, options: Sequence[Option], *, empty: str) -> None:
        """Show what can be chosen.

        Args:
            options: In order.
            empty: What to say when there is nothing.
        """
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options(options)
        self.write("" if options else Text(empty, style=self.smith.style("muted")))
        first = next((place for place, one in enumerate(options) if not one.disabled), None)
        listed.highlighted = first

    def write(self, page: RenderableType) -> None:
        """Show the page on what is chosen."""
        self.query_one("#chosen", Static).update(page)
        self.query_one(".list--page", VerticalScroll).scroll_home(animate=False)


class WhyPanel(ListPanel):
    """Every decision of the extraction: the literal, the rule, where it was seen."""

    def load(self, skill: Skill) -> None:
        """List the decisions, by kind."""
        known = {decision for _, decisions in DECISIONS for decision in decisions}
        others = tuple(sorted({reason.decision for reason in skill.why} - known))
        options = []
        for title, decisions in (*DECISIONS, ("Other", others)):
            chosen = [(place, one) for place, one in enumerate(skill.why) if one.decision in decisions]
            if chosen:
                head = Text(title, style=f"bold {self.smith.style('accent')}")
                options.append(Option(head, disabled=True))
            options += [Option(self._line(one), id=f"why-{place}") for place, one in chosen]
        self.offer(options, empty="no decisions are recorded: the skill was not extracted from a run")

    def _line(self, reason: Reason) -> Text:
        text = Text(f"  {clean(reason.subject)}", style=self.smith.style("primary"), no_wrap=True)
        if reason.value is not None:
            text.append(f" = {shorten(value_text(reason.value), 60)}", style="default")
        return text

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self.skill is not None and event.option_id:
            reason = self.skill.why[int(event.option_id.removeprefix("why-"))]
            self.write(reason_page(reason, skill=self.skill, pen=self.pen))


@dataclass(frozen=True, slots=True)
class ExecutionSource:
    """The executions of a skill, newest first."""

    name: str

    def keys(self, workspace: Workspace) -> Sequence[str]:
        """Return their ids."""
        return execution_ids(workspace.db, self.name)

    def rows(self, workspace: Workspace, keys: Sequence[str]) -> Sequence[Execution]:
        """Return those of a page."""
        return [workspace.ledger.get(key) for key in keys]


RESULTS: Final[Mapping[bool | None, tuple[str, str]]] = {
    True: ("✓ success", "success"), False: ("✗ failure", "error"), None: ("● not over", "warning"),
}  # fmt: skip


class UsesPanel(SkillPanel):
    """What executions did; Enter opens the timeline of one's run."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("u", "resume", "Resume")]

    def compose(self) -> ComposeResult:
        """Build the list."""
        yield RowList(self._columns(), empty="it has not been used yet: x runs it", id="executions")

    def _columns(self) -> tuple[Column[Execution], ...]:
        return (
            Column("started", lambda one: moment(one.started_at), width=16),
            Column("v", lambda one: str(one.version), width=2, right=True, spare=3),
            Column("result", self._result, width=10),
            Column("took", lambda one: duration(one.duration_seconds), width=7, right=True),
            Column("cost", lambda one: money(one.cost_usd), width=8, right=True, spare=2),
            Column("adapted", lambda one: number(len(one.adaptations)), width=7, right=True, spare=1),
            Column("task", lambda one: one.error or one.task, width=20, grow=True),
        )

    def _result(self, one: Execution) -> Text:
        words, meaning = RESULTS[one.success]
        return tinted(words, self.smith.style(meaning))

    def load(self, skill: Skill) -> None:
        """List the executions."""
        self.query_one(RowList).show(ExecutionSource(skill.name))

    def show(self, skill: Skill) -> None:
        """Show them anew each time: they may have become more."""
        self.skill = None
        super().show(skill)

    @on(RowList.Chosen)
    def _chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        one: Execution | None = event.row
        if one is not None and one.run_id:
            self.smith.open_screen("timeline", one.run_id)

    def action_resume(self) -> None:
        """Go on with an execution that broke off or failed."""
        one: Execution | None = self.query_one(RowList).current
        if one is None:
            return
        if one.success:
            self.notify("it has succeeded: there is nothing to go on with")
            return
        from skillsmith.tui.screens.run_form import RunFormScreen  # noqa: PLC0415  (only to go on)

        self.smith.push_screen(RunFormScreen(f"{one.skill}@{one.version}", resume=one.id))
