"""The application: the gate in front, the routes behind it, and what they share while it is up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp

from skillsmith import __version__
from skillsmith.server import faults, live
from skillsmith.server.api import analytics, docs, executions, jobs, making, matching, runs, skills, versions
from skillsmith.server.auth import Gate
from skillsmith.server.job_store import JobStore
from skillsmith.server.jobs import Jobs
from skillsmith.server.pool import ReaderPool
from skillsmith.server.settings import ServerSettings
from skillsmith.server.streams import Streams

_ABOUT = """Runs, skills and what came of them, from one skillsmith file.

Every request shows the token that `skillsmith serve` printed: `Authorization: Bearer TOKEN`. Lists take
`limit` and `after`, which is `next` of the page before. Errors are `{"error": {"code", "message", "hint"}}`.
Long work answers 202 with `status_url`; `/ws/jobs/{id}` tells how far it is. Live events are at
`/ws/runs/{run_id}` and `/ws`."""

_ROUTERS = (runs, matching, making, skills, executions, versions, analytics, jobs)


def create_app(settings: ServerSettings, *, store: JobStore) -> ASGIApp:
    """Return the whole application, gate included.

    Args:
        settings: The server's.
        store: What is known of jobs; closed with the application.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.jobs = Jobs(settings, store=store)
        app.state.readers = ReaderPool(settings.db, threads=settings.readers, seconds=settings.answer_seconds)
        app.state.streams = Streams(settings.db, app.state.readers)
        try:
            yield
        finally:
            await app.state.jobs.close()
            app.state.streams.close()
            app.state.readers.close()

    app = FastAPI(
        title="skillsmith", version=__version__, description=_ABOUT, lifespan=lifespan, docs_url=None,
        redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.settings = settings
    bearer = Security(HTTPBearer(auto_error=False, description="What `skillsmith serve` printed."))
    for module in _ROUTERS:
        app.include_router(module.router, dependencies=[bearer])
    app.state.routes = [route for module in _ROUTERS for route in module.router.routes]
    app.include_router(docs.router)
    app.include_router(live.router)
    faults.install(app)
    gate = Gate(app, settings=settings)
    app.state.gate = gate
    return gate
