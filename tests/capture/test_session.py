"""A capture by itself: when it refuses, what it stores, and that entering and leaving are all that waits."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

import skillsmith
from skillsmith.blobs import BlobStore
from skillsmith.capture import AgentExecutionLogger
from skillsmith.capture.session import Capture
from skillsmith.capture.tape import Tape, Undo
from skillsmith.db import Database
from skillsmith.errors import StorageError, UsageError
from skillsmith.models import Event, Run, ToolUse
from skillsmith.runs import RunRepository
from skillsmith.workspace import open_workspace

PLANTED = "sk-proj-" + "Zq7" * 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is made."""
    return tmp_path / "skillsmith.db"


def stored(path: Path, run_id: str) -> tuple[Run, list[Event]]:
    """Return a run as stored."""
    with closing(Database(path)) as db:
        runs = RunRepository(db)
        return runs.get(run_id), list(runs.events(run_id))


def test_the_package_is_callable_and_still_a_package(path: Path) -> None:
    """``skillsmith.capture(…)`` captures, ``skillsmith.capture.recorder`` is a module."""
    with skillsmith.capture("a task", path) as run:
        assert isinstance(run, Capture)
    assert skillsmith.capture.AgentExecutionLogger is AgentExecutionLogger  # type: ignore[attr-defined]  # the package
    assert stored(path, run.id)[0].task == "a task"


def test_the_usual_file_is_used_when_none_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SKILLSMITH_DB names it, as for every command; a workspace does as well."""
    monkeypatch.setenv("SKILLSMITH_DB", str(path))
    with skillsmith.capture("by name") as run:
        pass
    with open_workspace(path) as workspace, skillsmith.capture("by workspace", workspace) as other:
        pass
    assert [stored(path, each.id)[0].task for each in (run, other)] == ["by name", "by workspace"]


def test_mistakes_are_told_before_anything_runs(path: Path, tmp_path: Path) -> None:
    """A folder, another program's file, an unknown durability, a wrong price table, an unknown object."""
    foreign = tmp_path / "other.db"
    with closing(sqlite3.connect(foreign)) as other:
        other.execute("CREATE TABLE t (a)")
        other.execute("PRAGMA application_id = 4711")
    (tmp_path / "note.txt").write_text("no database")
    (tmp_path / "prices.json").write_text('{"models": {"m": {"in": "dear"}}}')
    for wrong in (tmp_path, foreign, tmp_path / "note.txt"):
        with pytest.raises(StorageError):
            skillsmith.capture("x", wrong)
    with pytest.raises(UsageError, match="memory"):
        skillsmith.capture("x", ":memory:")
    with pytest.raises(UsageError, match="durability"), skillsmith.capture("x", path, durability="often"):  # type: ignore[arg-type]  # the mistake
        pass
    with pytest.raises(UsageError, match="'dear'"):
        skillsmith.capture("x", path, prices=tmp_path / "prices.json")
    with (
        pytest.raises(UsageError, match="SimpleNamespace"),
        skillsmith.capture("x", path, agents=[SimpleNamespace()]),
    ):
        pass
    with pytest.raises(UsageError, match="has not begun"):
        _ = skillsmith.capture("x", path).id


def test_a_capture_is_for_one_run(path: Path) -> None:
    """Entering it again is refused; an outcome that nobody knows as well."""
    run = skillsmith.capture("x", path)
    with run, pytest.raises(UsageError, match="outcome"):
        run.mark("splendid")  # type: ignore[arg-type]  # the mistake
    with pytest.raises(UsageError, match="begun already"), run:
        pass


def test_what_is_logged_by_hand_is_in_the_same_run(path: Path) -> None:
    """``run.log`` has the logger's calls and steps, and cannot end the capture."""
    with skillsmith.capture("by hand", path) as run:
        run.log.log_message("do it", sender="user", recipient="clerk")
        run.log.next_step("prepare", host_id="step_4")
        run.log.log_agent_reply("clerk", "ready")
        run.log.log_code_execution("print(1)", {"exit_code": 0, "output": "1\n"}, agent="clerk")
        summary = run.log.finalize_step_logging()
        run.log.finish("success", reason="by hand")
        run.log.log_agent_transition("clerk", "boss", "done")
        assert run.log.run_pk == 1
    recorded, events = stored(path, run.id)
    assert [(event.kind, event.step) for event in events] == [
        ("message", 1), ("message", 4), ("code", 4), ("code_result", 4), ("transition", 4),
    ]  # fmt: skip
    assert (summary.step, summary.events, summary.code_blocks) == (4, 3, 1)
    assert (recorded.outcome, recorded.outcome_reason, recorded.status) == ("success", "by hand", "completed")


def test_a_capture_in_one_named_step(path: Path) -> None:
    """``step=`` gives everything the host's own step id."""
    with skillsmith.capture("x", path, step="step_9") as run:
        run.log.log_message("hello", sender="user")
        run.tape.end_turn(run.tape.begin_turn("a"))
        run.tape.end_turn(run.tape.begin_turn("b"))
    assert {event.step for event in stored(path, run.id)[1]} == {9}
    with closing(Database(path)) as db:
        assert [tuple(row) for row in db.all("SELECT step, host_id FROM steps")] == [(9, "step_9")]


def test_a_step_row_has_transitions_contexts_and_figures(path: Path) -> None:
    """What the specification asks of a step stands in its row, written without the host waiting for it."""
    with skillsmith.capture("x", path) as run:
        tape = run.tape
        turn = tape.begin_turn("planner")
        tape.context(turn, agent="planner", values={"n": 1})
        tape.context(turn, agent="planner", values={"n": 1})
        tape.context(turn, agent="planner", values={"n": 2})
        tape.transition(turn, source="planner", target="writer", reason="plan ready")
        tape.end_turn(turn)
        tape.end_turn(tape.begin_turn("writer"))
    with closing(Database(path)) as db:
        rows = db.all("SELECT * FROM steps ORDER BY step")
    assert [row["step"] for row in rows] == [1, 2]
    assert '"from":"planner","to":"writer","reason":"plan ready"' in rows[0]["agent_transitions"]
    assert rows[0]["context_snapshots"].count('"values"') == 2
    assert '"agents":["planner"]' in rows[0]["summary"]


def test_leaving_says_how_it_ended(path: Path) -> None:
    """Exit code 0 is no failure, Ctrl-C and a cancelled task interrupt."""

    def ended_by(error: BaseException) -> tuple[str, str]:
        run = skillsmith.capture("x", path)

        def work() -> None:
            with run:
                raise error

        with pytest.raises(type(error)):
            work()
        recorded = stored(path, run.id)[0]
        return recorded.status, recorded.outcome

    assert ended_by(SystemExit(0)) == ("completed", "unknown")
    assert ended_by(SystemExit(2)) == ("failed", "failure")
    assert ended_by(KeyboardInterrupt()) == ("interrupted", "unknown")
    assert ended_by(asyncio.CancelledError()) == ("interrupted", "unknown")


def test_a_tape_writes_each_kind_once_and_only_while_it_is_on() -> None:
    """Announced calls are not repeated, the same error is recorded once, an equal system message once."""
    events: list[Event] = []
    tape = Tape(events.append)
    turn = tape.begin_turn("a")
    inner = tape.begin_turn("b", within=turn)
    tape.message(turn, sender="a", recipient="u", role="assistant", content=None,
                 tool_calls=[ToolUse(name="f", call_id="1", arguments="{}")])  # fmt: skip
    tape.tool_result(inner, agent="b", name="f", call_id="1", result={"x": 1})
    tape.tool_result(inner, agent="b", name="g", call_id=None, arguments={"y": 2}, error=ValueError("no"))
    error = ValueError("once")
    for where in ("model", "turn"):
        tape.error(turn, agent="a", error=error, where=where)
    for system in (["be", "good"], ["be", "good"], "be bad"):
        tape.llm_call(turn, agent="a", model=None, tokens_in=None, tokens_out=None, duration_seconds=0.1,
                      system=system, cached=system == "be bad")  # fmt: skip
    tape.code(turn, agent="a", code="x", language=None, exit_code=1, output={"stdout": "o"})
    tape.human(turn, agent="a", prompt="ok?", reply="yes")
    tape.on = False
    tape.note(turn, name="late")
    tape.end_turn(turn)
    kinds = [event.kind for event in events]
    assert kinds == [
        "agent_start", "agent_start", "message", "tool_call", "tool_result", "tool_call", "tool_result",
        "error", "message", "llm_call", "llm_call", "message", "llm_call", "code", "code_result", "message",
        "message",
    ]  # fmt: skip
    assert {event.step for event in events} == {1}
    assert [event.content for event in events if event.role == "system"] == ["be\n\ngood", "be bad"]
    assert [event.cost_usd for event in events if event.kind == "llm_call"] == [None, None, 0.0]
    assert events[6].tool == ToolUse(name="g", call_id=events[5].tool.call_id if events[5].tool else "",
                                     error="ValueError: no")  # fmt: skip


def test_a_tape_takes_what_a_host_changes_later() -> None:
    """Contents and variables are copied when they are told, not when they are stored."""
    events: list[Event] = []
    tape = Tape(events.append)
    values, content = {"a": [1]}, [{"type": "text", "text": "before"}]
    tape.context(None, agent="a", values=values)
    tape.message(None, sender="a", recipient=None, role="user", content=content)
    values["a"].append(2)
    content[0]["text"] = "after"
    assert [(events[0].data or {})["values"], events[1].content] == [{"a": [1]}, "before"]


def test_undo_goes_backwards_and_on() -> None:
    """What cannot be restored is counted, and does not keep the rest from being restored."""
    done: list[int] = []
    undo = Undo()
    undo.add(lambda: done.append(1))
    undo.add(lambda: 1 / 0)
    undo.add(lambda: done.append(3))
    undo.run()
    undo.run()
    assert (done, undo.failures.count) == ([3, 1], 1)


def test_a_host_object_that_fails_in_every_way_is_counted(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be recorded is left out, counted and told once."""

    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with caplog.at_level(logging.WARNING), skillsmith.capture("x", path) as run:
        turn = run.tape.begin_turn("a")
        run.tape.context(turn, agent="a", values=Hostile())
        run.tape.context(turn, agent="a", values=3)
        run.tape.message(turn, sender="a", recipient=None, role="user", content={"x": Hostile()})
        run.tape.end_turn(turn)
    assert stored(path, run.id)[0].status == "completed"
    assert len(caplog.records) <= 1


def test_no_secret_reaches_any_file(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One planted in task, message, argument, variable, reason, host step, environment or file is nowhere."""
    home_made = "hunter2-" + "q9" * 8
    monkeypatch.setenv("MY_SERVICE_TOKEN", home_made)
    work = tmp_path / "work"
    work.mkdir()
    (work / "before.env").write_text(f"KEY={PLANTED}\n")
    with skillsmith.capture(f"use {PLANTED}", path, work_dir=work) as run, run.step(f"with {home_made}"):
        tape, turn = run.tape, run.tape.begin_turn("a")
        call = ToolUse(name="f", call_id="1", arguments=f'{{"key": "{PLANTED}"}}')
        tape.message(turn, sender="a", recipient="b", role="assistant", content=f"it is {PLANTED}",
                     reasoning=f"or {home_made}", tool_calls=[call])  # fmt: skip
        tape.message(turn, sender="a", recipient="b", role="assistant", content=f"{'long ' * 2000}{PLANTED}")
        (work / "made.py").write_text(f"key = '{PLANTED}'\nother = '{home_made}'\n")
        tape.tool_result(turn, agent="a", name="f", call_id="1", result=f"token {home_made}")
        tape.after_files("a", turn)
        tape.context(turn, agent="a", values={"secret": PLANTED, "other": [home_made]})
        tape.code(turn, agent="a", code=f"x = '{PLANTED}'", language="python", exit_code=1, output=home_made)
        tape.error(turn, agent="a", error=ValueError(PLANTED), where="tool")
        tape.transition(turn, source="a", target="b", reason=f"because {home_made}")
        tape.note(turn, name="n", data={"deep": {"er": [PLANTED]}})
        tape.llm_call(turn, agent="a", model="m", tokens_in=1, tokens_out=1, duration_seconds=0.1,
                      system=f"you know {PLANTED}")  # fmt: skip
        run.mark("failure", reason=f"{PLANTED} was wrong")
        tape.end_turn(turn)
        run.run.recorder.flush()
        _assert_nowhere(tmp_path, work, PLANTED, home_made)
    _assert_nowhere(tmp_path, work, PLANTED, home_made)
    with closing(Database(path)) as db:  # blobs are compressed: a look at the bytes alone would not find them
        kept = str([BlobStore(db).get(row[0]) for row in db.all("SELECT digest FROM blobs")])
    kept += str(stored(path, run.id))
    assert PLANTED not in kept
    assert home_made not in kept
    assert kept.count("‹redacted:") > 10


def _assert_nowhere(folder: Path, work: Path, *secrets: str) -> None:
    for file in folder.rglob("*"):
        if file.is_file() and work not in file.parents:
            data = file.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in data], file
