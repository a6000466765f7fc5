"""The rows of this file that travel to a hub and come from it.

Tables are read in buckets of neighbouring keys, each with a digest: what has not changed since the hub got it
is not sent again, and no change, to however old a row, is missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any, Final

import orjson

from skillsmith.db import Database, Row, page
from skillsmith.events import dump_json, load_json
from skillsmith.models import SkillState

BUCKET: Final = {"versions": 256, "executions": 1024, "history": 1024, "runs": 4096}
"""Rows that are looked at, and sent, together."""

_BUCKETED: Final = {
    "versions": """
SELECT v.pk, s.name, v.version, v.digest, v.id, v.state, v.structure, v.description, v.tags, v.examples,
  v.created_at, (SELECT w.model || ' ' || w.text_digest FROM skill_vectors w
                 WHERE w.skill_version = v.pk AND w.field = 'whole') AS whole
FROM skill_versions v JOIN skills s ON s.pk = v.skill /*key: v.pk*/ WHERE {after} ORDER BY v.pk LIMIT ?
""",
    "executions": """
SELECT x.*, v.digest FROM executions x LEFT JOIN skill_versions v ON v.pk = x.skill_version /*key: x.pk*/
WHERE x.success IS NOT NULL AND x.completed_at IS NOT NULL AND {after} ORDER BY x.pk LIMIT ?
""",
    "history": """
SELECT h.id AS pk, h.* FROM skill_history h /*key: h.id*/
WHERE h.detail ->> '$.hub' IS NULL AND {after} ORDER BY h.id LIMIT ?
""",
    "runs": """
SELECT r.pk, r.id, r.source, r.task, r.status, r.outcome, r.outcome_reason, r.started_at, r.ended_at,
  r.duration_seconds, r.agents, r.events, r.kinds, r.tokens_in, r.tokens_out, r.cost_usd, r.created_at
FROM runs r /*key: r.pk*/ WHERE r.status <> 'running' AND {after} ORDER BY r.pk LIMIT ?
""",
}
_CURRENT = """
SELECT s.name, s.current_version, v.digest, v.state FROM skills s
JOIN skill_versions v ON v.skill = s.pk AND v.version = s.current_version ORDER BY s.name
"""
_PRESENT = "SELECT s.name, v.version, v.digest, v.state FROM skill_versions v JOIN skills s ON s.pk = v.skill"
_ADAPTATIONS = """
SELECT execution, ordinal, type, target, before, after, reason, evidence FROM adaptations
WHERE execution IN (SELECT value FROM json_each(?)) ORDER BY execution, ordinal
"""
_TEXT_VECTORS = """
SELECT DISTINCT w.text_digest, w.model, d.vector FROM skill_vectors w JOIN skill_vector_data d ON d.id = w.id
WHERE w.field <> 'whole' AND w.skill_version IN (SELECT value FROM json_each(?))
"""
_WHOLE_VECTORS = """
SELECT w.skill_version, w.text_digest, w.model, d.vector
FROM skill_vectors w JOIN skill_vector_data d ON d.id = w.id
WHERE w.field = 'whole' AND w.skill_version IN (SELECT value FROM json_each(?))
"""
_LOCAL_ONLY: Final = frozenset({"pk", "skill_version", "digest"})
"""What of an execution's row means something in its own file only."""
_EXECUTION: Final = (
    "id", "skill_version", "skill_name", "version", "run_id", "task_description", "confidence", "started_at",
    "completed_at", "duration_seconds", "cost_usd", "success", "error_message", "inputs", "outputs",
    "artifacts", "adapted", "adaptation_reason", "context_diff",
)  # fmt: skip
_ADAPTATION: Final = ("ordinal", "type", "target", "before", "after", "reason", "evidence")
_ADAPTED: Final = frozenset(_ADAPTATION)
_JSON_COLUMNS: Final = ("inputs", "outputs", "artifacts", "context_diff")
_KINDS: Final[Mapping[str, Any]] = {
    "id": str, "skill_name": str, "task_description": str, "started_at": (int, float),
    "completed_at": (int, float), "success": int, "adapted": int, "adaptations": list,
    **dict.fromkeys(_JSON_COLUMNS, str),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Neighbouring rows of a table.

    Args:
        number: Their place among the buckets.
        digest: Over all of them.
    """

    number: int
    digest: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Which version a name stands for here.

    Args:
        usable: Whether that version may run.
    """

    version: int
    digest: str
    state: str

    @property
    def usable(self) -> bool:
        """Whether that version may run."""
        return self.state not in ("quarantined", "retired")


def buckets(db: Database, table: str) -> Iterator[Bucket]:
    """Yield a table's rows in buckets, in the order of their keys."""
    size = BUCKET[table]
    rows = page(db, _BUCKETED[table], key=lambda row: (row["pk"],), window=size)
    for number, group in groupby(rows, key=lambda row: row["pk"] // size):
        found = list(group)
        digest = sha256()
        for row in found:
            digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
        yield Bucket(number=number, digest=digest.hexdigest(), rows=found)


def pointers(db: Database) -> dict[str, Pointer]:
    """Return which version each name stands for."""
    return {
        row["name"]: Pointer(version=row["current_version"], digest=row["digest"], state=row["state"])
        for row in db.all(_CURRENT)
    }


def present(db: Database, name: str | None = None) -> dict[tuple[str, str], tuple[int, SkillState]]:
    """Return number and state of the versions that are here, by name and digest; of equal ones the newest.

    Args:
        db: The connection.
        name: Only those of this name.
    """
    rows = db.all(
        _PRESENT + (" WHERE s.name = ?" if name else "") + " ORDER BY v.version", (name,) if name else ()
    )
    return {(row["name"], row["digest"]): (row["version"], row["state"]) for row in rows}


def used_numbers(db: Database, name: str) -> set[int]:
    """Return the numbers that stand, or once stood, for a version of a name."""
    rows = db.all(
        "SELECT v.version FROM skill_versions v JOIN skills s ON s.pk = v.skill WHERE s.name = :name"
        " UNION SELECT version FROM skill_history WHERE skill_name = :name",
        {"name": name},
    )
    return {row[0] for row in rows}


def text_vectors(db: Database, versions: Sequence[int]) -> list[Row]:
    """Return text digest, model and vector of the single texts of versions."""
    return db.all(_TEXT_VECTORS, (dump_json(list(versions)),)) if _has_vectors(db) else []


def whole_vectors(db: Database, versions: Sequence[int]) -> list[Row]:
    """Return version key, text digest, model and vector of versions as a whole."""
    return db.all(_WHOLE_VECTORS, (dump_json(list(versions)),)) if _has_vectors(db) else []


def _has_vectors(db: Database) -> bool:
    return db.one("SELECT 1 FROM sqlite_master WHERE name = 'skill_vector_data'") is not None


def execution_bodies(db: Database, rows: Sequence[Row]) -> list[str]:
    """Return executions as JSON with all their columns and adaptations, in the order of the rows."""
    found: dict[int, list[dict[str, Any]]] = {}
    for one in db.all(_ADAPTATIONS, (dump_json([row["pk"] for row in rows]),)):
        found.setdefault(one["execution"], []).append({name: one[name] for name in _ADAPTATION})
    return [
        orjson.dumps(_columns(row, _LOCAL_ONLY) | {"adaptations": found.get(row["pk"], [])}).decode()
        for row in rows
    ]


def history_body(row: Row) -> str:
    """Return an entry of the history as JSON with all its columns."""
    return orjson.dumps(_columns(row, frozenset({"pk", "id"}))).decode()


def _columns(row: Row, left_out: frozenset[str]) -> dict[str, Any]:
    return {name: row[name] for name in row.keys() if name not in left_out}  # noqa: SIM118  (a row, not a dict)


def put_execution(db: Database, body: Mapping[str, Any], *, number: int, digest: str | None) -> bool:
    """Store an execution of another machine, or a later state of one that is here; tell whether it was new.

    Args:
        db: The connection, in a transaction.
        body: All columns, and the adaptations.
        number: Of the version, in this file.
        digest: Of the version; None: it is not in this file.
    """
    known = db.one("SELECT pk, completed_at FROM executions WHERE id = ?", (body["id"],))
    if known is not None and (known["completed_at"] or 0.0) >= body["completed_at"]:
        return False
    version = None if digest is None else db.scalar(
        "SELECT v.pk FROM skill_versions v JOIN skills s ON s.pk = v.skill"
        " WHERE s.name = ? AND v.version = ? AND v.digest = ?",
        (body["skill_name"], number, digest),
    )  # fmt: skip
    values = {name: body.get(name) for name in _EXECUTION} | {"version": number, "skill_version": version}
    if known is None:
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        pk = int(db.execute(f"INSERT INTO executions ({names}) VALUES ({marks})", values).lastrowid)  # noqa: S608  (our own column names)
    else:
        pk = known["pk"]
        changes = ", ".join(
            f"{name} = :{name}" for name in values if name not in ("id", "version", "skill_version")
        )
        db.execute(f"UPDATE executions SET {changes} WHERE pk = :pk", {**values, "pk": pk})  # noqa: S608  (our own column names)
        db.execute("DELETE FROM adaptations WHERE execution = ?", (pk,))
    db.executemany(
        f"INSERT INTO adaptations (execution, {', '.join(_ADAPTATION)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  (our own column names)
        [(pk, *(one[name] for name in _ADAPTATION)) for one in body["adaptations"]],
    )
    return True


def sound_execution(body: Any) -> bool:
    """Tell whether what a hub says is an execution: whatever else it were would be met much later."""
    if not isinstance(body, dict) or not all(
        isinstance(body.get(name), kind) for name, kind in _KINDS.items()
    ):
        return False
    if not all(isinstance(one, dict) and one.keys() >= _ADAPTED for one in body["adaptations"]):
        return False
    texts = [body[name] for name in _JSON_COLUMNS]
    texts += [one[name] for one in body["adaptations"] for name in ("before", "after", "evidence")]
    return all(map(_is_json, texts))


def sound_history(body: Any) -> bool:
    """Tell whether what a hub says is an entry of a history."""
    texts = ("skill_name", "action", "detail", "reason")
    return (
        isinstance(body, dict) and all(isinstance(body.get(name), str) for name in texts)
        and isinstance(body.get("at"), (int, float)) and "by_user" in body and _is_json(body["detail"])
    )  # fmt: skip


def decoded(text: str) -> Any:
    """Return what JSON of a hub says; None when it is no JSON."""
    return load_json(text) if _is_json(text) else None


def _is_json(text: Any) -> bool:
    try:
        load_json(text)
    except (TypeError, ValueError, AttributeError):
        return False
    return True


def history_of_hubs(db: Database) -> set[str]:
    """Return which entries of hubs' histories are in this file."""
    rows = db.all("SELECT detail ->> '$.hub' FROM skill_history WHERE detail ->> '$.hub' IS NOT NULL")
    return {row[0] for row in rows}


def put_history(
    db: Database, body: Mapping[str, Any], *, number: int, before: int | None, origin: Mapping[str, str]
) -> None:
    """Store what another machine did to a skill.

    Args:
        db: The connection, in a transaction.
        body: All columns.
        number: Of the version, in this file.
        before: Number of the version that was current before, in this file.
        origin: Added to the detail: ``hub``, the entry's id there, and ``machine``.
    """
    detail = orjson.dumps({**orjson.loads(body["detail"]), **origin}).decode()
    values = {**body, "version": number, "from_version": before, "detail": detail}
    db.execute(
        "INSERT INTO skill_history (skill_name, action, version, from_version, detail, reason, by_user, at)"
        " VALUES (:skill_name, :action, :version, :from_version, :detail, :reason, :by_user, :at)",
        values,
    )


def deletion(db: Database, name: str, number: int) -> Row | None:
    """Return state and reason when a version was last deleted in this file; None: it never was."""
    return db.one(
        "SELECT detail ->> '$.state' AS state, reason FROM skill_history"
        " WHERE skill_name = ? AND version = ? AND action = 'deleted' AND detail ->> '$.hub' IS NULL"
        " ORDER BY id DESC LIMIT 1",
        (name, number),
    )
