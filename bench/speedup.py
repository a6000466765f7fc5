"""How much faster, and cheaper, a skill does a new task than the agents did the task it came from.

usage: python bench/speedup.py [--skills N] [--json]

Ten skills of code or tools (bench/_suite). For each, AG2 agents do the source task twice, captured live: with
a model that answers at once, and with one that takes 200 ms for each answer and really does. What the model
says is scripted; the agents' loops, the code, the tools and the capture are real. The skill is extracted from
the first of these runs. Then it does new tasks, in other words and with other data, from the task's words to
the checked result, matching included; no model is there to be asked.

speedup_200ms  the agents' time at 200 ms an answer, measured, over the skill's (median of tasks completed)
speedup_2s     the same at 2 s an answer: time at once + model calls x 2 s. One run is really done at 2 s, and
               the computed time is compared with it
model_calls    how many answers of a model an execution of the skill needed

The figures are medians over the skills. Cost: tokens counted at four characters each, at our table's price of
the model that the script gives as its name. New tasks that need an agent's help or meet trouble are left to
bench/execute.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _suite.families import FAMILIES
from _suite.live import play_live
from _suite.model import Family, Source, Task
from _suite.trials import Suite, Trial

from skillsmith.workspace import Workspace, open_workspace

SKILLS = (
    "csv_to_json json_to_spreadsheet grouped_statistics word_counts book_cheapest_room cancel_with_refund"
    " payroll_with_overtime payments_per_user visits_report working_day_deadline"
).split()
FAST, SLOW = 0.2, 2.0
"""Seconds that a model takes for an answer."""
GOAL = 10.0


@dataclass(frozen=True, slots=True)
class AgentRun:
    """What agents took for a task."""

    run_id: str
    seconds: float
    model_calls: int
    cost_usd: float | None


@dataclass(slots=True)
class Comparison:
    """One skill against the agents' run that it came from.

    Args:
        at_once: The run with a model that answers at once.
        fast: The run at 200 ms an answer.
        trials: The new tasks.
        calls: Model calls of each execution.
        costs: Cost of each execution in US dollars.
    """

    skill: str
    at_once: AgentRun
    fast: AgentRun
    trials: list[Trial] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The skill's time for a new task, of those that it completed.

        Raises:
            statistics.StatisticsError: It completed none.
        """
        return statistics.median(one.whole for one in self.trials if one.completed and one.whole is not None)

    @property
    def slow_seconds(self) -> float:
        """The agents' time at 2 s an answer, computed."""
        return self.at_once.seconds + self.at_once.model_calls * SLOW


def main() -> int:
    """Compare every skill and print it."""
    parser = argparse.ArgumentParser(description="Compare skills with the agents' runs they came from.")
    parser.add_argument("--skills", type=int, default=len(SKILLS), metavar="N", help="only the first N")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="skillsmith-bench-") as folder:
        root = Path(folder)
        with open_workspace(root / "speedup.db") as workspace:
            found = compare(SKILLS[: options.skills], workspace, root)
            check = really_slow(found, workspace, root)
    document = document_of(found, check, seconds=time.perf_counter() - began)
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        show(found, document)
    return 0


def compare(names: Sequence[str], workspace: Workspace, root: Path) -> list[Comparison]:
    """Have agents do the source tasks, learn the skills, do the new tasks."""
    suite, found = Suite(root, workspace), []
    for name in names:
        source, family = source_of(name)
        at_once = agents_do(source, family, workspace, root, latency=0.0)
        suite.learn_from_run(at_once.run_id, source)
        found.append(Comparison(name, at_once, agents_do(source, family, workspace, root, latency=FAST)))
    suite.warm_up(source_of(names[0])[1])
    for one in found:
        _, family = source_of(one.skill)
        for task in family.tasks:
            if task.skill == one.skill and _is_plain(task):
                _note(one, suite.trial(task, family), workspace)
    return found


def source_of(name: str) -> tuple[Source, Family]:
    """Return the source run that gives a skill, and its family."""
    return next((source, family) for family in FAMILIES for source in family.sources if source.name == name)


def _is_plain(task: Task) -> bool:
    return task.agents is None and task.trouble is None


def _note(one: Comparison, trial: Trial, workspace: Workspace) -> None:
    one.trials.append(trial)
    if trial.run_id:
        calls, cost = figures_of(trial.run_id, workspace)
        one.calls.append(calls)
        one.costs.append(cost or 0.0)


def agents_do(
    source: Source, family: Family, workspace: Workspace, root: Path, *, latency: float
) -> AgentRun:
    """Have agents do a source task and return what it took, from the question to the last answer."""
    folder = root / "agents" / f"{source.name}-{latency}"
    service = family.service() if family.service else None
    began = time.perf_counter()
    run_id = play_live(
        source, db=Path(workspace.path), folder=folder, service=service, latency_seconds=latency
    )
    seconds = time.perf_counter() - began
    calls, cost = figures_of(run_id, workspace)
    return AgentRun(run_id, seconds, calls, cost)


def figures_of(run_id: str, workspace: Workspace) -> tuple[int, float | None]:
    """Return a run's model calls and their cost; None when the price of one is not known."""
    costs = [event.cost_usd for event in workspace.runs.events(run_id) if event.kind == "llm_call"]
    return len(costs), None if None in costs else sum(cost or 0.0 for cost in costs)


def really_slow(found: Sequence[Comparison], workspace: Workspace, root: Path) -> dict[str, Any]:
    """Have agents do one task at 2 s an answer, and compare the computed time with it."""
    one = sorted(found, key=lambda each: each.at_once.model_calls)[len(found) // 2]
    source, family = source_of(one.skill)
    measured = agents_do(source, family, workspace, root, latency=SLOW).seconds
    return {
        "skill": one.skill,
        "measured_seconds": round(measured, 2),
        "computed_seconds": round(one.slow_seconds, 2),
        "difference": round(one.slow_seconds / measured - 1, 4),
    }


def document_of(found: Sequence[Comparison], check: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """Return all figures."""
    costs = [one.at_once.cost_usd for one in found]
    return {
        "skills": len(found),
        "speedup_200ms": round(statistics.median(one.fast.seconds / one.seconds for one in found), 1),
        "speedup_2s": round(statistics.median(one.slow_seconds / one.seconds for one in found), 1),
        "model_calls": statistics.median(calls for one in found for calls in one.calls),
        "agent_model_calls": statistics.median(one.at_once.model_calls for one in found),
        "agent_cost_usd": None
        if None in costs
        else round(statistics.median(cost or 0.0 for cost in costs), 6),
        "cost_usd": statistics.median(cost for one in found for cost in one.costs),
        "new_tasks": sum(len(one.trials) for one in found),
        "completed": sum(trial.completed for one in found for trial in one.trials),
        "checked_at_2s": check,
        "seconds": round(seconds, 1),
        "each": [row_of(one) for one in found],
    }


def row_of(one: Comparison) -> dict[str, Any]:
    """Return the figures of one skill."""
    return {
        "skill": one.skill,
        "skill_seconds": round(one.seconds, 4),
        "agent_seconds_200ms": round(one.fast.seconds, 3),
        "agent_seconds_2s": round(one.slow_seconds, 3),
        "speedup_200ms": round(one.fast.seconds / one.seconds, 1),
        "speedup_2s": round(one.slow_seconds / one.seconds, 1),
        "agent_model_calls": one.at_once.model_calls,
        "model_calls": max(one.calls, default=0),
        "agent_cost_usd": one.at_once.cost_usd and round(one.at_once.cost_usd, 6),
        "new_tasks": len(one.trials),
        "completed": sum(trial.completed for trial in one.trials),
        "problems": [problem for trial in one.trials for problem in trial.problems],
    }


def show(found: Sequence[Comparison], document: dict[str, Any]) -> None:
    """Print a table."""
    print(
        "skill                    calls  agents 200 ms   at 2 s     skill  faster 200 ms   at 2 s  new"
        " tasks done"
    )
    for one, row in zip(found, document["each"], strict=True):
        print(
            f"{one.skill:24} {row['agent_model_calls']:5} {row['agent_seconds_200ms']:12.2f} s"
            f" {row['agent_seconds_2s']:6.1f} s {row['skill_seconds'] * 1000:6.0f} ms"
            f" {row['speedup_200ms']:13.1f}x {row['speedup_2s']:7.1f}x {row['completed']:7} of"
            f" {row['new_tasks']}"
        )
        for problem in row["problems"]:
            print(f"    {problem}")
    check = document["checked_at_2s"]
    print(
        f"\nmedian: {document['speedup_200ms']}x at 200 ms, {document['speedup_2s']}x at 2 s (goal"
        f" {GOAL:g}x); {document['model_calls']:g} model calls against {document['agent_model_calls']:g};"
        f" {document['cost_usd']:g} US dollars against {document['agent_cost_usd'] or 0:g}"
        f"\n{check['skill']} really at 2 s: {check['measured_seconds']} s, computed"
        f" {check['computed_seconds']} s ({check['difference']:+.1%}); all in {document['seconds']} s"
    )


if __name__ == "__main__":
    sys.exit(main())
