"""Runs and resources of the MCP server: searched, judged, made into skills and read by the SDK's client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli, order_run, write_json

pytest.importorskip("mcp", reason="the MCP SDK is not installed")

from mcp import Client, MCPError, types
from mcp_talk import TASK, call, converse, library, text_of


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A library with skills in every state, and tools for one of them."""
    return library(tmp_path)


def test_runs_are_searched_judged_and_made_into_skills(cli: Cli) -> None:
    """A new skill comes of runs with its proof, and is run only where it is allowed."""
    cli.json("ingest", write_json(cli.folder / "log.json", [order_run(number) for number in (1, 2, 3)]))

    async def talk(client: Client) -> None:
        page = (await call(client, "search_runs", text="eve2", limit=1)).structured_content
        [run] = page["items"]
        assert "eve2@example.org" in run["task"]
        first = (await call(client, "search_runs", limit=2)).structured_content
        rest = (await call(client, "search_runs", limit=2, after=first["next"])).structured_content
        assert len({item["id"] for item in (*first["items"], *rest["items"])}) == 3
        judged = await call(client, "record_outcome", id=run["id"], outcome="failure", note="wrong order")
        assert judged.structured_content["outcome"] == "failure"
        assert judged.structured_content["outcome_reason"] == "judged by an MCP client"
        runs = [item["id"] for item in first["items"] if item["id"] != run["id"]]
        made = await call(client, "extract_skill", runs=runs, name="cancel_again", tags=["shop"])
        assert (made.structured_content["tags"], made.structured_content["state"]) == (["shop"], "proven")
        twice = await call(client, "extract_skill", runs=runs, name="cancel_copy")
        assert "skill 'cancel_again' does the same; use that one" in text_of(twice)

    converse(cli, talk)


def test_an_extracted_skill_is_not_run_unasked(cli: Cli) -> None:
    """It is stored with its proof, and the answer says that this server may not run it."""
    cli.json("ingest", write_json(cli.folder / "log.json", [order_run(1)]))

    async def talk(client: Client) -> None:
        [run] = (await call(client, "search_runs")).structured_content["items"]
        made = await call(client, "extract_skill", runs=[run["id"]], name="cancel_mistake")
        assert not made.is_error, text_of(made)
        document = made.structured_content
        assert (document["skill"], document["state"]) == ("cancel_mistake", "proven")
        assert document["runnable"] is False
        refused = await call(client, "run_skill", name="cancel_mistake", inputs={})
        assert "may not run cancel_mistake@1" in text_of(refused)

    converse(cli, talk, allow="cancel_order")


def test_what_a_person_said_about_a_run_stays(cli: Cli) -> None:
    """A client can agree with it, not change it."""
    cli.json("ingest", write_json(cli.folder / "log.json", [order_run(1)]))
    [run] = cli.json("runs")["items"]
    cli.json("mark", run["id"], "--outcome", "failure")

    async def talk(client: Client) -> None:
        refused = await call(client, "record_outcome", id=run["id"], outcome="success")
        assert "a person has judged" in text_of(refused)
        agreed = await call(client, "record_outcome", id=run["id"], outcome="failure")
        assert agreed.structured_content["outcome_reason"] == "judged by a person"

    converse(cli, talk)


def test_an_execution_is_judged_by_its_own_id(cli: Cli) -> None:
    """The judgement stands with the run that the execution is."""

    async def talk(client: Client) -> None:
        done = (await call(client, "run_skill", name="cancel_order", task=TASK)).structured_content
        judged = await call(
            client, "record_outcome", id=done["execution_id"], outcome="failure", note="too late"
        )
        assert (judged.structured_content["id"], judged.structured_content["outcome"]) == (
            done["run_id"], "failure",
        )  # fmt: skip

    converse(cli, talk, allow="all")


def test_skills_and_runs_can_be_read(cli: Cli) -> None:
    """All but what is in quarantine is listed and read as text; a long timeline says where it goes on."""
    cli.json("ingest", write_json(cli.folder / "log.json", [_long_run()]))

    async def talk(client: Client) -> None:
        first = await client.list_resources()
        rest = await client.list_resources(cursor=first.next_cursor)
        listed = [str(one.uri) for one in (*first.resources, *rest.resources)]
        assert "skillsmith://skills/draft_one" in listed
        assert not [uri for uri in listed if "foreign_one" in uri]
        shown = await client.read_resource("skillsmith://skills/cancel_order")
        assert "cancel_order@1  proven" in _text(shown)
        [run] = [uri for uri in listed if uri.startswith("skillsmith://runs/")]
        page = _text(await client.read_resource(run))
        assert "Please count." in page
        more = page.rsplit("read ", 1)[1].strip()
        assert more == f"{run}?after=200"
        assert "that was number 119" in _text(await client.read_resource(more))
        templates = (await client.list_resource_templates()).resource_templates
        assert [one.uri_template for one in templates][:2] == [
            "skillsmith://skills/{name}", "skillsmith://runs/{id}{?after}",
        ]  # fmt: skip

    converse(cli, talk)


def _long_run() -> dict[str, Any]:
    turns: list[dict[str, Any]] = []
    for number in range(120):
        turns += [
            {"role": "user", "content": f"Please count. Now {number}."},
            {"role": "assistant", "content": f"that was number {number}"},
        ]
    return {"id": "long", "messages": turns}


def _text(result: types.ReadResourceResult) -> str:
    [content] = result.contents
    assert isinstance(content, types.TextResourceContents)
    return content.text


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("skillsmith://skills/nothing", "there is no skill 'nothing'"),
        ("skillsmith://skills/foreign_one", "nobody has looked at its code"),
        ("skillsmith://runs/0", "there is no run '0'"),
        ("skillsmith://runs/0?after=x", "after=x is not an event's number"),
        ("skill://cancel_order/cancel-order/scripts/none.py", "there is no file at"),
        ("skill://cancel_order/cancel-order/../../../etc/passwd", "there is no file at"),
        ("skill://cancel_order/other/SKILL.md", "no skill is served at"),
        ("skill://foreign_one/foreign-one/SKILL.md", "is quarantined"),
        ("file:///etc/passwd", "there is no resource"),
    ],
)
def test_what_is_not_there_is_an_error_of_the_protocol(cli: Cli, uri: str, why: str) -> None:
    """Reading it says so, with the code for wrong parameters."""

    async def talk(client: Client) -> None:
        with pytest.raises(MCPError, match=why) as caught:
            await client.read_resource(uri)
        assert caught.value.code == types.INVALID_PARAMS

    converse(cli, talk)
