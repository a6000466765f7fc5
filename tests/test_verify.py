from __future__ import annotations

import json
from pathlib import Path

import pytest

from skillsmith.db import Database
from skillsmith.library.exchange import export_skills
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.verify import verify_files, verify_library
from skillsmith.models import FromInput, Node, Skill, SkillArtifact, Variable


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """A library."""
    return SkillRepository(db)


@pytest.fixture
def exported(skills: SkillRepository, tmp_path: Path) -> Path:
    """A skill of the library as a file."""
    skills.add(
        Skill(
            name="plot",
            variables=(Variable(name="path", type="path", required=True),),
            nodes=(Node(id="n1", kind="tool", tool="load", arguments={"p": FromInput("path")}),),
            artifacts=(SkillArtifact(name="a", type="data", content=b"\xff\x00"),),
        )
    )
    return export_skills(skills, ["plot"], tmp_path / "shared")[0]


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


def test_damaged_files_are_found(exported: Path) -> None:
    """Verification of a folder reports what an import would refuse."""
    document = json.loads(exported.read_bytes()) | {"description": "harmless"}
    exported.write_text(json.dumps(document), encoding="utf-8")
    (problem,) = verify_files([exported.parent]).problems
    assert problem.startswith(f"{exported}: it was changed")
