"""Runs and what happened in them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from skillsmith.server.schemas.common import Answer, JsonObject


class RunAnswer(Answer):
    """A run."""

    id: str = Field(examples=["019ab3c4-5d6e-7f80-9123-456789abcdef"])
    task: str = Field(examples=["Plot the power spectrum of spectrum.csv"])
    source: str = Field(examples=["capture"])
    status: str = Field(examples=["completed"], description="running, completed, failed or interrupted.")
    outcome: str = Field(examples=["success"], description="success, failure or unknown.")
    outcome_reason: str | None
    started_at: str | None = Field(examples=["2026-01-19T10:30:00.000Z"])
    duration_seconds: float | None
    agents: list[str] = Field(examples=[["planner", "engineer"]])
    events: int
    tokens: int
    cost_usd: float | None = Field(description="null: not known.")
    note: str | None


class ToolFacts(Answer):
    """A tool call, or its result."""

    name: str
    call_id: str | None = None
    arguments: Any = None
    result: str | None = None
    error: str | None = None


class CodeFacts(Answer):
    """A block of code, or what it gave."""

    language: str
    text: str | None = None
    exit_code: int | None = None
    output: str | None = None


class EventAnswer(Answer):
    """One fact in a run; keys that do not apply are absent."""

    seq: int = Field(examples=[17])
    step: int = Field(examples=[1])
    kind: str = Field(examples=["tool_call"])
    at: str | None = None
    role: str | None = None
    agent: str | None = Field(default=None, examples=["engineer"])
    recipient: str | None = None
    content: str | None = None
    reasoning: str | None = None
    tool: ToolFacts | None = None
    code: CodeFacts | None = None
    data: JsonObject | None = None
    duration_seconds: float | None = None
    tokens: int | None = None
    cost_usd: float | None = None


class FileVersionAnswer(Answer):
    """One version of a file."""

    path: str = Field(examples=["plot_v1.py"])
    version: int
    digest: str
    size: int
    agent: str | None = Field(description="null: it was there before the run began.")
    at: str | None
    superseded_by: str | None = Field(examples=["plot_v2.py"])
    step: int | None = Field(description="The step that made this version, when it is known.")


class StepArtifact(Answer):
    """A file that a step made or changed, with all its versions."""

    path: str = Field(examples=["plot_v1.py"])
    created_in_step: bool = Field(description="Whether its first version is of this step.")
    versions: list[FileVersionAnswer]


class Activity(Answer):
    """What one agent did without another one in between."""

    agent: str | None = Field(examples=["engineer"])
    step: int
    first_seq: int
    last_seq: int
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    events: int
    kinds: dict[str, int] = Field(examples=[{"message": 2, "tool_call": 1}])
    tools: list[str] = Field(examples=[["arxiv_search"]])
    tokens: int
    cost_usd: float | None
