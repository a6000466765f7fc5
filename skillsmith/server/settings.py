"""What a server was started with: everything it may do beyond reading was said on its command line."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from skillsmith.errors import UsageError

TOKEN_VARIABLE = "SKILLSMITH_TOKEN"  # noqa: S105  (the variable's name)
ALL = "all"

_TOKEN = re.compile(r"[A-Za-z0-9._~+-]{20,512}")
"""Goes into a header and, from browsers, into the name of a WebSocket subprotocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server behaves.

    Args:
        db: The skillsmith file.
        token: What every request has to show.
        host: The address it listens on; a loopback one unless remote use was allowed.
        port: 0: any free one.
        hosts: Names beyond the loopback ones under which it may be asked.
        remote: Whether it may be asked under any IP address.
        allow_run: Names of skills that may be executed, or ``all``.
        tools: Where tools are, for executions and comparisons.
        folder: Work folders are below it, and relative paths lead from it.
        model: The model that executions may ask; None: none.
        max_cost: In USD, for each job.
        max_turns: Model calls, for each job.
        jobs: How many run at once.
        queued_jobs: How many may wait.
        readers: Threads that read.
        max_body: Bytes of a request.
        body_seconds: Within which a request's body has to be there.
        answer_seconds: Within which a read is answered.
        stall_seconds: A listener that takes nothing for so long is disconnected.
    """

    db: Path
    token: str
    host: str = "127.0.0.1"
    port: int = 8765
    hosts: frozenset[str] = frozenset()
    remote: bool = False
    allow_run: frozenset[str] = frozenset()
    tools: tuple[str, ...] = ()
    folder: Path = field(default_factory=Path.cwd)
    model: str | None = None
    max_cost: float | None = None
    max_turns: int = 60
    jobs: int = 2
    queued_jobs: int = 32
    readers: int = 4
    max_body: int = 1024 * 1024
    body_seconds: float = 15.0
    answer_seconds: float = 30.0
    stall_seconds: float = 15.0

    def may_run(self, name: str) -> bool:
        """Tell whether a skill may be executed over HTTP."""
        return ALL in self.allow_run or name in self.allow_run


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(32)


def checked_token(token: str, *, source: str) -> str:
    """Return a user's own token.

    Args:
        token: White space around it does not count.
        source: Where it stands, for the error.

    Raises:
        UsageError: It is too short, or has characters that a header or subprotocol cannot carry.
    """
    token = token.strip()
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            f"the token in {source} cannot be used",
            hint="take 20 to 512 letters, digits and . _ ~ + -, e.g. of `openssl rand -hex 32`",
        )
    return token


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
