"""Every error leaves as ``{"error": {"code", "message", "hint"}}``; what a user can mend is never a 5xx.

400: fits the schema and still makes no sense · 401: no or a wrong token · 403: refused · 404: not there ·
409: not in the state it would need · 413: too large · 422: does not fit the schema · 429: too many jobs ·
503: busy or locked, try again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from skillsmith.db import is_locked
from skillsmith.errors import (
    ExecutionError,
    ExtractionError,
    FormatError,
    InvalidSkillFileError,
    ModelError,
    NearDuplicateError,
    NoMatchError,
    NotFoundError,
    RefusedError,
    SkillsmithError,
    StorageError,
    UsageError,
)
from skillsmith.library.execution.lease import StillRunningError
from skillsmith.server.answers import json_answer
from skillsmith.server.pool import BusyError

STATUSES: Final[Sequence[tuple[type[SkillsmithError], int]]] = (
    (BusyError, 503),
    (StillRunningError, 409),
    (NearDuplicateError, 409),
    (InvalidSkillFileError, 400),
    (RefusedError, 403),
    (NotFoundError, 404),
    (NoMatchError, 404),
    (UsageError, 400),
    (FormatError, 400),
    (ExtractionError, 409),
    (ExecutionError, 409),
    (ModelError, 503),
    (StorageError, 500),
)
"""The first class that fits decides."""

RETRY_SECONDS: Final = 1

_log = logging.getLogger("skillsmith.server")


class JobOverError(SkillsmithError):
    """A job is over, so it cannot be stopped."""

    code = "job_over"


class TooManyJobsError(SkillsmithError):
    """As many jobs wait as may wait."""

    code = "too_many_jobs"


def document(code: str, message: str, hint: str = "") -> dict[str, Any]:
    """Return an error as JSON."""
    return {"error": {"code": code, "message": message, "hint": hint}}


def of_error(error: SkillsmithError) -> dict[str, Any]:
    """Return one of our errors as JSON."""
    return document(error.code, error.message, error.hint)


def status_of(error: SkillsmithError) -> int:
    """Return the HTTP status that an error has."""
    if is_locked(error):
        return HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, TooManyJobsError):
        return HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(error, JobOverError):
        return HTTPStatus.CONFLICT
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def install(app: FastAPI) -> None:
    """Have an application answer errors this way."""
    app.add_exception_handler(SkillsmithError, _ours)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _bug)


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SkillsmithError)
    status = status_of(error)
    again = {"Retry-After": str(RETRY_SECONDS)} if status in (429, 503) else None
    return json_answer(of_error(error), status=status, headers=again)


async def _unfit(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    place = ".".join(str(part) for part in first["loc"]) or "request"
    said = document("invalid", f"{place}: {first['msg']}{more}", "see /docs for what fits")
    return json_answer(said, status=422)


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    hint = "see /docs for what there is" if error.status_code in (404, 405) else ""
    return json_answer(document(code, str(error.detail), hint), status=error.status_code, headers=headers)


def _methods(request: Request) -> list[str]:
    """Return the methods of the first path that fits, which may have several routes."""
    routes = [
        route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE
    ]
    return sorted({method for route in routes if route.path == routes[0].path for method in route.methods})


async def _bug(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    said = document("internal", "this is a bug of skillsmith", "its traceback is in the log")
    return json_answer(said, status=500)
