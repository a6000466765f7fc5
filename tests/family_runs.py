"""Runs of a small office, for tests of families: people ask, an assistant looks and changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from skillsmith.library.dataflow import trace
from skillsmith.library.trace.align import TracedRun
from skillsmith.library.trace.calls import calls_of, said_in
from skillsmith.library.trace.naming import VariableSet
from skillsmith.models import Event, Outcome, Run, RunRecord, ToolUse

Made = tuple[str, dict[str, Any], Any]
"""Tool, arguments, result."""

ORDERS: dict[str, Any] = {
    "W7701": {"order_id": "W7701", "customer": {"id": "c_881"}, "status": "open",
              "lines": [{"sku": "sku_11", "count": 1, "price": 20.5},
                        {"sku": "sku_12", "count": 2, "price": 7}]},
    "W7702": {"order_id": "W7702", "customer": {"id": "c_882"}, "status": "open",
              "lines": [{"sku": "sku_13", "count": 4, "price": 11}]},
    "W7703": {"order_id": "W7703", "customer": {"id": "c_883"}, "status": "sent",
              "lines": [{"sku": "sku_14", "count": 5, "price": 3}, {"sku": "sku_15", "count": 6, "price": 4},
                        {"sku": "sku_16", "count": 8, "price": 5}]},
}  # fmt: skip


def record(task: str, made: Sequence[Made], *, outcome: Outcome = "success") -> RunRecord:
    """Return a run in which a user says the task and the assistant makes the calls."""
    events = [Event(kind="message", role="user", agent="user", content=task)]
    for number, (name, arguments, result) in enumerate(made):
        text = orjson.dumps(arguments).decode()
        call = ToolUse(name=name, call_id=f"c{number}", arguments=text, parsed=arguments)
        events.append(Event(kind="tool_call", agent="assistant", tool=call))
        answer = result if isinstance(result, str) else orjson.dumps(result).decode()
        tool = ToolUse(name=name, call_id=f"c{number}", result=answer)
        events.append(Event(kind="tool_result", role="tool", tool=tool))
    return RunRecord(source="openai-chat", events=tuple(events), task=task, outcome=outcome)


def traced(task: str, made: Sequence[Made], *, outcome: Outcome = "success") -> TracedRun:
    """Return the same run with its data flow, without a store."""
    kept = record(task, made, outcome=outcome)
    events = [replace(event, seq=number) for number, event in enumerate(kept.events, 1)]
    calls, words = calls_of(events), said_in(task, events)
    run = Run(
        id=f"run-{task}", task=task, source="openai-chat", status="completed", outcome=outcome,
        outcome_reason=None, started_at=0.0, duration_seconds=None, agents=(), events=len(events),
        messages_by_role={}, tokens=0, cost_usd=None, native_id=None, source_path=None, work_dir=None,
        metadata={}, created_at=0.0,
    )  # fmt: skip
    flow = trace(calls, words, variables=VariableSet.empty())
    return TracedRun(run=run, calls=tuple(calls), words=tuple(words), flow=flow)


def look(order: str) -> Made:
    """Return a look at an order."""
    return "get_order", {"order_id": order}, ORDERS[order]


def cancel(order: str) -> Made:
    """Return the cancelling of an order."""
    return "cancel_order", {"order_id": order}, {"cancelled": order}


def refund(order: str, amount: float) -> Made:
    """Return a refund to the customer of an order."""
    return "send_refund", {"customer_id": ORDERS[order]["customer"]["id"], "amount": amount}, {"sent": amount}


def reship(order: str) -> Made:
    """Return the shipping of all lines of an order again."""
    lines = [{"sku": line["sku"], "count": line["count"]} for line in ORDERS[order]["lines"]]
    return "ship_lines", {"order_id": order, "lines": lines}, {"shipped": len(lines)}
