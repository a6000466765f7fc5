"""``doctor``: checks the installation and the file, and mends what waits to be mended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from skillsmith.cli.session import Session, command
from skillsmith.db import Database
from skillsmith.errors import ExitCode, SkillsmithError
from skillsmith.models import Json
from skillsmith.output import Output
from skillsmith.presentation.text import plural, size
from skillsmith.workspace import Workspace, default_path

LARGE_WAL_BYTES = 256_000_000

Level = Literal["ok", "warning", "broken"]
MARKS = {"ok": ("ok", "green"), "warning": ("!!", "yellow"), "broken": ("XX", "bold red")}


@dataclass(frozen=True, slots=True)
class _Check:
    """One thing looked at; a warning does not make the whole broken."""

    name: str
    level: Level
    detail: str

    def document(self) -> dict[str, Json]:
        return {
            "name": self.name, "ok": self.level != "broken", "level": self.level, "detail": self.detail,
        }  # fmt: skip


@command("skillsmith doctor", "skillsmith doctor --json")
def doctor(session: Session) -> ExitCode:
    """Check the installation and the file, and mend what is only unfinished."""
    path = Path(session.db or default_path())
    with session.out.progress("checking"):
        checks = [_python(), _sqlite(), _vector_extension(), _model(), _fastembed()]
        checks += _file_checks(session, path)
    healthy = all(check.level != "broken" for check in checks)
    document = {"checks": [check.document() for check in checks], "ok": healthy}
    session.out.document(document, lambda: _show(session.out, checks))
    return ExitCode.OK if healthy else ExitCode.FAILED


def _show(out: Output, checks: list[_Check]) -> None:
    for check in checks:
        mark, style = MARKS[check.level]
        out.line(f"{mark}  {check.name:<16}  {check.detail}", style="" if check.level == "ok" else style)


def _attempt(name: str, work: Callable[[], str], *, otherwise: Level = "broken") -> _Check:
    """Do what a check does; an error that a user can mend is its finding."""
    try:
        return _Check(name, "ok", work())
    except SkillsmithError as error:
        return _Check(name, otherwise, str(error))


def _python() -> _Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return _Check("skillsmith", "ok", f"{metadata.version('skillsmith-cli')} on Python {version}")


def _sqlite() -> _Check:
    def work() -> str:
        Database(":memory:").close()
        return f"sqlean.py {metadata.version('sqlean.py')}; our schema and full text work"

    return _attempt("sqlite", work)


def _vector_extension() -> _Check:
    def work() -> str:
        from skillsmith.library.vectors import extension_path  # noqa: PLC0415  (only to check)

        with Workspace(Database(":memory:")) as scratch:
            scratch.db.load_extension(extension_path())
        return f"sqlite-vec {metadata.version('sqlite-vec')} loads"

    return _attempt("vector search", work)


def _model() -> _Check:
    from skillsmith.library.embedding.store import model_status  # noqa: PLC0415  (15 ms)

    status = model_status()
    hint = "" if status.ready else "; until then matching goes by words alone"
    return _Check("embedding model", "ok" if status.ready else "warning", status.detail + hint)


def _fastembed() -> _Check:
    if find_spec("fastembed") is None:
        return _Check("fastembed", "warning", "not installed; only models made here can be used")
    return _Check("fastembed", "ok", metadata.version("fastembed"))


def _file_checks(session: Session, path: Path) -> Iterator[_Check]:
    if not path.exists():
        yield _Check("file", "warning", f"{path} is not there yet; `skillsmith ingest PATH` makes it")
        return
    try:
        workspace = session.open()
    except SkillsmithError as error:
        yield _Check("file", "broken", str(error))
        return
    with workspace:
        yield _Check("file", "ok", f"{path}, {size(path.stat().st_size)}")
        yield from _content_checks(workspace, path)


def _content_checks(workspace: Workspace, path: Path) -> Iterator[_Check]:
    yield _integrity(workspace)
    yield _journal(path)
    yield _attempt("full text", lambda: _index(workspace), otherwise="warning")
    yield _vectors(workspace)
    yield _attempt("side files", lambda: _absorb(workspace), otherwise="warning")


def _integrity(workspace: Workspace) -> _Check:
    from skillsmith.library.sharing.verify import verify_library  # noqa: PLC0415  (only to check)

    def work() -> str:
        problems = verify_library(workspace.db).problems
        if problems:
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            hint = "restore a backup; `skillsmith verify` lists all"
            raise SkillsmithError(f"{problems[0]}{more}", hint=hint)
        return "every page, reference and digest is right"

    return _attempt("content", work)


def _vectors(workspace: Workspace) -> _Check:
    status = workspace.vectors.status()
    if status.notice:
        return _Check("skill vectors", "warning", status.notice)
    waiting = status.skills - status.embedded
    detail = f"{plural(status.vectors, 'vector')} of {plural(status.embedded, 'skill')}"
    return _Check(
        "skill vectors", "ok", f"{detail}, {waiting:,} made at the next match" if waiting else detail
    )


def _journal(path: Path) -> _Check:
    """The file's header says whether readers and writers can work side by side."""
    with path.open("rb") as file:
        write_version = file.read(20)[18:19]
    if write_version != b"\x02":
        return _Check("journal", "warning", "not in WAL mode: readers and writers wait for each other")
    wal = path.with_name(path.name + "-wal")
    waiting = wal.stat().st_size if wal.exists() else 0
    if waiting > LARGE_WAL_BYTES:
        return _Check(
            "journal", "warning", f"{size(waiting)} wait in {wal.name}: a reader has been open for long"
        )
    return _Check("journal", "ok", f"WAL, {size(waiting)} waiting")


def _index(workspace: Workspace) -> str:
    if workspace.skills.text_is_outdated():
        raise SkillsmithError(
            "sentences without spaces, as in Chinese or Thai, are not cut into words yet",
            hint="run `skillsmith reindex`",
        )
    added = workspace.log.index_pending()
    return f"up to date, {plural(added, 'event')} added now" if added else "up to date"


def _absorb(workspace: Workspace) -> str:
    from skillsmith.capture.spill import absorb_spills  # noqa: PLC0415  (only to check)

    found = absorb_spills(workspace.path)
    problems = [problem for one in found for problem in one.problems]
    if problems:
        raise SkillsmithError(f"{found[0].path}: {problems[0]}")
    entries = sum(one.entries for one in found)
    return f"{plural(entries, 'entry')} of interrupted captures brought in" if entries else "none waiting"
