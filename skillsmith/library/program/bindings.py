"""Bindings as JSON, and their values when a skill runs.

One reading of results serves extraction, proof and execution: a flow that reconstructs a recorded call
reads the same way in a live one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from skillsmith.errors import InvalidSkillFileError
from skillsmith.library.program.structures import opened
from skillsmith.library.program.values import (
    NOTHING,
    UnresolvedError,
    as_text,
    cast_to,
    normalise_result,
    pick,
    same,
    take,
)
from skillsmith.models import (
    Between,
    Binding,
    Constant,
    Each,
    FromInput,
    FromItem,
    FromNode,
    Json,
    ListOf,
    ObjectOf,
    PathStep,
    Text,
    Where,
)

__all__ = [
    "ITEM", "UnresolvedError", "as_text", "each_of", "from_json", "leaves", "normalise_result", "reads_item",
    "rename_inputs", "rename_nodes", "resolve", "same", "show", "show_path", "sources", "take", "to_json",
]  # fmt: skip

ITEM = ""
"""Under this name, which no input can have, a loop passes on the item it is at."""


def resolve(binding: Binding, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Json:  # noqa: C901, PLR0911  (one case a form)
    """Return a binding's value.

    Args:
        binding: What to look up.
        inputs: Values of the skill's inputs by name.
        results: Normalised results of finished nodes by id.

    Raises:
        UnresolvedError: An input has no value, a node no result, or a path leads nowhere.
    """
    match binding:
        case Constant(value):
            return value
        case FromInput(name, cast):
            if name not in inputs:
                raise UnresolvedError(f"the input {name!r} has no value", hint=f"give --set {name}=VALUE")
            return cast_to(inputs[name], cast)
        case FromNode(node, path, cast):
            if node not in results:
                raise UnresolvedError(f"node {node} has no result to read from")
            where = f"the result of node {node}"
            return cast_to(_follow(where, results[node], path, inputs, results), cast)
        case FromItem(path, cast):
            if ITEM not in inputs:
                raise UnresolvedError("there is no item to read from: it stands in no loop")
            return cast_to(_follow("the item", inputs[ITEM], path, inputs, results), cast)
        case Each(items, value):
            return [
                resolve(value, {**inputs, ITEM: item}, results) for item in each_of(items, inputs, results)
            ]
        case Text(parts):
            return "".join(
                part if isinstance(part, str) else as_text(resolve(part, inputs, results)) for part in parts
            )
        case ListOf(items):
            return [resolve(item, inputs, results) for item in items]
        case ObjectOf(fields):
            return {name: resolve(item, inputs, results) for name, item in fields}


def each_of(items: Binding, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> list[Json]:
    """Return the items of a loop.

    Args:
        items: Where they come from.
        inputs: Values of the skill's inputs by name.
        results: Normalised results of finished nodes by id.

    Raises:
        UnresolvedError: It has no value, or that is no list.
    """
    found = opened(resolve(items, inputs, results))
    if not isinstance(found, list):
        raise UnresolvedError(f"{show(items)} should be a list, and is {as_text(found)[:80]}")
    return found


def _follow(
    where: str,
    value: Json,
    path: tuple[PathStep, ...],
    inputs: Mapping[str, Json],
    results: Mapping[str, Json],
) -> Json:
    for depth, step in enumerate(path):
        if isinstance(step, Where):
            value = pick(value, step, resolve(step.equals, inputs, results))
        else:
            value = take(value, step)
        if value is NOTHING:
            raise UnresolvedError(f"{where} has nothing at {show_path(path[: depth + 1])}")
    return value


def show_path(path: tuple[PathStep, ...]) -> str:
    """Write a path for people: ``flights[0].date``, ``payment_methods[last_four=…].id``."""
    text = ""
    for step in path:
        match step:
            case int():
                text += f"[{step}]"
            case Where(field, equals):
                text += f"[{field}={show(equals)}]"
            case Between(before, after):
                text += f"‹{before}…{after}›"
            case _:
                text += f".{step}" if text else str(step)
    return text or "whole result"


def show(binding: Binding) -> str:  # noqa: PLR0911  (one case a form)
    """Write a binding for people."""
    match binding:
        case Constant(value):
            return as_text(value) if not isinstance(value, str) else repr(value)
        case FromInput(name):
            return f"{{{name}}}"
        case FromNode(node, path):
            return f"{node} → {show_path(path)}"
        case FromItem(path):
            return f"item → {show_path(path)}" if path else "item"
        case Each(items, value):
            return f"[{show(value)} for each item of {show(items)}]"
        case Text(parts):
            return "".join(part if isinstance(part, str) else f"‹{show(part)}›" for part in parts)
        case ListOf(items):
            return "[" + ", ".join(map(show, items)) + "]"
        case ObjectOf(fields):
            return "{" + ", ".join(f"{name}: {show(item)}" for name, item in fields) + "}"


def leaves(
    binding: Binding, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Binding]]:
    """Yield every non-container binding with its path inside the argument."""
    match binding:
        case ListOf(items):
            for index, item in enumerate(items):
                yield from leaves(item, (*path, index))
        case ObjectOf(fields):
            for name, item in fields:
                yield from leaves(item, (*path, name))
        case _:
            yield path, binding


def sources(binding: Binding) -> Iterator[FromInput | FromNode]:  # noqa: C901  (one case a form)
    """Yield every input and node that a binding reads, also inside text and selectors."""
    match binding:
        case FromInput():
            yield binding
        case FromNode(_, path):
            yield binding
            yield from _steps_sources(path)
        case FromItem(path):
            yield from _steps_sources(path)
        case Each(items, value):
            yield from sources(items)
            yield from sources(value)
        case Text(parts):
            for part in parts:
                if not isinstance(part, str):
                    yield from sources(part)
        case ListOf(items):
            for item in items:
                yield from sources(item)
        case ObjectOf(fields):
            for _, item in fields:
                yield from sources(item)
        case Constant():
            return


def _steps_sources(path: tuple[PathStep, ...]) -> Iterator[FromInput | FromNode]:
    for step in path:
        if isinstance(step, Where):
            yield from sources(step.equals)


def reads_item(binding: Binding) -> bool:  # noqa: PLR0911  (one case a form)
    """Tell whether a binding reads the item of a loop around it."""
    match binding:
        case FromItem():
            return True
        case FromNode(_, path):
            return any(isinstance(step, Where) and reads_item(step.equals) for step in path)
        case Text(parts):
            return any(not isinstance(part, str) and reads_item(part) for part in parts)
        case ListOf(items):
            return any(map(reads_item, items))
        case ObjectOf(fields):
            return any(reads_item(item) for _, item in fields)
        case Each(items, _):
            return reads_item(items)
        case _:
            return False


def rename_nodes(binding: Binding, names: Mapping[str, str]) -> Binding:
    """Return the binding with node ids replaced."""
    return _replaced(binding, nodes=names, inputs={})


def rename_inputs(binding: Binding, names: Mapping[str, str]) -> Binding:
    """Return the binding with names of inputs replaced, those that are in ``names``."""
    return _replaced(binding, nodes={}, inputs=names)


def _replaced(binding: Binding, *, nodes: Mapping[str, str], inputs: Mapping[str, str]) -> Binding:  # noqa: C901, PLR0911  (one case a form)
    def again(part: Binding) -> Binding:
        return _replaced(part, nodes=nodes, inputs=inputs)

    def steps(path: tuple[PathStep, ...]) -> tuple[PathStep, ...]:
        return tuple(
            Where(step.field, again(step.equals)) if isinstance(step, Where) else step for step in path
        )

    match binding:
        case FromInput(name, cast):
            return FromInput(inputs.get(name, name), cast)
        case FromNode(node, path, cast):
            return FromNode(nodes.get(node, node), steps(path), cast)
        case FromItem(path, cast):
            return FromItem(steps(path), cast)
        case Each(items, value):
            return Each(again(items), again(value))
        case Text(parts):
            return Text(tuple(part if isinstance(part, str) else again(part) for part in parts))
        case ListOf(items):
            return ListOf(tuple(again(item) for item in items))
        case ObjectOf(fields):
            return ObjectOf(tuple((name, again(item)) for name, item in fields))
        case Constant():
            return binding


def to_json(binding: Binding) -> Json:  # noqa: PLR0911  (one case a form)
    """Write a binding as JSON; ``from_json`` reads it back."""
    match binding:
        case Constant(value):
            return {"const": value}
        case FromInput(name, cast):
            return {"input": name} | ({"cast": cast} if cast else {})
        case FromNode(node, path, cast):
            steps = [_step_to_json(step) for step in path]
            return {"node": node, "path": steps} | ({"cast": cast} if cast else {})
        case FromItem(path, cast):
            return {"item": [_step_to_json(step) for step in path]} | ({"cast": cast} if cast else {})
        case Each(items, value):
            return {"each": to_json(items), "value": to_json(value)}
        case Text(parts):
            return {"text": [part if isinstance(part, str) else to_json(part) for part in parts]}
        case ListOf(items):
            return {"list": [to_json(item) for item in items]}
        case ObjectOf(fields):
            return _object_to_json([[name, to_json(item)] for name, item in fields])


def _object_to_json(pairs: list[list[Json]]) -> Json:
    if all(one[0] < other[0] for one, other in pairwise(pairs)):
        return {"object": dict(pairs)}
    return {"fields": pairs}  # files sort their keys, which would lose the order


def _step_to_json(step: PathStep) -> Json:
    match step:
        case Where(field, equals):
            return {"where": field, "equals": to_json(equals)}
        case Between(before, after, occurrence):
            return {"between": [before, after], "occurrence": occurrence}
        case _:
            return step


def from_json(data: Json) -> Binding:
    """Read a binding.

    Raises:
        InvalidSkillFileError: It has none of the known forms.
    """
    try:
        for key, read in _READERS.items():
            if key in data:
                return read(data)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InvalidSkillFileError(f"not a binding: {as_text(data)[:80]}") from error
    raise InvalidSkillFileError(f"not a binding: {as_text(data)[:80]}")


def _step_from_json(step: Json) -> PathStep:
    if isinstance(step, dict) and "where" in step:
        return Where(str(step["where"]), from_json(step["equals"]))
    if isinstance(step, dict):
        before, after = step["between"]
        return Between(str(before), str(after), int(step.get("occurrence", 0)))
    if isinstance(step, bool) or not isinstance(step, (str, int)):
        raise TypeError(step)
    return step


_READERS: Mapping[str, Callable[[Json], Binding]] = {
    "const": lambda data: Constant(data["const"]),
    "input": lambda data: FromInput(str(data["input"]), data.get("cast")),
    "node": lambda data: FromNode(
        str(data["node"]), tuple(_step_from_json(step) for step in data["path"]), data.get("cast")
    ),
    "item": lambda data: FromItem(tuple(_step_from_json(step) for step in data["item"]), data.get("cast")),
    "each": lambda data: Each(from_json(data["each"]), from_json(data["value"])),
    "text": lambda data: Text(
        tuple(part if isinstance(part, str) else from_json(part) for part in data["text"])
    ),
    "list": lambda data: ListOf(tuple(from_json(item) for item in data["list"])),
    "object": lambda data: ObjectOf(
        tuple((str(name), from_json(item)) for name, item in data["object"].items())
    ),
    "fields": lambda data: ObjectOf(tuple((str(name), from_json(item)) for name, item in data["fields"])),
}
