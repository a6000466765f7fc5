"""Tools of MCP servers, through real server processes written with the official SDK."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from skillsmith.db import Database
from skillsmith.errors import ExecutionError, UsageError
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.tools.mcp_tools import McpTools
from skillsmith.library.tools.sources import open_tools
from skillsmith.models import Constant, FromInput, FromNode, Node, Skill, Variable
from skillsmith.models.protocols import DescribedTools

pytest.importorskip("mcp", reason="the MCP SDK is not installed")

SERVER = """
import os, sys, time
from typing import Any
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("shop")
ORDERS = {"ORD-1": {"id": "ORD-1", "status": "open", "items": [{"sku": "A", "count": 2}]}}

@server.tool()
def get_order(order_id: str) -> dict[str, Any]:
    '''Look an order up.'''
    if order_id not in ORDERS:
        raise ToolError(f"there is no order {order_id}")
    return ORDERS[order_id]

@server.tool()
def list_orders() -> list[str]:
    '''List the ids of all orders.'''
    return sorted(ORDERS)

@server.tool()
def cancel_order(order_id: str, reason: str = "none") -> str:
    '''Cancel an order.'''
    ORDERS[order_id]["status"] = "cancelled"
    return f"cancelled {order_id}: {reason}"

@server.tool()
def count_items(order_id: str) -> int:
    '''Count.'''
    return sum(item["count"] for item in ORDERS[order_id]["items"])

@server.tool()
async def wait(seconds: float) -> str:
    '''Wait.'''
    import anyio
    await anyio.sleep(seconds)
    return os.environ.get("SHOP_KEY", "no key")

@server.tool()
def die() -> str:
    '''End the server.'''
    print("the shop is on fire", file=sys.stderr, flush=True)
    os._exit(3)

server.run()
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    """The command line of a shop's server."""
    (tmp_path / "shop_server.py").write_text(SERVER)
    return f"{sys.executable} {tmp_path / 'shop_server.py'}"


def test_tools_are_listed_described_and_called(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, schemas and results are the server's; structured results come as JSON, as agents saw them."""
    monkeypatch.setenv("SHOP_KEY", "k1")
    with McpTools(command) as tools:
        assert tools.names() == (
            "cancel_order", "count_items", "die", "get_order", "list_orders", "wait",
        )  # fmt: skip
        schema = tools.schema("cancel_order")
        assert (schema["required"], schema["description"]) == (["order_id"], "Cancel an order.")
        assert tools.call("get_order", {"order_id": "ORD-1"})["items"] == [{"sku": "A", "count": 2}]
        assert tools.call("list_orders", {}) == ["ORD-1"]
        assert tools.call("count_items", {"order_id": "ORD-1"}) == 2
        assert tools.call("cancel_order", {"order_id": "ORD-1"}) == "cancelled ORD-1: none"
        assert tools.call("get_order", {"order_id": "ORD-1"})["status"] == "cancelled"
        assert tools.call("wait", {"seconds": 0}) == "k1"


def test_calls_run_side_by_side(command: str) -> None:
    """Several threads may call at once."""
    with McpTools(command) as tools:
        began = time.monotonic()
        threads = [threading.Thread(target=tools.call, args=("wait", {"seconds": 0.3})) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 1.0


def test_a_tools_error_is_an_error(command: str) -> None:
    """What the tool reports is told; unknown tools and arguments are known before a call."""
    with McpTools(command) as tools:
        with pytest.raises(ExecutionError, match="there is no order X"):
            tools.call("get_order", {"order_id": "X"})
        with pytest.raises(ExecutionError, match="has no tool 'nothing'"):
            tools.call("nothing", {})
        assert "needs order_id" in str(tools.problem("get_order", frozenset()))
        assert tools.problem("get_order", frozenset({"order_id"})) is None
        assert "has no tool" in str(tools.problem("nothing", frozenset()))


def test_a_server_that_dies_is_told_with_its_last_words(command: str) -> None:
    """The call under way fails with what the server said; later ones fail, too, and closing works."""
    with McpTools(command) as tools:
        with pytest.raises(ExecutionError, match="the shop is on fire"):
            tools.call("die", {})
        with pytest.raises(ExecutionError):
            tools.call("list_orders", {})


@pytest.mark.parametrize(
    ("line", "error", "match"),
    [
        ("", UsageError, "names no command"),
        ("'unclosed", UsageError, "cannot be read"),
        ("no-such-program-anywhere", ExecutionError, "cannot be used"),
        (f"{sys.executable} -c 'raise SystemExit(\"no shop today\")'", ExecutionError, "no shop today"),
    ],
)
def test_a_server_that_cannot_start_is_one_clear_error(line: str, error: type[Exception], match: str) -> None:
    """Wrong commands and programs that are no server are told in a line, with what they said."""
    with pytest.raises(error, match=match), McpTools(line):
        pass


def test_the_server_ends_with_its_owner(command: str, tmp_path: Path) -> None:
    """No process is left behind."""
    with McpTools(f"{command} marked-{os.getpid()}") as tools:
        tools.names()
        assert _running(f"marked-{os.getpid()}")
    deadline = time.monotonic() + 5
    while _running(f"marked-{os.getpid()}"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _running(mark: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words:
            return True
    return False


def test_without_the_sdk_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it is told how."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExecutionError, match=r"skillsmith-cli\[mcp\]"), McpTools("python server.py"):
        pass


def test_a_skill_runs_on_an_mcp_server_and_a_module_together(
    db: Database, command: str, tmp_path: Path
) -> None:
    """Sources are opened together; nodes find their tools wherever they are."""
    (tmp_path / "local_tools.py").write_text("def shout(text: str) -> str:\n    return text.upper()\n")
    skill = Skill(
        name="cancel", state="proven",
        variables=(Variable(name="order", type="id", default="ORD-1"),),
        nodes=(
            Node(id="n1", kind="tool", tool="get_order", effect="read",
                 arguments={"order_id": FromInput("order")}),
            Node(id="n2", kind="tool", tool="cancel_order",
                 arguments={"order_id": FromNode("n1", ("id",)), "reason": Constant("late")}),
            Node(id="n3", kind="tool", tool="shout", arguments={"text": FromNode("n2")}),
        ),
        output_bindings={"said": FromNode("n3")},
    )  # fmt: skip
    with open_tools(f"mcp:{command}", str(tmp_path / "local_tools.py")) as tools:
        result = SkillExecutor(db, tools=tools).execute_skill(skill, {})
        assert isinstance(tools, DescribedTools)
        assert tools.schema("shout")["properties"] == {"text": {"type": "string"}}
    assert result.outputs == {"said": "CANCELLED ORD-1: LATE"}, result.error
    assert json.dumps(result.outputs)


def test_two_tools_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which one was meant cannot be told."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("def shout(text: str) -> str:\n    return text\n")
    with (
        pytest.raises(UsageError, match="both have a tool 'shout'"),
        open_tools(str(tmp_path / "one.py"), str(tmp_path / "two.py")),
    ):
        pass
