"""The tools of the MCP server: found, described, run or refused, by the SDK's own client."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli, code_skill, fill, tool_skill

pytest.importorskip("mcp", reason="the MCP SDK is not installed")

from mcp import Client, MCPError, types
from mcp_talk import TASK, ask_for, call, converse, library, text_of

from skillsmith.errors import NotFoundError, UsageError
from skillsmith.mcp_server import Choice, Settings
from skillsmith.mcp_server.settings import check
from skillsmith.models import Node, Template
from skillsmith.workspace import open_workspace


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A library with skills in every state, and tools for one of them."""
    return library(tmp_path)


def test_the_tools_are_typed_and_say_what_they_change(cli: Cli) -> None:
    """Each tool has a schema for both ways and says whether it only reads; no skill is one unasked."""

    async def talk(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == [
            "find_skill", "show_skill", "run_skill", "record_outcome", "extract_skill", "search_runs",
        ]  # fmt: skip
        for tool in tools.values():
            assert tool.output_schema
            assert tool.output_schema["type"] == "object"
            assert tool.input_schema["additionalProperties"] is False
            assert tool.annotations
        read_only = {name for name, tool in tools.items() if tool.annotations.read_only_hint}  # type: ignore[union-attr]
        assert read_only == {"find_skill", "show_skill", "search_runs"}
        assert tools["run_skill"].annotations.destructive_hint  # type: ignore[union-attr]

    converse(cli, talk)


def test_a_skill_is_found_shown_and_run(cli: Cli) -> None:
    """The match says whether it may be run, and running it gives outputs, progress and an execution."""

    async def talk(client: Client) -> None:
        found = (await call(client, "find_skill", task=TASK)).structured_content
        best = found["matches"][0]
        assert (best["name"], best["runnable"]) == ("cancel_order", True)
        assert best["inputs"]["order_id"] == "ORD-8001"
        shown = (await call(client, "show_skill", name="cancel_order")).structured_content
        assert shown["inputs"]["required"] == ["email", "order_id"]
        assert shown["inputs"]["properties"]["email"]["examples"] == ["eve1@example.org"]
        assert "default" not in shown["inputs"]["properties"]["email"]
        assert [step["tool"] for step in shown["steps"]] == ["find_user", "cancel_order"]
        steps: list[tuple[float, float | None, str | None]] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            steps.append((progress, total, message))

        result = await client.call_tool(
            "run_skill", {"name": "cancel_order", "task": TASK}, progress_callback=hear
        )
        document = result.structured_content
        assert not result.is_error, text_of(result)
        assert json.loads(text_of(result)) == document
        assert (document["success"], document["outputs"]) == (True, {"status": "cancelled"})
        assert [(done, total) for done, total, _ in steps] == [(0, 2), (1, 2), (2, 2)]
        assert document["execution_id"] in str(steps[0][2])
        again = (await call(client, "show_skill", name="cancel_order")).structured_content
        assert again["recent_executions"][0]["id"] == document["execution_id"]

    converse(cli, talk, allow="cancel_order")


def test_no_skill_fits_is_an_answer(cli: Cli) -> None:
    """It is no error, and says why."""

    async def talk(client: Client) -> None:
        result = await call(client, "find_skill", task="translate the poem into Latin")
        assert not result.is_error
        assert (result.structured_content["matches"], result.structured_content["abstained"]) == ([], True)
        assert result.structured_content["reason"]

    converse(cli, talk)


@pytest.mark.parametrize(
    ("allow", "name", "why"),
    [
        (None, "cancel_order", "--allow-run cancel_order"),
        ("write_greeting", "cancel_order", "may not run cancel_order@1"),
        ("cancel_order@2", "cancel_order", "may not run cancel_order@1"),
        ("all", "draft_one", "draft_one@1 is a draft"),
        ("all", "foreign_one", "nobody has looked at its code"),
        ("all", "old_one", "old_one@1 is retired"),
        ("all", "calls_draft", "draft_one@1 is a draft"),
        ("all", "calls_foreign", "nobody has looked at its code"),
    ],
)
def test_only_what_is_allowed_and_proven_is_run(cli: Cli, allow: str | None, name: str, why: str) -> None:
    """The list of the user decides, then the states of the skill and of all that it calls."""

    async def talk(client: Client) -> types.CallToolResult:
        return await call(client, "run_skill", name=name, inputs={})

    result = converse(cli, talk, allow=allow)
    assert result.is_error
    assert why in text_of(result)
    assert result.structured_content["error"]["code"] in ("refused", "untrusted")
    with open_workspace(cli.db, _embedder=None) as workspace:
        assert list(workspace.runs.list()) == []


@pytest.mark.parametrize(
    ("tool", "arguments", "why"),
    [
        ("find_skill", {"task": ""}, "find_skill: task: '' should be non-empty"),
        ("find_skill", {"task": "x", "top_k": 99}, "top_k: 99 is greater than the maximum"),
        ("run_skill", {}, "'name' is a required property"),
        ("run_skill", {"name": "cancel_order", "inputs": 5}, "inputs: 5 is not of type 'object'"),
        ("run_skill", {"name": "cancel_order"}, "give email, order_id in the inputs"),
        ("run_skill", {"name": "cancel_order", "inputs": {"x": 1}}, "has no input 'x'"),
        ("run_skill", {"name": "cancel_order", "inputs": {"email": "?"}}, "takes an e-mail address, not ?"),
        ("run_skill", {"name": "cancel_order", "resume": "0"}, "there is no execution '0'"),
        ("run_skill", {"name": "cancel_ordr"}, "did you mean cancel_order?"),
        ("show_skill", {"name": "foreign_one"}, "nobody has looked at its code"),
        ("run_skill", {"name": "foreign_one", "dry_run": True}, "nobody has looked at its code"),
        ("record_outcome", {"id": "0", "outcome": "success"}, "there is no run or execution '0'"),
        ("record_outcome", {"id": "0", "outcome": "fine"}, "outcome: 'fine' is not one of"),
        ("search_runs", {"after": "0"}, "there is no run '0'"),
        ("extract_skill", {"runs": [], "name": "x"}, "runs: [] should be non-empty"),
        ("extract_skill", {"runs": ["0"], "name": "cancel_order"}, "there is a skill 'cancel_order' already"),
        ("skill_cancel_order", {"order_id": 1}, "give email in the inputs"),
    ],
)
def test_malformed_calls_are_told_in_one_line(
    cli: Cli, tool: str, arguments: dict[str, Any], why: str
) -> None:
    """The result says what is wrong and what to do, never a traceback or an option."""

    async def talk(client: Client) -> types.CallToolResult:
        return await client.call_tool(tool, arguments)

    result = converse(cli, talk, allow="cancel_order", offer="cancel_order")
    said = text_of(result)
    assert result.is_error
    assert why in said
    assert "\n" not in said
    assert "--set" not in said


def test_what_cannot_be_run_here_is_known_before(cli: Cli) -> None:
    """A skill whose tools are not there, or that asks a person, is found, but said not to be runnable."""
    fill(
        cli,
        replace(
            tool_skill("ship_order"),
            nodes=(Node(id="n1", kind="tool", tool="ship"),),
            outputs={},
            output_bindings={},
        ),
        replace(
            code_skill("asks"), nodes=(Node(id="n1", kind="approval", template=Template(text="Really?")),)
        ),
    )

    async def talk(client: Client) -> None:
        for name, why in (("ship_order", "no tool 'ship'"), ("asks", "nobody can be asked")):
            shown = (await call(client, "show_skill", name=name)).structured_content
            assert shown["runnable"] is False
            assert why in shown["why_not"]
        assert "skill_asks" not in {tool.name for tool in (await client.list_tools()).tools}

    converse(cli, talk, allow="all", offer="all")


def test_a_dry_run_runs_nothing(cli: Cli) -> None:
    """The plan shows the calls, also of a skill that may not be run."""

    async def talk(client: Client) -> None:
        result = await call(client, "run_skill", name="cancel_order", task=TASK, dry_run=True)
        plan = result.structured_content["plan"]
        assert [node["tool"] for node in plan["nodes"]] == ["find_user", "cancel_order"]
        assert plan["nodes"][1]["arguments"]["order_id"] == {"value": "ORD-8001"}
        runs = (await call(client, "search_runs")).structured_content
        assert runs == {"items": [], "next": None}

    converse(cli, talk)


def test_a_skill_that_fails_is_an_error_with_its_document(cli: Cli) -> None:
    """What failed is in one line for the model, and whole for programs."""

    async def talk(client: Client) -> None:
        inputs = {"email": "bob@example.org", "order_id": "ORD-8002"}
        result = await call(client, "run_skill", name="cancel_order", inputs=inputs)
        assert result.is_error
        assert "ORD-8002 cannot be cancelled" in text_of(result)
        document = result.structured_content
        assert document["success"] is False
        assert [node["status"] for node in document["nodes"]] == ["done", "failed"]
        assert document["execution_id"] in text_of(result)

    converse(cli, talk, allow="all")


def test_skills_are_tools_of_their_own_when_asked_for(cli: Cli) -> None:
    """Only what may be run is offered; its inputs are the arguments, its outputs in the schema."""

    async def talk(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        own = {name for name in tools if name.startswith("skill_")}
        assert own == {"skill_cancel_order", "skill_write_greeting"}
        tool = tools["skill_cancel_order"]
        assert set(tool.input_schema["properties"]) == {"email", "order_id", "reason"}
        assert tool.output_schema
        assert tool.output_schema["properties"]["outputs"]["required"] == ["status"]
        result = await call(client, "skill_cancel_order", email="bob@example.org", order_id="ORD-8001")
        assert result.structured_content["outputs"] == {"status": "cancelled"}
        made = (await call(client, "skill_write_greeting", person="Zoe")).structured_content
        folder = Path(made["work_dir"])
        assert folder.parent == cli.folder / "work"
        assert (folder / "greeting.txt").read_text() == "Hello Zoe"
        with pytest.raises(MCPError, match="no tool 'skill_draft_one'"):
            await call(client, "skill_draft_one")

    converse(cli, talk, allow="all", offer="all")


def test_skills_without_end_are_listed_page_by_page(cli: Cli) -> None:
    """A large library offers all its tools, each once."""
    fill(cli, *(replace(code_skill(f"greet_{number:03}"), tags=("many",)) for number in range(120)))

    async def talk(client: Client) -> None:
        names, cursor = list[str](), None
        while True:
            page = await client.list_tools(cursor=cursor)
            names += [tool.name for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len(names) == len(set(names)) == 6 + 122
        skills, cursor = list[str](), None
        while True:
            told = await ask_for(client, "skills/list", **({"cursor": cursor} if cursor else {}))
            skills += [skill["uri"] for skill in told["skills"]]
            cursor = told.get("nextCursor")
            if cursor is None:
                break
        assert len(skills) == len(set(skills)) == 125

    converse(cli, talk, allow="all", offer="all")


def test_what_the_user_names_must_be_there_and_fit(cli: Cli) -> None:
    """A mistake in the options is told when the server starts, not when a client calls."""
    parse = Choice.parse
    with pytest.raises(UsageError, match="'Not A Name' cannot be a skill's name"):
        parse("Not A Name", option="--skills")
    with open_workspace(cli.db, _embedder=None) as workspace:
        allowed = parse("cancel_order", option="--allow-run")
        check(Settings(db="x", allowed=allowed, offered=allowed), workspace)
        with pytest.raises(NotFoundError, match="no skill 'nothing'"):
            check(Settings(db="x", allowed=parse("nothing", option="--allow-run")), workspace)
        offered = parse("write_greeting", option="--skills")
        with pytest.raises(UsageError, match="which clients may not run"):
            check(Settings(db="x", allowed=allowed, offered=offered), workspace)
        with pytest.raises(UsageError, match="offers nothing"):
            check(Settings(db="x", offered=parse("all", option="--skills")), workspace)
