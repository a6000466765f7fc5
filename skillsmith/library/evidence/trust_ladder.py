"""The ladder of trust: a proven version becomes trusted by what its executions show, and loses that again.

Every threshold stands here. A rule moves a version between ``proven`` and ``trusted`` and nowhere else: a
draft is proven by a proof, what came from elsewhere leaves quarantine by its user alone, and retiring is only
ever proposed. Each move is in the skill's history with the figures it rests on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from skillsmith.db import Database, Row
from skillsmith.library.evidence.intervals import Interval, wilson
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.proposing.proposals import Proposal
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Json, Skill, SkillState

WINDOW = 50
"""Finished executions of a version that count: the newest."""

TRUST_EXECUTIONS = 20
"""A version is trusted from as many finished executions on …"""

TRUST_LOW = 0.8
"""… when the lower end of its success rate's Wilson 95 % interval is at least this (20 of 20 give 0.84) …"""

KEEP_LOW = 0.7
"""… and stays it until that end falls below this: between the two nothing moves, so that nothing flickers."""

DISTRUST_HIGH = 0.7
"""A version that a person trusted loses it, whatever the number, when even the upper end is below this."""

RETIRE_EXECUTIONS = 10
"""A version is called harmful from as many finished executions on …"""

RETIRE_HIGH = 0.5
"""… when the upper end of its success rate is below this, or runs without it do surely better."""

STALE_DAYS = 180.0
"""A skill that nobody used for so long is proposed to be retired."""

_DAY = 86_400.0
_VERDICTS = f"""
SELECT v.state, x.success FROM skill_versions v
LEFT JOIN executions x ON x.skill_version = v.pk AND x.success IS NOT NULL
WHERE v.id = ? ORDER BY x.pk DESC LIMIT {WINDOW}
"""  # noqa: S608  (a number of our own)
_LAST_USE = """
SELECT max(x.started_at) FROM executions x JOIN skill_versions v ON v.pk = x.skill_version
JOIN skills s ON s.pk = v.skill WHERE s.name = ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One move on the ladder."""

    skill: str
    version: int
    before: SkillState
    after: SkillState
    reason: str


class TrustLadder:
    """Moves versions up and down by rule, and proposes which skills to retire.

    Args:
        db: The connection.
        skills: The library.
        clock: Gives the time, as Unix seconds.
    """

    def __init__(
        self, db: Database, skills: SkillRepository, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._db = db
        self._skills = skills
        self._ledger = ExecutionLedger(db)
        self._clock = clock

    def verdict(self, skill: Skill) -> tuple[SkillState, str]:
        """Return the state that the rule gives a version, and why; its own state when nothing moves it.

        Args:
            skill: A stored version.
        """
        return self._verdict(skill, *self._rate(skill))

    def _verdict(self, skill: Skill, rate: Interval | None, count: int) -> tuple[SkillState, str]:
        if rate is None or skill.state not in ("proven", "trusted"):
            return skill.state, ""
        shown = (
            f"{round(rate.value * count)} of its last {count} executions succeeded (at least {rate.low:.0%})"
        )
        if skill.state == "proven":
            earned = count >= TRUST_EXECUTIONS and rate.low >= TRUST_LOW
            return ("trusted", shown) if earned and not self._is_worse(skill) else ("proven", "")
        lost = rate.high < DISTRUST_HIGH or (count >= TRUST_EXECUTIONS and rate.low < KEEP_LOW)
        return ("proven", shown) if lost else ("trusted", "")

    def _rate(self, skill: Skill) -> tuple[Interval | None, int]:
        return _rate_in(self._db.all(_VERDICTS, (skill.id,)))

    def _is_worse(self, skill: Skill) -> bool:
        """Whether runs without the skill surely do better than this version."""
        difference = self._ledger.stats(skill.name, version=skill.version)["difference"]
        return difference is not None and difference["verdict"] == "worse"

    def after_execution(self, skill: Skill) -> Step | None:
        """Move a version that was just executed when the rule says so, and return the move.

        Args:
            skill: As it was executed; what is not stored is left alone.
        """
        rows = self._db.all(_VERDICTS, (skill.id,)) if skill.id else []
        if not rows:
            return None
        now = replace(skill, state=rows[0]["state"])
        moves = self._verdict(now, *_rate_in(rows))[0] != now.state  # most often not: then nothing is locked
        return self.apply(skill) if moves else None

    def apply(self, skill: Skill) -> Step | None:
        """Move a version when the rule says so, with the reason in its history; return the move.

        Args:
            skill: A stored version; its state is read anew.

        Raises:
            NotFoundError: There is no such version.
        """
        ref = f"{skill.name}@{skill.version}"
        with self._skills.transaction():
            before = self._skills.state(ref)
            after, reason = self.verdict(replace(skill, state=before))
            if after == before:
                return None
            self._skills.set_state(ref, after, reason=reason)
        return Step(skill=skill.name, version=skill.version, before=before, after=after, reason=reason)

    # --------------------------------------------------------------------------------------- retirement

    def retirements(self) -> Iterator[Proposal]:
        """Yield proposals to retire skills that nobody uses, or that do harm."""
        for name in self._skills.names():
            skill = self._skills.get(name)
            if skill.state != "retired":
                yield from self._harmful(skill)
                yield from self._stale(skill)

    def _harmful(self, skill: Skill) -> Iterator[Proposal]:
        rate, count = self._rate(skill)
        if rate is None or count < RETIRE_EXECUTIONS:
            return
        figures: dict[str, Json] = {
            "executions": count, "count": round(rate.value * count), "share": rate.value, "low": rate.low,
            "high": rate.high,
        }  # fmt: skip
        if rate.high < RETIRE_HIGH:
            text = f"only {round(rate.value * count)} of its last {count} executions succeeded"
        elif self._is_worse(skill):
            text = "runs without it surely succeed more often"
        else:
            return
        yield _retire(skill, text, figures)

    def _stale(self, skill: Skill) -> Iterator[Proposal]:
        used = self._db.scalar(_LAST_USE, (skill.name,))
        since = max(used or 0.0, skill.created_at or 0.0)
        days = (self._clock() - since) / _DAY
        if days >= STALE_DAYS:
            what = "used" if used else "ever used"
            figures: dict[str, Json] = {"executions": 0, "days": round(days), "last_used_at": used}
            yield _retire(skill, f"nobody has {what} it for {days:.0f} days", figures)


def _rate_in(rows: Sequence[Row]) -> tuple[Interval | None, int]:
    """Return the success rate that rows of ``_VERDICTS`` show, and of how many executions."""
    verdicts = [bool(row["success"]) for row in rows if row["success"] is not None]
    return wilson(sum(verdicts), len(verdicts)), len(verdicts)


def _retire(skill: Skill, text: str, figures: dict[str, Json]) -> Proposal:
    return Proposal(
        kind="retire", target=skill.name, change={"state": "retired"}, skill=skill.name,
        version=skill.version, evidence={**figures, "text": text},
    )  # fmt: skip
