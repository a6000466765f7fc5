"""One filled file and one server of it for the tests that only look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cli_process import TOOLS, Cli, code_skill, fill, order_run, tool_skill, write_json
from serving import client_of, serving

from skillsmith.server.launch import Server


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line whose file has two skills, five runs, and tools beside it."""
    line = Cli(tmp_path, tmp_path / "x.db")
    fill(line, tool_skill(), code_skill())
    (tmp_path / "tools.py").write_text(TOOLS, encoding="utf-8")
    line.json("ingest", write_json(tmp_path / "log.json", [order_run(number) for number in range(1, 6)]))
    return line


@pytest.fixture
def server(cli: Cli) -> Iterator[Server]:
    """Serve that file; every skill may run."""
    tools = (str(cli.folder / "tools.py"),)
    with serving(cli.db, allow_run=frozenset({"all"}), tools=tools) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Return a client that shows the token."""
    with client_of(server) as client:
        yield client
