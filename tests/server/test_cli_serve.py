"""Tests of ``skillsmith serve`` as a command: what it refuses to begin, and what it says when it is ready."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import httpx
import pytest
from cli_process import ROOT, Cli
from serving import TOKEN


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--host", "192.168.1.1"], "--allow-remote"),
        (["--token-file", "nothing.txt"], "cannot be read"),
        (["--tools", "no.such.module"], "no.such.module"),
        (["--workdir", "nowhere"], "there is no folder"),
        (["--allow-run", "cancel_order@1"], "without versions"),
        (["--model", "some-model"], "OPENAI"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_would_be_unsafe_or_wrong_is_refused(cli: Cli, words: list[str], said: str) -> None:
    """One line says what is wrong, before anything listens."""
    done = cli("serve", "--port", "0", *words, SKILLSMITH_TOKEN=TOKEN, OPENAI_API_KEY="", OPENAI_BASE_URL="")
    assert done.code in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_weak_token_is_refused(cli: Cli) -> None:
    """A token from the environment must be hard to guess."""
    done = cli("serve", "--port", "0", SKILLSMITH_TOKEN="abc")
    assert (done.code, "cannot be used" in done.stderr) == (2, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_new_token_is_printed_once_and_signals_end_it(cli: Cli, number: signal.Signals) -> None:
    """With --json one document has address and token; SIGINT and SIGTERM end it without a traceback."""
    process = subprocess.Popen(
        cli.line("serve", "--port", "0", "--json"), cwd=cli.folder, env=cli.environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    bearer = {"Authorization": f"Bearer {ready['token']}"}
    assert httpx.get(f"{ready['url']}/api/status", headers=bearer).json()["skills"] == 2
    assert httpx.get(f"{ready['url']}/api/status").status_code == 401
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert stdout == ""
    assert "Traceback" not in stderr
    assert ready["token"] not in stderr


def test_a_port_that_is_taken_is_one_line(cli: Cli, server: object) -> None:
    """The error names the address and says what to do."""
    port = server.address.port  # type: ignore[attr-defined]  # a Server
    done = cli("--db", cli.folder / "new.db", "serve", "--port", str(port), SKILLSMITH_TOKEN=TOKEN)
    assert done.code == 2
    assert f"127.0.0.1:{port} cannot be used" in done.stderr


def test_without_the_extra_it_says_what_to_install(cli: Cli) -> None:
    """The command is there in any installation; what is missing is named."""
    hidden = (
        "import importlib.util as u, sys; real = u.find_spec;"
        "u.find_spec = lambda name, *more: None if name == 'uvicorn' else real(name, *more);"
        "from skillsmith.cli.app import main; sys.exit(main(['serve']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden], env=cli.environment(), cwd=cli.folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "uvicorn" in done.stderr
    assert "skillsmith-cli[server]" in done.stderr


def test_no_other_command_loads_the_server() -> None:
    """Neither help nor a command that reads imports any of it."""
    probe = (
        "import sys; from skillsmith.cli.app import main; main(['serve', '--help']);"
        "print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in ("fastapi", "uvicorn", "pydantic", "starlette"):
        assert f"'{name}'" not in done.stdout
