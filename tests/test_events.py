from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.events import (
    INLINE_CHARS,
    EventLog,
    dump_json,
    fts_query,
    load_json,
    parse_json,
    storable,
)
from skillsmith.models import CodeUse, Event, EventKind, ToolUse
from skillsmith.runs import RunRepository

ANY_TEXT = st.text(st.characters(), max_size=20)
"""Also NUL and lone surrogates, which no log should hold and some do."""

LONG = st.integers(INLINE_CHARS - 2, INLINE_CHARS + 2).map(lambda length: "ä" * length)
TEXT = st.none() | ANY_TEXT | LONG
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
COUNTS = st.none() | st.integers(0, 10**9)
TIMES = st.none() | st.floats(0, 4e9)
DATA = st.none() | st.dictionaries(
    st.sampled_from(["tool", "code", "record_id", "data", "x", "\ud800"]), JSON, min_size=1, max_size=3
)


def parsed(text: str | None) -> Any:
    """Return the JSON of a text, or None."""
    try:
        return json.loads(text, parse_constant=lambda _: 1 / 0) if text else None
    except (ValueError, ZeroDivisionError):
        return None


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Return any event that an importer or a capture may hand over."""
    kind: EventKind = draw(
        st.sampled_from(["message", "tool_call", "tool_result", "code", "code_result", "raw"])
    )
    tool = code = content = None
    if kind == "tool_call":
        arguments = draw(TEXT | JSON.map(json.dumps))
        stored = storable(arguments)
        tool = ToolUse(name=draw(ANY_TEXT), call_id=draw(TEXT), arguments=arguments, parsed=parsed(stored))
    elif kind == "tool_result":
        tool = ToolUse(name=draw(ANY_TEXT), call_id=draw(TEXT), result=draw(TEXT), error=draw(TEXT))
    elif kind == "code":
        code = CodeUse(language=draw(ANY_TEXT), text=draw(TEXT), call_id=draw(TEXT))
    elif kind == "code_result":
        code = CodeUse(
            call_id=draw(TEXT), exit_code=draw(st.none() | st.integers(-9, 255)), output=draw(TEXT)
        )
    else:
        content = draw(TEXT)
    return Event(
        kind=kind, at=draw(TIMES), step=draw(st.integers(1, 9)), role=draw(TEXT), agent=draw(TEXT),
        recipient=draw(TEXT), content=content, reasoning=draw(TEXT), tool=tool, code=code, data=draw(DATA),
        duration_seconds=draw(TIMES), tokens_in=draw(COUNTS), tokens_out=draw(COUNTS), cost_usd=draw(TIMES),
        record_id=draw(st.none() | ANY_TEXT.filter(bool)),
    )  # fmt: skip


def clean(value: Any) -> Any:
    """Return a value with lone surrogates as the file keeps them."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list) else value


def as_stored(event: Event, seq: int) -> Event:
    """Return what must come back of an event."""
    fields = ("role", "agent", "recipient", "content", "reasoning", "data", "record_id")
    plain = {name: clean(getattr(event, name)) for name in fields}
    tool, code = event.tool, event.code
    if tool:
        names = ("name", "call_id", "arguments", "result", "error")
        tool = replace(tool, **{name: clean(getattr(tool, name)) for name in names})
    if code:
        code = replace(
            code, **{name: clean(getattr(code, name)) for name in ("language", "text", "call_id", "output")}
        )
    return replace(event, seq=seq, tool=tool, code=code, **plain)


@pytest.fixture
def log(db: Database) -> EventLog:
    """The events of that file."""
    return EventLog(db)


@settings(max_examples=80)
@given(st.lists(events(), max_size=4))
def test_events_come_back_as_they_were(originals: list[Event]) -> None:
    """Any text, huge numbers, keys that collide with ours, long content: all of it, in order."""
    database = Database(":memory:")
    run = RunRepository(database).create("task")
    log, pk = EventLog(database), RunRepository(database).key(run.id)
    assert log.append(pk, originals) == len(originals)
    expected = [as_stored(event, seq) for seq, event in enumerate(originals, 1)]
    assert list(log.replay(pk, window=2)) == expected
    assert log.index_pending() == len(originals)
    assert len(database.all("SELECT * FROM messages")) == len(originals)


@given(JSON)
def test_json_comes_back_from_a_column(value: Any) -> None:
    """Integers of any size stay integers; SQLite can read what was written."""
    text = dump_json(value)
    assert load_json(text) == clean(value)
    assert sqlite3.connect(":memory:").execute("SELECT json_valid(?)", (text,)).fetchone()[0] == 1


def cyclic() -> dict[str, Any]:
    """Return an object that holds itself."""
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: 2, None: 3, (1, 2): 4}, {"1": 2, "None": 3, "(1, 2)": 4}),
        ({"a": {1}, "b": b"x"}, {"a": "{1}", "b": "b'x'"}),
        ({"a": math.nan, "b": 10**30, "c": [math.inf]}, {"a": None, "b": 10**30, "c": [None]}),
        ((1, (2,)), [1, [2]]),
        ({"d": Path("x"), "n": 10**30}, {"d": "x", "n": 10**30}),
        (cyclic(), {"a": 1, "self": "…"}),
    ],
)
def test_what_json_cannot_hold_becomes_its_text(value: Any, expected: Any) -> None:
    """Recording never fails on a value of the user's."""
    assert load_json(dump_json(value)) == expected


def test_very_deep_values_are_cut_not_fatal() -> None:
    """Nesting beyond any use ends in an ellipsis."""
    value: Any = "end"
    for _ in range(5000):
        value = [value]
    text = dump_json({"deep": value})
    assert "…" in text
    assert set(load_json(text)) == {"deep"}


def test_json_of_others_is_read_strictly_with_integers_of_any_size() -> None:
    """An id of thirty digits is not rounded; what is not JSON is refused."""
    assert parse_json("123456789012345678901234567890") == 123456789012345678901234567890
    assert parse_json('["1234567890123456789012", 1.5]') == ["1234567890123456789012", 1.5]
    for text in ("NaN", '{"a": Infinity, "b": 12345678901234567890123}', "x", ""):
        with pytest.raises(ValueError):  # noqa: PT011  (any of its kinds)
            parse_json(text)


def test_half_an_emoji_becomes_the_replacement_character() -> None:
    """Whole ones stay, also when they came in two halves."""
    assert storable("a\ud83d") == "a\ufffd"
    assert storable("\ud83d\ude00") == "😀"
    assert storable("größe") == "größe"
    assert storable(None) is None


def test_a_count_beyond_sense_is_not_known(log: EventLog, runs: RunRepository) -> None:
    """A damaged log's token count does not stop its import."""
    pk = runs.key(runs.create("t").id)
    log.append(pk, [Event(kind="message", tokens_in=10**30, tokens_out=5)])
    (event,) = log.replay(pk)
    assert (event.tokens_in, event.tokens_out) == (None, 5)


def test_sequence_numbers_go_on_and_replay_starts_anywhere(log: EventLog, runs: RunRepository) -> None:
    """Numbers count from 1 without gaps over several appends, for each run by itself."""
    one, other = (runs.key(runs.create("t").id) for _ in range(2))
    assert log.append(one, [Event(kind="message")] * 3) == 3
    assert log.append(other, [Event(kind="message")]) == 1
    assert log.append(one, [Event(kind="message")] * 2) == 5
    assert log.append(one, []) == 5
    assert [event.seq for event in log.replay(one, after=2, window=1)] == [3, 4, 5]
    assert [event.seq for event in log.replay(one, after=9)] == []


def test_replay_filters(log: EventLog, runs: RunRepository) -> None:
    """By kind, agent and step, alone and together."""
    pk = runs.key(runs.create("t").id)
    kinds: list[EventKind] = ["message", "code", "message"]
    log.append(pk, [Event(kind=kind, agent="ab"[n % 2], step=n + 1) for n, kind in enumerate(kinds)])
    assert [event.seq for event in log.replay(pk, kind="message")] == [1, 3]
    assert [event.seq for event in log.replay(pk, agent="b")] == [2]
    assert [event.seq for event in log.replay(pk, kind="message", step=3, agent="a")] == [3]


def test_long_content_is_stored_once(db: Database, log: EventLog, runs: RunRepository) -> None:
    """A system prompt that every turn repeats is one blob, and reads back in each event."""
    pk = runs.key(runs.create("t").id)
    prompt = "You are helpful. " * 1000
    log.append(pk, [Event(kind="message", content=prompt)] * 5)
    assert db.scalar("SELECT count(*) FROM blobs") == 1
    assert {event.content for event in log.replay(pk)} == {prompt}


def test_a_run_is_followed_live_to_its_end(tmp_path: Path) -> None:
    """Each event arrives once and in order while another connection writes; the end of the run ends it."""
    path = tmp_path / "a.db"
    reader = Database(path)
    run = RunRepository(reader).create("t")
    pk = RunRepository(reader).key(run.id)

    def write() -> None:
        writer = Database(path)
        for number in range(20):
            EventLog(writer).append(pk, [Event(kind="message", content=str(number))])
            time.sleep(0.002)
        RunRepository(writer).finish(run.id)

    thread = threading.Thread(target=write)
    thread.start()
    seen = [event.content for event in EventLog(reader).follow(pk, poll_seconds=0.001)]
    thread.join()
    assert seen == [str(number) for number in range(20)]


def test_words_find_their_runs(log: EventLog, runs: RunRepository) -> None:
    """In messages, arguments, code, output and reasoning; all words must be there; newest run first."""
    keys = [runs.key(runs.create("t").id) for _ in range(3)]
    log.append(
        keys[0], [Event(kind="message", content="Plot the power spectrum", reasoning="because cosmology")]
    )
    log.append(
        keys[1], [Event(kind="tool_call", tool=ToolUse(name="load_spectrum", arguments='{"x": "mass"}'))]
    )
    log.append(keys[2], [Event(kind="code", code=CodeUse(text="df['column'].plot()"))])
    assert log.runs_mentioning("spectrum") == [keys[1], keys[0]]
    assert log.runs_mentioning("power spectrum") == [keys[0]]
    assert log.runs_mentioning("cosmology") == [keys[0]]
    assert log.runs_mentioning("mass") == [keys[1]]
    assert log.runs_mentioning("plots column") == [keys[2]]
    assert log.runs_mentioning("absent") == log.runs_mentioning("!?") == []


def test_full_text_goes_on_where_it_stopped(db: Database, log: EventLog, runs: RunRepository) -> None:
    """The watermark moves with what is indexed, nothing is lost or doubled, and a rebuild restores."""
    pk = runs.key(runs.create("t").id)
    log.append(pk, [Event(kind="message", content="first")])
    assert log.index_pending() == 1
    assert log.index_pending() == 0
    log.append(pk, [Event(kind="message", content="second")])
    assert log.runs_mentioning("second") == [pk]
    db.execute("INSERT INTO events_fts (events_fts) VALUES ('delete-all')")
    assert log.runs_mentioning("second") == []
    assert log.reindex() == 2
    assert log.runs_mentioning("first") == [pk]


@given(st.text(st.characters()))
def test_any_text_makes_a_valid_query(text: str) -> None:
    """Quotes and operators of the query language are only words."""
    log = EventLog(Database(":memory:"))
    assert log.runs_mentioning(text) == []
    assert '""' not in fts_query(text)


def test_the_views_show_the_events(db: Database, log: EventLog, runs: RunRepository) -> None:
    """Anyone with the sqlite3 shell sees messages, tool calls, code and transitions under plain names."""
    run = runs.create("t")
    log.append(
        runs.key(run.id),
        [
            Event(kind="message", agent="planner", recipient="engineer", role="assistant", content="Do it"),
            Event(
                kind="tool_call", agent="engineer", tool=ToolUse(name="load", call_id="c1", arguments="{}")
            ),
            Event(kind="code", code=CodeUse(text="print(1)")),
            Event(kind="code_result", code=CodeUse(exit_code=0, output="1\n")),
            Event(kind="transition", agent="planner", recipient="engineer", content="next speaker"),
            Event(kind="message", content="x" * 5000),
        ],
    )
    rows = db.all("SELECT * FROM messages ORDER BY seq")
    assert (rows[0]["run_id"], rows[0]["sender"], rows[0]["agent_role"]) == (run.id, "planner", "planner")
    assert rows[0]["content"] == "Do it"
    assert json.loads(rows[1]["tool_calls"]) == {"name": "load", "call_id": "c1"}
    assert rows[2]["code_generated"] == "print(1)"
    assert json.loads(rows[3]["execution_result"])["exit_code"] == 0
    assert rows[5]["content"] == "x" * 5000
    (row,) = db.all("SELECT * FROM agent_transitions")
    assert (row["from_agent"], row["to_agent"], row["reason"]) == ("planner", "engineer", "next speaker")


def test_a_number_that_is_taken_is_not_given_twice(db: Database) -> None:
    """Whoever goes by an outdated last number gets the right ones, for one event and for many."""
    log, runs = EventLog(db), RunRepository(db)
    run = runs.key(runs.create("t").id)
    for count in (1, 3, 130):
        outdated = log.append(run, [])
        log.append(run, [Event(kind="message", content="elsewhere")] * 2)
        last = log.append(run, [Event(kind="message", content="here")] * count, last=outdated)
        assert last == outdated + 2 + count
    assert [event.seq for event in log.replay(run)] == list(range(1, 141))
