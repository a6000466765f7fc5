"""Work that is not waited for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from skillsmith.server.schemas.common import Answer, JsonObject, Problem

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
JobKind = Literal["extract", "execute", "optimize", "compose"]


class Accepted(Answer):
    """Work that was taken on."""

    id: str = Field(examples=["019ab3c4-5d6e-7f80-9123-456789abcdef"])
    status_url: str = Field(examples=["/api/jobs/019ab3c4-5d6e-7f80-9123-456789abcdef"])
    events_url: str = Field(examples=["/ws/jobs/019ab3c4-5d6e-7f80-9123-456789abcdef"])


class Progress(Answer):
    """How far a job is."""

    phase: str = Field(examples=["extracting"])
    done: int
    detail: str


class JobAnswer(Accepted):
    """One piece of work, and what came of it."""

    kind: JobKind
    subject: str = Field(examples=["refund_booking"])
    status: JobStatus
    created_at: str
    started_at: str | None
    ended_at: str | None
    progress: Progress | None
    run_id: str | None = Field(description="Of an execution: listen to it at /ws/runs/RUN_ID.")
    execution_id: str | None = Field(description="Give it as `resume` to go on after an interruption.")
    skill_id: str | None = Field(description="The version that was made.")
    result: JsonObject | None = Field(description="As the command of the same name prints with --json.")
    error: Problem | None


class StatusAnswer(Answer):
    """The server itself."""

    version: str
    database: str
    skills: int
    allow_run: list[str]
    tools: list[str]
    model: str | None
    jobs: dict[str, int]
    listeners: int
