"""Executions of skills with code: files in and out, isolation, limits, side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillsmith.db import Database
from skillsmith.errors import ExecutionError, RefusedError, UsageError
from skillsmith.files import FileRepository
from skillsmith.library.executor import ExecutionResult, SkillExecutor
from skillsmith.library.repository import SkillRepository
from skillsmith.library.templates import Lift, build_python_template
from skillsmith.models import (
    Constant,
    FileUse,
    FromInput,
    FromNode,
    Node,
    Skill,
    SkillArtifact,
    Template,
    Variable,
)
from skillsmith.runs import RunRepository

SUMMARISE = """\
import csv, json
with open("sales.csv") as file:
    rows = list(csv.DictReader(file))
totals = {}
for row in rows:
    totals[row["region"]] = totals.get(row["region"], 0) + float(row["amount"])
with open("totals.json", "w") as file:
    json.dump(totals, file, sort_keys=True)
print(json.dumps({"rows": len(rows), "best": max(totals, key=totals.get)}))
"""
PATH = Variable(name="path", type="path", default="sales.csv", required=True)
OUT = Variable(name="out", type="path", default="totals.json")
REGION = Variable(name="column", type="string", default="region")


def template(code: str, **places: str) -> Template:
    """Make a template with each literal lifted wherever it stands."""
    lifts = []
    for name, literal in places.items():
        at = code.find(literal)
        while at >= 0:
            lifts.append(Lift(start=at, end=at + len(literal), variable=name))
            at = code.find(literal, at + 1)
    return build_python_template(code, lifts)


def code(key: str, text: str | Template, *after: str, **more: Any) -> Node:
    """Return a code node."""
    made = text if isinstance(text, Template) else Template(text=text)
    fields: dict[str, Any] = {"language": "python", "after": after, "timeout_seconds": 30.0, **more}
    return Node(id=key, kind="code", template=made, **fields)


def use(binding: Any) -> tuple[FileUse, ...]:
    """Return the use of one file."""
    return (FileUse(path=binding),)


TOTALS = Skill(
    name="totals",
    state="proven",
    task_pattern="Sum up {path} by {column} into {out}",
    variables=(PATH, OUT, REGION),
    nodes=(
        code(
            "n1", template(SUMMARISE, path='"sales.csv"', out='"totals.json"', column='"region"'),
            reads=use(FromInput("path")), writes=use(FromInput("out")),
        ),
    ),
    outputs={"type": "object", "required": ["best"], "properties": {"best": {"type": "string"}}},
    output_bindings={"best": FromNode("n1", ("best",)), "rows": FromNode("n1", ("rows",))},
)  # fmt: skip
DATA = "region,product,amount\nEMEA,a,1\nAPAC,a,5\nEMEA,b,2\n"

Execute = Callable[..., ExecutionResult]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's current folder, with a data file."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "q2.csv").write_text(DATA)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def execute(db: Database, here: Path) -> Execute:
    """Execute a skill in that folder."""

    def run(skill: Skill, task: str = "", *, work_dir: Path | None = None, **inputs: Any) -> ExecutionResult:
        executor = SkillExecutor(db, work_dir=work_dir, backoff_seconds=0.01)
        return executor.execute_skill(skill, {"task": task, "inputs": inputs})

    return run


def of(*nodes: Node, **more: Any) -> Skill:
    """Return a skill of these nodes."""
    return Skill(name="made", state="proven", nodes=nodes, **more)


def test_a_users_file_is_read_and_what_is_made_is_kept(execute: Execute, db: Database, here: Path) -> None:
    """The file named in the task is copied in, the code runs on it, outputs and artifacts are recorded."""
    result = execute(TOTALS, "Sum up q2.csv by product into best.json")
    assert result.success, result.error
    assert result.outputs == {"best": "a", "rows": 3}
    assert result.artifacts == ("best.json",)
    work = Path(result.work_dir or "")
    assert work.parent == here / "skillsmith-runs"
    assert json.loads((work / "best.json").read_text()) == {"a": 6.0, "b": 2.0}
    assert (here / "q2.csv").read_text() == DATA
    runs = RunRepository(db)
    versions = FileRepository(db).versions(runs.key(result.run_id or ""))
    assert [(one.path, one.agent, one.version) for one in versions] == [
        ("best.json", "skillsmith", 1),
        ("q2.csv", None, 1),
    ]
    kinds = [event.kind for event in runs.events(result.run_id or "")]
    assert kinds == ["message", "skill", "context", "code", "artifact", "code_result", "skill", "skill"]
    assert {one.target for one in result.adaptations} == {"out", "column"}


def test_the_users_original_is_never_changed(execute: Execute, here: Path) -> None:
    """Code that changes what it reads changes the copy."""
    node = code("n1", 'open("q2.csv", "a").write("x")', reads=use(FromInput("path")))
    skill = of(node, variables=(PATH,))
    result = execute(skill, path="q2.csv")
    assert result.success
    assert result.artifacts == ("q2.csv",)
    assert (here / "q2.csv").read_text() == DATA


@pytest.mark.parametrize("spelling", ["../other/data.csv", "{absolute}", "sub/data.csv"])
def test_files_are_found_wherever_the_user_points(
    execute: Execute, here: Path, tmp_path: Path, spelling: str
) -> None:
    """Paths in other folders, absolute ones and ones in sub-folders all lead to the user's file."""
    for folder in (tmp_path / "other", here / "sub"):
        folder.mkdir()
        (folder / "data.csv").write_text(DATA)
    result = execute(TOTALS, path=spelling.format(absolute=tmp_path / "other" / "data.csv"))
    assert result.success, result.error
    assert result.outputs["rows"] == 3


def test_a_file_that_is_not_there_is_named(execute: Execute, runs: RunRepository, here: Path) -> None:
    """A missing input file is a usage error naming the input, before anything runs."""
    with pytest.raises(UsageError, match=r"'path': there is no file q9\.csv"):
        execute(TOTALS, path="q9.csv")
    assert not list(runs.list())
    assert not (here / "skillsmith-runs").exists()


def test_the_skills_own_data_stands_in(execute: Execute, here: Path) -> None:
    """Data and settings that belong to the skill are there; the user's file of that name comes first."""
    artifacts = (
        SkillArtifact(name="sales.csv", type="data", content=DATA.encode(), path="sales.csv"),
        SkillArtifact(name="conf", type="config", content=b"x", path="conf/a.ini"),
    )
    skill = replace(TOTALS, artifacts=artifacts, variables=(replace(PATH, required=False), OUT, REGION))
    assert execute(skill).outputs["rows"] == 3
    (here / "sales.csv").write_text("region,amount\nEMEA,1\n")
    result = execute(skill)
    assert result.outputs["rows"] == 1
    assert (Path(result.work_dir or "") / "conf" / "a.ini").read_text() == "x"


def test_a_named_work_folder_is_used(execute: Execute, tmp_path: Path) -> None:
    """`--workdir` decides where the code works; what lay there is no artifact."""
    work = tmp_path / "deep" / "work"
    work.mkdir(parents=True)
    (work / "old.txt").write_text("old")
    result = execute(TOTALS, work_dir=work, path="q2.csv", out="new/totals.json")
    assert result.artifacts == ("new/totals.json",)
    assert (work / "new" / "totals.json").exists()


def test_working_in_the_users_own_folder(execute: Execute, here: Path) -> None:
    """With the current folder as work folder, files are used in place."""
    result = execute(TOTALS, work_dir=here, path="q2.csv")
    assert result.artifacts == ("totals.json",)
    assert (here / "totals.json").exists()


@pytest.mark.parametrize("place", ["../outside.json", "/tmp/outside-of-everything.json"])
def test_a_skill_may_not_write_outside_its_folder(execute: Execute, runs: RunRepository, place: str) -> None:
    """A constant or default path that leaves the work folder is refused before anything runs."""
    constant = of(code("n1", "print(1)", writes=use(Constant(place))))
    default = replace(TOTALS, variables=(PATH, replace(OUT, default=place), REGION))
    for skill, inputs in ((constant, {}), (default, {"path": "q2.csv"})):
        with pytest.raises(RefusedError, match="outside"):
            execute(skill, **inputs)
    assert not list(runs.list())


def test_the_user_may_name_a_place_outside(execute: Execute, here: Path, tmp_path: Path) -> None:
    """What the user names himself is written there, and recorded."""
    for spelling in ("../mine.json", str(tmp_path / "other.json")):
        result = execute(TOTALS, path="q2.csv", out=spelling)
        assert result.success, result.error
        target = Path(here, spelling).resolve()
        assert target.exists()
        assert result.artifacts == (str(target),)


def test_an_output_known_only_at_run_time_may_not_leave_either(execute: Execute) -> None:
    """A path from an earlier result that leads outside fails its node before the code runs."""
    skill = of(
        code("n1", "print('../evil.txt', end='')"),
        code("n2", "open('../evil.txt', 'w')", "n1", writes=use(FromNode("n1"))),
    )
    result = execute(skill)
    assert "outside the work folder" in str(result.error)
    assert not (Path(result.work_dir or "").parent / "evil.txt").exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "__import__('nothing_like_this')",
            "n1: exit code 1: ModuleNotFoundError: No module named 'nothing_like_this'",
        ),
        ("print('fine')", "n1: it did not write out.txt"),
        ("import time; time.sleep(60)", "its time limit"),
    ],
)
def test_code_failures_are_told(execute: Execute, db: Database, text: str, error: str) -> None:
    """Exit codes, missing files and time limits each fail the node with what is wrong."""
    result = execute(of(code("n1", text, writes=use(Constant("out.txt")), timeout_seconds=1.0)))
    assert not result.success
    assert error in str(result.error)
    events = list(RunRepository(db).events(result.run_id or ""))
    assert [event.kind for event in events][-2:] == ["error", "skill"]
    assert events[-3].code is not None


def test_independent_nodes_run_side_by_side(execute: Execute, db: Database) -> None:
    """Two slow nodes that do not need each other overlap in time; a third waits for both."""
    nap = "import time; time.sleep(0.5)"
    skill = of(code("n1", nap), code("n2", nap), code("n3", "print('after')", "n1", "n2"))
    result = execute(skill)
    assert result.success
    events = list(RunRepository(db).events(result.run_id or ""))
    starts = {event.data["node"]: event.at for event in events if event.kind == "code" and event.data}
    ends = {event.data["node"]: event.at for event in events if event.kind == "code_result" and event.data}
    assert max(starts["n1"], starts["n2"]) < min(ends["n1"], ends["n2"])  # type: ignore[type-var]
    assert starts["n3"] >= max(ends["n1"], ends["n2"])  # type: ignore[type-var,operator]


def test_a_retried_node_can_succeed(execute: Execute) -> None:
    """Code that works the second time is tried again in the same folder."""
    flaky = (
        "import os, sys\nif not os.path.exists('seen'): open('seen', 'w').close(); sys.exit(1)\nprint('ok')"
    )
    result = execute(of(code("n1", flaky, retries=1)))
    assert result.success
    assert [one.type for one in result.adaptations] == ["retry"]


def test_results_flow_between_code_nodes_and_checks(execute: Execute) -> None:
    """JSON that code prints is a result: later code gets it as a literal, checks see it and the files."""
    first = code("n1", "import json; print(json.dumps({'limit': 3, 'name': \"it's\"}))")
    bindings = {"value": FromNode("n1", ("limit",)), "name": FromNode("n1", ("name",))}
    second = code("n2", _flow_template(), "n1", bindings=bindings)
    check = Node(
        id="n3", kind="check", after=("n2",),
        template=Template(text='exists("t.csv") and columns("t.csv") == ["a", "b"] and contains(n2, "6")'),
    )  # fmt: skip
    result = execute(of(first, second, check, output_bindings={"said": FromNode("n2")}))
    assert result.success, result.error
    assert result.outputs == {"said": "6 it's\n"}


def _flow_template() -> Template:
    text = "value = 7\nname = 'x'\nopen('t.csv', 'w').write('a,b\\n1,2')\nprint(value * 2, name)"
    return template(text, value="7", name="'x'")


def test_code_cannot_see_secrets(execute: Execute, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets in the environment reach neither the code nor the file; what the user passes on does."""
    monkeypatch.setenv("SERVICE_TOKEN", "hush-hush")
    monkeypatch.setenv("REGION_NAME", "emea")
    monkeypatch.setenv("SKILLSMITH_PASS_ENV", "REGION_NAME")
    skill = of(
        code("n1", "import os; print(sorted(os.environ.items()))"), output_bindings={"env": FromNode("n1")}
    )
    said = execute(skill).outputs["env"]
    assert "hush-hush" not in said
    assert "('REGION_NAME', 'emea')" in said


def test_a_dry_run_shows_the_exact_code(execute: Execute, db: Database, here: Path) -> None:
    """The document holds the code as it would run, its files, and makes no folder."""
    plan = SkillExecutor(db).plan(TOTALS, {"task": "Sum up q2.csv by product into best.json"})
    (node,) = plan["nodes"]
    expected = (
        SUMMARISE.replace("sales.csv", "q2.csv")
        .replace("totals.json", "best.json")
        .replace("region", "product")
    )
    assert node["code"] == expected
    assert (node["reads"], node["writes"]) == ([{"value": "q2.csv"}], [{"value": "best.json"}])
    assert plan["files_brought_in"] == [{"path": "q2.csv", "from": str(here / "q2.csv")}]
    assert plan["problems"] == []
    assert not (here / "skillsmith-runs").exists()
    later = of(
        code("n1", "print(1)"),
        code("n2", _flow_template(), "n1", bindings={"value": FromNode("n1"), "name": Constant("x")}),
    )
    second = SkillExecutor(db).plan(later, {})["nodes"][1]
    assert second["values"] == {"value": {"from": "n1 → whole result"}, "name": {"value": "x"}}


def test_a_work_folder_that_cannot_be_made_is_told(execute: Execute, tmp_path: Path) -> None:
    """A file in the way of the work folder is one clear error, and the run says how it ended."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExecutionError, match="--workdir"):
        execute(TOTALS, work_dir=tmp_path / "file" / "work", path="q2.csv")


def test_drafts_are_marked_in_the_plan(db: Database, here: Path) -> None:
    """A draft runs, with a warning in its plan."""
    stored = SkillRepository(db).add(replace(TOTALS, state="draft"))
    executor = SkillExecutor(db)
    assert "draft" in executor.plan(stored, {"inputs": {"path": "q2.csv"}})["warnings"][0]
    result = executor.execute_skill(stored, {"inputs": {"path": "q2.csv"}})
    assert result.success
    assert "draft" in result.warnings[0]
