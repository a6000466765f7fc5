"""Long work: a bounded queue of jobs, each in a process of its own that can be told to stop.

A process keeps the event loop free, may be as busy as it likes, and takes nothing with it when it dies. It
ends with the server: its standard input is a pipe, and when that closes it stops like on Ctrl-C.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from skillsmith.errors import NotFoundError
from skillsmith.events import dump_json, load_json
from skillsmith.ids import new_id
from skillsmith.models import Json
from skillsmith.notices import timestamp
from skillsmith.server.faults import JobOverError, TooManyJobsError
from skillsmith.server.job_store import KEPT, Job, JobStore
from skillsmith.server.settings import TOKEN_VARIABLE, ServerSettings

GRACE_SECONDS: Final = 10.0
"""So long a worker may take to stop by itself."""

EVENTS_KEPT: Final = 500
LINE_BYTES: Final = 64 * 1024 * 1024
FACTS: Final = ("run_id", "execution_id", "skill_id", "progress")
"""What a worker may tell of its job while it works."""


class Jobs:
    """Takes work on, has it done, and knows what became of it.

    Args:
        settings: The server's.
        store: Where they are kept; closed with this.
    """

    def __init__(self, settings: ServerSettings, *, store: JobStore) -> None:
        self._settings = settings
        self._store = store
        self._jobs = {job.id: job for job in self._store.load()}
        self._trails: dict[str, Trail] = {}
        self._waiting: deque[str] = deque()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, Process] = {}
        self._cancelled: set[str] = set()
        self._closing = False

    def submit(self, kind: str, *, subject: str, request: Mapping[str, Json]) -> Job:
        """Take a job on and return it.

        Raises:
            TooManyJobsError: As many wait as may wait.
        """
        if len(self._waiting) >= self._settings.queued_jobs:
            raise TooManyJobsError(
                f"{len(self._waiting)} jobs wait already", hint="try again when some of them are done"
            )
        job = Job(id=new_id(), kind=kind, subject=subject, created_at=_now(), request=dict(request))
        self._jobs[job.id] = job
        self._trails[job.id] = Trail()
        self._store.save(job)
        self._tell(job, "JOB_QUEUED")
        self._waiting.append(job.id)
        self._begin_some()
        self._forget_old()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            NotFoundError: There is none of this id.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"there is no job {job_id!r}", hint="GET /api/jobs lists them")
        return job

    def list(self, *, status: str | None, kind: str | None, after: str | None, limit: int) -> dict[str, Json]:
        """Return a page of jobs, newest first.

        Args:
            status: Only these.
            kind: Only these.
            after: Id of the last job already seen.
            limit: At most so many.
        """
        chosen = [
            job for job in sorted(self._jobs.values(), key=lambda one: one.id, reverse=True)
            if (after is None or job.id < after)
            and status in (None, job.status) and kind in (None, job.kind)
        ]  # fmt: skip
        page = chosen[:limit]
        following = page[-1].id if len(chosen) > limit else None
        return {"items": [job.document() for job in page], "next": following}

    def trail(self, job_id: str) -> Trail:
        """Return the events of a job; of one from before a restart, only how it ended."""
        job = self.get(job_id)
        if job_id not in self._trails:
            self._trails[job_id] = Trail()
            self._tell(job, "JOB_ENDED")
        return self._trails[job_id]

    def counts(self) -> dict[str, int]:
        """Return how many jobs run and wait, and how many are remembered."""
        return {"running": len(self._tasks), "queued": len(self._waiting), "known": len(self._jobs)}

    def cancel(self, job_id: str) -> Job:
        """Have a job stop, and return it as it is now.

        Raises:
            NotFoundError: There is none of this id.
            JobOverError: It is over.
        """
        job = self.get(job_id)
        if job.is_over:
            raise JobOverError(f"job {job_id[:13]} is over: {job.status}")
        self._cancelled.add(job_id)
        if job_id in self._waiting:
            self._waiting.remove(job_id)
            self._end(job, "cancelled", error=_stopped(job))
        elif job_id in self._processes:
            self._stop(self._processes[job_id], job_id)
        return job

    async def close(self) -> None:
        """Stop everything; what was at work is interrupted."""
        self._closing = True
        for job_id in tuple(self._waiting):
            self._waiting.remove(job_id)
            self._end(self._jobs[job_id], "interrupted", error=_stopped(self._jobs[job_id]))
        for job_id, process in tuple(self._processes.items()):
            self._stop(process, job_id)
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()), timeout=GRACE_SECONDS + 5)
        self._store.close()

    # -------------------------------------------------------------------------------------------- doing

    def _begin_some(self) -> None:
        while self._waiting and len(self._tasks) < self._settings.jobs:
            job = self._jobs[self._waiting.popleft()]
            task = asyncio.get_running_loop().create_task(self._work(job))
            self._tasks[job.id] = task
            task.add_done_callback(lambda _, job_id=job.id: self._done(job_id))  # type: ignore[misc]  # mypy: bound default

    def _done(self, job_id: str) -> None:
        del self._tasks[job_id]
        self._begin_some()

    async def _work(self, job: Job) -> None:
        job.status, job.started_at = "running", _now()
        self._store.save(job)
        self._tell(job, "JOB_STARTED")
        try:
            process = await self._start(job)
        except OSError as error:
            self._end(job, "failed", error=_error("no_process", f"no process could be started: {error}"))
            return
        self._processes[job.id] = process
        if job.id in self._cancelled:
            self._stop(process, job.id)
        try:
            last = await self._listen(job, process)
            code = await process.wait()
        finally:
            _kill(process)
            del self._processes[job.id]
        self._conclude(job, last, code)

    async def _start(self, job: Job) -> Process:
        environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "skillsmith.server.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment,
            limit=LINE_BYTES, start_new_session=sys.platform != "win32",
        )  # fmt: skip
        assert process.stdin is not None
        with suppress(ConnectionError):  # it died at once: its exit code tells
            process.stdin.write(dump_json({"kind": job.kind, **job.request}).encode() + b"\n")
            await process.stdin.drain()
        return process

    async def _listen(self, job: Job, process: Process) -> dict[str, Any]:
        """Follow what a worker says until it has no more to say; return its last word."""
        assert process.stdout is not None
        last: dict[str, Any] = {}
        while line := await process.stdout.readline():
            said: dict[str, Any] = load_json(line.decode())
            facts = {name: said[name] for name in FACTS if name in said}
            for name, value in facts.items():
                setattr(job, name, value)
            if "run_id" in facts or "execution_id" in facts:
                self._store.save(job)
            if facts:
                self._tell(job, "JOB_PROGRESS")
            if "result" in said or "error" in said:
                last = said
        return last

    def _conclude(self, job: Job, last: Mapping[str, Any], code: int) -> None:
        cancelled = job.id in self._cancelled
        if last.get("interrupted") or ((cancelled or self._closing) and not last):
            status = "cancelled" if cancelled else "interrupted"
            self._end(job, status, error=_stopped(job))
        elif last:
            job.result = last.get("result")
            self._end(job, "failed" if last.get("error") else "succeeded", error=last.get("error"))
        else:
            self._end(job, "failed", error=_error("worker_died", f"its process ended with code {code}"))

    def _end(self, job: Job, status: str, *, error: dict[str, str] | None) -> None:
        job.status, job.ended_at, job.error, job.request = status, _now(), error, {}
        self._cancelled.discard(job.id)
        self._store.save(job)
        self._tell(job, "JOB_ENDED")

    def _tell(self, job: Job, event: str) -> None:
        shown = job.document()
        data = {name: value for name, value in shown.items() if name != "result"}
        self._trails[job.id].add(event, data, over=job.is_over)

    def _stop(self, process: Process, job_id: str) -> None:
        """Ask a worker to stop, and end it when it does not."""
        if process.stdin is not None:
            process.stdin.close()
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._end_by_force, process, job_id)

    def _end_by_force(self, process: Process, job_id: str) -> None:
        if self._processes.get(job_id) is process:
            _kill(process)

    def _forget_old(self) -> None:
        over = sorted(job.id for job in self._jobs.values() if job.is_over)
        for job_id in over[: max(len(over) - KEPT, 0)]:
            self._store.forget(self._jobs.pop(job_id))
            self._trails.pop(job_id, None)


class Trail:
    """What happened to a job, numbered from 1; the oldest progress goes when there is too much of it."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, str]] = deque(maxlen=EVENTS_KEPT)
        self._last = 0
        self._news = asyncio.Event()
        self.over = False

    def add(self, event: str, data: Mapping[str, Json], *, over: bool) -> None:
        """Add an event, and wake who waits."""
        self._last += 1
        frame = {"event": event, "data": {**data, "seq": self._last}, "cursor": str(self._last)}
        self._events.append((self._last, dump_json(frame)))
        self.over = over
        self._news.set()
        self._news = asyncio.Event()

    def after(self, seq: int) -> list[tuple[int, str]]:
        """Return the events behind one, each with its number."""
        return [one for one in self._events if one[0] > seq]

    async def wait(self) -> None:
        """Wait for the next event."""
        await self._news.wait()


def _kill(process: Process) -> None:
    """End a worker and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _now() -> str:
    return str(timestamp(time.time()))


def _error(code: str, message: str, hint: str = "") -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def _stopped(job: Job) -> dict[str, str]:
    hint = "execute the skill again with `resume` to go on" if job.execution_id else "ask for it again"
    return _error("interrupted", "it was stopped before it was done", hint)
