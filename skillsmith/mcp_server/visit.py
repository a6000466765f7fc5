"""What one call of a client works with, and what it comes to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from skillsmith.mcp_server.settings import Settings
from skillsmith.models import Json, ToolSource
from skillsmith.workspace import Workspace

Document: TypeAlias = dict[str, Json]
Arguments: TypeAlias = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a call is.

    Args:
        done: Nodes that are over; grows with every notice of one call.
        total: How many there are; None: not known.
        message: What happened.
    """

    done: int
    total: int | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The surroundings of one call, all on one thread.

    Args:
        workspace: This thread's.
        settings: The server's.
        tools: Where the tools of skills are.
        tell: Hears how far the call is.
        stop: Set once the client has cancelled the call or left.
    """

    workspace: Workspace
    settings: Settings
    tools: ToolSource | None = None
    tell: Callable[[Progress], None] = lambda _progress: None
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call came to.

    Args:
        document: For programs.
        failure: What went wrong, in one line; None: nothing did.
    """

    document: Document
    failure: str | None = None


Call: TypeAlias = Callable[[Visit, Arguments], Answer]
