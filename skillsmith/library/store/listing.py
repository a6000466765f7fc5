"""The list of skills in any order, page by page, with figures counted from the executions.

Figures are those of the versions that are in the library: what a deleted skill of the same name did does not
count for its successor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from skillsmith.db import Database, Row, page
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.events import load_json
from skillsmith.library.store.text import search_expression
from skillsmith.models import SkillSummary

_ORDERS = {
    "name": ("name",),
    "success_rate": ("rate", "executions", "pk"),
    "last_used": ("last_used", "pk"),
    "created": ("created_at", "pk"),
}
"""The columns each order goes by, ending in a unique one; all but the name with the largest first."""

_LISTED = """
SELECT s.pk, s.name, v.version, v.state, v.tags, v.description, v.created_at,
  (SELECT count(*) FROM executions x
   WHERE x.skill_name = s.name AND x.skill_version IS NOT NULL) AS executions,
  coalesce((SELECT avg(x.success) FROM executions x
            WHERE x.skill_name = s.name AND x.skill_version IS NOT NULL), -1) AS rate,
  coalesce((SELECT max(x.started_at) FROM executions x
            WHERE x.skill_name = s.name AND x.skill_version IS NOT NULL), -1) AS last_used
FROM skills s JOIN skill_versions v ON v.skill = s.pk AND v.version = s.current_version
WHERE 1
"""


def list_skills(
    db: Database,
    *,
    tags: Sequence[str] = (),
    state: str | None = None,
    search: str | None = None,
    sort: str = "name",
    after: str | None = None,
    window: int = 100,
) -> Iterator[SkillSummary]:
    """Yield the current versions of all skills; see ``SkillRepository.list``."""
    if sort not in _ORDERS:
        raise UsageError(f"skills cannot be sorted by {sort!r}", hint=f"use one of {', '.join(_ORDERS)}")
    columns = _ORDERS[sort]
    conditions, params = _filters(tags, state, search)
    listed = f"WITH listed AS {'NOT ' if sort == 'name' else ''}MATERIALIZED ({_LISTED}{conditions})"
    start = None if after is None else _start(db, listed, params, columns, after)
    direction = "" if sort == "name" else " DESC"
    order = ", ".join(column + direction for column in columns)
    sql = (
        f"{listed} SELECT * FROM listed /*key{direction.lower()}: {', '.join(columns)}*/"  # noqa: S608  (fixed column names)
        f" WHERE {{after}} ORDER BY {order} LIMIT ?"
    )
    rows = page(
        db,
        sql,
        key=lambda row: [row[column] for column in columns],
        params=params,
        after=start,
        window=window,
    )
    return map(_summary, rows)


def _filters(tags: Sequence[str], state: str | None, search: str | None) -> tuple[str, list[Any]]:
    conditions, params = "", list[Any]()
    for tag in tags:
        conditions += " AND EXISTS (SELECT 1 FROM skill_tags t WHERE t.tag = ? AND t.skill_version = v.pk)"
        params.append(tag)
    if state is not None:
        conditions += " AND v.state = ?"
        params.append(state)
    if search and search.strip():
        expression = search_expression(search, operator="AND")
        if not expression:
            return " AND 0", []
        conditions += " AND v.pk IN (SELECT rowid FROM skills_fts WHERE skills_fts MATCH ?)"
        params.append(expression)
    return conditions, params


def _start(db: Database, listed: str, params: list[Any], columns: Sequence[str], after: str) -> list[Any]:
    """Return the place in the order of the last skill already seen."""
    if columns == ("name",):
        return [after]
    row = db.one(f"{listed} SELECT * FROM listed WHERE name = ?", [*params, after])  # noqa: S608  (as above)
    if row is None:
        raise NotFoundError(f"there is no skill {after!r} to go on from", hint="start again without --after")
    return [row[column] for column in columns]


def _summary(row: Row) -> SkillSummary:
    return SkillSummary(
        name=row["name"], version=row["version"], state=row["state"], tags=tuple(load_json(row["tags"])),
        description=row["description"], success_rate=None if row["rate"] < 0 else row["rate"],
        executions=row["executions"], last_used_at=None if row["last_used"] < 0 else row["last_used"],
        created_at=row["created_at"],
    )  # fmt: skip
