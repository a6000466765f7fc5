"""The gate that every request passes before anything else sees it: host, origin, token, size and time.

A web page that a user happens to have open can send requests to this machine. It cannot know the token; it
is refused by its origin anyway; and a page whose name was made to point here (DNS rebinding) is refused by
the host it asks for. The token is never taken from the address: addresses end up in logs and histories.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skillsmith.events import dump_json
from skillsmith.server.faults import document
from skillsmith.server.settings import ServerSettings

PROTOCOL: Final = "skillsmith.v1"
"""The WebSocket subprotocol; a browser offers it together with ``bearer.TOKEN``."""

BEARER_PROTOCOL: Final = "bearer."
AUTHORIZED: Final = "skillsmith.authorized"
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OPEN: Final = ("/docs", "/openapi.json")
"""What says how the API is used, and holds nothing of the user's: a browser opens it without a token."""


class Gate:
    """Lets through who may ask.

    Args:
        app: What is behind the gate.
        settings: The server's.
    """

    def __init__(self, app: ASGIApp, *, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._token = settings.token.encode()
        self._hosts = _LOOPBACK_NAMES | {name.lower() for name in settings.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _Headers(scope["headers"])
        refusal = self._refusal(headers)
        if refusal is None and scope["type"] == "websocket":
            refusal = self._listen(scope, headers)
        elif refusal is None and not _is_open(scope["path"]) and not self._knows(headers):
            refusal = _WHO
        if refusal is not None:
            await _refuse(scope, send, *refusal)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._with_body(scope, headers, receive, send)

    def matches(self, token: str) -> bool:
        """Tell whether a token is the right one, in the same time for every wrong one."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self._token)

    def _refusal(self, headers: _Headers) -> _Refusal | None:
        hosts, origins = headers.all(b"host"), headers.all(b"origin")
        host = hosts[0] if len(hosts) == 1 else ""
        if not self._is_ours(_name(f"//{host}")):
            return 403, "foreign_host", f"this server does not answer as {host[:80]!r}", _HOST_HINT
        if any(not self._same(origin, host) for origin in origins):
            return 403, "foreign_origin", f"{origins[0][:80]!r} may not use this server", ""
        return None

    def _is_ours(self, name: str) -> bool:
        if name in self._hosts:
            return True
        if not self._settings.remote:
            return False
        try:  # rebinding needs a name: who asks for an IP address means this machine
            ip_address(name)
        except ValueError:
            return False
        return True

    def _same(self, origin: str, host: str) -> bool:
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()

    def _knows(self, headers: _Headers) -> bool:
        given = headers.all(b"authorization")
        scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
        return scheme.lower() == "bearer" and self.matches(token.strip())

    def _listen(self, scope: Scope, headers: _Headers) -> _Refusal | None:
        """Note whether a listener has shown the token; who shows a wrong one is refused at once."""
        offered = [name for name in scope.get("subprotocols", ()) if name.startswith(BEARER_PROTOCOL)]
        if headers.all(b"authorization"):
            known = self._knows(headers)
        elif offered:
            known = any(self.matches(name.removeprefix(BEARER_PROTOCOL)) for name in offered)
        else:
            scope[AUTHORIZED] = False  # the first message may bring it
            return None
        scope[AUTHORIZED] = known
        return None if known else _WHO

    async def _with_body(self, scope: Scope, headers: _Headers, receive: Receive, send: Send) -> None:
        """Read the body within its limits, then hand it on whole."""
        most = self._settings.max_body
        too_large = (413, "too_large", f"a request may have {most:,} bytes", "send less")
        stated = headers.all(b"content-length")
        if stated and stated[0].isdecimal() and int(stated[0]) > most:
            await _refuse(scope, send, *too_large)
            return
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                body = await _body(receive, most)
        except TimeoutError:
            await _refuse(scope, send, 408, "slow_request", "the request did not arrive in time", "")
            return
        if body is None:
            await _refuse(scope, send, *too_large)
            return
        await self._app(scope, _replay(body, receive), send)


_Refusal = tuple[int, str, str, str]
_HOST_HINT: Final = "ask for the address it printed, or name it with --allow-host"
_WHO: Final[_Refusal] = (
    401, "unauthorized", "the token is missing or wrong",
    "send the header `Authorization: Bearer TOKEN` with the token that `skillsmith serve` printed",
)  # fmt: skip


class _Headers:
    """The headers of a request, by lower-case name."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = list(pairs)

    def all(self, name: bytes) -> list[str]:
        return [value.decode("latin-1") for key, value in self._pairs if key == name]


def _is_open(path: str) -> bool:
    return path == "/" or any(path == one or path.startswith(f"{one}/") for one in _OPEN)


def _name(url: str) -> str:
    """Return the host's name in an address, without its port; empty when it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


async def _body(receive: Receive, most: int) -> bytes | None:
    """Return the body, or None when it is too large or will not come."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    first = True

    async def replay() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


async def _refuse(scope: Scope, send: Send, status: int, code: str, message: str, hint: str) -> None:
    prefix = "websocket.http" if scope["type"] == "websocket" else "http"
    headers: list[tuple[bytes, Any]] = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if status == 401:  # noqa: PLR2004  (unauthorized)
        headers.append((b"www-authenticate", b"Bearer"))
    body = dump_json(document(code, message, hint)).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": f"{prefix}.response.start", "status": status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})
