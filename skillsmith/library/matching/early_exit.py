"""When words alone decide which skill is to run, so that the model need not be asked.

Whoever runs a skill needs the best one and how sure that is, not the ranking. Where a task is an earlier
task of a skill with other values and no other skill comes near in words, meaning changes nothing. Of the
tasks of the labelled sets, with their right skills in the library and without them, 204 are such: two thirds
of those that people cut from templates, a sixth or less of those told as stories. The matcher with vectors
gives each of them the same answer; with half the lead it would differ in 1 of 40. Confidence is that of words
alone, which is calibrated by itself. Asking the model costs 6 ms, and 0.2 s in a new process.
"""

from __future__ import annotations

from collections.abc import Sequence

from skillsmith.library.matching.ranking import Candidate
from skillsmith.library.matching.weights import WORDS_ALONE

PHRASING = 0.7
"""The least likeness in phrasing to an earlier task or to the pattern, values apart."""
LEAD = 6.0
"""The least lead over the next skill, or over what an unrelated one would reach; rare words alone give 10."""


def decided(candidates: Sequence[Candidate]) -> bool:
    """Tell whether words leave no doubt about the best of some candidates, and it lacks no input.

    Args:
        candidates: Ranked on words alone, best first.
    """
    if not candidates:
        return False
    best, *others = candidates
    next_best = max(others[0].score if others else WORDS_ALONE.floor, WORDS_ALONE.floor)
    alike = best.features.phrasing >= PHRASING and best.score - next_best >= LEAD
    return alike and not best.binding.missing
