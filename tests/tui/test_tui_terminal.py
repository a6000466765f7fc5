"""Tests on a real terminal and a real process: the whole way in and out, and what is refused before."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from cli_process import TOOLS, order_run, write_json

from skillsmith.workspace import open_workspace

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 30.0
TEAM = "01990000-0000-7000-8000-000000000005"


class Tmux:
    """One shell on a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self._socket = f"skillsmith-{uuid4().hex[:8]}"
        self._call("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "-c", str(folder), "env",
                   "PS1=ready> ", "NO_COLOR=", "sh")  # fmt: skip
        self.wait_for("ready>")

    def _call(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._socket, *words], capture_output=True, text=True, check=True
        )
        return done.stdout

    def send(self, text: str) -> None:
        """Type a text."""
        self._call("send-keys", "-l", text)

    def type(self, text: str) -> None:
        """Type a line."""
        self.send(text)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names."""
        self._call("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the terminal's size."""
        self._call("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> str:
        """Return what is on the terminal."""
        return self._call("capture-pane", "-p")

    def wait_for(self, text: str) -> str:
        """Wait until a text is on the terminal, and return all of it."""
        until = time.monotonic() + WAIT_SECONDS
        while text not in (found := self.screen()):
            assert time.monotonic() < until, f"{text!r} is not on\n{found}"
            time.sleep(0.05)
        return found

    def wait_without(self, text: str) -> None:
        """Wait until a text is not on the terminal any more."""
        until = time.monotonic() + WAIT_SECONDS
        while text in self.screen():
            assert time.monotonic() < until, f"{text!r} stays"
            time.sleep(0.05)

    def wait_for_shell(self) -> str:
        """Wait until the browser has ended and the shell has said with which exit code."""
        return self.wait_for("back=")

    def close(self) -> None:
        """End the terminal."""
        self._call("kill-server")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """A terminal."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    terminal = Tmux(tmp_path)
    yield terminal
    terminal.close()


def command(path: Path, *words: str) -> str:
    """Return a command line of the browser, after which the shell says how it ended."""
    line = [f"PYTHONPATH={ROOT}", sys.executable, "-m skillsmith tui --db", str(path), *words]
    return " ".join([*line, "; echo ba''ck=$?"])


def test_a_session_by_keyboard_leaves_a_sane_terminal(tmux: Tmux, demo_db: Path) -> None:
    """Runs, timeline, search, help and skills by keys, resized meanwhile; Ctrl-C gives the shell back."""
    tmux.type(command(demo_db))
    tmux.wait_for("Watch the inbox")
    tmux.press("Down", "Enter")
    tmux.wait_for("▾ step 1")
    tmux.resize(160, 45)
    tmux.press("e")
    tmux.wait_for("code result")
    tmux.resize(60, 18)
    tmux.press("/")
    tmux.wait_for("find")
    tmux.type("approved")
    tmux.wait_for("reviewer → planner")
    tmux.press("?")
    tmux.wait_for("escape closes")
    tmux.press("Escape")
    tmux.wait_without("escape closes")
    tmux.resize(120, 40)
    tmux.press("2")
    tmux.wait_for("cancel_order")
    tmux.press("C-c")
    assert "back=0" in tmux.wait_for_shell()
    tmux.type("stty -a | tr ' ' '\\n' | grep -x -e -echo -e -icanon | wc -l | sed s/^/raw=/")
    assert "Watch the inbox" not in tmux.wait_for("raw=0")


def test_a_resize_while_loading_does_no_harm(tmux: Tmux, demo_db: Path) -> None:
    """The size changes before the first paint and while lists load."""
    tmux.type(command(demo_db, TEAM))
    for columns, rows in ((50, 14), (140, 40), (81, 24), (200, 60), (90, 28)):
        tmux.resize(columns, rows)
        time.sleep(0.1)
    for text in ("step 1", "hands on"):
        tmux.wait_for(text)
    tmux.press("C-q")
    tmux.wait_for_shell()


def test_ctrl_c_in_a_dialog_leaves_the_file_sound(tmux: Tmux, demo_db: Path) -> None:
    """Quitting from within a form ends at once; the file passes its check."""
    tmux.type(command(demo_db))
    tmux.wait_for("Watch the inbox")
    tmux.press("End", "x")
    tmux.wait_for("Make a skill")
    tmux.press("C-c")
    tmux.wait_for_shell()
    with open_workspace(demo_db) as workspace:
        assert workspace.db.check() == []


def run(*words: str, stdin: int | None = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    """Run the browser's command without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "skillsmith", "tui", *words], capture_output=True, text=True, check=False,
        stdin=stdin, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_what_cannot_be_opened_is_told_in_one_line(tmp_path: Path, demo_db: Path) -> None:
    """A missing, foreign, damaged, newer or locked file, or no terminal: one line and the exit code."""
    foreign, newer, broken = tmp_path / "foreign.db", tmp_path / "newer.db", tmp_path / "broken.db"
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE t (x)")
    shutil.copy(demo_db, newer)
    with sqlite3.connect(newer) as other:
        other.execute("PRAGMA user_version = 99")
    broken.write_bytes(b"no database at all, but long enough to look like a file" * 50)
    holder = sqlite3.connect(shutil.copy(demo_db, tmp_path / "locked.db"), isolation_level=None)
    holder.execute("PRAGMA journal_mode = DELETE")
    holder.execute("BEGIN EXCLUSIVE")
    for path, code, words in (
        (tmp_path / "missing.db", 3, "there is no database"),
        (foreign, 1, "another program"),
        (newer, 1, "newer skillsmith"),
        (broken, 1, "not a database"),
        (tmp_path / "locked.db", 1, "locked"),
        (demo_db, 2, "needs a terminal"),
    ):
        done = run("--db", str(path))
        assert (done.returncode, done.stdout) == (code, ""), done
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "\x1b" not in done.stderr
    holder.close()


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["--screen", "nowhere"], 2, "there is no screen"),
        (["--theme", "pink"], 2, "there is no theme"),
        (["--screenshot", "x.svg", "--size", "10x5"], 2, "is no size"),
        (["nobody"], 3, "no skill and no run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_shown_is_told(demo_db: Path, words: list[str], code: int, expected: str) -> None:
    """An unknown screen, theme, size or subject is one line with what to do."""
    done = run("--db", str(demo_db), *words)
    assert done.returncode == code
    assert expected in done.stderr


@pytest.mark.parametrize(
    "words", [["--screen", "runs"], [f"{TEAM}:7"], ["cancel_order"], ["--screen", "compare"]], ids=" ".join
)
def test_a_picture_of_a_screen_is_saved(demo_db: Path, tmp_path: Path, words: list[str]) -> None:
    """``--screenshot`` writes an SVG without a terminal."""
    target = tmp_path / "picture.svg"
    done = run(
        "--db", str(demo_db), *words, "--screenshot", str(target), "--size", "100x30", "--theme", "light"
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"wrote {target}")
    picture = target.read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert "demo.db" in picture


def test_the_whole_story_by_keyboard(tmux: Tmux, tmp_path: Path) -> None:
    """A log is read, a skill is made of its run and run on other data, and nobody touches a mouse."""
    write_json(tmp_path / "log.json", [order_run(1)])
    (tmp_path / "shop.py").write_text(TOOLS)
    path = tmp_path / "story.db"
    ingest = f"PYTHONPATH={ROOT} {sys.executable} -m skillsmith ingest log.json --db {path}"
    tmux.resize(120, 36)
    tmux.type(f"{ingest} && {command(path)}")
    tmux.wait_for("Please cance")
    tmux.press("x")
    tmux.wait_for("Make a skill from the run")
    tmux.type("cancel")
    tmux.wait_for("cancel@1")
    tmux.press("Escape")  # and whatever follows at once would make another key of it
    tmux.wait_without("Make a skill from the run")
    tmux.press("2")
    tmux.wait_for("by name")
    tmux.wait_for("cancel ")
    tmux.press("x")
    tmux.wait_for("order_id  id, required")
    for field, text in (("order_id", "ORD-8001"), ("reason", "too late"), ("tools", "shop.py")):
        tmux.press("Tab")
        time.sleep(0.5)  # where the focus is cannot be read off the terminal
        tmux.send(text)
        assert field in tmux.wait_for(text)
    tmux.press("F5")
    tmux.wait_for("May it call cancel_order?")
    tmux.press("y")
    tmux.wait_for('"status":"cancelled"')
    tmux.press("C-c")
    assert "back=0" in tmux.wait_for_shell() or "back=130" in tmux.screen()
    with open_workspace(path) as workspace:
        assert workspace.ledger.stats("cancel")["completed"] == 1
