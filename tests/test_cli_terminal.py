"""Tests of what people meet on a terminal: colours, tables, questions; on a real pseudo-terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import TOOLS, Cli, code_skill, fill, order_run, tool_skill, write_json

from skillsmith.models import FromInput, Node, SkillArtifact, Variable

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with a run, a skill and one in quarantine."""
    line = Cli(tmp_path, tmp_path / "x.db")
    assert line("ingest", write_json(tmp_path / "log.json", [order_run(1)])).code == 0
    fill(line, tool_skill(), replace(code_skill("foreign"), state="quarantined"))
    return line


def _on_terminal(cli: Cli, *words: object, typed: str = "", **environment: str) -> tuple[int, str]:
    """Run a command on a terminal of 100 columns and return exit code and screen text."""
    ours, theirs = pty.openpty()
    settings = {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **environment}
    process = subprocess.Popen(
        cli.line(*words), cwd=cli.folder, env=cli.environment(**settings), stdin=theirs, stdout=theirs,
        stderr=theirs, close_fds=True, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, typed.encode())
    screen = b""
    try:
        while chunk := os.read(ours, 65536):
            screen += chunk
    except OSError:  # Linux reports a closed terminal as an input/output error
        assert sys.platform != "darwin"
    os.close(ours)
    return process.wait(30), screen.decode()


def test_tables_are_coloured_and_fit(cli: Cli) -> None:
    """A list on a terminal is a coloured table that is not wider than the screen."""
    code, screen = _on_terminal(cli, "list")
    assert code == 0
    assert "\x1b[" in screen
    assert "cancel_order" in screen


def test_no_color_on_a_terminal(cli: Cli) -> None:
    """``NO_COLOR`` is obeyed."""
    _, screen = _on_terminal(cli, "list", NO_COLOR="1")
    assert "\x1b[3" not in screen


def test_code_is_highlighted(cli: Cli) -> None:
    """Code templates are highlighted."""
    _, screen = _on_terminal(cli, "show", "foreign")
    assert "\x1b[" in screen.split("Steps", 1)[1]


def test_json_is_the_same_on_a_terminal(cli: Cli) -> None:
    """``--json`` has no colours on a terminal either, only line breaks."""
    _, screen = _on_terminal(cli, "list", "--json")
    assert "\x1b" not in screen
    assert '"items": [' in screen


def test_delete_asks(cli: Cli) -> None:
    """On a terminal deleting asks; only a yes deletes."""
    code, screen = _on_terminal(cli, "delete", "cancel_order", typed="n\n")
    assert (code, "delete cancel_order with all its versions?" in screen) == (5, True)
    assert len(cli.json("list")["items"]) == 2
    code, _ = _on_terminal(cli, "delete", "cancel_order", typed="y\n")
    assert code == 0
    assert len(cli.json("list")["items"]) == 1


def test_trust_shows_the_code_and_asks(cli: Cli) -> None:
    """On a terminal trusting shows the skill's code before it asks."""
    code, screen = _on_terminal(cli, "trust", "foreign", typed="n\n", NO_COLOR="1")
    assert code == 5
    assert screen.index("greeting.txt") < screen.index("trust foreign@1?")
    assert cli.json("show", "foreign")["state"] == "quarantined"
    code, _ = _on_terminal(cli, "trust", "foreign", typed="y\n")
    assert code == 0
    assert cli.json("show", "foreign")["state"] == "trusted"


def test_trust_and_show_hide_nothing_that_could_run(cli: Cli) -> None:
    """Files, long defaults and called skills are shown in full before trusting, and by ``show``."""
    inner, default = replace(code_skill(), name="inner"), "a" * 200 + " the end"
    node = Node(id="n2", kind="skill", tool="inner", arguments={"person": FromInput("person")})
    outer = replace(
        code_skill(), name="outer", nodes=(*code_skill().nodes, node),
        variables=(Variable(name="person", type="string", default=default),),
        artifacts=(
            SkillArtifact(name="helper.py", type="code", content=b"print('from the helper')"),
            SkillArtifact(name="blob", type="data", content=b"\xff\xfe"),
        ),
    )  # fmt: skip
    fill(cli, inner, replace(outer, state="quarantined"))
    for words in (("trust", "outer"), ("show", "outer")):
        _, screen = _on_terminal(cli, *words, typed="n\n", NO_COLOR="1")
        for part in (default, "helper.py", "from the helper", "24 B", "not text", "inner"):
            assert part in screen, (words, part)


def test_running_what_was_found_asks(cli: Cli) -> None:
    """On a terminal the skill that was found and its inputs are shown before anything runs."""
    (cli.folder / "shop.py").write_text(TOOLS)
    task = "I am ann@example.org. Please cancel order ORD-8001: changed her mind."
    settings = {"SKILLSMITH_MODEL_DIR": str(cli.folder / "no models"), "NO_COLOR": "1"}
    words = ("run", task, "--tools", "shop.py")
    code, screen = _on_terminal(cli, *words, typed="n\n", **settings)
    assert code == 5
    assert "run cancel_order@1 (" in screen
    assert "order_id=ORD-8001" in screen
    assert cli.json("executions", "cancel_order")["items"] == []
    code, screen = _on_terminal(cli, *words, typed="y\n", **settings)
    assert code == 0
    assert "status = cancelled" in screen
    assert "adapted reason: ordered by mistake → changed her mind" in screen


def test_a_log_cannot_steer_the_terminal(cli: Cli) -> None:
    """Escape sequences in a log are shown harmlessly."""
    record = order_run(2)
    record["messages"][1]["content"] = "evil \x1b]0;title\x07\x1b[2J text"
    run = cli.json("ingest", write_json(cli.folder / "evil.json", [record]))["runs"][0]["id"]
    _, screen = _on_terminal(cli, "timeline", run)
    assert "\x1b]0" not in screen
    assert "\x1b[2J" not in screen
    assert "evil �]0;title��[2J text" in screen


def test_missing_inputs_are_asked_for(cli: Cli) -> None:
    """On a terminal an input that the task does not give is asked for, until the answer fits."""
    (cli.folder / "shop.py").write_text(TOOLS)
    task = "I am ann@example.org. Please cancel my order: changed her mind."
    words = ("run", task, "--use-skill", "cancel_order", "--tools", "shop.py")
    code, screen = _on_terminal(cli, *words, typed=" \nORD-8001\ny\n", NO_COLOR="1")
    assert code == 0
    assert "order_id (it was ORD-" in screen
    assert "takes an id" in screen
    assert "status = cancelled" in screen
    result = cli(*words, "--yes")
    assert result.code == 2
    assert "--set order_id=VALUE" in result.stderr
