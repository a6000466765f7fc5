"""A small workspace that is the same every time: runs of a team and of a shop, and a skill of the latter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from skillsmith.demo.scenario import COMPUTING, FIRST_CLEANING, PLOTTING, SECOND_CLEANING, TASK
from skillsmith.models import CodeUse, Event, FileSnapshot, RunRecord, ToolUse
from skillsmith.workspace import Workspace, open_workspace

NOW = 1_790_000_000.0
"""The pinned time: 2026-09-21 14:13:20 UTC."""

FAILURE = "ValueError: invalid literal for int() with base 10: 'n/a'"
LIVE_RUN = "01990000-0000-7000-8000-000000000099"


def write_story(path: Path) -> None:
    """Make the file."""
    ticking = iter(range(100_000))
    with (
        patch("time.time", lambda: NOW - 3600 + next(ticking) / 1000),
        open_workspace(path, _embedder=None) as workspace,
    ):
        for number in range(1, 4):
            ingest(workspace, shop_run(number, at=NOW - 86400 * (6 - number)))
        ingest(workspace, shop_run(4, at=NOW - 90_000, success=False))
        ingest(workspace, team_run(at=NOW - 7200))
        workspace.runs.create(
            "Watch the inbox and answer what comes in", run_id=LIVE_RUN, started_at=NOW - 65, source="capture"
        )
        newest = next(run.id for run in workspace.runs.list(source="tau-bench", outcome="success"))
        workspace.extractor.extract([newest], name="cancel_order")


def ingest(workspace: Workspace, record: RunRecord) -> None:
    """Store a run under an id that is the same every time."""
    number = sum(1 for _ in workspace.runs.list()) + 1
    with patch("skillsmith.runs.new_id", lambda: f"01990000-0000-7000-8000-{number:012d}"):
        workspace.runs.ingest(record)


def shop_run(number: int, *, at: float, success: bool = True) -> RunRecord:
    """Return a conversation in which an agent cancels an order with three tools."""
    email, user, order = f"eve{number}@example.org", f"user_{number:04d}", f"ORD-{7000 + number}"
    calls: list[tuple[str, dict[str, Any], Any]] = [
        ("find_user", {"email": email}, {"user_id": user, "name": "Eve", "tier": "gold"}),
        ("list_orders", {"user_id": user}, {"orders": [{"id": order, "status": "pending", "items": [3, 5]}]}),
        (
            "cancel_order",
            {"order_id": order, "reason": "ordered by mistake"},
            {"id": order, "status": "cancelled"},
        ),
    ]
    events = [
        Event(kind="message", role="system", content="You help customers of a shop."),
        Event(kind="message", role="user", agent="user", recipient="agent",
              content=f"I am {email}. Please cancel order {order}: ordered by mistake."),
    ]  # fmt: skip
    for place, (name, arguments, result) in enumerate(calls):
        error = "order is shipped" if not success and place == len(calls) - 1 else None
        events += _call(
            name,
            arguments,
            result,
            call_id=f"c{number}-{place}",
            error=error,
        )
    words = f"Order {order} is cancelled." if success else "I could not cancel it."
    events.append(Event(kind="message", role="assistant", agent="agent", recipient="user", content=words))
    return RunRecord(
        source="tau-bench", native_id=f"order-{number}", task=f"Cancel order {order} of {email}",
        outcome="success" if success else "failure", outcome_reason="reward 1.0" if success else "reward 0.0",
        events=_timed(events, at=at, pause=1.7), cost_usd=0.0021 * number,
    )  # fmt: skip


def _call(name: str, arguments: Any, result: Any, *, call_id: str, error: str | None) -> list[Event]:
    return [
        Event(kind="tool_call", role="assistant", agent="agent",
              tool=ToolUse(name=name, call_id=call_id, arguments=json.dumps(arguments), parsed=arguments)),
        Event(kind="tool_result", role="tool", agent="agent", duration_seconds=0.12,
              tool=ToolUse(name=name, call_id=call_id, error=error,
                           result=None if error else json.dumps(result))),
    ]  # fmt: skip


def _timed(events: Sequence[Event], *, at: float, pause: float) -> tuple[Event, ...]:
    timed = []
    for event in events:
        at += event.duration_seconds or pause
        timed.append(replace(event, at=at))
    return tuple(timed)


def team_run(*, at: float) -> RunRecord:
    """Return a run of three agents with code that fails once, files, handovers and context."""
    clean, monthly = "order_id,price\n1,9.50\n2,4.00\n", "month,revenue\n2026-01,13.50\n"
    events = [
        Event(kind="message", role="user", agent="user", recipient="planner", content=TASK),
        Event(kind="context", agent="planner", data={"values": {"input": "sales_east.csv", "limit": 500}}),
        _model("planner", 1840, 212, 3.4),
        Event(kind="message", role="assistant", agent="planner", recipient="engineer",
              reasoning="The file may hold broken rows. Clean first, then compute, then draw.",
              content="1. Clean the orders.\n2. Compute the revenue of every month.\n3. Draw the chart."),
        Event(kind="transition", agent="planner", recipient="engineer", content="the plan is made", step=2),
        _model("engineer", 2410, 388, 6.1, step=2),
        *_code("engineer", FIRST_CLEANING, FAILURE, 1, 0.4),
        _model("engineer", 3105, 421, 5.2, step=2),
        *_code("engineer", SECOND_CLEANING, "kept 212 of 240 orders", 0, 0.5),
        _file("clean.csv", "new", 1, step=2),
        Event(kind="transition", agent="engineer", recipient="reviewer", content="cleaned", step=3),
        _model("reviewer", 3300, 95, 1.9, step=3),
        Event(kind="message", role="assistant", agent="reviewer", recipient="engineer", step=3,
              content="There are still duplicates. Drop them by order_id."),
        Event(kind="transition", agent="reviewer", recipient="engineer", content="duplicates", step=3),
        *_code("engineer", COMPUTING, "12 months, 48210.55 in all", 0, 0.6, step=3),
        _file("clean.csv", "changed", 2, step=3),
        _file("monthly.csv", "new", 1, step=3),
        *_code("engineer", PLOTTING, "drew 12 bars", 0, 1.3, step=4),
        Event(kind="context", agent="planner", step=4,
              data={"values": {"input": "sales_east.csv", "limit": 300, "months": 12}}),
        Event(kind="message", role="assistant", agent="reviewer", recipient="planner", step=4,
              content="Approved: revenue.png shows twelve months."),
    ]  # fmt: skip
    files = (
        FileSnapshot(path="clean.csv", content=(clean + "2,4.00\n").encode(), agent="engineer", seq=11),
        FileSnapshot(path="clean.csv", content=clean.encode(), agent="engineer", seq=18),
        FileSnapshot(path="monthly.csv", content=monthly.encode(), agent="engineer", seq=19),
    )
    return RunRecord(
        source="ag2", native_id="team", task=TASK, outcome="success", outcome_reason="the reviewer approved",
        events=_timed(events, at=at, pause=0.8), files=files, cost_usd=0.0412,
    )  # fmt: skip


def _model(agent: str, tokens_in: int, tokens_out: int, seconds: float, *, step: int = 1) -> Event:
    return Event(
        kind="llm_call", agent=agent, step=step, duration_seconds=seconds, tokens_in=tokens_in,
        tokens_out=tokens_out, cost_usd=tokens_in * 2e-6,
        data={"model": "gpt-x-mini", "finish_reason": "stop"},
    )  # fmt: skip


def _file(path: str, change: str, version: int, *, step: int) -> Event:
    data = {"change": change, "version": version}
    return Event(kind="artifact", agent="engineer", content=path, step=step, data=data)


def _code(
    agent: str, text: str, output: str, exit_code: int, seconds: float, *, step: int = 2
) -> list[Event]:
    call = f"run-{len(text)}"
    return [
        Event(kind="code", agent=agent, step=step, code=CodeUse(text=text, call_id=call)),
        Event(kind="code_result", agent=agent, step=step, duration_seconds=seconds,
              code=CodeUse(call_id=call, exit_code=exit_code, output=output)),
    ]  # fmt: skip
