"""What goes wrong while watching a host is counted and told afterwards; the host's run comes first."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from skillsmith.capture.shapes import error_of

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Failures:
    """How many calls failed, and the first reason."""

    def __init__(self) -> None:
        self.count = 0
        self.first: str | None = None

    def note(self, what: str, error: Exception) -> None:
        """Count one."""
        self.count += 1
        self.first = self.first or f"{what}: {error_of(error)}"


class CountsFailures(Protocol):
    """An object whose methods may be harmless."""

    @property
    def failures(self) -> Failures: ...  # noqa: D102


_Self = TypeVar("_Self", bound=CountsFailures)


def harmless(method: Callable[Concatenate[_Self, _P], _R]) -> Callable[Concatenate[_Self, _P], _R | None]:
    """Let no failure of a method reach the host: count it and return None."""

    @functools.wraps(method)
    def call(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R | None:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  (counted, and reported when the capture ends)
            self.failures.note(method.__name__, error)
            return None

    return call
