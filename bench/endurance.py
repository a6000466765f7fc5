"""Ten thousand executions in one process: nothing leaks, and the ledger says what the events say.

usage: python bench/endurance.py [--executions N] [--json]

One skill of one tool node is executed again and again on inputs that the task's words give; every tenth time
its tool fails. The first tenth warms up and does not count.

rss_growth_kb  anonymous memory (RssAnon of /proc/self/status, so neither shared libraries nor the mapped
               database count) at the end less at a tenth of the way; medians of some looks around both
bytes_each     how much the file grows for each execution, in the first and in the second half; the log is
               written back before each look. Linear growth: both are alike
locks_left     files of leases that are left beside the database, and open transactions
ledger         the figures of the ledger, and the same counted from the runs' events alone
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from skillsmith.library.tools.callables import PythonTools
from skillsmith.models import FromInput, FromNode, Node, Skill, Variable
from skillsmith.workspace import Workspace, open_workspace

FAILING = 10
"""One execution in so many fails."""
LOOKS = 40
GROWTH_KB = 4096
"""So much growth counts as none: what a process keeps of its last tasks is bounded, not nothing."""
UNLIKE = 0.05
"""By so much of one half the file may grow more in the other."""

SKILL = Skill(
    name="rate_room", description="Look up the price of a room.", task_pattern="What does room {room} cost?",
    variables=(Variable(name="room", type="integer", required=True),),
    nodes=(Node(id="n1", kind="tool", tool="price_of", arguments={"room": FromInput("room")}),),
    output_bindings={"price": FromNode("n1", ("price",))},
)  # fmt: skip


def price_of(room: int) -> dict[str, Any]:
    """Return a room's price; of every tenth room nobody knows it."""
    if room % FAILING == 0:
        raise LookupError(f"there is no room {room}")
    return {"room": room, "price": 50 + room % 7}


def main() -> int:
    """Execute, measure and print."""
    parser = argparse.ArgumentParser(description="Execute a skill many times in one process.")
    parser.add_argument("--executions", type=int, default=10_000, metavar="N", help="at least 100")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    if options.executions < 100:
        parser.error("fewer than 100 executions show nothing")
    with tempfile.TemporaryDirectory(prefix="skillsmith-bench-") as folder:
        path = Path(folder) / "endurance.db"
        with open_workspace(path) as workspace:
            found = endure(workspace, path, options.executions)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0 if found["flat"] and found["linear"] and not found["locks_left"] and found["equal"] else 1


def endure(workspace: Workspace, path: Path, executions: int) -> dict[str, Any]:
    """Execute the skill so often, and return the figures."""
    skill = workspace.skills.add(SKILL)
    executor = workspace.executor(tools=PythonTools({"price_of": price_of}, label="hotel"))
    memory: list[int] = []
    sizes: list[int] = []
    began, used = time.perf_counter(), time.process_time()
    for number in range(1, executions + 1):
        executor.execute_skill(skill, {"task": f"What does room {number} cost?", "confidence": 0.9})
        if number % max(executions // LOOKS, 1) == 0:
            memory.append(anonymous_kb())
            sizes.append(file_bytes(workspace, path))
    seconds, used = time.perf_counter() - began, time.process_time() - used
    growth = int(
        statistics.median(memory[-3:]) - statistics.median(memory[LOOKS // 10 - 1 : LOOKS // 10 + 2])
    )
    halves = bytes_each(sizes, executions)
    ledger, recounted = figures_of_ledger(workspace), figures_of_events(workspace)
    return {
        "executions": executions, "seconds": round(seconds, 1),
        "cpu_ms_each": round(1000 * used / executions, 2), "rss_kb": memory[-1], "rss_growth_kb": growth,
        "flat": growth <= GROWTH_KB, "bytes_each": [round(half) for half in halves],
        "linear": abs(halves[1] / halves[0] - 1) <= UNLIKE, "locks_left": locks_left(workspace, path),
        "ledger": ledger, "events": recounted, "equal": ledger == recounted,
    }  # fmt: skip


def anonymous_kb() -> int:
    """Return the anonymous memory of this process in kB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))


def file_bytes(workspace: Workspace, path: Path) -> int:
    """Return the size of the database with its log written back."""
    workspace.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path.stat().st_size


def bytes_each(sizes: list[int], executions: int) -> tuple[float, float]:
    """Return the growth for each execution, from a tenth of the way to the middle, and from there on."""
    first, middle, last = len(sizes) // 10, len(sizes) // 2, len(sizes) - 1
    each = executions / len(sizes)
    return (
        (sizes[middle] - sizes[first]) / ((middle - first) * each),
        (sizes[last] - sizes[middle]) / ((last - middle) * each),
    )


def locks_left(workspace: Workspace, path: Path) -> list[str]:
    """Return what still holds something: leases, and a transaction that is open."""
    left = sorted(one.name for one in path.parent.iterdir() if one.name.endswith(".running"))
    return left + ["a transaction"] * bool(workspace.db.conn.in_transaction)


def figures_of_ledger(workspace: Workspace) -> dict[str, Any]:
    """Return what the ledger says of the skill."""
    stats = workspace.ledger.stats(SKILL.name)
    return {name: stats[name] for name in ("executions", "matched", "applied", "completed")} | {
        "success_rate": round(stats["success_rate"], 12),
    }


def figures_of_events(workspace: Workspace) -> dict[str, Any]:
    """Return the same figures from the events of all runs of executions, and from nothing else."""
    counts = dict.fromkeys(("executions", "matched", "applied", "completed", "ended"), 0)
    for run in workspace.runs.list():
        for event in workspace.runs.events(run.id):
            said = (event.data or {}) if event.kind == "skill" else {}
            counts["executions"] += said.get("event") == "SKILL_EXECUTION_START"
            counts["matched"] += said.get("event") == "SKILL_MATCHED"
            counts["applied"] += event.kind == "tool_call"
            counts["ended"] += said.get("event") == "SKILL_EXECUTION_COMPLETE"
            counts["completed"] += said.get("event") == "SKILL_EXECUTION_COMPLETE" and said["success"]
    ended = counts.pop("ended")
    return counts | {"success_rate": round(counts["completed"] / ended, 12)}


def show(found: dict[str, Any]) -> None:
    """Print the figures."""
    first, second = found["bytes_each"]
    print(
        f"{found['executions']} executions in {found['seconds']} s, {found['cpu_ms_each']} ms of CPU each\n"
        f"memory {found['rss_kb']} kB, {found['rss_growth_kb']:+} kB since a tenth of the way"
        f" ({'flat' if found['flat'] else 'NOT FLAT'})\n"
        f"file {first} bytes an execution in the first half, {second} in the second"
        f" ({'linear' if found['linear'] else 'NOT LINEAR'})\n"
        f"locks left: {', '.join(found['locks_left']) or 'none'}\n"
        f"ledger {found['ledger']}\nevents {found['events']}"
        f" ({'equal' if found['equal'] else 'NOT EQUAL'})"
    )


if __name__ == "__main__":
    sys.exit(main())
