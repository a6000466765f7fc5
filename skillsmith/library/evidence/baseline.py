"""What the user's own agents do on a skill's kind of task without the skill, and whether the skill is better.

Nothing is estimated: the baseline is a list of recorded runs, each with the rule that put it there, and every
figure is counted from it. A run belongs to a skill's family when, in this order,

1. ``source``: a version of the skill was made from it;
2. ``same task``: the skill was executed on the very same task (but for case and spacing);
3. ``pattern``: its task is the skill's task pattern with other values in it;
4. ``wording``: its task shares at least 70 % of its words (Dice's coefficient over stems) with one of the
   tasks that the skill has served.

Runs of skills, runs without a known outcome and runs without a task are never in it. By the last two rules
only the newest 2,000 runs are judged.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, TypeAlias

from skillsmith.db import Database, Row
from skillsmith.events import dump_json, load_json
from skillsmith.library.evidence.intervals import newcombe, wilson
from skillsmith.library.matching.anchors import match_whole
from skillsmith.library.matching.wording import likeness
from skillsmith.models import Json

Rule: TypeAlias = Literal["source", "same task", "pattern", "wording"]

LIKE = 0.7
"""Dice's coefficient from which two wordings count as one kind of task."""

MARGIN = 0.1
"""Durations and costs that differ by less than this share count as equal."""

MOSTLY = 0.5
"""From this share of successes on, runs without the skill are said to succeed."""

NEWEST = 2_000
SHOWN_RUNS = 20

_PLAIN = """
SELECT r.id, r.task, r.outcome = 'success' AS success, r.duration_seconds, r.cost_usd FROM runs r
WHERE r.source <> 'execution' AND r.outcome <> 'unknown' AND r.task <> ''
"""
_NAMED = f"{_PLAIN} AND r.id IN (SELECT value FROM json_each(:ids))"  # noqa: S608  (constants only)
_SAME = f"{_PLAIN} AND r.task IN (SELECT value FROM json_each(:tasks))"  # noqa: S608  (as above)
_RECENT = f"{_PLAIN} ORDER BY r.pk DESC LIMIT :newest"
_VERSIONS = """
SELECT v.version, v.version = s.current_version AS current, v.task_pattern, v.examples, v.source_run_ids,
  v.variables
FROM skills s JOIN skill_versions v ON v.skill = s.pk WHERE s.name = :name
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRun:
    """A run without the skill.

    Args:
        rule: What makes it one of the family.
    """

    id: str
    task: str
    success: bool
    duration_seconds: float | None
    cost_usd: float | None
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A finished execution of the skill."""

    task: str
    success: bool
    duration_seconds: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What makes a task one of a skill's kind.

    Args:
        source_runs: Ids of the runs that its versions came from.
        tasks: Those it was executed on.
        pattern: The task pattern of the version asked about.
        names: The pattern's variables.
        examples: Tasks it has served, as they were worded.
    """

    source_runs: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    pattern: str = ""
    names: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    _judged: dict[str, Rule | None] = field(default_factory=dict)

    def rule_for(self, run_id: str, task: str) -> Rule | None:
        """Return the rule by which a run belongs here, or None."""
        if run_id in self.source_runs:
            return "source"
        key = _folded(task)
        if key not in self._judged:
            self._judged[key] = self._judge(task, key)
        return self._judged[key]

    def _judge(self, task: str, key: str) -> Rule | None:
        if key in self.tasks:
            return "same task"
        if self.pattern and match_whole(self.pattern, task, self.names):
            return "pattern"
        return "wording" if likeness(task, self.examples) >= LIKE else None


def _folded(task: str) -> str:
    return " ".join(task.split()).casefold()


class BaselineReader:
    """Finds the runs without a skill that a skill is to be measured against.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def runs(self, name: str, *, version: int | None, tasks: Iterable[str]) -> list[PlainRun]:
        """Return the family's runs without the skill, newest first.

        Args:
            name: Of the skill; of a deleted one, only runs of the same tasks are found.
            version: Whose task pattern counts; None: the current one's.
            tasks: What the skill was executed on.
        """
        used = list(dict.fromkeys(task for task in tasks if task))
        family = self._family(name, version, used)
        found = chain(
            self._db.all(_NAMED, {"ids": _json(family.source_runs)}),
            self._db.all(_SAME, {"tasks": _json(used)}),
            self._db.all(_RECENT, {"newest": NEWEST}),
        )
        rows = {row["id"]: row for row in found}
        return [
            _plain_run(row, rule)
            for identity, row in sorted(rows.items(), reverse=True)
            if (rule := family.rule_for(identity, row["task"])) is not None
        ]

    def _family(self, name: str, version: int | None, used: Sequence[str]) -> Family:
        versions = self._db.all(_VERSIONS, {"name": name})
        asked = next((row for row in versions if row["version"] == version), None)
        chosen = asked or next((row for row in versions if row["current"]), None)
        tasks = frozenset(map(_folded, used))
        if chosen is None:
            return Family(tasks=tasks)
        return Family(
            source_runs=frozenset(chain.from_iterable(load_json(row["source_run_ids"]) for row in versions)),
            tasks=tasks,
            pattern=chosen["task_pattern"],
            names=tuple(variable["name"] for variable in load_json(chosen["variables"])),
            examples=tuple(load_json(chosen["examples"])),
        )


def _json(values: Iterable[str]) -> str:
    return dump_json(sorted(values))


def _plain_run(row: Row, rule: Rule) -> PlainRun:
    return PlainRun(
        id=row["id"], task=row["task"], success=bool(row["success"]),
        duration_seconds=row["duration_seconds"], cost_usd=row["cost_usd"], rule=rule,
    )  # fmt: skip


def against(uses: Sequence[Use], plain: Sequence[PlainRun]) -> dict[str, Json]:
    """Compare a skill's finished executions with runs without it.

    An execution *helped* when it succeeded where at least half of the plain runs failed, or succeeded better
    than theirs that did: faster or cheaper than their median by more than 10 %, and neither slower nor
    dearer. It *hurt* when it failed where at least half of them succeeded, or succeeded slower or dearer
    without being better in the other. It is compared with the plain runs of its very task if there are any,
    else with the whole family.

    Args:
        uses: The executions.
        plain: The family, as ``BaselineReader`` gives it.

    Returns:
        helped and hurt; baseline: counts, rates, means and medians of the plain runs, how many came in by
        which rule, and the newest of them; difference: of the success rates with its Newcombe 95 % interval
        and what that says; speedup: median duration of plain successes over that of the skill's. What is
        not known is None.
    """
    if not plain:
        return {"helped": None, "hurt": None, "baseline": None, "difference": None, "speedup": None}
    same_task: dict[str, list[PlainRun]] = {}
    for run in plain:
        same_task.setdefault(_folded(run.task), []).append(run)
    counts = Counter(_verdict(use, same_task.get(_folded(use.task), plain)) for use in uses)
    return {
        "helped": counts["helped"],
        "hurt": counts["hurt"],
        "baseline": _baseline(plain),
        "difference": _difference(uses, plain),
        "speedup": _ratio(_median("duration_seconds", plain), _median("duration_seconds", uses)),
    }


def _verdict(use: Use, plain: Sequence[PlainRun]) -> str:
    usually = sum(run.success for run in plain) >= MOSTLY * len(plain)
    if not use.success:
        return "hurt" if usually else "neither"
    if not usually:
        return "helped"
    signs = {
        _sign(use.duration_seconds, _median("duration_seconds", plain)),
        _sign(use.cost_usd, _median("cost_usd", plain)),
    } - {0}
    if len(signs) != 1:
        return "neither"
    return "helped" if signs == {1} else "hurt"


def _sign(own: float | None, theirs: float | None) -> int:
    """Return 1 for clearly less than theirs, -1 for clearly more, else 0."""
    if own is None or theirs is None or abs(own - theirs) <= MARGIN * theirs:
        return 0
    return 1 if own < theirs else -1


def _median(name: str, records: Iterable[PlainRun | Use]) -> float | None:
    known = [getattr(one, name) for one in records if one.success and getattr(one, name) is not None]
    return statistics.median(known) if known else None


def _mean(name: str, records: Iterable[PlainRun]) -> float | None:
    known = [getattr(one, name) for one in records if getattr(one, name) is not None]
    return statistics.fmean(known) if known else None


def _ratio(theirs: float | None, own: float | None) -> float | None:
    return theirs / own if theirs is not None and own else None


def _baseline(plain: Sequence[PlainRun]) -> dict[str, Json]:
    successes = sum(run.success for run in plain)
    rate = wilson(successes, len(plain))
    assert rate is not None
    return {
        "runs": len(plain),
        "successes": successes,
        "success_rate": rate.value,
        "success_rate_low": rate.low,
        "success_rate_high": rate.high,
        "avg_duration_seconds": _mean("duration_seconds", plain),
        "median_duration_seconds": _median("duration_seconds", plain),
        "avg_cost_usd": _mean("cost_usd", plain),
        "median_cost_usd": _median("cost_usd", plain),
        "by": dict(Counter[str](run.rule for run in plain)),
        "run_ids": [run.id for run in plain[:SHOWN_RUNS]],
    }


def _difference(uses: Sequence[Use], plain: Sequence[PlainRun]) -> Mapping[str, Json] | None:
    own = wilson(sum(use.success for use in uses), len(uses))
    theirs = wilson(sum(run.success for run in plain), len(plain))
    if own is None or theirs is None:
        return None
    found = newcombe(own, theirs)
    verdict = "better" if found.low > 0 else "worse" if found.high < 0 else "not shown"
    return {"success_rate": found.value, "low": found.low, "high": found.high, "verdict": verdict}
