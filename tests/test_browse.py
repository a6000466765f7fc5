"""Tests for what a browser asks of the file."""

from __future__ import annotations

import pytest

from skillsmith.browse import Browser, RunFilter, Wanted
from skillsmith.db import Database
from skillsmith.errors import NotFoundError
from skillsmith.events import EventLog
from skillsmith.models import CodeUse, Event, ToolUse
from skillsmith.runs import RunRepository


@pytest.fixture
def run(runs: RunRepository, db: Database) -> int:
    """A run with an event of most kinds; returns its primary key."""
    events = (
        Event(kind="message", role="user", agent="user", content="Find the 50% refund", at=10.0),
        Event(kind="tool_call", agent="ann", at=11.0, step=2,
              tool=ToolUse(name="look_up", call_id="1", arguments='{"id": 7}')),
        Event(kind="tool_result", agent="ann", at=14.0, duration_seconds=2.0, step=2,
              tool=ToolUse(name="look_up", call_id="1", error="no such id")),
        Event(kind="code", agent="bob", at=15.0, step=1, code=CodeUse(text="x = 1\n" * 4000)),
        Event(kind="code_result", agent="bob", at=16.0, step=1, code=CodeUse(exit_code=3, output="boom")),
        Event(kind="code_result", agent="bob", at=17.0, step=1, code=CodeUse(exit_code=0, output="zebra")),
    )  # fmt: skip
    created = runs.create("Refund the customer")
    pk = runs.key(created.id)
    EventLog(db).append(pk, events)
    runs.finish(created.id, outcome="success")
    return pk


def test_a_page_of_lines_holds_beginnings(db: Database, run: int) -> None:
    """A line has the beginning of its text, its name, what went wrong, and the idle time after it."""
    lines = Browser(db).lines(run, 2, 3)
    assert [line.seq for line in lines] == [2, 3, 4]
    assert (lines[0].name, lines[0].idle_seconds) == ("look_up", 1.0)
    assert (lines[1].error, lines[1].duration_seconds) == ("no such id", 2.0)
    assert lines[2].text.startswith("x = 1\nx = 1")
    assert len(lines[2].text) == 240


def test_the_whole_event_is_read_when_it_is_asked_for(db: Database, run: int) -> None:
    """A long text in a blob comes back whole; an event that is not there is an error."""
    event = Browser(db).event(run, 4)
    assert event.code is not None
    assert event.code.text == "x = 1\n" * 4000
    with pytest.raises(NotFoundError):
        Browser(db).event(run, 99)


@pytest.mark.parametrize(
    ("wanted", "start", "backwards", "found"),
    [
        (Wanted(errors=True), 0, False, 3),
        (Wanted(errors=True), 3, False, 5),
        (Wanted(errors=True), 5, False, None),
        (Wanted(errors=True), 5, True, 3),
        (Wanted(kind="code_result"), 0, False, 5),
        (Wanted(agent="bob"), 6, True, 5),
        (Wanted(text="LOOK_up"), 0, False, 2),
        (Wanted(text="50%"), 0, False, 1),
        (Wanted(text="zeb"), 0, False, 6),
        (Wanted(text="nowhere"), 0, False, None),
    ],
)
def test_the_nearest_event_like_that(
    db: Database, run: int, wanted: Wanted, start: int, *, backwards: bool, found: int | None
) -> None:
    """The nearest event of a kind, of an agent, with words or that went wrong is found in both directions."""
    assert Browser(db).find(run, wanted, start=start, backwards=backwards) == found


def test_words_in_a_long_text_are_found(db: Database, run: int) -> None:
    """Text that lies in a blob is searched through the full text."""
    assert Browser(db).find(run, Wanted(text="x 1"), start=0) == 4


def test_where_steps_begin(db: Database, run: int) -> None:
    """Looking through a run in parts finds the same beginnings as at once, and the longest duration."""
    browser = Browser(db)
    whole = browser.stretch(run, after=0, count=100)
    assert (whole.last, whole.starts, whole.longest_seconds) == (6, ((1, 1), (2, 2), (4, 1)), 2.0)
    parts = [browser.stretch(run, after=after, count=2) for after in (0, 2, 4)]
    assert [start for part in parts for start in part.starts] == list(whole.starts)
    assert browser.stretch(run, after=6, count=10).last == 6


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RunFilter(), True),
        (RunFilter(outcome="succ"), True),
        (RunFilter(outcome="failure"), False),
        (RunFilter(agent="bo"), True),
        (RunFilter(agent="carl"), False),
        (RunFilter(source="cap", status="completed"), True),
        (RunFilter(words="refund cust"), True),
        (RunFilter(words="zebr"), True),
        (RunFilter(words="zebra crossing"), False),
        (RunFilter(words="%"), False),
        (RunFilter(words="   "), True),
    ],
)
def test_runs_are_filtered_as_one_types(db: Database, run: int, wanted: RunFilter, *, found: bool) -> None:
    """Words, the last unfinished, and the beginnings of outcome, source and status narrow the runs."""
    browser = Browser(db)
    keys = browser.run_keys(wanted)
    assert list(keys) == ([run] if found else [])
    assert [one.task for one in browser.runs(keys) if one] == ["Refund the customer"] * found


def test_runs_come_newest_first_and_gaps_stay(db: Database, run: int, runs: RunRepository) -> None:
    """Keys are newest first; a key whose run is gone gives None in its place."""
    later = runs.key(runs.create("Another").id)
    browser = Browser(db)
    assert list(browser.run_keys(RunFilter())) == [later, run]
    assert [one and one.task for one in browser.runs([later, 99, run])] == [
        "Another",
        None,
        "Refund the customer",
    ]
