from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlean

from skillsmith import db as db_module
from skillsmith.db import Database
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.migrations import MIGRATIONS, SCHEMA_VERSION, statements
from skillsmith.schema import APPLICATION_ID, SCHEMA


def structure(connection: Any) -> dict[str, str]:
    """Return everything a database consists of, without comments and spacing."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    plain = {row[0]: re.sub(r"--[^\n]*", "", row[1]) for row in rows}
    return {
        name: re.sub(r"\s+", " ", sql).strip()
        for name, sql in plain.items()
        if "_sqlite_migrations" not in sql
    }


def test_migrating_an_empty_file_gives_the_schema_as_it_is_written(db: Database) -> None:
    """Whoever reads the schema text reads what every user's file looks like."""
    assert structure(db.conn) == structure(_fresh())


def test_the_schema_splits_into_whole_statements() -> None:
    """Each statement creates one thing, and none is cut by a semicolon in a comment."""
    parts = statements(SCHEMA)
    assert all(sqlite3.complete_statement(part + ";") for part in parts)
    assert len(parts) == len(re.findall(r"^CREATE ", SCHEMA, re.MULTILINE))


def test_migrations_have_distinct_names_in_order() -> None:
    """Each is recorded by name; the version counts them."""
    names = [name for name, _ in MIGRATIONS]
    assert names == sorted(set(names))
    assert len(names) == SCHEMA_VERSION


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All migrations are one transaction; the next opening does the rest."""
    path = tmp_path / "a.db"
    Database(path).close()

    def half(db: Any) -> None:
        db.conn.execute("CREATE TABLE half (x)")
        raise ValueError("stop")

    monkeypatch.setattr(db_module, "MIGRATIONS", (*MIGRATIONS, ("m999_half", half)))
    monkeypatch.setattr(db_module, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    with pytest.raises(ValueError, match="stop"):
        Database(path)
    left = sqlite3.connect(path)
    assert "half" not in structure(left)
    assert left.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION

    def whole(db: Any) -> None:
        db.conn.execute("CREATE TABLE whole (x)")

    monkeypatch.setattr(db_module, "MIGRATIONS", (*MIGRATIONS, ("m999_half", whole)))
    upgraded = Database(path)
    assert "whole" in structure(upgraded.conn)
    assert upgraded.scalar("PRAGMA user_version") == SCHEMA_VERSION + 1


OLD_ROWS = """
INSERT INTO executions (id, skill_name, version, started_at, success, adapted)
VALUES ('0190', 'plot', 1, 1, 1, 1);
INSERT INTO adaptations (execution, ordinal, type, target, before, after, reason)
VALUES (1, 1, 'retry', 'n1', '1', '2', 'an earlier try failed');
PRAGMA user_version = 1;
"""


def test_a_file_of_the_first_release_opens_with_all_it_holds(tmp_path: Path) -> None:
    """It gets the schema of today, its rows stay, and what it could not say yet is empty."""
    path = tmp_path / "old.db"
    old = sqlean.connect(str(path))
    old.executescript((Path(__file__).parent / "fixtures" / "schema_1.sql").read_text(encoding="utf-8"))
    old.executescript(f"PRAGMA application_id = {APPLICATION_ID};{OLD_ROWS}")
    old.execute("CREATE TABLE _sqlite_migrations (migration_set TEXT, name TEXT, applied_at TEXT)")
    old.execute("INSERT INTO _sqlite_migrations VALUES ('skillsmith', 'm001_initial', '2026-01-01')")
    old.commit()
    old.close()
    db = Database(path)
    assert structure(db.conn) == structure(_fresh())
    assert db.scalar("PRAGMA user_version") == SCHEMA_VERSION
    (adaptation,) = ExecutionLedger(db).get("0190").adaptations
    assert (adaptation.type, adaptation.after, adaptation.evidence) == ("retry", 2, {})
    db.close()


def _fresh() -> Any:
    fresh = sqlean.connect(":memory:")
    fresh.executescript(SCHEMA)
    return fresh


SPECIFIED = (
    "agent_role reasoning tool_calls code_generated execution_result duration_seconds agent_transitions"
    " intermediate_artifacts context_snapshots created_by_agent version parent_file_id task_pattern"
    " input_schema output_schema source_run_id source_step_range dag_template agent_sequence"
    " context_requirements success_count failure_count avg_execution_time_seconds avg_cost_usd last_used_at"
    " is_public adapted adaptation_reason context_diff artifact_type is_template template_variables checksum"
)


def test_every_column_of_the_specification_has_its_place(db: Database) -> None:
    """Tables and views together answer to all the specified names."""
    names = {
        column[0]
        for table in db.all("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        for column in db.all("SELECT name FROM pragma_table_info(?)", (table[0],))
    }
    names |= {row[0] for row in db.all("SELECT name FROM sqlite_master")}
    names |= {row[0] for row in db.all("SELECT name FROM pragma_table_xinfo('skill_artifacts')")}
    assert set(SPECIFIED.split()) <= names


def test_every_index_and_table_says_what_it_is_for() -> None:
    """A comment stands above each index and beside or above each table that needs one."""
    lines = SCHEMA.splitlines()
    for number, line in enumerate(lines):
        if " INDEX " in line:
            assert lines[number - 1].startswith("-- "), line
