"""Old runs in a second file: ``archive``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.session import Session, YesOption, command
from skillsmith.errors import UsageError
from skillsmith.models import Json
from skillsmith.presentation.text import DAY, plural, short_id
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.archive import Move

RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", help="A run's id or a unique beginning of it.", show_default=False),
]
OlderThanOption = Annotated[
    float | None,
    typer.Option("--older-than", metavar="DAYS", min=0, help="All runs that were over so long ago."),
]


@command(
    "skillsmith archive --older-than 90 --to old-runs.db",
    "skillsmith archive 019ab3 019ab7 --to old-runs.db --yes",
    "skillsmith archive 019ab3 --restore",
)
def archive(
    session: Session,
    *,
    runs: RunsArgument = None,
    older_than: OlderThanOption = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="PATH", help="The second file; made when it is not there.")
    ] = None,
    restore: Annotated[bool, typer.Option("--restore", help="Bring archived runs back.")] = False,
    yes: YesOption = False,
) -> None:
    """Move runs to a second file that can be read like this one, with --db.

    A run is copied, the copy is compared, and only then does it go from here. Breaking off loses nothing; the
    same command again goes on. Skills, their executions and their figures stay. `runs --archived` lists what
    was moved. The room that becomes free in this file is used again.
    """
    if restore:
        _restore(session, runs or (), used=to is not None or older_than is not None)
        return
    if to is None:
        raise UsageError("there is no second file named", hint="give --to PATH")
    if bool(runs) == (older_than is not None):
        raise UsageError("which runs?", hint="name them, or give --older-than DAYS")
    with session.open() as workspace:
        chosen = list(runs or ()) if runs else _old(workspace, older_than or 0.0)
        if chosen:
            session.confirm(f"move {plural(len(chosen), 'run')} to {to}?", yes=yes)
        with session.out.progress("archiving", total=len(chosen)) as step:
            move = workspace.archive.archive(chosen, to, progress=step)
    document = _document(move)
    session.out.document(document, lambda: session.out.line(_line("moved", move, f"to {move.path}")))


def _old(workspace: Workspace, days: float) -> list[str]:
    return workspace.archive.older_than(time.time() - days * DAY)


def _restore(session: Session, runs: list[str] | tuple[()], *, used: bool) -> None:
    if used or not runs:
        raise UsageError(
            "--restore takes runs and nothing else", hint="`skillsmith runs --archived` lists them"
        )
    with session.open() as workspace, session.out.progress("restoring", total=len(runs)) as step:
        moves = workspace.archive.restore(runs, progress=step)

    def show() -> None:
        for move in moves:
            session.out.line(_line("brought back", move, f"from {move.path}"))

    session.out.document({"restored": [_document(move) for move in moves]}, show)


def _document(move: Move) -> dict[str, Json]:
    return {"runs": list(move.runs), "path": str(move.path), "events": move.events, "contents": move.contents}


def _line(verb: str, move: Move, place: str) -> str:
    if not move.runs:
        return "no run is that old"
    some = ", ".join(map(short_id, move.runs[:3])) + (", …" if len(move.runs) > 3 else "")  # noqa: PLR2004  (what fits a line)
    return f"{verb} {plural(len(move.runs), 'run')} ({some}), {plural(move.events, 'event')}, {place}"
