"""Leave one run out: does the skill made from a family's other runs make the changes of that one?

Families are told by the reference solution's changing tools (what the data calls a family) and, beside it, by
the changing tools that the runs really used with success (what the extractor itself goes by).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from skillsmith.library.families.generalises import LeftOut, leave_one_out
from skillsmith.library.trace.align import TracedRun

MIN_RUNS = 3


def by_reference(run: TracedRun, writes: set[str]) -> tuple[str, ...]:
    """Return the changing tools of the task's reference solution."""
    return tuple(sorted({action["name"] for action in run.run.metadata.get("actions", ())} & writes))


def by_deeds(run: TracedRun, writes: set[str]) -> tuple[str, ...]:
    """Return the changing tools that the run used with success."""
    return tuple(sorted({call.name for call in run.goals} & writes))


def measure_families(
    runs: Iterable[TracedRun],
    writes: set[str],
    kind: Callable[[TracedRun, set[str]], tuple[str, ...]],
) -> dict[str, dict[str, Any]]:
    """Return the figures of every family with enough successful runs.

    Args:
        runs: Successful ones.
        writes: The tools that change the database.
        kind: Tells a run's family.
    """
    groups: dict[tuple[str, ...], list[TracedRun]] = {}
    for run in runs:
        groups.setdefault(kind(run, writes), []).append(run)
    return {
        "+".join(tools) or "no-write": _figures(leave_one_out(group))
        for tools, group in sorted(groups.items())
        if len(group) >= MIN_RUNS
    }


def _figures(found: Sequence[LeftOut]) -> dict[str, Any]:
    good = [one for one in found if one.fit.problem is None]
    return {
        "runs": len(found),
        "tasks": len({one.run.task for one in found}),
        "with_changes": sum(one.fit.changes > 0 for one in found),
        "regenerated": len(good),
        "share": round(len(good) / len(found), 3),
        "inputs_from_words": sum(len(one.fit.said) for one in good),
        "inputs_from_record": sum(len(one.fit.given) for one in good),
        "defeated": {str(one.run.run.native_id): one.fit.problem for one in found if one.fit.problem},
    }


def share_of_changes(families: dict[str, dict[str, Any]]) -> float:
    """Return the share of runs regenerated over all families that change something."""
    changing = [figures for name, figures in families.items() if name != "no-write"]
    total: int = sum(figures["runs"] for figures in changing)
    regenerated: int = sum(figures["regenerated"] for figures in changing)
    return round(regenerated / (total or 1), 3)
