"""The memory of proposals: what was proposed, applied and rejected, with the verdicts.

A rejected change stays here so that it is not proposed again; it counts for the skill of this name as long as
that one lives, not for a successor of the same name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from skillsmith.db import Database, Row
from skillsmith.events import dump_json, load_json
from skillsmith.library.proposing.proposals import Proposal
from skillsmith.models import Json

_KEEP = """
INSERT INTO proposals (skill_name, version, fingerprint, kind, target, change, evidence, expected, status,
                       verdict, new_version, reason, at, decided_at)
VALUES (:skill, :version, :fingerprint, :kind, :target, :change, :evidence, :expected, :status, :verdict,
        :new_version, :reason, :at, :decided_at)
ON CONFLICT (skill_name, fingerprint) DO UPDATE SET
  version = excluded.version, evidence = excluded.evidence, expected = excluded.expected,
  status = excluded.status, verdict = excluded.verdict, new_version = excluded.new_version,
  reason = excluded.reason, decided_at = excluded.decided_at
"""
_OF = """
SELECT p.* FROM proposals p JOIN skills s ON s.name = p.skill_name
WHERE p.skill_name = ? AND p.at >= s.created_at ORDER BY p.id
"""
_FORGET = """
DELETE FROM proposals
WHERE skill_name = :skill AND at < (SELECT created_at FROM skills WHERE name = :skill)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One proposal as it was decided.

    Args:
        status: open, applied or rejected; ``open``: looked at, and left open.
        verdict: The gate's, as JSON.
        new_version: The version that it became part of.
    """

    fingerprint: str
    kind: str
    target: str
    version: int
    status: str
    verdict: Mapping[str, Json]
    new_version: int | None
    reason: str
    at: float


class ProposalRows:
    """Reads and writes the memory.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, skill: str) -> dict[str, Remembered]:
        """Return what is remembered of a skill's proposals, by fingerprint."""
        return {row["fingerprint"]: _remembered(row) for row in self._db.all(_OF, (skill,))}

    def keep(
        self,
        proposal: Proposal,
        *,
        status: str,
        verdict: Mapping[str, Json],
        new_version: int | None = None,
        reason: str = "",
    ) -> None:
        """Remember how a proposal was decided.

        Args:
            proposal: The proposal.
            status: open, applied or rejected.
            verdict: The gate's.
            new_version: The version that it became part of.
            reason: The user's.
        """
        now = time.time()
        with self._db.transaction():
            self._db.execute(_FORGET, {"skill": proposal.skill})
            self._db.execute(_KEEP, {
                "skill": proposal.skill, "version": proposal.version, "fingerprint": proposal.fingerprint,
                "kind": proposal.kind, "target": proposal.target, "change": dump_json(dict(proposal.change)),
                "evidence": dump_json(dict(proposal.evidence)),
                "expected": dump_json(dict(proposal.expected)),
                "status": status, "verdict": dump_json(dict(verdict)), "new_version": new_version,
                "reason": reason, "at": now, "decided_at": now,
            })  # fmt: skip


def _remembered(row: Row) -> Remembered:
    return Remembered(
        fingerprint=row["fingerprint"], kind=row["kind"], target=row["target"], version=row["version"],
        status=row["status"], verdict=load_json(row["verdict"]), new_version=row["new_version"],
        reason=row["reason"], at=row["at"],
    )  # fmt: skip
