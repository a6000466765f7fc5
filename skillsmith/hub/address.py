"""Where a hub is: an address that is printed and kept without its password.

A password is taken from the environment or from ``~/.pgpass``, never from the command line, where other
users of the machine and the shell's history see it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from skillsmith.errors import ExecutionError, UsageError

VARIABLE = "SKILLSMITH_HUB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a hub is.

    Args:
        url: As it was given, maybe with a password.
        shown: The same without one, for people.
    """

    url: str = field(repr=False)
    shown: str


def find_address(given: str | None) -> Address:
    """Return where the hub is: what ``--hub`` says, else what the environment says.

    Raises:
        ExecutionError: The driver is not installed.
        UsageError: No hub is named, it is not an address, or ``--hub`` holds a password.
    """
    url = given or os.environ.get(VARIABLE, "")
    if not url.strip():
        raise UsageError(
            "no hub is named",
            hint=f"give --hub postgresql://HOST/DATABASE or set {VARIABLE}; `skillsmith hub try` starts one",
        )
    parts = _parts(url, named="--hub" if given else VARIABLE)
    if given and parts.get("password"):
        raise UsageError(
            "a password does not belong on the command line, where others see it",
            hint=f"put the whole address into {VARIABLE}, or the password into PGPASSWORD or ~/.pgpass",
        )
    return Address(url=url, shown=_shown(parts))


def _parts(url: str, *, named: str) -> dict[str, Any]:
    psycopg = driver()
    try:
        return dict(psycopg.conninfo.conninfo_to_dict(url))
    except psycopg.ProgrammingError:  # what it says may quote a password
        raise UsageError(
            f"{named} holds no address of a PostgreSQL server", hint="write postgresql://USER@HOST/DATABASE"
        ) from None


def _shown(parts: dict[str, Any]) -> str:
    user, host, port = (str(parts.get(name) or "") for name in ("user", "host", "port"))
    at, colon = "@" if user else "", ":" if port else ""
    if host.startswith("/"):
        return f"postgresql://{user}{at}/{parts.get('dbname') or ''}?host={host}"
    return f"postgresql://{user}{at}{host}{colon}{port}/{parts.get('dbname') or ''}"


def driver() -> Any:
    """Return the PostgreSQL driver (60 ms to import; only the hub needs it).

    Raises:
        ExecutionError: It is not installed.
    """
    try:
        import psycopg  # noqa: PLC0415  (an extra)
        import psycopg.conninfo  # noqa: PLC0415
    except ImportError as error:
        raise ExecutionError(
            "a hub needs the PostgreSQL driver psycopg", hint="pip install 'skillsmith-cli[hub]'"
        ) from error
    return psycopg
