"""Put a work folder back to how it was before code that never ended: then running it again is no second run.

What the execution's run has recorded is known to the byte. Files it knows nothing of stay: they may be the
user's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from skillsmith.errors import ExecutionError
from skillsmith.files import FileRepository
from skillsmith.ids import digest_of
from skillsmith.library.checkpoints import Progress
from skillsmith.library.execution.loops import loop_key
from skillsmith.library.program.graph import Graph
from skillsmith.models import FileVersion


def put_back(progress: Progress, graph: Graph, *, folder: Path, files: FileRepository, run: int) -> list[str]:
    """Undo what code that began and never ended has done to the work folder, and return the paths.

    Files that it declares and that were not there before are removed; recorded files that it changed or
    removed get their last recorded content.

    Args:
        progress: How far the execution had come.
        graph: Its nodes.
        folder: The work folder.
        files: Where the recorded content is.
        run: The run's primary key.

    Raises:
        ExecutionError: A file cannot be put back.
    """
    begun = {key: paths for key, paths in progress.begun.items() if loop_key(key) in graph.stops}
    if not begun:
        return []
    absent = {path for paths in begun.values() for path in paths}
    try:
        removed = [path for path in sorted(absent) if _remove(folder / path, folder)]
        return removed + list(_restore(_latest(files.versions(run), absent), folder, files))
    except OSError as error:
        raise ExecutionError(
            f"{error.filename} cannot be put back as it was: {error.strerror}", hint="start it again"
        ) from error


def _remove(path: Path, folder: Path) -> bool:
    if not _is_inside(path, folder) or not path.is_file():
        return False
    path.unlink()
    return True


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a real place in the folder, reached through no link that the code may have made."""
    return not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())


def _latest(versions: Iterable[FileVersion], absent: set[str]) -> Mapping[str, FileVersion]:
    return {version.path: version for version in versions if version.path not in absent}


def _restore(latest: Mapping[str, FileVersion], folder: Path, files: FileRepository) -> Iterable[str]:
    for path, version in latest.items():
        target, content = folder / path, files.content(version)
        if content is None or not _is_inside(target, folder):
            continue  # too large to have been kept, or not in the folder: what stands there is all there is
        if not target.is_file() or digest_of(target.read_bytes()) != version.digest:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            yield path
