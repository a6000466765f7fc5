"""``tui``: the full-screen browser, its pictures, and the same in a web browser."""

from __future__ import annotations

import os
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from skillsmith.cli.session import Session, command
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.output import is_terminal
from skillsmith.presentation.text import plural
from skillsmith.workspace import Workspace, default_path

LEAST_SIZE = (40, 12)
DEFAULT_PORT = 8765

SubjectArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN|SKILL", show_default=False, help="A run's id, RUN:N for its event N, or a skill's name."
    ),
]
ScreenOption = Annotated[
    str | None,
    typer.Option("--screen", metavar="NAME", help="The screen to open: runs, timeline, skills, …"),
]
ThemeOption = Annotated[str, typer.Option("--theme", metavar="T", help="dark, light or contrast.")]
ScreenshotOption = Annotated[
    Path | None,
    typer.Option("--screenshot", metavar="PATH", show_default=False, help="Save a picture (SVG) and end."),
]
SizeOption = Annotated[str, typer.Option("--size", metavar="CxR", help="Columns and rows of the picture.")]
WebOption = Annotated[bool, typer.Option("--web", help="Show it in a web browser, on this machine only.")]
PortOption = Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="For --web.")]


@command(
    "skillsmith tui",
    "skillsmith tui 019ab3:17",
    "skillsmith tui refund_booking --theme light",
    "skillsmith tui 019ab3 --screenshot timeline.svg --size 160x50",
    "skillsmith tui --web",
)
def tui(
    session: Session,
    *,
    subject: SubjectArgument = None,
    screen: ScreenOption = None,
    theme: ThemeOption = "dark",
    screenshot: ScreenshotOption = None,
    size: SizeOption = "160x50",
    web: WebOption = False,
    port: PortOption = DEFAULT_PORT,
) -> None:
    """See what the agents did and what was learned, on the whole terminal.

    Every action is a key, and in the command palette (ctrl-p); ? shows the keys of a screen.
    """
    from skillsmith.tui import launch  # noqa: PLC0415  (the browser's packages are loaded by it alone)

    path = session.db or default_path()
    _check_theme(theme)
    launch.check(path)
    pane, pushed = _start(session, subject, screen)
    if web:
        launch.serve(
            _command_line(path, subject, screen, theme), port=port,
            say=lambda address: session.out.note(f"open {address} in a browser; ctrl-c ends it"),
        )  # fmt: skip
    elif screenshot is not None:
        launch.picture(path, screenshot, pane=pane, screen=pushed, theme=theme, size=_size(size))
        session.out.document({"written": str(screenshot)}, lambda: session.out.line(f"wrote {screenshot}"))
    elif not _can_be_seen():
        raise UsageError("the browser needs a terminal", hint="--screenshot PATH draws a picture without one")
    else:
        launch.browse(path, pane=pane, screen=pushed, theme=theme)


def _can_be_seen() -> bool:
    """Tell whether there is a terminal, or the web server that started this process draws."""
    return "TEXTUAL_DRIVER" in os.environ or (is_terminal(sys.stdin) and is_terminal(sys.stdout))


def _check_theme(theme: str) -> None:
    known = ("dark", "light", "contrast")
    if theme not in known:
        raise UsageError(f"there is no theme {theme!r}", hint=f"use one of {', '.join(known)}")


def _size(text: str) -> tuple[int, int]:
    columns, _, rows = text.lower().partition("x")
    if not (columns.isdecimal() and rows.isdecimal()) or (int(columns), int(rows)) < LEAST_SIZE:
        raise UsageError(f"{text!r} is no size", hint="give columns and rows, e.g. 160x50")
    return int(columns), int(rows)


def _start(
    session: Session, subject: str | None, screen: str | None
) -> tuple[str, tuple[str, *tuple[Any, ...]] | None]:
    """Return the pane to show and the screen over it."""
    from skillsmith.tui.registry import PANES, SCREENS  # noqa: PLC0415  (as above)

    if screen is not None and screen not in PANES and screen not in SCREENS:
        names = ", ".join([*PANES, *SCREENS])
        raise UsageError(f"there is no screen {screen!r}", hint=f"use one of {names}")
    if screen in PANES or (screen is None and subject is None):
        return screen or "runs", None
    with session.open() as workspace:
        if screen is None:
            return _meant(workspace, subject or "")
        return "runs", (screen, *_arguments(workspace, SCREENS[screen].needs, subject))


def _meant(workspace: Workspace, subject: str) -> tuple[str, tuple[str, *tuple[Any, ...]]]:
    """Return the pane and the screen of the skill or run that is meant.

    Raises:
        NotFoundError: It is neither.
    """
    if workspace.skills.exists(subject.partition("@")[0]):
        return "skills", ("skill", subject)
    try:
        return "runs", ("timeline", *_run_and_event(workspace, subject))
    except NotFoundError as error:
        raise NotFoundError(
            f"there is no skill and no run {subject!r}",
            hint="`skillsmith runs` and `skillsmith list` show them",
        ) from error


def _run_and_event(workspace: Workspace, subject: str) -> tuple[Any, ...]:
    """Read ``RUN`` or ``RUN:N``: the run's id, and the event to begin at."""
    reference, _, number = subject.partition(":")
    run_id = workspace.runs.get(reference).id
    return (run_id, int(number)) if number.isdecimal() else (run_id,)


def _arguments(workspace: Workspace, needs: str, subject: str | None) -> tuple[Any, ...]:
    """Return what a screen takes; what was not named is the newest.

    Raises:
        NotFoundError: There is none yet, or not what was named.
    """
    if needs == "task":
        return (subject,) if subject else ()
    if needs == "skill":
        return (_skill(workspace, subject),)
    if needs == "run" and subject:
        return _run_and_event(workspace, subject)
    return _runs(workspace, subject, 2 if needs == "runs" else 1) if needs else ()


def _skill(workspace: Workspace, name: str | None) -> str:
    if name:
        workspace.skills.get(name)
        return name
    found = next(workspace.skills.list(), None)
    if found is None:
        raise NotFoundError("there is no skill yet", hint="`skillsmith extract RUN` makes one")
    return found.name


def _runs(workspace: Workspace, named: str | None, count: int) -> tuple[str, ...]:
    """Return the ids of the runs that are named, with a comma between them, or of the newest."""
    if named:
        found = [workspace.runs.get(one).id for one in named.split(",")][:count]
    else:
        found = [run.id for run in islice(workspace.runs.list(window=count), count)]
    if len(found) < count:
        raise NotFoundError(
            f"{plural(count, 'run')} wanted, {len(found)} found", hint="name them as RUN,RUN, or bring some"
        )
    return tuple(found)


def _command_line(path: Path, subject: str | None, screen: str | None, theme: str) -> list[str]:
    """Return the command line of one browser behind the web server."""
    line = [sys.executable, "-m", "skillsmith", "tui", "--db", str(path.absolute()), "--theme", theme]
    return line + ([subject] if subject else []) + (["--screen", screen] if screen else [])
