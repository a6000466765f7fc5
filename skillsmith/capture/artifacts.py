"""Which agent made or changed which file: the work folder is looked at around each execution.

A look compares size, times and inode, then content; a new file is version 1, a changed one its next version.
What lay there before the run is recorded without an agent, so that a proof can begin from the same files.
Looking never raises into the host: what cannot be read or is too large is left out, and an event says so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, runtime_checkable

from skillsmith.capture.entries import Superseded
from skillsmith.capture.recorder import DatabaseLike
from skillsmith.capture.redact import redact_text
from skillsmith.capture.steps import Sink, open_sink
from skillsmith.capture.workfolder import IGNORED, Found, VersionBook, Walker
from skillsmith.db import Database
from skillsmith.files import FileRepository
from skillsmith.ids import digest_of
from skillsmith.models import Event, FileSnapshot, FileVersion, Json

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024
MAX_FILES = 2000
UNKNOWN_AGENT = "unknown"
"""Who changed a file while nobody was said to be at work; no agent at all means before the run."""

_TICK_SECONDS = 0.05
"""A file changed within this time before a look may change again without a trace in its times."""


@runtime_checkable
class HasSink(Protocol):
    """A logger."""

    @property
    def sink(self) -> Sink: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Look:
    """What a file looked like; ``certain``: while its mark stays the same, so does its content."""

    mark: tuple[int, ...]
    certain: bool


class ArtifactTracker:
    """Track the files of one run's work folder.

    Args:
        work_dir: The folder; it need not exist yet.
        target: An AgentExecutionLogger, or the path of a database, or an object with a ``path``.
        run_id: The run; with a logger, its run.
        step_id: The step, as a number or the host's own id; with a logger, its step.
        max_file_bytes: Larger files are left out.
        max_files: Of more files than this the rest is left out.
        ignored: Patterns of names to leave out.

    Raises:
        NotFoundError: There is no such run.
    """

    def __init__(
        self,
        work_dir: str | os.PathLike[str],
        target: HasSink | DatabaseLike,
        run_id: str | None = None,
        step_id: int | str | None = None,
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_files: int = MAX_FILES,
        ignored: Iterable[str] = IGNORED,
    ) -> None:
        self._owns_sink = not isinstance(target, HasSink)
        self._sink = (
            target.sink if isinstance(target, HasSink) else open_sink(target, run_id=run_id, step_id=step_id)
        )
        own_name = Path(self._sink.recorder.path).name
        self._walker = Walker(
            os.fspath(work_dir), ignored=(*ignored, own_name, f"{own_name}-*"), max_files=max_files
        )
        self._max_file_bytes = max_file_bytes
        self._room = MAX_TOTAL_BYTES
        self._lock = threading.RLock()
        self._looks: dict[str, _Look] = {}
        self._gone: set[str] = set()
        self._left_out: set[tuple[str, str]] = set()
        try:
            self._book = VersionBook(self._sink.run_id, self._stored())
        except BaseException:
            if self._owns_sink:
                self._sink.recorder.release()
            raise

    @property
    def work_dir(self) -> str:
        """The folder, with links resolved."""
        return self._walker.root

    def snapshot(self) -> None:
        """Record what lies in the folder as version 1 without an agent: it was there before the run."""
        self._look(None)

    def scan(self, *, agent: str | None = None, seq: int | None = None) -> tuple[FileVersion, ...]:
        """Record what is new, changed or gone since the last look, and return the new versions.

        Args:
            agent: Who has just worked.
            seq: The event during which it happened; left out, the last one recorded.
        """
        return self._look(agent or UNKNOWN_AGENT, seq=seq)

    @contextmanager
    def executing(self, agent: str) -> Iterator[None]:
        """Look before and after the body, so that what changes inside is this agent's work."""
        self.scan()
        try:
            yield
        finally:
            self.scan(agent=agent)

    def track_file_creation(
        self, file_path: str | os.PathLike[str], creator_agent: str
    ) -> FileVersion | None:
        """Record a file that an agent says it has made; return its newest version."""
        return self._track(file_path, creator_agent)

    def track_file_modification(
        self, file_path: str | os.PathLike[str], modifier_agent: str
    ) -> FileVersion | None:
        """Record a file that an agent says it has changed; return its newest version."""
        return self._track(file_path, modifier_agent)

    def track_code_evolution(self, code_versions: Sequence[str]) -> None:
        """Record that each of these took the place of the one before it.

        Args:
            code_versions: One program's versions, oldest first: paths, or code that a tracked file holds.
        """
        with self._lock:
            paths = [path for path in map(self._path_of, code_versions) if path is not None]
            for old, new in pairwise(paths):
                self._supersede(old, new)

    def get_artifact_history(self, file_path: str | os.PathLike[str]) -> list[FileVersion]:
        """Return a file's stored versions, oldest first; none when it was never tracked."""
        self._sink.recorder.flush()
        path = self._walker.relative(file_path)
        return [version for version in self._stored() if version.path == path]

    def versions(self, step: int | None = None) -> tuple[FileVersion, ...]:
        """Return the versions that agents made, in order; those of one step, or all."""
        return self._book.made(step)

    def finalize(self) -> tuple[FileVersion, ...]:
        """Look a last time, see to it that all is stored, and return every version that agents made."""
        self.scan()
        self._sink.recorder.flush()
        if self._owns_sink:
            self._sink.recorder.close()
        return self._book.made()

    def _stored(self) -> list[FileVersion]:
        with closing(Database(self._sink.recorder.path)) as db:
            return FileRepository(db).versions(self._sink.run_pk)

    def _look(self, agent: str | None, *, seq: int | None = None) -> tuple[FileVersion, ...]:
        with self._lock:
            found, more = self._walker.files()
            changes = [change for item in found if (change := self._see(item, agent, seq)) is not None]
            if agent is not None:
                self._report(changes, agent)
                self._report_gone({item.path for item in found}, agent, complete=not more)
            if more:
                self._leave_out(".", f"more than {len(found)} files", agent)
            return tuple(version for _change, version in changes)

    def _track(self, file_path: str | os.PathLike[str], agent: str) -> FileVersion | None:
        with self._lock:
            path = self._walker.relative(file_path)
            item = self._walker.one(path)
            if item is None:
                self._leave_out(path, "no file in the work folder", agent)
                return None
            if change := self._see(item, agent, None):
                self._report([change], agent)
            return self._book.latest(item.path)

    def _see(self, item: Found, agent: str | None, seq: int | None) -> tuple[str, FileVersion] | None:
        """Compare a file with what is known of it; record and return its new version."""
        look = self._looks.get(item.path)
        if look is not None and look.certain and look.mark == item.mark:
            return None
        now = time.time()
        content = self._read(item, agent)
        if content is None:
            return None
        self._looks[item.path] = _Look(item.mark, certain=now - item.modified > _TICK_SECONDS)
        digest, old = digest_of(content), self._book.latest(item.path)
        created = old is None or item.path in self._gone
        self._gone.discard(item.path)
        if old is not None and old.digest == digest:
            return ("created", old) if created else None
        self._room -= len(content)
        version = self._book.add(item, digest=digest, size=len(content), agent=agent, step=self._sink.step)
        self._sink.record(FileSnapshot(path=item.path, content=content, agent=agent, at=version.at, seq=seq))
        return ("created" if created else "modified"), version

    def _read(self, item: Found, agent: str | None) -> bytes | None:
        """Return a file's content without secrets, or None when it is left out."""
        if item.size > self._max_file_bytes:
            self._leave_out(item.path, f"larger than {self._max_file_bytes} bytes", agent)
            return None
        if item.size > self._room:
            self._leave_out(item.path, f"more than {MAX_TOTAL_BYTES} bytes in one run", agent)
            return None
        try:
            content = Path(item.full).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._leave_out(item.path, f"cannot be read: {error.strerror}", agent)
            return None
        return _without_secrets(content) if self._sink.recorder.redact else content

    def _report(self, changes: Sequence[tuple[str, FileVersion]], agent: str) -> None:
        """Record an event for each new version; after all contents, which belong to the event before."""
        for change, version in changes:
            elder = self._book.elder(version.path) if version.version == 1 else None
            supersedes = elder if elder and self._supersede(elder, version.path) else None
            self._tell(version.path, agent, change=change, version=version, supersedes=supersedes)

    def _report_gone(self, present: set[str], agent: str, *, complete: bool) -> None:
        for path in [path for path in self._looks if path not in present]:
            if complete or not os.path.lexists(os.path.join(self._walker.root, path)):  # noqa: PTH118  (text)
                del self._looks[path]
                self._gone.add(path)
                self._tell(path, agent, change="deleted", version=self._book.latest(path))

    def _leave_out(self, path: str, reason: str, agent: str | None) -> None:
        if (path, reason) not in self._left_out:
            self._left_out.add((path, reason))
            self._tell(path, agent, change="left out", reason=reason)

    def _tell(
        self, path: str, agent: str | None, *, change: str, version: FileVersion | None = None, **more: Json
    ) -> None:
        data: dict[str, Json] = {"path": path, "change": change}
        if version is not None:
            data |= {"version": version.version, "digest": version.digest, "size": version.size}
        data |= {name: value for name, value in more.items() if value is not None}
        self._sink.log(
            Event(kind="artifact", at=time.time(), step=self._sink.step, agent=agent, content=path, data=data)
        )

    def _path_of(self, version: str) -> str | None:
        """Return the tracked file that a path names, or that holds a piece of code."""
        path = None if "\n" in version else self._walker.relative(version)
        if path is not None and self._book.latest(path) is not None:
            return path
        code = version.encode("utf-8", "replace")
        return self._book.holding(digest_of(code)) or self._book.holding(digest_of(code.rstrip() + b"\n"))

    def _supersede(self, old: str, new: str) -> bool:
        version = self._book.latest(new)
        assert version is not None
        link = self._book.supersede(old, version) if old != new else None
        if link is not None:
            self._sink.record(Superseded(path=old, by=link))
        return link is not None


def _without_secrets(content: bytes) -> bytes:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    clean = redact_text(text)
    return content if clean is text else clean.encode()
