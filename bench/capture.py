"""Time recording against plain SQLite and AG2 runs against the same runs unrecorded, all in one go.

The plain peer has one table, no index, no redaction and prepared values: what this disk and SQLite allow.
Ours keeps both read indexes, redacts, encodes and numbers the events. Rounds alternate; medians.

Then real runs of AG2 1.x and Classic (agents, tool calls), each recorder in a process of its own, taking
turns. Without recording, with an empty hook (the least that any recorder costs) and with ours: over HTTP to a
model on 127.0.0.1 that answers at once (``overhead_0ms``) or after 200 ms (``overhead_200ms``). And with a
model in the process, where hardly anything but AG2 is left (``overhead_in_process``): there AG2's own SQLite
logger and OpenTelemetry run as well, and MLflow's autolog where it is installed (`pip install '.[bench]'`).
``us_per_event`` is processor time of the caller's thread, ``wall_us_per_event`` time by the clock and
``all_threads_us_per_event`` processor time with that of the threads that store.

    python bench/capture.py [--events 4000] [--rounds 5] [--no-agents] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import sqlean
from _agent_overhead import measure_all, show

from skillsmith.capture.logger import AgentExecutionLogger
from skillsmith.capture.recorder import Durability, Recorder
from skillsmith.capture.redact import redact_text
from skillsmith.db import Database
from skillsmith.models import Event, ToolUse
from skillsmith.runs import RunRepository

LIMITS = {
    "caller, group: microseconds": 15.0,
    "caller, group at an agent's pace: microseconds": 15.0,
    "until durable, group, against plain": 2.0,
    "until durable, sync, against plain": 2.0,
    "until durable, group at an agent's pace: milliseconds": 10.0,
    "file bytes against payload": 1.25,
}
PACE_SECONDS = 0.002
PACED_EVENTS = 200
WORDS = (
    "the agent reads table columns and plots a spectrum of galaxies then it writes the mean value into a "
    "file because the user asked for a report about energy budget flights reservation totals order payment"
).split()

Row = tuple[Any, ...]
Timing = dict[str, float]


def make_events(count: int) -> list[Event]:
    """Return turns of message, tool call, tool result and message, about 870 bytes an event."""
    chance = random.Random(1)

    def text(words: int) -> str:
        return " ".join(chance.choices(WORDS, k=words))

    events = []
    for number in range(count):
        base: dict[str, Any] = {"at": 1.8e9 + number, "agent": f"agent{number % 3}"}
        if number % 4 in (0, 3):
            events.append(Event(kind="message", role="assistant", content=text(250), **base))
        elif number % 4 == 1:
            arguments = json.dumps({"query": text(8), "limit": number, "user_id": f"user_{number}"})
            use = ToolUse(name="search", call_id=f"call_{number}", arguments=arguments)
            events.append(Event(kind="tool_call", tool=use, **base))
        else:
            result = json.dumps([{"id": line, "title": text(6)} for line in range(6)])
            use = ToolUse(name="search", call_id=f"call_{number - 1}", result=result)
            events.append(Event(kind="tool_result", role="tool", tool=use, **base))
    return events


def payload(event: Event) -> str:
    """Return what the event is about."""
    tool = event.tool
    return event.content or (tool.arguments or tool.result if tool else None) or ""


def payload_bytes(event: Event) -> int:
    """Return the bytes of all its texts."""
    tool = event.tool
    names = (event.agent, tool and tool.name, tool and tool.call_id)
    return len(payload(event).encode()) + sum(len(name) for name in names if name)


@contextmanager
def plain(folder: Path) -> Iterator[Callable[[Row], None]]:
    """One commit an event through one prepared statement."""
    conn = sqlean.connect(str(folder / "plain.db"), isolation_level=None)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = NORMAL")
    conn.execute("CREATE TABLE e (id INTEGER PRIMARY KEY, run, seq, kind, role, agent, at, content)")

    def insert(row: Row) -> None:
        conn.execute("INSERT INTO e (run, seq, kind, role, agent, at, content) VALUES (?,?,?,?,?,?,?)", row)

    yield insert
    conn.close()


@contextmanager
def ours(folder: Path, durability: Durability) -> Iterator[tuple[Recorder, int]]:
    """A recorder on a new file, and the key of a run."""
    path = folder / f"{durability}.db"
    db = Database(path)
    runs = RunRepository(db)
    pk = runs.key(runs.create("bench").id)
    db.close()
    recorder = Recorder(path, durability=durability)
    yield recorder, pk
    recorder.close()
    if recorder.dropped:
        raise SystemExit(f"{recorder.dropped} events were dropped: {recorder.problem}")


def timed(call: Callable[[Any], object], items: list[Any], *, done: Callable[[], object]) -> Timing:
    """Return microseconds an item in the caller, and until all is done."""
    each = []
    started = time.perf_counter()
    for item in items:
        before = time.perf_counter()
        call(item)
        each.append(time.perf_counter() - before)
    done()
    wall = time.perf_counter() - started
    each.sort()
    micro = 1e6 / len(items)
    return {"caller": sum(each) * micro, "p50": each[len(each) // 2] * 1e6,
            "p99": each[len(each) * 99 // 100] * 1e6, "durable": wall * micro}  # fmt: skip


def paced(call: Callable[[Any], object], items: list[Any], *, done: Callable[[], object]) -> Timing:
    """Return microseconds in the caller, and until the item is durable, when items come one by one."""
    inside, until = [], []
    for item in items:
        time.sleep(PACE_SECONDS)
        before = time.perf_counter()
        call(item)
        returned = time.perf_counter()
        done()
        until.append((time.perf_counter() - before) * 1e6)
        inside.append((returned - before) * 1e6)
    return {"p50": median(inside), "p99": sorted(inside)[len(inside) * 99 // 100], "durable": median(until)}


def nothing() -> None:
    """Wait for nothing: what was called is durable when it returns."""


def one_round(folder: Path, events: list[Event]) -> dict[str, Timing]:
    """Measure each recorder once."""
    found: dict[str, Timing] = {}
    few = events[:PACED_EVENTS]
    rows = [(1, n, e.kind, e.role, e.agent, e.at, payload(e)) for n, e in enumerate(events)]
    with plain(folder) as insert:
        found["plain"] = timed(insert, rows, done=nothing)
        found["plain, paced"] = paced(insert, rows[:PACED_EVENTS], done=nothing)
    modes: tuple[Durability, ...] = ("group", "sync")
    for mode in modes:
        with ours(folder, mode) as (recorder, pk):
            found[mode] = timed(lambda event: recorder.record(pk, event), events, done=recorder.flush)
            found[f"{mode}, paced"] = paced(
                lambda event: recorder.record(pk, event), few, done=recorder.flush
            )
    log = AgentExecutionLogger(folder / "logger.db", task="bench")
    found["logger"] = timed(
        lambda event: log.log_agent_reply(event.agent or "", payload(event)), events, done=log.recorder.flush
    )
    log.finish()
    return found


def file_share(folder: Path, events: list[Event]) -> float:
    """Return the bytes of a file with these events over the bytes of their payload."""
    path = folder / "bytes.db"
    log = AgentExecutionLogger(path, task="bench")
    empty = path.stat().st_size
    for event in events:
        log.recorder.record(log.run_pk, event)
    log.finish()
    return (path.stat().st_size - empty) / sum(map(payload_bytes, events))


def redaction(events: list[Event]) -> float:
    """Return microseconds a kilobyte for looking through ordinary text."""
    texts = [payload(event) for event in events]
    started = time.perf_counter()
    for text in texts:
        redact_text(text)
    return (time.perf_counter() - started) * 1e6 / (sum(map(len, texts)) / 1024)


def measure(count: int, rounds: int) -> dict[str, Any]:
    """Run all rounds and return medians."""
    events = make_events(count)
    seen: list[dict[str, Timing]] = []
    for _round in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            seen.append(one_round(Path(folder), events))
    times = {name: {key: median(one[name][key] for one in seen) for key in seen[0][name]} for name in seen[0]}
    with tempfile.TemporaryDirectory() as folder:
        share = file_share(Path(folder), events)
    payload_mean = sum(map(payload_bytes, events)) / count
    against = {
        mode: median(one[mode]["durable"] / one["plain"]["durable"] for one in seen)
        for mode in ("group", "sync", "logger")
    }
    return {
        "events": count, "bytes_per_event": share * payload_mean, "payload_bytes": payload_mean,
        "rounds": rounds, "times": times,
        "results": {
            "caller, group: microseconds": times["group"]["caller"],
            "caller, group at an agent's pace: microseconds": times["group, paced"]["p50"],
            "until durable, group, against plain": against["group"],
            "until durable, sync, against plain": against["sync"],
            "until durable, group at an agent's pace: milliseconds": times["group, paced"]["durable"] / 1000,
            "file bytes against payload": share,
        },
        "redaction_us_per_kb": median(redaction(events) for _round in range(5)),
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--agent-rounds", type=int, default=15, help="rounds of the AG2 runs")
    parser.add_argument("--no-agents", action="store_true", help="leave the AG2 runs out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = measure(options.events, options.rounds)
    agents = {} if options.no_agents else measure_all(options.agent_rounds)
    if options.json:
        print(json.dumps({**agents, **report, "limits": LIMITS}))
        return
    show_recorder(report)
    if agents:
        show(agents)


def show_recorder(report: dict[str, Any]) -> None:
    """Print what the recorder takes."""
    size = report["payload_bytes"]
    print(f"{report['events']} events of {size:.0f} bytes, {report['rounds']} rounds, microseconds an event")
    columns = ("caller", "p50", "p99", "durable")
    print(f"{'':<16}" + "".join(f"{column:>9}" for column in columns))
    for name, row in report["times"].items():
        cells = (f"{row[column]:>9.1f}" if column in row else " " * 9 for column in columns)
        print(f"{name:<16}" + "".join(cells))
    print(f"redaction: {report['redaction_us_per_kb']:.2f} microseconds a kilobyte\n")
    for name, value in report["results"].items():
        print(f"{name:<56}{value:>8.2f}   limit {LIMITS[name]:g}")


if __name__ == "__main__":
    main()
