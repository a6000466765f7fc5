"""Is what was stored what stands in the logs? And how fast does it get there?

Ingests every log that ``DATA_DIR/runs/expected.jsonl`` has facts about, through the command itself, computes
the same facts from what was stored, and compares them row by row: messages by role, tool calls in order,
agents in order, model calls with tokens and cost, exchanges, outcome. Then ingests everything again, which
must add nothing.

    python bench/ingest.py DATA_DIR [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _facts

from skillsmith.cli.app import main as skillsmith
from skillsmith.workspace import Workspace, open_workspace

NO_IMPORTER = "no importer yet"
SHOWN_CHARS = 300


@dataclass(slots=True)
class Comparison:
    """What the rows came to."""

    rows: int = 0
    agree: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    differ: list[tuple[str, str, Any, Any]] = field(default_factory=list)
    differing_rows: int = 0


def main() -> int:
    """Ingest, compare, print; the exit code is 1 when anything differs or was added twice."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    expected = [
        json.loads(line) for line in (options.data / "runs" / "expected.jsonl").read_text().splitlines()
    ]
    paths = list(dict.fromkeys(
        str(options.data / row["file"]) for row in expected if row["source"] in _facts.SOURCES
    ))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        ingest(paths, Path(folder) / "warm.db")  # imports are loaded, files are in memory
        database = Path(folder) / "x.db"
        _, seconds = ingest(paths, database)
        again, _ = ingest(paths, database)
        added_twice = sum(run["new"] or bool(run["events"]) for run in again["runs"])
        with open_workspace(database) as workspace:
            comparison = compare(expected, workspace, options.data)
            messages = sum(sum(run.messages_by_role.values()) for run in workspace.runs.list())
    rate = messages / seconds
    report(comparison, rate, messages, added_twice, as_json=options.json)
    return 1 if comparison.differ or added_twice else 0


def ingest(paths: Sequence[str], database: Path) -> tuple[dict[str, Any], float]:
    """Run ``skillsmith ingest`` in this process; return its document and the seconds it took."""
    printed = io.StringIO()
    started = time.perf_counter()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        skillsmith(["ingest", *paths, "--db", str(database), "--json"])
    return json.loads(printed.getvalue()), time.perf_counter() - started


def compare(expected: Sequence[dict[str, Any]], workspace: Workspace, data: Path) -> Comparison:
    """Compare every row with what was stored from its file."""
    stored: dict[str, list[_facts.Stored]] = defaultdict(list)
    for run in sorted(workspace.runs.list(), key=lambda run: run.id):  # as they were read
        stored[run.source_path or ""].append((run, list(workspace.runs.events(run.id))))
    result = Comparison(rows=len(expected))
    for row in expected:
        if row["source"] not in _facts.SOURCES:
            result.explained[f"{row['source']}: {NO_IMPORTER}"] += 1
            continue
        runs = _facts.select(row, stored[str(data / row["file"])])
        _judge(row, list(_differences(row, runs)), result)
    return result


def _differences(row: dict[str, Any], runs: Sequence[_facts.Stored]) -> Iterator[tuple[str, Any, Any]]:
    try:
        got = _facts.facts(row["source"], runs)
    except ValueError as error:
        yield "runs", 1, str(error)
        return
    yield from _facts.differences(row, got)


def _judge(row: dict[str, Any], found: list[tuple[str, Any, Any]], result: Comparison) -> None:
    reasons = [_facts.explain(row["source"], *difference) for difference in found]
    if not found:
        result.agree += 1
    elif all(reasons):
        result.explained[f"{row['source']}: {reasons[0]}"] += 1
    else:
        result.differing_rows += 1
        result.differ += [
            (row["run_id"], *difference)
            for difference, reason in zip(found, reasons, strict=True)
            if reason is None
        ]


def report(result: Comparison, rate: float, messages: int, added_twice: int, *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        print(json.dumps({
            "rows": result.rows, "agree": result.agree, "explained": result.explained.total(),
            "explanations": dict(result.explained), "differ": result.differing_rows,
            "added_twice": added_twice, "messages": messages, "messages_per_second": round(rate),
        }))  # fmt: skip
        return
    print(f"{result.rows} rows: {result.agree} agree, {result.explained.total()} explained,"
          f" {result.differing_rows} differ")  # fmt: skip
    for reason, count in result.explained.most_common():
        print(f"  {count:>4}  {reason}")
    for run, key, wanted, got in result.differ:
        print(f"  differs: {run} {key}: expected {_short(wanted)}, stored {_short(got)}")
    print(f"ingested again: {added_twice} runs changed")
    print(f"{messages:,} messages at {rate:,.0f} a second, redaction and storage included")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


if __name__ == "__main__":
    sys.exit(main())
