"""Jobs on disk beside the database, a small file each, so that a restart knows what became of what it began.

A job that was not over when its server ended is interrupted: nobody works on it any more, and its file says
so. Files are written whole under another name first; only the user can read them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from skillsmith.errors import StorageError
from skillsmith.events import dump_json, load_json
from skillsmith.models import Json

OPEN: Final = frozenset({"queued", "running"})
KEPT: Final = 500
"""Jobs that are over and still remembered."""

MAX_RESULT_BYTES: Final = 4 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Job:
    """One piece of work.

    Args:
        id: UUIDv7 text.
        kind: extract, execute, optimize or compose.
        subject: What it is about, for people.
        request: What the worker is told; not kept once the job is over.
    """

    id: str
    kind: str
    subject: str
    created_at: str
    request: dict[str, Json] = field(default_factory=dict)
    status: str = "queued"
    started_at: str | None = None
    ended_at: str | None = None
    progress: dict[str, Json] | None = None
    run_id: str | None = None
    execution_id: str | None = None
    skill_id: str | None = None
    result: dict[str, Json] | None = None
    error: dict[str, str] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.status not in OPEN

    def document(self) -> dict[str, Json]:
        """Return it as JSON."""
        shown = asdict(self)
        del shown["request"]
        return {**shown, "status_url": f"/api/jobs/{self.id}", "events_url": f"/ws/jobs/{self.id}"}


class JobStore:
    """Keeps jobs in a folder.

    Args:
        database: The file the jobs work on; the folder stands beside it.

    Raises:
        StorageError: Another server works on this file.
    """

    def __init__(self, database: Path) -> None:
        self._folder = Path(f"{database}.jobs")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(self._folder / "server.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise StorageError(
                f"another server works on {database}", hint="stop it first, or use its address"
            ) from None

    def load(self) -> Iterator[Job]:
        """Yield the jobs that are known, oldest first; what nobody works on any more is interrupted."""
        known = {one.name for one in fields(Job)}
        for path in sorted(self._folder.glob("*.json")):
            try:
                stored = load_json(path.read_text(encoding="utf-8"))
                job = Job(**{name: value for name, value in stored.items() if name in known})
            except (ValueError, TypeError, AttributeError):  # torn by a crash of the machine: nothing to tell
                path.unlink(missing_ok=True)
                continue
            if not job.is_over:
                _interrupt(job)
                self.save(job)
            yield job

    def save(self, job: Job) -> None:
        """Write a job down."""
        stored: dict[str, Any] = asdict(job)
        if job.is_over:
            stored["request"] = {}
        path = self._folder / f"{job.id}.json"
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(_fitting(stored))
        fresh.replace(path)

    def forget(self, job: Job) -> None:
        """Remove what is known of a job."""
        (self._folder / f"{job.id}.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Let another server work on the file."""
        self._lock.release()


def _fitting(stored: dict[str, Any]) -> str:
    text = dump_json(stored)
    if len(text) > MAX_RESULT_BYTES:
        text = json.dumps({**stored, "result": {"omitted": "too large to be kept"}}, default=str)
    return text


def _interrupt(job: Job) -> None:
    job.status, job.request = "interrupted", {}
    again = "execute the skill again with `resume`" if job.execution_id else "ask for it again"
    job.error = {"code": "interrupted", "message": "the server ended before it was done", "hint": again}
