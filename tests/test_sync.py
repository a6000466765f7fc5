from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from skillsmith.db import Database
from skillsmith.library.exchange import export_skills, trust
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sync import sync_folder
from skillsmith.models import Node, Skill

PLOT = Skill(name="plot", description="one", nodes=(Node(id="n1", kind="tool", tool="t"),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shared folder that is not there yet."""
    return tmp_path / "shared" / "skills"


@pytest.fixture
def mine() -> SkillRepository:
    """My library."""
    return SkillRepository(Database(":memory:"))


@pytest.fixture
def yours() -> SkillRepository:
    """Your library."""
    return SkillRepository(Database(":memory:"))


def test_two_libraries_meet_in_a_folder(mine: SkillRepository, yours: SkillRepository, folder: Path) -> None:
    """Each writes what the other lacks and takes what is new; doing it again changes nothing."""
    mine.add(PLOT)
    yours.add(replace(PLOT, name="load"))
    assert [path.name for path in sync_folder(mine, folder).written] == ["plot.skill.json"]
    second = sync_folder(yours, folder)
    assert second.imported.imported == ("plot@1",)
    assert [path.name for path in second.written] == ["load.skill.json"]
    assert sync_folder(mine, folder).imported.imported == ("load@1",)
    for library in (mine, yours):
        again = sync_folder(library, folder)
        assert (again.written, again.imported.imported) == ((), ())
        assert library.names() == ["load", "plot"]


def test_a_new_version_travels(mine: SkillRepository, yours: SkillRepository, folder: Path) -> None:
    """The file is replaced by the version that follows it, which comes in beside the one in use."""
    mine.add(PLOT)
    sync_folder(mine, folder)
    sync_folder(yours, folder)
    trust(yours, "plot")
    mine.add(replace(PLOT, description="two"))
    assert len(sync_folder(mine, folder).written) == 1
    report = sync_folder(yours, folder)
    assert (report.imported.imported, report.written) == (("plot@2",), ())
    assert yours.get("plot").description == "one"
    trust(yours, "plot")
    assert yours.get("plot").description == "two"
    assert sync_folder(yours, folder).written == ()


def test_what_both_changed_stays_on_both_sides(
    mine: SkillRepository, yours: SkillRepository, folder: Path
) -> None:
    """A conflict is reported; neither the file nor the library is overwritten."""
    mine.add(PLOT)
    sync_folder(mine, folder)
    before = (folder / "plot.skill.json").read_bytes()
    yours.add(replace(PLOT, description="mine is other"))
    report = sync_folder(yours, folder)
    assert [conflict.name for conflict in report.imported.conflicts] == ["plot"]
    assert (report.written, (folder / "plot.skill.json").read_bytes()) == ((), before)
    assert yours.versions("plot") == [1]


def test_what_is_in_quarantine_is_not_passed_on(
    mine: SkillRepository, yours: SkillRepository, folder: Path, tmp_path: Path
) -> None:
    """Nobody's unseen code is spread."""
    mine.add(PLOT)
    export_skills(mine, ["plot"], tmp_path / "elsewhere")
    sync_folder(yours, tmp_path / "elsewhere")
    yours.add(Skill(name="report", nodes=(Node(id="n1", kind="skill", tool="plot@1"),)))
    assert [path.name for path in sync_folder(yours, folder).written] == ["report.skill.json"]


def test_a_damaged_file_is_reported_and_left_alone(mine: SkillRepository, folder: Path) -> None:
    """It is neither imported nor overwritten."""
    folder.mkdir(parents=True)
    (folder / "plot.skill.json").write_text("{}", encoding="utf-8")
    mine.add(PLOT)
    report = sync_folder(mine, folder)
    assert (len(report.imported.problems), report.written) == (1, ())
    assert (folder / "plot.skill.json").read_text(encoding="utf-8") == "{}"


def test_a_composed_skill_brings_its_parts(mine: SkillRepository, folder: Path) -> None:
    """The older version that it calls is written beside the current one."""
    mine.add(PLOT)
    mine.add(replace(PLOT, description="two"))
    mine.add(Skill(name="report", nodes=(Node(id="n1", kind="skill", tool="plot@1"),)))
    names = [path.name for path in sync_folder(mine, folder).written]
    assert sorted(names) == ["plot.skill.json", "plot@1.skill.json", "report.skill.json"]
    assert sync_folder(mine, folder).written == ()
