"""What routes that begin jobs share."""

from __future__ import annotations

from fastapi import Response

from skillsmith.errors import RefusedError
from skillsmith.models import Json
from skillsmith.server.answers import json_answer
from skillsmith.server.job_store import Job
from skillsmith.server.settings import ALL, ServerSettings


def allowed(settings: ServerSettings, name: str) -> None:
    """Refuse to run a skill that the server was not started for.

    Raises:
        RefusedError: It is not on the list.
    """
    if not settings.may_run(name):
        raise RefusedError(
            f"skill {name!r} may not be run on this server", hint=f"start it with --allow-run {name}"
        )


def all_allowed(settings: ServerSettings, what: str) -> None:
    """Refuse to run recorded code unless the server was started for everything.

    Raises:
        RefusedError: It was not.
    """
    if ALL not in settings.allow_run:
        raise RefusedError(f"{what} may not be run on this server", hint="start it with --allow-run all")


def shared(settings: ServerSettings) -> dict[str, Json]:
    """Return what the process of every job has to know of the server."""
    return {
        "db": str(settings.db), "folder": str(settings.folder), "tools": list(settings.tools),
        "model": settings.model, "max_cost": settings.max_cost, "max_turns": settings.max_turns,
    }  # fmt: skip


def accepted(job: Job) -> Response:
    """Return the answer to work that was taken on."""
    document = job.document()
    shown = {name: document[name] for name in ("id", "status_url", "events_url")}
    return json_answer(shown, status=202, headers={"Location": document["status_url"]})
