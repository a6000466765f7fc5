"""AG2's own logs as runs: event logs of 1.x on disk and in SQLite, recorded by running it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ag2 import Agent, KnowledgeConfig, tool
from ag2.events import (
    ModelMessage,
    ModelReasoning,
    ModelResponse,
    ToolCallEvent,
    ToolCallsEvent,
    Usage,
)
from ag2.history import MemoryStorage
from ag2.knowledge import EventLogWriter, SqliteKnowledgeStore
from ag2.stream import MemoryStream
from ag2.testing import TestConfig

from skillsmith.capture.importers import read_path
from skillsmith.db import Database
from skillsmith.models import Event, Problem, RunRecord
from skillsmith.runs import RunRepository

LOGS = Path(__file__).parent / "fixtures" / "logs" / "ag2"
TASK = "What is 2 + 3, and what is way?"


def _runs(path: Path) -> list[RunRecord]:
    return [item.value for item in read_path(path) if isinstance(item.value, RunRecord)]


def _reasons(path: Path) -> list[str]:
    return [item.value.reason for item in read_path(path) if isinstance(item.value, Problem)]


def _of(run: RunRecord, kind: str) -> list[Event]:
    return [event for event in run.events if event.kind == kind]


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@tool
def boom(x: str) -> str:
    """Fail."""
    raise ValueError(f"no {x}")


def _response(text: str, *calls: tuple[str, str, str], tokens: tuple[int, int]) -> ModelResponse:
    made = [ToolCallEvent(id=call_id, name=name, arguments=given) for call_id, name, given in calls]
    return ModelResponse(
        ModelMessage(text),
        tool_calls=ToolCallsEvent(made),
        usage=Usage(prompt_tokens=tokens[0], completion_tokens=tokens[1]),
        model="m-1",
        provider="openai",
        finish_reason="tool_calls" if calls else "stop",
    )


async def _live(store: SqliteKnowledgeStore, tasks: Sequence[str] = (TASK,)) -> None:
    """Run an agent that thinks, calls two tools and answers, with its event log switched on."""
    turns: list[Any] = []
    for number, _ in enumerate(tasks):
        calls = (f"c{number}", "add", '{"a": 2, "b": 3}'), (f"d{number}", "boom", '{"x": "way"}')
        turns += [
            ModelReasoning("I must add."),
            _response("Let me add.", *calls, tokens=(20, 7)),
            _response("It is 5.", tokens=(40, 5)),
        ]
    agent = Agent(
        "adder", prompt="You add.", config=TestConfig(*turns, raise_tool_errors=False), tools=[add, boom],
        knowledge=KnowledgeConfig(store=store, write_event_log=True, expose_tool=False),
    )  # fmt: skip
    stream = MemoryStream(storage=MemoryStorage(), persist_all=True)
    for task in tasks:
        await agent.ask(task, stream=stream)


def _check_live(run: RunRecord, *, agent: str) -> None:
    assert (run.source, run.task, run.metadata) == ("ag2-events", TASK, {"models": ["m-1"]})
    assert [event.kind for event in run.events] == [
        "message", "llm_call", "message", "tool_call", "tool_call", "tool_result", "tool_result", "llm_call",
        "message",
    ]  # fmt: skip
    assert [(e.role, e.agent, e.content, e.reasoning) for e in _of(run, "message")] == [
        ("user", "user", TASK, None),
        ("assistant", agent, "Let me add.", "I must add."),
        ("assistant", agent, "It is 5.", None),
    ]
    assert [(e.tokens_in, e.tokens_out) for e in _of(run, "llm_call")] == [(20, 7), (40, 5)]
    calls = [event.tool for event in _of(run, "tool_call") if event.tool]
    assert [(call.call_id, call.name, call.parsed) for call in calls] == [
        ("c0", "add", {"a": 2, "b": 3}), ("d0", "boom", {"x": "way"}),
    ]  # fmt: skip
    results = [event.tool for event in _of(run, "tool_result") if event.tool]
    good, bad = sorted(results, key=lambda use: use.call_id or "")  # AG2 runs them side by side
    assert (good.call_id, good.result, good.error) == ("c0", "5", None)
    assert (bad.call_id, bad.error) == ("d0", "ValueError: no way")
    assert all(event.at is not None for event in run.events)


def test_a_store_in_sqlite_gives_each_stream_as_a_run(tmp_path: Path) -> None:
    """A live agent's event log is read from its store: nothing twice, reasoning and agent's name kept."""
    path = tmp_path / "store.db"
    store = SqliteKnowledgeStore(path)
    asyncio.run(_live(store))
    (run,) = _runs(path)
    _check_live(run, agent="adder")
    store.close()
    (again,) = _runs(path)
    assert again == run


def test_a_log_on_disk_is_the_same_run_as_in_sqlite(tmp_path: Path, db: Database) -> None:
    """Read from files or from the store, whole or in the parts that compaction left, it is one run."""
    path = tmp_path / "store.db"
    store = SqliteKnowledgeStore(path)
    asyncio.run(_live(store))
    store.close()
    (stored,) = _runs(path)
    log = tmp_path / "disk" / "log"
    log.mkdir(parents=True)
    (log.parent / ".initialized").write_text("adder")
    lines = _content(path, f"/log/{stored.native_id}.jsonl").splitlines()
    (log / f"{stored.native_id}.dropped-2.jsonl").write_text("\n".join(lines[3:6]))
    (log / f"{stored.native_id}.dropped-1.jsonl").write_text("\n".join(lines[:3]))
    (log / f"{stored.native_id}.jsonl").write_text("\n".join(lines[6:]))
    (log / "other.jsonl").write_text(lines[0])
    runs = {run.native_id: run for run in _runs(log.parent)}
    assert runs[stored.native_id].events == stored.events
    assert len(runs) == 2
    repository = RunRepository(db)
    repository.ingest(stored)
    assert not repository.ingest(runs[stored.native_id]).new


def _content(path: Path, entry: str) -> str:
    connection = sqlite3.connect(path)
    (content,) = connection.execute("SELECT content FROM entries WHERE path = ?", (entry,)).fetchone()
    connection.close()
    return bytes(content).decode()


def test_a_log_that_grows_adds_its_tail(tmp_path: Path, db: Database) -> None:
    """A second question on the same stream is a second step of the same run."""
    path = tmp_path / "store.db"
    store = SqliteKnowledgeStore(path)
    asyncio.run(_live(store, [TASK, "And again?"]))
    store.close()
    (run,) = _runs(path)
    asks = [event for event in run.events if event.role == "user"]
    assert [(event.content, event.step) for event in asks] == [(TASK, 1), ("And again?", 2)]
    lines = _content(path, f"/log/{run.native_id}.jsonl").splitlines()
    log = tmp_path / f"{run.native_id}.jsonl"
    log.write_text("\n".join(lines[: len(lines) // 2]))
    (tmp_path / ".initialized").write_text("adder")
    repository = RunRepository(db)
    first = repository.ingest(_runs(log)[0])
    log.write_text("\n".join(lines))
    second = repository.ingest(_runs(log)[0])
    assert (second.new, second.run.id) == (False, first.run.id)
    assert second.run.events == len(run.events)


def test_a_delegated_task_is_a_handoff_there_and_back() -> None:
    """Recorded from AG2: the sub-agent's tokens are counted once, under its own name."""
    (run,) = _runs(LOGS)
    turns = [(event.agent, event.recipient, event.content) for event in _of(run, "transition")]
    assert turns == [
        ("assistant", "auditor", "Why can ORD-7 not be refunded?"),
        ("auditor", "assistant", "TaskCompleted"),
    ]
    (inner,) = [event for event in _of(run, "llm_call") if event.agent == "auditor"]
    assert (inner.tokens_in, inner.tokens_out) == (9, 6)
    assert sum(event.tokens_in or 0 for event in run.events) == 226


def test_any_event_of_ag2_is_kept(tmp_path: Path) -> None:
    """Marks for bytes, enums and exceptions are undone; the unknown is kept raw; failures are errors."""
    data = {"__event__": "ag2.events.input_events.BinaryInput", "data": {"__bytes__": "AAAA"},
            "media_type": "image/png", "kind": {"__enum__": "x.BinaryType", "value": "image"}}  # fmt: skip
    rows = [
        {"type": "ag2.events.input_events.ModelRequest", "data": {"parts": [data]}},
        {"type": "ag2.events.types.HumanInputRequest", "data": {"content": "Go on?"}},
        {"type": "ag2.events.types.HumanMessage", "data": {"content": "yes"}},
        {
            "type": "ag2.events.task_events.TaskFailed",
            "data": {"agent_name": "w", "error": {"__exception__": "KeyError", "message": "'k'"}},
        },
        {"type": "shop.Sold", "data": {"price": 3, "id": {"__uuid__": "u-1"}}},
        {"type": "ag2.events.types.ModelMessageChunk", "data": {"content": "y"}},
    ]
    path = tmp_path / "s.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n[1]\n")
    (run,) = _runs(path)
    assert [(e.kind, e.role, e.agent, e.content) for e in run.events] == [
        ("message", "user", "user", "[image/png image [3 bytes]]"),
        ("message", "assistant", "assistant", "Go on?"),
        ("message", "user", "user", "yes"),
        ("error", None, "w", "KeyError: 'k'"),
        ("raw", None, None, None),
    ]
    assert run.events[-1].data == {"type": "Sold", "record": {"price": 3, "id": "u-1"}}
    assert _reasons(path) == ["a JSON array, not an object"]


def test_a_log_that_the_writer_itself_made_is_read_back_by_it(tmp_path: Path) -> None:
    """The fixture is a real log: AG2 loads it whole, with as many calls and results as we read."""
    (path,) = LOGS.glob("*.jsonl")
    store = SqliteKnowledgeStore(tmp_path / "s.db")

    async def load() -> list[Any]:
        await store.write(f"/log/{path.name}", path.read_text())
        return list(await EventLogWriter(store).load(path.stem))  # type: ignore[arg-type]  # ids are texts on disk

    events = asyncio.run(load())
    store.close()
    (run,) = _runs(path)
    kinds = [type(event).__name__ for event in events]
    assert kinds.count("ToolCallEvent") == len(_of(run, "tool_call"))
    assert kinds.count("ToolResultEvent") + kinds.count("ToolErrorEvent") == len(_of(run, "tool_result"))
    assert kinds.count("ModelResponse") + kinds.count("ModelRequest") == len(_of(run, "message"))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("CREATE TABLE entries (a)", "a SQLite file, but no knowledge store of AG2"),
        (
            "CREATE TABLE entries (path TEXT, content BLOB)",
            "a knowledge store of AG2 without event logs (write_event_log was off)",
        ),
        ("CREATE TABLE other (a)", "not a known agent log; if it is one, name its format with --format"),
    ],
)
def test_other_sqlite_files_are_told_apart(tmp_path: Path, script: str, reason: str) -> None:
    """A database of another program is one clear problem, never an exception."""
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    connection.execute(script)
    connection.close()
    (found,) = _reasons(path)
    assert found.startswith(reason)
