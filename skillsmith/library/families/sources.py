"""What a step's arguments could come from in the runs of a family: bindings tried on recorded results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from skillsmith.library.program.bindings import ITEM, UnresolvedError, resolve, sources
from skillsmith.library.program.structures import opened
from skillsmith.library.trace.align import TracedRun
from skillsmith.library.trace.calls import Call
from skillsmith.library.trace.results import as_exact
from skillsmith.models import Binding, Each, FromItem, FromNode, Json, ListOf, ObjectOf


def given(call: Call) -> dict[str, Json]:
    """Return the arguments of a call that has them."""
    return call.arguments or {}


def looks_before(run: TracedRun, tool: str, seq: int) -> list[Call]:
    """Return a run's successful calls of a tool whose result was known before an event."""
    return [
        call for call in run.calls
        if call.name == tool and call.known_before(seq) and call.arguments is not None and not call.routes
    ]  # fmt: skip


def gives(binding: Binding, results: Mapping[str, Json], value: Json, *, item: Json = None) -> bool:
    """Tell whether a binding gives exactly this value."""
    try:
        return as_exact(resolve(binding, {ITEM: item}, results)) == as_exact(value)
    except UnresolvedError:
        return False


def part_of(binding: Binding | None, step: str | int) -> Binding | None:
    """Return the binding of a part of an object or a list."""
    match binding, step:
        case ObjectOf(fields), str():
            return dict(fields).get(step)
        case ListOf(items), int():
            return items[step] if step < len(items) else None
        case _:
            return None


def fields_to(value: Json, wanted: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the field names on the way to each leaf that holds a value."""
    value = opened(value)
    if isinstance(value, dict):
        for name, item in value.items():
            yield from fields_to(item, wanted, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from fields_to(item, wanted, path)
    elif as_exact(value) == as_exact(wanted):
        yield path


def as_each(binding: Binding) -> Each | None:
    """Return a list whose items all come from the items of one list as ``Each``, told from its first item."""
    if not isinstance(binding, ListOf) or not binding.items:
        return None
    inner = [source for source in sources(binding.items[0]) if isinstance(source, FromNode)]
    for depth, step in enumerate(inner[0].path if inner else ()):
        if step != 0:
            continue
        head = inner[0].path[:depth]
        if all(one.node == inner[0].node and one.path[: depth + 1] == (*head, 0) for one in inner):
            return Each(FromNode(inner[0].node, head), _itemised(binding.items[0], depth + 1))
    return None


def _itemised(binding: Binding, depth: int) -> Binding:
    """Return a binding with its paths into the list's item read from the item."""
    match binding:
        case FromNode(_, path, cast):
            return FromItem(path[depth:], cast)
        case ObjectOf(fields):
            return ObjectOf(tuple((name, _itemised(one, depth)) for name, one in fields))
        case ListOf(items):
            return ListOf(tuple(_itemised(one, depth) for one in items))
        case _:
            return binding


def node_of(binding: Each) -> str:
    """Return the node whose result a list is made from."""
    return next(source.node for source in sources(binding) if isinstance(source, FromNode))


def moved(binding: Each, node: str) -> Each:
    """Return the list made from another node's result."""
    assert isinstance(binding.items, FromNode)
    return replace(binding, items=replace(binding.items, node=node))


def field_of(name: str, binding: Binding | None, node: str, source: Call, call: Call) -> Binding | None:
    """Return what of a looked-up result an argument is: as it was traced there, or the field of its name."""
    value = given(call)[name]
    if isinstance(binding, FromNode) and binding.node == node:
        direct: Binding = FromItem(binding.path, binding.cast)
        if gives(direct, {}, value, item=source.result):
            return direct
    made = as_each(binding) if binding else None
    if made is not None and node_of(made) == node and isinstance(made.items, FromNode):
        return Each(FromItem(made.items.path), made.value)
    named = FromItem((name,))
    return named if gives(named, {}, value, item=source.result) else None
