"""What the browser costs on a large file: 336,000 events, 9,001 runs and 10,000 skills.

usage: python bench/tui.py [--db PATH] [--rounds N] [--json]

first paint  seconds from the start of a real process on a terminal of its own until the newest run is on it,
             median; "cpu": processor seconds of that process until then, which other work does not lengthen
scroll       milliseconds from jumping to a random place of a 300,000-event run, of 9,001 runs or of 10,000
             skills until the page is loaded and drawn: median and the slowest of twenty; "cpu" as above
memory       the most that the process took in MB, after opening the long run, jumping to its end and through
             the skills

The file is built once where --db says, else in a temporary folder. Bytecode is compiled beforehand, as an
installer does.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import random
import select
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics
from statistics import median
from typing import Any

from skillsmith.models import CodeUse, Event, Skill, ToolUse, Variable
from skillsmith.tui.app import SkillsmithApp
from skillsmith.tui.widgets.lines import Lines
from skillsmith.workspace import Workspace, open_workspace

LONG_EVENTS = 300_000
RUNS, RUN_EVENTS = 9000, 4
SKILLS = 10_000
STEP_EVENTS = 700
COLUMNS, ROWS = 160, 50
LIMITS = {"first_paint_s": 0.5, "scroll_ms": 50.0, "memory_mb": 200.0}
NEWEST = "Answer question 8999"
WORDS = " ".join(topics.values()).split()
AGENTS = ("planner", "engineer", "researcher", "reviewer")
WAIT_SECONDS = 20.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the browser costs on a large file.")
    parser.add_argument("--db", type=Path, help="the file; built when it is not there")
    parser.add_argument("--rounds", type=int, default=7, help="starts of the process")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.db or Path(folder) / "large.db"
        if not path.exists():
            build(path)
        found = measure(path, Path(folder), options.rounds)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, limit in LIMITS.items():
        print(f"{name:<14} {found[name]:>9.3f}   limit {limit:g}, {found['ratio'][name]:.2f} of it")
    for name, figure in found["more"].items():
        print(f"  {name:<28} {figure:>9.3f}")


def build(path: Path) -> None:
    """Make the large file."""
    with open_workspace(path, _embedder=None) as workspace:
        pk = workspace.runs.key(workspace.runs.create("Migrate the warehouse, table by table").id)
        for start in range(0, LONG_EVENTS, 5000):
            workspace.log.append(pk, [event(number) for number in range(start, start + 5000)])
        workspace.runs.finish(next(workspace.runs.list()).id, outcome="success")
        with workspace.db.transaction():
            for number in range(RUNS):
                _small_run(workspace, number)
        for start in range(0, SKILLS, 500):
            with workspace.db.transaction():
                for number in range(start, start + 500):
                    workspace.skills.add(skill(number))
        workspace.log.index_pending()


def _small_run(workspace: Workspace, number: int) -> None:
    run = workspace.runs.create(f"Answer question {number}", source="chat")
    workspace.log.append(workspace.runs.key(run.id), [event(number + place) for place in range(RUN_EVENTS)])
    workspace.runs.finish(run.id, outcome="failure" if number % 7 == 0 else "success")


def passage(draw: random.Random, words: int) -> str:
    """Return running text."""
    start = draw.randrange(len(WORDS) - words)
    return " ".join(WORDS[start : start + words])


def event(number: int) -> Event:
    """Return one of five kinds of events; of the messages, one in twenty is long."""
    draw = random.Random(number)
    agent, step, at = AGENTS[number // 9 % 4], number // STEP_EVENTS + 1, 1.7e9 + number * 0.8
    common: dict[str, Any] = {"agent": agent, "step": step, "at": at}
    match number % 5:
        case 0:
            words = 1500 if number % 100 == 0 else 40
            return Event(kind="message", role="assistant", content=passage(draw, words), **common)
        case 1:
            return Event(kind="llm_call", duration_seconds=draw.random() * 9, tokens_in=900, tokens_out=80,
                         data={"model": "m"}, **common)  # fmt: skip
        case 2:
            arguments = json.dumps({"path": passage(draw, 3), "limit": number})
            return Event(kind="tool_call", tool=ToolUse(name="read_rows", arguments=arguments), **common)
        case 3:
            return Event(kind="tool_result", role="tool", duration_seconds=draw.random(),
                         tool=ToolUse(name="read_rows", result=passage(draw, 60)), **common)  # fmt: skip
        case _:
            return Event(
                kind="code_result", code=CodeUse(exit_code=int(number % 500 == 4), output="ok"), **common
            )


def skill(number: int) -> Skill:
    """Return a skill of a usual size."""
    draw = random.Random(number)
    return Skill(
        name=f"skill_{number:05d}", description=passage(draw, 20), body=passage(draw, 80),
        variables=(Variable(name="limit", type="integer", default=number),),
    )  # fmt: skip


def measure(path: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Return the figures, their limits and their shares of them."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled"), "TERM": "xterm-256color"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    memory = use(path, environment)
    starts = [first_paint(path, environment) for _ in range(rounds)]
    scrolled = asyncio.run(scroll(path))
    found: dict[str, Any] = {
        "first_paint_s": median(wall for wall, _ in starts),
        "scroll_ms": max(median(wall for wall, _ in times) for times in scrolled.values()),
        "memory_mb": memory,
    }
    found["limits"] = LIMITS
    found["ratio"] = {name: found[name] / limit for name, limit in LIMITS.items()}
    found["more"] = {"first_paint_cpu_s": median(cpu for _, cpu in starts)}
    for name, times in scrolled.items():
        walls, cpus = zip(*times, strict=True)
        found["more"] |= {
            f"{name}_ms": median(walls), f"{name}_slowest_ms": max(walls), f"{name}_cpu_ms": median(cpus),
        }  # fmt: skip
    return found


class Terminal:
    """A browser on a terminal of its own.

    Args:
        path: The file.
        environment: Of its process.
    """

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self.started = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if not self.pid:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execve(
                sys.executable, [sys.executable, "-m", "skillsmith", "tui", "--db", str(path)], environment
            )

    def wait_for(self, text: str) -> None:
        """Read what is drawn until it holds a text."""
        drawn, until = b"", time.perf_counter() + WAIT_SECONDS
        while text.encode() not in drawn:
            ready, _, _ = select.select([self._fd], [], [], max(until - time.perf_counter(), 0))
            if not ready:
                raise TimeoutError(f"{text!r} was not drawn")
            drawn += os.read(self._fd, 65536)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._fd, keys.encode())

    def cpu_seconds(self) -> float:
        """Return the processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """Return the most memory so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1000

    def close(self) -> None:
        """Quit it."""
        self.press("\x11")
        try:
            while os.read(self._fd, 65536):
                pass
        except OSError:  # its end of the terminal is closed
            pass
        os.waitpid(self.pid, 0)
        os.close(self._fd)


def first_paint(path: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Return wall and processor seconds until the newest run is drawn."""
    terminal = Terminal(path, environment)
    terminal.wait_for(NEWEST)
    figures = time.perf_counter() - terminal.started, terminal.cpu_seconds()
    terminal.close()
    return figures


def use(path: Path, environment: dict[str, str]) -> float:
    """Go through the long run and the skills, and return the most memory that it took."""
    terminal = Terminal(path, environment)
    terminal.wait_for(NEWEST)
    for keys, drawn in (
        ("\x1b[F", "warehouse"), ("\r", "step 1"), ("\x1b[F", f"{LONG_EVENTS}"), ("2", "skill_00000"),
        ("\x1b[F", f"skill_{SKILLS - 1:05d}"),
    ):  # fmt: skip
        terminal.press(keys)
        terminal.wait_for(drawn)
    peak = terminal.peak_mb()
    terminal.close()
    return peak


async def scroll(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Return milliseconds until a page at a random place is loaded and drawn, by list."""
    with open_workspace(path, readonly=True) as workspace:
        longest = next(run.id for run in workspace.runs.list(source="capture"))
    found = {}
    for name, pane, screen, least in (
        ("timeline", "runs", ("timeline", longest), LONG_EVENTS), ("runs", "runs", None, RUNS),
        ("skills", "skills", None, SKILLS),
    ):  # fmt: skip
        app = SkillsmithApp(str(path), pane=pane, screen=screen, live=False)
        async with app.run_test(size=(COLUMNS, ROWS)):
            rows = await _filled(app, least)
            found[name] = [await _jump(rows, number) for number in range(20)]
    return found


async def _filled(app: SkillsmithApp, least: int) -> Lines[Any]:
    """Return the list of the screen when everything is loaded."""
    until = time.perf_counter() + WAIT_SECONDS
    while time.perf_counter() < until:
        await asyncio.sleep(0.02)
        for rows in app.screen.query(Lines):
            if rows.line_count >= least and not app.data.pending:
                return rows
    raise TimeoutError("the list did not fill")


async def _jump(rows: Lines[Any], seed: int) -> tuple[float, float]:
    """Return wall and processor milliseconds of one jump."""
    line = random.Random(seed).randrange(rows.line_count)
    started, cpu = time.perf_counter(), time.process_time()
    rows.go(line, centred=True)
    while any(  # noqa: ASYNC110  (how long it takes is what is measured)
        rows.row(one) is None and rows.slot(one) is not None for one in _visible(rows)
    ):
        await asyncio.sleep(0.001)
    for y in range(rows.size.height):
        rows.render_line(y)
    return (time.perf_counter() - started) * 1000, (time.process_time() - cpu) * 1000


def _visible(rows: Lines[Any]) -> Iterator[int]:
    top = rows.scroll_offset.y
    yield from range(top, min(top + rows.visible_lines, rows.line_count))


if __name__ == "__main__":
    main()
