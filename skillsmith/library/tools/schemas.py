"""What models are told about tools: name, purpose and a JSON Schema of the arguments.

A tool source that knows better says so itself (``DescribedTools``); for plain functions, signature and
docstring are the source, and what an annotation does not say is left open.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from skillsmith.models import Json, ToolSource
from skillsmith.models.protocols import DescribedTools

MAX_DESCRIPTION_CHARS = 1000
"""Providers refuse longer ones than 1,024."""

_TYPES: Mapping[Any, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object",
    tuple: "array", set: "array", bytes: "string", type(None): "null",
}  # fmt: skip


def schema_of(tools: ToolSource, name: str) -> dict[str, Json]:
    """Return the JSON Schema of a tool's arguments, with what it does as ``description``."""
    if isinstance(tools, DescribedTools):
        return {"type": "object", "properties": {}, **tools.schema(name)}
    return {"type": "object", "properties": {}, "additionalProperties": True}


def function_schema(function: Callable[..., Any]) -> dict[str, Json]:
    """Return the JSON Schema of a function's arguments, from its signature and docstring."""
    description = (inspect.getdoc(function) or "").strip()[:MAX_DESCRIPTION_CHARS]
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in callables do not tell theirs
        return {"type": "object", "properties": {}, "additionalProperties": True, "description": description}
    hints = _hints(function)
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {one.name: _property(one, hints.get(one.name, one.empty)) for one in named},
        "required": [one.name for one in named if one.default is one.empty],
        "additionalProperties": any(one.kind is one.VAR_KEYWORD for one in parameters),
    }
    return {**schema, "description": description} if description else schema


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001  (annotations are foreign code; what cannot be read is left open)
        return {}


def _property(parameter: inspect.Parameter, hint: Any) -> dict[str, Json]:
    schema = _type_schema(hint)
    default = parameter.default
    if default is not parameter.empty and isinstance(default, (str, int, float, bool)):
        schema["default"] = default
    return schema


def _type_schema(hint: Any) -> dict[str, Json]:
    """Return the schema of one annotation; an empty one allows everything."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _type_schema(arguments[0])
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type_schema(one) for one in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return {"enum": [one.value for one in hint]}
    kind = _kind(origin or hint)
    return {} if kind is None else {"type": kind, **_inner(kind, arguments)}


def _inner(kind: str, arguments: tuple[Any, ...]) -> dict[str, Json]:
    """Return what a list's items or a dictionary's values are."""
    items = [one for one in arguments if one is not Ellipsis]
    if kind == "array" and len(items) == 1:
        return {"items": _type_schema(items[0])}
    if kind == "object" and len(items) == 2:  # noqa: PLR2004  (keys and values)
        return {"additionalProperties": _type_schema(items[1])}
    return {}


def _kind(plain: Any) -> str | None:
    if plain in _TYPES:
        return _TYPES[plain]
    if inspect.isclass(plain) and issubclass(plain, Mapping):
        return "object"
    if inspect.isclass(plain) and issubclass(plain, Sequence):
        return "array"
    return None
