"""A skill's nodes as a graph to look at: what is joined, and the marks that say how a node behaves.

Edges are what an execution waits for. One that says only what others imply (an order that a longer way keeps
anyway) is left out: it would be a line without news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from skillsmith.library.program.bindings import sources
from skillsmith.library.program.conditions import names_in
from skillsmith.library.program.validation import bindings_of, expressions_of
from skillsmith.models import FromNode, Node, Skill

FOR_EACH: Final = "↻"
CONDITION: Final = "◇"
OPTIONAL: Final = "○"
WRITES: Final = "✎"

LEGEND: Final = (
    (FOR_EACH, "for each item"), (CONDITION, "on a condition"), (OPTIONAL, "may fail"),
    (WRITES, "changes things"),
)  # fmt: skip

STATUS_MARKS: Final[Mapping[str, str]] = {
    "running": "▶", "done": "✓", "failed": "✗", "skipped": "–", "mending": "⚒",
}  # fmt: skip

MAX_LABEL: Final = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """One node as it is drawn.

    Args:
        key: The node's id.
        label: What stands in its box.
        marks: How it behaves, a sign each.
    """

    key: str
    label: str
    kind: str
    marks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillGraph:
    """Nodes in the skill's order, and what is joined: from and to."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[tuple[str, str], ...]


def graph_of(skill: Skill) -> SkillGraph:
    """Return the graph of a skill; sub-skills are one node each."""
    return SkillGraph(nodes=tuple(map(_drawn, skill.nodes)), edges=tuple(_edges(skill.nodes)))


def _drawn(node: Node) -> GraphNode:
    name = node.tool or node.title or (node.template.text.strip().split("\n")[0] if node.template else "")
    text = f"{node.id} {' '.join(name.split()) or node.kind}"
    label = text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"
    return GraphNode(key=node.id, label=label, kind=node.kind, marks=marks_of(node))


def marks_of(node: Node) -> str:
    """Return the signs of a node: for each item, on a condition, may fail, changes things."""
    found = (
        (FOR_EACH, node.for_each is not None),
        (CONDITION, node.condition is not None),
        (OPTIONAL, node.optional),
        (WRITES, node.effect == "write" and node.kind in ("tool", "agent")),
    )
    return "".join(mark for mark, holds in found if holds)


def reads(node: Node, ids: Iterable[str]) -> set[str]:
    """Return the nodes whose results a node reads, in bindings and in expressions."""
    used = {
        source.node
        for _, binding in bindings_of(node)
        for source in sources(binding)
        if isinstance(source, FromNode)
    }
    for _, expression in expressions_of(node):
        used |= names_in(expression)
    return used & set(ids)


def _edges(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    ids = [node.id for node in nodes]
    flows = {node.id: reads(node, ids) for node in nodes}
    before = {node.id: flows[node.id] | (set(node.after) & set(ids)) for node in nodes}
    above: dict[str, set[str]] = {}

    def earlier(key: str) -> set[str]:
        if key not in above:
            above[key] = set()  # a circle, which no stored skill has, ends here
            above[key] = before[key].union(*(earlier(one) for one in before[key]))
        return above[key]

    found = []
    for key in ids:
        implied = set().union(*(earlier(one) for one in before[key])) - flows[key]
        found += [(one, key) for one in ids if one in before[key] - implied]
    return found
