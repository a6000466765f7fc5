"""The folder that a skill's code works in: what is brought in, what may be written, what has changed.

The user's files are copied in, never linked: code may change what it reads, the originals stay as they are.
A path that cannot be copied under its own name is handed to the code as an absolute one.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from skillsmith.errors import ExecutionError, RefusedError, UsageError
from skillsmith.files import MAX_STORED_BYTES
from skillsmith.library.execution.marks import Mark, mark_of, marks_in
from skillsmith.library.program.bindings import UnresolvedError, rename_inputs, resolve, sources
from skillsmith.library.program.graph import Graph
from skillsmith.library.program.paths import leaves_folder
from skillsmith.models import Binding, FileUse, FromInput, FromNode, Json, SkillArtifact

MAX_COPIED_BYTES = 1024 * 1024 * 1024
"""A larger input file is handed over by its absolute path instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that appeared or changed in the work folder.

    Args:
        path: Relative to the folder, with ``/``; absolute for a file outside that the user named.
        content: None when it is too large to keep.
    """

    path: str
    size: int
    digest: str
    content: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One file that goes into the work folder before anything runs.

    Args:
        path: Relative to the work folder.
        source: Where it is copied from, or the skill's own artifact.
    """

    path: str
    source: Path | SkillArtifact


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlan:
    """What happens with files before anything runs.

    Args:
        values: The inputs as the nodes get them: paths made absolute where they could not be copied.
        files: What is brought in.
        outside: Absolute paths that may be written because the user named them.
    """

    values: Mapping[str, Json]
    files: tuple[InputFile, ...]
    outside: frozenset[Path]


class FilePlanner:
    """Plans the files of one execution without touching any.

    Args:
        graph: The nodes.
        values: Values of the skill's inputs.
        explicit: Names of inputs whose value the user gave, by hand or in the task.
        folder: Where relative paths of the user lead from.
        work_dir: The work folder; need not be there yet.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        values: Mapping[str, Json],
        explicit: Iterable[str],
        folder: Path,
        work_dir: Path,
    ) -> None:
        self._graph = graph
        self._skill = graph.skills[""]
        self._values = dict(values)
        self._explicit = frozenset(explicit)
        self._folder = folder
        self._work_dir = work_dir
        self._files: dict[str, InputFile] = {}
        self._outside: set[Path] = set()
        self._own = self._own_names()
        self._made = frozenset(self._paths(writes=True))

    def plan(self) -> FilePlan:
        """Return the plan.

        Raises:
            UsageError: A file to read is not there; names the input.
            RefusedError: The skill would write outside its work folder.
        """
        for variable in self._skill.variables:
            value = self._values.get(variable.name)
            if variable.type == "path" and isinstance(value, str) and value:
                self._values[variable.name] = self._input_path(variable.name, value)
        for path in self._paths(writes=False):
            if not leaves_folder(path):
                self._bring(path)
        for skill in self._graph.skills.values():
            for artifact in skill.artifacts:
                if artifact.path and not artifact.is_template:
                    self._bring(artifact.path)
        self._refuse_escapes()
        return FilePlan(
            values=self._values, files=tuple(self._files.values()), outside=frozenset(self._outside)
        )

    def _input_path(self, name: str, value: str) -> str:
        """Return what the code gets for a path that an input names."""
        reads, writes = self._is_used(name, writes=False), self._is_used(name, writes=True)
        home = os.path.expanduser(value)  # noqa: PTH111  (leaves a home of nobody as it is, where Path raises)
        source = Path(os.path.normpath((self._folder / home).absolute()))
        if writes and not reads:
            return self._output_path(name, value, source)
        exists = os.path.exists(source)  # noqa: PTH110  (False, not an error, for what is no path)
        if not exists and _leaves(value) and name in self._explicit and not reads:
            self._outside.add(source)
            return str(source)
        if not exists:
            there = os.path.exists(self._work_dir / value)  # noqa: PTH110  (as above)
            available = there or value in self._made or self._artifact(value)
            if reads and (_leaves(value) or not available):
                raise UsageError(
                    f"input {name!r}: there is no file {value}",
                    hint=f"give --set {name}=FILE, seen from {self._folder}",
                )
            self._bring(value)
            return value
        if _leaves(value) or source.is_dir() or source.stat().st_size > MAX_COPIED_BYTES:
            if writes:
                self._outside.add(source)
            return str(source)
        self._bring(value)
        return value

    def _output_path(self, name: str, value: str, source: Path) -> str:
        if not _leaves(value):
            return value
        if name not in self._explicit:
            raise RefusedError(
                f"skill {self._skill.name!r} would write {value}, outside its work folder",
                hint=f"name another place: --set {name}=FILE",
            )
        self._outside.add(source)
        return str(source)

    def _bring(self, path: str) -> None:
        """Note a file to bring in: the user's own by preference, else the skill's."""
        if leaves_folder(path) or path in self._files:
            return
        source, target = self._folder / path, self._work_dir / path
        if os.path.isfile(source):  # noqa: PTH113  (as above)
            if not (target.exists() and target.samefile(source)):
                self._files[path] = InputFile(path=path, source=source)
            return
        artifact = self._artifact(path)
        if artifact is not None and not os.path.exists(target):  # noqa: PTH110  (as above)
            self._files[path] = InputFile(path=path, source=artifact)

    def _artifact(self, path: str) -> SkillArtifact | None:
        for skill in self._graph.skills.values():
            for artifact in skill.artifacts:
                if not artifact.is_template and path == (artifact.path or artifact.name):
                    return artifact
        return None

    def _is_used(self, name: str, *, writes: bool) -> bool:
        return any(
            isinstance(source, FromInput) and source.name == name
            for use in self._uses(writes=writes)
            for source in sources(use.path)
        )

    def _uses(self, *, writes: bool) -> Iterator[FileUse]:
        """Yield the file uses that read nothing but the skill's own inputs, also inside its sub-skills."""
        for stop in self._graph.work():
            own = self._own[stop.scope]
            for use in stop.node.writes if writes else stop.node.reads:
                read = list(sources(use.path))
                if not stop.scope:
                    yield use
                elif all(isinstance(one, FromInput) and one.name in own for one in read):
                    yield replace(use, path=rename_inputs(use.path, own))

    def _own_names(self) -> dict[str, dict[str, str]]:
        """Return for each scope the inputs that are inputs of the skill itself, with their names there."""
        own = {"": {one.name: one.name for one in self._skill.variables}}
        for stop in self._graph.stops.values():
            if stop.enters:
                outer = own[stop.scope]
                own[stop.inner] = {
                    name: outer[binding.name]
                    for name, binding in stop.node.arguments.items()
                    if isinstance(binding, FromInput) and binding.name in outer
                }
        return own

    def _paths(self, *, writes: bool) -> Iterator[str]:
        """Yield the paths that are known before anything runs."""
        for use in self._uses(writes=writes):
            path = known_path(use.path, self._values)
            if path is not None:
                yield path

    def _refuse_escapes(self) -> None:
        for use in self._uses(writes=True):
            path = known_path(use.path, self._values)
            if path is None or not leaves_folder(path):
                continue
            named = {source.name for source in sources(use.path) if isinstance(source, FromInput)}
            if not named or not named <= self._explicit:
                raise RefusedError(
                    f"skill {self._skill.name!r} would write {path}, outside its work folder",
                    hint="give the path yourself with --set, or change the skill",
                )
            self._outside.add(Path(os.path.normpath(path)))


def _leaves(value: str) -> bool:
    return leaves_folder(value) or value.startswith("~")


def known_path(binding: Binding, values: Mapping[str, Json]) -> str | None:
    """Return a file's path when it depends on inputs only, else None."""
    if any(isinstance(source, FromNode) for source in sources(binding)):
        return None
    try:
        path = resolve(binding, values, {})
    except UnresolvedError:  # an input without a value: the node itself will say so
        return None
    return path if isinstance(path, str) else None


class WorkFolder:
    """The work folder of one execution.

    Args:
        path: The folder; made when it is not there.
        outside: Absolute paths beyond it that may be written.
    """

    def __init__(self, path: Path, *, outside: Iterable[Path] = ()) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExecutionError(
                f"the work folder {path} cannot be made: {error.strerror}", hint="name another with --workdir"
            ) from error
        self.path = path.resolve()
        self._outside = frozenset(outside)
        self._known = dict(self._scan())
        self._lock = threading.Lock()

    def bring(self, files: Iterable[InputFile]) -> list[FileChange]:
        """Put files into the folder and return them.

        Raises:
            ExecutionError: One cannot be copied.
        """
        for file in files:
            target = self.path / file.path
            try:
                _make_parent(target)
                if isinstance(file.source, Path):
                    shutil.copyfile(file.source, target)
                else:
                    target.write_bytes(file.source.content)
            except OSError as error:
                raise ExecutionError(
                    f"{file.path} cannot be put into {self.path}: {error.strerror}"
                ) from error
        return self.changes()

    def check_write(self, path: str) -> Path:
        """Return where a declared output goes, with its folder made.

        Raises:
            RefusedError: It lies outside the work folder and the user did not name it.
        """
        target = Path(os.path.normpath(self.path / path))
        if target.is_relative_to(self.path):
            try:
                _make_parent(target)
            except OSError as error:
                raise ExecutionError(f"no folder can be made for {path}: {error.strerror}") from error
        elif target not in self._outside:
            raise RefusedError(f"{path} is outside the work folder {self.path}")
        return target

    def changes(self) -> list[FileChange]:
        """Return what appeared or changed since the last look; safe to call from several threads."""
        with self._lock:
            now = dict(self._scan())
            changed = [path for path, mark in now.items() if self._known.get(path) != mark]
            self._known = now
        return [change for change in map(self._read, changed) if change is not None]

    def names(self) -> list[str]:
        """Return the files in the folder, as they were at the last look."""
        with self._lock:
            return sorted(self._known)

    def _scan(self) -> Iterator[tuple[str, Mark]]:
        yield from marks_in(str(self.path))
        for path in self._outside:
            mark = mark_of(path)
            if mark is not None:
                yield str(path), mark

    def _read(self, path: str) -> FileChange | None:
        file = self.path / path
        try:
            size = file.stat().st_size
            if size <= MAX_STORED_BYTES:
                content = file.read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                return FileChange(path=path, size=len(content), digest=digest, content=content)
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:  # gone or unreadable by now: then it is no artifact
            return None
        return FileChange(path=path, size=size, digest=digest, content=None)


def _make_parent(target: Path) -> None:
    """Make the folder of a file; that it is there already is the rule."""
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)


def default_work_dir(skill: str, *, folder: Path) -> Path:
    """Return a new folder for one execution, named so that people find it."""
    stamp = datetime.now(UTC).astimezone().strftime("%Y%m%d-%H%M%S")
    return folder / "skillsmith-runs" / f"{skill}-{stamp}-{secrets.token_hex(2)}"


def skill_needs_folder(graph: Graph) -> bool:
    """Whether anything in a graph runs code; tools and their checks work where the user is."""
    return any(stop.node.kind == "code" for stop in graph.work())
