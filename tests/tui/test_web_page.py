"""Tests of the gate before the browser's web page."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("textual_serve", reason="the web page is an extra: skillsmith-cli[web]")

from aiohttp.test_utils import TestClient, TestServer

from skillsmith.tui.web import GuardedServer


async def _asked(path: str, headers: Mapping[str, str], *, enter: bool) -> tuple[int, str]:
    server = GuardedServer([sys.executable, "-c", ""], host="127.0.0.1", port=0, ready=str)
    application: Any = await server._make_app()
    async with TestClient(TestServer(application, host="127.0.0.1")) as client:
        server.port = client.port or 0
        server.public_url = f"http://127.0.0.1:{server.port}"
        if enter:
            entered = await client.get(server.address.removeprefix(server.public_url))
            assert entered.status == 200
            assert "token" not in str(entered.url)
        answer = await client.get(path, headers=dict(headers))
        return answer.status, await answer.text()


def asked(
    path: str = "/", headers: Mapping[str, str] | None = None, *, enter: bool = True
) -> tuple[int, str]:
    """Ask for something, after the printed address was opened or without that."""
    return asyncio.run(_asked(path, headers or {}, enter=enter))


def test_whoever_opened_the_printed_address_is_let_in() -> None:
    """The secret becomes a cookie and leaves the address."""
    status, text = asked()
    assert (status, "textual" in text) == (200, True)


@pytest.mark.parametrize("path", ["/", "/ws", "/?token=wrong", "/static/js/textual.js"])
def test_without_the_secret_nothing_is_served(path: str) -> None:
    """Neither the page nor the line over which keys are pressed."""
    assert asked(path, enter=False)[0] == 403


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example:80"}])
def test_other_sites_are_refused_even_with_the_cookie(headers: dict[str, str]) -> None:
    """A page of another site, or a name that was made to point here, gets nothing."""
    assert asked("/ws", headers)[0] == 403
