"""What a list of skills shows of each: state, success with its interval, use by day.

A list of ten thousand is read as its names alone, in order; the rest is read for the page that is looked at.
Counted is what ``skill_list`` counts: the executions of the versions that are in the library.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from skillsmith.db import Database, Row
from skillsmith.events import dump_json, load_json
from skillsmith.library.evidence.intervals import Interval, wilson
from skillsmith.library.store.listing import list_skills
from skillsmith.models import SkillState
from skillsmith.word_pieces import in_pieces

Names: TypeAlias = list[str]

DAY_SECONDS = 86400.0
SHOWN_DAYS = 28
EVERY = 1_000_000

_CARDS = """
SELECT s.name, v.version, v.state, v.tags, v.description,
  (SELECT count(*) FROM skill_versions o WHERE o.skill = s.pk) AS versions
FROM json_each(:names) n CROSS JOIN skills s ON s.name = n.value
JOIN skill_versions v ON v.skill = s.pk AND v.version = s.current_version
"""
_WITH_WORD = """
SELECT s.name FROM skills_fts f JOIN skill_versions v ON v.pk = f.rowid JOIN skills s ON s.pk = v.skill
WHERE skills_fts MATCH ?
"""
_USE = """
SELECT x.skill_name AS name, count(*) AS executions, count(x.success) AS finished,
  coalesce(sum(x.success), 0) AS successes, max(x.started_at) AS last_used_at
FROM json_each(:names) n CROSS JOIN executions x ON x.skill_name = n.value
WHERE x.skill_version IS NOT NULL GROUP BY 1
"""
_DAILY = """
SELECT x.skill_name AS name, CAST((x.started_at - :start) / 86400 AS INTEGER) AS day, count(*) AS count
FROM json_each(:names) n CROSS JOIN executions x ON x.skill_name = n.value
WHERE x.skill_version IS NOT NULL AND x.started_at >= :start AND x.started_at < :end GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillCard:
    """One skill in a list.

    Args:
        version: The current one.
        versions: How many there are.
        executions: Also those that are not over.
        rate: Of the finished ones, with its Wilson interval; None before the first.
        daily: Executions begun on each of the last days, the newest last.
    """

    name: str
    version: int
    versions: int
    state: SkillState
    tags: tuple[str, ...]
    description: str
    executions: int
    rate: Interval | None
    last_used_at: float | None
    daily: tuple[int, ...]


def skill_names(db: Database, *, words: str = "", state: str | None = None, sort: str = "name") -> Names:
    """Return the names of skills in order.

    Args:
        db: The connection.
        words: Only skills that have each of these words in their name, or a word that begins so in their
            text; ``#tag``: only skills with this tag.
        state: Only those in this state.
        sort: As for ``SkillReader.list``.
    """
    tags = [word[1:] for word in words.split() if word.startswith("#") and len(word) > 1]
    if sort == "name" and state is None and not tags:
        names = [row[0] for row in db.all("SELECT name FROM skills ORDER BY name")]
    else:
        names = [one.name for one in list_skills(db, tags=tags, state=state, sort=sort, window=EVERY)]
    for word in (word.casefold() for word in words.split() if not word.startswith("#")):
        found = _with_word(db, word)
        names = [name for name in names if word in name or name in found]
    return names


def _with_word(db: Database, word: str) -> set[str]:
    """Return the skills whose text has words that begin like this one."""
    parts = re.findall(r"[^\W_]+", in_pieces(word))
    expression = " AND ".join(f'"{part}"*' for part in parts)
    return {row[0] for row in db.all(_WITH_WORD, (expression,))} if parts else set()


def skill_cards(db: Database, names: Sequence[str], *, now: float, days: int = SHOWN_DAYS) -> list[SkillCard]:
    """Return what a list shows of these skills, in the same order; one that is gone is left out.

    Args:
        db: The connection.
        names: Of a page.
        now: Unix seconds; where the last day ends.
        days: How many days of use are counted.
    """
    start = now - days * DAY_SECONDS
    params = {"names": dump_json(list(names))}
    used = {row["name"]: row for row in db.all(_USE, params)}
    daily: dict[str, list[int]] = {}
    for row in db.all(_DAILY, params | {"start": start, "end": now}):
        daily.setdefault(row["name"], [0] * days)[min(row["day"], days - 1)] = row["count"]
    cards = {
        row["name"]: _card(row, used.get(row["name"]), tuple(daily.get(row["name"], [0] * days)))
        for row in db.all(_CARDS, params)
    }
    return [cards[name] for name in names if name in cards]


def _card(row: Row, used: Row | None, daily: tuple[int, ...]) -> SkillCard:
    return SkillCard(
        name=row["name"], version=row["version"], versions=row["versions"], state=row["state"],
        tags=tuple(load_json(row["tags"])), description=row["description"],
        executions=used["executions"] if used else 0,
        rate=wilson(used["successes"], used["finished"]) if used else None,
        last_used_at=used["last_used_at"] if used else None, daily=daily,
    )  # fmt: skip


def execution_ids(db: Database, name: str) -> list[str]:
    """Return the ids of a skill's executions, newest first."""
    rows = db.all("SELECT id FROM executions WHERE skill_name = ? ORDER BY pk DESC", (name,))
    return [row[0] for row in rows]
