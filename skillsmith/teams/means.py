"""The tools that a command was given, open for as long as it works; none were given: none are opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from skillsmith.models import ToolSource


@contextmanager
def opened(sources: Sequence[str] | None) -> Iterator[ToolSource | None]:
    """Open the tools for as long as the block runs; MCP servers run that long.

    Args:
        sources: As ``--tools`` says it.

    Raises:
        UsageError: One cannot be read or found.
        ExecutionError: One cannot be loaded or started.
    """
    if not sources:
        yield None
        return
    from skillsmith.library.tools.sources import open_tools  # noqa: PLC0415  (asyncio: 70 ms; only with tools)

    with open_tools(*sources) as tools:
        yield tools
