"""Real logs against facts that an independent script counted; skipped where the shared data is absent."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from skillsmith.capture.importers import read_path
from skillsmith.models import Problem, RunRecord

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import _facts

DATA = Path(__file__).parents[2] / "shared" / "data"
EXPECTED = DATA / "runs" / "expected.jsonl"

pytestmark = pytest.mark.skipif(not EXPECTED.exists(), reason="the shared data is not here")


def _rows(source: str) -> list[dict[str, Any]]:
    lines = EXPECTED.read_bytes().splitlines()
    return [row for row in map(orjson.loads, lines) if row["source"] == source]


@cache
def _runs(file: str) -> tuple[RunRecord, ...]:
    return tuple(item.value for item in read_path(DATA / file) if isinstance(item.value, RunRecord))


@pytest.mark.parametrize("source", _facts.SOURCES)
def test_every_fact_agrees(source: str) -> None:
    """Messages, calls, agents, turns, errors and outcomes of every run are those counted independently."""
    rows = _rows(source)
    assert rows
    wrong = []
    for row in rows:
        runs = _facts.select(row, [(run, run.events) for run in _runs(row["file"])])
        for key, expected, got in _facts.differences(row, _facts.facts(source, runs)):
            if _facts.explain(source, key, expected, got) is None:
                wrong.append((row["run_id"], key, expected, got))
    assert wrong == []


def test_every_real_session_has_a_task_and_no_problem() -> None:
    """Real sessions give runs with a task; only the hand-made file of oddities has bad lines."""
    for row in _rows("claude_code"):
        items = [item.value for item in read_path(DATA / row["file"])]
        assert sum(isinstance(value, Problem) for value in items) == row["n_bad_lines"]
        if row["real_session"]:
            assert all(value.task for value in items if isinstance(value, RunRecord))


def test_other_files_beside_the_logs_are_left_alone() -> None:
    """Notebooks, result tables and recorded exchanges are claimed by no format."""
    for folder in ("cmbagent_notebooks", "humaneval_reflexion", "provider_exchanges", "tau_fewshot_text"):
        for item in read_path(DATA / "runs" / folder):
            assert isinstance(item.value, Problem)
