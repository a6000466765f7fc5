from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import skill_strategies as any_
from hypothesis import given, settings

from skillsmith.db import Database
from skillsmith.errors import ExitCode, InvalidSkillFileError, NotFoundError, StorageError, UsageError
from skillsmith.library import exchange
from skillsmith.library.document import digest_of_document
from skillsmith.library.exchange import export_skills, import_files, trust
from skillsmith.library.repository import SkillRepository
from skillsmith.library.seal import MAX_DEPTH, render
from skillsmith.library.skill_file import MAX_BYTES, read_skill_file
from skillsmith.library.verify import verify_files, verify_library
from skillsmith.models import (
    Constant,
    FromInput,
    Node,
    Proof,
    Skill,
    SkillArtifact,
    Slot,
    Template,
    Variable,
)


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """A library."""
    return SkillRepository(db)


@pytest.fixture
def others(tmp_path: Path) -> SkillRepository:
    """The library of another machine."""
    return SkillRepository(Database(tmp_path / "other.db"))


def plot(**fields: Any) -> Skill:
    """Return a skill with code, a tool, an artifact and a proof."""
    code = Template(text="print({path})\r\nx = 1", slots=(Slot(variable="path", encoding="python"),))
    plain: dict[str, Any] = {
        "name": "plot",
        "description": "Plots",
        "variables": (Variable(name="path", type="path", required=True),),
        "nodes": (
            Node(
                id="n1", kind="tool", tool="load", arguments={"p": FromInput("path"), "n": Constant(10**30)}
            ),
            Node(id="n2", kind="code", language="python", template=code, after=("n1",)),
        ),
        "artifacts": (SkillArtifact(name="a", type="data", content=b"\xff\x00"),),
        "proofs": (Proof(level="replays", passed=True, compared=2, at=1.0, detail={"dir": "/tmp/q"}),),
        "examples": ("Plot a.csv",),
    }
    return Skill(**(plain | fields))


Tamper = Callable[[Callable[[dict[str, Any]], Any]], Path]


@pytest.fixture
def exported(skills: SkillRepository, tmp_path: Path) -> Path:
    """The plot skill as a file."""
    skills.add(plot())
    (file,) = export_skills(skills, ["plot"], tmp_path / "shared")
    return file


@pytest.fixture
def tampered(exported: Path) -> Tamper:
    """Change the exported file and return it."""

    def change(how: Callable[[dict[str, Any]], Any]) -> Path:
        document = json.loads(exported.read_text(encoding="utf-8"))
        how(document)
        exported.write_text(json.dumps(document), encoding="utf-8")
        return exported

    return change


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=15)
@given(skill=any_.skills())
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
    with pytest.raises(NotFoundError):
        trust(others, "nothing")


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "description": lambda document: document.update(description="harmless"),
    "nodes": lambda document: document["nodes"][1]["template"]["lines"].append("import os"),
    "version": lambda document: document.update(version=2),
    "proof": lambda document: document["proof"][0].update(compared=99),
    "artifacts": lambda document: document["artifacts"][0].update(content=["AAAA"]),
    "examples": lambda document: document["examples"].append("x"),
    "public": lambda document: document.update(public=True),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_tampered_file_is_refused_and_named(
    tampered: Tamper, skills: SkillRepository, others: SkillRepository, what: str
) -> None:
    """Whatever was changed, nothing is imported; who has the original learns what was changed."""
    file = tampered(CHANGES[what])
    with pytest.raises(InvalidSkillFileError, match="was changed after its export") as caught:
        import_files(others, [file])
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == ExitCode.REFUSED
    assert others.names() == []
    with pytest.raises(InvalidSkillFileError, match=f"was changed in {what} after"):
        import_files(skills, [file])


def reseal(how: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Change a document and make its digest fit, as an attacker would."""

    def change(document: dict[str, Any]) -> None:
        how(document)
        document["digest"] = digest_of_document(document)

    return change


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (lambda document: document["nodes"][0].update(after=["n2"]), "wait for each other"),
        (lambda document: document["nodes"][0]["arguments"].update(q={"node": "n9", "path": []}), "n9"),
        (lambda document: document["nodes"][0]["arguments"].update(q={"input": "secret"}), "'secret'"),
        (lambda document: document.update(variables=[]), "'path', which is not declared"),
        (lambda document: document.update(name="../../evil"), "name"),
        (lambda document: document["artifacts"][0].update(path="../../.bashrc"), "outside the work folder"),
        (lambda document: document["inputs"].update(title="harmless"), "inputs does not agree"),
        (lambda document: document["nodes"][0].update(optional=False), "nodes does not agree"),
        (lambda document: document.update(surprise=1), "surprise is not known"),
        (lambda document: document["nodes"][0].update(kind="magic"), r"nodes\[0\].kind"),
        (lambda document: document.pop("why"), "lacks 'why'"),
        (lambda document: document.pop("digest"), None),
    ],
)
def test_an_unsound_file_is_refused_though_its_digest_fits(
    tampered: Tamper, others: SkillRepository, how: Callable[[dict[str, Any]], Any], problem: str | None
) -> None:
    """Cycles, unknown nodes, undeclared variables, escaping paths, false claims: each in one clear line."""
    if problem is None:
        file = tampered(lambda document: document.pop("digest"))
        problem = "no digest"
    else:
        file = tampered(reseal(how))
    with pytest.raises(InvalidSkillFileError, match=problem):
        import_files(others, [file])
    assert others.names() == []


DEEP = b'{"digest": "x", "extras": ' + b"[" * 5000 + b"]" * 5000 + b"}"
ODD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not JSON"),
    "text": (b"hello", "not JSON"),
    "half": (b'{"name": "plot"', "not JSON"),
    "list": (b"[]", "no digest"),
    "latin-1": (b'{"name": "\xe4"}', "not UTF-8"),
    "twice": (b'{"name": "a", "name": "b"}', "'name' stands twice"),
    "nan": (b'{"x": NaN}', "NaN"),
    "infinity": (b'{"x": -Infinity}', "Infinity"),
    "too-large": (b'{"x": 1e999}', "too large"),
    "endless": (b'{"x": ' + b"9" * 5000 + b"}", "thousands of digits"),
    "deep": (DEEP, "nested"),
    "deeper": (b"[" * 200_000, "nested|not JSON"),
    "half-emoji": (b'{"digest": "x", "name": "\\ud800"}', "JSON cannot"),
    "other": (b'{"digest": "sha256:00"}', "was changed"),
}


@pytest.mark.parametrize("kind", ODD)
def test_any_bytes_are_refused_in_one_line(tmp_path: Path, others: SkillRepository, kind: str) -> None:
    """No input brings a traceback or half a skill."""
    data, problem = ODD[kind]
    file = tmp_path / "odd.skill.json"
    file.write_bytes(data)
    with pytest.raises(InvalidSkillFileError, match=problem) as caught:
        import_files(others, [file])
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_deep_nesting_is_refused_at_its_limit(skills: SkillRepository, tmp_path: Path) -> None:
    """What may be stored may be exported and imported, and no deeper."""
    value: Any = 1
    for _ in range(MAX_DEPTH - 2):
        value = [value]
    skills.add(plot(extras={"deep": value}))
    files = export_skills(skills, ["plot"], tmp_path / "shared")
    assert read_skill_file(files[0]).skill.extras == {"deep": value}
    with pytest.raises(InvalidSkillFileError, match="nested deeper"):
        skills.add(plot(extras={"deep": [value]}))


def test_a_huge_file_is_refused_unread(tmp_path: Path, others: SkillRepository) -> None:
    """The limit is checked before memory is spent."""
    file = tmp_path / "huge.skill.json"
    with file.open("wb") as sparse:
        sparse.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidSkillFileError, match="larger than 64 MB"):
        import_files(others, [file])


def test_a_file_survives_reformatting(exported: Path, others: SkillRepository) -> None:
    """Windows line ends from git and another indentation change nothing that the digest covers."""
    document = json.loads(exported.read_bytes())
    exported.write_bytes(exported.read_bytes().replace(b"\n", b"\r\n"))
    assert import_files(others, [exported]).imported == ("plot@1",)
    exported.write_text(json.dumps(document, indent=7), encoding="utf-8")
    assert import_files(others, [exported]).unchanged == ("plot@1",)


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


def test_a_healthy_library_verifies(db: Database, skills: SkillRepository, exported: Path) -> None:
    """Everything is counted, nothing is complained about."""
    skills.add(Skill(name="report", nodes=(Node(id="n1", kind="skill", tool="plot@1"),)))
    report = verify_library(db)
    assert report.problems == ()
    assert (report.checked["skills"], report.checked["skill_versions"], report.checked["blobs"]) == (2, 2, 1)
    assert verify_files([exported, exported.parent]).checked == {"files": 2}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE skill_versions SET description = 'x'", "does not hold what its digest says"),
        ("UPDATE skill_versions SET dag_template = '[]'", "does not hold what its digest says"),
        ("UPDATE skill_versions SET variables = '[]'", "which is not declared"),
        ("UPDATE skill_versions SET why = 'no json'", "cannot be read"),
        ("UPDATE blobs SET data = x'00'", "does not hold what its digest says"),
        ("UPDATE skills SET current_version = 9", "version 9, which is missing"),
        ("INSERT INTO skills_fts (skills_fts) VALUES ('delete-all')", "not in full text"),
        ("INSERT INTO skills_fts (rowid, name) VALUES (99, 'x')", "not current"),
    ],
)
def test_a_damaged_library_says_where(db: Database, exported: Path, damage: str, problem: str) -> None:
    """Each sort of damage is found and named."""
    db.execute(damage)
    assert problem in "\n".join(verify_library(db).problems)


def test_a_missing_part_of_a_composed_skill_is_found(db: Database, skills: SkillRepository) -> None:
    """A skill that calls what is not there is reported."""
    skills.add(Skill(name="report", nodes=(Node(id="n1", kind="skill", tool="plot@1"),)))
    assert verify_library(db).problems == ("skill report@1 calls plot@1, which is not in the library",)


def test_damaged_files_are_found(tampered: Tamper) -> None:
    """Verification of a folder reports what an import would refuse."""
    file = tampered(CHANGES["nodes"])
    (problem,) = verify_files([file.parent]).problems
    assert problem.startswith(f"{file}: it was changed")
