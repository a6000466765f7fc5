"""How fast `skillsmith serve` answers, beside Datasette on the same table, and what its live events hold.

One server each, in turns, so that a busy machine slows both alike: p50 and p99 of a list, of one item and
of a match at 1, 8 and 32 clients. Datasette (when installed) gives JSON of the same rows of the same file.
With --live: so many clients that each come back three times see every event of a run that is being written.

    python bench/serve.py [--skills N] [--requests N] [--live CLIENTS EVENTS] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from websockets.asyncio.client import connect

from skillsmith.models import Constant, Event, Node, Skill
from skillsmith.workspace import open_workspace

TOKEN = "a-token-of-the-benchmark-0123456789"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CLIENTS = (1, 8, 32)
PAGE = 50
COLUMNS = "name, version, state, tags, description, created_at"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--skills", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=320, help="of each kind and number of clients")
    parser.add_argument("--live", type=int, nargs=2, metavar=("CLIENTS", "EVENTS"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "bench.db"
        if options.live:
            report = live(db, *options.live)
        else:
            fill(db, options.skills)
            report = answers(db, options.requests)
    print(json.dumps(report, indent=None if options.json else 1))


def fill(db: Path, count: int) -> None:
    """Store skills with words of their own."""
    verbs, things = (
        ("cancel", "refund", "plot", "sort", "send", "merge"),
        ("order", "invoice", "spectrum", "table"),
    )
    with open_workspace(db) as workspace:
        for number in range(count):
            what = f"{verbs[number % 6]} {things[number % 4]} of kind {number}"
            node = Node(id="n1", kind="tool", tool="do", arguments={"kind": Constant(number)})
            workspace.skills.add(
                Skill(name=f"skill-{number:06d}", description=what, task_pattern=what, nodes=(node,))
            )
        workspace.vectors.sync()


# ---------------------------------------------------------------------------------------------- answers


def answers(db: Path, requests: int) -> dict[str, Any]:
    """Return latencies of both servers, taken in turns."""
    has_datasette = find_spec("datasette") is not None
    with skillsmith_at(db) as ours, datasette_at(db, wanted=has_datasette) as theirs:
        sql = f"select {COLUMNS} from skills order by name limit {PAGE}"
        ways = {
            "list": (
                ("GET", f"{ours}/api/skills?limit={PAGE}", None),
                f"{theirs}/bench.json?_shape=array&sql={sql}",
            ),
            "get": (("GET", f"{ours}/api/skills/skill-000007", None), f"{theirs}/bench/skills/8.json"),
            "match": (
                ("POST", f"{ours}/api/skills/match", {"task_description": "refund invoice of kind 1201"}),
                None,
            ),
        }  # fmt: skip
        report = {}
        for name, (own, other) in ways.items():
            for clients in CLIENTS:
                report[f"{name} x{clients}"] = _compared(
                    own, other if has_datasette else None, clients, requests
                )
    return {"datasette": has_datasette, "skills_on_a_page": PAGE, "milliseconds": report}


def _compared(own: tuple[str, str, Any], other: str | None, clients: int, requests: int) -> dict[str, Any]:
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(4):  # in turns
        mine += asyncio.run(_asked(own, clients, requests // 4))
        if other is not None:
            theirs += asyncio.run(_asked(("GET", other, None), clients, requests // 4))
    found: dict[str, Any] = {"p50": _p(mine, 50), "p99": _p(mine, 99)}
    if theirs:
        found |= {"datasette_p50": _p(theirs, 50), "datasette_p99": _p(theirs, 99)}
        found["ratio_p50"] = round(found["p50"] / found["datasette_p50"], 2)
        found["ratio_p99"] = round(found["p99"] / found["datasette_p99"], 2)
    return found


async def _asked(request: tuple[str, str, Any], clients: int, count: int) -> list[float]:
    """Return how long each of so many requests took, by so many clients at once."""
    method, url, body = request
    took: list[float] = []

    async def one(number: int) -> None:
        async with httpx.AsyncClient(headers=BEARER, timeout=60) as client:
            (await client.request(method, url, json=body)).raise_for_status()  # connected, and warm
            for _ in range(number):
                begun = time.perf_counter()
                response = await client.request(method, url, json=body)
                took.append(time.perf_counter() - begun)
                response.raise_for_status()

    await asyncio.gather(*(one(max(count // clients, 1)) for _ in range(clients)))
    return took


def _p(seconds: Sequence[float], percent: int) -> float:
    value = median(seconds) if percent == 50 else quantiles(seconds, n=100)[percent - 1]
    return round(value * 1000, 2)


@contextmanager
def skillsmith_at(db: Path, *words: str) -> Iterator[str]:
    """Serve the file in a process of its own."""
    line = [sys.executable, "-m", "skillsmith", "--db", str(db), "serve", "--port", "0", "--json", *words]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, env={**os.environ, "SKILLSMITH_TOKEN": TOKEN})
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@contextmanager
def datasette_at(db: Path, *, wanted: bool) -> Iterator[str]:
    """Serve the same file with Datasette."""
    if not wanted:
        yield ""
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = db.with_name("plain") / "bench.db"  # without the tables of extensions that it does not know
    plain.parent.mkdir()
    _copy_table(db, plain)
    line = [
        sys.executable,
        "-m",
        "datasette",
        "serve",
        str(plain),
        "--port",
        str(port),
        "--setting",
        "num_sql_threads",
        "4",
    ]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx.get(url).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _copy_table(db: Path, plain: Path) -> None:
    """Give Datasette what a list shows and what one skill has, in one table."""
    import sqlite3  # noqa: PLC0415  (only to copy)

    with sqlite3.connect(plain) as copy:
        copy.execute("ATTACH ? AS source", (str(db),))
        copy.execute(
            "CREATE TABLE skills (pk INTEGER PRIMARY KEY, name TEXT, version INTEGER, state TEXT, tags TEXT,"
            " description TEXT, created_at REAL, dag_template TEXT, input_schema TEXT)"
        )
        copy.execute(
            "INSERT INTO skills SELECT s.pk, s.name, v.version, v.state, v.tags, v.description, v.created_at,"
            " v.dag_template, v.input_schema"
            " FROM source.skills s JOIN source.skill_versions v ON v.skill = s.pk"
        )
        copy.execute("CREATE UNIQUE INDEX names ON skills (name)")
        copy.commit()


# ------------------------------------------------------------------------------------------ live events


def live(db: Path, clients: int, events: int) -> dict[str, Any]:
    """Return whether everybody saw everything once and in order, and what it took of the writer."""
    with open_workspace(db) as workspace:
        alone = workspace.runs.create("nobody listens")
        unheard = _write(db, alone.id, events)
        run = workspace.runs.create("everybody listens")
        with skillsmith_at(db) as url:
            heard: list[float] = []
            writer = threading.Thread(target=lambda: heard.append(_write(db, run.id, events)))
            stalled = _stalled(url, run.id)
            begun = time.perf_counter()
            seen = asyncio.run(_everybody(url, run.id, clients, events, writer))
            took = time.perf_counter() - begun
            writer.join()
            stalled.close()
    wanted = [f"number {number}" for number in range(events)]
    return {
        "clients": clients, "events": events, "reconnects": 3,
        "complete_and_in_order": sum(one == wanted for one in seen), "seconds": round(took, 1),
        "events_a_second_in_all": round(clients * events / took),
        "writer_seconds_alone": round(unheard, 2), "writer_seconds_heard": round(heard[0], 2),
        "one_client_stalled": True,
    }  # fmt: skip


def _write(db: Path, run_id: str, events: int) -> float:
    """Write events as a capture does, a few in a commit; return the CPU seconds that took."""
    with open_workspace(db) as workspace:
        key = workspace.runs.key(run_id)
        begun = time.thread_time()
        for start in range(0, events, 10):
            workspace.log.append(key, [
                Event(kind="message", role="assistant", agent="a", content=f"number {number}")
                for number in range(start, min(start + 10, events))
            ])  # fmt: skip
        took = time.thread_time() - begun
        workspace.runs.finish(run_id, outcome="success")
    return took


async def _everybody(
    url: str, run: str, clients: int, events: int, writer: threading.Thread
) -> list[list[str]]:
    async def follow(number: int) -> list[str]:
        seen: list[str] = []
        cursor = "0"
        for part in range(4):
            address = f"{url.replace('http', 'ws')}/ws/runs/{run}?after={cursor.replace('+', '%2B')}"
            most = (part + 1) * events // 4 + number if part < 3 else events
            async with connect(
                address, additional_headers=BEARER, compression=None, max_size=None, close_timeout=0.2
            ) as client:
                async for text in client:
                    frame = json.loads(text)
                    cursor = frame["cursor"]
                    if frame["event"] == "AGENT_MESSAGE":
                        seen.append(frame["data"]["content"])
                        if len(seen) >= most and part < 3:
                            break
        return seen

    tasks = [asyncio.create_task(follow(number)) for number in range(clients)]
    await asyncio.sleep(0.5)
    writer.start()
    return list(await asyncio.gather(*tasks))


def _stalled(url: str, run: str) -> socket.socket:
    """Return a listener that never reads."""
    host, port = url.removeprefix("http://").split(":")
    raw = socket.create_connection((host, int(port)))
    lines = [
        f"GET /ws/runs/{run} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Authorization: Bearer {TOKEN}", "", "",
    ]  # fmt: skip
    raw.sendall("\r\n".join(lines).encode())
    return raw


if __name__ == "__main__":
    main()
