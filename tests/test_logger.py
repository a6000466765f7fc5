"""Logging by hand: every call leaves the right events, and none ever disturbs the host."""

from __future__ import annotations

import gc
import logging
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.capture import AgentExecutionLogger
from skillsmith.capture.shapes import execution_of, reply_of, text_of, tool_calls_of, values_of
from skillsmith.db import Database
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.events import load_json
from skillsmith.files import FileRepository
from skillsmith.models import Event
from skillsmith.runs import RunRepository
from skillsmith.workspace import Workspace


def events_of(log: AgentExecutionLogger) -> list[Event]:
    """Return what is stored of the logger's run."""
    log.recorder.flush()
    db = Database(log.recorder.path)
    try:
        return list(RunRepository(db).events(log.run_id))
    finally:
        db.close()


def test_a_whole_run_by_hand(db: Database, runs: RunRepository, tmp_path: Path) -> None:
    """The calls of the specification leave messages, calls, code, files, a transition and a summary."""
    work = tmp_path / "work"
    work.mkdir()
    with AgentExecutionLogger(db, task="plot it", work_dir=work) as log:
        log.log_message("plot it", sender="user", recipient="engineer")
        log.log_agent_start("engineer", {"n": 1})
        log.log_agent_reply("engineer", "I will look", "first look", recipient="user", tokens_in=5,
                            tokens_out=7, cost_usd=0.5, duration_seconds=1.5, model="m")  # fmt: skip
        log.log_tool_usage("search", {"q": "x"}, {"hits": [1]}, duration_seconds=0.1)
        (work / "out.txt").write_text("42")
        log.log_code_execution("print(42)", {"exit_code": 0, "output": "42\n"}, duration_seconds=0.2)
        log.log_agent_transition("engineer", "reviewer", "done")
        summary = log.finalize_step_logging()
    kinds = [(event.kind, event.agent) for event in runs.events(log.run_id)]
    assert kinds == [
        ("message", "user"), ("agent_start", "engineer"), ("context", "engineer"), ("message", "engineer"),
        ("tool_call", "engineer"), ("tool_result", "engineer"), ("code", "engineer"),
        ("code_result", "engineer"), ("artifact", "engineer"), ("transition", "engineer"),
    ]  # fmt: skip
    assert (summary.events, summary.messages, summary.tool_calls, summary.code_blocks) == (10, 3, 1, 1)
    assert (summary.failed_code_blocks, summary.tokens, summary.cost_usd, summary.dropped) == (0, 12, 0.5, 0)
    assert summary.agents == ("user", "engineer")
    assert [(v.path, v.agent) for v in summary.artifacts] == [("out.txt", "engineer")]
    assert [(t["from"], t["to"], t["reason"]) for t in summary.transitions] == [
        ("engineer", "reviewer", "done")
    ]
    run = runs.get(log.run_id)
    assert (run.status, run.outcome, run.events, run.tokens, run.cost_usd) == (
        "completed",
        "unknown",
        10,
        12,
        0.5,
    )
    assert (run.task, run.work_dir, run.source) == ("plot it", str(work), "capture")


def test_a_reply_keeps_all_it_says(db: Database) -> None:
    """Content, reasoning, recipient, figures and model of a reply are stored with its message."""
    log = AgentExecutionLogger(db)
    log.log_agent_reply("a", {"content": "hi", "reasoning_content": "hm"}, recipient="b", tokens_in=1,
                        tokens_out=2, cost_usd=0.25, duration_seconds=3, model="m")  # fmt: skip
    log.log_agent_reply("a", "explicit", "given", role="user")
    log.close()
    first, second = events_of(log)
    assert (first.role, first.agent, first.recipient, first.content) == ("assistant", "a", "b", "hi")
    assert (first.reasoning, first.tokens_in, first.tokens_out, first.cost_usd) == ("hm", 1, 2, 0.25)
    assert (first.duration_seconds, first.data) == (3, {"model": "m"})
    assert (second.role, second.reasoning) == ("user", "given")
    assert abs((first.at or 0) - time.time()) < 60


def test_a_usage_is_a_call_and_its_result(db: Database) -> None:
    """Arguments and result are joined by one call id; an exception is the error; a given id is kept."""
    log = AgentExecutionLogger(db)
    log.log_tool_usage("search", {"q": "x"}, ["hit"], agent="a")
    log.log_tool_usage("search", '{"q":  "raw"}', RuntimeError("down"), agent="a", call_id="c7")
    log.close()
    call, result, raw, failed = [event.tool for event in events_of(log) if event.tool]
    assert (call.arguments, result.result, result.error) == ('{"q":"x"}', '["hit"]', None)
    assert call.call_id == result.call_id
    assert call.call_id
    assert (raw.arguments, raw.call_id, failed.call_id) == ('{"q":  "raw"}', "c7", "c7")
    assert (failed.result, failed.error) == (None, "RuntimeError: down")


def test_calls_that_a_reply_asked_for_are_not_told_twice(db: Database) -> None:
    """A usage answers the open call with its id, or an equal one, and only what is new gets its own call."""
    log = AgentExecutionLogger(db)
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "f", "arguments": '{"x": 2}'}},
    ]
    log.log_agent_reply("a", {"content": None, "tool_calls": calls})
    log.log_tool_usage("f", {"x": 2}, "two")
    log.log_tool_usage("f", {"x": 1}, "one", call_id="c1")
    log.log_tool_usage("f", {"x": 1}, "again")
    log.close()
    found = [(e.kind, e.tool.call_id, e.tool.result) for e in events_of(log) if e.tool]
    assert found[:4] == [
        ("tool_call", "c1", None), ("tool_call", "c2", None), ("tool_result", "c2", "two"),
        ("tool_result", "c1", "one"),
    ]  # fmt: skip
    assert [kind for kind, _id, _result in found[4:]] == ["tool_call", "tool_result"]
    assert found[4][1] == found[5][1] not in ("c1", "c2")


def test_code_sent_again_after_an_error_is_its_next_version(db: Database, tmp_path: Path) -> None:
    """A block that resembles the last failed one names it, and the files that held them are linked."""
    log = AgentExecutionLogger(db, work_dir=tmp_path / "work")
    (tmp_path / "work").mkdir()
    failing = "import os\nx = 1\ny = 2\nprint(z)\n"
    mended = failing.replace("print(z)", "print(x)")
    for name, code, exit_code in (
        ("tmp_a.py", failing, 1),
        ("tmp_b.py", mended, 0),
        ("c.py", "q()\n" * 5, 0),
    ):
        (tmp_path / "work" / name).write_text(code)
        log.log_code_execution(code, {"exit_code": exit_code, "output": ""}, agent="coder")
    summary = log.finalize_step_logging()
    log.close()
    first, second, third = [event for event in events_of(log) if event.kind == "code"]
    assert first.code is not None
    assert (first.data, third.data) == (None, None)
    assert second.data == {"version": 2, "supersedes": first.code.call_id}
    assert {v.path: v.superseded_by for v in summary.artifacts} == {
        "tmp_a.py": "tmp_b.py@1", "tmp_b.py": None, "c.py": None,
    }  # fmt: skip
    stored = FileRepository(db).versions(log.run_pk)
    assert {v.path: v.superseded_by for v in stored} == {v.path: v.superseded_by for v in summary.artifacts}
    assert summary.failed_code_blocks == 1


def test_context_is_recorded_on_change_alone(db: Database) -> None:
    """A snapshot is taken when something differs, also deep inside, and is a copy."""
    log = AgentExecutionLogger(db)
    context: dict[str, Any] = {"n": 1, "deep": {"list": [1]}}
    log.log_agent_start("a", context)
    log.log_context(context)
    context["deep"]["list"].append(2)
    log.log_context(context, "b")
    context.clear()
    log.close()
    found = [(e.agent, (e.data or {})["values"]) for e in events_of(log) if e.kind == "context"]
    assert found == [("a", {"n": 1, "deep": {"list": [1]}}), ("b", {"n": 1, "deep": {"list": [1, 2]}})]


def test_steps_are_numbered_and_stored(db: Database, runs: RunRepository) -> None:
    """Each step has its own figures, title, host id, transitions, snapshots and artifacts."""
    log = AgentExecutionLogger(db)
    assert log.next_step("plan", "host-a") == 1
    log.log_agent_transition("a", "b", "why")
    log.log_context({"n": 1})
    assert log.next_step("act", "host-b") == 2
    log.log_agent_reply("b", "done", tokens_out=3)
    log.finish("success", reason="checked")
    rows = db.all("SELECT * FROM steps ORDER BY step")
    assert [(row["step"], row["host_id"], row["title"]) for row in rows] == [
        (1, "host-a", "plan"),
        (2, "host-b", "act"),
    ]
    (transition,) = load_json(rows[0]["agent_transitions"])
    assert (transition["from"], transition["to"], transition["reason"]) == ("a", "b", "why")
    (snapshot,) = load_json(rows[0]["context_snapshots"])
    assert snapshot["values"] == {"n": 1}
    assert load_json(rows[1]["summary"])["tokens"] == 3
    assert [event.step for event in runs.events(log.run_id)] == [1, 1, 2]
    run = runs.get(log.run_id)
    assert (run.outcome, run.outcome_reason) == ("success", "checked")


@pytest.mark.parametrize(
    ("step_id", "number"), [("step_5", 5), ("7", 7), (3, 3), ("a1b2-uuid", 1), (None, 1)]
)
def test_a_host_s_own_step_id_is_kept(
    db: Database, runs: RunRepository, step_id: int | str | None, number: int
) -> None:
    """A logger for one step of a host's run takes the number in its id and keeps it; the run stays open."""
    run = runs.create("host's task")
    log = AgentExecutionLogger(db, run.id, step_id)
    log.log_agent_reply("a", "hi")
    summary = log.finalize_step_logging()
    log.close()
    assert summary.step == number
    host_id = db.scalar("SELECT host_id FROM steps WHERE step = ?", (number,))
    assert host_id == (step_id if isinstance(step_id, str) else None)
    assert (runs.get(run.id).status, runs.get(run.id).events) == ("running", 1)


def test_step_ids_without_a_number_count_on(db: Database, runs: RunRepository) -> None:
    """Loggers for steps with opaque ids get one number after the other."""
    run = runs.create("host's task")
    steps = []
    for name in ("plan", "act", "check"):
        log = AgentExecutionLogger(db, run.id, name)
        log.log_message("hi")
        steps.append(log.step)
        log.close()
    assert steps == [1, 2, 3]


def test_an_exception_inside_is_recorded_and_goes_on(db: Database, runs: RunRepository) -> None:
    """The host's exception leaves an error event with traceback, a failed run, and arrives unchanged."""
    error = ValueError("the user's")
    with pytest.raises(ValueError, match="the user's") as caught, AgentExecutionLogger(db) as log:
        raise error
    assert caught.value is error
    last = events_of(log)[-1]
    assert (last.kind, last.content) == ("error", "the user's")
    assert last.data is not None
    assert last.data["type"] == "ValueError"
    assert "raise error" in last.data["traceback"]
    run = runs.get(log.run_id)
    assert (run.status, run.outcome, run.outcome_reason) == ("failed", "failure", "ValueError: the user's")


class SilentError(Exception):
    """An exception that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_without_text_still_arrives(db: Database, runs: RunRepository) -> None:
    """Even an exception that fails when it is printed reaches the host unchanged and fails the run."""
    with pytest.raises(SilentError), AgentExecutionLogger(db) as log:
        raise SilentError
    assert [event.content for event in runs.events(log.run_id)] == ["<SilentError>"]
    assert runs.get(log.run_id).outcome_reason == "SilentError: <SilentError>"


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), "interrupted"), (SystemExit(0), "completed"), (SystemExit(2), "failed")],
)
def test_leaving_by_other_ways(db: Database, runs: RunRepository, error: BaseException, status: str) -> None:
    """Ctrl-C interrupts the run, a clean exit completes it, an exit with a code fails it."""
    with pytest.raises(type(error)), AgentExecutionLogger(db) as log:
        raise error
    assert runs.get(log.run_id).status == status


def test_a_logger_without_finish_ends_as_interrupted(db: Database, runs: RunRepository) -> None:
    """A logger that is dropped stores what it was given; the run it began is not left as running."""
    log = AgentExecutionLogger(db)
    log.log_message("hi")
    run_id = log.run_id
    del log
    gc.collect()
    deadline = time.monotonic() + 5
    while runs.get(run_id).status == "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (runs.get(run_id).status, runs.get(run_id).events) == ("interrupted", 1)


class Hostile:
    """An object that fails however it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def looped() -> dict[str, Any]:
    """Return a dictionary that holds itself."""
    loop: dict[str, Any] = {}
    loop["self"] = loop
    return loop


CALLS: list[Callable[[AgentExecutionLogger, Any], None]] = [
    lambda log, bad: log.log_agent_start(bad, bad),
    lambda log, bad: log.log_agent_reply("a", bad, bad, bad),
    lambda log, bad: log.log_message(bad),
    lambda log, bad: log.log_code_execution(bad, bad),
    lambda log, bad: log.log_tool_usage("t", bad, bad, error=bad),
    lambda log, bad: log.log_agent_transition("a", "b", bad),
    lambda log, bad: log.log_context(bad),
    lambda log, bad: log.log_error(bad),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "make",
    [Hostile, looped, object, lambda: float("nan"), lambda: b"\xff", lambda: {1: {2, 3}}, lambda: "\ud800"],
)
def test_nothing_reaches_the_host(
    db: Database,
    call: Callable[[AgentExecutionLogger, Any], None],
    make: Callable[[], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever a host hands over, no call raises, other events are stored, and losses are reported once."""
    log = AgentExecutionLogger(db)
    log.log_message("before")
    call(log, make())
    log.log_message("after")
    log.close()
    contents = [event.content for event in events_of(log)]
    assert (contents[0], contents[-1]) == ("before", "after")
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) <= 1
    assert db.check() == []


def test_losses_are_reported_once(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    """What could not be recorded is counted and named in one warning at the end."""
    log = AgentExecutionLogger(db)
    for _number in range(3):
        log.log_context(Hostile())
    log.close()
    log.close()
    (record,) = caplog.records
    assert "3 of its records" in record.getMessage()
    assert "log_context" in record.getMessage()


def test_a_locked_database_does_not_hold_the_host(db: Database, runs: RunRepository) -> None:
    """While another process writes for long, logging and ending a step go on."""
    log = AgentExecutionLogger(db)
    with db.transaction():
        started = time.perf_counter()
        for _number in range(50):
            log.log_agent_reply("a", "hi")
            log.log_tool_usage("t", {}, "x")
        summary = log.finalize_step_logging()
        assert time.perf_counter() - started < 5
    assert summary.events == 150
    log.close()
    assert runs.get(log.run_id).events == 150


def test_wrong_construction_is_refused(db: Database) -> None:
    """An unknown run, a database in memory or an unknown durability is an error at once."""
    with pytest.raises(NotFoundError, match="no run"):
        AgentExecutionLogger(db, "0000")
    with pytest.raises(UsageError, match="database file"):
        AgentExecutionLogger(":memory:")
    with pytest.raises(UsageError, match="durability"):
        AgentExecutionLogger(db, durability="often")  # type: ignore[arg-type]


def test_a_workspace_a_database_or_a_path_will_do(tmp_path: Path) -> None:
    """The logger takes whatever names the file, and works from another folder than the one it began in."""
    path = tmp_path / "a.db"
    opened = Database(path)
    for target in (opened, Workspace(opened), path, str(path)):
        log = AgentExecutionLogger(target)
        log.log_message("hi")
        log.close()
        assert len(events_of(log)) == 1
    opened.close()


def test_secrets_of_task_and_steps_are_replaced(db: Database, runs: RunRepository) -> None:
    """Task, transitions, snapshots and reasons are stored without keys."""
    key = "ghp_" + "k" * 36
    with AgentExecutionLogger(db, task=f"use {key}") as log:
        log.log_agent_transition("a", "b", key)
        log.log_context({"key": key})
        log.finish("failure", reason=key)
    rows = [dict(row) for table in ("runs", "steps", "events") for row in db.all(f"SELECT * FROM {table}")]
    assert key not in repr(rows)
    assert runs.get(log.run_id).task == "use ‹redacted:github›"


def test_sync_durability_works_through_the_logger(db: Database, runs: RunRepository) -> None:
    """With durability "sync" an event is in the file when the call returns."""
    log = AgentExecutionLogger(db, durability="sync")
    log.log_message("here")
    assert [event.content for event in runs.events(log.run_id)] == ["here"]
    log.close()


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"exit_code": 0, "output": "out"}, (0, "out")),
        ({"exitcode": 1, "logs": "log"}, (1, "log")),
        ({"returncode": 2, "stdout": "o\n", "stderr": "e"}, (2, "o\ne")),
        ({"stdout": "", "stderr": ""}, (None, "")),
        ({"success": False, "error": "bad"}, (1, "bad")),
        ((1, "log", None), (1, "log")),
        ("only text", (None, "only text")),
        (None, (None, None)),
        (ValueError("x"), (1, "ValueError: x")),
        (subprocess.CompletedProcess("c", 3, b"o", b"e"), (3, "o\ne")),
        (SimpleNamespace(exit_code=0, output="obj"), (0, "obj")),
    ],
)
def test_results_of_code_in_their_many_shapes(result: Any, expected: tuple[int | None, str | None]) -> None:
    """Exit code and output are found in dictionaries, objects, tuples, exceptions and plain text."""
    assert execution_of(result) == expected


def test_replies_in_their_many_shapes() -> None:
    """Texts, messages, objects and lists of parts all give their text and their calls."""
    call = SimpleNamespace(id="c", function=SimpleNamespace(name="f", arguments="{}"))
    message = SimpleNamespace(role="assistant", content="hi", tool_calls=[call], reasoning=None)
    said = reply_of(message)
    assert (said.content, said.role) == ("hi", "assistant")
    assert [(use.name, use.call_id, use.arguments) for use in said.tools] == [("f", "c", "{}")]
    assert reply_of([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]).content == "a\nb"
    assert reply_of({"answer": 1}).content == '{"answer":1}'
    assert reply_of(None).content is None
    assert reply_of({"content": None, "function_call": {"name": "g", "arguments": "1"}}).tools[0].name == "g"


def test_tool_calls_in_their_many_shapes() -> None:
    """Plain names and flat or nested dictionaries give name, id and arguments as text."""
    calls = ["f", {"tool": "g", "args": {"x": 1}}, {"name": "h", "input": {"y": 2}, "id": "7"}]
    uses = tool_calls_of(calls)
    assert [(use.name, use.arguments) for use in uses] == [("f", None), ("g", '{"x":1}'), ("h", '{"y":2}')]
    assert uses[2].call_id == "7"
    assert uses[0].call_id != uses[1].call_id


@pytest.mark.parametrize("name", ["f", "", None])
@pytest.mark.parametrize("arguments", ['{"x":1}', {"x": 1}, None])
def test_a_call_is_the_same_as_a_dictionary_and_as_an_object(name: Any, arguments: Any) -> None:
    """The usual dictionaries of model interfaces are read like everything else, whatever they lack."""
    function = {"name": name, "arguments": arguments}
    (written,) = tool_calls_of([{"id": "c1", "type": "function", "function": function}])
    (held,) = tool_calls_of([SimpleNamespace(id="c1", type="function", function=SimpleNamespace(**function))])
    assert written == held
    assert (written.name, written.call_id) == (name or "unknown", "c1")


def test_context_objects_give_their_values() -> None:
    """Mappings, objects that hold one and plain objects all give a dictionary."""
    assert values_of({"a": 1}) == {"a": 1}
    assert values_of(SimpleNamespace(data={"a": 1})) == {"a": 1}
    assert values_of(SimpleNamespace(b=2)) == {"b": 2}


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
@settings(max_examples=100)
def test_any_value_becomes_text(value: Any) -> None:
    """Whatever a tool returns has a text form; text stays as it is."""
    text = text_of(value)
    assert text is None if value is None else isinstance(text, str)
    if isinstance(value, str):
        assert text == value
