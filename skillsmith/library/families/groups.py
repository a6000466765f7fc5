"""Which runs belong together: those that changed the same things, for tasks in like words.

A family is runs whose changes call the same set of tools; runs that only looked are told apart by the tools
they looked with. Tools alone can be too general (one ``execute`` for everything), so the tasks must also have
words in common.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from skillsmith.library.trace.align import TracedRun

MIN_LIKENESS = 0.05
"""Cosine of the words of two tasks from which they may be of one family."""

_NO_WORDS = frozenset(
    "and are but can for from has have her him his how into its not our out she that the their them then "
    "they this to was were what when which will with would you your".split()
)


@dataclass(frozen=True, slots=True)
class Family:
    """Runs of one kind of task.

    Args:
        tools: What they changed with, or looked with when they changed nothing; sorted.
        runs: In the order given.
    """

    tools: tuple[str, ...]
    runs: tuple[TracedRun, ...]


def families(runs: Sequence[TracedRun]) -> list[Family]:
    """Return the families among successful runs, largest first; a run that is like no other is its own."""
    by_tools: dict[tuple[bool, tuple[str, ...]], list[TracedRun]] = {}
    for run in runs:
        by_tools.setdefault((bool(run.goals), tools_of(run)), []).append(run)
    found = [Family(tools, tuple(group)) for (_, tools), known in by_tools.items() for group in _alike(known)]
    return sorted(found, key=lambda one: -len(one.runs))


def tools_of(run: TracedRun) -> tuple[str, ...]:
    """Return the tools that tell a run's family."""
    return tuple(sorted({call.name for call in run.goals or run.looks}))


def attempted(run: TracedRun, family: Family) -> bool:
    """Tell whether a failed run tried what a family does: it called all of its tools, whatever came of it."""
    called = {call.name for call in run.calls}
    return set(family.tools) <= called and any(likeness(run, other) >= MIN_LIKENESS for other in family.runs)


def _alike(runs: Sequence[TracedRun]) -> list[list[TracedRun]]:
    """Group runs so that each is like at least one other of its group."""
    groups: list[list[TracedRun]] = []
    for run in runs:
        near = [group for group in groups if any(likeness(run, one) >= MIN_LIKENESS for one in group)]
        groups = [group for group in groups if group not in near]
        groups.append([*(one for group in near for one in group), run])
    return groups


def likeness(one: TracedRun, other: TracedRun) -> float:
    """Return the cosine of the words of two runs' tasks, 0 to 1."""
    return words_likeness(one.task, other.task)


def words_likeness(one: str, other: str) -> float:
    """Return the cosine of the words of two tasks, 0 to 1."""
    if one == other:
        return 1.0
    first, second = _words(one), _words(other)
    norm = sqrt(sum(n * n for n in first.values()) * sum(n * n for n in second.values()))
    return sum(count * second[word] for word, count in first.items()) / norm if norm else 0.0


def _words(text: str) -> Counter[str]:
    return Counter(word for word in re.findall(r"[^\W\d_]{3,}", text.lower()) if word not in _NO_WORDS)
