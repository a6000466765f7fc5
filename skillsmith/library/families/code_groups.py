"""Which runs of code belong together: code of one shape makes their results, for tasks in like words."""

from __future__ import annotations

from collections.abc import Sequence

from skillsmith.library.families.code_columns import CodedRun
from skillsmith.library.families.groups import MIN_LIKENESS, words_likeness


def code_families(runs: Sequence[CodedRun]) -> list[list[CodedRun]]:
    """Return the families among successful runs, largest first; a run that is like no other is its own."""
    groups: list[list[CodedRun]] = []
    for run in runs:
        near = [group for group in groups if any(_alike(run, one) for one in group)]
        groups = [group for group in groups if group not in near]
        groups.append([*(one for group in near for one in group), run])
    return sorted(groups, key=lambda group: -len(group))


def attempted_code(run: CodedRun, family: Sequence[CodedRun]) -> bool:
    """Tell whether a failed run tried what a family does: it has a block like one that makes a result."""
    shapes = {shape.key for shape in run.shapes.values()}
    return any(
        one.shape(facts).key in shapes and words_likeness(run.task, one.task) >= MIN_LIKENESS
        for one in family
        for facts in one.results()
    )


def _alike(one: CodedRun, other: CodedRun) -> bool:
    """Whether a block that makes a result has the same shape in both."""
    shapes = {one.shape(facts).key for facts in one.results()}
    shared = any(other.shape(facts).key in shapes for facts in other.results())
    return shared and words_likeness(one.task, other.task) >= MIN_LIKENESS
