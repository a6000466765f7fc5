"""Measure extraction on real successful runs: proven skills, sources of arguments, families left one out.

    python bench/extract.py DATA_DIR [--json]

DATA_DIR has runs/tau_airline/*.json.gz (OpenAI chat records with a reward) and
matching/tau_airline_families/catalogue.jsonl, whose "actions" name the tools that change the database.
The checks are independent of the extractor: they compare the stored skill with the stored run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _families import by_deeds, by_reference, measure_families, share_of_changes

from skillsmith.capture.importers import read_path
from skillsmith.db import Database
from skillsmith.errors import ExtractionError
from skillsmith.library.extractor import SkillExtractor
from skillsmith.library.program.bindings import as_text, leaves
from skillsmith.library.trace.calls import calls_of, said_in
from skillsmith.models import Constant, Event, FromInput, FromNode, Run, RunRecord, Skill
from skillsmith.runs import RunRepository

GOAL_RECONSTRUCTS = 0.95
GOAL_LEAVE_ONE_OUT = 0.6
MIN_CHARS = 4


@dataclass
class Figures:
    """What was counted over all runs."""

    runs: int = 0
    extracted: int = 0
    reconstructs: int = 0
    missing_writes: int = 0
    failed_writes_left_out: int = 0
    unexplained_constants: int = 0
    skills_from_failed_runs: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    families: dict[str, dict[str, Any]] = field(default_factory=dict)
    families_by_deeds: dict[str, dict[str, Any]] = field(default_factory=dict)


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logs = arguments.data / "runs" / "tau_airline"
    catalogue = arguments.data / "matching" / "tau_airline_families" / "catalogue.jsonl"
    for needed in (logs, catalogue):
        if not needed.exists():
            print(f"error: {needed} is not there", file=sys.stderr)
            return 2
    writes = {action for line in catalogue.read_text().splitlines() for action in json.loads(line)["actions"]}
    figures = Figures()
    with TemporaryDirectory() as folder:
        db = Database(Path(folder) / "bench.db")
        measure(db, logs, writes, figures)
        db.close()
    report(figures, as_json=arguments.json)
    return 0


def measure(db: Database, logs: Path, writes: set[str], figures: Figures) -> None:
    """Ingest the logs, extract from every run and count."""
    runs = RunRepository(db)
    for item in read_path(logs):
        if isinstance(item.value, RunRecord):
            runs.ingest(item.value)
    extractor = SkillExtractor(db)
    good = [extractor.traced(run) for run in runs.list(outcome="success")]
    figures.families = measure_families(good, writes, by_reference)
    figures.families_by_deeds = measure_families(good, writes, by_deeds)
    for run in list(runs.list()):
        if run.outcome != "success":
            figures.skills_from_failed_runs += not refused(extractor, run)
            continue
        figures.runs += 1
        began = time.perf_counter()
        try:
            skill = extractor.extract([run.id], name=f"skill-{figures.runs}", force=True).skill
        except ExtractionError as error:
            figures.notes.append(f"{run.native_id}: {error}")
            continue
        finally:
            figures.seconds += time.perf_counter() - began
        figures.extracted += 1
        check(skill, run, list(runs.events(run.id)), writes, figures)


def refused(extractor: SkillExtractor, run: Run) -> bool:
    """Tell whether extraction refuses a run that did not succeed."""
    try:
        extractor.extract([run.id], name="never", force=True)
    except ExtractionError:
        return True
    return False


def check(skill: Skill, run: Run, events: list[Event], writes: set[str], figures: Figures) -> None:
    """Compare one skill with the run it came from."""
    proof = skill.proofs[0]
    figures.reconstructs += proof.level == "reconstructs" and proof.passed
    if not proof.passed:
        figures.notes.append(f"{run.native_id}: {'; '.join(proof.failures)[:200]}")
    kept = {seq for node in skill.nodes for seq in node.source_seqs}
    for call in calls_of(events):
        if call.name in writes and call.seq not in kept:
            if call.error is None:
                figures.missing_writes += 1
                figures.notes.append(f"{run.native_id}: write call {call.seq} {call.name} is missing")
            else:
                figures.failed_writes_left_out += 1
    said = said_in(run.task, events)
    for node in skill.nodes:
        for subject, binding in node_leaves(node.id, node.arguments):
            figures.sources[source_of(binding)] += 1
            if isinstance(binding, Constant) and not explained(
                skill, subject, binding.value, node.source_seqs[0], said, events
            ):
                figures.unexplained_constants += 1
                figures.notes.append(f"{run.native_id}: constant {subject} = {binding.value!r}"[:200])


def node_leaves(node_id: str, arguments: Any) -> Iterator[tuple[str, Any]]:
    """Yield every leaf binding with the subject that its reason has."""
    for name, argument in arguments.items():
        for path, binding in leaves(argument, (name,)):
            yield (
                node_id + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path),
                binding,
            )


def source_of(binding: Any) -> str:
    """Name the kind of source."""
    if isinstance(binding, FromInput):
        return "input"
    if isinstance(binding, FromNode):
        return "flow"
    return "constant" if isinstance(binding, Constant) else "text"


def explained(skill: Skill, subject: str, value: Any, seq: int, said: list[Any], events: list[Event]) -> bool:
    """Tell whether a constant stands nowhere earlier, or a reason says why it was kept."""
    text = as_text(value).casefold()
    if len(text) < MIN_CHARS:
        return True
    words = any(one.seq < seq and text in one.text.casefold() for one in said)
    results = any(
        event.kind == "tool_result"
        and event.seq < seq
        and event.tool
        and text in (event.tool.result or "").casefold()
        for event in events
    )
    if not words and not results:
        return True
    return any(
        reason.subject == subject
        and reason.decision == "constant"
        and reason.rule != "no-source"
        and reason.detail
        for reason in skill.why
    )


def report(figures: Figures, *, as_json: bool) -> None:
    """Print the figures."""
    total = sum(figures.sources.values()) or 1
    document: dict[str, Any] = {
        "runs": figures.runs, "extracted": figures.extracted, "reconstructs": figures.reconstructs,
        "missing_writes": figures.missing_writes, "failed_writes_left_out": figures.failed_writes_left_out,
        "unexplained_constants": figures.unexplained_constants,
        "skills_from_failed_runs": figures.skills_from_failed_runs,
        "sources": {name: round(count / total, 3) for name, count in sorted(figures.sources.items())},
        "seconds_per_run": round(figures.seconds / (figures.runs or 1), 4),
        "leave_one_out": share_of_changes(figures.families),
        "families": figures.families,
        "families_by_deeds": figures.families_by_deeds,
    }  # fmt: skip
    if as_json:
        print(json.dumps(document))
        return
    share = figures.reconstructs / (figures.runs or 1)
    for name, value in document.items():
        if not name.startswith("families"):
            print(f"{name:24} {value}")
    for title in ("families", "families_by_deeds"):
        print(title.replace("_", " "))
        for name, one in document[title].items():
            print(
                f"  {name:60} {one['regenerated']} of {one['runs']} runs of {one['tasks']} tasks regenerated"
                f" ({one['with_changes']} with changes); inputs from words {one['inputs_from_words']},"
                f" from the record {one['inputs_from_record']}"
            )
            for run, problem in one["defeated"].items():
                print(f"      {run}: {problem}")
    print(f"left-out runs regenerated: goal {GOAL_LEAVE_ONE_OUT:.0%} a family that changes something")
    print(f"proved                   {share:.1%} of the successful runs (goal {GOAL_RECONSTRUCTS:.0%})")
    for note in figures.notes:
        print(f"  {note}")


if __name__ == "__main__":
    sys.exit(main())
