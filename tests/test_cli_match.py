"""Tests of finding the skill for a task, and of running what was found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import TOOLS, Cli, code_skill, fill, tool_skill

TASK = "I am ann@example.org. Please cancel order ORD-8001: ordered by mistake."
FOREIGN = "Bake a chocolate cake with cherries"


@pytest.fixture(params=["words alone", "installed model"])
def cli(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a command line with a few skills, without a model and with the one installed here."""
    if request.param == "words alone":
        monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(tmp_path / "no models"))
    else:
        monkeypatch.setenv("SKILLSMITH_MODEL_DIR", str(_installed_models()))
    line = Cli(tmp_path, tmp_path / "x.db")
    unrelated = replace(
        code_skill("plot_spectrum"), description="Plot the power spectrum of a map.",
        task_pattern="Plot the power spectrum of {person}", tags=("plotting",),
    )  # fmt: skip
    fill(line, tool_skill(), code_skill(), unrelated)
    (tmp_path / "shop.py").write_text(TOOLS)
    return line


def _installed_models() -> Path:
    from skillsmith.library.embedding.store import model_folder, model_status  # noqa: PLC0415  (only to skip)

    if not model_status().ready:
        pytest.skip("no embedding model is installed: `skillsmith model install`")
    return model_folder()


def test_the_right_skill_is_found_with_its_inputs(cli: Cli) -> None:
    """The skill that served such a task is first, and the task's words are bound to its inputs."""
    document = cli.json("match", TASK)
    assert document["abstained"] is False
    first = document["matches"][0]
    assert set(first) >= {"name", "version", "confidence", "parts", "inputs", "missing", "reason"}
    assert (first["name"], first["version"]) == ("cancel_order", 1)
    assert 0 < first["confidence"] <= 1
    assert first["inputs"]["order_id"] == "ORD-8001"
    assert first["missing"] == []
    assert "cancel_order@1" in cli("match", TASK).stdout


def test_no_skill_fits_is_an_answer(cli: Cli) -> None:
    """A task that no skill fits gets exit code 4, with the document and its reason on stdout."""
    result = cli("match", FOREIGN, "--json")
    assert (result.code, result.stderr) == (4, "")
    assert result.document["abstained"] is True
    assert result.document["matches"] == []
    assert result.document["reason"]
    result = cli("match", FOREIGN)
    assert (result.code, result.stdout) == (4, "")
    assert "no skill fits" in result.stderr


def test_matches_are_narrowed(cli: Cli) -> None:
    """Tags and a minimal confidence narrow the answer down."""
    assert cli("match", TASK, "--tags", "plotting").code == 4
    assert cli("match", TASK, "--min-confidence", "2").code == 2
    assert len(cli.json("match", TASK, "--min-confidence", "0", "--top-k", "1")["matches"]) == 1


def test_an_empty_task_is_a_usage_error(cli: Cli) -> None:
    """Nothing to do is no task."""
    assert cli("match", "  ").code == 2


def test_what_was_found_runs_only_when_agreed_to(cli: Cli) -> None:
    """A skill that was found, not named, needs a yes; ``--yes`` gives it."""
    words = ("run", TASK, "--tools", "shop.py")
    result = cli(*words, "--json")
    assert result.code == 5
    assert "cancel_order" in result.error["message"]
    assert "--yes" in result.error["hint"]
    assert cli.json("executions", "cancel_order")["items"] == []
    document = cli.json(*words, "--yes")
    assert (document["skill_used"], document["success"]) == ("cancel_order", True)
    assert document["confidence"] > 0
    assert cli.json("executions", "cancel_order")["items"][0]["confidence"] == document["confidence"]


def test_running_a_task_that_nothing_fits(cli: Cli) -> None:
    """Without a fitting skill nothing runs, the reason is told, and the exit code is 4."""
    result = cli("run", FOREIGN, "--yes", "--json")
    assert (result.code, result.stdout, result.error["code"]) == (4, "", "no_match")
    assert cli.json("runs")["items"] == []


def test_a_dry_run_needs_no_yes(cli: Cli) -> None:
    """What would run can be looked at without agreeing to it."""
    assert cli.json("run", TASK, "--dry-run")["skill"] == "cancel_order"
