"""From the parts of a match to one score, and from the scores of all candidates to calibrated confidence.

A score orders candidates; confidence also asks how far the best leads. A skill that fits as well as another
is at best as likely as the other, and one that fits no better than an unrelated skill would is no match.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from skillsmith.library.matching.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What is known of one candidate, each 0 to 1 (``words`` may exceed it a little).

    Args:
        semantic: Similarity in meaning.
        words: Share of what the task tells that the skill's text holds.
        phrasing: Likeness in wording to the closest earlier task.
        name: How far the task says the skill's name.
        tags: Share of the skill's tags that the task says.
        structure: Share of the required inputs that the task binds; 1 when nothing is required.
        evidence: Lower bound of the success rate; 0 before the first execution.
        failing: Lower bound of the failure rate; 0 before the first execution.
    """

    semantic: float
    words: float
    phrasing: float = 0.0
    name: float = 0.0
    tags: float = 0.0
    structure: float = 1.0
    evidence: float = 0.0
    failing: float = 0.0


def score(features: Features, weights: Weights) -> float:
    """Return the sum of the weighted parts; only differences of scores mean something."""
    return (
        weights.semantic * features.semantic
        + weights.words * features.words
        + weights.phrasing * features.phrasing
        + weights.name * features.name
        + weights.tags * features.tags
        - weights.structure * (1 - features.structure)
        + weights.evidence * (features.evidence - features.failing)
    )


def parts(features: Features, weights: Weights) -> dict[str, float]:
    """Return the five parts that are shown, each 0 to 1."""
    lexical = (
        weights.words * features.words + weights.phrasing * features.phrasing + weights.name * features.name
    ) / (weights.words + weights.phrasing + weights.name)
    shown = {
        "semantic": features.semantic,
        "lexical": lexical,
        "tags": features.tags,
        "structure": features.structure,
        "evidence": features.evidence,
    }
    return {name: round(min(max(value, 0.0), 1.0), 4) for name, value in shown.items()}


def confidences(scores: Sequence[float], weights: Weights) -> list[float]:
    """Return the chance of each candidate to be right; in the order of the scores, and with equal ranks.

    Args:
        scores: Of all candidates, in any order.
        weights: What turns scores into confidence.
    """
    ordered = sorted(scores, reverse=True)
    found = []
    for value in scores:
        place = min(ordered.index(value), 2)
        others = [*ordered[:place], *ordered[place + 1 : 3], -math.inf, -math.inf]
        next_best, third = (max(other, weights.floor) for other in others[:2])
        odds = (
            weights.over_next * _lead(value - next_best)
            + weights.over_third * _lead(value - third)
            + weights.bias
        )
        found.append(1 / (1 + math.exp(-odds)))
    return found


def _lead(difference: float) -> float:
    """Return a difference of scores on a scale on which a large lead does not grow much further."""
    return math.copysign(math.log1p(abs(difference)), difference)
