"""The MCP server as a real process: the official client, an AG2 agent, cancelling, leaving, wrong starts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import io
import json
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_process import ROOT, TOOLS, Cli, fill, tool_skill
from model_server import Server, text, tools

pytest.importorskip("mcp", reason="the MCP SDK is not installed")

from mcp import Client, MCPError, StdioServerParameters, types
from pydantic import ConfigDict

from skillsmith.cli.app import COMMANDS, build
from skillsmith.models import Execution, Node, Skill, Slot, Template, Variable
from skillsmith.workspace import open_workspace

TASK = "I am ann@example.org. Please cancel order ORD-8001: too late."
NOISY = "print('tools talk while they are imported')\n" + TOOLS.replace(
    "def find_user(email: str) -> dict:\n",
    "def find_user(email: str) -> dict:\n    import os; print('and at work'); os.system('echo and below')\n",
)


class Ask(types.Request[dict[str, Any], str]):
    """A request that the SDK has no class for."""


class Told(types.Result):
    """Its result, whatever is in it."""

    model_config = ConfigDict(extra="allow")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A library with one skill of tools, and a skill whose second step waits for a file."""
    line = Cli(tmp_path, tmp_path / "skillsmith.db")
    fill(line, tool_skill(), _waiting())
    (tmp_path / "shop.py").write_text(NOISY)
    return line


def _waiting() -> Skill:
    first = "open('begun.txt', 'w').write('once')\n"
    second = (
        "import pathlib, time\n"
        "while not pathlib.Path({flag}).exists():\n    time.sleep(0.05)\n"
        "print(open('begun.txt').read())\n"
    )
    slots = (Slot(variable="flag", encoding="python"),)
    return Skill(
        name="wait_for_file", state="trusted", description="Wait for a file.",
        variables=(Variable(name="flag", type="string", required=True),),
        nodes=(
            Node(id="n1", kind="code", language="python", template=Template(text=first)),
            Node(
                id="n2", kind="code", language="python", template=Template(text=second, slots=slots),
                after=("n1",),
            ),
        ),
    )  # fmt: skip


def _server(cli: Cli, *words: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable, args=["-m", "skillsmith", "mcp", *words], env=cli.environment(),
        cwd=str(cli.folder),
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_lists_verifies_and_runs(cli: Cli, mode: Any) -> None:
    """In both eras of the protocol: tools, a skill's digests, a run with progress, whatever tools print."""

    async def talk() -> None:
        server = _server(cli, "--allow-run", "cancel_order", "--skills", "cancel_order", "--tools", "shop.py")
        async with Client(server, mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names[-2:] == ["search_runs", "skill_cancel_order"]
            told = await client.session.send_request(Ask(method="skills/list", params={}), Told)
            assert told.model_extra
            for resource in told.model_extra["skills"][0]["resources"]:
                [content] = (await client.read_resource(resource["uri"])).contents
                assert isinstance(content, types.TextResourceContents)
                digest = hashlib.sha256(content.text.encode()).hexdigest()
                assert resource["digest"] == f"sha256:{digest}"
            heard: list[str | None] = []

            async def hear(progress: float, total: float | None, message: str | None) -> None:
                heard.append(message)

            inputs = {"email": "ann@example.org", "order_id": "ORD-8001"}
            result = await client.call_tool("skill_cancel_order", inputs, progress_callback=hear)
            assert result.structured_content["outputs"] == {"status": "cancelled"}
            assert heard[-1] == "n2 done"
            refused = await client.call_tool("run_skill", {"name": "wait_for_file", "inputs": {"flag": "x"}})
            assert refused.is_error
            wrong = await client.call_tool("run_skill", {"name": 3})
            assert wrong.is_error
            with pytest.raises(MCPError, match="no tool 'nothing'"):
                await client.call_tool("nothing", {})

    asyncio.run(talk())


@pytest.mark.parametrize("how", ["cancel", "leave"])
def test_a_stopped_run_can_be_gone_on_with(cli: Cli, how: str) -> None:
    """A client that cancels, or leaves, leaves an execution that does not repeat what is done."""
    flag = cli.folder / "flag"

    async def stopped() -> None:
        async with Client(_server(cli, "--allow-run", "wait_for_file")) as client:
            begun = asyncio.Event()

            async def hear(progress: float, total: float | None, message: str | None) -> None:
                if message == "n1 done":
                    begun.set()

            arguments = {"name": "wait_for_file", "inputs": {"flag": str(flag)}}
            call = asyncio.create_task(client.call_tool("run_skill", arguments, progress_callback=hear))
            await asyncio.wait_for(begun.wait(), 60)
            if how == "cancel":
                call.cancel()
                await asyncio.to_thread(_until, lambda: _run_status(cli) == "interrupted")
                assert not (await client.call_tool("search_runs", {})).is_error  # the server goes on
        with contextlib.suppress(asyncio.CancelledError, MCPError):
            await call

    async def resumed() -> types.CallToolResult:
        async with Client(_server(cli, "--allow-run", "wait_for_file")) as client:
            arguments = {"name": "wait_for_file", "resume": _execution(cli).id}
            return await client.call_tool("run_skill", arguments)

    asyncio.run(stopped())
    _until(lambda: _run_status(cli) == "interrupted")
    flag.touch()
    result = asyncio.run(resumed())
    assert not result.is_error, result.content
    assert [node["status"] for node in result.structured_content["nodes"]] == ["done", "done"]
    assert _execution(cli).success


HELLO = (
    {
        "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
        },
    },
    {"method": "notifications/initialized"},
)  # fmt: skip


def _bare(cli: Cli) -> subprocess.Popen[str]:
    """Start a server whose streams are ours."""
    return subprocess.Popen(
        cli.line("mcp", "--allow-run", "all"), cwd=cli.folder, env=cli.environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def _send(process: subprocess.Popen[str], *messages: dict[str, Any]) -> None:
    assert process.stdin
    for message in messages:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


def test_a_signal_closes_the_books(cli: Cli) -> None:
    """A server that is told to end stops what it runs first, though nobody has closed its input."""
    arguments = {"name": "wait_for_file", "inputs": {"flag": str(cli.folder / "flag")}}
    call = {"id": 2, "method": "tools/call", "params": {"name": "run_skill", "arguments": arguments}}
    with _bare(cli) as process:
        _send(process, *HELLO, call)
        _until(lambda: bool(list((cli.folder / "skillsmith-runs").glob("*/begun.txt"))))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGTERM
    assert _run_status(cli) == "interrupted"


def test_a_client_that_no_longer_listens_is_no_bug(cli: Cli) -> None:
    """The server ends as others do whose pipe is closed, without a traceback; lines that are no JSON pass."""
    with _bare(cli) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        _send(process, *HELLO)
        assert json.loads(process.stdout.readline())["id"] == 1
        process.stdout.close()
        process.stdin.write("no JSON at all\n")

        def told_again() -> bool:  # were its input at an end, that might come before its answer
            with contextlib.suppress(BrokenPipeError):
                _send(process, {"id": 2, "method": "tools/list"})
            return process.poll() is not None

        _until(told_again)
        assert process.returncode == 141
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        assert "Traceback" not in process.stderr.read()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)


def _run_status(cli: Cli) -> str:
    with open_workspace(cli.db, _embedder=None) as workspace:
        return next((run.status for run in workspace.runs.list()), "")


def _execution(cli: Cli) -> Execution:
    with open_workspace(cli.db, _embedder=None) as workspace:
        return next(workspace.ledger.list("wait_for_file"))


def test_the_guides_ag2_agent_finds_and_runs_a_skill(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent of docs/mcp.md, as it stands there, with a scripted model behind real HTTP."""
    guide = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    run = {"name": "cancel_order", "inputs": {"email": "ann@example.org", "order_id": "ORD-8001"}}
    script = [tools(("find_skill", {"task": TASK})), tools(("run_skill", run)), text("It is cancelled.")]
    said = io.StringIO()
    with Server(script) as model:
        for name, value in {
            **cli.environment(), "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none",
            "SKILLSMITH_MODEL": "scripted",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(cli.folder)
        with contextlib.redirect_stdout(said):
            exec(compile(snippet, "docs/mcp.md", "exec"), {"__name__": "guide"})
        answers = [
            str(message["content"])
            for message in model.requests[-1]["messages"]
            if message["role"] == "tool"
        ]  # fmt: skip
    offered = {tool["function"]["name"] for tool in model.requests[0]["tools"]}
    assert {"find_skill", "run_skill", "record_outcome"} <= offered
    assert said.getvalue().strip() == "It is cancelled."
    assert ('"runnable":true' in answers[0], '"status":"cancelled"' in answers[1]) == (True, True)
    with open_workspace(cli.db, _embedder=None) as workspace:
        [execution] = workspace.ledger.list("cancel_order")
        assert (execution.success, execution.inputs["order_id"]) == (True, "ORD-8001")


def test_the_guides_configurations_can_be_typed() -> None:
    """What it says for each client is read, and the command line takes it."""
    guide = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(json|toml)\n(.*?)```", guide, re.DOTALL))
    servers = [
        json.loads(blocks["json"])["mcpServers"]["skillsmith"],
        tomllib.loads(blocks["toml"])["mcp_servers"]["skillsmith"],
    ]
    lines = [[server["command"], *server["args"]] for server in servers]
    lines += [
        line.split(" -- ")[-1].split() for line in re.findall(r"^.*skillsmith mcp --.*$", guide, re.MULTILINE)
    ]
    assert len(lines) == 5
    application: Any = typer.main.get_command(build(COMMANDS))
    for program, *words in lines:
        assert program == "skillsmith"
        context = application.make_context(program, words)
        context.command.get_command(context, "mcp").make_context("mcp", words[1:], parent=context)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--allow-run", "nothing"], 3, "there is no skill 'nothing'"),
        (["--allow-run", "Not a name"], 2, "cannot be a skill's name"),
        (["--skills", "cancel_order"], 2, "add --allow-run cancel_order"),
        (["--tools", "no_such_module"], 2, "no_such_module"),
    ],
)
def test_a_server_that_cannot_start_says_why(cli: Cli, words: list[str], code: int, why: str) -> None:
    """One line on standard error, the exit code of the mistake, and nothing for the client."""
    done = cli.inside("mcp", *words)
    assert (done.code, done.stdout) == (code, "")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_the_sdk_the_command_says_what_to_install(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else of skillsmith works without it."""
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "mcp" else find(name))
    done = cli.inside("mcp")
    assert done.code == 1
    assert "pip install 'skillsmith-cli[mcp]'" in done.stderr


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A mistyped path is told, instead of serving an empty library."""
    cli = Cli(tmp_path, tmp_path / "none.db")
    done = cli.inside("mcp")
    assert (done.code, list(tmp_path.iterdir())) == (3, [])
    assert "there is no database" in done.stderr
