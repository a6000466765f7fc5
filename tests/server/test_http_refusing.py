"""Tests of who and what is refused, with bytes as an attacker would send them."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_process import Cli
from serving import AUTHORIZATION, TOKEN, client_of, finished, serving

from skillsmith.errors import UsageError
from skillsmith.models import SkillState
from skillsmith.server.launch import Server
from skillsmith.server.protocol import GuardedProtocol
from skillsmith.server.settings import checked_token
from skillsmith.workspace import open_workspace


def _error(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body["error"]) == {"code", "message", "hint"}
    return response.status_code, body["error"]["code"]


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"bearer\t{TOKEN}"]
)
def test_a_wrong_token_is_refused(client: httpx.Client, given: str) -> None:
    """Every path under /api wants the token, also one that is not there, and says how to send it."""
    for path in ("/api/runs", "/api/nothing", "/api"):
        response = client.get(path, headers={"Authorization": given})
        assert _error(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


def test_a_token_in_the_address_does_not_count(client: httpx.Client) -> None:
    """The token is taken from the header only."""
    bare = client.get(
        "/api/runs", params={"token": TOKEN, "access_token": TOKEN}, headers={"Authorization": ""}
    )
    assert bare.status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_a_foreign_origin_is_refused(client: httpx.Client, origin: str) -> None:
    """A page from elsewhere may not use the server, token or not; its own pages may."""
    assert _error(client.get("/api/runs", headers={"Origin": origin})) == (403, "foreign_origin")
    own = str(client.base_url).rstrip("/")
    assert client.get("/api/runs", headers={"Origin": own}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::1", "a@localhost@b"]
)
def test_a_foreign_host_is_refused(client: httpx.Client, host: str) -> None:
    """A name that was made to point here is not answered, not even with the documentation."""
    for path in ("/api/runs", "/docs"):
        assert _error(client.get(path, headers={"Host": host})) == (403, "foreign_host")
    assert client.get("/api/runs", headers={"Host": "localhost:1234"}).status_code == 200


def test_allowed_names_and_addresses(cli: Cli) -> None:
    """With remote use allowed, any address and the named hosts are answered; other names still are not."""
    with serving(cli.db, remote=True, hosts=frozenset({"Box.local"})) as server, client_of(server) as client:
        for host in ("10.0.0.1:80", "box.local", "[fe80::1]:80"):
            assert client.get("/api/status", headers={"Host": host}).status_code == 200
        assert client.get("/api/status", headers={"Host": "evil.example"}).status_code == 403


def test_large_bodies_are_refused(cli: Cli) -> None:
    """By what they say they are, and by what they turn out to be."""
    with serving(cli.db, max_body=1000) as server, client_of(server) as client:
        body = json.dumps({"task_description": "x" * 2000}).encode()
        typed = {"Content-Type": "application/json"}
        assert _error(client.post("/api/skills/match", content=body, headers=typed)) == (413, "too_large")
        parts = (body[place : place + 100] for place in range(0, len(body), 100))
        assert _error(client.post("/api/skills/match", content=parts, headers=typed)) == (413, "too_large")
        with socket.create_connection((server.address.host, server.address.port)) as raw:
            raw.sendall(_request("POST /api/skills/match", "Content-Length: 999999999999"))
            assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_never_comes_is_not_waited_for(cli: Cli) -> None:
    """After its time a request is answered 408, and others are answered meanwhile."""
    with (
        serving(cli.db, body_seconds=0.3) as server,
        client_of(server) as client,
        socket.create_connection((server.address.host, server.address.port)) as raw,
    ):
        raw.sendall(_request("POST /api/skills/match", "Content-Length: 10") + b"{")
        assert client.get("/api/status").status_code == 200
        assert raw.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "begun", [b"", b"GET /api/st", b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX: "]
)
def test_a_head_that_never_ends_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    """A request whose line and headers trickle in is answered 408 and dropped, also after an answered one."""
    monkeypatch.setattr(GuardedProtocol, "head_seconds", 0.3)
    for earlier in (False, True):
        with socket.create_connection((server.address.host, server.address.port), timeout=5) as raw:
            if earlier:
                raw.sendall(_request("GET /api/status"))
                assert _answer(raw).startswith(b"HTTP/1.1 200")
            raw.sendall(begun)
            assert raw.recv(100).startswith(b"HTTP/1.1 408")
            assert raw.recv(100) == b""


def test_an_endless_head_is_not_kept(server: Server) -> None:
    """A head that grows beyond 64 KiB ends the connection, long before its time is over."""
    with socket.create_connection((server.address.host, server.address.port), timeout=5) as raw:
        raw.sendall(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX: ")
        with contextlib.suppress(ConnectionError):  # once the server has closed it
            for _ in range(100):
                raw.sendall(b"x" * 4096)
        with contextlib.suppress(ConnectionError):  # what was still under way may reset it
            assert raw.recv(100).startswith(b"HTTP/1.1 4")
        with contextlib.suppress(ConnectionError):
            assert raw.recv(100) == b""


def _answer(raw: socket.socket) -> bytes:
    """Return the head of one answer, all of which was read: it may come in pieces."""
    said = b""
    while (head := said.partition(b"\r\n\r\n"))[1] == b"" or len(head[2]) < _length(head[0]):
        piece = raw.recv(10_000)
        assert piece, said
        said += piece
    return head[0]


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].split()[0])


def _request(line: str, *headers: str) -> bytes:
    all_headers = ["Host: localhost", f"Authorization: Bearer {TOKEN}", *headers]
    return "\r\n".join([f"{line} HTTP/1.1", *all_headers, "", ""]).encode()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "/api/runs/../../etc/passwd", None),
        ("get", "/api/runs/%2e%2e%2f%2e%2e%2fetc", None),
        ("get", "/api/runs/a' OR 1=1--", None),
        ("get", "/api/runs/00000000/steps/-1/interactions", None),
        ("get", "/api/runs?limit=0", None),
        ("get", "/api/runs?limit=501", None),
        ("get", "/api/runs?after=x", None),
        ("get", "/api/runs?outcome=good", None),
        ("get", "/api/skills/UPPER", None),
        ("get", "/api/skills/a%00b", None),
        ("get", "/api/skills?sort=color", None),
        ("get", "/api/jobs/..%2f..%2fx", None),
        ("post", "/api/skills/match", {"task_description": " "}),
        ("post", "/api/skills/match", {"task_description": "x", "top_k": True}),
        ("post", "/api/skills/match", {"task_description": "x", "unknown": 1}),
        ("post", "/api/skills/match", []),
        ("post", "/api/skills/extract", {}),
        ("post", "/api/skills/extract", {"run_ids": []}),
        ("post", "/api/skills/compose", {"skill_ids": ["../x"], "name": "y"}),
        ("post", "/api/skills/cancel_order/rollback", {"version": 0}),
    ],
)
def test_what_does_not_fit_is_refused(client: httpx.Client, method: str, path: str, body: Any) -> None:
    """What cannot be meant is a 404 or 422 in the shape of all errors."""
    response = client.request(method, path, json=body)
    assert _error(response)[0] in (404, 422), response.text


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"task_description": NaN}', b"1e999"]
)
def test_what_is_no_json_is_refused(client: httpx.Client, content: bytes) -> None:
    """A broken body never is the server's fault."""
    response = client.post("/api/skills/match", content=content, headers={"Content-Type": "application/json"})
    assert _error(response)[0] in (400, 422)


def test_other_methods_are_named(client: httpx.Client) -> None:
    """A method that is not there is a 405 that lists those that are."""
    response = client.put("/api/skills/cancel_order")
    assert _error(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == "DELETE, GET"
    assert client.put("/api/skills/match").headers["allow"] == "POST"


def test_skills_run_only_when_they_are_allowed(cli: Cli) -> None:
    """What the server was not started for is refused before anything begins, whatever would run it."""
    run = cli.json("runs")["items"][0]["id"]
    with serving(cli.db, allow_run=frozenset({"cancel_order"})) as server, client_of(server) as client:
        for path, body in {
            "write_greeting/execute": {"task_context": {"person": "Bob"}},
            "write_greeting/optimize": {"apply_optimizations": True},
            "extract": {"run_id": run, "replay": True},
            "compose": {"skill_ids": ["write_greeting"], "name": "both", "replay": True},
        }.items():
            response = client.post(f"/api/skills/{path}", json=body)
            assert _error(response) == (403, "refused"), path
            assert "--allow-run" in response.json()["error"]["hint"]
        assert client.get("/api/jobs").json()["items"] == []


def test_skills_that_call_others_need_all_of_them(cli: Cli) -> None:
    """A composed skill runs only when its parts may."""
    made = cli.inside("compose", "--skills", "write_greeting,cancel_order", "--name", "both", "--no-replay")
    assert made.code == 0, made
    with serving(cli.db, allow_run=frozenset({"both"})) as server, client_of(server) as client:
        refused = client.post("/api/skills/both/execute", json={})
        assert _error(refused) == (403, "refused")
        assert "write_greeting" in refused.json()["error"]["message"] or "cancel" in refused.text


@pytest.mark.parametrize("state", ["quarantined", "retired"])
def test_skills_that_may_not_run_are_refused_at_once(
    client: httpx.Client, cli: Cli, state: SkillState
) -> None:
    """The allow-list is no way around trust."""
    with open_workspace(cli.db) as workspace:
        workspace.skills.set_state("write_greeting", state)
    response = client.post("/api/skills/write_greeting/execute", json={"task_context": {"person": "Bob"}})
    assert response.status_code == 403
    assert client.get("/api/jobs").json()["items"] == []


@pytest.mark.parametrize(
    "folder", ["/tmp", "..", "a/../..", ".", "link", "link/deeper", "a\0b", "~/../../x/.."]
)
def test_work_folders_outside_are_refused(client: httpx.Client, cli: Cli, folder: str) -> None:
    """Absolute paths, ways up and links lead nowhere."""
    (cli.folder / "link").symlink_to("/tmp")
    body = {"task_context": {"person": "Bob"}, "work_dir": folder}
    response = client.post("/api/skills/write_greeting/execute", json=body)
    assert _error(response)[0] in (400, 403)
    assert client.get("/api/jobs").json()["items"] == []


def test_a_secret_in_what_a_skill_did_is_not_shown(client: httpx.Client) -> None:
    """Documents of jobs go through the redaction that the file goes through."""
    secret = "sk-" + "abcdefghijklmnopqrstuvwx12345678" + "ABCDEFGHIJKLMNOP"
    job = finished(
        client, client.post("/api/skills/write_greeting/execute", json={"task_context": {"person": secret}})
    )
    assert secret not in json.dumps(job)
    assert secret not in client.get("/api/skills/write_greeting/executions").text


def test_tokens_that_cannot_be_carried_are_refused() -> None:
    """A user's token must fit a header and a subprotocol, and be long enough."""
    assert checked_token(f" {TOKEN}\n", source="x") == TOKEN
    for bad in ("short", "with space " * 4, "ü" * 30, "", "slash/" * 10):
        with pytest.raises(UsageError, match="cannot be used"):
            checked_token(bad, source="x")


def test_two_servers_on_one_file_are_refused(server: Server, cli: Cli, tmp_path: Path) -> None:
    """The second one says so instead of taking over the first one's jobs."""
    done = cli("serve", "--port", "0", SKILLSMITH_TOKEN=TOKEN)
    assert done.code == 1
    assert "another server works on" in done.stderr
    assert "Traceback" not in done.stderr


def test_answers_are_not_kept_by_anybody(client: httpx.Client) -> None:
    """Browsers neither guess types nor pass addresses on."""
    headers = client.get("/api/runs").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers
    assert AUTHORIZATION["Authorization"] not in str(headers)
