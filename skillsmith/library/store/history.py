"""What was done to skills, by whom and why; and how each version has done, counted from its executions.

Rows are written in the transaction of the change they tell of, so history and library never disagree. They
stay when a version, or the whole skill, is deleted: a number that once stood for a version never stands for
another one that is made here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from skillsmith.db import Database, Row
from skillsmith.events import dump_json, load_json, storable
from skillsmith.library.evidence.intervals import Interval, wilson
from skillsmith.models import Json

CREATED: Final = "created"
CURRENT: Final = "current"
ROLLED_BACK: Final = "rolled_back"
STATE: Final = "state"
DELETED: Final = "deleted"

MOVES: Final = frozenset({CURRENT, ROLLED_BACK})
"""Actions after which another version is the current one; also ``created`` with ``current`` in its detail."""

_ADD = """
INSERT INTO skill_history (skill_name, action, version, from_version, detail, reason, by_user, at)
VALUES (:name, :action, :version, :from_version, :detail, :reason, :user, :at)
"""
_FIGURES = """
SELECT v.version, count(x.pk) AS executions, count(x.success) AS finished,
  coalesce(sum(x.success), 0) AS successes, avg(x.duration_seconds) AS duration, avg(x.cost_usd) AS cost,
  coalesce(sum(CASE WHEN x.success IS NOT NULL THEN x.adapted END), 0) AS adapted,
  max(x.started_at) AS last_used_at
FROM skills s JOIN skill_versions v ON v.skill = s.pk LEFT JOIN executions x ON x.skill_version = v.pk
WHERE s.name = ? GROUP BY v.pk
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One thing that was done to a skill.

    Args:
        action: created, current, rolled_back, state or deleted.
        version: The version it was done to.
        from_version: The version that was current before.
        at: Unix time in seconds.
        detail: More on it: the states before and after, whether a new version became current at once.
    """

    action: str
    version: int
    from_version: int | None
    reason: str
    by_user: str | None
    at: float
    detail: Mapping[str, Json] = field(default_factory=dict)

    @property
    def moves(self) -> bool:
        """Whether the version became the current one by it."""
        return self.action in MOVES or (self.action == CREATED and bool(self.detail.get("current")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How a version has done.

    Args:
        executions: Also unfinished ones.
        finished: Those with a verdict.
        adapted: How many of the finished ones differed from the skill.
        avg_duration_seconds: None when nothing was timed.
        avg_cost_usd: None when no cost is known.
    """

    executions: int = 0
    finished: int = 0
    successes: int = 0
    adapted: int = 0
    avg_duration_seconds: float | None = None
    avg_cost_usd: float | None = None
    last_used_at: float | None = None

    @property
    def rate(self) -> Interval | None:
        """The success rate with its Wilson 95 % interval; None before anything is finished."""
        return wilson(self.successes, self.finished)


Entries: TypeAlias = list[HistoryEntry]


class SkillHistory:
    """Write and read what was done to skills.

    Args:
        db: The connection; writes belong inside the transaction of the change.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self,
        name: str,
        action: str,
        *,
        version: int,
        from_version: int | None = None,
        reason: str = "",
        detail: Mapping[str, Json] | None = None,
    ) -> None:
        """Note what is being done to a version."""
        self._db.execute(_ADD, {
            "name": name, "action": action, "version": version, "from_version": from_version,
            "detail": dump_json(dict(detail or {})), "reason": storable(reason) or "", "user": user_name(),
            "at": time.time(),
        })  # fmt: skip

    def of(self, name: str) -> Entries:
        """Return everything done to a skill, newest first; also of one that is gone."""
        rows = self._db.all("SELECT * FROM skill_history WHERE skill_name = ? ORDER BY id DESC", (name,))
        return [_entry(row) for row in rows]

    def highest(self, name: str) -> int:
        """Return the highest number that a version of this name ever had; 0 for a new name."""
        found = self._db.scalar("SELECT max(version) FROM skill_history WHERE skill_name = ?", (name,))
        return int(found or 0)

    def deletion(self, name: str, version: int) -> HistoryEntry | None:
        """Return when and why a version was deleted, the last time; None when it never was."""
        row = self._db.one(
            "SELECT * FROM skill_history WHERE skill_name = ? AND version = ? AND action = ?"
            " ORDER BY id DESC LIMIT 1",
            (name, version, DELETED),
        )
        return None if row is None else _entry(row)

    def figures(self, name: str) -> dict[int, Figures]:
        """Return how each version of a skill has done, by its number."""
        return {
            row["version"]: Figures(
                executions=row["executions"], finished=row["finished"], successes=row["successes"],
                adapted=row["adapted"], avg_duration_seconds=row["duration"], avg_cost_usd=row["cost"],
                last_used_at=row["last_used_at"],
            )
            for row in self._db.all(_FIGURES, (name,))
        }  # fmt: skip


def _entry(row: Row) -> HistoryEntry:
    return HistoryEntry(
        action=row["action"], version=row["version"], from_version=row["from_version"], reason=row["reason"],
        by_user=row["by_user"], at=row["at"], detail=load_json(row["detail"]),
    )  # fmt: skip


def user_name() -> str | None:
    """Return who is logged in, as far as the environment says."""
    return os.environ.get("USER") or os.environ.get("USERNAME")
