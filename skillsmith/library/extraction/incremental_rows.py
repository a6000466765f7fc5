"""How far a run was learned from while it goes on, and which drafts came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from skillsmith.db import Database
from skillsmith.events import dump_json, load_json
from skillsmith.models import Json

PARTIAL = "partial_of"
"""Key in a draft's lineage: the run that was going on when it was made."""

_DRAFTS = f"""
SELECT s.name, v.version FROM skills s JOIN skill_versions v ON v.skill = s.pk
WHERE v.state = 'draft' AND v.lineage ->> '$.{PARTIAL}' = ? ORDER BY v.pk
"""  # noqa: S608  (our own key)
_WHOLE = f"""
SELECT s.name, v.version FROM skills s JOIN skill_versions v ON v.skill = s.pk, json_each(v.source_run_ids) r
WHERE r.value = ? AND v.source_step_range = 'all' AND v.lineage ->> '$.{PARTIAL}' IS NULL
ORDER BY v.pk DESC LIMIT 1
"""  # noqa: S608  (as above)


class ProgressRows:
    """Keeps the progress of incremental extraction.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def load(self, run: int) -> tuple[int, dict[str, Json]]:
        """Return the last event that is done with, and what is needed to go on from there."""
        row = self._db.one("SELECT seq, state FROM extraction_progress WHERE run = ?", (run,))
        return (0, {}) if row is None else (row["seq"], load_json(row["state"]))

    def save(self, run: int, seq: int, state: Mapping[str, Json]) -> None:
        """Store how far a run is done with."""
        self._db.execute(
            "INSERT OR REPLACE INTO extraction_progress (run, seq, state, at) VALUES (?, ?, ?, ?)",
            (run, seq, dump_json(dict(state)), time.time()),
        )

    def newest(self, run: int) -> tuple[int, int]:
        """Return sequence number and step of the run's last event; zeros without any."""
        row = self._db.one("SELECT seq, step FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1", (run,))
        return (0, 0) if row is None else (row["seq"], row["step"])

    def step_at(self, run: int, seq: int) -> int:
        """Return the step of an event, 0 when there is none."""
        return int(self._db.scalar("SELECT step FROM events WHERE run = ? AND seq = ?", (run, seq)) or 0)

    def drafts(self, run_id: str) -> list[str]:
        """Return the drafts that were made while a run went on, as NAME@VERSION."""
        return [f"{row[0]}@{row[1]}" for row in self._db.all(_DRAFTS, (run_id,))]

    def whole(self, run_id: str) -> str | None:
        """Return the newest skill that was made from all of a run, as NAME@VERSION."""
        row = self._db.one(_WHOLE, (run_id,))
        return None if row is None else f"{row[0]}@{row[1]}"
