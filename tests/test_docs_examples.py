"""Tests that the examples of the user guide are true: typed as they stand, they print what stands there.

A page that holds ``<!-- examples: FOLDER -->`` is worked through from top to bottom in a folder of its own:
``demo`` is what ``skillsmith demo --keep`` leaves, ``files`` what docs/examples holds. In its blocks

- ``console``: every line after ``$`` is run; it must succeed unless ``echo $?`` after it says otherwise, and
  what is printed must be what stands there. A line ``…`` stands for any lines, ``…`` in a line for any text.
  Ids, times, durations and sizes may differ; an id that was printed is the one meant from then on.
- a block with a ``title`` is a file; other Python is run.

A block that cannot be run has ``<!-- not run: WHY -->`` before it. It must be sound all the same, and so must
the blocks of pages without a folder: what other programs do is tried by the tests of those parts.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cli_process import ROOT

pytest.importorskip("ag2", reason="AG2 1.x is not installed")
pytest.importorskip("autogen", reason="AG2 Classic is not installed")

from skillsmith import demo
from skillsmith.cli.app import COMMANDS, build, main
from skillsmith.library.embedding.embedders import open_embedder

DOCS = ROOT / "docs"
MARK = re.compile(r"^<!-- examples: (\w+) -->$", re.MULTILINE)
BLOCK = re.compile(
    r'(?:^<!-- not run: (?P<why>[^>]+) -->\n)?^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
PAGES = [page for page in sorted(DOCS.glob("*.md")) if MARK.search(page.read_text(encoding="utf-8"))]
OWN_SETTINGS = ("SKILLSMITH_MODEL_DIR", "SKILLSMITH_NO_HUB")
"""Where the embedding model is stays as it is; all other settings of the user's are left out."""

VARYING = re.compile(
    r"(?P<id>\b01[0-9a-f]{6}(?:-[0-9a-f]{4,12})+)"
    r"|(?P<other>\bsha256:[0-9a-f]+|\b[0-9a-f]{64}\b"
    r"|\b\d{4}-\d\d-\d\d(?: \d\d:\d\d)?|\b\d\d:\d\d:\d\d\b"
    r"|\b\d[\d.,]* (?:ms|s|min|h|B|kB|MB|×)(?!\w))"
    r"|(?P<cut>…)"
    r"|(?P<gap>\s+)"
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    title: str | None
    text: str
    why: str | None

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"docs/{self.page}, line {self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Return the blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield Block(
            page=page.name, line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"], title=found["title"], text=found["text"], why=found["why"],
        )  # fmt: skip


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Return each command of a console block with the lines printed below it."""
    printed: list[str] = []
    command = ""
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, printed
            command, printed = line[2:], []
        else:
            printed.append(line)
    if command:
        yield command, printed


@dataclass(slots=True)
class Session:
    """One reader who types what a page says.

    Args:
        folder: Where.
        ids: What the ids of the page are here.
        code: Exit code of the last command.
    """

    folder: Path
    ids: dict[str, str] = field(default_factory=dict)
    code: int = 0

    def do(self, block: Block) -> None:
        """Work through one block."""
        if block.title:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            code, printed = self._process([sys.executable, "-c", block.text])
            assert code == 0, f"{block.place}:\n{printed}"
        elif block.language == "console":
            self._console(block)

    def _console(self, block: Block) -> None:
        steps = list(commands(block.text))
        for index, (command, expected) in enumerate(steps):
            if command == "echo $?":
                assert expected == [str(self.code)], f"{block.place}: {steps[index - 1][0]}: {self.code}"
                continue
            self.code, printed = self._run(self._here(command, block))
            said = f"{block.place}: $ {command}\nexit code {self.code}, printed:\n{printed}"
            asked = index + 1 < len(steps) and steps[index + 1][0] == "echo $?"
            assert asked or self.code == 0, said
            self._compare(expected, printed, said)

    def _here(self, command: str, block: Block) -> str:
        """Return the command with the ids of this file."""
        for shown in sorted(VARYING_IDS.findall(command), key=len, reverse=True):
            assert shown in self.ids, f"{block.place}: nothing before has printed {shown}"
            command = command.replace(shown, self.ids[shown])
        return command

    def _run(self, command: str) -> tuple[int, str]:
        words = shlex.split(command)
        if words[0] != "skillsmith" or any(mark in words for mark in "|><&"):
            return self._process(["sh", "-c", command])
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = main(words[1:])
        return code, printed.getvalue()

    def _process(self, words: list[str]) -> tuple[int, str]:
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        done = subprocess.run(
            words, cwd=self.folder, env=environment, text=True, check=False, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout

    def _compare(self, expected: list[str], printed: str, said: str) -> None:
        lines = [line for line in expected if line.strip()]
        if not lines:
            return
        shown: list[str] = []
        pattern = "".join(_line_pattern(line, shown) for line in lines)
        actual = "".join(f"{line.strip()}\n" for line in printed.splitlines() if line.strip())
        match = re.fullmatch(pattern, actual)
        assert match, f"{said}\nbut the page has:\n" + "\n".join(expected)
        for name, found in zip(shown, match.groups(), strict=True):
            assert self.ids.setdefault(name, found) == found, f"{said}\n{name} is {found} now"


VARYING_IDS = re.compile(r"\b01[0-9a-f]{6}(?:-[0-9a-f]{4,12})+")


def _line_pattern(line: str, shown: list[str]) -> str:
    """Return the pattern of a printed line; the ids it captures are added to those shown."""
    line = line.strip()
    if line == "…":
        return r"(?:.*\n)*?"
    parts: list[str] = []
    place = 0
    for found in VARYING.finditer(line):
        parts.append(re.escape(line[place : found.start()]))
        place = found.end()
        if found["id"]:
            shown.append(found["id"])
            parts.append(r"([0-9a-f-]+)")
        elif found["gap"]:
            parts.append(r"\s+")
        else:
            parts.append(r".*?" if found["cut"] else r"\S+(?: \S+?)?")
    return "".join([*parts, re.escape(line[place:]), r"\n"])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders that pages begin in."""
    place = tmp_path_factory.mktemp("docs")
    shutil.copytree(DOCS / "examples", place / "files")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(place):
        patch.setattr(demo, "MODEL_LATENCY_SECONDS", 0.0)
        demo.run_demo(keep=True, say=lambda _line: None)
    return {"files": place / "files", "demo": place / "skillsmith-demo"}


@pytest.mark.skipif(open_embedder() is None, reason="no embedding model: `skillsmith model install`")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_give_what_the_page_says(
    page: Path, prepared: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every example of a page can be typed, in order, and prints what stands there."""
    mark = MARK.search(page.read_text(encoding="utf-8"))
    assert mark
    folder = tmp_path / mark[1]
    shutil.copytree(prepared[mark[1]], folder)
    for name in [name for name in os.environ if name.startswith(("SKILLSMITH_", "OPENAI_"))]:
        if name not in OWN_SETTINGS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("SKILLSMITH_DB", "skillsmith.db")
    monkeypatch.chdir(folder)
    session = Session(folder)
    for block in blocks(page):
        if block.why is None:
            session.do(block)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_examples_that_are_only_shown_are_sound(page: Path) -> None:
    """What is not run can be typed: the command line takes it, Python compiles, and its names are there."""
    for block in blocks(page):
        if page in PAGES and block.why is None:
            continue
        if block.language == "console":
            for command, _printed in commands(block.text):
                if command.startswith("skillsmith "):
                    _refuse_unknown(shlex.split(command)[1:])
        elif block.language == "python":
            _refuse_unsound(block)


def _refuse_unknown(words: list[str]) -> None:
    """Parse a command line without running it."""
    import typer  # noqa: PLC0415  (as the command line itself does)

    found = [name for name in COMMANDS if words[: len(name.split())] == name.split()]
    assert found, f"skillsmith has no command {words[0]}"
    context: Any = typer.main.get_command(build(found)).make_context("skillsmith", words)
    for number, word in enumerate(found[0].split(), 1):
        command = context.command.get_command(context, word)
        context = command.make_context(word, words[number:], parent=context)


def _refuse_unsound(block: Block) -> None:
    tree = compile(block.text, block.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skillsmith"):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name), f"{block.place}: {node.module} has no {name.name}"
