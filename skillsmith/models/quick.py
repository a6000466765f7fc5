"""Frozen values at the price of open ones, for those that are made by the hundred thousand.

A frozen dataclass sets every field through ``object.__setattr__``, which makes up most of what such a value
costs. Here a new object is of an open class with the same slots while its fields are set, and of its own
class before anyone else has seen it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

_T = TypeVar("_T")


def quick(cls: type[_T]) -> type[_T]:
    """Give a frozen dataclass with slots an initialiser that sets its fields directly.

    Args:
        cls: All fields by keyword; without bases, ``__post_init__`` and default factories.
    """
    described = fields(cls)  # type: ignore[arg-type]  # a dataclass
    names = [one.name for one in described]
    body = [
        f"def __init__(self, *, {', '.join(map(_parameter, described))}):",
        " become(self, '__class__', opened)",
        *(f" self.{name} = {name}" for name in names),
        " self.__class__ = closed",
    ]
    known: dict[str, Any] = {f"_{one.name}": one.default for one in described}
    known |= {"become": object.__setattr__, "opened": _opened(names), "closed": cls}
    exec("\n".join(body), known)  # noqa: S102  (as dataclasses make theirs: text of our own field names)
    known["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    setattr(cls, "__init__", known["__init__"])  # noqa: B010  (mypy knows the one that dataclass made)
    return cls


def maker(cls: type[_T]) -> Callable[..., _T]:
    """Return a function that makes a value of such a class from all its fields in order."""
    names = [one.name for one in fields(cls)]  # type: ignore[arg-type]  # a dataclass
    body = [
        f"def make({', '.join(names)}):",
        " self = new(opened)",
        *(f" self.{name} = {name}" for name in names),
        " self.__class__ = closed",
        " return self",
    ]
    known: dict[str, Any] = {"new": object.__new__, "opened": _opened(names), "closed": cls}
    exec("\n".join(body), known)  # noqa: S102  (as above)
    made: Callable[..., _T] = known["make"]
    return made


def _opened(names: list[str]) -> type:
    return type("Opened", (), {"__slots__": tuple(names)})


def _parameter(one: Field[Any]) -> str:
    return one.name if one.default is MISSING else f"{one.name}=_{one.name}"
