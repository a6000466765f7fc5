"""Where a value comes from when a skill runs. The JSON forms are in library/program/bindings.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from skillsmith.models.runs import Json


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value every time."""

    value: Json


@dataclass(frozen=True, slots=True)
class FromInput:
    """The value of an input variable.

    ``cast`` turns it into "string", "integer" or "number" where the place wants another JSON type.
    """

    name: str
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """A path step: the one item of a list or mapping whose ``field`` equals the binding's value."""

    field: str
    equals: Binding


@dataclass(frozen=True, slots=True)
class Between:
    """A path step into text: what stands between two anchors (either may be empty: start or end)."""

    before: str
    after: str
    occurrence: int = 0


PathStep: TypeAlias = "str | int | Where | Between"


@dataclass(frozen=True, slots=True)
class FromNode:
    """A part of an earlier node's result, found by a path into it."""

    node: str
    path: tuple[PathStep, ...] = ()
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Text put together from fixed pieces and bound values."""

    parts: tuple[str | Binding, ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list whose items are bound one by one."""

    items: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """An object whose fields are bound one by one; order is kept."""

    fields: tuple[tuple[str, Binding], ...]


@dataclass(frozen=True, slots=True)
class FromItem:
    """A part of the item that a loop is at: of a node with ``for_each``, or of the nearest ``Each``."""

    path: tuple[PathStep, ...] = ()
    cast: str | None = None


@dataclass(frozen=True, slots=True)
class Each:
    """A list made of another list: ``value`` once for each of ``items``, in their order."""

    items: Binding
    value: Binding


Binding: TypeAlias = "Constant | FromInput | FromNode | FromItem | Text | ListOf | ObjectOf | Each"
