from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import skill_strategies as any_
from hypothesis import given, settings
from plot_skill import plot

from skillsmith.db import Database
from skillsmith.errors import InvalidSkillFileError, NotFoundError, StorageError, UsageError
from skillsmith.library import exchange
from skillsmith.library.exchange import export_skills, import_files, trust
from skillsmith.library.program.seal import render
from skillsmith.library.program.stability import unstable_places
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing import file
from skillsmith.models import Node, Proof, Skill


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """A library."""
    return SkillRepository(db)


@pytest.fixture
def others(tmp_path: Path) -> SkillRepository:
    """The library of another machine."""
    return SkillRepository(Database(tmp_path / "other.db"))


@pytest.fixture
def exported(skills: SkillRepository, tmp_path: Path) -> Path:
    """The plot skill as a file."""
    skills.add(plot())
    (file,) = export_skills(skills, ["plot"], tmp_path / "shared")
    return file


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=15)
@given(skill=any_.skills().filter(lambda skill: not unstable_places(skill)))
def test_a_shared_skill_is_the_same_bytes_on_every_machine(tmp_path_factory: Any, skill: Skill) -> None:
    """Export, import elsewhere, export again: byte for byte the same, and nothing of the skill is lost."""
    folder = tmp_path_factory.mktemp("machine")
    here, there = (SkillRepository(Database(":memory:")) for _ in range(2))
    here.add(replace(skill, version=3), keep_version=True)
    export_skills(here, [skill.name], folder / "a")
    import_files(there, [folder / "a"])
    export_skills(there, [skill.name], folder / "b")
    assert contents(folder / "a") == contents(folder / "b")
    assert there.get(skill.name).nodes == here.get(skill.name).nodes
    assert there.get(skill.name).artifacts == here.get(skill.name).artifacts


def test_a_file_is_pleasant_to_review(exported: Path) -> None:
    """Keys are sorted, each value stands on its line, code is lines, and nothing of the machine is in it."""
    text = exported.read_text(encoding="utf-8")
    assert exported.name == "plot.skill.json"
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert '"print({path})\\r",\n' in text
    assert "/tmp" not in text
    assert str(Path.home()) not in text


def test_imports_wait_in_quarantine_until_trusted(exported: Path, others: SkillRepository) -> None:
    """What comes in is inert until its user says so; its claimed proof has no date here."""
    report = import_files(others, [exported])
    assert report.imported == report.quarantined == ("plot@1",)
    assert others.get("plot").state == "quarantined"
    assert [proof.at for proof in others.get("plot").proofs] == [None]
    assert trust(others, "plot").state == "trusted"
    assert others.get("plot").state == "trusted"
    assert others.search("plots")


def test_importing_again_adds_nothing(exported: Path, others: SkillRepository) -> None:
    """The same content is known by its digest, also when it was proven and used here meanwhile."""
    import_files(others, [exported])
    others.add_proof("plot", Proof(level="generalises", passed=True, compared=1, at=5.0))
    others.add_example("plot", "Plot b.csv")
    report = import_files(others, [exported.parent])
    assert (report.imported, report.unchanged) == ((), ("plot@1",))
    assert others.versions("plot") == [1]


def test_other_content_under_a_known_name_is_a_conflict(exported: Path, others: SkillRepository) -> None:
    """Nothing is overwritten; the report says what differs; on demand it becomes the next version."""
    others.add(plot(description="Mine", state="trusted"))
    (conflict,) = import_files(others, [exported]).conflicts
    assert (conflict.name, conflict.version, conflict.differs) == ("plot", 1, ("description",))
    assert others.versions("plot") == [1]
    report = import_files(others, [exported], new_version=True)
    assert report.imported == ("plot@2",)
    assert import_files(others, [exported], new_version=True).unchanged == ("plot@2",)


def test_an_imported_version_never_displaces_one_that_runs(exported: Path, others: SkillRepository) -> None:
    """The current version stays until the new one is trusted; then the newer leads."""
    others.add(plot(description="Mine", state="trusted"))
    import_files(others, [exported], new_version=True)
    assert others.get("plot").description == "Mine"
    trust(others, "plot")
    assert others.get("plot").description == "Plots"
    assert others.get("plot").version == 2


def test_only_newer_versions_when_asked(
    skills: SkillRepository, others: SkillRepository, tmp_path: Path
) -> None:
    """An older number of other content stays a conflict, a higher one follows."""
    skills.add(plot(version=5), keep_version=True)
    files = export_skills(skills, ["plot"], tmp_path / "shared")
    others.add(plot(description="Mine", version=7), keep_version=True)
    assert import_files(others, files, new_version=True, newer_only=True).conflicts
    skills.add(plot(version=9, description="New"), keep_version=True)
    files = export_skills(skills, ["plot"], tmp_path / "shared")
    assert import_files(others, files, new_version=True, newer_only=True).imported == ("plot@9",)


def test_trust_of_a_version_that_is_older_leaves_the_pointer(others: SkillRepository) -> None:
    """An old version may be allowed to run without taking over."""
    others.add(plot(state="quarantined"))
    others.add(plot(state="trusted", description="two"))
    assert trust(others, "plot@1").state == "trusted"
    assert others.current_version("plot") == 2
    others.set_state("plot", "retired")
    trust(others, "plot@1")
    assert others.current_version("plot") == 1
    with pytest.raises(NotFoundError):
        trust(others, "nothing")


def test_a_file_survives_reformatting(exported: Path, others: SkillRepository) -> None:
    """Windows line ends from git and another indentation change nothing that the digest covers."""
    document = json.loads(exported.read_bytes())
    exported.write_bytes(exported.read_bytes().replace(b"\n", b"\r\n"))
    assert import_files(others, [exported]).imported == ("plot@1",)
    exported.write_text(json.dumps(document, indent=7), encoding="utf-8")
    assert import_files(others, [exported]).unchanged == ("plot@1",)


def test_known_content_is_not_examined_again(
    exported: Path, skills: SkillRepository, others: SkillRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code is looked through when it comes in, not each time its file is met; gone meanwhile, it is again."""
    examined: list[str] = []

    def examine(skill: Skill) -> list[str]:
        examined.append(skill.name)
        return []

    for place in (file, exchange):
        monkeypatch.setattr(place, "unstable_places", examine)
    import_files(others, [exported])
    assert examined == ["plot"]
    import_files(others, [exported])
    import_files(skills, [exported])
    assert examined == ["plot"]
    import_ = exchange.Import(others, new_version=False, newer_only=False)
    found = file.read_skill_file(exported, reference=import_)
    others.delete("plot")
    import_.take(found)
    assert examined == ["plot", "plot"]
    assert others.state("plot") == "quarantined"


def test_unsafe_code_that_was_known_while_it_was_read_is_refused(
    exported: Path, others: SkillRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is deleted between reading and storing gets no way around the examination."""
    import_files(others, [exported])
    monkeypatch.setattr(exchange, "unstable_places", lambda _skill: ["n1: a value is code"])
    import_ = exchange.Import(others, new_version=False, newer_only=False)
    found = file.read_skill_file(exported, reference=import_)
    others.delete("plot")
    import_.take(found)
    assert [problem.reason for problem in import_.report().problems] == ["n1: a value is code"]
    assert not others.exists("plot")


def test_history_in_a_file_is_not_believed(exported: Path, others: SkillRepository) -> None:
    """State, ids and run ids of another machine are not taken over."""
    document = json.loads(exported.read_bytes()) | {"history": {"state": "trusted", "source_run_ids": ["x"]}}
    exported.write_bytes(render(document))
    import_files(others, [exported])
    assert others.get("plot").state == "quarantined"
    assert others.get("plot").source_run_ids == ()


def test_a_folder_is_imported_but_for_its_bad_files(
    skills: SkillRepository, others: SkillRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The good files come in, whatever batches they fall into; the others are reported with their reason."""
    monkeypatch.setattr(exchange, "BATCH", 3)
    for number in range(8):
        skills.add(plot(name=f"skill-{number}"))
    folder = tmp_path / "shared"
    export_skills(skills, skills.names(), folder / "deeper")
    (folder / "bad.skill.json").write_text("{}", encoding="utf-8")
    (folder / "notes.txt").write_text("no skill", encoding="utf-8")
    report = import_files(others, [folder])
    assert report.imported == tuple(f"skill-{number}@1" for number in range(8))
    ((problem),) = report.problems
    assert (Path(problem.path).name, problem.reason) == (
        "bad.skill.json",
        "it has no digest, so it is no exported skill",
    )
    assert others.names() == skills.names()


def test_named_files_are_imported_all_or_none(
    skills: SkillRepository, others: SkillRepository, tmp_path: Path
) -> None:
    """One bad file among those named stops the import before it begins."""
    skills.add(plot())
    files = export_skills(skills, ["plot"], tmp_path / "shared")
    bad = tmp_path / "bad.skill.json"
    bad.write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidSkillFileError):
        import_files(others, [*files, bad])
    with pytest.raises(NotFoundError, match="no file"):
        import_files(others, [*files, tmp_path / "missing.skill.json"])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(NotFoundError, match="holds no"):
        import_files(others, [empty])
    assert others.names() == []


def test_a_batch_is_stored_whole_or_not_at_all(
    skills: SkillRepository, others: SkillRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fails in the middle of a batch, nothing of it is there."""
    for name in ("a", "b", "c"):
        skills.add(plot(name=name))
    export_skills(skills, ["a", "b", "c"], tmp_path / "shared")
    add, calls = others.add_imported, list[str]()

    def failing(skill: Skill, *arguments: Any, **options: Any) -> Skill:
        calls.append(skill.name)
        if len(calls) == 3:
            raise StorageError("disk is full")
        return add(skill, *arguments, **options)

    monkeypatch.setattr(others, "add_imported", failing)
    with pytest.raises(StorageError):
        import_files(others, [tmp_path / "shared"])
    assert calls == ["a", "b", "c"]
    assert others.names() == []


def test_a_composed_skill_takes_along_what_it_calls(
    skills: SkillRepository, others: SkillRepository, tmp_path: Path
) -> None:
    """The versions that are called come with it and keep their numbers elsewhere."""
    skills.add(plot(name="load", description="one"))
    skills.add(plot(name="load", description="two"))
    skills.add(Skill(name="report", nodes=(Node(id="n1", kind="skill", tool="load@1"),)))
    files = export_skills(skills, ["load", "report"], tmp_path / "shared")
    assert sorted(file.name for file in files) == [
        "load.skill.json",
        "load@1.skill.json",
        "report.skill.json",
    ]
    report = import_files(others, [tmp_path / "shared"])
    assert report.imported == ("load@1", "load@2", "report@1")
    assert others.current_version("load") == 2
    assert others.get("load@1").description == "one"


def test_a_single_skill_goes_to_a_named_file(skills: SkillRepository, tmp_path: Path) -> None:
    """A path that ends in .json is a file; two skills do not fit into one."""
    skills.add(plot())
    skills.add(plot(name="other"))
    target = tmp_path / "new" / "mine.json"
    assert export_skills(skills, ["plot"], target) == [target]
    with pytest.raises(UsageError, match="do not fit"):
        export_skills(skills, ["plot", "other"], target)
    with pytest.raises(UsageError, match="yaml"):
        export_skills(skills, ["plot"], target, format="yaml")
    with pytest.raises(NotFoundError):
        export_skills(skills, ["nothing"], tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(skills: SkillRepository, tmp_path: Path) -> None:
    """No traceback, no half file."""
    skills.add(plot())
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match=str(tmp_path)):
        export_skills(skills, ["plot"], tmp_path / "x")


def test_a_target_that_is_a_file_is_named(skills: SkillRepository, tmp_path: Path) -> None:
    """A file in the place of the folder is an error in one line, and stays as it is."""
    skills.add(plot())
    target = tmp_path / "shared"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match="shared"):
        export_skills(skills, ["plot"], target)
    assert target.read_text(encoding="utf-8") == "mine"


def test_export_leaves_no_other_files(exported: Path) -> None:
    """Writing goes through a partial file that is gone afterwards."""
    assert [path.name for path in exported.parent.iterdir()] == ["plot.skill.json"]
