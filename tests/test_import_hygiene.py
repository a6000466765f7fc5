"""Tests that commands load only what they need, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import ROOT, Cli, order_run, write_json

HEAVY = (
    "ag2", "autogen", "fastembed", "jsonschema", "numpy", "onnxruntime", "pydantic", "rich", "sqlite_utils",
    "sqlite_vec", "textual", "tokenizers",
)  # fmt: skip

PROBE = """
import contextlib, io, json, sys
from skillsmith.cli.app import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    code = main(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Return a command line with one run in its file."""
    folder = tmp_path_factory.mktemp("hygiene")
    line = Cli(folder, folder / "x.db")
    assert line("ingest", write_json(folder / "log.json", [order_run(1)])).code == 0
    return line


def _loaded(cli: Cli, *words: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], env=cli.environment(), cwd=cli.folder,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return found["code"], set(found["modules"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["show", "--help"], 0),
        (["model", "--help"], 0),
        (["nonsense"], 2),
        (["runs"], 0),
        (["runs", "--json"], 0),
        (["timeline", "0"], 0),
        (["list"], 0),
        (["show", "nothing"], 3),
        (["model", "status"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_light_commands_load_nothing_heavy(cli: Cli, words: list[str], expected: int) -> None:
    """Help, version and commands that only read load none of the heavy packages."""
    code, modules = _loaded(cli, *words)
    assert code == expected
    assert [name for name in HEAVY if name in modules] == []


def test_help_loads_no_command(cli: Cli) -> None:
    """The list of commands needs no command's module, no database driver and no models."""
    _, modules = _loaded(cli, "--help")
    loaded = {name for name in modules if name.startswith("skillsmith.")}
    assert loaded == {
        "skillsmith.cli", "skillsmith.cli.app", "skillsmith.cli.boundary", "skillsmith.cli.session",
        "skillsmith.errors", "skillsmith.output",
    }  # fmt: skip
    assert not modules & {"sqlean", "sqlite3", "orjson"}


def test_importing_the_package_is_free() -> None:
    """``import skillsmith`` loads nothing but itself."""
    done = subprocess.run(
        [sys.executable, "-c", "import skillsmith, sys; print(*sys.modules)"], cwd=ROOT,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {name for name in done.stdout.split() if name.startswith("skillsmith.")} == set()


def test_only_the_command_line_knows_typer() -> None:
    """No module outside ``cli`` imports Typer, and only ``db.py`` and ``foreign.py`` the SQLite driver."""
    for path in (ROOT / "skillsmith").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        inside = path.relative_to(ROOT / "skillsmith")
        if inside.parts[0] != "cli":
            assert "import typer" not in text, path
        if inside not in {Path("db.py"), Path("foreign.py")}:
            assert "import sqlean" not in text, path
            assert "import sqlite3" not in text, path
