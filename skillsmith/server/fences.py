"""What a request names on disk is below the folder that the server was started with, or it is refused.

Whether a file elsewhere exists is not told either: the fence comes before anything looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from skillsmith.errors import RefusedError, UsageError
from skillsmith.models import Json, Skill


def work_folder(root: Path, name: str | None) -> str | None:
    """Return a work folder below the server's, or None for a new one.

    Args:
        root: The server's folder.
        name: As asked for.

    Raises:
        RefusedError: It would be somewhere else.
    """
    if name is None:
        return None
    base = root.resolve()
    try:
        chosen = (base / name).resolve()
    except (OSError, ValueError) as error:  # a NUL, a loop of links
        raise UsageError(f"{name[:80]!r} is no folder", hint="give a plain relative path") from error
    if chosen == base or not chosen.is_relative_to(base):
        raise RefusedError(
            f"the work folder {name[:80]!r} is outside the server's", hint="give a relative path without .."
        )
    return str(chosen)


def refuse_outside(skill: Skill, values: Mapping[str, Json], *, root: Path) -> None:
    """Refuse files outside the server's folder that a request names for an input of the type path.

    Args:
        skill: What is to be executed.
        values: Of its inputs, by name: those that the request gave; what a skill has by itself is its own.
        root: The server's folder.

    Raises:
        RefusedError: One is outside.
    """
    base = root.resolve()
    for variable in skill.variables:
        value = values.get(variable.name)
        if variable.type == "path" and isinstance(value, str) and not _is_inside(base, value):
            raise RefusedError(
                f"input {variable.name!r} names {value[:200]!r}, outside the server's folder",
                hint="put the file into the folder that the server was started with",
            )


def _is_inside(base: Path, value: str) -> bool:
    try:
        return (base / Path(value).expanduser()).resolve().is_relative_to(base)
    except (OSError, RuntimeError, ValueError):  # a loop of links, a home of nobody, a NUL
        return False
