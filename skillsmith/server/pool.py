"""Reads happen on a few threads, each with a workspace of its own, so the event loop never waits for SQLite.

What is asked for is computed and written as JSON on the reader's thread; the loop only moves bytes. The
queue is bounded: who comes when it is full is told so at once instead of waiting behind everybody.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from fastapi import Response

from skillsmith.errors import SkillsmithError
from skillsmith.events import dump_json
from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.models import Embedder, Json
from skillsmith.server.answers import json_answer
from skillsmith.workspace import Workspace, open_workspace

T = TypeVar("T")
Work: TypeAlias = Callable[[Workspace], Any]

MAX_WAITING = 512


class BusyError(SkillsmithError):
    """More is asked at once than can be answered in time."""

    code = "busy"


class ReaderPool:
    """Runs functions of a workspace on threads.

    Args:
        path: The file.
        threads: How many.
        seconds: After which a caller is told that it takes too long.
    """

    def __init__(self, path: Path, *, threads: int, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._queue: SimpleQueue[_Task | None] = SimpleQueue()
        self._embedder: Embedder | None = open_embedder()
        self._threads = [
            threading.Thread(target=self._serve, name=f"skillsmith-reader-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[Workspace], T]) -> T:
        """Return what a function of a workspace returns, or raise what it raises.

        Raises:
            BusyError: Too many wait already, or it took too long.
        """
        if self._queue.qsize() > MAX_WAITING:
            raise BusyError("too many requests wait already", hint="try again in a moment")
        loop = asyncio.get_running_loop()
        task = _Task(work, loop, loop.create_future())
        self._queue.put(task)
        try:
            async with asyncio.timeout(self._seconds):
                result: T = await task.future
        except TimeoutError:
            raise BusyError(
                f"no answer within {self._seconds:g} seconds", hint="ask for less, or try again later"
            ) from None
        return result

    async def answer(self, work: Callable[[Workspace], Json], *, status: int = 200) -> Response:
        """Return a JSON response with what a function of a workspace returns."""
        content = await self.run(lambda workspace: dump_json(work(workspace)).encode())
        return json_answer(content, status=status)

    def close(self) -> None:
        """Let the threads finish what they do, and close their files."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(self._seconds)

    def _serve(self) -> None:
        workspace: Workspace | None = None
        while (task := self._queue.get()) is not None:
            if task.future.cancelled():
                continue
            try:
                if workspace is None:
                    workspace = open_workspace(self._path, create=False, _embedder=self._embedder)
                result = task.work(workspace)
            except Exception as error:  # noqa: BLE001  (it belongs to whoever asked)
                task.tell(error=error)
            else:
                task.tell(result)
        if workspace is not None:
            workspace.close()


class _Task:
    """One function to run, and the future that waits for it."""

    __slots__ = ("_loop", "future", "work")

    def __init__(self, work: Work, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
        self.work, self._loop, self.future = work, loop, future

    def tell(self, result: Any = None, *, error: BaseException | None = None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, result, error)

    def _settle(self, result: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)
