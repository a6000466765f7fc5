"""Two runs side by side, aligned by what was done at each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

from skillsmith.browse import Browser, EventLine
from skillsmith.models import Run
from skillsmith.output import clean, shorten
from skillsmith.tui.base import Page
from skillsmith.tui.text import duration, money, number, outcome_mark, plural
from skillsmith.tui.widgets.row_list import Column, RowList
from skillsmith.tui.widgets.timeline_rows import KINDS
from skillsmith.workspace import Workspace

MOST_EVENTS: Final = 5000
"""Of each run that are laid side by side."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One line: what each run did there; None: nothing like it."""

    left: EventLine | None
    right: EventLine | None

    @property
    def step(self) -> int:
        """The step it belongs to."""
        line = self.left or self.right
        return 0 if line is None else line.step

    @property
    def sign(self) -> str:
        """How they differ: ``=``, ``~`` (the same deed with another text), ``<`` or ``>`` (only one)."""
        if self.left is None or self.right is None:
            return ">" if self.left is None else "<"
        same = self.left.text == self.right.text and self.left.error == self.right.error
        return "=" if same else "~"


def align(left: Sequence[EventLine], right: Sequence[EventLine]) -> list[Pair]:
    """Lay events of two runs beside each other, step by step, by kind, agent and name in order."""
    pairs: list[Pair] = []
    steps = sorted({line.step for line in (*left, *right)})
    for step in steps:
        ours = [line for line in left if line.step == step]
        theirs = [line for line in right if line.step == step]
        pairs += _align_step(ours, theirs)
    return pairs


def _align_step(left: Sequence[EventLine], right: Sequence[EventLine]) -> list[Pair]:
    ours_done, theirs_done = ([(line.kind, line.agent, line.name) for line in side] for side in (left, right))
    pairs = []
    for tag, a, b, c, d in SequenceMatcher(a=ours_done, b=theirs_done, autojunk=False).get_opcodes():
        ours, theirs = left[a:b], right[c:d]
        if tag == "equal":
            pairs += [Pair(one, other) for one, other in zip(ours, theirs, strict=True)]
        else:
            pairs += [Pair(one, None) for one in ours] + [Pair(None, other) for other in theirs]
    return pairs


@dataclass(frozen=True, slots=True)
class _Compared:
    left: Run
    right: Run
    pairs: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Rows that are there already."""

    pairs: Sequence[Pair]

    def keys(self, _: Workspace) -> range:
        """Return their places."""
        return range(len(self.pairs))

    def rows(self, _: Workspace, keys: Sequence[Any]) -> list[Pair]:
        """Return some of them."""
        return [self.pairs[key] for key in keys]


class CompareScreen(Page):
    """Two runs.

    Args:
        left: Id of one.
        right: Id of the other.
    """

    DEFAULT_CSS = """
    CompareScreen > #compared { height: 3; padding: 0 1; background: $surface; }
    CompareScreen > #compared > Static { width: 1fr; padding-right: 2; }
    CompareScreen > #pair { height: 6; padding: 0 1; border-top: solid $panel; background: $surface; }
    CompareScreen > #pair > Static { width: 1fr; padding-right: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "difference(1)", "Next difference"),
        Binding("N", "difference(-1)", "Previous difference", show=False),
        Binding("l", "open('left')", "Left timeline"),
        Binding("r", "open('right')", "Right timeline"),
    ]

    class Compared(Message):
        """Both runs were read."""

        def __init__(self, compared: _Compared) -> None:
            super().__init__()
            self.compared = compared

    def __init__(self, left: str, right: str) -> None:
        super().__init__()
        self._ids = (left, right)
        self._pairs: Sequence[Pair] = ()

    def body(self) -> ComposeResult:
        """Lay out the heads, the lines and the texts of the line under the cursor."""
        with Horizontal(id="compared"):
            yield Static(id="compared-left")
            yield Static(id="compared-right")
        yield RowList[Pair](self._columns(), empty="neither has events", id="pairs")
        with Horizontal(id="pair"):
            yield Static(id="pair-left")
            yield Static(id="pair-right")

    def _columns(self) -> tuple[Column[Pair], ...]:
        return (
            Column("step", lambda pair: number(pair.step), 4, right=True),
            Column("left", lambda pair: self._side(pair.left), 30, grow=True, least=30),
            Column("took", lambda pair: _took(pair.left), 7, right=True, spare=1),
            Column("", self._sign, 1),
            Column("right", lambda pair: self._side(pair.right), 30, grow=True, least=30),
            Column("took ", lambda pair: _took(pair.right), 7, right=True, spare=1),
        )

    def _sign(self, pair: Pair) -> Text:
        colour = {"=": "muted", "~": "warning", "<": "error", ">": "success"}[pair.sign]
        return Text(pair.sign, style=self.smith.style(colour))

    def _side(self, line: EventLine | None) -> Text:
        if line is None:
            return Text("")
        label, colour = KINDS.get(line.kind, (line.kind, "muted"))
        text = Text().append(f"{label:<8} ", style=self.smith.style("error" if line.error else colour))
        words = (
            f"{line.agent}:" if line.agent else "",
            line.name or "",
            line.error or "",
            shorten(line.text, 160),
        )
        return text.append(" ".join(word for word in words if word))

    def on_mount(self) -> None:
        """Read both runs."""
        self.heading = "Two runs side by side"
        ids = self._ids
        self.ask(lambda workspace: _read(workspace, *ids), self.Compared, lane="search")
        self.query_one("#pairs", RowList).focus()

    @on(Compared)
    def _show(self, event: Compared) -> None:
        compared = event.compared
        self._pairs = compared.pairs
        for side, run in (("left", compared.left), ("right", compared.right)):
            self.query_one(f"#compared-{side}", Static).update(self._head(run))
        different = sum(pair.sign != "=" for pair in compared.pairs)
        self.heading = f"Two runs side by side  ({plural(different, 'difference')})"
        self.query_one("#pairs", RowList).show(_Pairs(compared.pairs))

    def _head(self, run: Run) -> Text:
        sign, colour = outcome_mark(run.outcome)
        text = Text().append(f"{sign} {run.outcome}  ", style=self.smith.style(colour))
        facts = (
            plural(run.events, "event"), duration(run.duration_seconds),
            f"{number(run.tokens)} tokens" if run.tokens else "", money(run.cost_usd),
        )  # fmt: skip
        text.append(" · ".join(fact for fact in facts if fact) + "\n", style=self.smith.style("muted"))
        return text.append(shorten(run.task or run.id, 120), style="bold")

    @on(RowList.Moved, "#pairs")
    def _moved(self, event: RowList.Moved) -> None:
        pair = event.row
        for side in ("left", "right"):
            line = getattr(pair, side) if pair is not None else None
            text = Text(clean(f"{line.seq}  {line.error or line.text or line.name or ''}") if line else "")
            self.query_one(f"#pair-{side}", Static).update(text)

    def action_difference(self, by: int) -> None:
        """Go to the next line on which they differ."""
        rows = self.query_one("#pairs", RowList)
        places = range(rows.cursor + by, len(self._pairs) if by > 0 else -1, by)
        found = next((place for place in places if self._pairs[place].sign != "="), None)
        if found is None:
            self.notify("no further difference", timeout=2)
        else:
            rows.go(found, centred=True)

    def action_open(self, side: str) -> None:
        """Open the timeline of one of them at this line."""
        pair = self.query_one("#pairs", RowList).current
        line = getattr(pair, side) if pair is not None else None
        self.smith.open_screen("timeline", self._ids[side == "right"], line.seq if line else None)


def _took(line: EventLine | None) -> str:
    return "" if line is None else duration(line.duration_seconds)


def _read(workspace: Workspace, left: str, right: str) -> _Compared:
    browser = Browser(workspace.db)
    runs = [workspace.runs.get(one) for one in (left, right)]
    lines = [browser.lines(workspace.runs.key(run.id), 1, MOST_EVENTS) for run in runs]
    return _Compared(runs[0], runs[1], align(*lines))
