"""One client on standard input and output, until it leaves or the process is told to end.

Nothing but the protocol goes to standard output: while tools are opened it is standard error, then the SDK
takes both streams for itself, so what tools print goes to standard error and what they read is empty.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from mcp.server.stdio import stdio_server

from skillsmith.mcp_server.lanes import Lanes
from skillsmith.mcp_server.server import build_server
from skillsmith.mcp_server.settings import Settings
from skillsmith.models import ToolSource
from skillsmith.teams.means import opened

_STDOUT, _STDERR = 1, 2


def run(settings: Settings) -> None:
    """Serve one client.

    Args:
        settings: What is served, and what may be run.

    Raises:
        SkillsmithError: The tools cannot be opened.
        BrokenPipeError: The client no longer listens.
    """
    with ExitStack() as stack:
        with _nothing_on_stdout():
            tools = stack.enter_context(opened(settings.tools))
        try:
            asyncio.run(_serve(settings, tools))
        except* BrokenPipeError:
            raise BrokenPipeError from None  # the client left without a word, which is no bug


@contextmanager
def _nothing_on_stdout() -> Iterator[None]:
    """Send what is written to standard output to standard error: modules print while they are imported."""
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


async def _serve(settings: Settings, tools: ToolSource | None) -> None:
    lanes = Lanes(settings, tools)
    try:
        _end_on_signals(lanes)
        server = build_server(lanes)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())
    finally:
        lanes.close()


def _end_on_signals(lanes: Lanes) -> None:
    """Close the books of what runs before a signal ends the process."""
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows ends the process at once; what ran can be resumed
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _end, lanes, number)


def _end(lanes: Lanes, number: signal.Signals) -> None:
    """End the process by the signal: a thread that waits for input would keep any other end from coming."""
    lanes.close()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
