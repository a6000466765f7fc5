"""The threads that do the work, so that the event loop never waits for the database or for a skill.

A workspace belongs to one thread. Reads share one thread and its open file; each long call opens the file for
itself on one of a few others. What a client cancels, or leaves behind, is told to stop and closes its books.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

from skillsmith.errors import ExecutionError
from skillsmith.mcp_server.settings import Settings
from skillsmith.mcp_server.visit import Progress, Visit
from skillsmith.models import ToolSource
from skillsmith.workspace import Workspace, open_workspace

T = TypeVar("T")
Job: TypeAlias = Callable[[Visit], T]
Tell: TypeAlias = Callable[[Progress], Awaitable[None]]

SIDE_BY_SIDE = 4
"""Long calls at once; further ones wait."""


class Lanes:
    """Does jobs on threads of their own.

    Args:
        settings: The server's.
        tools: Where the tools of skills are.
    """

    def __init__(self, settings: Settings, tools: ToolSource | None) -> None:
        self._settings = settings
        self._tools = tools
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="skillsmith-read")
        self._workers = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="skillsmith-work")
        self._open: Workspace | None = None
        self._stops: set[threading.Event] = set()

    async def read(self, job: Job[T]) -> T:
        """Do a short job."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read, job)

    def _read(self, job: Job[T]) -> T:
        if self._open is None:
            self._open = open_workspace(self._settings.db, create=False)
        return job(Visit(workspace=self._open, settings=self._settings, tools=self._tools))

    async def work(self, job: Job[T], tell: Tell) -> T:
        """Do a long job, telling how far it is; when the call is cancelled the job is told to stop."""
        loop, news = asyncio.get_running_loop(), asyncio.Queue[Progress | None]()
        stop = threading.Event()

        def hear(progress: Progress) -> None:
            loop.call_soon_threadsafe(news.put_nowait, progress)

        self._stops.add(stop)
        future = loop.run_in_executor(self._workers, self._work, job, hear, stop)
        future.add_done_callback(lambda _: self._over(stop, news))
        try:
            while (progress := await news.get()) is not None:
                await tell(progress)
            return await future
        finally:
            stop.set()
            future.cancel()  # only matters when it has not begun, or when nobody waits for it any more

    def _over(self, stop: threading.Event, news: asyncio.Queue[Progress | None]) -> None:
        self._stops.discard(stop)
        news.put_nowait(None)

    def _work(self, job: Job[T], hear: Callable[[Progress], None], stop: threading.Event) -> T:
        if stop.is_set():
            raise ExecutionError("the call was cancelled before it began")
        with open_workspace(self._settings.db, create=False) as workspace:
            visit = Visit(
                workspace=workspace, settings=self._settings, tools=self._tools, tell=hear, stop=stop
            )
            return job(visit)

    def close(self) -> None:
        """Stop what runs, wait until its books are closed, and close the file."""
        for stop in tuple(self._stops):
            stop.set()
        self._workers.shutdown(cancel_futures=True)
        if self._open is not None:
            self._reader.submit(self._open.close)
        self._reader.shutdown()
