"""A run's events, one a line: time, lanes, what happened, how long it took, to scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from skillsmith.browse import Browser, EventLine
from skillsmith.output import shorten
from skillsmith.tui.layout import StepLayout
from skillsmith.tui.text import bar, duration, number, offset, plural
from skillsmith.tui.widgets.lanes import Lanes
from skillsmith.tui.widgets.lines import Lines

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "agent_start": ("starts", "secondary"), "message": ("says", "primary"),
    "reasoning": ("thinks", "muted"), "tool_call": ("calls", "accent"), "tool_result": ("gets", "secondary"),
    "code": ("code", "accent"), "code_result": ("ran", "secondary"), "transition": ("hands on", "primary"),
    "context": ("context", "muted"), "artifact": ("file", "success"), "llm_call": ("model", "muted"),
    "error": ("error", "error"), "skill": ("skill", "success"), "raw": ("raw", "muted"),
}  # fmt: skip
"""What is said of an event by its kind, and the colour of that."""

WIDE: Final = 88
"""From so many cells on durations are also drawn as bars."""

NAMED: Final = 120
"""From so many cells on each line names its agent."""

BAR_CELLS: Final = 10
TIME_CELLS, KIND_CELLS, TOOK_CELLS, NAME_CELLS = 8, 8, 7, 14
MOST_LANES: Final = {False: 6, True: 12}
NAMED_KINDS: Final = frozenset({"tool_call", "skill"})
"""Kinds whose name stands before their text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRun:
    """What is needed to show a run's timeline.

    Args:
        key: Primary key.
        started_at: Unix time that offsets are counted from.
        titles: Of its steps.
    """

    key: int
    agents: tuple[str, ...]
    started_at: float | None
    titles: Mapping[int, str]


class TimelineRows(Lines[EventLine]):
    """The lines of one run."""

    HEAD: ClassVar[int] = 1
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold(True)", "Fold the step", show=False),
        Binding("right,l", "fold(False)", "Unfold the step", show=False),
        Binding("z", "fold_all", "Fold all", show=False),
        Binding("left_square_bracket", "step(-1)", "Previous step", show=False, key_display="["),
        Binding("right_square_bracket", "step(1)", "Next step", show=False, key_display="]"),
    ]

    class Moved(Message):
        """The cursor is on another event; None: on a step's heading."""

        def __init__(self, rows: TimelineRows, seq: int | None, line: EventLine | None) -> None:
            super().__init__()
            self.rows = rows
            self.seq = seq
            self.line = line

        @property
        def control(self) -> TimelineRows:
            """The list, for ``@on`` selectors."""
            return self.rows

    class Chosen(Message):
        """An event is to be looked at."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name for it)
        super().__init__(id=id)
        self.layout_ = StepLayout()
        self.longest_seconds = 0.0
        self._run: OpenedRun | None = None
        self._lanes = Lanes(self._agent_style)

    def _agent_style(self, place: int) -> str:
        return self.smith.agent_style(place)

    @property
    def agents(self) -> list[str]:
        """The agents seen so far."""
        return self._lanes.names

    @property
    def at_end(self) -> bool:
        """Whether the cursor is on the last line."""
        return self.cursor >= self.line_count - 1

    @property
    def seq(self) -> int | None:
        """The event under the cursor; on a heading, None."""
        return self.slot_seq(self.cursor) if self.line_count else None

    def open(self, run: OpenedRun, layout: StepLayout) -> None:
        """Show a run."""
        self._run, self.layout_ = run, layout
        self._lanes.add(run.agents)
        self.set_lines(layout.count, stale_from=0)
        self.go(layout.line_of(1) if layout.last else 0)
        self.moved()

    def grow(self, last: int, starts: Iterable[tuple[int, int]], longest_seconds: float) -> None:
        """Take in more of the run, looked through or added; a cursor at the end stays there."""
        following, seq, old = self.at_end, self.seq, self.layout_.last
        top = self.slot_seq(round(self.scroll_target_y)) if self.line_count else None
        self.longest_seconds = max(self.longest_seconds, longest_seconds)
        self.layout_.grow(last)
        self.layout_.add(starts)
        self.set_lines(self.layout_.count, stale_from=max(old - 1, 0) if self.layout_.last > old else None)
        if following and self.layout_.last > old:
            self.go(self.line_count - 1)
        elif seq is not None:
            if top is not None:
                self.scroll_to(y=self.layout_.line_of(top), animate=False, force=True)
            self.go(self.layout_.line_of(seq))

    def slot_seq(self, line: int) -> int | None:
        """Return the event that a line shows; None: a heading."""
        return self.layout_.at(line).seq

    def slot(self, line: int) -> int | None:
        """Return an event's slot."""
        seq = self.slot_seq(line)
        return None if seq is None else seq - 1

    def fetch(self, first: int, count: int, generation: int) -> None:
        """Ask for events."""
        run = self._run
        if run is not None:
            self.ask(
                lambda workspace: Browser(workspace.db).lines(run.key, first + 1, count),
                lambda rows: self.Arrived(generation, first, rows),
                group="rows",
            )

    def on_lines_arrived(self, event: Lines.Arrived) -> None:
        """Give agents that appear for the first time their lanes."""
        self._lanes.add(name for row in event.rows for name in (row.agent, row.recipient))

    def go_to(self, seq: int) -> None:
        """Put the cursor on an event, unfolding its step."""
        if self.layout_.has_headings:
            self.layout_.fold(self.layout_.at(self.layout_.line_of(seq)).stretch, folded=False)
            self.set_lines(self.layout_.count)
        self.go(self.layout_.line_of(seq), centred=True)

    def moved(self) -> None:
        """Tell which event the cursor is on."""
        if self._run is not None and self.line_count:
            self.post_message(self.Moved(self, self.seq, self.row(self.cursor)))

    def chosen(self) -> None:
        """Fold or unfold a step; of an event, tell that it is to be looked at."""
        spot = self.layout_.at(self.cursor)
        if spot.seq is None:
            self._fold(spot.stretch, folded=not self.layout_.is_folded(spot.stretch))
        else:
            self.post_message(self.Chosen())

    def action_fold(self, folded: bool) -> None:  # noqa: FBT001  (from a key)
        """Fold or unfold the step under the cursor."""
        if self.line_count:
            self._fold(self.layout_.at(self.cursor).stretch, folded=folded)

    def _fold(self, stretch: int, *, folded: bool) -> None:
        if self.layout_.has_headings and self.layout_.is_folded(stretch) != folded:
            self.layout_.fold(stretch, folded=folded)
            self.set_lines(self.layout_.count)
            self.go(self.layout_.heading_of(stretch))
            self.moved()

    def action_fold_all(self) -> None:
        """Fold all steps; unfold them when the one under the cursor is folded."""
        if self.line_count and self.layout_.has_headings:
            stretch = self.layout_.at(self.cursor).stretch
            self.layout_.fold_all(folded=not self.layout_.is_folded(stretch))
            self.set_lines(self.layout_.count)
            self.go(self.layout_.heading_of(stretch), centred=True)
            self.moved()

    def action_step(self, by: int) -> None:
        """Go to the heading of the next step, or to that of this one and then the one before."""
        if not self.line_count or not self.layout_.has_headings:
            return
        spot = self.layout_.at(self.cursor)
        back_to_own = by < 0 and spot.seq is not None
        stretch = spot.stretch if back_to_own else spot.stretch + by
        if 0 <= stretch < self.layout_.stretches:
            self.go(self.layout_.heading_of(stretch), centred=True)

    @property
    def _most_lanes(self) -> int:
        return MOST_LANES[self.size.width >= WIDE]

    def head(self, width: int) -> Strip:
        """Name the agents in their colours."""
        style = self.get_component_rich_style("lines--heading")
        scale = f"longest {duration(self.longest_seconds)} " if self.longest_seconds else ""
        segments = [Segment(set_cell_size(" " * 7 + "time", 7 + TIME_CELLS + 1), style)]
        segments += [
            Segment(f"● {shorten(name, 24)}  ", style + self._lanes.style(name)) for name in self._lanes.names
        ]
        room = width - len(scale)
        return Strip([*Strip(segments).adjust_cell_length(room, style), Segment(scale, style)])

    def draw(self, line: int, row: EventLine | None, width: int) -> Strip:
        """Draw a step's heading or an event."""
        spot = self.layout_.at(line)
        if spot.seq is None:
            return self._draw_heading(spot.stretch, width)
        muted = Style(color=self.smith.style("muted"))
        if row is None:
            return Strip([Segment(f"{spot.seq:>6} …", muted)])
        start = self._run.started_at if self._run else None
        since = offset(row.at - start) if row.at is not None and start is not None else ""
        cells = [Segment(f"{row.seq:>6} {since:>{TIME_CELLS}} ", muted)]
        cells += self._lanes.draw(
            row.agent, row.recipient, most=self._most_lanes, strong=row.kind == "transition"
        )
        label, colour = KINDS.get(row.kind, (row.kind, "muted"))
        style = Style(color=self.smith.style("error" if row.error else colour), bold=row.kind == "transition")
        cells.append(Segment(f" {label:<{KIND_CELLS}} ", style))
        took = self._took(row, width, muted)
        if width >= NAMED:
            name = set_cell_size(shorten(row.agent or row.role or "", NAME_CELLS), NAME_CELLS)
            cells.append(Segment(f"{name} ", self._lanes.style(row.agent)))
        room = max(width - sum(cell_len(cell.text) for cell in (*cells, *took)) - 1, 0)
        cells += self._text(row, room)
        return Strip([*cells, Segment(" "), *took])

    def _draw_heading(self, stretch: int, width: int) -> Strip:
        step, folded = self.layout_.step(stretch), self.layout_.is_folded(stretch)
        title = (self._run.titles.get(step) if self._run else None) or ""
        sign = "▸" if folded else "▾"
        style = Style(color=self.smith.style("secondary"), bold=True)
        text = f" {sign} step {step}  {title}".rstrip()
        tail = f"  {plural(self.layout_.size(stretch), 'event')} "
        rule = "─" * max(width - cell_len(text) - cell_len(tail) - 1, 0)
        return Strip(
            [Segment(text + " ", style), Segment(rule + tail, Style(color=self.smith.style("muted")))]
        )

    def _text(self, row: EventLine, room: int) -> list[Segment]:
        """Return the beginning of what it is about."""
        text, name = row.text, row.name or ""
        if row.kind == "transition":
            text = f"{row.agent or '?'} → {row.recipient or '?'}  {text}"
        elif row.kind == "llm_call":
            text = f"{name}  {number(row.tokens)} tokens" if row.tokens else name
        elif name and (row.kind in NAMED_KINDS or not text):
            text = f"{name}  {text}"
        if row.error and row.kind != "error":
            text = f"{row.error}  {text}"
        style = Style(color=self.smith.style("error")) if row.error else Style()
        return [Segment(set_cell_size(shorten(text, room), room), style)]

    def _took(self, row: EventLine, width: int, muted: Style) -> list[Segment]:
        """Return how long it took, as a figure and to scale; idle time after it is muted."""
        seconds = row.duration_seconds
        style = muted if seconds is None else Style(color=self.smith.style("primary"))
        shown = seconds if seconds is not None else row.idle_seconds
        text = "" if shown is None or (seconds is None and shown < 1) else duration(shown)
        cells = [Segment(f"{text:>{TOOK_CELLS}} ", style if seconds is not None else muted)]
        if width >= WIDE:
            part = (seconds or 0.0) / self.longest_seconds if self.longest_seconds else 0.0
            cells.append(Segment(bar(part, BAR_CELLS), style))
        return cells
