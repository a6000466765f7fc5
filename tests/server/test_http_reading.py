"""Tests of every endpoint that reads, through a real HTTP client and a real server."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli_process import Cli, fill, tool_skill
from pydantic import BaseModel
from serving import ended

from skillsmith.models import Event, FileSnapshot, SkillArtifact
from skillsmith.server.schemas.analytics import DashboardAnswer, TopAnswer
from skillsmith.server.schemas.common import Page
from skillsmith.server.schemas.jobs import JobAnswer, StatusAnswer
from skillsmith.server.schemas.runs import Activity, EventAnswer, RunAnswer, StepArtifact
from skillsmith.server.schemas.skills import (
    AnalysisAnswer,
    ExecutionAnswer,
    MatchesAnswer,
    PerformanceAnswer,
    SkillAnswer,
    SkillArtifactAnswer,
    SkillSummaryAnswer,
    VersionAnswer,
)
from skillsmith.workspace import open_workspace

TASK = "I am eve1@example.org. Please cancel order ORD-8001: ordered by mistake."


def _get(client: httpx.Client, path: str, shape: type[BaseModel], **params: Any) -> Any:
    response = client.get(path, params=params)
    assert response.status_code == 200, response.text
    shape.model_validate(response.json())
    return response.json()


def test_runs_are_listed_page_by_page(client: httpx.Client) -> None:
    """Pages joined by their cursors hold every run once, newest first, and filters are obeyed."""
    whole = _get(client, "/api/runs", Page[RunAnswer])
    seen, after = [], None
    while True:
        page = _get(client, "/api/runs", Page[RunAnswer], limit=2, **({"after": after} if after else {}))
        seen += [run["id"] for run in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [run["id"] for run in whole["items"]]
    assert len(seen) == 5
    found = _get(client, "/api/runs", Page[RunAnswer], search="ORD-7003")
    assert [run["task"] for run in found["items"]] == [
        "I am eve3@example.org. Please cancel order ORD-7003: ordered by mistake."
    ]
    assert not _get(client, "/api/runs", Page[RunAnswer], outcome="failure")["items"]


def test_one_run_is_found_by_a_beginning_of_its_id(client: httpx.Client) -> None:
    """A run is returned by its id; what is not there is a 404 with a hint."""
    run = _get(client, "/api/runs", Page[RunAnswer], limit=1)["items"][0]
    assert _get(client, f"/api/runs/{run['id']}", RunAnswer) == run
    missing = client.get("/api/runs/00000000")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("step", ["1", "step_1"])
def test_interactions_of_a_step(client: httpx.Client, step: str) -> None:
    """A step's events come in order, in pages, and by kind."""
    run = _get(client, "/api/runs", Page[RunAnswer], limit=1)["items"][0]["id"]
    path = f"/api/runs/{run}/steps/{step}/interactions"
    first = _get(client, path, Page[EventAnswer], limit=3)
    rest = _get(client, path, Page[EventAnswer], after=first["next"])
    seqs = [event["seq"] for event in first["items"] + rest["items"]]
    assert seqs == sorted(set(seqs))
    calls = _get(client, path, Page[EventAnswer], kind="tool_call")
    assert [one["tool"]["name"] for one in calls["items"]] == ["find_user", "list_orders", "cancel_order"]
    assert not _get(client, f"/api/runs/{run}/steps/99/interactions", Page[EventAnswer])["items"]


def test_artifacts_of_a_step_with_their_history(client: httpx.Client, cli: Cli) -> None:
    """A file of two steps is listed in both with all its versions, and said to be made in the first."""
    with open_workspace(cli.db) as workspace:
        run = workspace.runs.create("write")
        key = workspace.runs.key(run.id)
        workspace.log.append(key, [
            Event(kind="artifact", step=1, agent="a", content="plot.py", data={"version": 1}),
            Event(kind="message", step=2, agent="b", content="mend it"),
        ])  # fmt: skip
        workspace.files.record(key, FileSnapshot(path="plot.py", content=b"1", agent="a", seq=1))
        workspace.files.record(key, FileSnapshot(path="plot.py", content=b"2", agent="b", seq=2))
        workspace.files.record(key, FileSnapshot(path="other.txt", content=b"3", agent="b", seq=2))
    one = _get(client, f"/api/runs/{run.id}/steps/1/artifacts", Page[StepArtifact])["items"]
    two = _get(client, f"/api/runs/{run.id}/steps/2/artifacts", Page[StepArtifact])["items"]
    assert [(file["path"], file["created_in_step"]) for file in one] == [("plot.py", True)]
    assert [(file["path"], file["created_in_step"]) for file in two] == [
        ("other.txt", True),
        ("plot.py", False),
    ]
    assert [(v["version"], v["step"], v["agent"]) for v in two[1]["versions"]] == [(1, 1, "a"), (2, 2, "b")]
    page = _get(client, f"/api/runs/{run.id}/steps/2/artifacts", Page[StepArtifact], limit=1)
    assert page["next"] == "other.txt"


def test_timeline_tells_who_was_at_work(client: httpx.Client) -> None:
    """Activities follow one another without gap or overlap, also over pages."""
    run = _get(client, "/api/runs", Page[RunAnswer], limit=1)["items"][0]
    path = f"/api/runs/{run['id']}/agent-timeline"
    whole = _get(client, path, Page[Activity])["items"]
    first = _get(client, path, Page[Activity], limit=2)
    rest = _get(client, path, Page[Activity], after=first["next"])
    assert first["items"] + rest["items"] == whole
    assert sum(one["events"] for one in whole) == run["events"]
    assert all(one["first_seq"] == before["last_seq"] + 1 for before, one in pairwise(whole))


def test_skills_are_listed_searched_and_sorted(client: httpx.Client) -> None:
    """Tags, words, state and pages narrow the list."""
    names = [one["name"] for one in _get(client, "/api/skills", Page[SkillSummaryAnswer])["items"]]
    assert names == ["cancel_order", "write_greeting"]
    for query in ({"tags": "orders"}, {"search": "cancel"}, {"limit": 1}):
        page = _get(client, "/api/skills", Page[SkillSummaryAnswer], **query)
        assert [one["name"] for one in page["items"]] == ["cancel_order"]
    assert page["next"] == "cancel_order"
    rest = _get(client, "/api/skills", Page[SkillSummaryAnswer], after="cancel_order")
    assert [one["name"] for one in rest["items"]] == ["write_greeting"]
    assert not _get(client, "/api/skills", Page[SkillSummaryAnswer], state="retired")["items"]


def test_a_skill_by_name_version_and_id(client: httpx.Client) -> None:
    """All three references mean the same version; a misspelt name gets a suggestion."""
    skill = _get(client, "/api/skills/cancel_order", SkillAnswer)
    assert skill == _get(client, "/api/skills/cancel_order@1", SkillAnswer)
    assert skill == _get(client, f"/api/skills/{skill['id']}", SkillAnswer)
    missing = client.get("/api/skills/cancel_ordr")
    assert missing.status_code == 404
    assert "cancel_order" in missing.json()["error"]["hint"]


def test_files_of_a_skill(client: httpx.Client, cli: Cli) -> None:
    """Text is shown, other bytes are described."""
    text = SkillArtifact(name="a.py", type="code", content=b"print(1)\n", language="python")
    other = SkillArtifact(name="b.bin", type="data", content=b"\x00\xff")
    fill(cli, _with(artifacts=(text, other), name="with_files"))
    found = _get(client, "/api/skills/with_files/artifacts", Page[SkillArtifactAnswer])["items"]
    assert [(one["name"], one["size"], one["content"]) for one in found] == [
        ("a.py", 9, "print(1)\n"), ("b.bin", 2, None),
    ]  # fmt: skip


def _with(**fields: Any) -> Any:
    from dataclasses import replace  # noqa: PLC0415  (only here)

    return replace(tool_skill(), **fields)


def test_match_finds_binds_and_abstains(client: httpx.Client) -> None:
    """A task gets its skill with the inputs its words bind; for another the answer is none, with a reason."""
    response = client.post("/api/skills/match", json={"task_description": TASK, "min_similarity": 0.3})
    found = response.json()
    MatchesAnswer.model_validate(found)
    assert found["matches"][0]["skill"] == "cancel_order"
    assert found["matches"][0]["inputs"]["order_id"] == "ORD-8001"
    none = client.post(
        "/api/skills/match", json={"task_description": "bake bread", "min_similarity": 0.9}
    ).json()
    assert none["abstained"]
    assert none["reason"]
    tagged = {"task_description": TASK, "min_similarity": 0.0, "required_tags": ["nothing"]}
    assert client.post("/api/skills/match", json=tagged).json()["matches"] == []


def test_figures_of_a_skill_that_was_used(client: httpx.Client) -> None:
    """Executions, performance, analysis, dashboard and ranking tell of the same two executions."""
    for person in ("Bob", "Cid"):
        ended(
            client,
            client.post("/api/skills/write_greeting/execute", json={"task_context": {"person": person}}),
        )
    page = _get(client, "/api/skills/write_greeting/executions", Page[ExecutionAnswer], limit=1)
    rest = _get(client, "/api/skills/write_greeting/executions", Page[ExecutionAnswer], after=page["next"])
    both = page["items"] + rest["items"]
    assert [one["inputs"]["person"] for one in both] == ["Cid", "Bob"]
    path = f"/api/skills/write_greeting/executions/{both[0]['id']}"
    assert _get(client, path, ExecutionAnswer) == both[0]
    assert client.get(f"/api/skills/cancel_order/executions/{both[0]['id']}").status_code == 404
    figures = _get(client, "/api/skills/write_greeting/performance", PerformanceAnswer)
    assert (figures["executions"], figures["success_rate"], figures["avg_cost"]) == (2, 1.0, 0.0)
    assert figures["avg_time"] == figures["avg_duration_seconds"] > 0
    analysis = client.post("/api/skills/write_greeting/analyze").json()
    AnalysisAnswer.model_validate(analysis)
    assert (analysis["executions"], analysis["enough"]) == (2, False)
    top = _get(client, "/api/analytics/skills/top", TopAnswer, metric="executions")
    assert [(one["skill"], one["metrics"]["executions"]) for one in top["items"]] == [("write_greeting", 2)]
    board = _get(client, "/api/analytics/skills/write_greeting/dashboard", DashboardAnswer)
    assert board["totals"]["executions"] == 2
    jobs = _get(client, "/api/jobs", Page[JobAnswer], kind="execute", status="succeeded", limit=1)
    older = _get(client, "/api/jobs", Page[JobAnswer], after=jobs["next"])
    assert [one["result"]["success"] for one in jobs["items"] + older["items"]] == [True, True]


def test_a_deleted_skill_keeps_its_history(client: httpx.Client) -> None:
    """Deleting says what went; the executions stay, the skill is not found any more."""
    ended(client, client.post("/api/skills/write_greeting/execute", json={"task_context": {"person": "Bob"}}))
    gone = client.delete("/api/skills/write_greeting").json()
    assert gone == {"success": True, "deleted": ["write_greeting@1"]}
    assert client.get("/api/skills/write_greeting").status_code == 404
    assert client.delete("/api/skills/write_greeting").status_code == 404
    assert len(_get(client, "/api/skills/write_greeting/executions", Page[ExecutionAnswer])["items"]) == 1
    assert _get(client, "/api/skills/write_greeting/performance", PerformanceAnswer)["executions"] == 1


def test_versions_and_the_way_back(client: httpx.Client, cli: Cli) -> None:
    """The newest version comes first, and another one becomes current with its reason in the history."""
    fill(cli, _with(description="Cancel an order, better."))
    path = "/api/skills/cancel_order/versions"
    entries = _get(client, path, Page[VersionAnswer])["items"]
    assert [(one["version"], one["current"]) for one in entries] == [(2, True), (1, False)]
    assert _get(client, path, Page[VersionAnswer], limit=1)["next"] == 2
    assert [one["version"] for one in _get(client, path, Page[VersionAnswer], after=2)["items"]] == [1]
    back = client.post("/api/skills/cancel_order/rollback", json={"version": 1, "reason": "it was fine"})
    assert (back.json()["success"], back.json()["version"], back.json()["from_version"]) == (True, 1, 2)
    assert back.json()["skill_id"] == client.get("/api/skills/cancel_order").json()["id"]
    history = cli.json("versions", "cancel_order")["history"]
    assert (history[0]["action"], history[0]["reason"]) == ("rolled_back", "it was fine")
    assert client.post("/api/skills/cancel_order/rollback", json={"version": 9}).status_code == 404


def test_status_and_docs(client: httpx.Client, cli: Cli) -> None:
    """The server says what it is; its documentation needs nothing but itself."""
    status = _get(client, "/api/status", StatusAnswer)
    assert (status["skills"], status["allow_run"]) == (2, ["all"])
    page = client.get("/", follow_redirects=True, headers={"Authorization": ""})
    assert page.headers["content-type"].startswith("text/html")
    assert "://" not in page.text
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "begin.js"):
        assert f"/docs/{name}" in page.text
        assert len(client.get(f"/docs/{name}").content) > 100
    assert client.get("/docs/../../etc/passwd").status_code == 404
    assert client.get("/docs/other.js").status_code == 404


def test_every_endpoint_of_the_roadmap_is_there(client: httpx.Client) -> None:
    """The OpenAPI document has each path and method that the specification names."""
    paths = client.get("/openapi.json").json()["paths"]
    wanted = """
        get /api/runs/{run_id}/steps/{step_id}/interactions
        get /api/runs/{run_id}/steps/{step_id}/artifacts
        get /api/runs/{run_id}/agent-timeline
        post /api/skills/extract
        get /api/skills
        get /api/skills/{skill_id}
        delete /api/skills/{skill_id}
        get /api/skills/{skill_id}/executions
        get /api/skills/{skill_id}/artifacts
        post /api/skills/match
        post /api/skills/{skill_id}/execute
        get /api/skills/{skill_id}/performance
        get /api/skills/{skill_id}/executions/{execution_id}
        post /api/skills/{skill_id}/analyze
        post /api/skills/{skill_id}/optimize
        post /api/skills/compose
        get /api/skills/{skill_name}/versions
        post /api/skills/{skill_name}/rollback
        get /api/analytics/skills/top
        get /api/analytics/skills/{skill_id}/dashboard
    """
    for line in wanted.split("\n"):
        if line.strip():
            method, path = line.split()
            assert method in paths[path], line


def test_a_file_that_grows_is_read_as_it_is(client: httpx.Client, cli: Cli, tmp_path: Path) -> None:
    """What another process adds is there with the next request."""
    before = _get(client, "/api/runs", Page[RunAnswer])["items"]
    with open_workspace(cli.db) as workspace:
        new = workspace.runs.create("another")
    after = _get(client, "/api/runs", Page[RunAnswer])["items"]
    assert [run["id"] for run in after] == [new.id, *(run["id"] for run in before)]
