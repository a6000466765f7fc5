"""Bring a server up on a socket of its own, and down again when it is told to."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import uvicorn

from skillsmith.errors import UsageError
from skillsmith.server.app import create_app
from skillsmith.server.job_store import JobStore
from skillsmith.server.protocol import GuardedProtocol, LiveProtocol
from skillsmith.server.settings import ServerSettings

GRACE_SECONDS: Final = 5
MAX_CONNECTIONS: Final = 1000
MAX_MESSAGE_BYTES: Final = 64 * 1024
_HEADERS: Final = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server can be asked."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Its address for a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  (read, not bound)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class Server(uvicorn.Server):
    """Says when it is ready.

    Args:
        settings: The server's.
        ready: Called once, when requests are answered.

    Raises:
        UsageError: The address cannot be had.
        StorageError: Another server works on the file.
    """

    def __init__(self, settings: ServerSettings, *, ready: Callable[[Address], None]) -> None:
        self._store = JobStore(settings.db)
        try:
            self._socket = _bound(settings)
        except UsageError:
            self._store.close()
            raise
        self.address = Address(settings.host, self._socket.getsockname()[1])
        self._ready = ready
        super().__init__(
            uvicorn.Config(
                create_app(settings, store=self._store),
                http=GuardedProtocol,
                ws=LiveProtocol,
                ws_per_message_deflate=False,
                ws_max_size=MAX_MESSAGE_BYTES,
                log_level="warning",
                access_log=False,
                server_header=False,
                headers=_HEADERS,
                limit_concurrency=MAX_CONNECTIONS,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    def serve_until_told(self) -> None:
        """Answer requests until a signal, or ``should_exit``, ends it."""
        try:
            self.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self._store.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready(self.address)


def _bound(settings: ServerSettings) -> socket.socket:
    """Return a socket on the address.

    Raises:
        UsageError: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
    except OSError as error:
        made.close()
        raise UsageError(
            f"{settings.host}:{settings.port} cannot be used: {error.strerror}",
            hint="take another --port, or 0 for any free one",
        ) from error
    return made
