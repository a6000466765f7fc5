"""How far rates can be trusted: confidence intervals that hold for few trials, too.

A single rate gets Wilson's score interval, the difference of two rates Newcombe's hybrid of two of those
(method 10 of his 1998 paper). Neither leaves the possible range, and neither calls one success of one trial
certain, as the textbook interval does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval | None:
    """Return a success rate with its Wilson score interval; None without trials.

    Args:
        successes: How many of the trials succeeded.
        trials: How many there were.
    """
    if not trials:
        return None
    rate, square = successes / trials, _Z * _Z
    centre = rate + square / (2 * trials)
    spread = _Z * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    low = (centre - spread) / scale if successes else 0.0  # exactly 0 and 1 there, but for rounding
    high = (centre + spread) / scale if successes < trials else 1.0
    return Interval(rate, min(max(low, 0.0), rate), max(min(high, 1.0), rate))


def newcombe(one: Interval, other: Interval) -> Interval:
    """Return how much larger one rate is than another, with Newcombe's hybrid score interval.

    Args:
        one: A rate as ``wilson`` gives it.
        other: An independent one.
    """
    difference = one.value - other.value
    below = math.hypot(one.value - one.low, other.high - other.value)
    above = math.hypot(one.high - one.value, other.value - other.low)
    return Interval(difference, max(difference - below, -1.0), min(difference + above, 1.0))
