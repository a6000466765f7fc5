"""Bindings as JSON, and their values when a skill runs.

One reading of results serves extraction, proof and execution: a flow that reconstructs a recorded call
reads the same way in a live one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from skillsmith.errors import ExecutionError, InvalidSkillFileError
from skillsmith.events import dump_json, parse_json
from skillsmith.models import (
    Between,
    Binding,
    Constant,
    FromInput,
    FromNode,
    Json,
    ListOf,
    ObjectOf,
    PathStep,
    Text,
    Where,
)


class UnresolvedError(ExecutionError):
    """A binding finds nothing where it points."""


def normalise_result(value: Json) -> Json:
    """Return a tool's result as JSON where it is JSON: text that parses is read, other text stays text."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value)
    except ValueError:
        return value


def resolve(binding: Binding, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> Json:
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
            return _cast(inputs[name], cast)
        case FromNode(node, path, cast):
            if node not in results:
                raise UnresolvedError(f"node {node} has no result to read from")
            return _cast(_follow(node, results[node], path, inputs, results), cast)
        case Text(parts):
            return "".join(
                part if isinstance(part, str) else as_text(resolve(part, inputs, results)) for part in parts
            )
        case ListOf(items):
            return [resolve(item, inputs, results) for item in items]
        case ObjectOf(fields):
            return {name: resolve(item, inputs, results) for name, item in fields}


def as_text(value: Json) -> str:
    """Write a value into text: strings as they are, everything else as compact JSON."""
    return value if isinstance(value, str) else dump_json(value).lstrip()


def _cast(value: Json, cast: str | None) -> Json:
    try:
        if cast == "string":
            return as_text(value)
        if cast == "integer":
            return value if isinstance(value, int) else _integral(float(value))
        if cast == "number":
            return float(value)
    except (TypeError, ValueError) as error:
        raise UnresolvedError(f"{value!r} is no {cast}") from error
    return value


def _integral(value: float) -> int:
    if not value.is_integer():
        raise ValueError(value)
    return int(value)


def _follow(
    node: str,
    value: Json,
    path: tuple[PathStep, ...],
    inputs: Mapping[str, Json],
    results: Mapping[str, Json],
) -> Json:
    for depth, step in enumerate(path):
        if isinstance(step, Where):
            value = _where(value, step, resolve(step.equals, inputs, results))
        else:
            value = take(value, step)
        if value is _NOTHING:
            raise UnresolvedError(f"the result of node {node} has nothing at {show_path(path[: depth + 1])}")
    return value


_NOTHING = object()


def take(value: Json, step: str | int | Between) -> Json:
    """Return what one plain path step leads to, or a sentinel that no JSON value equals."""
    if isinstance(step, Between):
        return _between(value, step)
    if isinstance(value, str):
        value = normalise_result(value)
    if isinstance(step, int) and isinstance(value, list) and -len(value) <= step < len(value):
        return value[step]
    if isinstance(step, str) and isinstance(value, dict) and step in value:
        return value[step]
    return _NOTHING


def _between(value: Json, step: Between) -> Json:
    text = as_text(value)
    start = 0
    for _ in range(step.occurrence + 1):
        found = text.find(step.before, start)
        if found < 0:
            return _NOTHING
        start = found + len(step.before)
    if not step.after:
        return text[start:]
    end = text.find(step.after, start)
    return _NOTHING if end < 0 else text[start:end]


def _where(value: Json, step: Where, wanted: Json) -> Json:
    if isinstance(value, str):
        value = normalise_result(value)
    items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    for item in items:
        if isinstance(item, dict) and step.field in item and same(item[step.field], wanted):
            return item
    return _NOTHING


def same(one: Json, other: Json) -> bool:
    """Tell whether two scalars mean the same: equal, or equal as text but for case (``7`` and ``"7"``)."""
    return one == other or as_text(one).casefold() == as_text(other).casefold()


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


def show(binding: Binding) -> str:
    """Write a binding for people."""
    match binding:
        case Constant(value):
            return as_text(value) if not isinstance(value, str) else repr(value)
        case FromInput(name):
            return f"{{{name}}}"
        case FromNode(node, path):
            return f"{node} → {show_path(path)}"
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
            for step in path:
                if isinstance(step, Where):
                    yield from sources(step.equals)
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


def rename_nodes(binding: Binding, names: Mapping[str, str]) -> Binding:
    """Return the binding with node ids replaced."""
    return _replaced(binding, nodes=names, inputs={})


def rename_inputs(binding: Binding, names: Mapping[str, str]) -> Binding:
    """Return the binding with names of inputs replaced, those that are in ``names``."""
    return _replaced(binding, nodes={}, inputs=names)


def _replaced(binding: Binding, *, nodes: Mapping[str, str], inputs: Mapping[str, str]) -> Binding:
    def again(part: Binding) -> Binding:
        return _replaced(part, nodes=nodes, inputs=inputs)

    match binding:
        case FromInput(name, cast):
            return FromInput(inputs.get(name, name), cast)
        case FromNode(node, path, cast):
            steps = tuple(
                Where(step.field, again(step.equals)) if isinstance(step, Where) else step for step in path
            )
            return FromNode(nodes.get(node, node), steps, cast)
        case Text(parts):
            return Text(tuple(part if isinstance(part, str) else again(part) for part in parts))
        case ListOf(items):
            return ListOf(tuple(again(item) for item in items))
        case ObjectOf(fields):
            return ObjectOf(tuple((name, again(item)) for name, item in fields))
        case Constant():
            return binding


def to_json(binding: Binding) -> Json:
    """Write a binding as JSON; ``from_json`` reads it back."""
    match binding:
        case Constant(value):
            return {"const": value}
        case FromInput(name, cast):
            return {"input": name} | ({"cast": cast} if cast else {})
        case FromNode(node, path, cast):
            steps = [_step_to_json(step) for step in path]
            return {"node": node, "path": steps} | ({"cast": cast} if cast else {})
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
    "text": lambda data: Text(
        tuple(part if isinstance(part, str) else from_json(part) for part in data["text"])
    ),
    "list": lambda data: ListOf(tuple(from_json(item) for item in data["list"])),
    "object": lambda data: ObjectOf(
        tuple((str(name), from_json(item)) for name, item in data["object"].items())
    ),
    "fields": lambda data: ObjectOf(tuple((str(name), from_json(item)) for name, item in data["fields"])),
}
