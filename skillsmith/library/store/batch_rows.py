"""Which executions belong to a batch: their runs carry its id and the key of their input."""

from __future__ import annotations

from dataclasses import dataclass

from skillsmith.db import Database

_EXECUTIONS = """
SELECT x.id, x.success, r.work_dir, r.metadata ->> '$.item' AS item
FROM runs r JOIN executions x ON x.run_id = r.id
WHERE r.source = 'execution' AND r.metadata ->> '$.batch' = ?
ORDER BY x.pk
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchExecution:
    """The last execution of one input.

    Args:
        finished: Whether it has a verdict.
        work_dir: Where its files are.
    """

    execution_id: str
    finished: bool
    work_dir: str | None


class BatchRows:
    """Reads what is known of a batch.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def executions(self, batch: str) -> dict[str, BatchExecution]:
        """Return the last execution of each input of a batch, by the input's key."""
        return {
            row["item"]: BatchExecution(
                execution_id=row["id"], finished=row["success"] is not None, work_dir=row["work_dir"]
            )
            for row in self._db.all(_EXECUTIONS, (batch,))
        }
