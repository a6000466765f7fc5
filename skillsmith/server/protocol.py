"""The WebSocket protocol of uvicorn, with a way to drop a client that takes nothing any more.

An orderly close waits until everything written before has been taken, which a stalled client never does: its
connection would stay for as long as it likes.
"""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

ABORT: Final = "skillsmith.abort"
"""In a connection's extensions: drops it at once."""


class LiveProtocol(WebSocketsSansIOProtocol):
    """Tells the application how to drop its connection."""

    def handle_connect(self, event: Request) -> None:
        """Begin a connection."""
        super().handle_connect(event)
        scope = getattr(self, "scope", None)  # there is none when the handshake failed
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort
