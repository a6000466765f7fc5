"""Measure code skills on programs with known verdicts: do solved ones replay, do wrong ones stay unproven?

    python bench/programs.py DATA_DIR [--json]

DATA_DIR has runs/humaneval_reflexion/*.jsonl, or is a folder of such files: a task and a program a line,
with ``is_solved`` and, where given, its tests. Every program is run in the sandbox of the ``replays``
proof, with its time limits. Wrong programs are judged twice: as they are (extraction refuses a failed run),
and with the verdict taken away, as if nobody knew (then only the tests can tell).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from skillsmith.capture.importers import read_path
from skillsmith.db import Database
from skillsmith.errors import SkillsmithError
from skillsmith.library.code.tests import given_tests
from skillsmith.library.extractor import SkillExtractor
from skillsmith.models import RunRecord, Skill
from skillsmith.runs import RunRepository

GOAL = 0.95
WORKERS = 2


@dataclass
class Figures:
    """What was counted."""

    solved: int = 0
    skills: int = 0
    replayed: int = 0
    wrong: int = 0
    wrong_without_tests: int = 0
    wrong_refused: int = 0
    wrong_proven: int = 0
    notes: list[str] = field(default_factory=list)


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    logs = arguments.data / "runs" / "humaneval_reflexion"
    logs = logs if logs.is_dir() else arguments.data
    if not any(logs.glob("*.jsonl")):
        print(f"error: {logs} has no .jsonl files", file=sys.stderr)
        return 2
    figures = Figures()
    records = list(read_records(logs))
    with ThreadPoolExecutor(WORKERS) as pool:
        for record, judged in zip(records, pool.map(judge, records), strict=True):
            count(record, judged, figures)
    report(figures, as_json=arguments.json)
    return 0


def read_records(logs: Path) -> Iterator[RunRecord]:
    """Yield the runs of a folder that have a program."""
    for item in read_path(logs):
        if isinstance(item.value, RunRecord) and any(event.kind == "code" for event in item.value.events):
            yield item.value


@dataclass(frozen=True)
class Judged:
    """What extraction made of a program: a skill, or why none; for a wrong one also as if it were unknown."""

    skill: Skill | None
    problem: str = ""
    unlabelled: Skill | None = None


def judge(record: RunRecord) -> Judged:
    """Make a skill of a program and prove it."""
    skill, problem = extracted(record)
    if record.outcome == "success":
        return Judged(skill, problem)
    unlabelled, _ = extracted(unlabelled_of(record))
    return Judged(skill, problem, unlabelled)


def unlabelled_of(record: RunRecord) -> RunRecord:
    """Return a run as if nobody had judged it: its last program ran, and that is all one knows."""
    events = tuple(
        replace(event, code=replace(event.code, exit_code=0))
        if event.kind == "code_result" and event.code is not None
        else event
        for event in record.events
    )
    return replace(record, outcome="unknown", outcome_reason=None, events=events)


def extracted(record: RunRecord) -> tuple[Skill | None, str]:
    """Return the skill of a run, proven as far as it goes, or why there is none."""
    with TemporaryDirectory() as folder:
        db = Database(Path(folder) / "bench.db")
        try:
            run = RunRepository(db).ingest(record).run
            return SkillExtractor(db).extract([run.id], name="program", replay=True).skill, ""
        except SkillsmithError as error:
            return None, error.message
        finally:
            db.close()


def count(record: RunRecord, judged: Judged, figures: Figures) -> None:
    """Count one program."""
    if record.outcome == "success":
        figures.solved += 1
        figures.skills += judged.skill is not None
        proven = judged.skill is not None and judged.skill.state == "proven"
        figures.replayed += proven
        if not proven:
            figures.notes.append(f"{record.native_id}: {why(judged.skill) or judged.problem}")
        return
    figures.wrong += 1
    figures.wrong_refused += judged.skill is None
    known = given_tests(record.metadata) is not None
    figures.wrong_without_tests += not known
    shown = [skill for skill in (judged.skill, judged.unlabelled) if skill is not None]
    if known and any(skill.state == "proven" for skill in shown):
        figures.wrong_proven += 1
        figures.notes.append(f"{record.native_id}: called wrong, and proven")


def why(skill: Skill | None) -> str:
    """Say why a skill was not proven."""
    return "; ".join(text for proof in skill.proofs for text in proof.failures) if skill else ""


def report(figures: Figures, *, as_json: bool) -> None:
    """Print the figures."""
    share = round(figures.replayed / (figures.solved or 1), 4)
    document: dict[str, Any] = {
        "solved": figures.solved, "skills": figures.skills, "replayed": figures.replayed, "share": share,
        "wrong": figures.wrong, "wrong_proven": figures.wrong_proven, "wrong_refused": figures.wrong_refused,
        "wrong_without_tests": figures.wrong_without_tests, "notes": figures.notes,
    }  # fmt: skip
    if as_json:
        print(json.dumps(document))
        return
    for name, value in document.items():
        if name != "notes":
            print(f"{name:20} {value}")
    print(f"solved programs that replay: {share:.1%} (goal {GOAL:.0%}); wrong ones proven: goal 0")
    for note in figures.notes:
        print(f"  {note[:200]}")


if __name__ == "__main__":
    sys.exit(main())
