"""What routes share: the services behind them, the errors they document, and pages."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import Depends, Request

from skillsmith.models import Json
from skillsmith.server.jobs import Jobs
from skillsmith.server.pool import ReaderPool
from skillsmith.server.schemas.common import ErrorAnswer
from skillsmith.server.settings import ServerSettings
from skillsmith.workspace import Workspace

_ERRORS: Final = {
    400: "It fits the schema and still makes no sense.",
    401: "The token is missing or wrong.",
    403: "Refused: not allowed on this server, not trusted, or from elsewhere.",
    404: "It is not there.",
    408: "The request did not arrive in time.",
    409: "It is not in the state that this would need.",
    413: "The request is too large.",
    422: "It does not fit the schema.",
    429: "As many jobs wait as may wait.",
    503: "Busy, or another process is writing; try again.",
}
ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorAnswer, "description": text} for status, text in _ERRORS.items()
}


def _readers(request: Request) -> ReaderPool:
    pool: ReaderPool = request.app.state.readers
    return pool


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


def _settings(request: Request) -> ServerSettings:
    settings: ServerSettings = request.app.state.settings
    return settings


Readers = Annotated[ReaderPool, Depends(_readers)]
JobsService = Annotated[Jobs, Depends(_jobs)]
Settings = Annotated[ServerSettings, Depends(_settings)]


def page_of(items: Iterable[dict[str, Json]], *, limit: int, cursor: str) -> dict[str, Json]:
    """Return one page of a list.

    Args:
        items: From the place on where the page begins.
        limit: At most so many.
        cursor: The key whose value in the last item is where the next page begins.
    """
    found = list(islice(items, limit + 1))
    page = found[:limit]
    return {"items": page, "next": page[-1][cursor] if len(found) > limit else None}


def known_skill(workspace: Workspace, ref: str) -> tuple[str, int | None]:
    """Return name and version that a reference means in the library or, for what was deleted, in the history.

    Raises:
        NotFoundError: Neither knows it; the hint gives close names.
    """
    name, _, number = ref.partition("@")
    version = int(number) if number else None
    if next(workspace.ledger.list(name, version=version, window=1), None) is None:
        skill = workspace.skills.get(ref)
        return skill.name, version if skill.name == name else skill.version
    return name, version
