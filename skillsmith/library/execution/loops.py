"""Nodes that are done for each item of a list: one item after the other, each with a checkpoint of its own.

So a loop that is interrupted goes on at the first item that is not settled, and no item's change is made
twice. The key of an item's work is ``NODE[INDEX]``; no node can be called so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from skillsmith.errors import ExecutionError
from skillsmith.library.execution.node_runs import Known
from skillsmith.library.program.bindings import ITEM, each_of
from skillsmith.library.program.graph import Graph, Stop
from skillsmith.models import Json

MAX_ITEMS = 1_000
"""Of one loop: a list of more is more likely a mistake than a wish."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop, with its list read.

    Args:
        stop: The node.
        items: What it is done for, in order.
        known: What all of its items can read.
    """

    stop: Stop
    items: tuple[Json, ...]
    known: Known

    def item_keys(self) -> Iterator[str]:
        """Yield the keys of the items' work, in order."""
        return (f"{self.stop.key}[{index}]" for index in range(len(self.items)))

    def item(self, index: int) -> tuple[Stop, Known]:
        """Return the node as it is done for one item, and what it can read then."""
        stop = replace(
            self.stop, key=f"{self.stop.key}[{index}]", node=replace(self.stop.node, for_each=None)
        )
        return stop, replace(self.known, inputs={**self.known.inputs, ITEM: self.items[index]})


def loop_at(stop: Stop, known: Known) -> Loop:
    """Return the loop that a node is.

    Args:
        stop: A node with ``for_each``, and its place.
        known: What it can read.

    Raises:
        ExecutionError: What it should be done for is no list, or too long a one.
    """
    assert stop.node.for_each is not None
    items = each_of(stop.node.for_each, known.inputs, known.results)
    if len(items) > MAX_ITEMS:
        raise ExecutionError(
            f"node {stop.key} would be done for {len(items):,} items; {MAX_ITEMS:,} is the most",
            hint="give a shorter list",
        )
    return Loop(stop, tuple(items), known)


def loop_key(key: str) -> str:
    """Return the key of the node that a key belongs to: its own, or that of the loop that an item is of."""
    return key.partition("[")[0]


def stop_of(graph: Graph, key: str) -> Stop | None:
    """Return the stop that a key, or the key of a loop's item, belongs to."""
    return graph.stops.get(loop_key(key))
