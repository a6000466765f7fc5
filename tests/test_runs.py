from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.chains import chain
from skillsmith.db import Database
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.models import (
    Event,
    EventKind,
    FileSnapshot,
    Run,
    RunRecord,
    StepExecutionSummary,
    ToolUse,
)
from skillsmith.runs import MessageRepository, RunRepository


def record(*events: Event, **fields: Any) -> RunRecord:
    """Return a run as an importer reads it."""
    return RunRecord(source="test", events=events, **fields)


def message(text: str, **fields: Any) -> Event:
    """Return a message of the assistant."""
    return Event(**({"kind": "message", "role": "assistant", "content": text} | fields))


EVENTS = st.lists(
    st.builds(
        Event,
        kind=st.sampled_from(["message", "code", "raw"]),
        content=st.none() | st.sampled_from(["a", "b", "\ud800"]),
        role=st.none() | st.sampled_from(["user", "assistant"]),
        agent=st.none() | st.sampled_from(["planner", "engineer"]),
        at=st.none() | st.floats(1, 100),
        tokens_in=st.none() | st.integers(0, 9),
        record_id=st.none() | st.sampled_from(["r1", "r2"]),
        data=st.none() | st.dictionaries(st.sampled_from("ab"), st.integers(), min_size=1),
    ),
    max_size=8,
).map(tuple)


def counts(run: Run) -> tuple[Any, ...]:
    """Return what is counted of a run."""
    return (run.events, run.agents, run.messages_by_role, run.tokens, run.duration_seconds, run.started_at)


@settings(max_examples=40)
@given(EVENTS, st.data())
def test_a_grown_log_adds_its_tail_and_nothing_else(events: tuple[Event, ...], data: st.DataObject) -> None:
    """However often a log is read while it grows, the run ends up as if it had been read once."""
    runs = RunRepository(Database(":memory:"))
    sizes = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    seen = 0
    for size in [*sizes, len(events), len(events)]:
        ingested = runs.ingest(record(*events[:size], native_id="x"))
        assert sum(ingested.added.values()) == size - seen
        seen = size
    once = RunRepository(Database(":memory:"))
    whole = once.ingest(record(*events, native_id="x")).run
    (run,) = runs.list()
    assert counts(run) == counts(whole)
    assert list(runs.events(run.id)) == list(once.events(whole.id))


def test_the_same_log_under_another_name_adds_nothing(runs: RunRepository) -> None:
    """A run is known by its events, not by its path."""
    first = runs.ingest(record(message("a"), message("b")), path="one.jsonl")
    again = runs.ingest(record(message("a"), message("b")), path="two.jsonl")
    assert (first.new, again.new) == (True, False)
    assert (first.run.id, again.added) == (again.run.id, {})
    assert first.added == {"message": 2}


def test_an_earlier_copy_of_a_log_adds_nothing(runs: RunRepository) -> None:
    """A backup of a log that has since grown belongs to the same run, and shortens nothing."""
    call = Event(
        kind="tool_call", tool=ToolUse(name="t", arguments='{"n": 1.0}'), at=1.5, data={"b": 1, "a": 2}
    )
    whole = runs.ingest(record(message("a"), call, message("c"), native_id="x")).run
    for size in (1, 2):
        early = record(*(message("a"), call)[:size], native_id="x")
        again = runs.ingest(early, original=record(message("secret"), native_id="x"))
        assert (again.run, again.new, again.added) == (whole, False, {})
    assert runs.ingest(record(message("other"), native_id="x")).new
    assert runs.ingest(record(native_id="x")).new
    assert [event.content for event in runs.events(whole.id)] == ["a", None, "c"]


def test_runs_of_one_task_are_not_confused(runs: RunRepository) -> None:
    """Equal beginnings under different ids of the log are different runs."""
    one = runs.ingest(record(message("a"), native_id="trial-1"))
    two = runs.ingest(record(message("a"), native_id="trial-2"))
    assert one.run.id != two.run.id
    assert chain(record(native_id="1"))[0] != chain(record(native_id="2"))[0]


def test_what_the_log_says_of_a_run_is_kept(runs: RunRepository) -> None:
    """Task, outcome with its reason, status, times, cost, folder and metadata."""
    run = runs.ingest(
        record(
            message("a", at=5.0, cost_usd=0.25, tokens_in=10, tokens_out=2),
            message("b", at=9.0, cost_usd=0.5),
            task="Plot", outcome="success", outcome_reason="reward 1.0", status="interrupted", native_id="n",
            work_dir="/w", metadata={"reward": 1.0},
        ),
        path="log.jsonl",
    ).run  # fmt: skip
    assert (run.task, run.outcome, run.outcome_reason, run.status) == (
        "Plot",
        "success",
        "reward 1.0",
        "interrupted",
    )
    assert (run.started_at, run.duration_seconds, run.cost_usd, run.tokens) == (5.0, 4.0, 0.75, 12)
    assert (run.native_id, run.work_dir, run.source_path, run.metadata) == (
        "n",
        "/w",
        "log.jsonl",
        {"reward": 1.0},
    )


def test_a_stated_total_cost_is_believed(runs: RunRepository) -> None:
    """A log that says what it cost in all is not summed again; without any cost it is not known."""
    assert runs.ingest(record(message("a", cost_usd=1.0), cost_usd=3.0)).run.cost_usd == 3.0
    assert runs.ingest(record(message("b"))).run.cost_usd is None


def test_a_persons_judgement_outlives_later_imports(runs: RunRepository) -> None:
    """What was marked stays marked when the log grows; what was named on import wins over the log."""
    run = runs.ingest(record(message("a"), outcome="failure")).run
    runs.mark(run.id, "success", note="it did work")
    grown = runs.ingest(record(message("a"), message("b"), outcome="failure")).run
    assert (grown.id, grown.outcome, grown.note) == (run.id, "success", "it did work")
    assert runs.ingest(record(message("z"), outcome="failure"), outcome="success").run.outcome == "success"
    with pytest.raises(UsageError, match="use success or failure"):
        runs.mark(run.id, "great")  # type: ignore[arg-type]


def test_files_of_a_log_are_stored_with_it(db: Database, runs: RunRepository) -> None:
    """Each file version once, however often the log is read."""
    files = (
        FileSnapshot(path="a.py", content=b"1"),
        FileSnapshot(path="a.py", content=b"2", agent="engineer"),
    )
    for _ in range(2):
        run = runs.ingest(record(message("a"), files=files)).run
    assert db.scalar("SELECT count(*) FROM file_versions") == 2
    assert run.events == 1


def test_an_import_that_fails_leaves_nothing(runs: RunRepository) -> None:
    """A run is stored whole or not at all."""
    bad = FileSnapshot(path="a", content="text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        runs.ingest(record(message("a"), files=(bad,)))
    assert list(runs.list()) == []


def test_a_captured_run_is_closed_with_exact_counts(
    make_run: Callable[..., Run], runs: RunRepository
) -> None:
    """Events, agents in order, roles, tokens and cost are counted at the end."""
    run = make_run(
        message("a", agent="planner", tokens_in=5, cost_usd=0.5),
        Event(kind="tool_call", agent="engineer", tool=ToolUse(name="t", arguments="{}"), tokens_out=7),
        message("b", agent="planner", role="user"),
    )
    assert (run.status, run.outcome, run.events, run.tokens) == ("completed", "success", 3, 12)
    assert run.agents == ("planner", "engineer")
    assert run.messages_by_role == {"assistant": 1, "user": 1}
    assert run.cost_usd == 0.5
    assert run.duration_seconds is not None
    assert run.duration_seconds >= 0
    failed = runs.finish(run.id, status="failed", outcome="failure", reason="exit 1")
    assert (failed.status, failed.outcome, failed.outcome_reason) == ("failed", "failure", "exit 1")


def test_any_clear_prefix_finds_a_run(runs: RunRepository) -> None:
    """A few digits are enough, in any case; unclear and unknown ones say so."""
    run = runs.create("one")
    assert runs.get(run.id) == run
    assert runs.get(run.id[:20].upper()) == run
    runs.create("two")
    with pytest.raises(UsageError, match="fits several"):
        runs.get(run.id[:2])
    for unknown in ("zzz", "", " ", "%", "_", "~"):
        with pytest.raises(NotFoundError, match="skillsmith runs"):
            runs.get(unknown)


@pytest.mark.parametrize("window", [1, 2, 100])
def test_runs_are_listed_newest_first(runs: RunRepository, window: int) -> None:
    """Page by page, from any run on, without gaps or repeats."""
    ids = [runs.create(f"task {number}").id for number in range(5)]
    assert [run.id for run in runs.list(window=window)] == ids[::-1]
    assert [run.id for run in runs.list(after=ids[3], window=window)] == ids[2::-1]


def test_runs_are_filtered_and_searched(make_run: Callable[..., Run], runs: RunRepository) -> None:
    """By outcome, by source, and by words of the task or of any event; wildcards are only characters."""
    one = make_run(message("the spectrum of Mars"), task="100% done")
    two = runs.create("other_thing", source="import")
    assert [run.id for run in runs.list(outcome="success")] == [one.id]
    assert [run.id for run in runs.list(source="import")] == [two.id]
    assert [run.id for run in runs.list(search="spectrum mars")] == [one.id]
    assert [run.id for run in runs.list(search="other_")] == [two.id]
    assert [run.id for run in runs.list(search="0%")] == [one.id]
    assert list(runs.list(search="0_")) == []
    assert list(runs.list(search="spectrum", source="import")) == []


def test_messages_stream_in_chunks(db: Database, make_run: Callable[..., Run]) -> None:
    """Only what has a role, in chunks of the asked size, the last one shorter."""
    kinds: list[EventKind] = ["message", "code", "message", "message"]
    run = make_run(*[Event(kind=kind, role="user" if kind == "message" else None) for kind in kinds])
    chunks = list(MessageRepository(db).get_messages_streaming(run.id, 2))
    assert [[event.seq for event in chunk] for chunk in chunks] == [[1, 3], [4]]
    assert list(MessageRepository(db).get_messages_streaming(run.id, 0)) != []


def test_a_finished_step_is_kept_with_its_parts(db: Database, runs: RunRepository) -> None:
    """Transitions, artifacts, context snapshots and figures are there for SQL; saving again replaces."""
    run = runs.create("t")
    summary = StepExecutionSummary(
        run_id=run.id, step=1, agents=("a",), events=3, messages=1, tool_calls=1, code_blocks=1,
        failed_code_blocks=0, transitions=(), artifacts=(), duration_seconds=1.5, tokens=10, cost_usd=None,
        dropped=0,
    )  # fmt: skip
    columns: dict[str, Any] = {
        "host_id": "s1", "title": "load", "started_at": 1.0, "ended_at": 2.5,
        "agent_transitions": [{"from": "a", "to": "b"}], "intermediate_artifacts": [{"path": "a.py"}],
        "context_snapshots": [{"values": {"x": 1}}],
    }  # fmt: skip
    runs.save_step(run.id, summary, columns)
    runs.save_step(run.id, replace(summary, events=4), columns)
    (row,) = db.all("SELECT * FROM steps")
    assert json.loads(row["summary"])["events"] == 4
    assert json.loads(row["agent_transitions"]) == [{"from": "a", "to": "b"}]
    assert (row["host_id"], row["title"], row["ended_at"]) == ("s1", "load", 2.5)
