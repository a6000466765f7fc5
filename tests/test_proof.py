"""Proofs by replay: what cannot be run or written is a failure that is written down, never an exception."""

from __future__ import annotations

import pytest

from skillsmith.library.proof import Recorded, replays
from skillsmith.models import FileSnapshot, Node, Skill, Template


def _skill(text: str, language: str = "python") -> Skill:
    return Skill(
        name="p", nodes=(Node(id="n1", kind="code", language=language, template=Template(text=text)),)
    )


RECORDED = {"n1": Recorded(code="", exit_code=0, output="1\n")}


@pytest.mark.parametrize("name", [".", "..", "folder", "a.txt/x.py"])
def test_code_that_names_a_folder_for_its_file_is_replayed(name: str) -> None:
    """The name is ignored and the code runs."""
    files = [FileSnapshot(path=path, content=b"x") for path in ("folder/x", "a.txt")]
    proof = replays(_skill(f"# filename: {name}\nprint(1)"), RECORDED, files)
    assert proof.passed, proof.failures


@pytest.mark.parametrize(
    ("skill", "path", "failure"),
    [
        (_skill("print(1)"), "a/b", "the files of the run: "),
        (_skill("print(1)", language="cobol"), "c", "n1: "),
        (_skill("print(1) # \ud800"), "c", "n1: the code cannot be written"),
    ],
)
def test_what_cannot_be_replayed_is_written_down(skill: Skill, path: str, failure: str) -> None:
    """Files in each other's way, unknown languages and impossible code fail the proof with a line."""
    files = [FileSnapshot(path=one, content=b"x") for one in ("a", path)]
    proof = replays(skill, RECORDED, files)
    assert not proof.passed
    assert proof.failures[0].startswith(failure)
    assert "n1: not reached" in proof.failures
