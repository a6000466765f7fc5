"""Which agent made or changed which file: the work folder is looked at around each execution.

A look compares size, times and inode, then content; a new file is version 1, a changed one its next version.
What lay there before the run is recorded without an agent, so that a proof can begin from the same files.
What cannot be read or is far too large is left out, and an event says so. Digest and size of a version are
those of what is stored: the content without its secrets.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from skillsmith.capture.entries import Superseded
from skillsmith.capture.recorder import DatabaseLike
from skillsmith.capture.redact import redact_bytes
from skillsmith.capture.steps import Sink, open_sink
from skillsmith.capture.workfolder import IGNORED, Found, Known, VersionBook, Walker
from skillsmith.db import Database
from skillsmith.files import FileRepository
from skillsmith.ids import digest_of
from skillsmith.models import Event, FileSnapshot, FileVersion, Json

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024
"""Of what is larger, or beyond this in one run, only digest and size are kept."""

MAX_HASHED_BYTES = 256 * 1024 * 1024
MAX_FILES = 20_000
UNKNOWN_AGENT = "unknown"
"""Who changed a file while nobody was said to be at work; no agent at all means before the run."""

AT_ONCE_FILES = 200
AT_ONCE_BYTES = 4 * 1024 * 1024
"""A folder with more is read by a thread at the beginning of a run."""

_TICK_SECONDS = 0.05
"""A file changed within this time before a look may change again without a trace in its times."""


@runtime_checkable
class HasSink(Protocol):
    """A logger."""

    @property
    def sink(self) -> Sink: ...  # noqa: D102


class _Change(NamedTuple):
    """A new version, and how it came about; ``before``: the path that the file had."""

    what: str
    version: FileVersion
    before: str | None = None


class ArtifactTracker:
    """Track the files of one run's work folder.

    Args:
        work_dir: The folder; it need not exist yet.
        target: An AgentExecutionLogger, or the path of a database, or an object with a ``path``.
        run_id: The run; with a logger, its run.
        step_id: The step, as a number or the host's own id; with a logger, its step.
        max_file_bytes: Of larger files only digest and size are kept.
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
        self._known: dict[str, Known] = {}
        self._reader: threading.Thread | None = None
        self._problem: Exception | None = None
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
        """Record what lies in the folder as version 1 without an agent: it was there before the run.

        Large folders are listed now and read by a thread; the next look waits for it. A file that changes
        before its turn was not seen before the run, and belongs to who is said to have changed it.
        """
        with self._lock:
            found, _present, more = self._walker.look(self._known)
            if more:
                self._leave_out(".", f"more than {len(found)} files", None)
            if len(found) <= AT_ONCE_FILES and sum(item.size for item in found) <= AT_ONCE_BYTES:
                self._read_before(found)
                return
            self._reader = threading.Thread(
                target=self._read_before, args=(found,), name="skillsmith-files", daemon=True
            )
            self._reader.start()

    def _read_before(self, found: Sequence[Found]) -> None:
        try:
            for item in found:
                if self._walker.is_as(item):
                    self._see(item, None, None)
        except Exception as error:  # noqa: BLE001  (told to whoever looks next, where failures are counted)
            self._problem = error

    def _settle(self) -> None:
        """Wait until what lay in the folder before the run is recorded.

        Raises:
            Exception: What went wrong there, once.
        """
        if self._reader is not None:
            self._reader.join()
            self._reader = None
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

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

    def _look(self, agent: str, *, seq: int | None = None) -> tuple[FileVersion, ...]:
        self._settle()
        with self._lock:
            found, present, more = self._walker.look(self._known)
            changes = [change for item in found if (change := self._see(item, agent, seq)) is not None]
            gone = self._gone_since(present, complete=not more)
            changes = self._renamed(changes, gone)
            self._report(changes, agent)
            for path in gone:
                self._tell(path, agent, change="deleted", version=self._book.latest(path))
            if more:
                self._leave_out(".", f"more than {len(present)} files", agent)
            return tuple(change.version for change in changes)

    def _track(self, file_path: str | os.PathLike[str], agent: str) -> FileVersion | None:
        self._settle()
        with self._lock:
            path = self._walker.relative(file_path)
            item = self._walker.one(path)
            if item is None:
                self._leave_out(path, "no file in the work folder", agent)
                return None
            if change := self._see(item, agent, None):
                self._report([change], agent)
            return self._book.latest(item.path)

    def _see(self, item: Found, agent: str | None, seq: int | None) -> _Change | None:
        """Compare a file with what is known of it; record and return its new version."""
        look = self._known.get(item.path)
        if look is not None and look.certain and look.mark == item.mark:
            return None
        now = time.time()
        held = self._read(item, agent)
        if held is None:
            return None
        self._known[item.path] = Known(item.mark, certain=now - item.modified > _TICK_SECONDS)
        digest = held.digest or digest_of(held.content)
        old = self._book.latest(item.path)
        created = old is None or item.path in self._gone
        self._gone.discard(item.path)
        if old is not None and old.digest == digest:
            return _Change("created", old) if created else None
        self._room -= len(held.content)
        size = len(held.content) if held.size is None else held.size
        version = self._book.add(item, digest=digest, size=size, agent=agent, step=self._sink.step)
        self._sink.record(replace(held, agent=agent, at=version.at, seq=seq))
        return _Change("created" if created else "modified", version)

    def _read(self, item: Found, agent: str | None) -> FileSnapshot | None:
        """Return a file's content without secrets, or its digest when it is large; None: it is left out."""
        try:
            if item.size > min(self._max_file_bytes, self._room):
                return self._digest(item, agent)
            content = Path(item.full).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._leave_out(item.path, f"cannot be read: {error.strerror}", agent)
            return None
        clean = redact_bytes(content) if self._sink.recorder.redact else content
        if clean is None:
            self._leave_out(item.path, "it holds a secret in a form that cannot be taken out", agent)
            return None
        return FileSnapshot(path=item.path, content=clean)

    def _digest(self, item: Found, agent: str | None) -> FileSnapshot | None:
        """Return what is known of a file that is too large to keep."""
        if item.size > MAX_HASHED_BYTES:
            self._leave_out(item.path, f"larger than {MAX_HASHED_BYTES} bytes", agent)
            return None
        with Path(item.full).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileSnapshot(path=item.path, content=b"", digest=digest, size=item.size)

    def _gone_since(self, present: set[str], *, complete: bool) -> list[str]:
        """Forget the files that are not there any more and return their paths."""
        gone = [
            path for path in self._known
            if path not in present and (complete or not os.path.lexists(os.path.join(self.work_dir, path)))  # noqa: PTH118  (text)
        ]  # fmt: skip
        for path in gone:
            del self._known[path]
            self._gone.add(path)
        return gone

    def _renamed(self, changes: Sequence[_Change], gone: list[str]) -> list[_Change]:
        """Say which new files are old ones under another name; those are not gone."""
        lost = {
            version.digest: path for path in gone if (version := self._book.latest(path)) and version.size
        }
        told = []
        for change in changes:
            before = lost.pop(change.version.digest, None) if change.what == "created" else None
            if before is not None and self._supersede(before, change.version.path):
                gone.remove(before)
                told.append(_Change("renamed", change.version, before))
            else:
                told.append(change)
        return told

    def _report(self, changes: Sequence[_Change], agent: str) -> None:
        """Record an event for each new version; after all contents, which belong to the event before."""
        for what, version, before in changes:
            elder = self._book.elder(version.path) if version.version == 1 and before is None else None
            supersedes = elder if elder and self._supersede(elder, version.path) else None
            self._tell(
                version.path, agent, change=what, version=version, supersedes=supersedes, renamed_from=before
            )

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
