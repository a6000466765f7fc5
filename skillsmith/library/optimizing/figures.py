"""Figures of paired trials: how much better one side is than the other, and how sure that is.

Both sides did the same inputs in turn, so each pair is its own control: what makes one input slow makes both
slow. Ratios are compared by their logarithms with Student's t, sums by a bootstrap over the pairs, and wins
against losses by the sign test.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from skillsmith.models import Json

RESAMPLES = 2_000
_Z = 1.959963984540054
_MIN_PAIRS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """By which share the child is better than the parent; negative: worse.

    Args:
        parent: Mean of the parent's side.
        child: Mean of the child's side.
        gain: Share saved, with the bounds of its 95 % confidence interval.
    """

    parent: float
    child: float
    gain: float
    low: float
    high: float

    def document(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {
            "parent": self.parent, "child": self.child, "gain": self.gain, "low": self.low,
            "high": self.high,
        }  # fmt: skip

    @property
    def words(self) -> str:
        """It in words, with its interval."""
        return f"{self.gain:+.0%} ({self.low:+.0%} … {self.high:+.0%})"


def student(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t, to three digits from 3 degrees of freedom on.

    Args:
        freedom: Degrees of freedom, from 1.
    """
    exact = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
    if freedom in exact:
        return exact[freedom]
    z, v = _Z, float(freedom)
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def ratio_gain(pairs: Sequence[tuple[float, float]]) -> Gain | None:
    """Return the gain by the geometric mean of the pairs' ratios, with Student's interval.

    Args:
        pairs: Parent's and child's figure of the same input, each above zero; at least two.
    """
    if len(pairs) < _MIN_PAIRS or any(min(pair) <= 0 for pair in pairs):
        return None
    logs = [math.log(child / parent) for parent, child in pairs]
    middle = statistics.fmean(logs)
    spread = student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Gain(
        parent=statistics.fmean(parent for parent, _ in pairs),
        child=statistics.fmean(child for _, child in pairs),
        gain=1 - math.exp(middle), low=1 - math.exp(middle + spread), high=1 - math.exp(middle - spread),
    )  # fmt: skip


def sum_gain(pairs: Sequence[tuple[float, float]]) -> Gain | None:
    """Return the gain by the sums of both sides, with a bootstrap interval; None when the parent has none.

    Args:
        pairs: Parent's and child's figure of the same input, zero or more; at least two.
    """
    whole = sum(parent for parent, _ in pairs)
    if len(pairs) < _MIN_PAIRS or whole <= 0:
        return None
    chance = random.Random(len(pairs))  # noqa: S311  (the same figures for the same pairs; no secret)
    found = []
    for _ in range(RESAMPLES):
        drawn = chance.choices(pairs, k=len(pairs))
        parent = sum(one for one, _ in drawn)
        if parent > 0:
            found.append(1 - sum(one for _, one in drawn) / parent)
    found.sort()
    edge = round(0.025 * len(found))
    return Gain(
        parent=whole / len(pairs), child=sum(child for _, child in pairs) / len(pairs),
        gain=1 - sum(child for _, child in pairs) / whole, low=found[edge], high=found[-1 - edge],
    )  # fmt: skip


def sign_chance(won: int, lost: int) -> float:
    """Return how likely at least so many wins are when wins and losses are equally likely."""
    total = won + lost
    return float(sum(comb(total, count) for count in range(won, total + 1)) / 2**total)
