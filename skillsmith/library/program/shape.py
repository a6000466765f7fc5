"""A JSON Schema compiled into plain functions, fast enough to check a thousand skill files in a blink.

It knows just the keywords that our own schema uses and refuses to compile any other, so nothing in the schema
is ever skipped in silence; tests compare its verdicts with those of the jsonschema package, which takes fifty
times as long. Only here, ``1.0`` is no integer: it would not come back as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from skillsmith.models import Json

Place: TypeAlias = tuple[str | int, ...]
Flaw: TypeAlias = tuple[Place, str]
Check: TypeAlias = Callable[[Json], Flaw | None]
"""Returns the first flaw of a value with its place, or None."""

Schema: TypeAlias = Mapping[str, Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_NOTES = frozenset({"$schema", "$id", "$defs", "title", "description"})
_OBJECT = frozenset({"type", "properties", "required", "additionalProperties"})
_ARRAY = frozenset({"type", "items", "prefixItems", "minItems"})


def compile_schema(schema: Schema) -> Check:
    """Return a function that checks a value against the schema.

    Args:
        schema: JSON Schema 2020-12, with references only into its own ``$defs``.

    Raises:
        ValueError: It uses a keyword that is not known here.
    """
    return _Compiler(schema.get("$defs", {})).compile(schema)


def show_place(place: Place) -> str:
    """Write a place for people: ``nodes[3].kind``."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the document"


class _Compiler:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._compiled: dict[str, Check] = {}
        self._begun: set[str] = set()

    def compile(self, schema: Any) -> Check:
        if isinstance(schema, bool):
            return _anything if schema else _nothing
        used = schema.keys() - _NOTES
        if used == {"$ref"}:
            return self._reference(schema["$ref"].removeprefix("#/$defs/"))
        if used == {"anyOf"}:
            return self._any_of(schema["anyOf"])
        if schema.get("type") == "object" and used <= _OBJECT:
            return self._object(schema)
        if schema.get("type") == "array" and used <= _ARRAY:
            return self._array(schema)
        return _scalar({name: schema[name] for name in used})

    def _reference(self, name: str) -> Check:
        """Return the definition's check; inside itself, one that looks it up when it is needed."""
        if name in self._begun:
            return lambda value: self._compiled[name](value)  # noqa: PLW0108  (it is not compiled yet)
        self._begun.add(name)
        if name not in self._definitions:
            raise ValueError(f"the schema refers to {name!r}, which it does not define")
        self._compiled[name] = self.compile(self._definitions[name])
        self._begun.discard(name)
        return self._compiled[name]

    def _object(self, schema: Schema) -> Check:
        properties: Mapping[str, Any] = schema.get("properties", {})
        checks = {name: self.compile(one) for name, one in properties.items()}
        plain = {name: _only_type(one) for name, one in properties.items()}
        required: tuple[str, ...] = tuple(schema.get("required", ()))
        other = self.compile(schema.get("additionalProperties", True))

        def check(value: Json) -> Flaw | None:
            if type(value) is not dict:
                return (), "must be an object"
            for name in required:
                if name not in value:
                    return (), f"lacks {name!r}"
            for name, item in value.items():
                if type(item) is plain.get(name):
                    continue
                flaw = checks.get(name, other)(item)
                if flaw is not None:
                    return (name, *flaw[0]), flaw[1]
            return None

        return check

    def _array(self, schema: Schema) -> Check:
        first = [self.compile(one) for one in schema.get("prefixItems", ())]
        item = self.compile(schema.get("items", True))
        plain, least = _only_type(schema.get("items", True)), schema.get("minItems", 0)

        def check(value: Json) -> Flaw | None:
            if type(value) is not list:
                return (), "must be a list"
            if len(value) < least:
                return (), f"must have at least {least} items"
            if plain is not None and not first and {plain}.issuperset(map(type, value)):
                return None
            for index, one in enumerate(value):
                flaw = first[index](one) if index < len(first) else item(one)
                if flaw is not None:
                    return (index, *flaw[0]), flaw[1]
            return None

        return check

    def _any_of(self, schemas: list[Schema]) -> Check:
        checks = [self.compile(schema) for schema in schemas]
        marked = {name: check for name, check in zip(map(_mark, schemas), checks, strict=True) if name}

        def check(value: Json) -> Flaw | None:
            if type(value) is dict:
                for name in value:
                    if name in marked and marked[name](value) is None:
                        return None
            flaws = [one(value) for one in checks]
            if None in flaws:
                return None
            deepest = max((flaw for flaw in flaws if flaw), key=lambda flaw: len(flaw[0]))
            return deepest if deepest[0] else ((), f"has none of its known forms: {_short(value)}")

        return check


def _mark(schema: Schema) -> str | None:
    """Return the key that tells one form of an object from the others."""
    return next(iter(schema.get("required", ())), None)


def _only_type(schema: Any) -> type | None:
    """Return the type when a schema asks for nothing but one plain type."""
    plain = (
        isinstance(schema, dict) and schema.keys() - _NOTES == {"type"} and isinstance(schema["type"], str)
    )
    types = _TYPES[schema["type"]] if plain else ()
    return types[0] if len(types) == 1 else None


def _anything(_value: Json) -> Flaw | None:
    return None


def _nothing(_value: Json) -> Flaw | None:
    return (), "is not known here"


def _scalar(keywords: Schema) -> Check:
    unknown = keywords.keys() - _SCALARS.keys()
    if unknown:
        raise ValueError(f"schema keywords not known here: {', '.join(sorted(unknown))}")
    checks = [make(keywords[name]) for name, make in _SCALARS.items() if name in keywords]

    def check(value: Json) -> Flaw | None:
        for one in checks:
            flaw = one(value)
            if flaw is not None:
                return flaw
        return None

    return check


def _type(names: Any) -> Check:
    wanted = [names] if isinstance(names, str) else list(names)
    types = frozenset(kind for name in wanted for kind in _TYPES[name])
    flaw = ((), f"must be {' or '.join(wanted)}")
    return lambda value: None if type(value) in types else flaw


def _one_of(allowed: list[Json]) -> Check:
    known = frozenset((type(value), value) for value in allowed)
    shown = ", ".join(map(str, allowed))

    def check(value: Json) -> Flaw | None:
        if type(value) not in (list, dict) and (type(value), value) in known:
            return None
        return (), f"is {_short(value)}, which is not one of {shown}"

    return check


def _pattern(pattern: str) -> Check:
    search = re.compile(re.sub(r"\$$", r"\\Z", pattern)).search  # "$" would let a last newline through

    def check(value: Json) -> Flaw | None:
        if type(value) is str and search(value) is None:
            return (), f"is {_short(value)}, which does not match {pattern}"
        return None

    return check


def _bound(holds: Callable[[float, float], bool], words: str) -> Callable[[float], Check]:
    def make(limit: float) -> Check:
        def check(value: Json) -> Flaw | None:
            return (
                ((), f"{words} {limit}") if type(value) in (int, float) and not holds(value, limit) else None
            )

        return check

    return make


def _length(least: int) -> Check:
    return lambda value: ((), "is too short") if type(value) is str and len(value) < least else None


_SCALARS: Mapping[str, Callable[[Any], Check]] = {
    "type": _type,
    "const": lambda value: _one_of([value]),
    "enum": _one_of,
    "minLength": _length,
    "pattern": _pattern,
    "minimum": _bound(lambda value, limit: value >= limit, "must be at least"),
    "maximum": _bound(lambda value, limit: value <= limit, "must be at most"),
    "exclusiveMinimum": _bound(lambda value, limit: value > limit, "must be more than"),
}


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004  (a line's worth)
