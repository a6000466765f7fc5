"""Runs: the list, what agents did in a step, the files of a step, and who was at work when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Response

from skillsmith.events import EventLog
from skillsmith.models import Event, EventKind, FileVersion, Json, Outcome
from skillsmith.notices import timestamp
from skillsmith.presentation.documents import event_document, file_document, run_document
from skillsmith.server.api.common import ERRORS, Readers, page_of
from skillsmith.server.schemas.common import Cursor, Limit, Page, RunId, SequenceCursor, StepId
from skillsmith.server.schemas.runs import Activity, EventAnswer, RunAnswer, StepArtifact
from skillsmith.workspace import Workspace

router = APIRouter(prefix="/api/runs", tags=["runs"], responses=ERRORS)

Words = Annotated[str | None, Query(max_length=1000, description="Only with these words in task or events.")]
Agent = Annotated[str | None, Query(min_length=1, max_length=300, description="Only what this agent did.")]


@router.get("", response_model=Page[RunAnswer])
async def list_runs(
    readers: Readers,
    *,
    outcome: Outcome | None = None,
    source: Annotated[str | None, Query(max_length=100, examples=["capture"])] = None,
    search: Words = None,
    limit: Limit = 50,
    after: Annotated[str | None, Query(pattern=r"^[0-9a-f\-]{36}$")] = None,
) -> Response:
    """List the runs, newest first."""

    def read(workspace: Workspace) -> Json:
        found = workspace.runs.list(
            outcome=outcome, source=source, search=search, after=after, window=limit + 1
        )
        return page_of(map(run_document, found), limit=limit, cursor="id")

    return await readers.answer(read)


@router.get("/{run_id}", response_model=RunAnswer)
async def get_run(readers: Readers, run_id: RunId) -> Response:
    """Return one run."""
    return await readers.answer(lambda workspace: run_document(workspace.runs.get(run_id)))


@router.get("/{run_id}/steps/{step_id}/interactions", response_model=Page[EventAnswer])
async def list_interactions(
    readers: Readers,
    run_id: RunId,
    step_id: StepId,
    *,
    kind: EventKind | None = None,
    agent: Agent = None,
    limit: Limit = 50,
    after: SequenceCursor = None,
) -> Response:
    """Return what agents did in one step, in order: messages, thoughts, tool calls, code, hand-overs."""

    def read(workspace: Workspace) -> Json:
        events = workspace.runs.events(
            run_id, after=after or 0, kind=kind, agent=agent, step=_number(step_id), window=limit + 1
        )
        return page_of(map(event_document, events), limit=limit, cursor="seq")

    return await readers.answer(read)


@router.get("/{run_id}/steps/{step_id}/artifacts", response_model=Page[StepArtifact])
async def list_step_artifacts(
    readers: Readers, run_id: RunId, step_id: StepId, *, limit: Limit = 50, after: Cursor = None
) -> Response:
    """Return the files that one step made or changed, each with all its versions, by path."""

    def read(workspace: Workspace) -> Json:
        found = _step_artifacts(workspace, run_id, _number(step_id))
        rest = (one for one in found if after is None or one["path"] > after)
        return page_of(rest, limit=limit, cursor="path")

    return await readers.answer(read)


@router.get("/{run_id}/agent-timeline", response_model=Page[Activity])
async def agent_timeline(
    readers: Readers, run_id: RunId, *, limit: Limit = 50, after: SequenceCursor = None
) -> Response:
    """Return who was at work when: one item for what an agent did without another in between."""

    def read(workspace: Workspace) -> Json:
        events = workspace.runs.events(run_id, after=after or 0)
        return page_of(_activities(events), limit=limit, cursor="last_seq")

    return await readers.answer(read)


def _number(step_id: str) -> int:
    return int(step_id.removeprefix("step_"))


def _step_artifacts(workspace: Workspace, run_id: str, step: int) -> Iterator[dict[str, Json]]:
    key = workspace.runs.key(run_id)
    steps = _StepsOfVersions(workspace, key)
    versions: dict[str, list[FileVersion]] = {}
    for version in workspace.files.versions(key):
        versions.setdefault(version.path, []).append(version)
    for path, history in sorted(versions.items()):
        made_in = [steps.of(version) for version in history]
        if step in made_in:
            yield {
                "path": path,
                "created_in_step": made_in[0] == step,
                "versions": [
                    {**file_document(version), "step": number}
                    for version, number in zip(history, made_in, strict=True)
                ],
            }


class _StepsOfVersions:
    """Which step made a version: that of the event it is recorded with, or that tells of it."""

    def __init__(self, workspace: Workspace, run: int) -> None:
        self._log: EventLog = workspace.log
        self._run = run
        self._told = {
            (event.content, (event.data or {}).get("version")): event.step
            for event in self._log.replay(run, kind="artifact")
        }
        self._steps: dict[int, int | None] = {}

    def of(self, version: FileVersion) -> int | None:
        told = self._told.get((version.path, version.version))
        if told is not None or version.seq is None:
            return told
        if version.seq not in self._steps:
            event = next(self._log.replay(self._run, after=version.seq - 1, window=1), None)
            self._steps[version.seq] = event.step if event and event.seq == version.seq else None
        return self._steps[version.seq]


def _activities(events: Iterator[Event]) -> Iterator[dict[str, Json]]:
    together: list[Event] = []
    for event in events:
        if together and (event.agent, event.step) != (together[0].agent, together[0].step):
            yield _activity(together)
            together = []
        together.append(event)
    if together:
        yield _activity(together)


def _activity(events: list[Event]) -> dict[str, Json]:
    times = [event.at for event in events if event.at is not None]
    costs = [event.cost_usd for event in events if event.cost_usd is not None]
    kinds: dict[str, int] = {}
    for event in events:
        kinds[event.kind] = kinds.get(event.kind, 0) + 1
    called = (event.tool.name for event in events if event.kind == "tool_call" and event.tool)
    return {
        "agent": events[0].agent, "step": events[0].step,
        "first_seq": events[0].seq, "last_seq": events[-1].seq,
        "started_at": timestamp(min(times, default=None)), "ended_at": timestamp(max(times, default=None)),
        "duration_seconds": max(times) - min(times) if times else None,
        "events": len(events), "kinds": kinds, "tools": list(dict.fromkeys(called)),
        "tokens": sum((event.tokens_in or 0) + (event.tokens_out or 0) for event in events),
        "cost_usd": sum(costs) if costs else None,
    }  # fmt: skip
