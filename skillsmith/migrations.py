"""The ordered migrations that lead from a file of any release to the schema of today.

They never import our own living code but the schema's text: what else they need stands in them.
"""

from __future__ import annotations

import re
from typing import Any

from skillsmith.schema import LEARNING, SCHEMA


def _m001_initial(db: Any) -> None:
    for statement in statements(SCHEMA):
        db.conn.execute(statement)


def statements(script: str) -> list[str]:
    """Split a script into statements, each ending with a semicolon at the end of a line.

    ``executescript`` would commit the transaction that a migration runs in.
    """
    return [part.strip() for part in re.split(r";[ \t]*\n", script) if part.strip()]


def _m002_evidence(db: Any) -> None:
    """Give adaptations their evidence; a new file has the column already."""
    columns = {row[1] for row in db.conn.execute("PRAGMA table_info(adaptations)")}
    if "evidence" not in columns:
        db.conn.execute("ALTER TABLE adaptations ADD COLUMN evidence TEXT NOT NULL DEFAULT '{}'")


def _m003_learning(db: Any) -> None:
    """Give versions their reason and lineage, and learning its tables; a new file has them already."""
    columns = {row[1] for row in db.conn.execute("PRAGMA table_info(skill_versions)")}
    if "lineage" in columns:
        return
    db.conn.execute("ALTER TABLE skill_versions ADD COLUMN reason TEXT")
    db.conn.execute("ALTER TABLE skill_versions ADD COLUMN lineage TEXT NOT NULL DEFAULT '{}'")
    for statement in statements(LEARNING):
        db.conn.execute(statement)


MIGRATIONS = (
    ("m001_initial", _m001_initial),
    ("m002_evidence", _m002_evidence),
    ("m003_learning", _m003_learning),
)
"""Name and function in order; the function gets a ``sqlite_utils.Database``."""

SCHEMA_VERSION = len(MIGRATIONS)
"""Kept in ``PRAGMA user_version``, so that an up-to-date file opens without loading sqlite_utils."""
