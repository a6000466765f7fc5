"""Stored summaries of stretches of a run; what comes before the end of the last is summed up."""

from __future__ import annotations

import time
from dataclasses import dataclass

from skillsmith.db import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What stands for some events of a run.

    Args:
        method: extractive, or the model's name.
    """

    first_seq: int
    last_seq: int
    method: str
    text: str
    tokens: int


class SummaryRows:
    """Keeps the stretches of a run.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def last_event(self, run: int) -> int:
        """Return the run's last sequence number, 0 without any."""
        return int(self._db.scalar("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?", (run,)))

    def watermark(self, run: int) -> int:
        """Return the last event that is summed up, 0 without any."""
        sql = "SELECT last_seq FROM summaries WHERE run = ? ORDER BY first_seq DESC LIMIT 1"
        return int(self._db.scalar(sql, (run,)) or 0)

    def stretches(self, run: int) -> list[Stretch]:
        """Return what is stored, in order."""
        rows = self._db.all("SELECT * FROM summaries WHERE run = ? ORDER BY first_seq", (run,))
        return [
            Stretch(
                first_seq=row["first_seq"], last_seq=row["last_seq"], method=row["method"],
                text=row["text"], tokens=row["tokens"],
            )
            for row in rows
        ]  # fmt: skip

    def add(self, run: int, stretch: Stretch) -> None:
        """Store a stretch; another process may have been first."""
        self._db.execute(
            "INSERT OR IGNORE INTO summaries (run, first_seq, last_seq, method, text, tokens, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run, stretch.first_seq, stretch.last_seq, stretch.method, stretch.text, stretch.tokens,
             time.time()),
        )  # fmt: skip

    def clear(self, run: int) -> None:
        """Forget what is stored of a run."""
        self._db.execute("DELETE FROM summaries WHERE run = ?", (run,))
