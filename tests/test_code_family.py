"""Tests of skills from several runs whose work is code, all of them really run."""

from __future__ import annotations

from pathlib import Path

import pytest
from code_runs import LISTING, asked, capture, program, table

from skillsmith.db import Database
from skillsmith.errors import ExtractionError
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.extractor import ExtractionReport, SkillExtractor
from skillsmith.library.families.code_skeleton import same_code
from skillsmith.models import Proof

CASES = [
    ("sales.csv", "amount", 10, "sum.json"),
    ("costs.csv", "price", 25, "costs.json"),
    ("stock.csv", "count", 3, "stock.json"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the library is."""
    return tmp_path / "x.db"


def runs(path: Path, *, extra: tuple[int, ...] = ()) -> list[str]:
    """Capture the cases; those with these numbers also list names."""
    made = []
    for number, case in enumerate(CASES):
        blocks = [*program(*case), *([LISTING.format(source=case[0])] if number in extra else [])]
        files = {case[0]: table(5, 20, 30, column=case[1])}
        made.append(capture(path, path.parent / f"work{number}", asked(*case), blocks, files))
    return made


def extract(path: Path, ids: list[str]) -> ExtractionReport:
    """Make a skill of the runs."""
    return SkillExtractor(Database(path)).extract(ids, name="add-up")


def proof(report: ExtractionReport, level: str) -> Proof:
    """Return one of a skill's proofs."""
    return next(one for one in report.skill.proofs if one.level == level)


def test_what_differs_becomes_an_input(path: Path) -> None:
    """Three runs of one program give one skill whose inputs are what differed, and all proofs pass."""
    report = extract(path, runs(path))
    skill = report.skill
    assert skill.state == "proven"
    assert [(one.name, one.type, one.required) for one in skill.variables] == [
        ("input_file", "path", True), ("limit", "integer", True), ("column", "string", True),
        ("output_file", "path", False),
    ]  # fmt: skip
    assert [(one.level, one.passed) for one in skill.proofs] == [
        ("reconstructs", True), ("replays", True), ("generalises", True),
    ]  # fmt: skip
    left_out = proof(report, "generalises").detail["left_out"]
    assert [(one["regenerated"], one["equal"]) for one in left_out] == [(True, "exact")] * 3
    assert set(left_out[0]["from_words"]) == {"input_file", "limit", "column", "output_file"}
    assert skill.task_pattern == (
        "Add up the column {column} of {input_file}, rows of at least {limit} only, and write {output_file}"
    )


def test_the_skill_does_another_task(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The family's skill runs on a file that none of its runs had."""
    skill = extract(path, runs(path)).skill
    (tmp_path / "new.csv").write_text(table(1, 50, 60, column="points"))
    monkeypatch.chdir(tmp_path)
    executor = SkillExecutor(Database(path), work_dir=tmp_path / "out")
    given = {"input_file": "new.csv", "limit": 55, "column": "points", "output_file": "p.json"}
    done = executor.execute_skill(skill, {"task": "Add up points", "inputs": given})
    assert done.success
    assert (tmp_path / "out" / "p.json").read_text() == '{"total": 60, "rows": 1}'


def test_a_block_that_only_one_run_has_is_done_when_asked_for(path: Path) -> None:
    """A block of files of its own becomes a node with a condition, with its support."""
    report = extract(path, runs(path, extra=(1,)))
    node = next(one for one in report.skill.nodes if one.condition)
    assert node.condition == "with_names"
    switch = next(one for one in report.skill.variables if one.name == "with_names")
    assert (switch.type, switch.default, switch.required) == ("boolean", False, False)
    why = next(one for one in report.skill.why if one.subject == f"{node.id}.condition")
    assert "in 1 of 3 runs" in why.detail
    assert report.skill.state == "proven"
    assert proof(report, "generalises").detail["regenerated"] == 2


def test_a_block_in_the_same_process_is_left_out_with_its_reason(path: Path) -> None:
    """A block that shares names with others and that only some runs have is left out, and it says so."""
    first = runs(path)
    case = ("more.csv", "units", 7, "more.json")
    extra = 'with open("rows.txt", "w") as file:\n    file.write(str(len(rows)))\n'
    files = {case[0]: table(8, 9, column=case[1])}
    last = capture(path, path.parent / "work9", asked(*case), [*program(*case), extra], files)
    report = extract(path, [*first, last])
    reason = next(one for one in report.left_out if one.rule == "not-in-all-runs")
    assert "in 1 of 4 runs" in reason.detail
    assert report.skill.state == "proven"


def test_failed_runs_give_checks(path: Path) -> None:
    """A missing file and a missing column of failed runs become checks before the code, never steps."""
    good = runs(path)
    gone = ("none.csv", "amount", 4, "x.json")
    bare = ("bare.csv", "amount", 4, "x.json")
    bad = [
        capture(path, path.parent / "bad1", asked(*gone), program(*gone), {}, outcome="failure"),
        capture(path, path.parent / "bad2", asked(*bare), program(*bare),
                {"bare.csv": table(1, column="other")}, outcome="failure"),
    ]  # fmt: skip
    skill = extract(path, [*good, *bad]).skill
    checks = [one.template.text for one in skill.nodes if one.kind == "check" and one.template]
    assert checks == ["exists(input_file)", "column in columns(input_file)"]
    code = next(one for one in skill.nodes if one.kind == "code")
    assert {one.id for one in skill.nodes if one.kind == "check"} <= set(code.after)
    assert skill.state == "proven"


def test_all_successful_finds_families_of_code(path: Path) -> None:
    """Runs of one program are proposed together with the failed ones that tried it; others stand alone."""
    good = runs(path)
    gone = ("none.csv", "amount", 4, "x.json")
    bad = capture(path, path.parent / "bad", asked(*gone), program(*gone), {}, outcome="failure")
    other = capture(path, path.parent / "other", "Say hello", ['open("hello.txt", "w").write("hi")'], {})
    found = SkillExtractor(Database(path)).families([*good, bad, other])
    assert [(sorted(group), failed) for group, failed in found] == [(sorted(good), [bad]), ([other], [])]


def test_other_names_and_layout_are_the_same_code(path: Path) -> None:
    """A run that calls its variables otherwise and lays its code out otherwise is of the family."""
    first = runs(path)[:2]
    case = CASES[2]
    blocks = [one.replace("kept", "chosen").replace("total = ", "total  =  ") for one in program(*case)]
    blocks[1] = f"# add up\n{blocks[1]}"
    files = {case[0]: table(5, 20, 30, column=case[1])}
    last = capture(path, path.parent / "again", asked(*case), blocks, files)
    report = extract(path, [*first, last])
    assert proof(report, "reconstructs").detail["equal"] == {"exact": 2, "names": 1}


def test_texts_that_differ_in_a_part_share_its_variable(path: Path) -> None:
    """Where people said only a part of the texts that differ, that part is the input."""
    code = """\
with open("in/{0}_sales.txt") as file:
    lines = file.read().splitlines()
with open("{0}_report.txt", "w") as file:
    file.write("Report for {0}: " + str(len(lines)))
"""
    ids = []
    for number, month in enumerate(("january", "february", "october")):
        work = path.parent / f"m{number}"
        (work / "in").mkdir(parents=True)
        (work / "in" / f"{month}_sales.txt").write_text("1\n2\n")
        ids.append(_capture_in(path, work, f"Make the report for {month}", code.format(month)))
    skill = extract(path, ids).skill
    assert [one.default for one in skill.variables] == ["january"]
    (name,) = (one.name for one in skill.variables)
    assert skill.nodes[0].template is not None
    assert f'"Report for {{{name}}}: "' in skill.nodes[0].template.text
    assert skill.state == "proven"


def _capture_in(path: Path, folder: Path, task: str, block: str) -> str:
    from skillsmith.capture.logger import AgentExecutionLogger  # noqa: PLC0415  (only here)
    from skillsmith.library.execution.sandbox import run_code  # noqa: PLC0415  (only here)

    with AgentExecutionLogger(path, task=task, work_dir=folder) as log:
        ran = run_code(block, language="python", work_dir=folder, timeout_seconds=20)
        log.log_code_execution(block, {"exit_code": ran.exit_code, "output": ran.output}, agent="coder")
        log.finish(outcome="success")
        return log.run_id


def test_code_that_is_built_differently_is_refused(path: Path) -> None:
    """Runs whose code has no common shape are refused in one line that says why."""
    good = runs(path)[:1]
    other = capture(path, path.parent / "other", "Add up", ['open("a.txt", "w").write(str(sum([1, 2])))'], {})
    with pytest.raises(ExtractionError, match="no block of code in common"):
        extract(path, [*good, other])


@pytest.mark.parametrize(
    ("one", "other", "sense"),
    [
        ("x = 1", "x = 1", "exact"),
        ("x = 1  # one", "x=1", "formatting"),
        ("x = 1\nprint(x)", "y = 1\nprint(y)", "names"),
        ("x = 1", "x = 2", None),
        ("import os\nos.sep", "import os\nos.linesep", None),
        ("def f(a):\n    'doc'\n    return a", "def g(b):\n    return b", "names"),
    ],
)
def test_when_code_is_the_same(one: str, other: str, sense: str | None) -> None:
    """Layout, comments, docstrings and own names do not matter; values and foreign names do."""
    assert same_code(one, other, language="python") == sense
