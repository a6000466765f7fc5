"""Fixtures that many tests share; what only one file needs stands in that file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from skillsmith.db import Database
from skillsmith.events import EventLog
from skillsmith.models import Event, Run
from skillsmith.runs import RunRepository

settings.register_profile(
    "skillsmith",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("skillsmith")

MakeRun = Callable[..., Run]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A new file, as a user would have it."""
    database = Database(tmp_path / "skillsmith.db")
    yield database
    database.close()


@pytest.fixture
def runs(db: Database) -> RunRepository:
    """The runs of that file."""
    return RunRepository(db)


@pytest.fixture
def make_run(db: Database, runs: RunRepository) -> MakeRun:
    """Store a finished, successful run with these events and return it."""

    def make(*events: Event, task: str = "Plot the spectrum") -> Run:
        run = runs.create(task)
        EventLog(db).append(runs.key(run.id), events)
        return runs.finish(run.id, outcome="success")

    return make
