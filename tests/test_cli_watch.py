"""``watch`` shows a run of another process while it goes on, and ends with it."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli

from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.workspace import open_workspace


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A command line with an empty file."""
    line = Cli(tmp_path, tmp_path / "x.db")
    open_workspace(line.db).close()
    return line


class Watcher:
    """A ``watch`` process whose lines are read as they come."""

    def __init__(self, cli: Cli, *words: str) -> None:
        self.process = cli.start("watch", *words)
        self.lines: list[tuple[float, str]] = []
        self.notes: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_notes, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.time(), line.rstrip("\n")))

    def _read_notes(self) -> None:
        assert self.process.stderr is not None
        self.notes += self.process.stderr

    def wait_for(self, text: str, seconds: float = 20.0) -> None:
        """Wait until a line or note holds the text."""
        deadline = time.monotonic() + seconds
        while not any(text in line for line in (*(line for _at, line in self.lines), *self.notes)):
            assert time.monotonic() < deadline, (text, self.lines, self.notes)
            time.sleep(0.01)

    def end(self) -> tuple[int, list[str]]:
        """Return exit code and lines once it has ended by itself."""
        code = self.process.wait(20)
        for reader in self._readers:
            reader.join(5)
        return code, [line for _at, line in self.lines]


def test_a_live_run_is_followed_from_its_beginning_to_its_end(cli: Cli) -> None:
    """Lines come while the run goes on, from its first event; the command ends with the run."""
    with AgentExecutionLogger(cli.db, task="plot it") as log:
        log.log_agent_start("engineer")
        watcher = Watcher(cli, log.run_id[:20])
        watcher.wait_for("at work")
        log.log_agent_reply("engineer", "half\nway", reasoning="hm")
        watcher.wait_for("half way")
        assert watcher.process.poll() is None
        log.finish("success", reason="all well")
    code, lines = watcher.end()
    assert code == 0
    assert [line.split("  ", 1)[1] for line in lines[1:4]] == [
        "engineer  at work", "engineer  thinks  hm", "engineer  says  half way"
    ]  # fmt: skip
    assert "begins  plot it" in lines[0]
    assert "outcome success (all well)" in lines[-1]


def test_json_lines_hold_the_events_of_listeners(cli: Cli) -> None:
    """With --json each line is an event with its cursor, and a cursor goes on behind it."""
    with AgentExecutionLogger(cli.db) as log:
        log.log_agent_start("a")
        log.log_tool_usage("f", {"x": 1}, "ok")
    done = cli("watch", log.run_id, "--json")
    events: list[Any] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == [
        "RUN_STARTED", "AGENT_START", "TOOL_USAGE", "TOOL_RESULT", "RUN_ENDED"
    ]  # fmt: skip
    assert events[2]["data"]["args"] == {"x": 1}
    rest = cli("watch", log.run_id, "--json", "--after", events[2]["cursor"])
    assert [json.loads(line) for line in rest.stdout.splitlines()] == events[3:]


def test_without_a_run_the_newest_one_under_way_is_taken(cli: Cli) -> None:
    """Of two runs under way the newer one is followed; one that was silent for long is not."""
    with open_workspace(cli.db) as workspace:
        old = workspace.runs.create("killed long ago", started_at=time.time() - 9999)
        workspace.db.execute("UPDATE runs SET created_at = created_at - 9999 WHERE id = ?", (old.id,))
    with AgentExecutionLogger(cli.db, task="first"), AgentExecutionLogger(cli.db, task="second") as log:
        log.log_agent_start("a")
        watcher = Watcher(cli)
        watcher.wait_for("second")
    code, lines = watcher.end()
    assert code == 0
    assert "begins  second" in lines[0]


def test_without_any_run_the_next_one_is_waited_for(cli: Cli) -> None:
    """With nothing under way it waits, also past runs that are over, and takes the next to begin."""
    with AgentExecutionLogger(cli.db, task="over") as log:
        log.log_agent_start("a")
    watcher = Watcher(cli)
    watcher.wait_for("waiting for the next")
    with AgentExecutionLogger(cli.db, task="the next") as log:
        log.log_agent_start("a")
    code, lines = watcher.end()
    assert code == 0
    assert "begins  the next" in lines[0]
    assert "ended" in lines[-1]


def test_an_event_is_printed_at_once(cli: Cli) -> None:
    """From the call that logs an event to its printed line it takes less than 300 ms."""
    with AgentExecutionLogger(cli.db) as log:
        log.log_agent_start("a")
        watcher = Watcher(cli, "--json")
        watcher.wait_for("AGENT_START")
        for _ in range(20):
            log.log_agent_reply("a", repr(time.time()))
            time.sleep(0.03)
    watcher.end()
    delays = sorted(
        at - float(event["data"]["content"])
        for at, event in ((at, json.loads(line)) for at, line in watcher.lines)
        if event["event"] == "AGENT_MESSAGE"
    )
    assert len(delays) == 20
    assert delays[10] < 0.3


def test_ctrl_c_stops_watching_and_not_the_run(cli: Cli) -> None:
    """SIGINT ends the command with exit code 0 and a note, no traceback; the run goes on."""
    with AgentExecutionLogger(cli.db) as log:
        log.log_agent_start("a")
        watcher = Watcher(cli)
        watcher.wait_for("at work")
        watcher.process.send_signal(signal.SIGINT)
        code, _lines = watcher.end()
        assert code == 0
        assert watcher.notes[-1] == "stopped watching\n"
        assert not any("Traceback" in note for note in watcher.notes)


def test_whole_texts_on_demand(cli: Cli) -> None:
    """With --full code and long texts are printed whole, below the event's line."""
    with AgentExecutionLogger(cli.db) as log:
        log.log_code_execution("x = 1\nprint(x)\n", {"exit_code": 1, "output": "boom"})
    done = cli("watch", log.run_id, "--full")
    assert "    x = 1\n    print(x)\n" in done.stdout
    assert "    exit 1\n    boom\n" in done.stdout


def test_control_characters_of_agents_do_not_reach_the_terminal(cli: Cli) -> None:
    """What an agent wrote cannot move the cursor of who watches."""
    with AgentExecutionLogger(cli.db) as log:
        log.log_agent_reply("a\x1b[2J", "clear\x1b[2J\x07 me")
    assert "\x1b" not in cli("watch", log.run_id).stdout


def test_an_unknown_run_and_a_bad_cursor_are_errors(cli: Cli) -> None:
    """A run that is not there is exit code 3, a cursor that is none is 2; each in one line."""
    missing = cli("watch", "0000")
    assert (missing.code, missing.stderr.count("\n")) == (3, 1)
    with AgentExecutionLogger(cli.db) as log:
        log.log_agent_start("a")
    assert cli("watch", log.run_id, "--after", "x", "--json").error["code"] == "usage"


def test_a_closed_pipe_ends_it_quietly(cli: Cli) -> None:
    """``watch | head -1`` ends without a complaint."""
    with AgentExecutionLogger(cli.db) as log:
        for number in range(200):
            log.log_agent_reply("a", f"{number} " + "x" * 1000)
    line = " ".join(cli.line("watch", log.run_id, "--full"))
    done = subprocess.run(
        f"{line} | head -1", shell=True, env=cli.environment(), capture_output=True, text=True, check=False,
        cwd=cli.folder,
    )  # fmt: skip
    assert "begins" in done.stdout
    assert "Traceback" not in done.stderr
