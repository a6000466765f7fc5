"""A real server on a real port, and clients of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from skillsmith.server.launch import Server
from skillsmith.server.settings import ServerSettings

TOKEN = "a-token-for-tests-0123456789"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}


@contextmanager
def serving(db: Path, **settings: Any) -> Iterator[Server]:
    """Serve a file as long as the block runs."""
    ready = threading.Event()
    chosen: dict[str, Any] = {"token": TOKEN, "port": 0, "readers": 2, "folder": db.parent} | settings
    server = Server(ServerSettings(db=db, **chosen), ready=lambda _: ready.set())
    thread = threading.Thread(target=server.serve_until_told)
    thread.start()
    try:
        assert ready.wait(20)
        yield server
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def client_of(server: Server, **more: Any) -> Iterator[httpx.Client]:
    """Return an HTTP client that shows the token."""
    options = {"headers": AUTHORIZATION, "timeout": 30} | more
    with httpx.Client(base_url=server.address.url, **options) as client:
        yield client


def finished(client: httpx.Client, accepted: httpx.Response) -> dict[str, Any]:
    """Wait for a job and return it as it ended."""
    assert accepted.status_code == 202, accepted.text
    url = accepted.json()["status_url"]
    assert accepted.headers["location"] == url
    for _ in range(600):
        job: dict[str, Any] = client.get(url).json()
        if job["status"] not in ("queued", "running"):
            return job
        threading.Event().wait(0.05)
    raise AssertionError(job)


def ended(client: httpx.Client, accepted: httpx.Response) -> Any:
    """Wait for a job that must succeed and return its result."""
    job = finished(client, accepted)
    assert job["status"] == "succeeded", job
    return job["result"]
