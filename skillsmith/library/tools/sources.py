"""Where tools are that a user names: Python modules, Python files and MCP servers, alone or together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from skillsmith.errors import ExecutionError, UsageError
from skillsmith.library.tools.callables import CheckedTools, module_tools
from skillsmith.models import Json, ToolSource
from skillsmith.models.protocols import DescribedTools

MCP_PREFIX = "mcp:"


@contextmanager
def open_tools(*sources: str) -> Iterator[ToolSource]:
    """Open tools for as long as the block runs; servers are started before it and ended after it.

    Usage: ``with open_tools("shop.tools", "mcp:python server.py") as tools: …``. What it gives is also a
    ``CheckedTools`` and a ``DescribedTools``.

    Args:
        sources: Each ``package.module[:attribute]``, ``path/to/file.py[:attribute]`` or ``mcp:COMMAND``, the
            command line of an MCP server that speaks over its standard streams.

    Raises:
        UsageError: One cannot be read or found, offers no tools, or two offer a tool of the same name.
        ExecutionError: Importing one failed, a server does not start, or the MCP SDK is not installed.
    """
    with ExitStack() as stack:
        opened = [_open(source, stack) for source in sources]
        yield opened[0] if len(opened) == 1 else ManyTools(opened)


def _open(source: str, stack: ExitStack) -> ToolSource:
    if not source.startswith(MCP_PREFIX):
        return module_tools(source)
    from skillsmith.library.tools.mcp_tools import McpTools  # noqa: PLC0415  (asyncio; only for MCP servers)

    return stack.enter_context(McpTools(source.removeprefix(MCP_PREFIX)))


class ManyTools:
    """Several tool sources as one.

    Args:
        sources: No two with a tool of the same name.

    Raises:
        UsageError: Two have.
    """

    def __init__(self, sources: Sequence[ToolSource]) -> None:
        self._homes: dict[str, ToolSource] = {}
        for source in sources:
            for name in source.names():
                if name in self._homes:
                    both = f"{_label(self._homes[name])} and {_label(source)}"
                    raise UsageError(f"{both} both have a tool {name!r}", hint="give only one of them")
                self._homes[name] = source

    def names(self) -> Iterable[str]:
        """Return the names of all tools, sorted."""
        return tuple(sorted(self._homes))

    def problem(self, name: str, arguments: frozenset[str]) -> str | None:
        """Return what is wrong with calling the tool with arguments of these names, or None."""
        home = self._homes.get(name)
        if home is None:
            return f"there is no tool {name!r}; there are {', '.join(self.names()) or 'none'}"
        return home.problem(name, arguments) if isinstance(home, CheckedTools) else None

    def schema(self, name: str) -> Mapping[str, Json]:
        """Return the JSON Schema of a tool's arguments."""
        home = self._home(name)
        return home.schema(name) if isinstance(home, DescribedTools) else {"type": "object"}

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool where it lives.

        Raises:
            ExecutionError: There is none of this name.
        """
        return self._home(name).call(name, arguments)

    def _home(self, name: str) -> ToolSource:
        home = self._homes.get(name)
        if home is None:
            raise ExecutionError(str(self.problem(name, frozenset())))
        return home


def _label(source: ToolSource) -> str:
    return str(getattr(source, "label", "a tool source"))
