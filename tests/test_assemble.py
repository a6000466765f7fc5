from __future__ import annotations

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.library.extraction.assemble import ordered, outputs
from skillsmith.models import Effect, FromNode, Node


def node(number: int, effect: Effect, *sources: str) -> Node:
    """Return a tool node that reads from others."""
    arguments = {f"a{index}": FromNode(source) for index, source in enumerate(sources)}
    return Node(id=f"n{number}", kind="tool", tool="t", effect=effect, arguments=arguments)


def test_reads_between_two_writes_may_run_side_by_side() -> None:
    """Independent reads wait for the last write only, and the next write waits for them."""
    nodes = ordered([node(1, "write"), node(2, "read"), node(3, "read"), node(4, "write")])
    assert [one.after for one in nodes] == [(), ("n1",), ("n1",), ("n1", "n2", "n3")]


def test_data_flow_orders_reads() -> None:
    """A read that uses another's result comes after it."""
    nodes = ordered([node(1, "read"), node(2, "read", "n1")])
    assert nodes[1].after == ("n1",)


@given(st.lists(st.sampled_from(["read", "write"]), max_size=8))
def test_no_read_crosses_a_write(effects: list[Effect]) -> None:
    """Between a read and a write there is always an order, in the direction of the run."""
    nodes = ordered([node(number, effect) for number, effect in enumerate(effects)])
    reachable: dict[str, set[str]] = {}
    for one in nodes:
        reachable[one.id] = set(one.after).union(*(reachable[before] for before in one.after))
    for index, later in enumerate(nodes):
        for earlier in nodes[:index]:
            if "write" in (later.effect, earlier.effect):
                assert earlier.id in reachable[later.id]


def test_outputs_are_the_last_change_or_all_reads() -> None:
    """The last write's result is the output; a skill that only looks gives all it saw."""
    nodes = [node(1, "read"), node(2, "write")]
    results = {"n1": {"a": 1}, "n2": {"status": "done", "items": [1, 2]}}
    schema, bindings = outputs(nodes, results)
    assert bindings == {"result": FromNode("n2")}
    jsonschema.validate({"result": results["n2"]}, schema)
    _, bindings = outputs([*nodes[:1], node(3, "read")], {"n1": 1, "n3": 2})
    assert set(bindings) == {"result_n1", "result_n3"}
