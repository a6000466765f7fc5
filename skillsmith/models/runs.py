"""Runs, events and files, as they travel from a log or a live capture to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from skillsmith.models.quick import quick

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list of Json, dict of str to Json."""

EventKind = Literal[
    "agent_start", "message", "reasoning", "tool_call", "tool_result", "code", "code_result",
    "transition", "context", "artifact", "llm_call", "error", "skill", "raw",
]  # fmt: skip
Outcome = Literal["success", "failure", "unknown"]
RunStatus = Literal["running", "completed", "failed", "interrupted"]


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """One tool call or its result.

    Args:
        name: The tool's name as the agent called it.
        call_id: The id that joins a call with its result.
        arguments: The arguments exactly as the model wrote them.
        parsed: The arguments as JSON, or None when the text is not JSON.
        result: What the tool returned, as text.
        error: What went wrong, when the tool said so.
    """

    name: str
    call_id: str | None = None
    arguments: str | None = None
    parsed: Json = None
    result: str | None = None
    error: str | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class CodeUse:
    """One code block or its execution result.

    Args:
        language: "python", "sh", …
        text: The code itself (kind ``code``).
        call_id: The id that joins a block with its result.
        exit_code: The process's exit code (kind ``code_result``).
        output: Standard output and error together.
    """

    language: str = "python"
    text: str | None = None
    call_id: str | None = None
    exit_code: int | None = None
    output: str | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One immutable fact in a run.

    Args:
        kind: What happened.
        seq: Position in the run from 1; assigned by the store.
        at: Unix time in seconds, None when the log has no times.
        step: The numbered part of the run it belongs to, from 1.
        role: For what counts as a message: system, user, assistant or tool.
        agent: Who did it (for a message, the sender; for a transition, who hands over).
        recipient: Whom it is for (for a transition, who takes over).
        content: The text: message, reason of a transition, error message, file path of an artifact.
        reasoning: What the agent thought before it, where the model said so.
        tool: For tool_call and tool_result.
        code: For code and code_result.
        data: Everything else that the kind has, as JSON: context snapshot, error type, model, raw record;
            for a skill event {"event": "SKILL_EXECUTION_START", …}, the name and facts that listeners get.
        duration_seconds: How long it took.
        tokens_in: Prompt tokens it used.
        tokens_out: Completion tokens it used.
        cost_usd: What it cost; None when unknown.
        record_id: The id of the record in its source log, when it has one.
    """

    kind: EventKind
    seq: int = 0
    at: float | None = None
    step: int = 1
    role: str | None = None
    agent: str | None = None
    recipient: str | None = None
    content: str | None = None
    reasoning: str | None = None
    tool: ToolUse | None = None
    code: CodeUse | None = None
    data: Mapping[str, Json] | None = None
    duration_seconds: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_usd: float | None = None
    record_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSnapshot:
    """A file that a log or a tracker saw: path in the work folder, content and the agent that made it.

    ``agent`` None means that it was there before the run began. ``digest`` and ``size`` (bytes) stand for
    content that is too large to keep; ``content`` is empty then.
    """

    path: str
    content: bytes
    agent: str | None = None
    at: float | None = None
    seq: int | None = None
    digest: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A whole run as an importer read it, before the store gave it an id.

    Args:
        source: The format's name, e.g. ``openai-chat`` or ``claude-code``.
        native_id: The id the log itself gives the run (session id, task and trial); seeds its identity.
        task: What the agents were asked to do.
        outcome: success, failure or unknown.
        outcome_reason: Which fact in the log says so.
        status: Whether the run came to an end.
        metadata: Facts of the format that have no field here (reward, level, model, versions), as JSON.
        cost_usd: Cost where the log states it as a total; else the events' costs are summed.
        events: In the log's order.
        files: Files with their content, when the log carries them.
    """

    source: str
    events: tuple[Event, ...]
    native_id: str | None = None
    task: str = ""
    outcome: Outcome = "unknown"
    outcome_reason: str | None = None
    status: RunStatus = "completed"
    started_at: float | None = None
    ended_at: float | None = None
    cost_usd: float | None = None
    work_dir: str | None = None
    metadata: Mapping[str, Json] = field(default_factory=dict)
    files: tuple[FileSnapshot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing in an input that could not be read; reported, never fatal for the rest.

    ``line`` counts from 1 and is None when the whole file is meant.
    """

    path: str
    reason: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as stored.

    Args:
        id: UUIDv7 text.
        events: How many events it has.
        agents: Names in order of first appearance.
        messages_by_role: Counts of system, user, assistant and tool messages.
        tokens: Prompt and completion tokens together.
        cost_usd: None when unknown.
    """

    id: str
    task: str
    source: str
    status: RunStatus
    outcome: Outcome
    outcome_reason: str | None
    started_at: float | None
    duration_seconds: float | None
    agents: tuple[str, ...]
    events: int
    messages_by_role: Mapping[str, int]
    tokens: int
    cost_usd: float | None
    native_id: str | None
    source_path: str | None
    work_dir: str | None
    metadata: Mapping[str, Json]
    created_at: float
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVersion:
    """One version of a file in a run's work folder, its content addressed by SHA-256.

    ``agent`` None: the file was there before the run began. ``superseded_by`` is the next version, or a
    path when another file took its place (``plot_v1.py`` → ``plot_v2.py``).
    """

    run_id: str
    path: str
    version: int
    digest: str
    size: int
    agent: str | None
    at: float | None
    seq: int | None
    superseded_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExecutionSummary:
    """What one step of a run did, as ``AgentExecutionLogger.finalize_step_logging`` returns it."""

    run_id: str
    step: int
    agents: tuple[str, ...]
    events: int
    messages: int
    tool_calls: int
    code_blocks: int
    failed_code_blocks: int
    transitions: tuple[Mapping[str, Json], ...]
    artifacts: tuple[FileVersion, ...]
    duration_seconds: float
    tokens: int
    cost_usd: float | None
    dropped: int
