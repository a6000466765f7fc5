"""The library as a server of the Model Context Protocol: other programs' agents find, read and run skills.

A thin layer over the workspace. The official SDK is imported by ``server.py`` alone, so that everything else
here can be read, tested and refused without it. Nothing runs that its user has not allowed by name.
"""

from __future__ import annotations

import importlib.util

from skillsmith.errors import ExecutionError
from skillsmith.mcp_server.settings import Choice, Settings

__all__ = ["Choice", "Settings", "serve"]


def serve(settings: Settings) -> None:
    """Serve one client on standard input and output until it leaves.

    Args:
        settings: What is served, and what may be run.

    Raises:
        ExecutionError: The SDK is not installed, or tools cannot be opened.
        UsageError: Tools cannot be found.
    """
    if importlib.util.find_spec("mcp") is None:
        raise ExecutionError(
            "the MCP server needs the package mcp, which is not installed",
            hint="pip install 'skillsmith-cli[mcp]'",
        )
    from skillsmith.mcp_server.stdio import run  # noqa: PLC0415  (the SDK: 0.8 s; only to serve)

    run(settings)
