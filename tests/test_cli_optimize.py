"""The command line of optimising: proposals with evidence, versions made, the library as a whole."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli
from histories import live, number, of, tool

from skillsmith.models import FromInput
from skillsmith.workspace import open_workspace


def document(cli: Cli, *words: str) -> Any:
    """Run a command with ``--json`` and return its document."""
    done = cli(*words, "--json")
    assert done.code == 0, done.stderr
    return done.document


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line over a file with one skill that everybody overrides.

    Its tool is answered from the record in the recorded time, so both versions surely take equally long.
    """

    def histogram(bins: int) -> dict[str, int]:
        time.sleep(0.05)
        return {"bins": bins}

    skill = of("bins", (number("bins", 10),), tool("n1", "histogram", bins=FromInput("bins")))
    with open_workspace(tmp_path / "x.db", _embedder=None) as workspace:
        live(workspace, skill, tmp_path, lambda _: {"bins": 7}, tools={"histogram": histogram})
    return Cli(tmp_path, tmp_path / "x.db")


def test_optimize_shows_applies_and_does_not_repeat_itself(cli: Cli) -> None:
    """The document has the keys of the contract, before and after."""
    shown = document(cli, "optimize", "bins")
    assert set(shown) >= {"proposals", "applied", "version", "verdict"}
    (proposal,) = shown["proposals"]
    assert set(proposal) >= {"kind", "target", "evidence", "expected"}
    assert (proposal["kind"], proposal["evidence"]["count"], shown["version"]) == ("new_default", 10, None)
    assert "10 of 10 executions gave bins = 7" in cli("optimize", "bins").stdout
    made = document(cli, "optimize", "bins", "--apply", "--proposal", "1", "--reason", "they all say 7")
    assert (made["version"], made["verdict"]["decision"]) == (2, "accepted")
    assert made["applied"] == [proposal["fingerprint"]]
    assert document(cli, "optimize", "bins")["proposals"] == []
    assert "10 (--min-executions)" in cli("optimize", "bins").stdout


def test_without_a_name_the_whole_library_is_looked_at(cli: Cli) -> None:
    """Nothing can be applied to all at once."""
    assert [one["kind"] for one in document(cli, "optimize")["proposals"]] == ["new_default"]
    assert "bins: new default bins" in cli("optimize").stdout
    assert cli("optimize", "--apply").code == 2


def test_mistakes_are_told_in_one_line(cli: Cli) -> None:
    """An unknown skill, an unknown proposal, a number that makes no sense."""
    assert cli("optimize", "nothing").code == 3
    assert cli("optimize", "bins", "--proposal", "9").code == 2
    assert cli("optimize", "bins", "--min-executions", "0").code == 2
