"""Real logs against facts that an independent script counted; skipped where the shared data is absent."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from skillsmith.capture.importers import LogSource, importers, read_path
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


def test_files_without_a_format_of_their_own_are_left_alone() -> None:
    """Transcripts that are one text, without calls or roles, are claimed by no format."""
    items = list(read_path(DATA / "runs" / "tau_fewshot_text"))
    assert items
    assert all(isinstance(item.value, Problem) for item in items)


FORMATS = {
    "tau_airline": "openai-chat", "who_and_when": "multi-agent", "swe_agent": "swe-agent",
    "claude_code": "claude-code", "cmbagent_notebooks": "notebook", "humaneval_reflexion": "reflexion",
    "provider_exchanges": "provider-exchanges",
}  # fmt: skip


@pytest.mark.parametrize("source", FORMATS)
def test_every_file_is_of_its_own_format_and_no_other(source: str) -> None:
    """Each real file is told from its content as what it is, and surely: no other format comes near."""
    for path in sorted((DATA / "runs" / source).rglob("*.*")):
        head = LogSource(path).head
        assert not isinstance(head, Problem)
        scores = {one.name: one.sniff(head) for one in importers()}
        best = max(scores, key=lambda name: scores[name])
        summaries_only = path.name == "obra-medium.jsonl"
        assert best == FORMATS[source] or summaries_only, (path.name, scores)
        assert sum(score >= 0.9 for score in scores.values()) <= 1, (path.name, scores)


@pytest.mark.parametrize("source", ["cmbagent_notebooks", "humaneval_reflexion", "provider_exchanges"])
def test_every_run_has_a_task_and_every_code_result_its_code(source: str) -> None:
    """Runs of the formats that were read last have a task; results belong to code that stands before."""
    for row in _rows(source):
        for run in _runs(row["file"]):
            assert run.task.strip()
            known: set[str | None] = {None}
            for event in run.events:
                if event.kind == "code" and event.code:
                    known.add(event.code.call_id)
                elif event.kind == "code_result" and event.code:
                    assert event.code.call_id in known
