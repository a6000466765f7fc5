"""Care of the file: ``reindex`` and ``backup``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skillsmith.cli.session import Session, YesOption, command
from skillsmith.errors import UsageError
from skillsmith.presentation.text import plural, size


@command("skillsmith reindex")
def reindex(session: Session) -> None:
    """Rebuild full text and skill vectors from what is stored."""
    with session.open() as workspace:
        with session.out.progress("indexing events"):
            events = workspace.log.reindex()
            workspace.skills.reindex()
        notice = workspace.vectors.notice
        with session.out.progress("embedding skills", total=workspace.vectors.status().skills) as step:
            vectors = workspace.vectors.rebuild(progress=step)
    if notice:
        session.out.note(notice)
    line = f"indexed {plural(events, 'event')} and {plural(vectors, 'text')} of skills"
    document = {"events": events, "vectors": vectors, "notice": notice or None}
    session.out.document(document, lambda: session.out.line(line))


@command("skillsmith backup ~/backups/skillsmith-monday.db")
def backup(
    session: Session,
    *,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The copy to write.")],
    yes: YesOption = False,
) -> None:
    """Write a consistent copy of the file, also while others use it."""
    with session.open() as workspace:
        if path.exists() and path.samefile(workspace.path):
            raise UsageError(f"{path} is the file itself", hint="name another place")
        if path.exists():
            session.confirm(f"replace {path}?", yes=yes)
        with session.out.progress("copying"):
            workspace.db.backup(path)
    written = path.stat().st_size
    session.out.document(
        {"written": str(path), "bytes": written}, lambda: session.out.line(f"wrote {path}, {size(written)}")
    )
