"""The browser as a web page, behind a gate: who has not opened the printed address gets nothing.

The package that serves the page asks nobody who they are, and whoever reaches it can press keys. So the
address that is printed holds a secret, once; it becomes a cookie that other sites' pages cannot send, and
requests with another host or origin than ours are refused.
"""

from __future__ import annotations

import hmac
import secrets
import shlex
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from textual_serve.server import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_COOKIE = "skillsmith"
_PARAMETER = "token"


class GuardedServer(Server):
    """Serves the browser to whoever has the secret, on this machine.

    Args:
        arguments: The command line of one browser.
        host: The loopback address.
        port: Of it.
        ready: Is told the address to open.
    """

    def __init__(
        self, arguments: Sequence[str], *, host: str, port: int, ready: Callable[[str], None]
    ) -> None:
        super().__init__(shlex.join(arguments), host=host, port=port, title="skillsmith")
        self._token = secrets.token_urlsafe(24)
        self._ready = ready

    @property
    def address(self) -> str:
        """What is opened first."""
        return f"{self.public_url}/?{_PARAMETER}={self._token}"

    async def on_startup(self, app: web.Application) -> None:  # noqa: ARG002  (the base's signature)
        """Tell the address instead of a banner."""
        self._ready(self.address)

    def initialize_logging(self) -> None:
        """Leave the log alone: each line of the page's traffic on the terminal helps nobody."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.host != f"{self.host}:{self.port}":
            raise web.HTTPForbidden(text="another host was asked for than this server has")
        if request.headers.get("Origin", self.public_url) != self.public_url:
            raise web.HTTPForbidden(text="pages of other sites may not come in")
        if request.path == "/" and self._is_secret(request.query.get(_PARAMETER)):
            entered = web.HTTPFound("/")
            entered.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict")
            raise entered
        if not self._is_secret(request.cookies.get(_COOKIE)):
            raise web.HTTPForbidden(text="open the address that `skillsmith tui --web` printed")
        return await handler(request)

    def _is_secret(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self._token.encode())
