from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plot_skill import plot

from skillsmith.db import Database
from skillsmith.errors import ExitCode, InvalidSkillFileError
from skillsmith.library.exchange import export_skills, import_files
from skillsmith.library.program.document import digest_of_document
from skillsmith.library.program.seal import MAX_DEPTH
from skillsmith.library.repository import SkillRepository
from skillsmith.library.sharing.file import MAX_BYTES, read_skill_file


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """A library."""
    return SkillRepository(db)


@pytest.fixture
def others(tmp_path: Path) -> SkillRepository:
    """The library of another machine."""
    return SkillRepository(Database(tmp_path / "other.db"))


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


def test_many_keys_with_one_doubled_are_read_in_no_time(tmp_path: Path) -> None:
    """The doubled key among a hundred thousand is found by looking at each once."""
    keys = ",".join(f'"k{number}":0' for number in range(100_000))
    file = tmp_path / "wide.skill.json"
    file.write_text(f'{{{keys},"k99999":1}}')
    began = time.perf_counter()
    with pytest.raises(InvalidSkillFileError, match="'k99999' stands twice"):
        read_skill_file(file)
    assert time.perf_counter() - began < 5
