"""Searching the events of all runs: newest first, or best first among the newest."""

from __future__ import annotations

import pytest

from skillsmith import events as events_module
from skillsmith.db import Database
from skillsmith.events import EventLog
from skillsmith.models import Event
from skillsmith.runs import RunRepository


def test_all_words_are_found_newest_or_best_first(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newest first by default; ranked, the event that says it most comes first, among the newest only."""
    runs, log = RunRepository(db), EventLog(db)
    key = runs.key(runs.create("t").id)
    texts = ("timeout timeout timeout", "a timeout and many other words that say something else", "nothing")
    log.append(key, [Event(kind="message", role="user", content=text) for text in texts])
    assert [event.seq for _, event in log.search("timeout")] == [2, 1]
    assert [event.seq for _, event in log.search("timeout", ranked=True)] == [1, 2]
    assert [(run, event.seq) for run, event in log.search("words timeout")] == [(key, 2)]
    assert [event.seq for _, event in log.search("timeout", limit=1)] == [2]
    assert log.search("…") == log.search("absent") == []
    monkeypatch.setattr(events_module, "RANKED_HITS", 1)
    assert [event.seq for _, event in log.search("timeout", ranked=True)] == [2]
