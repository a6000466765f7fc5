"""Tests of long work: taken on at once, done in its own process, stopped, counted, remembered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cli_process import Cli, code_skill, fill
from plot_skill import plot
from serving import AUTHORIZATION, TOKEN, client_of, ended, finished, serving

from skillsmith.models import Node, Slot, Template
from skillsmith.server.job_store import JobStore
from skillsmith.server.launch import Server

BEGUN = {"phase": "executing", "done": 1, "detail": "n1 done"}
ORDER = {"email": "ann@example.org", "order_id": "ORD-8001"}


def _sleeper() -> Any:
    """Return a skill with a quick step before one that takes a minute."""
    slots = (Slot(variable="person", encoding="python"),)
    first = Template(text="print('hello ' + {person})\n", slots=slots)
    slow = Template(text="import time\nprint({person}, flush=True)\ntime.sleep(60)\n", slots=slots)
    nodes = (
        Node(id="n1", kind="code", language="python", template=first),
        Node(id="n2", kind="code", language="python", template=slow, after=("n1",), repeatable=True),
    )
    return replace(code_skill("sleeper"), nodes=nodes)


def _file_shower() -> Any:
    """Return a skill that prints the file it is given."""
    code = Template(text="print(open({path}).read())\n", slots=(Slot(variable="path", encoding="python"),))
    nodes = (Node(id="n1", kind="code", language="python", template=code),)
    pattern = "Show the file {path}"
    return plot(
        name="show_file", nodes=nodes, state="proven", artifacts=(), task_pattern=pattern, examples=()
    )


def _until(client: httpx.Client, url: str, key: str, wanted: Any = None) -> dict[str, Any]:
    for _ in range(400):
        job: dict[str, Any] = client.get(url).json()
        if (job[key] == wanted) if wanted is not None else job[key]:
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def test_extract_compose_optimize(client: httpx.Client) -> None:
    """Each answers 202, and its result is the document of the command of the same name."""
    run = client.get("/api/runs", params={"limit": 1}).json()["items"][0]["id"]
    body = {"run_id": run[:18], "name": "end_order", "tags": ["shop"], "step_range": "all", "force": True}
    job = finished(client, client.post("/api/skills/extract", json=body))
    assert (job["status"], job["result"]["skill"], job["result"]["tags"]) == (
        "succeeded",
        "end_order",
        ["shop"],
    )
    assert client.get(f"/api/skills/{job['skill_id']}").json()["name"] == "end_order"
    parts = {"skill_ids": ["write_greeting", "cancel_order"], "name": "both"}
    made = ended(client, client.post("/api/skills/compose", json=parts))
    assert made["skill"] == "both"
    assert made["wiring"]
    found = ended(client, client.post("/api/skills/cancel_order/optimize", json={"min_executions": 1}))
    assert (found["new_version"], found["changes"], found["proposals"]) == (None, [], [])


def test_a_job_that_cannot_be_done_says_why(client: httpx.Client) -> None:
    """The error of the library is the error of the job."""
    run = client.get("/api/runs", params={"limit": 1}).json()["items"][0]["id"]
    job = finished(client, client.post("/api/skills/extract", json={"run_id": run, "step_range": "7-9"}))
    assert job["status"] == "failed"
    assert job["error"]["code"] == "extraction"
    assert job["error"]["message"]


def test_execute_with_tools(client: httpx.Client) -> None:
    """A skill calls the tools that the server was started with."""
    result = ended(client, client.post("/api/skills/cancel_order/execute", json={"task_context": ORDER}))
    assert result["outputs"] == {"status": "cancelled"}
    again = finished(
        client,
        client.post(
            "/api/skills/cancel_order/execute", json={"task_context": {**ORDER, "order_id": "ORD-8002"}}
        ),
    )
    assert (again["status"], again["error"]["code"]) == ("failed", "skill_failed")
    assert "cannot be cancelled" in again["error"]["message"]
    assert again["result"]["run_id"] == again["run_id"]


def test_execute_binds_the_task_and_works_below_the_folder(client: httpx.Client, cli: Cli) -> None:
    """Words bind inputs; files are made in the named folder below the server's."""
    body = {"task": "Write a greeting for Zoe into greeting.txt", "work_dir": "monday/zoe"}
    result = ended(client, client.post("/api/skills/write_greeting/execute", json=body))
    assert result["artifacts"] == ["greeting.txt"]
    assert (cli.folder / "monday" / "zoe" / "greeting.txt").read_text() == "Hello Zoe"


def test_missing_and_unknown_inputs_are_told_at_once(client: httpx.Client) -> None:
    """Nothing is begun that could not go on."""
    for body in ({}, {"task_context": {"nobody": 1}}, {"resume": "00000000"}):
        response = client.post("/api/skills/write_greeting/execute", json=body)
        assert response.status_code in (400, 404), response.text
    assert client.get("/api/jobs").json()["items"] == []


@pytest.mark.parametrize("path", ["/etc/hostname", "../x.db", "~nobody-at-all/x", "link/hostname"])
def test_files_outside_the_folder_are_not_read_for_a_request(
    client: httpx.Client, cli: Cli, path: str
) -> None:
    """An input that names a file elsewhere is refused at once, whether there is such a file or not."""
    (cli.folder / "link").symlink_to("/etc")
    (cli.folder.parent / "x.db").write_text("not ours")

    fill(cli, _file_shower())
    given = client.post("/api/skills/show_file/execute", json={"task_context": {"path": path}})
    assert (given.status_code, given.json()["error"]["code"]) == (403, "refused")
    gone = client.post("/api/skills/show_file/execute", json={"task_context": {"path": f"{path}-not-there"}})
    assert gone.status_code == 403


def test_files_outside_that_the_task_names_are_not_read(client: httpx.Client, cli: Cli) -> None:
    """What the words of a task bind is fenced in like what is given by name."""
    fill(cli, _file_shower())
    body = {"task": "Show the file /etc/hostname"}
    job = finished(client, client.post("/api/skills/show_file/execute", json=body))
    assert (job["status"], job["error"]["code"], job["run_id"]) == ("failed", "refused", None)


def test_a_job_is_cancelled_and_its_execution_goes_on_later(cli: Cli) -> None:
    """Cancelling stops the code; the execution can be resumed from its checkpoint over HTTP."""
    fill(cli, _sleeper())
    with serving(cli.db, allow_run=frozenset({"sleeper"})) as server, client_of(server) as client:
        begun = client.post("/api/skills/sleeper/execute", json={"task_context": {"person": "Bob"}})
        url = begun.json()["status_url"]
        job = _until(client, url, "progress", BEGUN)
        assert job["status"] == "running"
        assert client.post(f"{url}/cancel").status_code == 202
        job = _until(client, url, "status", "cancelled")
        assert job["execution_id"]
        assert client.post(f"{url}/cancel").status_code == 409
        run = client.get(f"/api/runs/{job['run_id']}").json()
        assert run["status"] == "interrupted"
        again = client.post("/api/skills/sleeper/execute", json={"resume": job["execution_id"]})
        resumed = _until(client, again.json()["status_url"], "execution_id")
        assert resumed["execution_id"] == job["execution_id"]


def test_jobs_are_bounded(cli: Cli) -> None:
    """Only so many run and wait; the next one is a 429; a waiting one is cancelled before it begins."""
    fill(cli, _sleeper())
    body = {"task_context": {"person": "Bob"}}
    settings: dict[str, Any] = {"allow_run": frozenset({"all"}), "jobs": 1, "queued_jobs": 1}
    with serving(cli.db, **settings) as server, client_of(server) as client:
        answers = [client.post("/api/skills/sleeper/execute", json=body) for _ in range(3)]
        assert [one.status_code for one in answers] == [202, 202, 429]
        assert answers[2].json()["error"]["code"] == "too_many_jobs"
        assert answers[2].headers["retry-after"]
        waiting = answers[1].json()["status_url"]
        assert client.post(f"{waiting}/cancel").json()["status"] == "cancelled"
        assert client.get("/api/status").json()["jobs"] == {"running": 1, "queued": 0, "known": 2}


def test_jobs_lost_by_a_killed_server_are_interrupted(cli: Cli) -> None:
    """After kill -9 the next server says what became of them; the worker does not outlive its server."""
    fill(cli, _sleeper())
    line = cli.line("--db", cli.db, "serve", "--port", "0", "--json", "--allow-run", "sleeper")
    process = subprocess.Popen(
        line, cwd=cli.folder, env=cli.environment(SKILLSMITH_TOKEN=TOKEN), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with httpx.Client(base_url=json.loads(process.stdout.readline())["url"], headers=AUTHORIZATION) as client:
        begun = client.post("/api/skills/sleeper/execute", json={"task_context": {"person": "Bob"}})
        job = _until(
            client,
            begun.json()["status_url"],
            "progress",
            BEGUN,
        )
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with serving(cli.db, allow_run=frozenset({"sleeper"})) as server, client_of(server) as client:
        known = client.get(f"/api/jobs/{job['id']}").json()
        assert (known["status"], known["error"]["code"]) == ("interrupted", "interrupted")
        assert known["execution_id"] == job["execution_id"]
        _until(client, f"/api/runs/{job['run_id']}", "status", "interrupted")
        again = client.post("/api/skills/sleeper/execute", json={"resume": known["execution_id"]})
        assert _until(client, again.json()["status_url"], "execution_id")["status"] == "running"


def test_old_jobs_are_forgotten_and_torn_files_do_no_harm(cli: Cli, server: Server) -> None:
    """A store with rubbish in it still loads; nothing of a request is kept once the job is over."""
    with client_of(server) as client:
        body = {"task_context": {"person": "Bob"}, "task": "a private word"}
        job = finished(client, client.post("/api/skills/write_greeting/execute", json=body))
    folder = cli.folder / "x.db.jobs"
    text = (folder / f"{job['id']}.json").read_text()
    assert json.loads(text)["request"] == {}
    assert folder.stat().st_mode & 0o077 == 0
    (folder / "torn.json").write_text('{"id": "x", "ki')
    other = cli.folder / "y.db"
    (cli.folder / "y.db.jobs").mkdir()
    for file in folder.glob("*.json"):
        (cli.folder / "y.db.jobs" / file.name).write_bytes(file.read_bytes())
    store = JobStore(other)
    assert [one.id for one in store.load()] == [job["id"]]
    store.close()


def test_a_server_that_is_told_to_stop_stops_its_jobs(cli: Cli) -> None:
    """SIGTERM ends the server within seconds; what was at work is interrupted."""
    fill(cli, _sleeper())
    line = cli.line("--db", cli.db, "serve", "--port", "0", "--json", "--allow-run", "sleeper")
    process = subprocess.Popen(
        line, cwd=cli.folder, env=cli.environment(SKILLSMITH_TOKEN=TOKEN), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert (ready["token"], ready["host"], ready["pid"]) == (None, "127.0.0.1", process.pid)
    with httpx.Client(base_url=ready["url"], headers=AUTHORIZATION) as client:
        begun = client.post("/api/skills/sleeper/execute", json={"task_context": {"person": "Bob"}})
        job = _until(
            client,
            begun.json()["status_url"],
            "progress",
            BEGUN,
        )
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert "Traceback" not in stderr
    kept = json.loads((cli.folder / "x.db.jobs" / f"{job['id']}.json").read_text())
    assert kept["status"] == "interrupted"
    assert cli.json("runs")["items"][0]["status"] == "interrupted"
