"""Tools of an MCP server: a process that speaks the Model Context Protocol over its standard streams.

The official SDK is asynchronous; here it lives on an event loop of its own thread, so that a call is a call.
The server belongs to whoever opened it and ends with it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from skillsmith.errors import ExecutionError, UsageError
from skillsmith.library.program.bindings import normalise_result
from skillsmith.models import Json

if TYPE_CHECKING:
    from concurrent.futures import Future

START_SECONDS = 30.0
"""How long a server may need until it has listed its tools."""

STOP_SECONDS = 10.0

_LAST_LINES = 3
_TAIL_BYTES = 4_000


class McpTools:
    """A ToolSource over the tools of an MCP server; use it as a context manager.

    Args:
        command: The server's command line, as for a shell.

    Raises:
        UsageError: The command is empty, or cannot be read.
        ExecutionError: The SDK is not installed, or the server does not start.
    """

    def __init__(self, command: str) -> None:
        self._command = _words(command)
        self.label = f"mcp:{command.strip()}"
        self._folder = TemporaryDirectory(prefix="skillsmith-mcp-", ignore_cleanup_errors=True)
        self._errors = Path(self._folder.name, "stderr.txt")
        self._loop: asyncio.AbstractEventLoop
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._client: Any = None
        self._tools: dict[str, Any] = {}
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._live, daemon=True, name=self.label)

    def __enter__(self) -> Self:
        _require_sdk()
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            self._failure = f"it did not answer within {START_SECONDS:g} s"
        if self._failure is None:
            return self
        error = ExecutionError(
            f"the MCP server {self._command[0]!r} cannot be used: {self._failure}{self._said()}",
            hint="try its command in a shell; it must speak MCP on its standard streams",
        )
        self.close()
        raise error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the server."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # its loop was closed meanwhile: it is ending by itself
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_SECONDS)
        self._folder.cleanup()

    def names(self) -> tuple[str, ...]:
        """Return the names of all tools, sorted."""
        return tuple(sorted(self._tools))

    def schema(self, name: str) -> Mapping[str, Json]:
        """Return the JSON Schema of a tool's arguments, with what it does as ``description``.

        Raises:
            ExecutionError: There is no such tool.
        """
        tool = self._tool(name)
        described = {"description": tool.description} if tool.description else {}
        return {**tool.input_schema, **described}

    def problem(self, name: str, arguments: frozenset[str]) -> str | None:
        """Return what is wrong with calling the tool with arguments of these names, or None."""
        if name not in self._tools:
            return f"{self.label} has no tool {name!r}; it has {', '.join(self.names()) or 'none'}"
        schema = self._tools[name].input_schema
        missing = sorted(set(schema.get("required", ())) - arguments)
        if missing:
            return f"{name} of {self.label} needs {', '.join(missing)}"
        unknown = sorted(arguments - set(schema.get("properties", {})))
        if unknown and schema.get("additionalProperties") is False:
            return f"{name} of {self.label} does not take {', '.join(unknown)}"
        return None

    def _tool(self, name: str) -> Any:
        if name not in self._tools:
            raise ExecutionError(str(self.problem(name, frozenset())))
        return self._tools[name]

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool and return its result as JSON.

        Raises:
            ExecutionError: There is no such tool, it reported an error, or the server has ended.
        """
        self._tool(name)
        if not self._thread.is_alive():
            raise ExecutionError(f"{self.label} has ended{self._said()}", hint="start it again")
        from mcp import MCPError  # noqa: PLC0415  (loaded when the server was started)

        waiting: Future[Any] = asyncio.run_coroutine_threadsafe(
            self._client.call_tool(name, dict(arguments)), self._loop
        )
        try:
            result = waiting.result()
        except MCPError as error:
            raise ExecutionError(f"{name} of {self.label} failed: {error}{self._said()}") from error
        if result.is_error:
            raise ExecutionError(_text(result) or f"{name} of {self.label} failed and does not say why")
        return result_of(result)

    # ------------------------------------------------------------------------------------ the loop's thread

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with self._errors.open("w", encoding="utf-8") as errors:
                self._loop.run_until_complete(self._serve(errors))
        except BaseException as error:  # noqa: BLE001  (the SDK raises groups of anything; told to the user)
            self._failure = self._failure or _reason(error)
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self, errors: TextIO) -> None:
        from mcp import Client, StdioServerParameters  # noqa: PLC0415  (0.6 s; only for MCP servers)
        from mcp.client.stdio import stdio_client  # noqa: PLC0415  (as above)

        # the user gives the command as they would in a shell, so it gets what it would get there
        server = StdioServerParameters(
            command=self._command[0], args=self._command[1:], env=dict(os.environ),
            encoding_error_handler="replace",
        )  # fmt: skip
        async with Client(stdio_client(server, errlog=errors)) as client:
            self._client, self._tools = client, await _list_tools(client)
            self._ready.set()
            await self._stop.wait()

    def _said(self) -> str:
        """Return the last the server wrote to its standard error, for messages."""
        if not self._errors.exists():
            return ""
        tail = self._errors.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
        lines = [line.strip() for line in tail.splitlines() if line.strip()]
        return f"; it said: {' / '.join(lines[-_LAST_LINES:])}" if lines else ""


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command, posix=os.name != "nt")
    except ValueError as error:
        raise UsageError(f"the command of an MCP server cannot be read: {error}: {command}") from error
    if not words:
        raise UsageError("mcp: names no command", hint="write --tools 'mcp:COMMAND ARGUMENT…'")
    return words


def _require_sdk() -> None:
    import importlib.util  # noqa: PLC0415  (only for MCP servers)

    if importlib.util.find_spec("mcp") is None:
        raise ExecutionError(
            "tools of MCP servers need the package mcp, which is not installed",
            hint="pip install 'skillsmith-cli[mcp]'",
        )


def _reason(error: BaseException) -> str:
    """Return the first real error in a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


async def _list_tools(client: Any) -> dict[str, Any]:
    tools: dict[str, Any] = {}
    cursor = None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools |= {tool.name: tool for tool in page.tools}
        cursor = page.next_cursor
        if cursor is None:
            return tools


def result_of(result: Any) -> Json:
    """Return an MCP result as agents see it: its text as JSON, else its structured content, else its parts.

    Text and structured content say the same, but servers wrap lists and scalars into ``{"result": …}`` for
    the latter; what was recorded of an agent is the text.
    """
    structured, text = result.structured_content, _text(result)
    if structured is None:
        parts = [part.model_dump(mode="json", exclude_none=True) for part in result.content]
        return text if all(part["type"] == "text" for part in parts) else parts
    said = normalise_result(text)
    if said != structured and isinstance(structured, dict) and set(structured) == {"result"}:
        return structured["result"]
    return structured


def _text(result: Any) -> str:
    return "\n".join(part.text for part in result.content if part.type == "text")
