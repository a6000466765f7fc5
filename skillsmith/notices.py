"""Events in the specification's names and shapes, as listeners and WebSockets get them.

One stored event gives one notice, or two where it holds a thought as well; always the same ones, so that a
place between two of them can be returned to. Every key of a name is always there; None: not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

from skillsmith.errors import UsageError
from skillsmith.models import CodeUse, Event, Json, Run, ToolUse

Notice: TypeAlias = tuple[str, dict[str, Json]]
"""A name and its data."""

RUN_STARTED: Final = "RUN_STARTED"
RUN_ENDED: Final = "RUN_ENDED"
REASONING: Final = "AGENT_REASONING"
SKILL_PREFIX: Final = "SKILL_"

_NAMES: Final[Mapping[str, str]] = {
    "agent_start": "AGENT_START",
    "message": "AGENT_MESSAGE",
    "reasoning": REASONING,
    "tool_call": "TOOL_USAGE",
    "tool_result": "TOOL_RESULT",
    "code": "CODE_GENERATED",
    "code_result": "CODE_EXECUTED",
    "transition": "AGENT_TRANSITION",
    "context": "CONTEXT_UPDATED",
    "artifact": "ARTIFACT_UPDATED",
    "llm_call": "LLM_CALL",
    "error": "ERROR",
    "raw": "NOTE",
}

NAMES: Final = frozenset({
    RUN_STARTED, RUN_ENDED, *_NAMES.values(),
    "SKILL_MATCHED", "SKILL_EXECUTION_START", "SKILL_ADAPTED", "SKILL_EXECUTION_COMPLETE",
})  # fmt: skip
"""Every name; an executor may announce more that begin with ``SKILL_``."""


def chosen_names(names: Iterable[str] | None) -> frozenset[str] | None:
    """Check the names that a listener asks for; None: all.

    Raises:
        UsageError: One is not known.
    """
    if names is None:
        return None
    chosen = frozenset({names} if isinstance(names, str) else names)
    for name in sorted(chosen):
        if name not in NAMES and not name.startswith(SKILL_PREFIX):
            raise UsageError(f"there is no event {name!r}", hint=f"use some of {', '.join(sorted(NAMES))}")
    return chosen


def notices(event: Event, *, run: Run) -> list[Notice]:
    """Return what listeners get for a stored event, in order.

    Args:
        event: As read from the log.
        run: The run it belongs to.
    """
    base = {
        "run_id": run.id,
        "seq": event.seq,
        "step_id": f"step_{event.step}",
        "agent": event.agent,
        "timestamp": timestamp(event.at),
    }
    found: list[Notice] = []
    if event.seq == 1:
        found.append((RUN_STARTED, started(run)))
    if event.reasoning and event.kind != "reasoning":
        found.append((REASONING, {**base, "reasoning": event.reasoning}))
    found.append((_name(event), {**base, **_facts(event)}))
    return found


def started(run: Run) -> dict[str, Json]:
    """Return the facts of a run that has begun."""
    return {
        "run_id": run.id,
        "task": run.task,
        "source": run.source,
        "timestamp": timestamp(run.started_at),
    }


def ended(run: Run) -> Notice:
    """Return the notice of a run that is over."""
    known = run.started_at is not None and run.duration_seconds is not None
    end = (run.started_at or 0.0) + (run.duration_seconds or 0.0) if known else None
    return RUN_ENDED, {
        "run_id": run.id,
        "status": run.status,
        "outcome": run.outcome,
        "reason": run.outcome_reason,
        "duration_seconds": run.duration_seconds,
        "events": run.events,
        "tokens": run.tokens,
        "cost_usd": run.cost_usd,
        "timestamp": timestamp(end),
    }


def timestamp(at: float | None) -> str | None:
    """Return Unix seconds as ISO 8601 in UTC, to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _name(event: Event) -> str:
    if event.kind == "skill":
        return str((event.data or {}).get("event") or "SKILL_EVENT")
    return _NAMES.get(event.kind, "NOTE")


def _facts(event: Event) -> dict[str, Json]:
    """Return what the data of an event's kind has beside who, where and when."""
    facts = _FACTS.get(event.kind, _note_facts)
    return facts(event, dict(event.data or {}))


_Data: TypeAlias = dict[str, Json]


def _start_facts(_event: Event, _data: _Data) -> _Data:
    return {}


def _message_facts(event: Event, _data: _Data) -> _Data:
    return {"recipient": event.recipient, "role": event.role, "content": event.content}


def _reasoning_facts(event: Event, _data: _Data) -> _Data:
    return {"reasoning": event.content or event.reasoning}


def _transition_facts(event: Event, _data: _Data) -> _Data:
    return {"from": event.agent, "to": event.recipient, "reason": event.content}


def _context_facts(_event: Event, data: _Data) -> _Data:
    return {"context": data.get("values", data)}


def _artifact_facts(event: Event, data: _Data) -> _Data:
    known = ("change", "version", "digest", "size", "supersedes", "renamed_from", "reason")
    return {"path": event.content, **{name: data.get(name) for name in known}}


def _llm_facts(event: Event, data: _Data) -> _Data:
    return {
        "model": data.get("model"), "tokens_in": event.tokens_in, "tokens_out": event.tokens_out,
        "cost_usd": event.cost_usd, "duration_seconds": event.duration_seconds,
    }  # fmt: skip


def _error_facts(event: Event, data: _Data) -> _Data:
    return {"error": event.content, "type": data.get("type"), "traceback": data.get("traceback")}


def _skill_facts(event: Event, data: _Data) -> _Data:
    data.pop("event", None)
    return {**data, "message": event.content}


def _note_facts(event: Event, data: _Data) -> _Data:
    return {"content": event.content, "data": data}


def _call_facts(event: Event, _data: _Data) -> _Data:
    use = event.tool or _NO_TOOL
    args = use.arguments if use.parsed is None else use.parsed
    return {"tool": use.name or None, "call_id": use.call_id, "args": args}


def _result_facts(event: Event, _data: _Data) -> _Data:
    use = event.tool or _NO_TOOL
    return {
        "tool": use.name or None, "call_id": use.call_id, "result": use.result, "error": use.error,
        "duration_seconds": event.duration_seconds,
    }  # fmt: skip


def _code_facts(event: Event, _data: _Data) -> _Data:
    use = event.code or _NO_CODE
    return {"language": use.language, "call_id": use.call_id, "code": use.text}


def _ran_facts(event: Event, _data: _Data) -> _Data:
    use = event.code or _NO_CODE
    return {
        "language": use.language, "call_id": use.call_id, "exit_code": use.exit_code, "output": use.output,
        "duration_seconds": event.duration_seconds,
    }  # fmt: skip


_NO_TOOL = ToolUse(name="")
_NO_CODE = CodeUse()
_FACTS: Mapping[str, Callable[[Event, _Data], _Data]] = {
    "agent_start": _start_facts,
    "message": _message_facts,
    "reasoning": _reasoning_facts,
    "tool_call": _call_facts,
    "tool_result": _result_facts,
    "code": _code_facts,
    "code_result": _ran_facts,
    "transition": _transition_facts,
    "context": _context_facts,
    "artifact": _artifact_facts,
    "llm_call": _llm_facts,
    "error": _error_facts,
    "skill": _skill_facts,
}
