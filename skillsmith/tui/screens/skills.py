"""The list of skills: ten thousand as quick as ten, found as one types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, ClassVar, Final, get_args

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from skillsmith.library.store.cards import SkillCard, skill_cards, skill_names
from skillsmith.models import SkillState
from skillsmith.tui.base import Pane
from skillsmith.tui.text import joined, number, spark
from skillsmith.tui.widgets.bars import STATE_STYLES, interval_bar, quality, rate_text, tinted
from skillsmith.tui.widgets.row_list import Column, RowList
from skillsmith.workspace import Workspace

SORTS: Final = {
    "name": "by name", "last_used": "last used first", "success_rate": "best first",
    "created": "newest first",
}  # fmt: skip
STATES: Final = (None, *get_args(SkillState))
SPARK_CELLS: Final = 14
INTERVAL_CELLS: Final = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillSource:
    """Skills in an order, narrowed by words and state.

    Args:
        now: Unix seconds.
    """

    words: str = ""
    state: str | None = None
    sort: str = "name"
    now: float = 0.0

    def keys(self, workspace: Workspace) -> Sequence[str]:
        """Return all names in order."""
        return skill_names(workspace.db, words=self.words, state=self.state, sort=self.sort)

    def rows(self, workspace: Workspace, keys: Sequence[str]) -> Sequence[Any]:
        """Return what is shown of a page; None for what was deleted meanwhile."""
        found = {card.name: card for card in skill_cards(workspace.db, keys, now=self.now)}
        return [found.get(name) for name in keys]


class SkillsPane(Pane):
    """All skills, with what they have been worth."""

    DEFAULT_CSS = """
    SkillsPane {
        & > .skills--top { height: 1; background: $surface; }
        & .skills--top Label { padding: 0 1; color: $foreground 65%; }
        & .skills--filter { width: 1fr; height: 1; border: none; padding: 0; background: $surface; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "Filter", key_display="/"),
        Binding("m", "match", "Match a task"),
        Binding("x", "run", "Run"),
        Binding("o", "sort", "Order"),
        Binding("s", "state", "State"),
        Binding("r", "reload", "Reload", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._source = SkillSource()
        self._sorts, self._states = cycle(SORTS), cycle(STATES)
        next(self._sorts)
        next(self._states)

    def compose(self) -> ComposeResult:
        """Build filter and list."""
        with Horizontal(classes="skills--top"):
            yield Label("/", markup=False)
            yield Input(placeholder="words or #tag", classes="skills--filter")
            yield Label("", classes="skills--how", markup=False)
        yield RowList(self._columns(), empty="no skill here: extract one from a run", id="skills")

    def _columns(self) -> tuple[Column[SkillCard], ...]:
        return (
            Column("skill", self._skill_name, width=22, grow=True),
            Column("state", self._state, width=11),
            Column("success (95 %)", self._rate, width=14, right=True),
            Column("0 · · ½ · · 1", self._interval, width=INTERVAL_CELLS, spare=2),
            Column("used", lambda card: number(card.executions), width=5, right=True),
            Column("last 28 days", self._spark, width=SPARK_CELLS, spare=1),
            Column("tags", lambda card: joined(card.tags), width=20, spare=3),
            Column("what it does", lambda card: card.description, width=40, spare=4),
        )

    @property
    def rows(self) -> RowList[SkillCard]:
        """The list."""
        return self.query_one("#skills", RowList)

    def on_mount(self) -> None:
        """Follow changes."""
        self.smith.changed.subscribe(self, self.reload)

    def shown(self) -> None:
        """Go to the list."""
        self.rows.focus()
        self._show()

    def reload(self, _: None = None) -> None:
        """Read the list again, when it is looked at."""
        if self.display and self.screen.is_current:
            self._show()

    def _show(self) -> None:
        self._source = replace(self._source, now=self.smith.now())
        self.rows.show(self._source)
        state = self._source.state or "every state"
        self.query_one(".skills--how", Label).update(f"{SORTS[self._source.sort]} · {state}")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._source = replace(self._source, words=event.value)
        self._show()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.rows.focus()

    @on(RowList.Chosen)
    def _chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        card: SkillCard | None = event.row
        if card is not None:
            self.smith.open_screen("skill", card.name)

    def key_down(self) -> None:
        """Go from the filter to the list."""
        if self.query_one(Input).has_focus:
            self.rows.focus()

    def key_escape(self) -> None:
        """Leave the filter, and empty it."""
        field = self.query_one(Input)
        if field.has_focus:
            field.value = ""
            self.rows.focus()

    def action_find(self) -> None:
        """Type what to look for."""
        self.query_one(Input).focus()

    def action_sort(self) -> None:
        """Change the order."""
        self._source = replace(self._source, sort=next(self._sorts))
        self._show()

    def action_state(self) -> None:
        """Show one state alone, or all again."""
        self._source = replace(self._source, state=next(self._states))
        self._show()

    def action_match(self) -> None:
        """Ask which skill fits a task."""
        self.smith.open_screen("match", "")

    def action_run(self) -> None:
        """Run the skill under the cursor."""
        card = self.rows.current
        if card is not None:
            self.smith.open_screen("run_form", card.name)

    def action_reload(self) -> None:
        """Read the list again."""
        self._show()

    # ------------------------------------------------------------------------------------------- cells

    def _skill_name(self, card: SkillCard) -> Text:
        text = tinted(card.name, self.smith.style("primary"))
        return text.append(f"@{card.version}" if card.versions > 1 else "", style=self.smith.style("muted"))

    def _state(self, card: SkillCard) -> Text:
        return tinted(card.state, self.smith.style(STATE_STYLES[card.state]))

    def _rate(self, card: SkillCard) -> Text:
        if card.rate is None:
            return tinted("–", self.smith.style("muted"))
        return tinted(rate_text(card.rate), self.smith.style(quality(card.rate.value)))

    def _interval(self, card: SkillCard) -> Text:
        if card.rate is None:
            return Text("")
        return interval_bar(card.rate, width=INTERVAL_CELLS, style=self.smith.style)

    def _spark(self, card: SkillCard) -> Text:
        days = card.daily
        halves = [sum(days[at : at + 2]) for at in range(0, len(days), 2)]
        return tinted(spark(halves, SPARK_CELLS) if any(halves) else "", self.smith.style("secondary"))
