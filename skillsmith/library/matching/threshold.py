"""From which confidence on a skill is the answer: the default, moved by what came of a library's matches.

Confidence is calibrated on labelled sets, and a library can be easier or harder than those. The executions of
skills that the matcher chose say which: one number, by which the log odds of all confidences would have to be
shifted to agree with the outcomes, is estimated from them, with a prior that keeps it near zero while there
are few. The threshold moves by as much the other way, within bounds; confidences stay as they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from skillsmith.db import Database
from skillsmith.library.matching.weights import MIN_CONFIDENCE

ENOUGH = 10
"""Executions below which nothing is learned."""
NEWEST = 500
"""Executions that are looked at."""
PRIOR_SPREAD = 0.7
"""Of the shift, in log odds: what one library may differ from another before it has shown anything."""
LEAST, MOST = 0.5, 0.85
"""Bounds: never an answer that is more likely wrong than right, and never none but the certain ones."""
STEPS = 20
ENOUGH_STEPS_BELOW = 1e-9
"""Newton's method doubles its digits with each step: four or five are enough."""

_OUTCOMES = """
SELECT confidence, success FROM (SELECT confidence, success FROM executions ORDER BY pk DESC LIMIT ?)
WHERE confidence IS NOT NULL AND success IS NOT NULL
"""

Outcomes = Sequence[tuple[float, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The confidence that is needed.

    Args:
        value: 0 to 1.
        executions: How many executions moved it from the default; 0: it is the default.
        succeeded: How many of them succeeded.
    """

    value: float
    executions: int = 0
    succeeded: int = 0

    def __str__(self) -> str:
        """Return it for people, with what moved it."""
        if not self.executions:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} (as {self.succeeded} of {self.executions} executions of matches succeeded)"


def learned_threshold(db: Database) -> Threshold:
    """Return the threshold of a library by what its executions show.

    Args:
        db: The connection.
    """
    outcomes = [(row[0], bool(row[1])) for row in db.all(_OUTCOMES, (NEWEST,))]
    if len(outcomes) < ENOUGH:
        return Threshold(value=MIN_CONFIDENCE)
    moved = _chance(_log_odds(MIN_CONFIDENCE) - shift_of(outcomes))
    succeeded = sum(success for _, success in outcomes)
    return Threshold(
        value=round(min(max(moved, LEAST), MOST), 2), executions=len(outcomes), succeeded=succeeded
    )


def shift_of(outcomes: Outcomes) -> float:
    """Return by how much the log odds of confidences are too small, from what came of them.

    The most likely shift under a normal prior, by Newton's method; the function is convex in one number.

    Args:
        outcomes: Confidence and success of each execution.
    """
    counts = Counter((round(sure, 2), success) for sure, success in outcomes)
    given = [(_log_odds(sure), success, count) for (sure, success), count in counts.items()]
    shift = 0.0
    for _ in range(STEPS):
        surplus, bend = -shift * PRIOR_SPREAD**-2, PRIOR_SPREAD**-2
        for odds, success, count in given:
            chance = _chance(odds + shift)
            surplus += count * (success - chance)
            bend += count * chance * (1 - chance)
        shift += surplus / bend
        if abs(surplus / bend) < ENOUGH_STEPS_BELOW:
            break
    return shift


def _log_odds(chance: float) -> float:
    bounded = min(max(chance, 0.01), 0.99)
    return math.log(bounded / (1 - bounded))


def _chance(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))
