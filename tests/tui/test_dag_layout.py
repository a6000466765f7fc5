"""Graphs are drawn whole: no boxes overlap, every edge has its line, and one can walk to every node."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skills_world import PLOT

from skillsmith.models import Node
from skillsmith.tui.widgets.dag import line_cells
from skillsmith.tui.widgets.dag_layout import BOX_HEIGHT, Layout, lay_out
from skillsmith.tui.widgets.dag_model import graph_of, marks_of


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Draw nodes with widths, and edges from earlier to later ones."""
    widths = draw(st.lists(st.integers(3, 30), min_size=1, max_size=14))
    keys = [f"n{number}" for number in range(len(widths))]
    pairs = list(combinations(keys, 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    return dict(zip(keys, widths, strict=True)), edges


def cells_of(layout: Layout, source: str) -> set[tuple[int, int]]:
    """Return the cells of the line that leaves a node."""
    cells = set()
    for line in layout.lines:
        if line.source == source:
            cells |= {
                (x, y)
                for x in range(min(line.x1, line.x2), max(line.x1, line.x2) + 1)
                for y in range(line.y1, line.y2 + 1)
            }
    return cells


def reached(cells: set[tuple[int, int]], start: tuple[int, int]) -> set[tuple[int, int]]:
    """Return the cells that hang together with a cell."""
    seen, waiting = set(), [start]
    while waiting:
        x, y = waiting.pop()
        if (x, y) in cells and (x, y) not in seen:
            seen.add((x, y))
            waiting += [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)]
    return seen


@given(graphs())
@settings(max_examples=150)
def test_boxes_never_overlap_and_stand_below_what_they_need(
    graph: tuple[dict[str, int], list[tuple[str, str]]],
) -> None:
    """Every node has a box of its own inside the picture, lower than all that leads to it."""
    widths, edges = graph
    layout = lay_out(widths, edges)
    assert set(layout.boxes) == set(widths)
    taken: set[tuple[int, int]] = set()
    for box in layout.boxes.values():
        cells = {(x, y) for x in range(box.x, box.x + box.width) for y in range(box.y, box.y + BOX_HEIGHT)}
        assert not cells & taken
        taken |= cells
        assert box.x >= 0
        assert box.x + box.width <= layout.width
        assert box.bottom < layout.height
    for source, target in edges:
        assert layout.boxes[source].bottom < layout.boxes[target].y


@given(graphs())
@settings(max_examples=150)
def test_every_edge_is_a_connected_line_that_passes_no_box(
    graph: tuple[dict[str, int], list[tuple[str, str]]],
) -> None:
    """From below a node its line leads to the arrow above each node that needs it, around all boxes."""
    widths, edges = graph
    layout = lay_out(widths, edges)
    drawn = line_cells(layout)
    for source, target in edges:
        start, end = layout.boxes[source], layout.boxes[target]
        cells = cells_of(layout, source)
        assert (end.centre, end.y - 1) in reached(cells, (start.centre, start.bottom + 1))
        assert (end.centre, end.y - 1) in layout.arrows
        assert cells <= set(drawn)
        assert not any(box.holds(x, y) for x, y in cells for box in layout.boxes.values())


@given(graphs())
@settings(max_examples=60)
def test_every_node_can_be_walked_to(graph: tuple[dict[str, int], list[tuple[str, str]]]) -> None:
    """Up, down, left and right lead from any node to any other."""
    layout = lay_out(*graph)
    first = next(iter(layout.boxes))
    seen, waiting = {first}, [first]
    while waiting:
        key = waiting.pop()
        for near in (
            *(layout.across(key, step) for step in (-1, 1)),
            *(layout.beside(key, step) for step in (-1, 1)),
        ):
            if near not in seen:
                seen.add(near)
                waiting.append(near)
    assert seen == set(layout.boxes)


def test_an_order_that_others_imply_is_left_out() -> None:
    """An edge that only repeats a longer way is not drawn; one that carries a result is."""
    skill = replace(
        PLOT, output_bindings={},
        nodes=tuple(
            Node(id=key, kind="tool", tool="t", after=after)
            for key, after in (("n1", ()), ("n2", ("n1",)), ("n3", ("n1", "n2")))
        ),
    )  # fmt: skip
    assert graph_of(skill).edges == (("n1", "n2"), ("n2", "n3"))
    assert ("n1", "n3") in graph_of(PLOT).edges


@pytest.mark.parametrize(("key", "marks"), [("n1", ""), ("n3", "↻"), ("n6", "○✎"), ("n7", "◇")])
def test_marks_say_how_a_node_behaves(key: str, marks: str) -> None:
    """Loops, conditions, what may fail and what changes things have each their sign."""
    assert marks_of(next(node for node in PLOT.nodes if node.id == key)) == marks
