"""Live events over WebSockets, in the specification's shapes, each once and in order over any reconnects.

A listener says with ``after`` where it was: the ``cursor`` of the last event it has had, for one run also a
plain sequence number. One that takes nothing for a while is disconnected; it comes back with its cursor and
has missed nothing. The token comes in the header, in a subprotocol, or, for what can send neither, in the
first message; never in the address, which proxies log and browsers remember.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from skillsmith.errors import SkillsmithError, UsageError
from skillsmith.events import load_json
from skillsmith.follower import Place
from skillsmith.models import Run
from skillsmith.server.answers import json_answer
from skillsmith.server.auth import AUTHORIZED, PROTOCOL, Gate
from skillsmith.server.faults import document, of_error, status_of
from skillsmith.server.protocol import ABORT
from skillsmith.server.schemas.common import ID_PATTERN
from skillsmith.server.streams import BLOCK, Stream, Streams
from skillsmith.tail import Tail
from skillsmith.workspace import Workspace

router = APIRouter()

FIRST_MESSAGE_SECONDS: Final = 5.0
MAX_LISTENERS: Final = 500
CURSOR_CHARS: Final = 100_000
DONE, REFUSED, GOING_AWAY, BUSY = 1000, 1008, 1001, 1013

_RUN_CURSOR: Final = re.compile(r"(\d{1,15})(?:\+(\d{1,3}))?(\.end)?")
_ID: Final = re.compile(ID_PATTERN)
_ONE: Final = frozenset({0})
_After = Annotated[str | None, Query(max_length=CURSOR_CHARS)]


@router.websocket("/ws/runs/{run_id}")
async def follow_run(websocket: WebSocket, run_id: str, after: _After = None) -> None:
    """Send one run's events from its beginning, or from behind a place on, until it has ended."""
    try:
        place = _run_place(after)
        run, pk = await websocket.app.state.readers.run(lambda workspace: _run(workspace, run_id))
    except SkillsmithError as error:
        await _deny(websocket, error)
        return
    if place.open:
        place = Place(place.id, place.part, frozenset({pk}))
    async with _listening(websocket, run, pk) as stream:
        if stream is not None:
            await _serve(websocket, Listener(websocket, stream, place, cursor=_run_cursor, ends=True))


@router.websocket("/ws")
async def follow_all(websocket: WebSocket, after: _After = None) -> None:
    """Send every run's events from now on, or from behind a place on."""
    try:
        start = None if after is None else Place.read(after)
        place = start or await websocket.app.state.readers.run(_now)
    except SkillsmithError as error:
        await _deny(websocket, error)
        return
    async with _listening(websocket, None, None) as stream:
        if stream is not None:
            await _serve(websocket, Listener(websocket, stream, place, cursor=Place.cursor, ends=False))


@router.websocket("/ws/jobs/{job_id}")
async def follow_job(websocket: WebSocket, job_id: str, after: Annotated[int, Query(ge=0)] = 0) -> None:
    """Send how far a job is, until it is over."""
    try:
        trail = websocket.app.state.jobs.trail(job_id)
    except SkillsmithError as error:
        await _deny(websocket, error)
        return
    if not await _let_in(websocket):
        return

    async def send(last: int) -> None:
        while True:
            for seq, text in trail.after(last):
                await websocket.send({"type": "websocket.send", "text": text})
                last = seq
            if trail.over:
                return
            await trail.wait()

    await _serve(websocket, send(after))


class Listener:
    """One client's way through a stream.

    Args:
        websocket: The client.
        stream: What it listens to.
        place: What it has had already.
        cursor: Writes a place as the client will give it back.
        ends: Whether there is nothing more to send once the run's end was told.
    """

    def __init__(
        self,
        websocket: WebSocket,
        stream: Stream,
        place: Place,
        *,
        cursor: Callable[[Place], str],
        ends: bool,
    ) -> None:
        self._websocket = websocket
        self._stream = stream
        self._place = place
        self._cursor = cursor
        self._ends = ends
        self.sending_since: float | None = None
        """When the message began that the client has not taken yet; None: there is none."""

    def __await__(self) -> Any:
        return self._run().__await__()

    async def _run(self) -> None:
        try:
            await self._follow()
        finally:
            self._stream.waiting.pop(self, None)

    async def _follow(self) -> None:
        number = self._place.id // BLOCK
        while True:
            block = await self._stream.block(number, asking=self._place.open if self._waits else frozenset())
            await self._send_new(block.entries)
            if block.complete:
                number += 1
                await asyncio.sleep(0)  # the others have their turn
                continue
            if not self._place.open <= block.asked:
                self._stream.waiting[self] = self._place.open
                continue
            for pk in sorted(self._place.open & block.over.keys()):
                self._place = Place(self._place.id, self._place.part, self._place.open - {pk})
                await self._send(block.over[pk])
            self._stream.waiting[self] = self._place.open
            if self._ends and not self._place.open:
                return
            await self._stream.change(block)

    @property
    def _waits(self) -> bool:
        return self in self._stream.waiting

    async def _send_new(self, entries: Any) -> None:
        for entry in entries[_first_after(entries, self._place.id) :]:
            place = self._place
            had = place.part if entry.key == place.id + 1 else 0
            runs = place.open | {entry.run}
            last = len(entry.heads)
            for part, head in enumerate(entry.heads, 1):
                if part > had:
                    whole = part == last
                    self._place = Place(entry.key, 0, runs) if whole else Place(entry.key - 1, part, runs)
                    await self._send(head)

    async def _send(self, head: str) -> None:
        self.sending_since = asyncio.get_running_loop().time()
        text = f'{head}{self._cursor(self._place)}"}}'
        await self._websocket.send({"type": "websocket.send", "text": text})
        self.sending_since = None


def _first_after(entries: Any, key: int) -> int:
    """Return the place of the first event with a greater number."""
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        if entries[middle].key <= key:
            low = middle + 1
        else:
            high = middle
    return low


@asynccontextmanager
async def _listening(websocket: WebSocket, run: Run | None, pk: int | None) -> AsyncIterator[Stream | None]:
    """Let a client in and join it to a stream; None: it may not listen."""
    streams: Streams = websocket.app.state.streams
    if streams.listeners >= MAX_LISTENERS:
        await websocket.send_denial_response(
            json_answer(
                document("busy", f"{MAX_LISTENERS} clients listen already", "try again later"), status=503
            )
        )
        yield None
        return
    if not await _let_in(websocket):
        yield None
        return
    stream = streams.join(run, pk)
    try:
        yield stream
    finally:
        streams.leave(pk)


async def _let_in(websocket: WebSocket) -> bool:
    """Accept a client, and make sure that it has shown the token."""
    offered = PROTOCOL in websocket.scope.get("subprotocols", ())
    await websocket.accept(subprotocol=PROTOCOL if offered else None)
    if websocket.scope[AUTHORIZED]:
        return True
    gate: Gate = websocket.app.state.gate
    try:
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            said = load_json(await websocket.receive_text())
    except (TimeoutError, ValueError, KeyError, WebSocketDisconnect):
        said = None
    token = said.get("token") if isinstance(said, dict) else None
    if isinstance(token, str) and gate.matches(token):
        return True
    await _close(websocket, REFUSED, 'the first message has to be {"token": "…"}')
    return False


async def _serve(websocket: WebSocket, work: Any) -> None:
    """Send until there is nothing more, the client goes, or it takes nothing any more."""
    sender = asyncio.ensure_future(_awaited(work))
    others = [asyncio.ensure_future(_until_gone(websocket))]
    if isinstance(work, Listener):
        others.append(asyncio.ensure_future(_until_stalled(work, websocket.app.state.settings.stall_seconds)))
    try:
        await asyncio.wait([sender, *others], return_when=asyncio.FIRST_COMPLETED)
        if len(others) > 1 and others[1].done():
            websocket.scope["extensions"][ABORT]()
        elif sender.done():
            await _finish(websocket, sender)
    finally:
        for task in (sender, *others):
            task.cancel()
        await asyncio.gather(sender, *others, return_exceptions=True)


async def _awaited(work: Any) -> None:
    await work


async def _finish(websocket: WebSocket, sender: asyncio.Future[None]) -> None:
    error = sender.exception()
    if error is None:
        await _close(websocket, DONE, "")
    elif isinstance(error, SkillsmithError):
        await _close(websocket, BUSY, error.message)
    elif not isinstance(error, WebSocketDisconnect):
        raise error


async def _until_gone(websocket: WebSocket) -> None:
    """Take what a client sends, which means nothing, until it goes."""
    with suppress(WebSocketDisconnect):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass


async def _until_stalled(listener: Listener, seconds: float) -> None:
    """Wait until a client has taken nothing for so long."""
    loop = asyncio.get_running_loop()
    while True:
        since = listener.sending_since
        if since is not None and loop.time() - since > seconds:
            return
        await asyncio.sleep(min(seconds / 4, 1.0))


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    if websocket.application_state is WebSocketState.CONNECTED:
        with suppress(WebSocketDisconnect, RuntimeError):  # it has gone meanwhile
            await websocket.close(code, reason.encode()[:120].decode("utf-8", "ignore"))


async def _deny(websocket: WebSocket, error: SkillsmithError) -> None:
    """Refuse a client before it is let in; who has not shown the token learns nothing of what there is."""
    if websocket.scope[AUTHORIZED]:
        await websocket.send_denial_response(json_answer(of_error(error), status=status_of(error)))
    elif await _let_in(websocket):
        await _close(websocket, REFUSED, error.message)


def _run(workspace: Workspace, run_id: str) -> tuple[Run, int]:
    if not _ID.fullmatch(run_id):
        raise UsageError(f"{run_id[:80]!r} is no run's id", hint="GET /api/runs lists them")
    run = workspace.runs.get(run_id)
    return run, workspace.runs.key(run.id)


def _now(workspace: Workspace) -> Place:
    """Return the place behind everything that is there."""
    tail = Tail(workspace.db)
    running = tail.running()  # first: of a run that begins in between, the first event is still to come
    return Place(tail.last_id(), 0, running)


def _run_place(after: str | None) -> Place:
    """Read where a listener was in a run; ``open`` holds something as long as its end is still to be told."""
    if after is None:
        return Place(0, 0, _ONE)
    found = _RUN_CURSOR.fullmatch(after)
    if found is None:
        raise UsageError(
            f"after={after[:80]!r} is no place in a run",
            hint="give the `cursor` or sequence number of an event",
        )
    return Place(int(found[1]), int(found[2] or 0), frozenset() if found[3] else _ONE)


def _run_cursor(place: Place) -> str:
    part = f"+{place.part}" if place.part else ""
    return f"{place.id}{part}{'' if place.open else '.end'}"
