"""Put nodes together: tool nodes from a flow, the order between them, and a skill's outputs.

What changes something keeps its order; what only looks may run side by side with other reads, but never
crosses a change: it could see another state than the run did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from skillsmith.library.dataflow import BoundCall, Flow
from skillsmith.library.extraction.describe import schema_of
from skillsmith.library.program.bindings import sources
from skillsmith.models import Binding, FromNode, Json, Node


def tool_nodes(flow: Flow) -> list[Node]:
    """Return a node for each kept call, without the order between them."""
    return [_tool_node(flow.names[f"call{bound.call.seq}"], bound) for bound in flow.kept]


def _tool_node(node_id: str, bound: BoundCall) -> Node:
    call = bound.call
    return Node(
        id=node_id, kind="tool", title=call.name.replace("_", " "), agent=call.agent, tool=call.name,
        arguments=dict(bound.arguments), effect=call.effect,
        source_seqs=tuple(seq for seq in (call.seq, call.result_seq) if seq),
    )  # fmt: skip


def ordered(nodes: Sequence[Node], edges: Mapping[str, Sequence[str]] | None = None) -> tuple[Node, ...]:
    """Return the nodes with ``after`` set: data flow, the given edges, and the order of changes.

    Args:
        nodes: In the run's order.
        edges: Further predecessors by node id (files between code blocks).
    """
    result: list[Node] = []
    last_write: str | None = None
    reads_since: list[str] = []
    for node in nodes:
        needed = set((edges or {}).get(node.id, ())) | _flows(node)
        if last_write:
            needed.add(last_write)
        if node.effect == "write":
            needed.update(reads_since)
            last_write, reads_since = node.id, []
        else:
            reads_since.append(node.id)
        result.append(replace(node, after=tuple(other.id for other in nodes if other.id in needed)))
    return tuple(result)


def _flows(node: Node) -> set[str]:
    bindings = [*node.arguments.values(), *node.bindings.values()]
    bindings += [use.path for use in (*node.reads, *node.writes)]
    bindings += [] if node.for_each is None else [node.for_each]
    return {
        source.node for binding in bindings for source in sources(binding) if isinstance(source, FromNode)
    }


def outputs(nodes: Sequence[Node], results: Mapping[str, Json]) -> tuple[dict[str, Any], dict[str, Binding]]:
    """Return the output schema and bindings: results of the changes, or of all reads when nothing changes.

    Args:
        nodes: The skill's nodes.
        results: Recorded results by node id.
    """
    goals = [node for node in nodes if node.effect == "write" and node.id in results]
    goals = goals[-1:] or [node for node in nodes if node.id in results]
    names = {node.id: "result" if len(goals) == 1 else f"result_{node.id}" for node in goals}
    properties = {names[node.id]: schema_of(results[node.id]) for node in goals}
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    return (schema if goals else {"type": "object"}), {names[node.id]: FromNode(node.id) for node in goals}


Outputs: TypeAlias = "tuple[Mapping[str, Any], Mapping[str, Binding]]"


def merged(first: Outputs, second: Outputs) -> tuple[dict[str, Any], dict[str, Binding]]:
    """Return two sets of outputs as one; a name that both have gets a number in the second."""
    schema, bindings = dict(first[0]), dict(first[1])
    properties = dict(schema.get("properties", {}))
    for name, binding in second[1].items():
        free, number = name, 2
        while free in bindings:
            free, number = f"{name}_{number}", number + 1
        bindings[free] = binding
        properties[free] = second[0]["properties"][name]
    if properties:
        schema |= {"properties": properties, "required": sorted(properties)}
    return schema, bindings
