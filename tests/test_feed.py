"""Listeners hear what any process writes: in order, nothing lost, nothing twice, in the specified shapes."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.db import Database
from skillsmith.errors import NotFoundError, StorageError, UsageError
from skillsmith.events import EventLog
from skillsmith.feed import Feed, FeedEvent
from skillsmith.follower import WINDOW, Place
from skillsmith.models import CodeUse, Event, ToolUse
from skillsmith.notices import NAMES
from skillsmith.runs import RunRepository
from skillsmith.workspace import Workspace, open_workspace

ROOT = Path(__file__).parents[1]

WRITER = """
import sys
from skillsmith.capture.logger import AgentExecutionLogger
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with AgentExecutionLogger(path, task=name) as log:
    for number in range(count):
        log.log_agent_reply(name, f"{name} {number}", reasoning="hm" if number % 3 == 0 else None)
"""
"""Another process: a run of so many messages, every third with a thought."""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A new file with its services."""
    with open_workspace(tmp_path / "x.db") as opened:
        yield opened


def until(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait until something holds and tell whether it does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def write(workspace: Workspace, *events: Event, task: str = "", end: bool = True) -> str:
    """Write a run through the workspace's own connection and return its id."""
    run = workspace.runs.create(task)
    workspace.log.append(workspace.runs.key(run.id), events)
    if end:
        workspace.runs.finish(run.id, outcome="success")
    return run.id


def said(content: str, **more: Any) -> Event:
    """Return a message."""
    return Event(kind="message", role="assistant", agent="a", content=content, **more)


def heard(workspace: Workspace, **wish: Any) -> list[FeedEvent]:
    """Return everything that a run's stream yields until it ends."""
    return list(workspace.events.stream(**wish))


def from_beginning(workspace: Workspace, after: int | str = 0, *, ends: int) -> list[FeedEvent]:
    """Return what all runs' stream yields until so many runs have ended."""
    found: list[FeedEvent] = []
    for event in workspace.events.stream(after=after):
        found.append(event)
        ends -= event["event"] == "RUN_ENDED"
        if not ends:
            break
    return found


def test_every_kind_in_the_names_and_shapes_of_the_specification(workspace: Workspace) -> None:
    """Each kind of event has its name, and the keys that the specification gives it."""
    run = write(
        workspace,
        Event(kind="agent_start", agent="engineer", step=5, at=1768818600.0),
        said("done", reasoning="I'll plot it", recipient="b"),
        Event(kind="code", agent="engineer", code=CodeUse(text="print(1)", language="python", call_id="c")),
        Event(kind="code_result", agent="engineer", code=CodeUse(call_id="c", exit_code=0, output="1\n")),
        Event(kind="tool_call", agent="researcher", tool=ToolUse(name="arxiv_search", call_id="t",
              arguments='{"query": "dark energy"}')),
        Event(kind="tool_result", agent="researcher", tool=ToolUse(name="arxiv_search", result="[]")),
        Event(kind="transition", agent="a", recipient="b", content="finished"),
        Event(kind="context", agent="a", data={"values": {"x": 1}}),
        Event(kind="artifact", agent="a", content="p.png", data={"change": "created", "version": 1}),
        Event(kind="llm_call", agent="a", tokens_in=3, tokens_out=4, data={"model": "m"}),
        Event(kind="error", agent="a", content="no", data={"type": "ValueError"}),
        Event(kind="skill", agent="skillsmith", content="plot fits",
              data={"event": "SKILL_MATCHED", "skill_name": "plot", "confidence": 0.87}),
        Event(kind="raw", content="x"),
        Event(kind="reasoning", agent="a", content="hm"),
        task="plot",
    )  # fmt: skip
    events = heard(workspace, run=run, after=0)
    assert [event["event"] for event in events] == [
        "RUN_STARTED", "AGENT_START", "AGENT_REASONING", "AGENT_MESSAGE", "CODE_GENERATED", "CODE_EXECUTED",
        "TOOL_USAGE", "TOOL_RESULT", "AGENT_TRANSITION", "CONTEXT_UPDATED", "ARTIFACT_UPDATED", "LLM_CALL",
        "ERROR", "SKILL_MATCHED", "NOTE", "AGENT_REASONING", "RUN_ENDED",
    ]  # fmt: skip
    assert {event["event"] for event in events} <= NAMES
    data = {event["event"]: event["data"] for event in events}
    assert data["RUN_STARTED"]["task"] == "plot"
    start = data["AGENT_START"]
    assert (start["agent"], start["step_id"]) == ("engineer", "step_5")
    assert start["timestamp"] == "2026-01-19T10:30:00.000Z"
    assert events[2]["data"]["reasoning"] == "I'll plot it"
    assert data["CODE_GENERATED"]["code"] == "print(1)"
    assert data["CODE_GENERATED"]["language"] == "python"
    assert data["CODE_EXECUTED"]["exit_code"] == 0
    assert data["TOOL_USAGE"]["tool"] == "arxiv_search"
    assert data["TOOL_USAGE"]["args"] == {"query": "dark energy"}
    assert (data["AGENT_TRANSITION"]["from"], data["AGENT_TRANSITION"]["to"]) == ("a", "b")
    assert data["CONTEXT_UPDATED"]["context"] == {"x": 1}
    assert data["SKILL_MATCHED"]["skill_name"] == "plot"
    assert data["RUN_ENDED"]["outcome"] == "success"
    assert all(event["data"]["run_id"] == run for event in events)


def test_other_processes_are_heard_in_order_and_once(workspace: Workspace) -> None:
    """Three processes write at once; a listener has every notice of theirs once, each run's in order."""
    found: list[FeedEvent] = []
    count = 120
    with workspace.events.subscribe(found.append):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, workspace.path, name, str(count)],
                env={"PYTHONPATH": str(ROOT)},
            )
            for name in ("one", "two", "three")
        ]
        assert [writer.wait(60) for writer in writers] == [0, 0, 0]
        assert until(lambda: sum(event["event"] == "RUN_ENDED" for event in found) == 3)
    names = Counter(event["event"] for event in found)
    assert names == {
        "RUN_STARTED": 3, "AGENT_MESSAGE": 3 * count, "AGENT_REASONING": count, "RUN_ENDED": 3,
    }  # fmt: skip
    for name in ("one", "two", "three"):
        texts = [event["data"]["content"] for event in found if event["data"].get("agent") == name
                 and event["event"] == "AGENT_MESSAGE"]  # fmt: skip
        assert texts == [f"{name} {number}" for number in range(count)]
    for run in {event["data"]["run_id"] for event in found}:
        of_run = [event["event"] for event in found if event["data"]["run_id"] == run]
        assert (of_run[0], of_run[-1]) == ("RUN_STARTED", "RUN_ENDED")


def test_an_event_is_heard_at_once(workspace: Workspace) -> None:
    """While a run is active, half of its events reach a listener within 50 ms of being logged."""
    delays: list[float] = []
    with (
        workspace.events.subscribe(
            lambda event: delays.append(time.time() - float(event["data"]["content"])),
            names=["AGENT_MESSAGE"],
        ),
        AgentExecutionLogger(workspace) as log,
    ):
        for _ in range(40):
            log.log_agent_reply("a", repr(time.time()))
            time.sleep(0.02)
        assert until(lambda: len(delays) == 40)
    assert sorted(delays)[20] < 0.05


def test_any_cursor_goes_on_behind_its_event(workspace: Workspace) -> None:
    """Whatever the place, also between a thought and its message: what follows is the same rest."""
    write(workspace, said("1", reasoning="r"), said("2"), said("3", reasoning="r"))
    write(workspace, said("4", reasoning="r"))
    every = from_beginning(workspace, ends=2)
    for number, event in enumerate(every[:-1], 1):
        ends = sum(later["event"] == "RUN_ENDED" for later in every[number:])
        rest = from_beginning(workspace, event["cursor"], ends=ends)
        assert rest == every[number:], event


@settings(max_examples=15)
@given(
    runs=st.lists(st.lists(st.booleans(), max_size=6), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 40), max_size=3),
)
def test_a_listener_that_stops_and_goes_on_has_everything_once(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[bool]], cuts: list[int]
) -> None:
    """However runs interleave and wherever a listener stops, it ends with what one without a stop has."""
    path = tmp_path_factory.mktemp("feed") / "x.db"
    with open_workspace(path) as workspace:
        ids = [workspace.runs.create(str(number)).id for number, _ in enumerate(runs)]
        for turn in range(max(map(len, runs))):
            for run_id, events in zip(ids, runs, strict=True):
                if turn < len(events):
                    message = said(f"{turn}", reasoning="r" if events[turn] else None)
                    workspace.log.append(workspace.runs.key(run_id), [message])
        for run_id in ids:
            workspace.runs.finish(run_id)
        ends = sum(bool(events) for events in runs)
        whole = from_beginning(workspace, ends=ends) if ends else []
        parts: list[FeedEvent] = []
        for cut in [*cuts, len(whole)]:
            after: int | str = parts[-1]["cursor"] if parts else 0
            for _, event in zip(range(min(cut, len(whole) - len(parts))),
                                workspace.events.stream(after=after), strict=False):  # fmt: skip
                parts.append(event)
        assert parts == whole


def test_only_what_comes_after_subscribing(workspace: Workspace) -> None:
    """Without a place a listener hears nothing old, but the end of a run that had begun."""
    going = write(workspace, said("old"), end=False)
    write(workspace, said("older"))
    found: list[FeedEvent] = []
    with workspace.events.subscribe(found.append):
        workspace.log.append(workspace.runs.key(going), [said("new")])
        workspace.runs.finish(going)
        assert until(lambda: bool(found) and found[-1]["event"] == "RUN_ENDED")
    assert [event["event"] for event in found] == ["AGENT_MESSAGE", "RUN_ENDED"]


def test_one_run_alone_ends_the_subscription(workspace: Workspace) -> None:
    """A subscription to one run hears only that run, also by the beginning of its id, and ends with it."""
    first = write(workspace, said("1"), end=False)
    found: list[FeedEvent] = []
    subscription = workspace.events.subscribe(found.append, run=first, after=0)
    other = write(workspace, said("2"))
    assert not subscription.wait(0.2)
    workspace.runs.finish(first)
    assert subscription.wait(10)
    assert {event["data"]["run_id"] for event in found} == {first} != {other}
    assert found[-1]["event"] == "RUN_ENDED"
    assert heard(workspace, run=first, after=found[-1]["cursor"]) == []


def test_a_run_without_events_ends_too(workspace: Workspace) -> None:
    """A run that wrote nothing still ends who follows it."""
    assert [event["event"] for event in heard(workspace, run=write(workspace))] == ["RUN_ENDED"]


def test_a_run_that_goes_on_is_heard_again(workspace: Workspace) -> None:
    """A run taken up again tells its further events and then its end once more."""
    run = write(workspace, said("1"))
    found: list[FeedEvent] = []
    with workspace.events.subscribe(found.append):
        workspace.runs.reopen(run)
        workspace.log.append(workspace.runs.key(run), [said("2")])
        workspace.runs.finish(run)
        assert until(lambda: len(found) == 2)
    assert [event["event"] for event in found] == ["AGENT_MESSAGE", "RUN_ENDED"]


def test_more_than_a_window_is_read_in_order(workspace: Workspace) -> None:
    """A listener that is far behind gets everything, windows one after the other."""
    run = write(workspace, *(said(str(number)) for number in range(2 * WINDOW + 7)))
    texts = [
        event["data"]["content"] for event in heard(workspace, run=run, after=0, names=["AGENT_MESSAGE"])
    ]
    assert texts == [str(number) for number in range(2 * WINDOW + 7)]


def test_a_failing_callback_is_counted_and_told(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a callback stops nothing; it is counted, and reported once at the end."""
    seen: list[str] = []

    def fail(event: FeedEvent) -> None:
        seen.append(event["event"])
        raise ValueError("of the host")

    with caplog.at_level(logging.WARNING, "skillsmith.feed"):
        subscription = workspace.events.subscribe(fail, run=write(workspace, said("1"), said("2")), after=0)
        assert subscription.wait(10)
        subscription.close()
    assert seen == ["RUN_STARTED", "AGENT_MESSAGE", "AGENT_MESSAGE", "RUN_ENDED"]
    assert subscription.failures == 4
    assert subscription.first_failure == "RUN_STARTED: ValueError: of the host"
    assert len(caplog.records) == 1


def test_closing_ends_the_thread_and_the_cursor_goes_on(workspace: Workspace) -> None:
    """After close the callback is silent, its thread is gone, and the cursor takes up where it stopped."""
    first: list[FeedEvent] = []
    subscription = workspace.events.subscribe(first.append)
    write(workspace, said("1"))
    assert until(lambda: len(first) == 3)
    subscription.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "skillsmith-feed"]
    write(workspace, said("2"))
    second: list[FeedEvent] = []
    with workspace.events.subscribe(second.append, after=subscription.cursor):
        assert until(lambda: len(second) == 3)
    assert len(first) == 3
    assert second[1]["data"]["content"] == "2"


def test_a_callback_may_close_its_own_subscription(workspace: Workspace) -> None:
    """Closing from inside the callback works, and nothing more is heard."""
    found: list[FeedEvent] = []
    ready = threading.Event()

    def once(event: FeedEvent) -> None:
        found.append(event)
        ready.wait(10)
        subscription.close()

    run = write(workspace, said("1"), said("2"))
    subscription = workspace.events.subscribe(once, run=run, after=0)
    ready.set()
    assert subscription.wait(10)
    assert len(found) == 1


def test_closing_the_workspace_ends_its_listeners(tmp_path: Path) -> None:
    """A closed workspace leaves no thread behind."""
    with open_workspace(tmp_path / "x.db") as workspace:
        subscription = workspace.events.subscribe(print)
    assert subscription.wait(0)


def test_a_slow_listener_loses_nothing(workspace: Workspace) -> None:
    """While a callback is slow, events wait in the file; it gets all of them."""
    found: list[FeedEvent] = []

    def slow(event: FeedEvent) -> None:
        time.sleep(0.002)
        found.append(event)

    with workspace.events.subscribe(slow, names=["AGENT_MESSAGE"]), AgentExecutionLogger(workspace) as log:
        for number in range(200):
            log.log_agent_reply("a", str(number))
        assert until(lambda: len(found) == 200)
    assert [event["data"]["content"] for event in found] == [str(number) for number in range(200)]


def test_an_async_iterator_hears_the_same(workspace: Workspace) -> None:
    """``async for`` yields the events of a run that another thread writes, while the loop goes on."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    async def listen(run: str) -> list[str]:
        beat = asyncio.create_task(tick())
        found = [event["event"] async for event in workspace.events.astream(run=run, after=0)]
        beat.cancel()
        return found

    with AgentExecutionLogger(workspace) as log:
        run = log.run_id
        log.log_agent_start("a")
        timer = threading.Timer(0.2, log.close)
        timer.start()
        assert asyncio.run(listen(run)) == ["RUN_STARTED", "AGENT_START", "RUN_ENDED"]
        timer.join()
    assert ticks > 10


def test_breaking_off_an_async_iterator_leaves_nothing_behind(workspace: Workspace) -> None:
    """Who leaves an ``async for`` early leaves no thread."""

    async def first() -> FeedEvent:
        stream = workspace.events.astream(after=0)
        try:
            return await anext(stream)
        finally:
            await stream.aclose()  # type: ignore[attr-defined]  # an async generator

    write(workspace, said("1"))
    assert asyncio.run(first())["event"] == "RUN_STARTED"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skillsmith-feed")]


def test_wishes_that_make_no_sense(workspace: Workspace) -> None:
    """An unknown name, run or place, and a file in memory, are errors at once."""
    with pytest.raises(UsageError, match="no event 'AGENT_STRAT'"):
        workspace.events.subscribe(print, names=["AGENT_STRAT"])
    with pytest.raises(NotFoundError):
        workspace.events.subscribe(print, run="0000")
    for place in ("x", "-3", "1:x", "1+y"):
        with pytest.raises(UsageError, match="no place"):
            workspace.events.subscribe(print, after=place)
    with pytest.raises(UsageError, match="in memory"):
        Feed(":memory:").subscribe(print)


@given(st.integers(0, 10**12), st.integers(0, 3), st.frozensets(st.integers(1, 10**6), max_size=4))
def test_a_cursor_is_read_as_it_was_written(event: int, part: int, runs: frozenset[int]) -> None:
    """A place survives being text."""
    place = Place(event, part, runs)
    assert Place.read(place.cursor()) == place


def test_a_damaged_file_ends_the_subscription_with_a_reason(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read is said once, not repeated for ever."""
    run = write(workspace, said("x" * 5000))
    workspace.db.execute("DELETE FROM blobs")
    with caplog.at_level(logging.WARNING, "skillsmith.feed"):
        subscription = workspace.events.subscribe(print, run=run, after=0)
        assert subscription.wait(10)
    assert isinstance(subscription.error, StorageError)
    assert len(caplog.records) == 1


def test_search_and_counts_know_skill_events(db: Database, runs: RunRepository) -> None:
    """Events of skills are counted, searchable and read back like all others."""
    run = runs.create("")
    event = Event(kind="skill", agent="skillsmith", content="zebra plot fits",
                  data={"event": "SKILL_MATCHED", "confidence": 0.8})  # fmt: skip
    EventLog(db).append(runs.key(run.id), [event])
    assert runs.finish(run.id).events == 1
    assert [found.id for found in runs.list(search="zebra")] == [run.id]
    assert [(found.kind, found.data) for found in runs.events(run.id, kind="skill")] == [
        ("skill", event.data)
    ]
    assert db.scalar("SELECT kind FROM messages WHERE run_id = ?", (run.id,)) == "skill"
