from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hub_team import PLOT, Machine, Team, execution

from skillsmith.errors import StorageError

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

ROOT = Path(__file__).parents[2]
WORK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from hub_team import Machine
machine = Machine(Path(sys.argv[1]), sys.argv[2])
print("ready", flush=True)
getattr(machine, sys.argv[3])()
print("done", flush=True)
"""
SKILLS = 300


def _killed(machine: Machine, way: str, after: float) -> bool:
    """Start a push or pull in a process, kill it, and tell whether it was still at work."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    words = [sys.executable, "-c", WORK, str(machine.path), machine.url, way, str(Path(__file__).parent)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        return process.stdout.read() == ""


def _fill(machine: Machine) -> None:
    with machine.workspace.skills.transaction():
        for number in range(SKILLS):
            machine.workspace.skills.add(replace(PLOT, name=f"s{number}"))
            machine.workspace.ledger.record(execution(f"s{number}", 1))


@pytest.mark.parametrize("way", ["push", "pull"])
def test_killed_anywhere_it_is_finished_by_the_next(team: Team, way: str) -> None:
    """SIGKILL in the middle of a push or a pull loses nothing and leaves nothing half done."""
    _fill(team.ann)
    worker = team.ann if way == "push" else team.bob
    if way == "pull":
        team.ann.push()
    chance = random.Random(3)
    at_work = [_killed(worker, way, chance.uniform(0.0, 0.5)) for _attempt in range(6)]
    assert any(at_work)
    assert worker.workspace.db.check() == []
    team.ann.push()
    team.bob.pull()
    assert team.ann.versions() == team.bob.versions()
    assert len(team.bob.versions()) == SKILLS
    assert team.ann.ledger() == team.bob.ledger()
    assert team.bob.pull().conflicts == team.ann.pull().conflicts == ()
    assert team.ann.push().versions == team.bob.push().versions == ()


def test_a_hub_that_breaks_off_is_one_line(team: Team) -> None:
    """When the server ends the connection between two batches, the next push goes on from there."""
    _fill(team.ann)

    def cut(_amount: int, _note: str) -> None:
        with psycopg.connect(team.url, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'skillsmith' AND datname = current_database()"
            )

    with pytest.raises(StorageError, match=r"broke off: .*run the command again") as caught:
        team.ann.push(progress=cut)
    assert "\n" not in str(caught.value)
    assert 0 < len(team.ann.push().versions) < SKILLS
    team.bob.pull()
    assert team.ann.versions() == team.bob.versions()
