"""The facts of ``runs/expected.jsonl``, computed from stored events and run metadata alone.

Whoever compares what was stored with what an independent script counted calls ``facts`` with the runs of
one row (``select`` finds them) and ``differences`` with the row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Protocol

from skillsmith.models import Event

AIRLINE_WRITES = frozenset({
    "book_reservation", "cancel_reservation", "send_certificate", "update_reservation_baggages",
    "update_reservation_flights", "update_reservation_passengers",
})  # fmt: skip


class RunLike(Protocol):
    """What a stored run and an importer's record have in common."""

    @property
    def native_id(self) -> str | None:
        """The log's own id."""

    @property
    def outcome(self) -> str:
        """success, failure or unknown."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Facts of the format."""


Stored = tuple[RunLike, Sequence[Event]]


def facts_tau(run: RunLike, events: Sequence[Event]) -> dict[str, Any]:
    """Return the facts of a tau-bench run."""
    calls = [event.tool.name for event in events if event.kind == "tool_call" and event.tool]
    reference = [action["name"] for action in run.metadata.get("actions", ())]
    return {
        "selector": {"task_id": run.metadata["task_id"], "trial": run.metadata["trial"]},
        "outcome": run.outcome,
        "reward": run.metadata["reward"],
        "n_messages": sum(_roles(events).values()),
        "by_role": _roles(events),
        "n_tool_calls": len(calls),
        "tool_calls": calls,
        "write_calls": [name for name in calls if name in AIRLINE_WRITES],
        "reference_actions": reference,
        "skill_family": sorted(AIRLINE_WRITES.intersection(reference)),
    }


def facts_who_and_when(run: RunLike, events: Sequence[Event]) -> dict[str, Any]:
    """Return the facts of a multi-agent history."""
    speakers = [event.agent for event in events if event.role is not None]
    return {
        "outcome": run.outcome,
        "n_messages": len(speakers),
        "agents": sorted({speaker for speaker in speakers if speaker}),
        "n_agents": len(set(speakers)),
        "agent_sequence": [speaker for speaker, _ in groupby(speakers)],
        "n_transitions": sum(event.kind == "transition" for event in events),
        "mistake_agent": run.metadata.get("mistake_agent"),
        "mistake_step": run.metadata.get("mistake_step"),
        "question_id": run.metadata.get("question_ID"),
    }


def facts_swe_agent(run: RunLike, events: Sequence[Event]) -> dict[str, Any]:
    """Return the facts of a SWE-agent trajectory."""
    actions = [event.data["action"] for event in events if event.data and "action" in event.data]
    return {
        "outcome": run.metadata.get("exit_status", "unknown"),
        "n_steps": len(actions),
        "n_history": sum(_roles(events).values()),
        "by_role": _roles(events),
        "n_tool_calls": sum(event.kind == "tool_call" for event in events),
        "first_words": [action.split()[0] for action in actions if action.split()],
        "submission_chars": len(run.metadata.get("submission") or ""),
    }


def facts_claude_code(sessions: Sequence[Stored]) -> dict[str, Any]:
    """Return the facts of a Claude Code file, which may hold several sessions."""
    events = [event for _, events in sessions for event in events]
    lines = [event.data for event in events if event.data and "line_type" in event.data]
    blocks = Counter[str]()
    for line in lines:
        blocks.update(line.get("blocks", {}))
    tools = Counter(event.tool.name for event in events if event.kind == "tool_call" and event.tool)
    blocks["tool_use"] += tools.total()
    blocks["tool_result"] += sum(event.kind == "tool_result" for event in events)
    bad = sum(run.metadata.get("bad_lines", 0) for run, _ in sessions)
    return {
        "outcome": "unknown",
        "n_lines": len(lines) + bad,
        "by_type": dict(Counter(str(line["line_type"]) for line in lines)),
        "blocks": dict(+blocks),
        "tools": dict(tools),
        "n_tool_errors": sum(bool(event.data and event.data.get("is_error")) for event in events),
        "n_sidechain": sum(line.get("sidechain") is True for line in lines),
        "n_bad_lines": bad,
        "sessions": sorted({str(name) for run, _ in sessions if (name := _session(run))}),
    }


def _session(run: RunLike) -> str | None:
    """Return the session's id; a sub-agent's own file names it in its metadata."""
    named: str | None = run.metadata.get("session", run.native_id)
    return named


def facts_cmbagent(runs: Sequence[Stored]) -> dict[str, Any]:
    """Return the facts of a notebook, which may hold several runs."""
    if not runs:
        raise ValueError("no run stands for the notebook")
    events = [event for _, events in runs for event in events]
    printed = [(event, (event.data or {}).get("printed_as")) for event in events]
    speakers = [event.agent for event, how in printed if how == "Message from"]
    called = [event.recipient for event, how in printed if how == "Calling"]
    rows = [cost_row(event) for event in events if event.kind == "llm_call"]
    return {
        "outcome": _common(run.outcome for run, _ in runs),
        "n_code_cells": _common(run.metadata["code_cells"] for run, _ in runs),
        "n_outputs": _common(run.metadata["outputs"] for run, _ in runs),
        "n_message_headers": len(speakers),
        "speakers": sorted({str(speaker) for speaker in speakers}),
        "n_calling": len(called),
        "calling_sequence": called,
        "removed_image_chars": sum(_picture_characters(event) for event in events),
        "n_cost_rows": len(rows),
        "cost_rows": rows,
    }


def cost_row(event: Event) -> dict[str, Any]:
    """Return a model call as a row of a cost table, its numbers as numbers."""
    data, tokens_in, tokens_out = event.data or {}, event.tokens_in or 0, event.tokens_out or 0
    row = {
        "Model": data.get("model"), "agent": data.get("agent"), "Cost": event.cost_usd,
        "Prompt Tokens": event.tokens_in, "Completion Tokens": event.tokens_out,
        "Total Tokens": data.get("total_tokens", tokens_in + tokens_out),
    }  # fmt: skip
    return {key: value for key, value in row.items() if value is not None}


def _picture_characters(event: Event) -> int:
    """Return the size of the pictures that a raw event notes: its own, and those of a kept cell's outputs."""
    data = event.data or {}
    shown = [data, *(one for output in data.get("outputs", ()) for one in output.get("shown", ()))]
    return sum(one["characters"] for one in shown if str(one.get("media_type")).startswith("image/"))


def facts_exchanges(run: RunLike, events: Sequence[Event]) -> dict[str, Any]:
    """Return the facts of recorded provider traffic."""
    sent = [event.data for event in events if event.data and "uri" in event.data]
    return {
        "outcome": run.outcome,
        "n_exchanges": len(sent),
        "uris": sorted({data["uri"] for data in sent}),
        "statuses": [data.get("status") for data in sent],
    }


def facts_reflexion(run: RunLike, events: Sequence[Event]) -> dict[str, Any]:
    """Return the facts of a coding run."""
    written = [event.content or "" for event in events if event.role == "assistant"]
    return {
        "selector": {"task_id": run.metadata["task_id"]},
        "outcome": run.outcome,
        "n_reflections": sum(event.kind == "reasoning" for event in events),
        "solution_chars": len(written[-1]) if written else 0,
    }


def _common(values: Iterable[Any]) -> Any:
    """Return what all runs of a row agree on, all values when they do not."""
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else found


_SINGLE: Mapping[str, Callable[[RunLike, Sequence[Event]], dict[str, Any]]] = {
    "tau_airline": facts_tau,
    "who_and_when": facts_who_and_when,
    "swe_agent": facts_swe_agent,
    "provider_exchanges": facts_exchanges,
    "humaneval_reflexion": facts_reflexion,
}
_SEVERAL: Mapping[str, Callable[[Sequence[Stored]], dict[str, Any]]] = {
    "claude_code": facts_claude_code,
    "cmbagent_notebooks": facts_cmbagent,
}
SOURCES = (*_SINGLE, *_SEVERAL)
"""Sources of ``expected.jsonl`` whose facts can be computed."""


def select(row: Mapping[str, Any], runs: Sequence[Stored]) -> list[Stored]:
    """Return those of a file's runs that a row of ``expected.jsonl`` is about.

    Args:
        row: The row.
        runs: All runs that came from the row's file.
    """
    selector = row.get("selector", {})
    return [
        stored
        for stored in runs
        if all(stored[0].metadata.get(key) == value for key, value in selector.items())
    ]


def facts(source: str, runs: Sequence[Stored]) -> dict[str, Any]:
    """Return the facts of a row's runs, under the keys of ``expected.jsonl``.

    Args:
        source: One of SOURCES.
        runs: One run; for ``claude_code`` and ``cmbagent_notebooks`` all runs of the file.

    Raises:
        ValueError: The row should be about one run and there are several or none.
    """
    if source in _SEVERAL:
        return _SEVERAL[source](runs)
    if len(runs) != 1:
        raise ValueError(f"{len(runs)} runs stand for one row of {source}")
    return _SINGLE[source](*runs[0])


def differences(row: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, expected and computed value of every fact that differs, explained or not."""
    for key, value in got.items():
        expected = _FORMS.get(key, _as_it_is)(row.get(key))
        if expected != value:
            yield key, expected, value


def _as_it_is(value: Any) -> Any:
    return value


def _numeric_rows(rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return cost rows with numbers for their texts."""
    return [
        {key: value if key in ("Model", "agent") else float(value) for key, value in row.items()}
        for row in rows
    ]


_FORMS: Mapping[str, Callable[[Any], Any]] = {"sessions": sorted, "cost_rows": _numeric_rows}
"""Facts that are compared in another form than they stand in ``expected.jsonl``."""


def explain(source: str, key: str, expected: Any, got: Any) -> str | None:
    """Return why a fact rightly differs from what the independent script counted, None when it does not."""
    if source == "swe_agent" and key == "first_words" and got == [word for word in expected if word]:
        return "an empty action has no first word"
    return None


def _roles(events: Sequence[Event]) -> dict[str, int]:
    return dict(Counter(event.role for event in events if event.role is not None))
