"""How much each part of a match counts, and where every number comes from.

``python bench/fit_match.py SET_DIR…`` fits them on labelled sets of new tasks and the skills that are right
for them. ``semantic``, ``words``, ``phrasing`` and ``name`` decide the order: on a grid, the weights with the
largest mean lead over the better of meaning alone and words alone, every source of tasks counting the same.
``floor``, ``over_next``, ``over_third`` and ``bias`` turn scores into the chance that a skill is right:
logistic regression on the same tasks with and without their right skills (nine to one), in libraries of all
sizes from one skill up, its log odds then stretched and shifted to be right over all tasks of the sets.

``tags``, ``structure`` and ``evidence`` are priors, because no labelled set has typed inputs or executions:
small beside the others, so that they decide between skills that are otherwise about equal.
"""

from __future__ import annotations

from dataclasses import dataclass

MIN_CONFIDENCE = 0.6
"""Below it the answer is that none fits. A wrong skill costs more than that answer, so it is more than half:
on the task families of the labelled sets three of four tasks without a skill then get that answer, and 4 in
100 of the others (``bench/match.py``). What a library's own executions show moves it (threshold.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights of the parts of a score, and what turns scores into confidence.

    Args:
        semantic: Of the cosine of task and skill.
        words: Of the share of what the task tells that the skill's text holds.
        phrasing: Of the likeness in phrasing, values apart, to the closest earlier task.
        name: Of the words of the skill's name that the task says.
        tags: Of the share of the skill's tags that the task says.
        structure: Of the share of the required inputs that the task leaves unbound; counts against the skill.
        evidence: Of what executions prove: the least success rate less the least failure rate.
        floor: The score that a skill reaches which has nothing to do with the task.
        over_next: Of the lead over the next best skill, or over the floor.
        over_third: Of the lead over the third best skill, or over the floor.
        bias: Log odds of a skill without any lead.
    """

    semantic: float
    words: float
    phrasing: float
    name: float
    tags: float
    structure: float
    evidence: float
    floor: float
    over_next: float
    over_third: float
    bias: float


WITH_VECTORS = Weights(
    semantic=10.0, words=2.0, phrasing=6.0, name=6.0, tags=0.5, structure=1.0, evidence=1.0,
    floor=1.5, over_next=2.052, over_third=0.516, bias=-1.496,
)  # fmt: skip
WORDS_ALONE = Weights(
    semantic=0.0, words=10.0, phrasing=8.0, name=6.0, tags=0.5, structure=1.0, evidence=1.0,
    floor=1.0, over_next=2.017, over_third=0.0, bias=-1.506,
)  # fmt: skip
