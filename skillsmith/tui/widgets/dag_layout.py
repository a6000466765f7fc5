"""Where a graph's boxes and lines go on a grid of cells: no two boxes touch, and every edge has its line.

Layers run from top to bottom by the longest way that leads to a node. All edges that leave a node share one
line, which passes lower layers in a lane of its own and branches where it is needed; so a graph stays as
narrow as its nodes, not as wide as its edges are many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Final, TypeAlias

BOX_HEIGHT: Final = 3
GAP: Final = 3
"""Columns between two boxes of a layer."""

LANE_GAP: Final = 2
"""Columns on each side of a lane."""

SWEEPS: Final = 4
"""How often the order in the layers is improved."""

Place: TypeAlias = tuple[str, int | None]
"""An item of a layer: a node, or at a lower layer the lane of a node's line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where a node stands.

    Args:
        x: First column.
        y: First row.
        layer: From 0 at the top.
    """

    key: str
    x: int
    y: int
    width: int
    layer: int

    @property
    def centre(self) -> int:
        """The column of its lines."""
        return self.x + self.width // 2

    @property
    def bottom(self) -> int:
        """The last row."""
        return self.y + BOX_HEIGHT - 1

    def holds(self, x: int, y: int) -> bool:
        """Tell whether a cell belongs to it."""
        return self.x <= x < self.x + self.width and self.y <= y <= self.bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A straight piece of the line that leaves a node; its ends are included."""

    source: str
    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A graph on a grid.

    Args:
        boxes: By key, in reading order.
        lines: Vertical pieces and horizontal ones.
        arrows: Cells above the boxes where lines end.
        width: Columns in all.
        height: Rows in all.
    """

    boxes: Mapping[str, Box]
    lines: tuple[Line, ...]
    arrows: frozenset[tuple[int, int]]
    width: int
    height: int

    def box_at(self, x: int, y: int) -> Box | None:
        """Return the box that a cell belongs to."""
        return next((box for box in self.boxes.values() if box.holds(x, y)), None)

    def beside(self, key: str, step: int) -> str:
        """Return the node beside another in its layer; itself at the end of the layer."""
        layer = [box.key for box in self.boxes.values() if box.layer == self.boxes[key].layer]
        return layer[min(max(layer.index(key) + step, 0), len(layer) - 1)]

    def across(self, key: str, step: int) -> str:
        """Return the nearest node of the next layer down (1) or up (-1); itself where there is none."""
        box = self.boxes[key]
        found = [other for other in self.boxes.values() if other.layer == box.layer + step]
        return min(found, key=lambda other: abs(other.centre - box.centre)).key if found else key


def lay_out(widths: Mapping[str, int], edges: Iterable[tuple[str, str]]) -> Layout:
    """Lay a graph out.

    Args:
        widths: Columns of each node's box by its key; in the order that decides where nothing else does.
        edges: From and to; without circles.

    Raises:
        graphlib.CycleError: The edges go round in a circle.
    """
    if not widths:
        return Layout(boxes={}, lines=(), arrows=frozenset(), width=0, height=0)
    wide = {key: max(width, 3) | 1 for key, width in widths.items()}
    nets = _Nets(wide, edges)
    layers = _ordered(nets)
    centres = _placed(nets, layers)
    return _drawn(nets, layers, centres)


class _Nets:
    """Each node with its layer and the nodes that its line leads to."""

    def __init__(self, widths: Mapping[str, int], edges: Iterable[tuple[str, str]]) -> None:
        self.widths = widths
        self.targets: dict[str, list[str]] = {key: [] for key in widths}
        before: dict[str, list[str]] = {key: [] for key in widths}
        for source, target in dict.fromkeys(edges):
            self.targets[source].append(target)
            before[target].append(source)
        self.layer: dict[str, int] = {}
        for key in TopologicalSorter(before).static_order():
            self.layer[key] = 1 + max((self.layer[source] for source in before[key]), default=-1)
        self.depth = 1 + max(self.layer.values())

    def last(self, source: str) -> int:
        """Return the lowest layer that a node's line reaches."""
        return max((self.layer[target] for target in self.targets[source]), default=self.layer[source])

    def items(self, layer: int) -> list[Place]:
        """Return the nodes of a layer and the lanes that pass it."""
        nodes: list[Place] = [(key, None) for key in self.widths if self.layer[key] == layer]
        lanes: list[Place] = [(key, layer) for key in self.widths if self.layer[key] < layer < self.last(key)]
        return nodes + lanes

    def start(self, source: str, layer: int) -> Place:
        """Return where a node's line leaves a layer."""
        return (source, None if self.layer[source] == layer else layer)

    def ends(self, source: str, layer: int) -> list[Place]:
        """Return where a node's line goes from a layer to the next."""
        found: list[Place] = [
            (target, None) for target in self.targets[source] if self.layer[target] == layer + 1
        ]
        return [*found, (source, layer + 1)] if self.last(source) > layer + 1 else found

    def leaving(self, layer: int) -> list[str]:
        """Return the nodes whose line goes on from a layer."""
        return [key for key in self.widths if self.layer[key] <= layer < self.last(key)]

    def pairs(self, layer: int) -> list[tuple[Place, Place]]:
        """Return what is joined between a layer and the next."""
        return [
            (self.start(source, layer), end)
            for source in self.leaving(layer)
            for end in self.ends(source, layer)
        ]

    def half(self, item: Place) -> tuple[int, int]:
        """Return the columns on the left and right of an item's centre, with half of the gap."""
        if item[1] is not None:
            return LANE_GAP // 2, LANE_GAP // 2
        return self.widths[item[0]] // 2 + GAP // 2, self.widths[item[0]] // 2 + GAP // 2


def _ordered(nets: _Nets) -> list[list[Place]]:
    """Order each layer by where its neighbours stand, so that few lines cross."""
    layers = [nets.items(layer) for layer in range(nets.depth)]
    joined = [nets.pairs(layer) for layer in range(nets.depth - 1)]
    for sweep in range(SWEEPS):
        if sweep % 2 == 0:
            for layer in range(1, nets.depth):
                above = [(end, start) for start, end in joined[layer - 1]]
                layers[layer] = _by_neighbours(layers[layer], layers[layer - 1], above)
        else:
            for layer in range(nets.depth - 2, -1, -1):
                layers[layer] = _by_neighbours(layers[layer], layers[layer + 1], joined[layer])
    return layers


def _by_neighbours(
    items: Sequence[Place], others: Sequence[Place], joined: Iterable[tuple[Place, Place]]
) -> list[Place]:
    rank = {item: index for index, item in enumerate(others)}
    near: dict[Place, list[int]] = {item: [] for item in items}
    for item, other in joined:
        near[item].append(rank[other])
    scale = len(others) / max(len(items), 1)

    def key(index: int) -> tuple[float, int]:
        found = near[items[index]]
        return (sum(found) / len(found) if found else index * scale, index)

    return [items[index] for index in sorted(range(len(items)), key=key)]


def _placed(nets: _Nets, layers: Sequence[Sequence[Place]]) -> dict[Place, int]:
    """Return the centre column of every item: near its neighbours, as far apart as they are wide."""
    centres: dict[Place, float] = {}
    for items in layers:
        _spread(nets, items, dict.fromkeys(items, 0.0), centres)
    joined = [pair for layer in range(nets.depth - 1) for pair in nets.pairs(layer)]
    above: dict[Place, list[Place]] = {}
    below: dict[Place, list[Place]] = {}
    for start, end in joined:
        below.setdefault(start, []).append(end)
        above.setdefault(end, []).append(start)
    for order, near in ((layers, above), (layers[::-1], below), (layers, above)):
        for items in order:
            wanted = {
                item: sum(centres[other] for other in near[item]) / len(near[item])
                if near.get(item) else centres[item]
                for item in items
            }  # fmt: skip
            _spread(nets, items, wanted, centres)
    least = min(round(centre) - nets.half(item)[0] for item, centre in centres.items())
    return {item: round(centre) - least for item, centre in centres.items()}


def _spread(
    nets: _Nets, items: Sequence[Place], wanted: Mapping[Place, float], centres: dict[Place, float]
) -> None:
    """Place items in their order as near to where they want to be as their widths allow.

    Each is moved by the least squares: neighbours that want to be too close are moved together.
    """
    offsets = [0.0]
    for left, right in pairwise(items):
        offsets.append(offsets[-1] + nets.half(left)[1] + nets.half(right)[0] + 1)
    groups: list[tuple[float, int]] = []
    for item, offset in zip(items, offsets, strict=True):
        total, count = wanted[item] - offset, 1
        while groups and groups[-1][0] / groups[-1][1] >= total / count:
            earlier = groups.pop()
            total, count = total + earlier[0], count + earlier[1]
        groups.append((total, count))
    bases = [round(total / count) for total, count in groups for _ in range(count)]
    for item, base, offset in zip(items, bases, offsets, strict=True):
        centres[item] = base + offset


@dataclass(slots=True)
class _Drawing:
    """What is drawn so far."""

    lines: list[Line] = field(default_factory=list)
    arrows: set[tuple[int, int]] = field(default_factory=set)

    def add(self, source: str, x1: int, y1: int, x2: int, y2: int) -> None:
        """Add a piece of a line."""
        self.lines.append(Line(source=source, x1=x1, y1=y1, x2=x2, y2=y2))


def _drawn(nets: _Nets, layers: Sequence[Sequence[Place]], centres: Mapping[Place, int]) -> Layout:
    boxes: dict[str, Box] = {}
    drawing, y = _Drawing(), 0
    for layer, items in enumerate(layers):
        for key, lane in items:
            centre = centres[key, lane]
            if lane is None:
                width = nets.widths[key]
                boxes[key] = Box(key=key, x=centre - width // 2, y=y, width=width, layer=layer)
            else:
                drawing.add(key, centre, y, centre, y + BOX_HEIGHT - 1)
        y += BOX_HEIGHT
        if layer < nets.depth - 1:
            y = _draw_gap(nets, layer, y, centres, drawing)
    width = max(box.x + box.width for box in boxes.values())
    width = max(width, 1 + max((max(line.x1, line.x2) for line in drawing.lines), default=0))
    return Layout(
        boxes=boxes, lines=tuple(drawing.lines), arrows=frozenset(drawing.arrows), width=width, height=y
    )


def _draw_gap(nets: _Nets, layer: int, y: int, centres: Mapping[Place, int], drawing: _Drawing) -> int:
    """Draw the lines between two layers and return the row where the lower one begins."""
    starts = {source: centres[nets.start(source, layer)] for source in nets.leaving(layer)}
    ends = {source: [centres[end] for end in nets.ends(source, layer)] for source in starts}
    tracks = _tracks(starts, ends)
    floor = y + max(tracks.values(), default=-1) + 2
    for source, start in starts.items():
        columns = [start, *ends[source]]
        bent = min(columns) != max(columns)
        row = y + 1 + tracks[source] if bent else floor
        drawing.add(source, start, y, start, row)
        if bent:
            drawing.add(source, min(columns), row, max(columns), row)
            for column in ends[source]:
                drawing.add(source, column, row, column, floor)
        for target, lane in nets.ends(source, layer):
            if lane is None:
                drawing.arrows.add((centres[target, None], floor))
    return floor + 1


def _tracks(starts: Mapping[str, int], ends: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Give each bent line a row of its own where it would run into another, from 0 at the top.

    A line turns above every line that comes down in the column it starts from; where lines want that of
    each other, the first one gives way.
    """
    bent = [source for source in starts if any(end != starts[source] for end in ends[source])]
    over = {
        source: {other for other in bent if other != source and starts[source] in ends[other]}
        for source in bent
    }
    rows: dict[str, int] = {}
    waiting = sorted(bent, key=lambda source: starts[source])
    while waiting:
        free = next((one for one in waiting if not any(one in over[other] for other in waiting)), waiting[0])
        waiting.remove(free)
        lowest = max((rows[other] + 1 for other in rows if free in over[other]), default=0)
        rows[free] = _free_row(free, lowest, rows, starts, ends)
    return rows


def _free_row(
    source: str,
    lowest: int,
    rows: Mapping[str, int],
    starts: Mapping[str, int],
    ends: Mapping[str, Sequence[int]],
) -> int:
    def span(one: str) -> tuple[int, int]:
        columns = [starts[one], *ends[one]]
        return min(columns), max(columns)

    low, high = span(source)
    taken = {row for other, row in rows.items() if span(other)[0] - 1 <= high and low - 1 <= span(other)[1]}
    row = lowest
    while row in taken:
        row += 1
    return row
