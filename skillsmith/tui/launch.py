"""Start the browser: on this terminal, in a web browser, or unseen for a picture."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from skillsmith.db import Database, may_write
from skillsmith.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from textual.pilot import Pilot

PATIENCE_SECONDS: Final = 2.0
SETTLE_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.05
QUIET_LOOKS: Final = 3
"""Answers lead to questions, some of them a moment later."""

HOST: Final = "127.0.0.1"
_FONT_FACE: Final = re.compile(r"\s*@font-face \{[^}]*\}")


def check(path: Path) -> None:
    """Make sure that the file is there, ours and readable, before the terminal is taken over.

    Raises:
        NotFoundError: It is not there.
        StorageError: It is locked, another program's, or of a newer schema.
    """
    if not path.exists():
        raise NotFoundError(
            f"there is no database at {path}",
            hint="`skillsmith demo --keep` or `skillsmith ingest PATH` makes one; --db names another",
        )
    Database(path, readonly=not may_write(path), patience=PATIENCE_SECONDS).close()


def browse(path: Path, *, pane: str, screen: tuple[str, *tuple[Any, ...]] | None, theme: str) -> None:
    """Show the browser on this terminal until it is left."""
    from skillsmith.tui.app import SkillsmithApp  # noqa: PLC0415  (300 ms; only for the browser itself)

    if "TEXTUAL_DRIVER" not in os.environ:  # a web page has its size from them
        for variable in ("COLUMNS", "LINES"):  # on a terminal they hide a change of its size
            os.environ.pop(variable, None)
    SkillsmithApp(str(path), pane=pane, screen=screen, theme=theme).run()


def picture(
    path: Path, target: Path, *, pane: str, screen: tuple[str, *tuple[Any, ...]] | None, theme: str,
    size: tuple[int, int],
) -> None:  # fmt: skip
    """Draw a screen without a terminal and save it as SVG.

    Args:
        path: The file.
        target: Where the picture goes.
        pane: The tab.
        screen: A screen over it.
        theme: dark, light or contrast.
        size: Columns and rows.

    Raises:
        UsageError: The picture cannot be written.
    """
    from skillsmith.tui.app import SkillsmithApp  # noqa: PLC0415  (300 ms; only for the browser itself)

    app = SkillsmithApp(str(path), pane=pane, screen=screen, theme=theme, live=False)
    drawn: list[str] = []

    async def draw(pilot: Pilot[Any]) -> None:
        await settle(pilot)
        drawn.append(_without_foreign_fonts(app.export_screenshot(title="skillsmith")))
        app.exit()

    asyncio.run(app.run_async(headless=True, size=size, auto_pilot=draw))
    if not drawn:
        raise UsageError(f"{target}: the screen could not be drawn", hint="open it with `skillsmith tui`")
    try:
        target.write_text(drawn[0], encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}", hint="choose another place") from error


def _without_foreign_fonts(svg: str) -> str:
    """Leave out the fonts that a picture would fetch from another site when it is opened."""
    return _FONT_FACE.sub("", svg)


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until every question is answered and shown, at most for some seconds."""
    data = pilot.app.data  # type: ignore[attr-defined]  # our application
    until, quiet = time.monotonic() + SETTLE_SECONDS, 0
    while quiet < QUIET_LOOKS and time.monotonic() < until:
        await pilot.pause(LOOK_SECONDS)
        quiet = 0 if data.pending else quiet + 1
    pilot.app.screen.refresh(layout=True)
    await pilot.pause()


def serve(arguments: Sequence[str], *, port: int, say: Callable[[str], None]) -> None:
    """Serve the browser to web browsers on this machine, each with a process of its own.

    Args:
        arguments: The command line of one browser.
        port: Of the loopback address.
        say: Is told the address to open, which holds the secret.

    Raises:
        UsageError: The package that it takes is not installed, or the port is taken.
    """
    try:
        from skillsmith.tui.web import GuardedServer  # noqa: PLC0415  (400 ms; only for --web)
    except ImportError as error:
        raise UsageError(
            "--web needs the package textual-serve", hint="pip install 'skillsmith-cli[web]'"
        ) from error
    server = GuardedServer(arguments, host=HOST, port=port, ready=say)
    try:
        server.serve()
    except OSError as error:
        hint = "name another with --port"
        raise UsageError(f"port {port} cannot be used: {error.strerror}", hint=hint) from error
