"""The server that the SDK drives: each request becomes a job on a thread, each error one line."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from mcp import types
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

import skillsmith
from skillsmith.errors import ExitCode, SkillsmithError, UsageError
from skillsmith.events import dump_json, load_json
from skillsmith.library.execution.outcome import misfit
from skillsmith.mcp_server import resources
from skillsmith.mcp_server.lanes import Job, Lanes
from skillsmith.mcp_server.skill_tools import PREFIX, offered, tool_of
from skillsmith.mcp_server.texts import error_line, hint_for_clients
from skillsmith.mcp_server.tools import SPECS, ToolSpec
from skillsmith.mcp_server.visit import Answer, Arguments, Document, Progress, Visit

SKILLS_EXTENSION: Final = "io.modelcontextprotocol/skills"

INSTRUCTIONS: Final = (
    "skillsmith keeps skills: proven programs made from earlier runs of agents. Before a task that may have"
    " been done before, call find_skill with the task in words. If one fits and is runnable, run_skill does"
    " it with your values; if none fits, do the task yourself. Tell with record_outcome whether it did what"
    " was asked."
)

OFFERED_PAGE: Final = 100
"""Skills that are tools of their own on one page of the list of tools."""

_NEVER_FRESH: Final = {"ttlMs": 0, "cacheScope": "private"}
_CACHEABLE: Final = ("tools/list", "resources/list", "resources/templates/list", "resources/read")

_CODES: Final = dict.fromkeys((ExitCode.USAGE, ExitCode.NOT_FOUND, ExitCode.REFUSED), types.INVALID_PARAMS)
"""Of errors that the client made; all others are ours."""

_log = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]
T = TypeVar("T")


class _UriParams(types.RequestParams):
    """A request that names one address."""

    uri: str


class _DirectoryParams(types.PaginatedRequestParams):
    """A request for what stands in a folder; all of it is on one page."""

    uri: str


def build_server(lanes: Lanes) -> Server[Any]:
    """Return the server of a library.

    Args:
        lanes: Where its work is done.
    """
    handlers = _Handlers(lanes)
    server: Server[Any] = Server(
        "skillsmith",
        version=skillsmith.__version__,
        title="skillsmith",
        description="Proven, executable skills made from captured runs of agents.",
        instructions=INSTRUCTIONS,
        cache_hints={method: CacheHint() for method in _CACHEABLE},
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_templates,
        on_read_resource=handlers.read_resource,
    )
    server.extensions = {SKILLS_EXTENSION: {"directoryRead": True}}
    server.add_request_handler("skills/list", types.PaginatedRequestParams, handlers.list_skills)
    server.add_request_handler("skills/get", _UriParams, handlers.get_skill)
    server.add_request_handler("resources/directory/read", _DirectoryParams, handlers.read_directory)
    return server


class _Handlers:
    """What the server answers to each kind of request."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def list_tools(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """List the library's tools, then the skills that are tools of their own."""
        cursor = params.cursor if params else None
        specs, after = await self._read(lambda visit: offered(visit, after=cursor, limit=OFFERED_PAGE))
        shown = [*([] if cursor else SPECS), *specs]
        return types.ListToolsResult(tools=[_tool(spec) for spec in shown], next_cursor=after)

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """Call a tool; whatever goes wrong in it is a result that says so."""
        spec, arguments = await self._spec(params.name), params.arguments or {}

        async def tell(progress: Progress) -> None:
            await context.session.report_progress(progress.done, progress.total, progress.message)

        def job(visit: Visit) -> Answer:
            _refuse_misfit(spec, arguments)
            return spec.call(visit, arguments)

        try:
            answer = await (self._lanes.work(job, tell) if spec.long else self._lanes.read(job))
        except SkillsmithError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001  (a client gets no traceback, the log does)
            _log.exception("tool %s", spec.name)  # on standard error, with its traceback
            return _failed(f"a bug in skillsmith: {type(error).__name__}; the server's log tells more", {})
        document = load_json(dump_json(answer.document))
        if answer.failure is not None:
            return _failed(answer.failure, document)
        return types.CallToolResult(content=[_text(dump_json(document))], structured_content=document)

    async def _spec(self, name: str) -> ToolSpec:
        known = {spec.name: spec for spec in SPECS}
        spec = known.get(name) or await self._read(lambda visit: tool_of(visit, name))
        if spec is not None:
            return spec
        hint = (
            "its user offers skills as tools with --skills" if name.startswith(PREFIX) else ", ".join(known)
        )
        raise MCPError(types.INVALID_PARAMS, f"there is no tool {name!r}; {hint}")

    async def list_resources(
        self, _: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """List what can be read."""
        cursor = params.cursor if params else None
        found = await self._read(lambda visit: resources.list_resources(visit, cursor))
        return types.ListResourcesResult.model_validate(found)

    async def list_templates(
        self, _: Context, __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """List the kinds of addresses."""
        return types.ListResourceTemplatesResult.model_validate({"resourceTemplates": resources.TEMPLATES})

    async def read_resource(
        self, _: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Read what stands at an address."""
        found = await self._read(lambda visit: resources.read_resource(visit, str(params.uri)))
        return types.ReadResourceResult.model_validate(found)

    async def list_skills(self, _: Context, params: types.PaginatedRequestParams) -> Document:
        """List the entries of the skills extension."""
        found = await self._read(lambda visit: resources.list_skills(visit, params.cursor))
        return {**found, **_NEVER_FRESH}

    async def get_skill(self, _: Context, params: _UriParams) -> Document:
        """Return one entry of the skills extension."""
        found = await self._read(lambda visit: resources.get_skill(visit, params.uri))
        return {**found, **_NEVER_FRESH}

    async def read_directory(self, _: Context, params: _DirectoryParams) -> Document:
        """Return what stands directly in a folder of a skill."""
        return await self._read(lambda visit: resources.read_directory(visit, params.uri))

    async def _read(self, job: Job[T]) -> T:
        """Do a short job; what a client asked wrongly is an error of the protocol.

        Raises:
            MCPError: It did.
        """
        try:
            return await self._lanes.read(job)
        except SkillsmithError as error:
            raise MCPError(_CODES.get(error.exit_code, types.INTERNAL_ERROR), error_line(error)) from error


def _refuse_misfit(spec: ToolSpec, arguments: Arguments) -> None:
    """Refuse arguments that do not fit; a skill's own inputs are read by their types when it is run."""
    if spec.name.startswith(PREFIX):
        return
    problem = misfit(spec.takes, dict(arguments))
    if problem is not None:
        raise UsageError(f"{spec.name}: {problem}", hint="its input schema says what it takes")


def _tool(spec: ToolSpec) -> types.Tool:
    return types.Tool(
        name=spec.name, title=spec.title, description=spec.about, input_schema=spec.takes,
        output_schema=spec.gives,
        annotations=types.ToolAnnotations(
            title=spec.title, read_only_hint=spec.reads, destructive_hint=spec.destroys,
            idempotent_hint=spec.repeatable, open_world_hint=spec.reaches_out,
        ),
    )  # fmt: skip


def _refusal(error: SkillsmithError) -> types.CallToolResult:
    problem = {"code": error.code, "message": error.message, "hint": hint_for_clients(error)}
    return _failed(error_line(error), {"error": problem})


def _failed(line: str, document: Mapping[str, Any]) -> types.CallToolResult:
    return types.CallToolResult(
        content=[_text(line)], structured_content=dict(document) or None, is_error=True
    )


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)
