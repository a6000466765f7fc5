"""What an execution does is stored moment by moment, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillsmith.db import Database
from skillsmith.library.execution.execution_log import ExecutionLog
from skillsmith.runs import RunRepository


def kinds(db: Database, run_id: str) -> list[str]:
    """Return the kinds of a run's stored events."""
    return [event.kind for event in RunRepository(db).events(run_id)]


def break_off(log: ExecutionLog) -> None:
    """Begin a moment that is interrupted."""
    with log.together():
        log.context({"n": 1})
        raise KeyboardInterrupt


def test_what_belongs_together_is_stored_together(tmp_path: Path) -> None:
    """Events wait for the end of their moment; what was put off is written with them."""
    db = Database(tmp_path / "skills.db")
    log, written = ExecutionLog(db), []
    with log.together():
        run = log.begin("do it", work_dir=None, metadata={})
    log.context({"n": 1})
    log.later(lambda: written.append(kinds(db, run.id)))
    assert kinds(db, run.id) == ["message"]
    assert log.position == 2
    with log.together(), log.together():
        log.skill("SKILL_MATCHED", {})
    assert kinds(db, run.id) == ["message", "context", "skill"]
    assert written == [["message", "context"]]


def test_what_could_not_be_stored_still_waits(tmp_path: Path) -> None:
    """When a moment breaks off nothing of it is stored, and the next one stores all of it, once."""
    db = Database(tmp_path / "skills.db")
    log = ExecutionLog(db)
    with log.together():
        run = log.begin("do it", work_dir=None, metadata={})
    with pytest.raises(KeyboardInterrupt):
        break_off(log)
    assert kinds(db, run.id) == ["message"]
    log.finish(status="interrupted", outcome="unknown", reason="interrupted")
    assert kinds(db, run.id) == ["message", "context"]
    again = ExecutionLog(db)
    again.reopen(run.id)
    again.context({"n": 2})
    again.finish(status="completed", outcome="success", reason="done")
    assert [event.seq for event in RunRepository(db).events(run.id)] == [1, 2, 3]
