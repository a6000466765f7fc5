"""Tests of ``run`` with agents and of what it asks first, with a model behind real HTTP."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ag2")
pytest.importorskip("openai")

from cli_process import TOOLS, Cli, Result, code_skill, fill, tool_skill
from model_server import Answer, Server, system_of, text, tools

from skillsmith.models import FromNode, Node, Slot, Template
from skillsmith.workspace import open_workspace

TASK = "Count the words of poem.txt into words.txt"
COUNT = (
    "words = len(open('poem.txt').read().split())\nopen('words.txt', 'w').write(str(words))\nprint(words)\n"
)
CANCEL = "I am ann@example.org. Please cancel order ORD-8001: I changed my mind."


def team_script(body: dict[str, Any], _number: int) -> Answer:
    """Answer as planner, engineer and reviewer of a team that counts words."""
    system = system_of(body)
    if "You plan" in system:
        return text("Count with Python.")
    if "You judge" in system:
        return text(json.dumps({"approved": True, "reason": "it printed 4", "still_to_do": []}))
    if body["messages"][-1]["role"] == "tool":
        return text("There are 4 words.")
    return tools(("run_code", {"code": COUNT, "language": "python"}))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return a command line with a tool skill, and a poem in the work folder."""
    line = Cli(tmp_path, tmp_path / "x.db")
    fill(line, tool_skill())
    (tmp_path / "shop.py").write_text(TOOLS)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "poem.txt").write_text("a rose is a\n")
    return line


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a model server that plays the team."""
    with Server(team_script) as running:
        yield running


def with_model(cli: Cli, server: Server, *words: object, **more: str) -> Result:
    """Run a command with a model configured."""
    settings = {
        "SKILLSMITH_MODEL": "scripted", "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "",
        "SKILLSMITH_MODEL_DIR": str(cli.folder / "none"),
    }  # fmt: skip
    return cli(*words, **{**settings, **more})


def test_agents_do_what_no_skill_fits(cli: Cli, server: Server) -> None:
    """A team does the task; the document has the documented keys, and the run is recorded."""
    result = with_model(cli, server, "run", TASK, "--workdir", "work", "--yes", "--json")
    assert result.code == 0, result
    document = result.document
    assert set(document) >= {
        "run_id", "execution_id", "skill_used", "version", "confidence", "success", "adapted", "adaptations",
        "outputs", "artifacts", "duration_seconds", "cost_usd", "error",
    }  # fmt: skip
    assert (document["success"], document["skill_used"], document["team"]) == (True, None, "plain")
    assert document["outputs"] == {"answer": "There are 4 words."}
    assert document["artifacts"] == ["words.txt"]
    assert (cli.folder / "work" / "words.txt").read_text() == "4"
    run = next(item for item in cli.json("runs")["items"] if item["id"] == document["run_id"])
    assert (run["task"], run["outcome"]) == (TASK, "success")
    people = with_model(cli, server, "run", TASK, "--workdir", "work", "--no-match", "--yes")
    assert "the plain team succeeded" in people.stdout
    assert "engineer → reviewer" in people.stderr


def test_a_skill_is_made_of_what_agents_did(cli: Cli, server: Server) -> None:
    """``--create-skill`` makes a proven skill of the run, which then does it without a model."""
    words = (
        "run",
        TASK,
        "--workdir",
        "work",
        "--yes",
        "--create-skill",
        "--skill-name",
        "count_words",
        "--json",
    )
    made = with_model(cli, server, *words).document["skill_created"]
    assert (made["skill"], made["version"]) == ("count_words", 1)
    assert made["proof"]["passed"] is True
    other = cli.folder / "other"
    other.mkdir()
    (other / "poem.txt").write_text("one two")
    document = cli.json("run", TASK, "--use-skill", "count_words", "--workdir", "other")
    assert (document["success"], document["model_calls"]) == (True, 0)
    assert (other / "words.txt").read_text() == "2"
    refused = with_model(cli, server, "run", TASK, "--workdir", "work", "--no-match", *words[4:])
    assert refused.code == 0, refused
    again = (
        "run",
        TASK,
        "--workdir",
        "work",
        "--no-match",
        "--yes",
        "--create-skill",
        "--skill-name",
        "twin",
    )
    duplicate = with_model(cli, server, *again, "--json")
    assert duplicate.code == 5
    assert duplicate.document["success"] is True
    assert duplicate.document["skill_created"]["code"] == "near_duplicate"


def test_the_first_command_of_all_can_be_a_task(tmp_path: Path, server: Server) -> None:
    """Where a model is configured, a task makes the file that it is recorded in."""
    fresh = Cli(tmp_path, tmp_path / "new.db")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "poem.txt").write_text("one")
    assert with_model(fresh, server, "run", TASK, "--workdir", "work", "--yes").code == 0
    assert len(fresh.json("runs")["items"]) == 1


def test_without_a_model_the_exit_code_is_4(cli: Cli) -> None:
    """Nothing that fits and no model: exit code 4, with how to configure one."""
    result = cli("run", TASK, "--no-match", "--yes", "--json", SKILLSMITH_MODEL="")
    assert (result.code, result.stdout, result.error["code"]) == (4, "", "no_match")
    assert "SKILLSMITH_MODEL" in result.error["hint"]
    half = cli(
        "run", TASK, "--no-match", "--yes", SKILLSMITH_MODEL="m", OPENAI_API_KEY="", OPENAI_BASE_URL=""
    )
    assert half.code == 4
    assert "OPENAI_API_KEY" in half.stderr


def test_agents_work_only_when_agreed_to(cli: Cli, server: Server) -> None:
    """Where nobody can be asked, no agent works without ``--yes``."""
    result = with_model(cli, server, "run", TASK, "--no-match", "--json")
    assert (result.code, result.error["code"]) == (4, "no_match")
    assert "--yes" in result.error["hint"]
    assert server.requests == []
    assert cli.json("runs")["items"] == []


def test_a_skill_that_fails_is_followed_by_agents(cli: Cli, server: Server) -> None:
    """Both are shown, recorded and linked; ``--strict`` stops with exit code 1."""
    broken = replace(
        code_skill("count_badly"), variables=(), task_pattern=TASK,
        nodes=(Node(id="n1", kind="tool", tool="find_user", effect="read"),),
    )  # fmt: skip
    fill(cli, broken)
    (cli.folder / "bad.py").write_text("def find_user():\n    raise ValueError('down')\n")
    words = (
        "run",
        TASK,
        "--use-skill",
        "count_badly",
        "--tools",
        "bad.py",
        "--no-adapt",
        "--workdir",
        "work",
    )
    document = with_model(cli, server, *words, "--yes", "--json").document
    failed = document["fallback_for"]
    assert (document["success"], document["skill_used"], failed["skill_used"]) == (True, None, "count_badly")
    assert (failed["success"], document["run_id"] != failed["run_id"]) == (False, True)
    assert "down" in failed["error"]
    with open_workspace(cli.db, _embedder=None) as workspace:
        assert len(list(workspace.runs.list())) == 2
        assert workspace.runs.get(failed["run_id"]).metadata["fallback_run"] == document["run_id"]
        link = workspace.runs.get(document["run_id"]).metadata["fallback_for"]
    assert link["execution_id"] == failed["execution_id"]
    assert cli.json("executions", "count_badly")["items"][0]["success"] is False
    people = with_model(cli, server, *words, "--yes")
    assert people.code == 0
    assert "count_badly@1 failed" in people.stdout
    assert "the plain team succeeded" in people.stdout
    strict = with_model(cli, server, *words, "--yes", "--strict", "--json")
    assert (strict.code, strict.document["success"]) == (1, False)
    silent = with_model(cli, server, *words)
    assert silent.code == 1
    assert "with --yes, agents would take over" in silent.stderr


def test_agent_steps_of_a_skill_ask_the_model(cli: Cli) -> None:
    """A skill with an agent's step runs with a model, tells its cost in calls, and needs no team."""
    prompt = Template(text="Write a haiku about {topic}", slots=(Slot(variable="topic", encoding="text"),))
    variable = replace(tool_skill().variables[2], name="topic", default="rain")
    node = Node(id="n1", kind="agent", agent="poet", template=prompt, effect="read")
    fill(
        cli,
        replace(
            tool_skill("haiku"), variables=(variable,), nodes=(node,), outputs={}, why=(),
            output_bindings={"poem": FromNode("n1")}, body="Five, seven, five syllables.",
        ),
    )  # fmt: skip
    with Server([text("Drops on the window")]) as server:
        words = ("run", "a haiku", "--use-skill", "haiku", "--set", "topic=snow", "--json")
        document = with_model(cli, server, *words).document
        asked = server.requests[0]["messages"]
    assert (document["success"], document["model_calls"]) == (True, 1)
    assert document["outputs"] == {"poem": "Drops on the window"}
    assert asked[-1]["content"] == "Write a haiku about snow"
    assert "Five, seven, five" in asked[0]["content"]
    alone = cli(*words, SKILLSMITH_MODEL="")
    assert alone.code == 1
    assert "model" in alone.error["hint"]


def test_limits_hold(cli: Cli, server: Server) -> None:
    """``--max-turns`` and ``--max-cost`` end a team with exit code 1 and the reason."""
    words = ("run", TASK, "--no-match", "--yes", "--workdir", "work", "--json")
    result = with_model(cli, server, *words, "--max-turns", "2")
    assert (result.code, len(server.requests)) == (1, 2)
    assert "limit of 2 model calls" in result.document["error"]
    result = with_model(cli, server, *words, "--max-cost", "1")
    assert (result.code, len(server.requests)) == (1, 2)
    assert "SKILLSMITH_PRICES" in result.stderr or "price" in result.document["error"]
    prices = cli.folder / "prices.json"
    prices.write_text(json.dumps({"models": {"scripted": {"in": 1e6, "out": 0}}}))
    result = with_model(cli, server, *words, "--max-cost", "12", SKILLSMITH_PRICES=str(prices))
    assert result.code == 1
    assert result.document["cost_usd"] > 12
    assert "cost limit of $12 is reached" in result.document["error"]
    assert with_model(cli, server, *words, "--max-turns", "0").code == 2


def test_a_named_model_stands_above_the_environment(cli: Cli, server: Server) -> None:
    """``--model`` is the one that is asked."""
    words = ("run", TASK, "--no-match", "--yes", "--workdir", "work", "--model", "other")
    assert with_model(cli, server, *words).code == 0
    assert {request["model"] for request in server.requests} == {"other"}


def test_tools_that_write_are_asked_about(cli: Cli) -> None:
    """A skill that calls what can change things needs a yes; one that only reads or runs code does not."""
    words = ("run", CANCEL, "--use-skill", "cancel_order", "--tools", "shop.py", "--json")
    result = cli(*words)
    assert (result.code, result.error["code"]) == (5, "refused")
    assert "cancel_order" in result.error["message"]
    assert "find_user" not in result.error["message"]
    assert cli.json("runs")["items"] == []
    assert cli(*words, "--yes").code == 0
    reading = replace(
        tool_skill("look_up"), nodes=tool_skill().nodes[:1], outputs={}, output_bindings={},
        variables=tool_skill().variables[:1],
    )  # fmt: skip
    fill(cli, reading)
    assert cli("run", CANCEL, "--use-skill", "look_up", "--tools", "shop.py").code == 0


def test_people_are_asked_on_a_terminal(cli: Cli, server: Server) -> None:
    """A call that can change things is shown with its arguments first; agents take over only after a yes."""
    pytest.importorskip("pty")
    from test_cli_terminal import _on_terminal as on_terminal  # noqa: PLC0415  (not everywhere)

    named = ("run", CANCEL, "--use-skill", "cancel_order", "--tools", "shop.py")
    settings = {"NO_COLOR": "1", "SKILLSMITH_MODEL": ""}
    code, screen = on_terminal(cli, *named, typed="n\n", **settings)
    assert code == 5
    assert "n2 calls cancel_order(order_id = ORD-8001" in screen
    assert "which can change things" in screen
    code, screen = on_terminal(cli, *named, typed="y\n", **settings)
    assert code == 0
    shipped = ("run", "x", *named[2:], "--set", "email=ann@example.org", "--set", "order_id=ORD-8002")
    model = {"NO_COLOR": "1", "SKILLSMITH_MODEL": "scripted", "OPENAI_BASE_URL": server.url}
    code, screen = on_terminal(cli, *shipped, "--no-adapt", typed="y\nn\n", **model)
    assert code == 1
    assert "cancel_order@1 failed" in screen
    assert "have a team of agents with scripted do it" in screen
    assert server.requests == []


def test_own_agents_take_the_place_of_the_team(cli: Cli) -> None:
    """``--team`` runs the user's own agents; without a verdict the outcome is unknown, not a failure."""
    (cli.folder / "mine.py").write_text(
        "class Team:\n"
        "    def __init__(self, work_dir):\n        self.folder = work_dir\n"
        "    def run(self, task):\n"
        "        (self.folder / 'note.txt').write_text(task)\n        return 'noted'\n"
    )
    words = ("run", TASK, "--no-match", "--team", "mine:Team", "--workdir", "own", "--yes", "--json")
    result = cli(*words)
    assert result.code == 0, result
    document = result.document
    assert (document["success"], document["outcome"], document["team"]) == (None, "unknown", "mine:Team")
    assert (document["outputs"], document["artifacts"]) == ({"answer": "noted"}, ["note.txt"])
    wrong = cli("run", TASK, "--no-match", "--team", "mine:Nobody", "--yes", "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "usage")


def test_ctrl_c_leaves_an_interrupted_run(cli: Cli) -> None:
    """An interrupt while the model thinks ends the command at once; the run says so."""
    with Server([text("late").after(20)]) as server:
        environment = {"SKILLSMITH_MODEL": "m", "OPENAI_BASE_URL": server.url}
        process = _start(cli, environment, "run", TASK, "--no-match", "--yes", "--workdir", "work")
        deadline = time.monotonic() + 30
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)
    assert process.returncode == 130
    assert cli.json("runs")["items"][0]["status"] == "interrupted"


def _start(cli: Cli, environment: dict[str, str], *words: object) -> Any:
    import subprocess  # noqa: PLC0415  (only here)

    return subprocess.Popen(
        cli.line(*words), cwd=cli.folder, env=cli.environment(**environment), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
