"""Does the product do new tasks with the skills that it learned, and does it write down what was different?

usage: python bench/execute.py [--families NAME …] [--json]

Tasks in 8 families (bench/_suite). For each family agents' runs are captured as they really happen (code
runs, tools are called, first attempts fail, reviewers send work back) and skills are extracted. Then every
task, in other words and with other data, is matched against all these skills and executed; files, outputs and
the tools' state are compared with what an independent reference computes. No model is asked by the product.

completed  tasks that the right skill did, by the product's and the judge's word
planted    deviations that the tasks bring about: another output path or format, another threshold than the
           recorded one, a step whose condition is false, a tool that fails at first, broken data, …
recorded   of these, with the right kind, target and value in the execution's record
overhead   (whole - work) / whole, summed over all executions: whole is from the task's words to the result,
           work the time in which code, tools or agents run (side by side counts once). So matching, binding,
           tracking, events, ledger, checkpoints and looking at files all count as overhead; the pause before
           a second try is set to nothing, so that it counts as neither. It is made up of
matching   finding the skill for the words
preparing  reading the skill, binding its inputs, making sure that all it needs is there
tracking   events, ledger, checkpoints, adaptations, trust ladder, examples
files      making the work folder, bringing files in, looking for what changed, storing it
rest       walking the graph, handing work to threads and back, checking results
m + t      matching and tracking together, the words of the goal
cpu        what the thread that does all of this computes, per task: it says the same on a busy machine
to direct  (whole - direct) / whole, where direct is how long the same code takes in plain subprocesses and
           the same tool calls take in this process, one after the other, with none of the product
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _suite.families import FAMILIES, chosen
from _suite.model import Family
from _suite.stopwatch import PHASES
from _suite.trials import Suite, Trial

from skillsmith.workspace import open_workspace

GOALS = {"completed": 0.90, "recorded": 0.95, "overhead_matching_and_tracking": 0.15}


def main() -> int:
    """Run the tasks and print what came of them."""
    parser = argparse.ArgumentParser(description="Run new tasks with learned skills.")
    names = ", ".join(family.name for family in FAMILIES)
    parser.add_argument("--families", nargs="+", default=[], metavar="NAME", help=f"only these: {names}")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    try:
        families = chosen(options.families)
    except ValueError as error:
        parser.error(str(error))
    began = time.perf_counter()
    trials = run(families)
    document = document_of(trials, seconds=time.perf_counter() - began)
    if options.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        show(trials, document)
    return 0


def run(families: Sequence[Family]) -> list[Trial]:
    """Learn the skills, then do all tasks."""
    with tempfile.TemporaryDirectory(prefix="skillsmith-bench-") as folder:
        root = Path(folder)
        with open_workspace(root / "suite.db") as workspace:
            suite = Suite(root, workspace)
            for family in families:
                suite.learn(family)
            suite.warm_up(families[0])
            return list(suite.trials(families))


def document_of(trials: Sequence[Trial], *, seconds: float) -> dict[str, Any]:
    """Return the figures, over all and by family."""
    by_family = {one.family: [other for other in trials if other.family == one.family] for one in trials}
    return {
        **figures(trials),
        "seconds": round(seconds, 1),
        "families": {name: figures(some) for name, some in by_family.items()},
        "failed": [
            {"family": one.family, "task": one.words, "skill": one.found, "problems": one.problems}
            for one in trials
            if not one.completed
        ],
        "unrecorded": [{"task": one.words, "planted": line} for one in trials for line in one.missed],
        "unplanted": [{"task": one.words, "recorded": line} for one in trials for line in one.unplanted],
    }


def figures(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the counts and shares of some tasks."""
    timed = [one for one in trials if one.whole is not None]
    whole = sum(one.whole or 0.0 for one in timed)
    phases = {phase: sum(one.phases[phase] for one in timed) for phase in PHASES}
    rest, work = whole - sum(phases.values()), phases.pop("work")
    return {
        "tasks": len(trials),
        "matched": sum(one.found is not None for one in trials),
        "matched_rightly": sum(one.found == one.right for one in trials),
        "completed": sum(one.completed for one in trials),
        "wrong_but_called_success": sum(one.succeeded and bool(one.problems) for one in trials),
        "planted": sum(one.planted for one in trials),
        "recorded": sum(one.recorded for one in trials),
        "overhead": share(whole - work, whole),
        "overhead_matching_and_tracking": share(phases["matching"] + phases["tracking"], whole),
        **{f"overhead_of_{phase}": share(phases[phase], whole) for phase in reversed(phases)},
        "overhead_of_rest": share(rest, whole),
        "overhead_to_direct": share(whole - sum(one.direct for one in timed), whole),
        "milliseconds": round(1000 * whole / len(timed), 1) if timed else None,
        "cpu_milliseconds": round(1000 * sum(one.cpu for one in timed) / len(timed), 1) if timed else None,
    }


def share(part: float, whole: float) -> float | None:
    """Return a part of a whole; None of nothing."""
    return round(part / whole, 4) if whole else None


HEAD = (
    "family            tasks matched right completed  planted recorded  overhead: matching preparing tracking"
    "  files   rest    m + t  to direct     whole       cpu"
)
SHARES = ("", "_of_matching", "_of_preparing", "_of_tracking", "_of_files", "_of_rest",
          "_matching_and_tracking", "_to_direct")  # fmt: skip
WIDTHS = (9, 9, 9, 8, 6, 6, 8, 10)


def show(trials: Sequence[Trial], document: dict[str, Any]) -> None:
    """Print a table and what went wrong."""
    print(HEAD)
    for name, row in [*document["families"].items(), ("all", document)]:
        shares = (_percent(row[f"overhead{part}"]) for part in SHARES)
        print(
            f"{name:17} {row['tasks']:5} {row['matched']:7} {row['matched_rightly']:5} {row['completed']:9}"
            f" {row['planted']:8} {row['recorded']:8}"
            f" {' '.join(f'{text:>{width}}' for text, width in zip(shares, WIDTHS, strict=True))}"
            f" {row['milliseconds'] or 0:6.1f} ms {row['cpu_milliseconds'] or 0:6.1f} ms"
        )
    for one in trials:
        if not one.completed or one.missed:
            print(f"\n{one.family}: {one.words}")
            verdict = "success" if one.succeeded else "failure"
            print(f"  matched {one.found or 'nothing'}, the product says {verdict}")
            for line in [*one.problems, *(f"not recorded: {line}" for line in one.missed)]:
                print(f"  {line}")
    completed = share(document["completed"], document["matched"]) or 0
    recorded = share(document["recorded"], document["planted"]) or 0
    print(
        f"\ncompleted {completed:.1%} of the matched (goal {GOALS['completed']:.0%}), {recorded:.1%} of"
        f" the planted recorded (goal {GOALS['recorded']:.0%}), matching and tracking"
        f" {_percent(document['overhead_matching_and_tracking'])} of the execution"
        f" (goal {GOALS['overhead_matching_and_tracking']:.0%});"
        f" {document['wrong_but_called_success']} called a success and wrong;"
        f" {len(document['unplanted'])} recorded that were not planted; {document['seconds']} s"
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


if __name__ == "__main__":
    sys.exit(main())
