from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillsmith.db import Database
from skillsmith.errors import RefusedError, UsageError
from skillsmith.library.exchange import export_skills, trust
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.file import read_skill_file
from skillsmith.library.sync import sync_folder
from skillsmith.models import Node, Proof, Skill

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


def test_a_file_with_conflict_marks_is_named(mine: SkillRepository, folder: Path) -> None:
    """Outside of git, marks of a merge are called what they are; file and library stay as they were."""
    mine.add(PLOT)
    sync_folder(mine, folder)
    torn = b'{\n<<<<<<< HEAD\n  "name": "plot"\n=======\n  "name": "plots"\n>>>>>>> theirs\n}\n'
    (folder / "plot.skill.json").write_bytes(torn)
    report = sync_folder(mine, folder)
    assert [problem.reason for problem in report.imported.problems] == [
        "a merge left marks of a conflict in line 2: choose one side of the file first"
    ]
    assert (report.retired, (folder / "plot.skill.json").read_bytes()) == ((), torn)


def test_a_folder_that_cannot_be_looked_into_retires_nothing(
    mine: SkillRepository, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skills in a folder without the right to read are not taken for deleted ones."""
    mine.add(PLOT)
    mine.add(replace(PLOT, name="load"))
    sync_folder(mine, folder)
    (folder / "deeper").mkdir()
    (folder / "plot.skill.json").rename(folder / "deeper" / "plot.skill.json")
    listed = os.scandir

    def denied(path: str) -> Any:
        if path.endswith("deeper"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UsageError, match="deeper cannot be read: Permission denied"):
        sync_folder(mine, folder)
    assert mine.state("plot") == "draft"


def test_a_composed_skill_brings_its_parts(mine: SkillRepository, folder: Path) -> None:
    """The older version that it calls is written beside the current one."""
    mine.add(PLOT)
    mine.add(replace(PLOT, description="two"))
    mine.add(Skill(name="report", nodes=(Node(id="n1", kind="skill", tool="plot@1"),)))
    names = [path.name for path in sync_folder(mine, folder).written]
    assert sorted(names) == ["plot.skill.json", "plot@1.skill.json", "report.skill.json"]
    assert sync_folder(mine, folder).written == ()


FIND = Node(id="n1", kind="tool", tool="find", effect="read")
SEND = Node(id="n2", kind="tool", tool="send", after=("n1",))
MAIL = Skill(
    name="mail",
    description="Mail",
    nodes=(FIND, SEND),
    proofs=(Proof(level="replays", passed=True, compared=2),),
)


def git(folder: Path, *words: str, check: bool = True) -> str:
    """Run git in a folder."""
    line = ["git", "-c", "user.name=x", "-c", "user.email=x@y", "-c", "init.defaultBranch=main", *words]
    return subprocess.run(line, cwd=folder, check=check, capture_output=True, text=True).stdout


@pytest.fixture
def clones(tmp_path: Path, mine: SkillRepository, yours: SkillRepository) -> tuple[Path, Path]:
    """Two clones of a repository with the mail skill, each synced and trusted."""
    git(tmp_path, "init", "--bare", "origin")
    for name in ("a", "b"):
        git(tmp_path, "clone", "origin", name)
    first, second = tmp_path / "a", tmp_path / "b"
    mine.add(replace(MAIL, state="proven"))
    sync_folder(mine, first)
    publish(first)
    git(second, "pull", "origin", "main")
    sync_folder(yours, second)
    trust(yours, "mail")
    return first, second


def publish(clone: Path) -> None:
    """Commit everything in a clone and push it."""
    git(clone, "add", ".")
    git(clone, "commit", "-m", "skills")
    git(clone, "push", "origin", "HEAD:main")


def test_two_clones_edit_different_nodes(mine: SkillRepository, yours: SkillRepository, clones: Any) -> None:
    """The changes are merged; what came in waits for trust, has no proof, and both sides end up alike."""
    first, second = clones
    mine.add(replace(MAIL, nodes=(replace(FIND, tool="search"), SEND)))
    sync_folder(mine, first)
    publish(first)
    yours.add(replace(MAIL, nodes=(FIND, replace(SEND, retries=3)), proofs=()))
    git(second, "pull", "origin", "main")
    report = sync_folder(yours, second)
    assert (report.merged, report.imported.conflicts) == (("mail@4",), ())
    assert [path.name for path in report.written] == ["mail.skill.json"]
    merged = yours.get("mail@4")
    assert (merged.nodes[0].tool, merged.nodes[1].retries) == ("search", 3)
    assert (merged.state, merged.proofs) == ("quarantined", ())
    assert yours.current_version("mail") == 2
    assert sync_folder(yours, second).written == ()
    publish(second)
    git(first, "pull", "origin", "main")
    assert sync_folder(mine, first).imported.imported == ("mail@4",)
    for library, folder in ((mine, first), (yours, second)):
        assert trust(library, "mail").nodes == merged.nodes
        assert sync_folder(library, folder).written == ()


def test_two_clones_edit_the_same_node(mine: SkillRepository, yours: SkillRepository, clones: Any) -> None:
    """It is refused with the node's name, and both versions stay where they are until one is chosen."""
    first, second = clones
    mine.add(replace(MAIL, nodes=(replace(FIND, tool="search"), SEND)))
    sync_folder(mine, first)
    publish(first)
    yours.add(replace(MAIL, nodes=(replace(FIND, tool="look"), SEND)))
    git(second, "pull", "origin", "main")
    before = (second / "mail.skill.json").read_bytes()
    for _ in range(2):
        report = sync_folder(yours, second)
        ((conflict),) = report.imported.conflicts
        assert conflict.reasons == ("node n1 was changed differently on both sides",)
        assert (report.written, report.merged, yours.versions("mail")) == ((), (), [1, 2])
        assert (second / "mail.skill.json").read_bytes() == before
        assert yours.get("mail").nodes[0].tool == "look"
    export_skills(yours, ["mail"], second)
    assert sync_folder(yours, second).imported.conflicts == ()


def test_a_conflict_that_git_left_is_merged(
    mine: SkillRepository, yours: SkillRepository, clones: Any
) -> None:
    """A file with git's conflict marks is put together from the three sides that the index holds."""
    first, second = clones
    mine.add(replace(MAIL, nodes=(replace(FIND, tool="search"), SEND)))
    sync_folder(mine, first)
    publish(first)
    yours.add(replace(MAIL, nodes=(FIND, replace(SEND, retries=3))))
    sync_folder(yours, second)
    git(second, "add", ".")
    git(second, "commit", "-m", "mine")
    git(second, "pull", "--no-rebase", "origin", "main", check=False)
    assert "<<<<<<<" in (second / "mail.skill.json").read_text()
    report = sync_folder(yours, second)
    assert (report.merged, report.imported.problems) == (("mail@4",), ())
    merged = read_skill_file(second / "mail.skill.json").skill
    assert (merged.nodes[0].tool, merged.nodes[1].retries) == ("search", 3)
    assert sync_folder(yours, second).written == ()


def test_words_from_elsewhere_make_a_draft(
    mine: SkillRepository, yours: SkillRepository, folder: Path
) -> None:
    """Where only tags and texts came in, the merged version can be used, and has no proof."""
    mine.add(MAIL)
    sync_folder(mine, folder)
    sync_folder(yours, folder)
    trust(yours, "mail")
    mine.add(replace(MAIL, tags=("post",)))
    sync_folder(mine, folder)
    yours.add(replace(MAIL, nodes=(FIND, replace(SEND, retries=3))))
    assert sync_folder(yours, folder).merged == ("mail@4",)
    assert (yours.get("mail").state, yours.get("mail").tags, yours.get("mail").proofs) == (
        "draft",
        ("post",),
        (),
    )


def test_an_edit_there_follows_what_was_not_edited_here(
    mine: SkillRepository, yours: SkillRepository, folder: Path
) -> None:
    """A second edit comes in although the first still waits for trust."""
    mine.add(MAIL)
    sync_folder(mine, folder)
    sync_folder(yours, folder)
    trust(yours, "mail")
    for number in (1, 2):
        mine.add(replace(MAIL, description=f"Mail {number}"))
        sync_folder(mine, folder)
        report = sync_folder(yours, folder)
        assert (report.imported.imported, report.written) == ((f"mail@{number + 1}",), ())


def test_deletes_travel_and_lose_nothing(mine: SkillRepository, yours: SkillRepository, folder: Path) -> None:
    """Deleted here: the file goes. Deleted there: the skill retires. Both: forgotten."""
    mine.add(MAIL)
    mine.add(PLOT)
    sync_folder(mine, folder)
    sync_folder(yours, folder)
    trust(yours, "mail")
    mine.delete("mail")
    assert [path.name for path in sync_folder(mine, folder).removed] == ["mail.skill.json"]
    assert [path.name for path in folder.iterdir()] == ["plot.skill.json"]
    assert sync_folder(yours, folder).retired == ("mail@1",)
    assert yours.get("mail").state == "retired"
    for library in (mine, yours):
        again = sync_folder(library, folder)
        assert (again.written, again.removed, again.retired, again.imported.imported) == ((), (), (), ())


def test_deletes_against_edits_are_refused(
    mine: SkillRepository, yours: SkillRepository, folder: Path
) -> None:
    """What one side changed is not deleted by the other: both stay, and it is said."""
    mine.add(MAIL)
    mine.add(PLOT)
    sync_folder(mine, folder)
    sync_folder(yours, folder)
    trust(yours, "mail")
    trust(yours, "plot")
    yours.add(replace(MAIL, description="Mine"))
    (folder / "mail.skill.json").unlink()
    ((conflict),) = sync_folder(yours, folder).imported.conflicts
    assert conflict.reasons == ("mail was changed here and deleted in the folder",)
    yours.delete("plot")
    mine.add(replace(PLOT, description="Theirs"))
    mine.delete("mail")
    sync_folder(mine, folder)
    conflicts = {one.name: one.reasons[0] for one in sync_folder(yours, folder).imported.conflicts}
    assert conflicts["plot"] == "plot was deleted here and changed in the folder"
    assert [path.name for path in folder.iterdir()] == ["plot.skill.json"]
    assert (yours.names(), yours.get("mail").state) == (["mail"], "draft")


def test_a_folder_put_back_is_not_overwritten(mine: SkillRepository, folder: Path) -> None:
    """An older version that somebody brought back is told, not replaced."""
    mine.add(MAIL)
    sync_folder(mine, folder)
    before = (folder / "mail.skill.json").read_bytes()
    mine.add(replace(MAIL, description="two"))
    sync_folder(mine, folder)
    (folder / "mail.skill.json").write_bytes(before)
    ((conflict),) = sync_folder(mine, folder).imported.conflicts
    assert conflict.reasons == ("the folder went back to version 1, and 2 is current here",)
    assert (folder / "mail.skill.json").read_bytes() == before


def test_an_emptied_folder_retires_nothing(mine: SkillRepository, folder: Path) -> None:
    """A folder that has lost everything is more likely not there than meant."""
    mine.add(MAIL)
    sync_folder(mine, folder)
    (folder / "mail.skill.json").unlink()
    with pytest.raises(RefusedError, match="holds no skills at all now"):
        sync_folder(mine, folder)
    assert mine.get("mail").state == "draft"


def test_folders_with_skill_md_stay_what_they_are(
    mine: SkillRepository, yours: SkillRepository, folder: Path
) -> None:
    """A skill that stands there as a folder is read from it and written as one."""
    mine.add(MAIL)
    (written,) = export_skills(mine, ["mail"], folder, format="skill-md")
    assert sync_folder(mine, folder).written == ()
    sync_folder(yours, folder)
    trust(yours, "mail")
    yours.add(replace(MAIL, description="Better"))
    assert sync_folder(yours, folder).written == (written,)
    assert "Better" in (written / "SKILL.md").read_text()
    assert sync_folder(mine, folder).imported.imported == ("mail@2",)
    yours.delete("mail")
    assert sync_folder(yours, folder).removed == (written,)
    assert not written.exists()
