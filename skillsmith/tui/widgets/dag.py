"""A skill's graph as something to walk about in: boxes joined by lines, one of them selected.

The picture is a grid of characters that is made once a graph; a row is cut out of it when it is shown, so the
size of a graph costs nothing while one looks at a part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from skillsmith.output import clean
from skillsmith.tui.widgets.dag_layout import Box, Layout, lay_out
from skillsmith.tui.widgets.dag_model import STATUS_MARKS, GraphNode, SkillGraph

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_JOINTS: Final[Mapping[int, str]] = {
    _UP: "│", _DOWN: "│", _UP | _DOWN: "│", _LEFT: "─", _RIGHT: "─", _LEFT | _RIGHT: "─",
    _UP | _RIGHT: "╰", _UP | _LEFT: "╯", _DOWN | _RIGHT: "╭", _DOWN | _LEFT: "╮",
    _UP | _DOWN | _RIGHT: "├", _UP | _DOWN | _LEFT: "┤", _LEFT | _RIGHT | _DOWN: "┬",
    _LEFT | _RIGHT | _UP: "┴", _UP | _DOWN | _LEFT | _RIGHT: "┼",
}  # fmt: skip
_FRAMES: Final = {False: tuple("╭─╮│╰╯"), True: tuple("┏━┓┃┗┛")}
_PADDING: Final = 1
HEAT_LEVELS: Final = 4


def line_cells(layout: Layout) -> dict[tuple[int, int], str]:
    """Return the character of every cell that lines pass; where two lines only cross, the upright one shows.

    Args:
        layout: Where the lines are.
    """
    by_source: dict[tuple[int, int], dict[str, int]] = {}
    for line in layout.lines:
        upright = line.x1 == line.x2
        cells = (
            [(line.x1, y) for y in range(line.y1, line.y2 + 1)]
            if upright else [(x, line.y1) for x in range(line.x1, line.x2 + 1)]
        )  # fmt: skip
        for index, cell in enumerate(cells):
            first, last = index == 0, index == len(cells) - 1
            ways = 0 if first else (_UP if upright else _LEFT)
            ways |= 0 if last else (_DOWN if upright else _RIGHT)
            joints = by_source.setdefault(cell, {})
            joints[line.source] = joints.get(line.source, 0) | ways
    return {cell: _character(list(joints.values())) for cell, joints in by_source.items()}


def _character(joints: list[int]) -> str:
    if len(joints) > 1 and all(ways in (_UP | _DOWN, _LEFT | _RIGHT) for ways in joints):
        return "│" if _UP | _DOWN in joints else "─"
    together = 0
    for ways in joints:
        together |= ways
    return _JOINTS.get(together, "│")


class DagView(ScrollView, can_focus=True):
    """A skill's graph.

    Args:
        graph: What is drawn; None: nothing yet.
        id: Of the widget.
    """

    DEFAULT_CSS = """
    DagView {
        height: 1fr;
        & > .dag--line { color: $foreground 55%; }
        & > .dag--box { color: $foreground; }
        & > .dag--code { color: $text-accent; }
        & > .dag--tool { color: $text-primary; }
        & > .dag--agent { color: $text-secondary; }
        & > .dag--other { color: $text-warning; }
        & > .dag--selected { text-style: bold; }
        &:focus > .dag--selected { text-style: bold; color: $background; background: $primary; }
        & > .dag--done { color: $text-success; }
        & > .dag--failed { color: $text-error; text-style: bold; }
        & > .dag--running { color: $text-warning; text-style: bold; }
        & > .dag--skipped { color: $text-muted; }
        & > .dag--heat1 { background: $warning 15%; }
        & > .dag--heat2 { background: $warning 35%; }
        & > .dag--heat3 { background: $error 45%; }
        & > .dag--heat4 { background: $error 70%; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "dag--line", "dag--box", "dag--code", "dag--tool", "dag--agent", "dag--other", "dag--selected",
        "dag--done", "dag--failed", "dag--running", "dag--skipped",
        "dag--heat1", "dag--heat2", "dag--heat3", "dag--heat4",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "across(-1)", "Up", show=False),
        Binding("down,j", "across(1)", "Down", show=False),
        Binding("left,h", "beside(-1)", "Left", show=False),
        Binding("right,l", "beside(1)", "Right", show=False),
        Binding("enter", "choose", "Open node", show=False),
    ]

    selected: reactive[str] = reactive("")

    @dataclass
    class NodeSelected(Message):
        """Another node is selected."""

        dag: DagView
        key: str

    @dataclass
    class NodeChosen(Message):
        """Enter was pressed on a node, or it was clicked while it was selected."""

        dag: DagView
        key: str

    def __init__(self, graph: SkillGraph | None = None, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name)
        super().__init__(id=id)
        self._graph = SkillGraph(nodes=(), edges=())
        self.picture = lay_out({}, ())
        self._lines: dict[tuple[int, int], str] = {}
        self._rows: list[list[Box]] = []
        self._by_key: Mapping[str, GraphNode] = {}
        self._statuses: Mapping[str, str] = {}
        self._heat: Mapping[str, int] = {}
        if graph is not None:
            self.show(graph)

    def show(
        self,
        graph: SkillGraph,
        *,
        heat: Mapping[str, int] | None = None,
        statuses: Mapping[str, str] | None = None,
    ) -> None:
        """Draw a graph and select its first node.

        Args:
            graph: What is drawn.
            heat: A count by node: the more, the warmer its box.
            statuses: running, done, failed or skipped by node.
        """
        self._graph, self._heat, self._statuses = graph, heat or {}, dict(statuses or {})
        self._by_key = {node.key: node for node in graph.nodes}
        widths = {node.key: self._label_width(node) + 4 for node in graph.nodes}
        self.picture = layout = lay_out(widths, graph.edges)
        self._lines = line_cells(layout)
        for x, y in layout.arrows:
            self._lines[x, y] = "▼"
        self._rows = [[] for _ in range(layout.height)]
        for box in layout.boxes.values():
            for y in range(box.y, box.bottom + 1):
                self._rows[y].append(box)
        for row in self._rows:
            row.sort(key=lambda box: box.x)
        self.virtual_size = Size(layout.width + 2 * _PADDING, layout.height)
        self.selected = graph.nodes[0].key if graph.nodes else ""
        self.refresh()

    def mark(self, key: str, status: str) -> None:
        """Show what has become of a node: running, done, failed or skipped."""
        if key in self._by_key:
            self._statuses = {**self._statuses, key: status}
            self.refresh()

    @property
    def statuses(self) -> Mapping[str, str]:
        """What has become of the nodes."""
        return self._statuses

    def watch_selected(self, key: str) -> None:
        """Bring the selected node into view, and tell."""
        box = self.picture.boxes.get(key)
        if box is None:
            return
        if self.is_mounted:
            region = Region(box.x, box.y, box.width + 2 * _PADDING, box.bottom - box.y + 1)
            self.scroll_to_region(region, animate=False)
        self.refresh()
        self.post_message(self.NodeSelected(self, key))

    def action_across(self, step: int) -> None:
        """Select the nearest node above or below."""
        if self.selected:
            self.selected = self.picture.across(self.selected, step)

    def action_beside(self, step: int) -> None:
        """Select the node on the left or right."""
        if self.selected:
            self.selected = self.picture.beside(self.selected, step)

    def action_choose(self) -> None:
        """Open the selected node."""
        if self.selected:
            self.post_message(self.NodeChosen(self, self.selected))

    def on_click(self, event: events.Click) -> None:
        """Select the node under the mouse; once more opens it."""
        place = event.get_content_offset(self)
        if place is None:
            return
        box = self.picture.box_at(place.x + self.scroll_offset.x - _PADDING - self.indent,
                                     place.y + self.scroll_offset.y)  # fmt: skip
        if box is None:
            return
        if box.key == self.selected:
            self.action_choose()
        self.selected = box.key

    @property
    def indent(self) -> int:
        """Columns that a narrow graph is moved to stand in the middle."""
        return max(self.scrollable_content_region.width - self.virtual_size.width, 0) // 2

    def render_line(self, y: int) -> Strip:
        """Return one row of the picture."""
        x, row = self.scroll_offset.x, y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if not 0 <= row < self.picture.height:
            return Strip.blank(width, self.rich_style)
        left = self.indent + _PADDING
        segments = [Segment(" " * left, self.rich_style), *self._segments(row)]
        return Strip(segments).crop_extend(x, x + width, self.rich_style)

    def _segments(self, row: int) -> list[Segment]:
        segments: list[Segment] = []
        at, line_style = 0, self.get_component_rich_style("dag--line", partial=True)
        style = self.rich_style + line_style
        for box in self._rows[row]:
            segments.append(Segment(self._line_text(row, at, box.x), style))
            segments += self._box_segments(box, row)
            at = box.x + box.width
        segments.append(Segment(self._line_text(row, at, self.picture.width), style))
        return segments

    def _line_text(self, row: int, start: int, end: int) -> str:
        return "".join(self._lines.get((x, row), " ") for x in range(start, end))

    def _box_segments(self, box: Box, row: int) -> list[Segment]:
        node, inner = self._by_key[box.key], box.width - 2
        left_top, line, right_top, side, left_low, right_low = _FRAMES[box.key == self.selected]
        style = self._style_of(node)
        if row == box.y:
            return [Segment(f"{left_top}{line * inner}{right_top}", style)]
        if row == box.bottom:
            return [Segment(f"{left_low}{line * inner}{right_low}", style)]
        text = self._text_of(node).center(inner)
        return [Segment(f"{side}{text}{side}", style)]

    def _label_width(self, node: GraphNode) -> int:
        """Return the room a label needs, also for a mark that comes while it runs."""
        from rich.cells import cell_len  # noqa: PLC0415  (Rich is loaded with Textual)

        marks = f" {node.marks}" if node.marks else ""
        heat = f" ×{self._heat[node.key]}" if self._heat.get(node.key) else ""
        return cell_len(clean(node.label) + marks + heat) + 2

    def _text_of(self, node: GraphNode) -> str:
        status = STATUS_MARKS.get(self._statuses.get(node.key, ""), "")
        marks = f" {node.marks}" if node.marks else ""
        heat = f" ×{self._heat[node.key]}" if self._heat.get(node.key) else ""
        return f"{status} {clean(node.label)}{marks}{heat}".strip()

    def _style_of(self, node: GraphNode) -> Style:
        kind = node.kind if node.kind in ("code", "tool", "agent") else "other"
        names = [f"dag--{kind}"]
        status = self._statuses.get(node.key)
        if status:
            names.append("dag--running" if status == "mending" else f"dag--{status}")
        count, most = self._heat.get(node.key, 0), max(self._heat.values(), default=0)
        if count:
            names.append(f"dag--heat{min(HEAT_LEVELS, 1 + count * (HEAT_LEVELS - 1) // max(most, 1))}")
        if node.key == self.selected:
            names.append("dag--selected")
        style = self.rich_style
        for name in names:
            style += self.get_component_rich_style(name, partial=True)
        return style
