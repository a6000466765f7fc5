"""The tasks by which execution is measured: they are sound, and so is their judge."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"
sys.path.insert(0, str(BENCH))

from _suite import trials  # noqa: E402  (found beside the benchmarks)
from _suite.families import FAMILIES, chosen  # noqa: E402  (as above)
from _suite.model import Done, Family, Planted, Source, json_is, printed, text_is  # noqa: E402  (as above)
from _suite.play import play  # noqa: E402  (as above)
from _suite.stopwatch import Stopwatch  # noqa: E402  (as above)

from skillsmith.models import Adaptation, Skill, Variable  # noqa: E402  (as above)

SOURCES = [pytest.param(source, family, id=source.name) for family in FAMILIES for source in family.sources]
TASKS = [task for family in FAMILIES for task in family.tasks]


@pytest.mark.parametrize(("source", "family"), SOURCES)
def test_agents_do_the_source_tasks_rightly(source: Source, family: Family, tmp_path: Path) -> None:
    """Each source run, really executed, ends as the independent reference says."""
    service = family.service() if family.service else None
    _, done = play(source, db=tmp_path / "suite.db", folder=tmp_path / "work", service=service)
    assert [problem for check in source.checks for problem in check(done)] == []


def test_suite_is_as_large_as_promised() -> None:
    """There are eight families with five tasks or more each, forty in all, no two in the same words."""
    assert len(FAMILIES) == 8
    assert all(len(family.tasks) >= 5 for family in FAMILIES)
    assert len({task.words for task in TASKS}) == len(TASKS) >= 40


def test_tasks_do_not_name_skills() -> None:
    """No task says the name of a skill, and none repeats a source task word for word."""
    names = {source.name for family in FAMILIES for source in family.sources}
    sources = {source.task for family in FAMILIES for source in family.sources}
    assert all(name not in task.words for task in TASKS for name in names)
    assert not sources & {task.words for task in TASKS}


def test_every_kind_of_deviation_is_planted() -> None:
    """Parameters, agents, code, added, replaced and skipped nodes, and retries all occur."""
    kinds = {planted.kind for task in TASKS for planted in task.planted}
    assert kinds == {
        "parameter_change", "agent_deviation", "code_modification", "node_added", "node_replaced",
        "node_skipped", "retry",
    }  # fmt: skip


def test_judge_sees_what_is_wrong(tmp_path: Path) -> None:
    """A missing file, another line, another value and missing output are each told; what is right is not."""
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.json").write_text('{"x": 1}')
    done = Done(folder=tmp_path, outputs={"output": "3 rows"})
    right = (text_is("a.txt", ["one", "two"]), json_is("b.json", {"x": 1}), printed("3 rows"))
    wrong = (text_is("a.txt", ["one"]), json_is("b.json", {"x": 2}), printed("4 rows"), text_is("c.txt", []))
    assert [list(check(done)) for check in right] == [[], [], []]
    assert all(list(check(done)) for check in wrong)


@pytest.mark.parametrize(
    ("adaptation", "counts"),
    [
        (Adaptation(type="parameter_change", target="top", before=5, after=9), True),
        (Adaptation(type="parameter_change", target="top", before=5, after=8), False),
        (Adaptation(type="parameter_change", target="least", before=5, after=9), False),
        (Adaptation(type="retry", target="top", before=5, after=9), False),
    ],
)
def test_deviation_counts_with_kind_target_and_value(adaptation: Adaptation, *, counts: bool) -> None:
    """A planted deviation is recorded only by an adaptation of its kind, target and value."""
    skill = Skill(name="s", variables=(Variable(name="top", type="integer", default=5),))
    planted = Planted(kind="parameter_change", target=lambda one: one.variables[0].name, after=9)
    assert (trials._recorded(planted, skill, [adaptation]) is adaptation) is counts


def test_work_side_by_side_counts_once() -> None:
    """The stopwatch gives each moment to one phase, to work before others, and begins anew afterwards."""
    watch = Stopwatch()
    began = time.perf_counter()
    with watch.during("tracking"), watch.during("work"), watch.during("work"):
        time.sleep(0.02)
    took = time.perf_counter() - began
    seconds = watch.seconds()
    assert 0.02 <= seconds["work"] <= took
    assert seconds["tracking"] < 0.02
    assert sum(seconds.values()) <= took
    assert not any(watch.seconds().values())


def test_unknown_family_is_refused() -> None:
    """A family that is not there is named together with those that are."""
    with pytest.raises(ValueError, match="no family 'poems'; there are file formats"):
        chosen(["poems"])


def test_execute_prints_the_promised_document() -> None:
    """The benchmark of execution runs a family and gives the promised figures as JSON, with exit code 0."""
    document = _run("execute.py", "--families", "file formats", "--json")
    assert {"tasks", "completed", "planted", "recorded", "overhead"} <= document.keys()
    parts = [
        document[f"overhead_of_{part}"] for part in ("matching", "preparing", "tracking", "files", "rest")
    ]
    assert all(part > 0 for part in parts)
    assert abs(sum(parts) - document["overhead"]) < 0.001
    assert abs(parts[0] + parts[2] - document["overhead_matching_and_tracking"]) < 0.001
    assert document["tasks"] == len(FAMILIES[0].tasks)
    assert 0 < document["overhead"] < 1
    assert document["families"].keys() == {"file formats"}


def test_speedup_gives_medians_over_skills() -> None:
    """Speed-ups are medians over skills, of agents' time over the skill's, at 2 s with its calls added."""
    speedup = import_module("speedup")
    agents = [speedup.AgentRun("run", seconds, 5, 0.002) for seconds in (1.0, 1.2, 3.0)]
    found = [speedup.Comparison("skill", one, one, [_done(0.1)], [0], [0.0]) for one in agents]
    document = speedup.document_of(found, {}, seconds=1.0)
    keys = ("skills", "speedup_200ms", "speedup_2s", "model_calls")
    assert [document[key] for key in keys] == [3, 12.0, 112.0, 0]


def _done(seconds: float) -> trials.Trial:
    return trials.Trial("family", "words", "skill", found="skill", succeeded=True, whole=seconds)


def _run(script: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(BENCH / script), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document
