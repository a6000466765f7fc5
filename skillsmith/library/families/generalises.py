"""Proofs over several runs: that a family's skill does what each run did, and what a run it never saw did.

``reconstructs`` fits the skill to every run it was made from. ``generalises`` leaves one run out at a time:
the skill made from the others alone must make exactly the changes of that one. Its inputs are values that
people said in that run where they said them; the rest is given from its record, and the proof says which.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from skillsmith.errors import ExtractionError
from skillsmith.library.families.fitting import Fit, fit
from skillsmith.library.families.merging import family_skill
from skillsmith.library.trace.align import TracedRun
from skillsmith.models import Json, Proof, Skill

MAX_LEFT_OUT = 30
"""Of a larger family only so many runs are left out in turn, evenly chosen; the proof says how many."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One run, and how the skill from the others does with it."""

    run: TracedRun
    fit: Fit

    def document(self) -> dict[str, Json]:
        """Return it as a proof keeps it."""
        return {
            "run": self.run.run.id, "regenerated": self.fit.problem is None, "changes": self.fit.changes,
            "from_words": list(self.fit.said), "from_record": list(self.fit.given),
            "problem": self.fit.problem,
        }  # fmt: skip


def reconstructs_all(skill: Skill, runs: Sequence[TracedRun]) -> Proof:
    """Prove that the skill makes every change of every run it was made from.

    Args:
        skill: As it is stored.
        runs: Those it was made from.
    """
    began = time.time()
    fits = [(run, fit(skill, run)) for run in runs]
    failures = [f"{_short(run)}: {one.problem}" for run, one in fits if one.problem is not None]
    changes = sum(one.changes for _, one in fits)
    return Proof(
        level="reconstructs", passed=not failures and changes > 0, compared=changes, failures=tuple(failures),
        detail={"runs": len(runs), "calls": changes}, at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


def generalises(runs: Sequence[TracedRun], failed: Sequence[TracedRun] = ()) -> Proof:
    """Prove that a skill from all runs but one regenerates the changes of that one, for each in turn.

    Args:
        runs: The family, at least two.
        failed: Runs of the family that failed: they give checks, which must hold for the one left out.
    """
    began = time.time()
    found = leave_one_out(runs, failed)
    failures = tuple(f"{_short(one.run)}: {one.fit.problem}" for one in found if one.fit.problem is not None)
    detail: dict[str, Json] = {
        "kind": "leave-one-run-out", "regenerated": len(found) - len(failures), "runs": len(runs),
        "tasks": len({one.run.task for one in found}), "left_out": [one.document() for one in found],
    }  # fmt: skip
    return Proof(
        level="generalises", passed=not failures, compared=len(found), failures=failures, detail=detail,
        at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


def leave_one_out(runs: Sequence[TracedRun], failed: Sequence[TracedRun] = ()) -> list[LeftOut]:
    """Return for each run, of many for some, how the skill made from all others does with it."""
    result = []
    step = max(len(runs) / MAX_LEFT_OUT, 1.0)
    for number in dict.fromkeys(int(place * step) for place in range(min(len(runs), MAX_LEFT_OUT))):
        run = runs[number]
        others = [*runs[:number], *runs[number + 1 :]]
        try:
            result.append(LeftOut(run, fit(family_skill(others, failed), run)))
        except ExtractionError as error:
            result.append(LeftOut(run, Fit(problem=f"the other runs give no skill: {error.message}")))
    return result


def _short(run: TracedRun) -> str:
    return f"run {run.run.id[:13]}"
