"""Tests of live events: each once and in order over reconnects, for many, whatever one of them does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_process import Cli
from serving import AUTHORIZATION, TOKEN, client_of, serving
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from skillsmith.events import EventLog
from skillsmith.models import Event, Run
from skillsmith.server.auth import PROTOCOL
from skillsmith.server.launch import Server
from skillsmith.workspace import open_workspace

Frame = dict[str, Any]


@asynccontextmanager
async def _listening(server: Server, path: str, **more: Any) -> AsyncIterator[ClientConnection]:
    options: dict[str, Any] = {
        "additional_headers": AUTHORIZATION,
        "compression": None,
        "max_size": None,
        "close_timeout": 0.2,
    }  # fmt: skip  (a client that breaks off with unread messages would wait ten seconds for the farewell)
    async with connect(server.address.url.replace("http", "ws") + path, **(options | more)) as client:
        yield client


async def _frames(client: ClientConnection, count: int | None = None) -> list[Frame]:
    found: list[Frame] = []
    try:
        while count is None or len(found) < count:
            found.append(json.loads(await asyncio.wait_for(client.recv(), 30)))
    except ConnectionClosed:
        pass
    return found


def _write(db: Path, count: int, *, batch: int = 50, pause: float = 0.0) -> Run:
    """Write a run with so many events, a third of them with a thought, and end it."""
    with open_workspace(db) as workspace:
        run = workspace.runs.create("write a lot")
        _append(workspace.log, workspace.runs.key(run.id), count, batch=batch, pause=pause)
        return workspace.runs.finish(run.id, outcome="success")


def _append(log: EventLog, key: int, count: int, *, batch: int, pause: float = 0.0) -> None:
    for start in range(0, count, batch):
        log.append(key, [
            Event(
                kind="message", role="assistant", agent="writer", content=f"number {number}",
                reasoning="a thought" if number % 3 == 0 else None,
            )
            for number in range(start, min(start + batch, count))
        ])  # fmt: skip
        time.sleep(pause)


def _told(count: int) -> list[str]:
    """Return the names of what listeners get for such a run."""
    names = ["RUN_STARTED"]
    for number in range(count):
        names += ["AGENT_REASONING", "AGENT_MESSAGE"] if number % 3 == 0 else ["AGENT_MESSAGE"]
    return [*names, "RUN_ENDED"]


def test_a_run_is_replayed_in_the_specification_s_shapes(server: Server, cli: Cli) -> None:
    """From its beginning to its end, then the server closes."""
    run = _write(cli.db, 4)

    async def listen() -> tuple[list[Frame], int | None]:
        async with _listening(server, f"/ws/runs/{run.id}") as client:
            return await _frames(client), client.close_code

    frames, code = asyncio.run(listen())
    assert [frame["event"] for frame in frames] == _told(4)
    assert code == 1000
    assert [frame["cursor"] for frame in frames] == ["0+1", "0+2", "1", "2", "3", "3+1", "4", "4.end"]
    assert frames[1]["data"] == {
        "run_id": run.id, "seq": 1, "step_id": "step_1", "agent": "writer", "timestamp": None,
        "reasoning": "a thought",
    }  # fmt: skip


@pytest.mark.parametrize("after", [None, 0, *range(1, 8)])
def test_every_cursor_goes_on_behind_its_event(server: Server, cli: Cli, after: int | None) -> None:
    """Whoever comes back with a cursor gets exactly the rest; a plain sequence number is a cursor, too."""
    run = _write(cli.db, 4)

    async def listen(query: str) -> list[Frame]:
        async with _listening(server, f"/ws/runs/{run.id}{query}") as client:
            return await _frames(client)

    whole = asyncio.run(listen(""))
    if after is None:
        rest = asyncio.run(listen("?after=2"))
        assert rest == [
            frame for frame in whole if frame["data"].get("seq", 9) > 2 and frame["event"] != "RUN_STARTED"
        ]
    else:
        rest = asyncio.run(listen(f"?after={whole[after]['cursor'].replace('+', '%2B')}"))
        assert rest == whole[after + 1 :]


@pytest.mark.parametrize("path", ["run", "all"])
def test_many_clients_see_every_event_once_and_in_order(cli: Cli, path: str) -> None:
    """Eight clients break off three times each while a run is written, and miss and repeat nothing."""
    count, clients = 1500, 8
    with open_workspace(cli.db) as workspace, serving(cli.db) as server:
        run = workspace.runs.create("a run that goes on")
        where = f"/ws/runs/{run.id}" if path == "run" else "/ws"

        def write() -> None:
            with open_workspace(cli.db) as writing:
                _append(writing.log, writing.runs.key(run.id), count, batch=7, pause=0.001)
                writing.runs.finish(run.id, outcome="success")

        async def follow(number: int, ready: asyncio.Barrier) -> list[Frame]:
            seen: list[Frame] = []
            for part in range(4):
                query = f"?after={seen[-1]['cursor'].replace('+', '%2B')}" if seen else ""
                async with _listening(server, where + query) as client:
                    if part == 0:
                        await ready.wait()
                    most = 101 + 67 * number if part < 3 else len(_told(count)) - len(seen)
                    seen += await _frames(client, most)
            return seen

        async def everybody() -> list[list[Frame]]:
            ready = asyncio.Barrier(clients + 1)
            tasks = [asyncio.create_task(follow(number, ready)) for number in range(clients)]
            await ready.wait()
            await asyncio.sleep(0.2)  # those that listen to all have found their place
            await asyncio.to_thread(write)
            return await asyncio.gather(*tasks)

        seen = asyncio.run(everybody())
    for frames in seen:
        assert [frame["event"] for frame in frames] == _told(count)
        numbers = [frame["data"]["content"] for frame in frames if frame["event"] == "AGENT_MESSAGE"]
        assert numbers == [f"number {number}" for number in range(count)]


def test_a_stalled_client_is_dropped_and_delays_nobody(cli: Cli) -> None:
    """One client takes nothing: the writer and another client are as fast as ever, and it is disconnected."""
    with open_workspace(cli.db) as workspace, serving(cli.db, stall_seconds=1.0) as server:
        run = workspace.runs.create("large events")
        key = workspace.runs.key(run.id)
        event = Event(kind="message", role="assistant", agent="a", content="x" * 20_000)
        stalled = _raw_listener(server, f"/ws/runs/{run.id}")

        def write(count: int) -> float:
            begun = time.perf_counter()
            for _ in range(count):
                workspace.log.append(key, [event])
            return time.perf_counter() - begun

        async def listen() -> list[Frame]:
            async with _listening(server, f"/ws/runs/{run.id}") as client:
                return await _frames(client)

        write(400)  # 8 MB: more than buffers hold
        slow = write(100)
        workspace.runs.finish(run.id)
        frames = asyncio.run(listen())
        assert len(frames) == 502
        assert _gone(stalled, seconds=10)
        assert server.server_state.connections == set() or len(server.server_state.connections) <= 1
        assert slow < 5
        stalled.close()


def _raw_listener(server: Server, path: str) -> socket.socket:
    """Return a listener that has shaken hands and then reads nothing, with a small buffer."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((server.address.host, server.address.port))
    lines = [
        f"GET {path} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Authorization: Bearer {TOKEN}", "", "",
    ]  # fmt: skip
    raw.sendall("\r\n".join(lines).encode())
    raw.settimeout(20)
    assert raw.recv(12) == b"HTTP/1.1 101"
    raw.settimeout(0.2)
    return raw


def _gone(raw: socket.socket, *, seconds: float) -> bool:
    """Tell whether the other side has dropped a connection of which nothing is read."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            raw.sendall(b"\x89\x80\0\0\0\0")  # a ping
        except OSError:
            return True
        time.sleep(0.1)
    return False


def test_the_token_by_subprotocol_and_by_first_message(server: Server, cli: Cli) -> None:
    """Browsers can send no header: they offer the token as a protocol, or send it first."""
    run = _write(cli.db, 2)

    async def by_protocol() -> tuple[str | None, int]:
        offered = [PROTOCOL, f"bearer.{TOKEN}"]
        async with _listening(
            server, f"/ws/runs/{run.id}", additional_headers={}, subprotocols=offered
        ) as client:
            return client.subprotocol, len(await _frames(client))

    async def by_message(said: str) -> tuple[int, int | None]:
        async with _listening(server, f"/ws/runs/{run.id}", additional_headers={}) as client:
            await client.send(said)
            return len(await _frames(client)), client.close_code

    assert asyncio.run(by_protocol()) == (PROTOCOL, len(_told(2)))
    assert asyncio.run(by_message(json.dumps({"token": TOKEN}))) == (len(_told(2)), 1000)
    for wrong in ('{"token": "x"}', "hello", "[]", "{}", '{"token": 5}'):
        assert asyncio.run(by_message(wrong)) == (0, 1008)


@pytest.mark.parametrize(
    ("headers", "protocols", "status"),
    [
        ({"Authorization": "Bearer wrong"}, None, 401),
        ({}, [PROTOCOL, "bearer.wrong"], 401),
        ({**AUTHORIZATION, "Origin": "https://evil.example"}, None, 403),
    ],
)
def test_a_wrong_token_or_origin_gets_no_socket(
    server: Server, headers: dict[str, str], protocols: Any, status: int
) -> None:
    """The handshake is refused."""

    async def listen() -> None:
        async with _listening(server, "/ws", additional_headers=headers, subprotocols=protocols):
            pass

    with pytest.raises(InvalidStatus) as refusal:
        asyncio.run(listen())
    assert refusal.value.response.status_code == status


@pytest.mark.parametrize("path", ["/ws/runs/00000000", "/ws/runs/..", "/ws?after=x", "/ws/jobs/00000000"])
def test_what_is_not_there_gets_no_socket(server: Server, path: str) -> None:
    """With the token the handshake says why; without it nothing is told of what there is."""

    async def listen(headers: dict[str, str], first: str) -> Any:
        async with _listening(server, path, additional_headers=headers) as client:
            await client.send(first)
            return await _frames(client), client.close_code, client.close_reason

    with pytest.raises(InvalidStatus) as refusal:
        asyncio.run(listen(AUTHORIZATION, ""))
    assert refusal.value.response.status_code in (400, 404)
    assert "error" in json.loads(refusal.value.response.body or b"")
    frames, code, reason = asyncio.run(listen({}, "{}"))
    assert (frames, code) == ([], 1008)
    assert "first message" in reason


def test_all_runs_from_a_cursor_and_from_now(server: Server, cli: Cli) -> None:
    """Without a cursor only what comes is told; with the cursor of any event exactly what came behind it."""

    async def follow() -> tuple[list[Frame], list[Frame], list[Frame], list[str]]:
        async with _listening(server, "/ws") as client:
            await asyncio.sleep(0.3)
            runs = [await asyncio.to_thread(_write, cli.db, 3) for _ in range(2)]
            fresh = await _frames(client, 2 * len(_told(3)))
        middle = fresh[4]["cursor"].replace("+", "%2B")
        async with _listening(server, f"/ws?after={middle}") as client:
            rest = await _frames(client, len(fresh) - 5)
        async with _listening(server, "/ws?after=0") as client:
            everything = await _frames(client, 5 * 15)
        return fresh, rest, everything, [run.id for run in runs]

    fresh, rest, everything, runs = asyncio.run(follow())
    assert sorted(frame["event"] for frame in fresh) == sorted(_told(3) * 2)
    assert _stored(rest) == _stored(fresh[5:])  # an end is told as soon as all before it is
    assert _ends(rest) == _ends(fresh[5:]) == sorted(runs)
    assert everything[0]["event"] == "RUN_STARTED"


def _stored(frames: list[Frame]) -> list[Any]:
    return [(frame["event"], frame["data"]) for frame in frames if frame["event"] != "RUN_ENDED"]


def _ends(frames: list[Frame]) -> list[str]:
    return sorted(frame["data"]["run_id"] for frame in frames if frame["event"] == "RUN_ENDED")


def test_an_execution_is_heard_while_it_goes_on(server: Server, cli: Cli) -> None:
    """A job's events lead to its run, whose events tell of the skill as the specification names it."""

    async def listen(path: str) -> list[Frame]:
        async with _listening(server, path) as client:
            return await _frames(client)

    with client_of(server) as client:
        body = {"task_context": {"person": "Bob"}}
        begun = client.post("/api/skills/write_greeting/execute", json=body).json()
        frames = asyncio.run(listen(begun["events_url"]))
        names = [frame["event"] for frame in frames]
        assert (names[0], names[-1]) == ("JOB_QUEUED", "JOB_ENDED")
        assert [frame["data"]["seq"] for frame in frames] == list(range(1, len(frames) + 1))
        assert frames[-1]["data"]["status"] == "succeeded"
        run = frames[-1]["data"]["run_id"]
        events = {frame["event"]: frame["data"] for frame in asyncio.run(listen(f"/ws/runs/{run}"))}
        assert events["SKILL_EXECUTION_START"]["skill_name"] == "write_greeting"
        assert events["SKILL_EXECUTION_COMPLETE"]["success"] is True
        rest = asyncio.run(listen(f"{begun['events_url']}?after={len(frames) - 1}"))
        assert rest == frames[-1:]


def test_listeners_are_counted_and_forgotten(server: Server, client: httpx.Client) -> None:
    """A client that goes leaves nothing behind."""

    async def listen(look: Callable[[], int]) -> int:
        async with _listening(server, "/ws"):
            await asyncio.sleep(0.2)
            return await asyncio.to_thread(look)

    def look() -> int:
        count: int = client.get("/api/status").json()["listeners"]
        return count

    assert asyncio.run(listen(look)) == 1
    for _ in range(50):
        if look() == 0:
            break
        threading.Event().wait(0.05)
    assert look() == 0
