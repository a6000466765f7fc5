"""What consolidation reads of a library: the current versions, what they do and where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from skillsmith.db import Database
from skillsmith.events import dump_json, load_json
from skillsmith.library.ledger import ExecutionLedger

_CURRENT = """
SELECT v.pk, s.name, v.version, v.state, v.structure, v.description, v.task_pattern, v.dag_template,
  v.source_run_ids
FROM skills s JOIN skill_versions v ON v.skill = s.pk AND v.version = s.current_version
WHERE v.state <> 'retired' ORDER BY v.pk
"""
_KNOWN_RUNS = "SELECT id FROM runs WHERE id IN (SELECT value FROM json_each(?))"
_HAS_VECTORS = "SELECT 1 FROM sqlite_master WHERE name = 'skill_vector_data'"
_VECTORS = """
SELECT w.skill_version, d.vector FROM skill_vectors w JOIN skill_vector_data d ON d.id = w.id
WHERE w.field = 'whole' AND w.model = (SELECT value FROM meta WHERE key = 'embedding_model')
ORDER BY w.skill_version
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One skill of the library, as consolidation compares it.

    Args:
        structure: Digest of what it does.
        text: Its name, description and task pattern.
        nodes: Its nodes as JSON.
        runs: Ids of the runs it was made from.
        successes: Of its finished executions; likewise ``failures``.
    """

    pk: int
    name: str
    version: int
    state: str
    structure: str
    text: tuple[str, str, str]
    nodes: list[dict[str, Any]]
    runs: frozenset[str]
    successes: int = 0
    failures: int = 0


class ConsolidationRows:
    """Reads what can be consolidated.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def held(self) -> list[Held]:
        """Return the current version of every skill that is not retired."""
        rows = self._db.all(_CURRENT)
        evidence = ExecutionLedger(self._db).evidence([row["pk"] for row in rows])
        return [
            Held(
                pk=row["pk"], name=row["name"], version=row["version"], state=row["state"],
                structure=row["structure"], text=(row["name"], row["description"], row["task_pattern"]),
                nodes=load_json(row["dag_template"]), runs=frozenset(load_json(row["source_run_ids"])),
                successes=evidence[row["pk"]][0], failures=evidence[row["pk"]][1],
            )
            for row in rows
        ]  # fmt: skip

    def known_runs(self, ids: Iterable[str]) -> set[str]:
        """Return which of these runs are in the file."""
        return {row[0] for row in self._db.all(_KNOWN_RUNS, (dump_json(sorted(ids)),))}

    def vectors(self) -> Iterator[tuple[int, bytes]]:
        """Yield the unit vector of each skill that has one, float32, with its version's key."""
        if self._db.one(_HAS_VECTORS) is not None:
            for row in self._db.all(_VECTORS):
                yield row[0], row[1]
