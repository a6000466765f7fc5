"""What stands on a hub, what of it is not here, and what of ours is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from skillsmith.errors import NotFoundError
from skillsmith.hub import local_rows
from skillsmith.hub.client import Hub
from skillsmith.hub.marks import Marks, machine_id
from skillsmith.workspace import Workspace

READ: Final = ("versions", "tombstones", "skills", "executions", "history")
"""Tables that a pull reads, whose rows say which machine they are from."""

_COUNTS = """
SELECT (SELECT count(*) FROM skills WHERE digest IS NOT NULL) AS skills,
  (SELECT count(*) FROM versions) AS versions, (SELECT count(*) FROM tombstones WHERE gone) AS deleted,
  (SELECT count(*) FROM executions) AS executions, (SELECT count(*) FROM history) AS history,
  (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM archived_runs) AS archived_runs
"""
_MACHINES = "SELECT name, extract(epoch FROM last_seen)::float8 FROM machines ORDER BY last_seen DESC, name"
_MONTHS = """
SELECT substr(c.relname, 15) FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('archived_runs') ORDER BY 1
"""
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
WHERE c.relnamespace = to_regnamespace('skillsmith') AND c.relkind IN ('r', 'm')
"""
_VECTORS = "SELECT model, count(*) FROM vectors WHERE current GROUP BY model ORDER BY model"
_NUMBERS = """
SELECT n.digest, m.name, n.number, coalesce(t.gone, false), v.current
FROM numbers n JOIN machines m ON m.id = n.machine
JOIN versions v ON v.name = n.name AND v.digest = n.digest
LEFT JOIN tombstones t ON t.name = n.name AND t.digest = n.digest
WHERE n.name = %s ORDER BY v.seq, m.name, n.number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """One version of a skill on the hub.

    Args:
        digest: Of its content.
        here: Its number in this file; None: it is not here.
        machines: ``MACHINE@NUMBER`` of each machine that has it.
        current: Whether the hub's pointer stands there.
        deleted: Whether a machine deleted it.
    """

    digest: str
    here: int | None
    machines: tuple[str, ...]
    current: bool
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HubStatus:
    """The state of a hub, seen from a file.

    Args:
        counts: Rows on the hub by what they are.
        machines: Name and Unix time of the last push of each file.
        months: Months that have partitions.
        bytes: What the hub takes on its server's disk.
        vectors: Searchable versions by embedding model.
        to_send: Rows here, by table, among which some are new or changed since the last push.
        to_read: Rows of other machines, by table, that this file has not read.
        waiting: Names whose version on the hub waits for trust here.
        open: Names whose pointers could not be brought together.
        numbers: Versions of the skill that was asked for.
    """

    hub: str
    id: str
    counts: dict[str, int]
    machines: tuple[tuple[str, float], ...]
    months: tuple[str, ...]
    bytes: int
    vectors: dict[str, int]
    to_send: dict[str, int]
    to_read: dict[str, int]
    waiting: tuple[str, ...]
    open: tuple[str, ...]
    numbers: tuple[Numbered, ...] = ()


def status(workspace: Workspace, hub: Hub, *, name: str | None = None) -> HubStatus:
    """Compare a file with a hub; nothing is changed.

    Args:
        workspace: The file.
        hub: The hub.
        name: A skill whose numbers are told, machine by machine.

    Raises:
        NotFoundError: The hub has no skill of this name.
    """
    marks = Marks(workspace.db, hub.id)
    bases, machine = marks.bases(), machine_id(workspace.db)
    with hub.snapshot():
        names = ("skills", "versions", "deleted", "executions", "history", "runs", "archived_runs")
        counts = hub.all(_COUNTS)[0]
        return HubStatus(
            hub=hub.shown, id=hub.id, counts=dict(zip(names, map(int, counts), strict=True)),
            machines=tuple((row[0], row[1]) for row in hub.all(_MACHINES)),
            months=tuple(row[0] for row in hub.all(_MONTHS)), bytes=int(hub.scalar(_SIZE)),
            vectors=dict(hub.all(_VECTORS)),
            to_send={table: _unsent(workspace, marks, table) for table in local_rows.BUCKET},
            to_read={table: _unread(hub, marks, table, machine) for table in READ},
            waiting=tuple(sorted(one for one, base in bases.items() if base.there not in (None, base.here))),
            open=tuple(sorted(marks.open_names())),
            numbers=() if name is None else _numbers(workspace, hub, name),
        )  # fmt: skip


def _unsent(workspace: Workspace, marks: Marks, table: str) -> int:
    known = marks.sent(table)
    changed = (one for one in local_rows.buckets(workspace.db, table) if known.get(one.number) != one.digest)
    return sum(len(one.rows) for one in changed)


def _unread(hub: Hub, marks: Marks, table: str, machine: str) -> int:
    sql = f"SELECT count(*) FROM {table} WHERE seq > %s AND machine <> %s"  # noqa: S608  (the names above)
    return int(hub.scalar(sql, (marks.cursor(table), machine)))


def _numbers(workspace: Workspace, hub: Hub, name: str) -> tuple[Numbered, ...]:
    by_digest: dict[str, list[tuple[Any, ...]]] = {}
    for row in hub.all(_NUMBERS, (name,)):
        by_digest.setdefault(row[0], []).append(row)
    if not by_digest:
        raise NotFoundError(f"the hub has no skill {name!r}", hint="`skillsmith hub match TASK` finds some")
    here = local_rows.present(workspace.db, name)
    return tuple(
        Numbered(
            digest=digest, here=here.get((name, digest), (None, ""))[0],
            machines=tuple(f"{row[1]}@{row[2]}" for row in rows), deleted=rows[0][3], current=rows[0][4],
        )
        for digest, rows in by_digest.items()
    )  # fmt: skip
