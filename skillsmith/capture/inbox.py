"""A queue whose reader looks before it takes: a reader killed in between leaves the item where it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Inbox(Generic[_T]):
    """Many write, one reads; writing never waits, and may happen in a signal handler."""

    def __init__(self) -> None:
        self._items: deque[_T] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._waiting = False

    def put(self, item: _T) -> None:
        """Add an item; the reader is woken only if it waits, because that takes the interpreter away."""
        self._items.append(item)
        if self._waiting:
            self._waiting = False
            self._bell.put(None)

    def ask(self, item: _T) -> None:
        """Add an item that its writer waits for: the reader is woken at once, also from a rest."""
        self._items.append(item)
        self._waiting = False
        self._bell.put(None)

    def rest(self, seconds: float) -> None:
        """Wait, unless somebody asks for something meanwhile."""
        with suppress(Empty):
            self._bell.get(timeout=seconds)

    def take(self, use: Callable[[_T], None], *, timeout: float | None = None) -> None:
        """Wait for an item, use it, and only then remove it.

        Args:
            use: Keeps the item; should it be killed, the next reader gets the item again.
            timeout: Seconds to wait at most; 0: not at all.

        Raises:
            Empty: There is none.
        """
        while not self._items:
            if timeout == 0:
                raise Empty
            self._waiting = True
            if not self._items:  # else a writer has looked too early to ring
                self._bell.get(timeout=timeout)  # it may have rung for an item that is used already
        use(self._items[0])
        self._items.popleft()

    def drain(self, use: Callable[[_T], None], *, most: int) -> None:
        """Do ``take`` for what is there, without waiting.

        Args:
            use: As for ``take``.
            most: So many items at most.
        """
        items = self._items
        for _ in range(min(len(items), most)):
            use(items[0])
            items.popleft()

    def last(self) -> _T | None:
        """Return the newest item, or None."""
        try:
            return self._items[-1]
        except IndexError:
            return None

    def __len__(self) -> int:
        return len(self._items)


__all__ = ["Empty", "Inbox"]
