"""The skills extension of the MCP server, read by the SDK's own client."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_process import Cli, code_skill, fill

pytest.importorskip("mcp", reason="the MCP SDK is not installed")

import yaml
from mcp import Client, MCPError, types
from mcp_talk import ask_for, call, converse, library

from skillsmith.library.exchange import export_skills
from skillsmith.library.sharing.folder import read_files
from skillsmith.mcp_server.front_matter import front_matter_of
from skillsmith.mcp_server.server import SKILLS_EXTENSION
from skillsmith.models import FromInput, Node, Skill, SkillArtifact, Template, Variable
from skillsmith.workspace import open_workspace


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A library with skills in every state, and tools for one of them."""
    return library(tmp_path)


def _with_files() -> Skill:
    files = (
        SkillArtifact(name="logo.bin", type="data", content=b"\x00\xff\xfe", path="assets/img/logo one.bin"),
        SkillArtifact(
            name="guide.md", type="data", content="Größe\r\nzählt\n".encode(), path="references/g.md"
        ),
    )
    return replace(code_skill("with_files"), artifacts=files)


def test_the_files_of_skills_are_those_of_an_export_and_their_digests_hold(cli: Cli) -> None:
    """A client verifies size, digest and front matter of every file; nothing is missing, nothing is more."""
    fill(cli, _with_files())
    with open_workspace(cli.db, _embedder=None) as workspace:
        names = ["cancel_order", "write_greeting", "with_files"]
        export_skills(workspace.skills, names, cli.folder / "out", format="skill-md")

    async def talk(client: Client) -> None:
        assert client.server_capabilities.extensions == {SKILLS_EXTENSION: {"directoryRead": True}}
        told = await ask_for(client, "skills/list")
        assert (told["ttlMs"], told["cacheScope"], told["resultType"]) == (0, "private", "complete")
        entries = {entry["frontmatter"]["name"]: entry for entry in told["skills"]}
        assert {"cancel-order", "write-greeting", "with-files", "draft-one"} <= set(entries)
        assert not {"foreign-one", "old-one"} & set(entries)
        for name in ("cancel-order", "write-greeting", "with-files"):
            await _verify(client, entries[name], cli.folder / "out" / name)
            assert (await ask_for(client, "skills/get", uri=entries[name]["uri"]))["skill"] == entries[name]

    converse(cli, talk)


async def _verify(client: Client, entry: dict[str, Any], folder: Path) -> None:
    root, last = entry["uri"].rsplit("/", 1)
    assert (last, root.rsplit("/", 1)[1]) == ("SKILL.md", entry["frontmatter"]["name"])
    contents = {}
    for resource in entry["resources"]:
        content = await _bytes(client, resource["uri"])
        assert resource["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert resource["size"] == len(content)
        contents[resource["uri"].removeprefix(f"{root}/").replace("%20", " ")] = content
    assert contents == read_files(folder)
    head = contents["SKILL.md"].decode().split("---\n")[1]
    assert yaml.safe_load(head) == entry["frontmatter"]
    assert await _tree(client, root) == {resource["uri"] for resource in entry["resources"]}


async def _bytes(client: Client, uri: str) -> bytes:
    import base64  # noqa: PLC0415  (only here)

    [content] = (await client.read_resource(uri)).contents
    if uri.endswith("/SKILL.md"):
        assert content.mime_type == "text/markdown"
    if isinstance(content, types.TextResourceContents):
        return content.text.encode()
    return base64.b64decode(content.blob)


async def _tree(client: Client, folder: str) -> set[str]:
    """Return all files below a folder, read directory by directory."""
    found: set[str] = set()
    for child in (await ask_for(client, "resources/directory/read", uri=folder))["resources"]:
        is_folder = child["mimeType"] == "inode/directory"
        found |= await _tree(client, child["uri"]) if is_folder else {child["uri"]}
    return found


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("skills/get", "skill://nothing/nothing/SKILL.md"),
        ("skills/get", "skill://cancel_order/cancel-order/assets/skill.json"),
        ("skills/get", "skill://old_one/old-one/SKILL.md"),
        ("skills/get", "https://example.org/SKILL.md"),
        ("resources/directory/read", "skill://cancel_order/cancel-order/SKILL.md"),
        ("resources/directory/read", "skill://cancel_order/cancel-order/none"),
        ("resources/directory/read", "skill://cancel_order/cancel-order/"),
    ],
)
def test_what_is_no_skill_or_folder_is_refused(cli: Cli, method: str, uri: str) -> None:
    """The error has the code that the extension names, and says what is wrong."""

    async def talk(client: Client) -> None:
        if uri.endswith("cancel-order/"):  # a folder's address has no slash at its end, but is understood
            assert (await ask_for(client, method, uri=uri))["resources"]
            return
        with pytest.raises(MCPError) as caught:
            await ask_for(client, method, uri=uri)
        assert caught.value.code == types.INVALID_PARAMS
        assert caught.value.message

    converse(cli, talk)


def test_a_skill_with_a_secret_is_not_served(cli: Cli) -> None:
    """It is neither listed nor read; the other skills are."""
    key = "sk-" + "proj-" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0"
    code = f"api_key = '{key}'\nprint(api_key)\n"
    node = Node(id="n1", kind="code", language="python", template=Template(text=code))
    fill(cli, replace(code_skill("leaky"), nodes=(node,)))

    async def talk(client: Client) -> None:
        told = await ask_for(client, "skills/list")
        names = {entry["frontmatter"]["name"] for entry in told["skills"]}
        assert "leaky" not in names
        assert "cancel-order" in names
        with pytest.raises(MCPError, match="it is not served"):
            await ask_for(client, "skills/get", uri="skill://leaky/leaky/SKILL.md")

    converse(cli, talk)


def test_front_matter_is_read_as_clients_read_it() -> None:
    """Numbers are numbers, words and dates are text, and quoted text stays text."""
    lines = "name: x|version: 3|when: 2026-01-02|ratio: 1.5|on: yes|ok: true|none: ~|id: '7'".split("|")
    text = "\n".join(["---", *lines, "---", "body", ""])
    assert front_matter_of(text) == {
        "name": "x", "version": 3, "when": "2026-01-02", "ratio": 1.5, "on": "yes", "ok": True, "none": None,
        "id": "7",
    }  # fmt: skip


def test_outputs_with_references_do_not_break_the_tools_schema(cli: Cli) -> None:
    """Where a skill's schema points into itself, its tool promises no more than an object."""
    outputs = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/b"}},
        "$defs": {"b": {"type": "string"}},
    }
    variable = Variable(name="person", type="string", required=True)
    skill = replace(
        code_skill("refers"),
        outputs=outputs,
        variables=(variable,),
        output_bindings={"a": FromInput("person")},
    )
    fill(cli, skill)

    async def talk(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        schema = tools["skill_refers"].output_schema
        assert schema
        assert schema["properties"]["outputs"] == {"type": "object"}
        result = await call(client, "skill_refers", person="Zoe")
        assert result.structured_content["outputs"] == {"a": "Zoe"}

    converse(cli, talk, allow="refers", offer="refers")
