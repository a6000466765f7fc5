from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import skill_strategies as any_
from hypothesis import given, settings

from skillsmith.db import Database
from skillsmith.errors import InvalidSkillFileError, NotFoundError, RefusedError, UntrustedError, UsageError
from skillsmith.library.exchange import trust
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.program.document import to_document
from skillsmith.library.program.similarity import structure_digest
from skillsmith.library.repository import MAX_EXAMPLES, SkillRepository
from skillsmith.models import (
    Constant,
    Execution,
    FromInput,
    Node,
    Proof,
    Skill,
    SkillArtifact,
    SkillState,
)


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """The library of that file."""
    return SkillRepository(db)


def named(name: str, **fields: Any) -> Skill:
    """Return a small sound skill."""
    return Skill(name=name, nodes=(Node(id="n1", kind="tool", tool="getUserDetails"),), **fields)


def used(db: Database, skill: Skill, *successes: bool) -> None:
    """Record one execution of a skill for each verdict."""
    ledger = ExecutionLedger(db)
    for success in successes:
        execution = ledger.start(skill, task="t", run_id=None, inputs={})
        ledger.finish(execution, success=success, outputs={}, adaptations=(), artifacts=())


def listed(found: Any) -> list[str]:
    """Return the names of summaries."""
    return [summary.name for summary in found]


@settings(max_examples=25)
@given(skill=any_.skills())
def test_a_stored_skill_comes_back_whole(tmp_path: Path, skill: Skill) -> None:
    """Every field survives storage: bindings, templates, bytes, huge numbers, proofs with their times."""
    skills = SkillRepository(Database(":memory:"))
    stored = skills.add(skill)
    assert stored == replace(skill, id=stored.id, version=1, created_at=stored.created_at)
    assert skills.get(skill.name) == stored
    assert skills.document(skill.name) == to_document(stored)


def test_the_next_version_becomes_the_current_one(skills: SkillRepository) -> None:
    """Versions count from 1; the newest is what the name means; older ones stay as they were."""
    first = skills.add(named("plot", description="one"))
    second = skills.add(named("plot", description="two", version=7))
    assert (first.version, second.version) == (1, 2)
    assert skills.get("plot") == second
    assert skills.get("plot@1") == first
    assert skills.get(first.id) == first
    assert skills.versions("plot") == [1, 2]
    assert skills.current_version("plot") == 2
    assert skills.names() == ["plot"]
    assert skills.by_pk(skills.version_pk("plot@1")) == first


def test_a_version_can_be_added_without_becoming_current(skills: SkillRepository) -> None:
    """A proposal waits beside the version in use, until the pointer is moved."""
    skills.add(named("plot", description="bars"))
    skills.add(named("plot", description="circles"), make_current=False)
    assert skills.current_version("plot") == 1
    assert skills.search("circles") == []
    skills.set_current("plot@2")
    assert skills.get("plot").description == "circles"
    assert [pk for pk, _ in skills.search("circles")] == [skills.version_pk("plot@2")]
    assert skills.search("bars") == []


def test_a_version_number_can_be_kept_but_never_reused(skills: SkillRepository) -> None:
    """A higher number stays as it is, a taken or lower one becomes the next."""
    assert skills.add(named("plot", version=5), keep_version=True).version == 5
    assert skills.add(named("plot", version=5), keep_version=True).version == 6


def test_an_unsound_skill_is_not_stored(skills: SkillRepository) -> None:
    """Nothing of it stays behind."""
    with pytest.raises(UsageError, match="which is not declared"):
        skills.add(
            Skill(name="p", nodes=(Node(id="n1", kind="tool", tool="t", arguments={"a": FromInput("x")}),))
        )
    with pytest.raises(UsageError, match="no state 'great'"):
        skills.add(replace(named("p"), state="great"))  # type: ignore[arg-type]
    with pytest.raises(InvalidSkillFileError, match="JSON cannot"):
        skills.add(named("p", description="\ud800"))
    deep: Any = 1
    for _ in range(120):
        deep = [deep]
    with pytest.raises(InvalidSkillFileError, match="nested"):
        skills.add(named("p", extras={"deep": deep}))
    assert skills.names() == []


def test_what_is_not_there_is_named_with_close_names(skills: SkillRepository) -> None:
    """A typo gets a suggestion, a wrong version the list of right ones."""
    skills.add(named("plot_spectrum"))
    with pytest.raises(NotFoundError, match="did you mean plot_spectrum"):
        skills.get("plot_spectrm")
    with pytest.raises(NotFoundError, match="has no version 9; it has 1"):
        skills.get("plot_spectrum@9")
    with pytest.raises(NotFoundError, match="skillsmith list"):
        skills.get("zzz")
    for ref in ("", "@1", "plot spectrum", "plot_spectrum@x", "plot_spectrum@0", "%", "' OR 1"):
        with pytest.raises(NotFoundError):
            skills.get(ref)
    assert not skills.exists("zzz")
    with pytest.raises(NotFoundError):
        skills.by_pk(99)


STATES = [("quarantined", "trusted"), ("quarantined", "retired"), ("draft", "proven"), ("proven", "trusted")]


@pytest.mark.parametrize(("before", "after"), STATES)
def test_states_move(skills: SkillRepository, before: SkillState, after: SkillState) -> None:
    """The state is the one thing of a version that changes."""
    stored = skills.add(named("plot", state=before))
    assert skills.set_state("plot", after) == replace(stored, state=after)
    assert skills.state("plot") == after


def test_a_retired_version_comes_back_through_quarantine_only(skills: SkillRepository) -> None:
    """Retiring an imported skill is no way around looking at it; ``trust`` is the way back."""
    skills.add(named("plot", state="quarantined"))
    skills.set_state("plot", "retired")
    states: tuple[SkillState, ...] = ("draft", "proven", "trusted")
    for state in states:
        with pytest.raises(UntrustedError, match="skillsmith trust plot@1"):
            skills.set_state("plot", state)
    assert skills.set_state("plot", "quarantined").state == "quarantined"
    skills.set_state("plot", "retired")
    assert trust(skills, "plot").state == "trusted"


def test_quarantine_ends_only_by_trust(skills: SkillRepository) -> None:
    """A proof does not let an imported skill run."""
    skills.add(named("plot", state="quarantined"))
    states: tuple[SkillState, ...] = ("draft", "proven")
    for state in states:
        with pytest.raises(UntrustedError, match="skillsmith trust plot@1"):
            skills.set_state("plot", state)
    with pytest.raises(UsageError):
        skills.set_state("plot", "great")  # type: ignore[arg-type]


def test_proofs_are_added_to_a_version(skills: SkillRepository) -> None:
    """Evidence grows while the version stays; its content digest does not move."""
    skills.add(named("plot"))
    before = skills.stored_digest("plot")
    proof = Proof(level="replays", passed=False, compared=2, failures=("exit 1",), detail={"a": [1]}, at=3.0)
    skills.add_proof("plot", proof)
    assert skills.get("plot").proofs == (proof,)
    assert skills.stored_digest("plot") == before


def test_served_tasks_are_kept_the_newest_last(skills: SkillRepository) -> None:
    """The source task stays first, repeats move to the end, and only the newest fifty are kept."""
    skills.add(named("plot", examples=("the source",)))
    for number in range(60):
        skills.add_example("plot", f"task {number}")
    skills.add_example("plot", "task 30")
    skills.add_example("plot", "  ")
    examples = skills.get("plot").examples
    assert len(examples) == MAX_EXAMPLES
    assert examples[0] == "the source"
    assert examples[-2:] == ("task 59", "task 30")
    assert len(set(examples)) == MAX_EXAMPLES
    assert skills.search("30")
    assert not skills.search("task3")


def test_deleting_a_skill_keeps_its_history(db: Database, skills: SkillRepository) -> None:
    """All versions, tags and full text go; executions stay under the name."""
    stored = skills.add(named("plot", tags=("a",), proofs=(Proof(level="replays", passed=True, compared=1),)))
    skills.add(named("plot"))
    used(db, stored, True)
    assert skills.delete("plot") == ("plot@1", "plot@2")
    assert not skills.exists("plot")
    assert skills.search("plot") == []
    assert [execution.version for execution in ExecutionLedger(db).list("plot")] == [1]
    assert db.check() == []
    for table in ("skills", "skill_versions", "skill_tags", "proofs"):
        assert db.scalar(f"SELECT count(*) FROM {table}") == 0


def test_deleting_a_version_moves_the_pointer(skills: SkillRepository) -> None:
    """The newest version that may run becomes current; the last one takes the skill with it."""
    skills.add(named("plot", description="good"))
    skills.add(named("plot", state="retired"))
    skills.add(named("plot", description="bad"))
    assert skills.delete("plot@3") == ("plot@3",)
    assert skills.current_version("plot") == 1
    assert [pk for pk, _ in skills.search("good")] == [skills.version_pk("plot@1")]
    assert skills.delete("plot@2") == ("plot@2",)
    assert skills.delete("plot@1") == ("plot@1",)
    assert skills.names() == []


def test_a_skill_that_others_call_is_not_deleted(skills: SkillRepository) -> None:
    """A composed skill never loses a part of it."""
    skills.add(named("load"))
    skills.add(named("load"))
    skills.add(Skill(name="report", nodes=(Node(id="n1", kind="skill", tool="load@1"),)))
    for ref in ("load", "load@1"):
        with pytest.raises(RefusedError, match="report calls load; delete report first"):
            skills.delete(ref)
    assert skills.delete("load@2") == ("load@2",)
    skills.delete("report")
    assert skills.delete("load") == ("load@1",)


@pytest.mark.parametrize("window", [1, 2, 100])
@pytest.mark.parametrize("sort", ["name", "success_rate", "last_used", "created"])
def test_every_order_is_complete_at_any_window(
    db: Database, skills: SkillRepository, sort: str, window: int
) -> None:
    """Equal and missing figures lose no skill and repeat none, wherever the list goes on."""
    for number, verdicts in enumerate([(True,), (), (True, False), (False,), (True,), (), (True, True)]):
        used(db, skills.add(named(f"skill-{number}")), *verdicts)
    whole = listed(skills.list(sort=sort))
    assert sorted(whole) == [f"skill-{number}" for number in range(7)]
    assert listed(skills.list(sort=sort, window=window)) == whole
    for index, name in enumerate(whole):
        assert listed(skills.list(sort=sort, after=name, window=window)) == whole[index + 1 :]


def test_orders_put_the_best_first(db: Database, skills: SkillRepository) -> None:
    """By success rate, then by how often; by last use; by age."""
    for name, verdicts in {"a": (False,), "b": (True,), "c": (True, True), "d": ()}.items():
        used(db, skills.add(named(name)), *verdicts)
    assert listed(skills.list(sort="success_rate")) == ["c", "b", "a", "d"]
    assert listed(skills.list(sort="last_used")) == ["c", "b", "a", "d"]
    assert listed(skills.list(sort="created")) == ["d", "c", "b", "a"]
    with pytest.raises(UsageError, match="success_rate"):
        skills.list(sort="beauty")
    with pytest.raises(NotFoundError, match="start again"):
        skills.list(sort="created", after="zzz")


def test_lists_are_filtered(skills: SkillRepository) -> None:
    """By all of some tags, by state and by all words."""
    skills.add(named("a", tags=("x", "y"), description="red curve"))
    skills.add(named("b", tags=("x",), state="trusted", description="red"))
    assert listed(skills.list(tags=("x",))) == ["a", "b"]
    assert listed(skills.list(tags=("x", "y"))) == ["a"]
    assert listed(skills.list(state="trusted")) == ["b"]
    assert listed(skills.list(search="red curve")) == ["a"]
    assert listed(skills.list(search="?!")) == []
    assert listed(skills.list(search=" ")) == ["a", "b"]


def test_figures_are_counted_from_executions(db: Database, skills: SkillRepository) -> None:
    """The list shows what happened, also when an execution never ended, and nothing of a deleted namesake."""
    used(db, skills.add(named("plot")), False, False)
    skills.delete("plot")
    second = skills.add(named("plot"))
    used(db, second, True, True, False)
    ExecutionLedger(db).start(second, task="t", run_id=None, inputs={})
    (summary,) = skills.list()
    assert (summary.executions, summary.success_rate) == (4, 2 / 3)
    assert summary.last_used_at is not None


def test_equal_structure_is_found_under_other_names(skills: SkillRepository) -> None:
    """Two skills that do the same are known by their DAG; only current versions count."""
    one = skills.add(named("one"))
    other = Skill(
        name="one", nodes=(Node(id="n1", kind="tool", tool="t", arguments={"a": Constant(10**30)}),)
    )
    assert skills.with_structure(structure_digest(one)) == [("one", 1)]
    skills.add(other)
    assert skills.with_structure(structure_digest(one)) == []
    assert skills.with_structure(structure_digest(other)) == [("one", 2)]


def test_the_specifications_names_work(db: Database, skills: SkillRepository) -> None:
    """Each method of the specification is there and does what it says."""
    artifact = SkillArtifact(name="a.py", type="code", content=b"1")
    skill_id = skills.create_skill(named("plot", tags=("x",), artifacts=(artifact,)))
    skill = skills.get_skill_by_id(skill_id)
    assert skills.get_skill_by_name("plot") == skills.get_skill_by_name("plot", 1) == skill
    assert (
        skills.search_skills("plot")
        == skills.search_skills("plot", ["x"])
        == skills.get_all_skills()
        == [skill]
    )
    assert skills.search_skills("plot", ["y"]) == []
    assert skills.get_skill_artifacts(skill_id) == [artifact]
    execution = Execution(
        id="", skill="plot", version=1, run_id=None, task="t", started_at=10.0, completed_at=12.0,
        duration_seconds=2.0, success=True, error=None, inputs={}, outputs={"a": 1}, adaptations=(),
        cost_usd=0.5,
    )  # fmt: skip
    execution_id = skills.create_skill_execution(execution)
    assert skills.get_skill_executions(skill_id) == [replace(execution, id=execution_id)]
    metrics = skills.update_skill_metrics(skill_id, True, 2.0, 0.5)
    assert (metrics["success_count"], metrics["avg_execution_time_seconds"]) == (1, 2.0)
    with pytest.raises(Exception, match="other figures"):
        skills.update_skill_metrics(skill_id, False, 2.0, 0.5)


def test_processes_that_add_at_once_get_different_versions(tmp_path: Path) -> None:
    """Two writers of one name never make the same version."""
    path = tmp_path / "shared.db"
    code = (
        "import sys; from skillsmith.db import Database; from skillsmith.models import Skill\n"
        "from skillsmith.library.repository import SkillRepository\n"
        "skills = SkillRepository(Database(sys.argv[1]))\n"
        "[skills.add(Skill(name='plot', body=sys.argv[2])) for _ in range(20)]\n"
    )
    Database(path).close()
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(number)]) for number in range(2)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    skills = SkillRepository(Database(path))
    assert skills.versions("plot") == list(range(1, 41))
    assert [*skills.pointer_problems()] == []


def test_a_library_opened_for_reading_answers(tmp_path: Path) -> None:
    """Looking needs no right to write."""
    path = tmp_path / "a.db"
    writer = Database(path)
    SkillRepository(writer).add(named("plot"))
    reader = SkillRepository(Database(path, readonly=True))
    assert reader.get("plot").name == "plot"
    assert listed(reader.list(search="plot")) == ["plot"]
