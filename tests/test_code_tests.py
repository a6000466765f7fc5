"""Tests of judging a program by the tests that came with its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillsmith.db import Database
from skillsmith.library.code.tests import given_tests
from skillsmith.library.extractor import SkillExtractor
from skillsmith.models import CodeUse, Event, RunRecord
from skillsmith.runs import RunRepository

CHECK = {"test": "def check(candidate):\n    assert candidate(2) == 4\n", "entry_point": "double"}


def made(path: Path, program: str) -> str:
    """Return the state of a skill from a program whose tests are given and that nobody has judged."""
    events = (
        Event(kind="message", role="user", agent="user", content="Double a number"),
        Event(kind="code", agent="a", code=CodeUse(language="python", text=program, call_id="1")),
        Event(kind="code_result", agent="a", code=CodeUse(language="python", call_id="1", exit_code=0)),
    )
    db = Database(path / "x.db")
    record = RunRecord(source="x", task="Double a number", events=events, metadata=CHECK)
    run = RunRepository(db).ingest(record).run
    return SkillExtractor(db).extract([run.id], name="double", replay=True).skill.state


@pytest.mark.parametrize(
    ("program", "state"),
    [
        ("def double(n):\n    return n * 2\n", "proven"),
        ("def double(n):\n    return n + 3\n", "draft"),
        ("import os\ndef double(n):\n    os._exit(0)\n", "draft"),
        ("def treble(n):\n    return n * 3\n", "draft"),
    ],
)
def test_only_what_passes_its_tests_is_proven(tmp_path: Path, program: str, state: str) -> None:
    """A program that runs but fails its tests, or leaves before them, stays a draft."""
    assert made(tmp_path, program) == state


def test_tests_of_other_logs(tmp_path: Path) -> None:
    """Lists of assertions are tests, too; a log without tests has none."""
    given = given_tests({"test_list": ["assert f(1) == 2"], "test_setup_code": "import math"})
    assert given is not None
    assert given.problem_of("def f(n): return n + 1", folder=tmp_path) is None
    assert given.problem_of("def f(n): return n", folder=tmp_path) == "its tests fail: AssertionError"
    assert given_tests({"test": "", "entry_point": "f"}) is None
    assert given_tests({"reward": 1.0}) is None
