"""Listeners hear what any process writes into the file, on a thread, in a loop or in an event loop.

A follower reads the log itself, so a slow one loses nothing and one that begins again at a cursor goes on
where it stopped. The file needs no server, and a writer does not know who listens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import closing
from types import TracebackType
from typing import Final, Self
from weakref import WeakSet

from skillsmith.db import Database
from skillsmith.errors import SkillsmithError, UsageError
from skillsmith.follower import FeedEvent, Follower, Place, Wish
from skillsmith.notices import chosen_names
from skillsmith.tail import Tail

__all__ = ["Feed", "FeedEvent", "Subscription"]

CLOSE_SECONDS: Final = 5.0


class Subscription:
    """A callback that hears events on a thread of its own, until it is closed or its one run has ended.

    An exception of the callback is counted and told when the subscription ends; the next event comes anyway.

    Args:
        wish: What to hear.
        callback: Gets each event; while it works, later ones wait in the file.
    """

    def __init__(self, wish: Wish, callback: Callable[[FeedEvent], object]) -> None:
        self.failures = 0
        self.first_failure: str | None = None
        self.error: SkillsmithError | None = None
        self._wish = wish
        self._callback = callback
        self._cursor = wish.start.cursor()
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="skillsmith-feed", daemon=True)
        self._thread.start()

    @property
    def cursor(self) -> str:
        """Behind the last event that the callback has had: what ``after`` takes to go on there."""
        return self._cursor

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the one run has ended, or somebody closes this; tell whether that is so.

        Args:
            timeout: Seconds at most.
        """
        return self._ended.wait(timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Stop; when this returns, the callback is not called any more.

        Args:
            timeout: Seconds to wait for a callback that is at work; from within it, none.
        """
        self._closing.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            with closing(Follower(self._wish)) as follower:
                self._follow(follower)
        except SkillsmithError as error:
            self.error = error
        finally:
            self._report()
            self._ended.set()

    def _follow(self, follower: Follower) -> None:
        while not self._closing.is_set():
            events = follower.poll()
            for event in events:
                if self._closing.is_set():
                    return
                self._call(event)
                self._cursor = event["cursor"]
            if not events:
                self._cursor = follower.place.cursor()
                if follower.is_over():
                    return
                self._closing.wait(follower.pause)

    def _call(self, event: FeedEvent) -> None:
        try:
            self._callback(event)
        except Exception as error:  # noqa: BLE001  (counted, and reported when the subscription ends)
            self.failures += 1
            self.first_failure = self.first_failure or f"{event['event']}: {type(error).__name__}: {error}"

    def _report(self) -> None:
        """Say once what went wrong."""
        if not self.failures and self.error is None:
            return
        import logging  # noqa: PLC0415  (20 ms; only where something went wrong)

        log = logging.getLogger("skillsmith.feed")
        if self.failures:
            log.warning("a listener failed on %d events, first: %s", self.failures, self.first_failure)
        if self.error is not None:
            log.warning("a listener hears nothing any more: %s", self.error)


class Feed:
    """The events of a file as they are written, by this process and by others.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._subscriptions: WeakSet[Subscription] = WeakSet()

    def subscribe(
        self,
        callback: Callable[[FeedEvent], object],
        *,
        run: str | None = None,
        names: Iterable[str] | None = None,
        after: int | str | None = None,
    ) -> Subscription:
        """Call back for each event from now on, or from a place on.

        Args:
            callback: Gets ``{"event": NAME, "data": {…}, "cursor": …}`` on the subscription's own thread.
            run: Only this run, by id or a unique beginning of it; the subscription ends with the run.
            names: Only these names (``skillsmith.notices.NAMES``).
            after: The ``cursor`` of an event, or the id of a stored event: go on behind it; 0: from the
                beginning; None: only what is written from now on.

        Raises:
            NotFoundError: There is no such run.
            UsageError: A name or place makes no sense, or the file is in memory.
        """
        subscription = Subscription(self._wish(run, names, after), callback)
        self._subscriptions.add(subscription)
        return subscription

    def stream(
        self,
        *,
        run: str | None = None,
        names: Iterable[str] | None = None,
        after: int | str | None = None,
    ) -> Iterator[FeedEvent]:
        """Yield events as they are written, with the arguments and errors of ``subscribe``.

        With ``run`` the iterator ends when the run has ended.
        """
        return _stream(self._wish(run, names, after))

    def astream(
        self,
        *,
        run: str | None = None,
        names: Iterable[str] | None = None,
        after: int | str | None = None,
    ) -> AsyncIterator[FeedEvent]:
        """Yield events as ``stream`` does, without holding up the event loop."""
        return _astream(self._wish(run, names, after))

    def close(self) -> None:
        """Close every subscription."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def _wish(self, run: str | None, names: Iterable[str] | None, after: int | str | None) -> Wish:
        if self._path == ":memory:":
            raise UsageError(
                "events in memory cannot be followed", hint="name a database file instead of ':memory:'"
            )
        chosen = chosen_names(names)
        start = None if after is None else Place.read(after)
        with closing(Database(self._path, readonly=True)) as db:
            tail = Tail(db)
            pk = None if run is None else tail.key(run)
            if start is None:
                # In this order: of a run that begins in between, the first event is still to come.
                running = tail.running()
                start = Place(tail.last_id(), 0, running)
        if pk is not None:
            start = Place(start.id, start.part, _opened(pk, start, after))
        return Wish(self._path, pk, chosen, start)


def _opened(pk: int, start: Place, after: int | str | None) -> frozenset[int]:
    """Return the one run whose end is still to be told, unless the cursor says that it was."""
    told = isinstance(after, str) and start.id > 0 and pk not in start.open
    return frozenset() if told else frozenset({pk})


def _stream(wish: Wish) -> Iterator[FeedEvent]:
    with closing(Follower(wish)) as follower:
        while True:
            events = follower.poll()
            yield from events
            if not events:
                if follower.is_over():
                    return
                time.sleep(follower.pause)


async def _astream(wish: Wish) -> AsyncIterator[FeedEvent]:
    import asyncio  # noqa: PLC0415  (30 ms; whoever calls this has it)
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (as above)

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="skillsmith-feed") as thread:  # a connection has one thread
        follower = await loop.run_in_executor(thread, Follower, wish)
        try:
            while True:
                events = await loop.run_in_executor(thread, follower.poll)
                for event in events:
                    yield event
                if not events:
                    if await loop.run_in_executor(thread, follower.is_over):
                        return
                    await asyncio.sleep(follower.pause)
        finally:
            thread.submit(follower.close)
