"""Questions to the file, answered off the screen's thread; a slow one never holds up a quick one.

Each lane is one daemon thread with one workspace of its own, opened when it is first needed, since a
workspace belongs to one thread. An answer comes back as a message to the widget that asked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from textual.message import Message
from textual.message_pump import MessagePump

from skillsmith.db import Database, may_write
from skillsmith.errors import SkillsmithError
from skillsmith.tui.messages import Crashed, Failed, FileChanged
from skillsmith.workspace import Workspace, open_workspace

T = TypeVar("T")

LANES: Final = {"read": True, "search": False, "match": False, "write": False, "run": False}
"""The lanes, and whether each only reads."""

KEPT_LANES: Final = frozenset({"write", "run"})
"""What was asked here is done, even when something newer is asked."""

WATCH_SECONDS: Final = 0.05
CALM_SECONDS: Final = 0.1
"""So long after telling of a change nothing more is told."""

CLOSE_SECONDS: Final = 2.0


@dataclass(slots=True, kw_only=True)
class Job:
    """One question under way.

    Args:
        key: What a newer question of the same key supersedes; None: nothing does.
    """

    asker: MessagePump
    question: Callable[[Workspace], Any]
    answer: Callable[[Any], Message]
    key: tuple[int, str] | None = None
    superseded: threading.Event = field(default_factory=threading.Event)


class Lane:
    """One thread with one workspace that answers questions in order.

    Args:
        name: Its name.
        open_: Opens its workspace.
        done: Called after each job.
    """

    def __init__(self, name: str, open_: Callable[[], Workspace], done: Callable[[], None]) -> None:
        self._kept = name in KEPT_LANES
        self._open = open_
        self._done = done
        self._jobs: deque[Job] = deque()
        self._current: Job | None = None
        self._workspace: Workspace | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"skillsmith-{name}", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> int:
        """Add a question and return how many waiting ones it took the place of."""
        with self._changed:
            dropped = [] if self._kept else [one for one in self._jobs if job.key and one.key == job.key]
            for one in dropped:
                self._jobs.remove(one)
            if job.key and not self._kept and self._current and self._current.key == job.key:
                self._supersede(self._current)
            self._jobs.append(job)
            self._changed.notify()
        return len(dropped)

    def _supersede(self, job: Job) -> None:
        job.superseded.set()
        if self._workspace is not None:
            self._workspace.db.conn.interrupt()

    def close(self) -> None:
        """Stop after the current question; one that only reads is interrupted."""
        with self._changed:
            self._closing = True
            self._jobs.clear()
            if self._current is not None and not self._kept:
                self._supersede(self._current)
            self._changed.notify()

    def join(self, timeout: float) -> None:
        """Wait until the workspace is closed."""
        self._thread.join(timeout)

    def _next(self) -> Job | None:
        with self._changed:
            while not self._jobs and not self._closing:
                self._changed.wait()
            self._current = None if self._closing else self._jobs.popleft()
            return self._current

    def _run(self) -> None:
        while (job := self._next()) is not None:
            message = self._answer(job)
            with self._changed:
                self._current = None
            if not job.superseded.is_set() and message is not None:
                job.asker.post_message(message)
            self._done()
        if self._workspace is not None:
            self._workspace.close()

    def _answer(self, job: Job) -> Message | None:
        try:
            if self._workspace is None:
                self._workspace = self._open()
            return job.answer(job.question(self._workspace))
        except SkillsmithError as error:
            return Failed(error)
        except Exception as error:  # noqa: BLE001  (raised again by the application, see Crashed)
            return None if job.superseded.is_set() else Crashed(error)


class Data:
    """The file as the screens see it.

    Args:
        path: The file; it exists.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lanes: dict[str, Lane] = {}
        self._pending = 0
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._closing = threading.Event()

    @property
    def pending(self) -> int:
        """How many questions have no answer yet."""
        return self._pending

    def ask(
        self,
        asker: MessagePump,
        question: Callable[[Workspace], T],
        answer: Callable[[T], Message],
        *,
        lane: str = "read",
        group: str | None = None,
    ) -> None:
        """Have a question answered on a worker thread.

        Args:
            asker: Gets the answer as a message, or ``Failed``.
            question: Runs on the lane's thread with its workspace.
            answer: Makes the message from what the question returned.
            lane: See ``LANES``.
            group: A newer question of the same asker and group supersedes an older one.
        """
        if self._closing.is_set():
            return
        job = Job(asker=asker, question=question, answer=answer, key=(id(asker), group) if group else None)
        self._count(1)
        self._count(-self._lane(lane).submit(job))

    def _lane(self, name: str) -> Lane:
        if name not in self._lanes:
            readonly = LANES[name] or not may_write(self.path)
            self._lanes[name] = Lane(
                name,
                lambda: open_workspace(self.path, readonly=readonly, create=False),
                lambda: self._count(-1),
            )
        return self._lanes[name]

    def _count(self, change: int) -> None:
        with self._lock:
            self._pending += change

    def watch(self, listener: MessagePump) -> None:
        """Tell a listener of every change of the file, by whichever process, until the end."""
        self._watcher = threading.Thread(
            target=self._watch, args=(listener,), name="skillsmith-watch", daemon=True
        )
        self._watcher.start()

    def _watch(self, listener: MessagePump) -> None:
        db = Database(self.path, readonly=True)
        try:
            known = db.data_version()
            while not self._closing.wait(WATCH_SECONDS):
                version = db.data_version()
                if version != known:
                    known = version
                    listener.post_message(FileChanged())
                    self._closing.wait(CALM_SECONDS)
        finally:
            db.close()

    def close(self) -> None:
        """Close every connection; a write under way is waited for."""
        self._closing.set()
        for lane in self._lanes.values():
            lane.close()
        for lane in self._lanes.values():
            lane.join(CLOSE_SECONDS)
        if self._watcher is not None:
            self._watcher.join(CLOSE_SECONDS)
