"""The protocols of uvicorn, with an end to what a client could otherwise hold open for as long as it likes.

uvicorn waits for ever for the rest of a request's head, and keeps as much of it as arrives; a WebSocket's
orderly close waits until everything written before has been taken, which a stalled client never does.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

ABORT: Final = "skillsmith.abort"
"""In a connection's extensions: drops it at once."""

MAX_HEAD_BYTES: Final = 64 * 1024


class LiveProtocol(WebSocketsSansIOProtocol):
    """Tells the application how to drop its connection."""

    def handle_connect(self, event: Request) -> None:
        """Begin a connection."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)  # there is none when the handshake failed
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort


class GuardedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # whichever parser is installed
    """Drops a connection whose next request has no whole head in time, or too long a one."""

    head_seconds: ClassVar[float] = 15.0
    """Within which a request's line and headers have to be there."""

    _deadline: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head becomes too long."""
        super().data_received(data)
        self._received = self._received + len(data) if self._waiting else 0
        if self._received > MAX_HEAD_BYTES:
            self._drop(b"431 Request Header Fields Too Large")

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._wait()

    def handle_websocket_upgrade(self, *head: Any) -> None:
        """Hand the connection over; its own rules hold from now on."""
        self._forget()
        super().handle_websocket_upgrade(*head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._forget()
        super().connection_lost(exc)

    @property
    def _waiting(self) -> bool:
        return self._deadline is not None and (self.cycle is None or self.cycle.response_complete)

    def _wait(self) -> None:
        self._forget()
        self._deadline = self.loop.call_later(self.head_seconds, self._too_slow)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if self._waiting:
            self._drop(b"408 Request Timeout")

    def _drop(self, status: bytes) -> None:
        self._forget()
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()
