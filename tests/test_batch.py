"""Tests of batches: reading inputs, keeping results, doing what is left."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from cli_process import code_skill
from hypothesis import given
from hypothesis import strategies as st

from skillsmith.batch import Batch, read_items, run_many
from skillsmith.batch.items import ItemResult, Plan
from skillsmith.batch.results import Results
from skillsmith.errors import RefusedError, UsageError
from skillsmith.models import Skill
from skillsmith.workspace import open_workspace

SKILL = code_skill("greet")
PERSON = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)


def inputs_file(folder: Path, people: list[str]) -> Path:
    """Write inputs, one a line."""
    path = folder / "in.jsonl"
    path.write_bytes(b"".join(orjson.dumps({"person": person}) + b"\n" for person in people))
    return path


@given(people=st.lists(PERSON, min_size=1, max_size=8))
def test_a_table_and_lines_say_the_same(people: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same inputs come out of a CSV file and of a JSONL file, whatever stands in them."""
    folder = tmp_path_factory.mktemp("inputs")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["person"], *[[person] for person in people]])
    table = folder / "in.csv"
    table.write_bytes(buffer.getvalue().encode())
    lines = inputs_file(folder, people)
    assert read_items(table, SKILL) == read_items(lines, SKILL)
    assert [item.inputs["person"] for item in read_items(lines, SKILL)] == people


def test_equal_inputs_are_told_apart_and_keys_do_not_depend_on_the_place(tmp_path: Path) -> None:
    """The same inputs twice are two items; another order of the lines changes no key."""
    first = read_items(inputs_file(tmp_path, ["Ann", "Bob", "Ann"]), SKILL)
    other = read_items(inputs_file(tmp_path, ["Bob", "Ann", "Ann"]), SKILL)
    assert len({item.key for item in first}) == 3
    assert {item.key for item in first} == {item.key for item in other}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"person": "Ann"}\n{"nobody": 1}\n', "line 2: skill 'greet' has no input 'nobody'"),
        ("a.jsonl", '{"person": "Ann"}\n[1]\n', "line 2 is no JSON object"),
        ("a.jsonl", "{oops\n", "line 1 is no JSON"),
        ("a.jsonl", "\n", "holds no inputs"),
        ("a.csv", "person\nAnn,Bob\n", "line 2 has 2 cells, not 1"),
        ("a.csv", "person,person\nAnn,Bob\n", "column 'person' twice"),
        ("a.csv", 'person\n"Ann\n', "is no table"),
        ("a.txt", "Ann", "is no list of inputs"),
        ("a.csv", b"person\n\xff\xfe\n", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    """A mistake anywhere is one line that says where, before anything is run."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UsageError, match=said):
        read_items(path, SKILL)


def result(key: str, *, success: bool = True) -> ItemResult:
    """Return the result of an input."""
    return ItemResult(index=1, key=key, status="succeeded" if success else "failed", inputs={"person": key})


def test_a_torn_line_is_taken_away(tmp_path: Path) -> None:
    """A kill while a result was written costs that line and no other."""
    path = tmp_path / "out.jsonl"
    with Results(path, skill="greet@1") as results:
        results.add(result("a"))
        results.add(result("b", success=False))
    path.write_bytes(path.read_bytes() + b'{"index": 3, "ke')
    again = Results(path, skill="greet@1")
    assert again.known == {"a": True, "b": False}
    assert again.batch == results.batch
    assert path.read_bytes().endswith(b"}\n")


def test_results_of_others_are_never_written_over(tmp_path: Path) -> None:
    """A finished batch, another skill's and a foreign file are left as they are."""
    path = tmp_path / "out.jsonl"
    with Results(path, skill="greet@1") as results:
        results.add(result("a"))
        with pytest.raises(RefusedError, match="holds results of greet@1"):
            Results(path, skill="other@1")
        results.finish()
    before = path.read_bytes()
    with pytest.raises(RefusedError, match="finished"):
        Results(path, skill="greet@1")
    assert path.read_bytes() == before


def batch(folder: Path, skill: Skill, people: list[str], **more: Any) -> Batch:
    """Return a batch over people, in a file of its own."""
    path = folder / "s.db"
    with open_workspace(path) as workspace:
        if not workspace.skills.exists(skill.name):
            workspace.skills.add(skill)
    plan = Plan(db=str(path), skill=f"{skill.name}@1", batch="", work_dir=folder / "work")
    items = read_items(inputs_file(folder, people), skill)
    return Batch(plan=plan, items=items, output=folder / "out.jsonl", workers=2, **more)


def test_every_input_is_an_execution_of_its_own(tmp_path: Path) -> None:
    """Each has its result, its place in the ledger and its own work folder."""
    told: list[ItemResult] = []
    summary = run_many(batch(tmp_path, SKILL, ["Ann", "Bob", "Cem"]), on_result=told.append)
    assert (summary.items, summary.succeeded, summary.failed, summary.executed) == (3, 3, 0, 3)
    lines = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert {line["inputs"]["person"] for line in lines} == {"Ann", "Bob", "Cem"}
    assert {one.key for one in told} == {line["key"] for line in lines}
    for line in lines:
        text = (Path(line["work_dir"]) / "greeting.txt").read_text()
        assert text == f"Hello {line['inputs']['person']}"
    with open_workspace(tmp_path / "s.db") as workspace:
        assert workspace.ledger.stats("greet")["completed"] == 3
        assert {workspace.runs.get(line["run_id"]).metadata["batch"] for line in lines} == {summary.batch}


def test_what_only_the_ledger_knows_is_not_done_again(tmp_path: Path) -> None:
    """Results that a kill kept from the file come from the ledger when the batch goes on."""
    work = batch(tmp_path, SKILL, ["Ann", "Bob", "Cem"])
    first = run_many(work)
    whole = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "out.jsonl").write_bytes(whole.splitlines(keepends=True)[0])
    ticket = {"batch": first.batch, "skill": "greet@1"}
    (tmp_path / "out.jsonl.batch").write_bytes(orjson.dumps(ticket))
    again = run_many(work)
    assert (again.succeeded, again.executed) == (3, 0)
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 3
    with open_workspace(tmp_path / "s.db") as workspace:
        assert workspace.ledger.stats("greet")["executions"] == 3
