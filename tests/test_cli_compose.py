"""Tests of ``compose`` on the command line, and of the chains of skills that together do a task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import parts
import pytest
from cli_process import Cli, fill
from word_embedder import WordEmbedder

from skillsmith.workspace import Workspace, open_workspace

# -------------------------------------------------------------------------------------------- chains


@pytest.fixture
def matching(tmp_path: Path) -> Iterator[Workspace]:
    """Return the library with an embedding model of words."""
    with open_workspace(tmp_path / "m.db", _embedder=WordEmbedder()) as workspace:
        for skill in parts.LIBRARY:
            workspace.skills.add(skill)
        yield workspace


@pytest.mark.parametrize(
    ("task", "expected", "uncovered"),
    [
        ("Load the table x.csv, then count the words of notes.txt.", ("load_table", "count_words"), ()),
        ("Find order ORD-9 and write a report on it", ("find_order", "write_report"), ()),
        ("1. Find order ORD-9\n2. Refund order ORD-9", ("find_order", "refund_order"), ()),
        (
            "Load the table x.csv. Sing a lullaby for kittens. Count the words of notes.txt",
            ("load_table", "count_words"), ("Sing a lullaby for kittens",),
        ),
        ("Count the words of notes.txt", None, ()),
        ("Sing a lullaby for kittens, then dance", None, ()),
    ],
)  # fmt: skip
def test_skills_that_together_do_a_task_are_found(
    matching: Workspace, task: str, expected: tuple[str, ...] | None, uncovered: tuple[str, ...]
) -> None:
    """The task's pieces are matched one by one; one skill, or none, is no chain."""
    chains = matching.composer.find_composable_skills(task, min_confidence=0.3)
    if expected is None:
        assert chains == []
        return
    assert chains[0].skills == expected
    assert chains[0].uncovered == uncovered
    assert 0 < chains[0].confidence <= min(link.confidence for link in chains[0].links)
    assert ",".join(expected) in chains[0].command


# -------------------------------------------------------------------------------------- command line


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with the library."""
    line = Cli(tmp_path, tmp_path / "x.db")
    fill(line, *parts.LIBRARY)
    return line


def test_compose_prints_what_extract_prints_and_the_wiring(cli: Cli) -> None:
    """One document; for people the wiring with its reasons; then it runs like any skill."""
    line = ("compose", "--skills", "load_table,keep_large", "--pattern", "sequential", "--name", "pipe")
    result = cli(*line, "--tags", "a,b", "--description", "Two in one", "--json")
    assert result.code == 0, result
    document = result.document
    assert {"skill", "version", "state", "proof", "inputs", "outputs", "nodes", "left_out", "duplicates",
            "wiring"} <= document.keys()  # fmt: skip
    assert (document["state"], document["tags"], document["proof"]["level"]) == (
        "proven",
        ["a", "b"],
        "replays",
    )
    assert document["wiring"][1] == {
        "to": "keep_large.rows", "from": "load_table.rows", "rule": "same-name",
        "reason": "both have the same name",
    }  # fmt: skip
    shown = cli("compose", "--skills", "load_table,keep_large,write_report", "--name", "longer")
    assert "keep_large.rows ← load_table.rows  (same-name" in shown.stdout
    ran = cli.json("run", "", "--use-skill", "pipe", "--set", "limit=4", "--yes", "--workdir", "o")
    assert ran["outputs"]["kept"] == 2


def test_compose_takes_conditions_inputs_and_wires(cli: Cli) -> None:
    """All options of the library are there."""
    document = cli.json(
        "compose", "--skills", "cancel=cancel_order,refund_order", "--name", "end",
        "--pattern", "conditional", "--when", "mode == 'cancel'", "--input", "mode:string=cancel", "--wire",
        "refund_order.order_id=cancel.order_id",
    )  # fmt: skip
    assert document["nodes"][1]["condition"] == "not (mode == 'cancel')"
    assert document["inputs"]["properties"]["mode"]["default"] == "cancel"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--skills", "load_table,nothing"), 3),
        (("--skills", "load_table,keep_large", "--wire", "keep_large.rows=load_table.count"), 2),
        (("--pattern", "parallel"), 2),
        (("--skills", "load_table", "--input", "x:colour"), 2),
    ],
)
def test_compose_says_what_is_wrong(cli: Cli, options: tuple[str, ...], code: int) -> None:
    """One line on stderr, and the exit code that says of what sort it is."""
    result = cli.inside("compose", *options, "--name", "whole")
    assert result.code == code, result
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_compose_finds_the_parts_for_a_task(cli: Cli) -> None:
    """``--for`` makes nothing; it lists chains, and exit code 4 says that there are none."""
    assert cli.inside("compose", "--for", "Sing a lullaby", "--json").code == 4
    result = cli("compose", "--for", "Load the table x.csv, then count the words of notes.txt.", "--json")
    assert result.document.keys() == {"items", "next"}
