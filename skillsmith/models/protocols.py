"""What the core asks of embedders, tools and agents, so that each can be replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from skillsmith.models.runs import Json


@runtime_checkable
class Embedder(Protocol):
    """Turns text into unit vectors.

    ``model`` is its identity including its form (``…/all-MiniLM-L6-v2#int8``); vectors of different
    identities are never mixed. ``embed`` returns little-endian float32 bytes, ``4 * dimension`` a text.
    """

    @property
    def model(self) -> str: ...  # noqa: D102

    @property
    def dimension(self) -> int: ...  # noqa: D102

    def embed(self, texts: Sequence[str]) -> list[bytes]: ...  # noqa: D102


@runtime_checkable
class ToolSource(Protocol):
    """Offers tools by name to the executor."""

    def names(self) -> Iterable[str]: ...  # noqa: D102

    def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool by keyword; raise what it raises."""
        ...


@runtime_checkable
class AgentRunner(Protocol):
    """Runs one agent on one prompt, for ``agent`` nodes and for mending failed nodes."""

    def run(self, prompt: str, *, agent: str, tools: ToolSource | None = None) -> str: ...  # noqa: D102
