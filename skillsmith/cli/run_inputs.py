"""Asking for the inputs that a task does not give, or gives so that it cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from skillsmith.cli.session import Session
from skillsmith.errors import UsageError
from skillsmith.models import Json, Skill


def ask_missing(session: Session, skill: Skill, plan: Mapping[str, Any]) -> dict[str, Json]:
    """Ask a person for each missing input; return the values by name, none where nobody can be asked.

    Args:
        session: The command's.
        skill: Whose inputs they are.
        plan: The skill's dry run.
    """
    if not session.interactive:
        return {}
    return {name: _asked(session, skill, name) for name in plan["missing"]}


def _asked(session: Session, skill: Skill, name: str) -> Json:
    """Ask until there is an answer that the input takes; a recorded value is offered, not taken unasked."""
    from skillsmith.library.program.inputs import as_setting, coerce, find_variable  # noqa: PLC0415  (the plan loaded it)

    variable = find_variable(skill, name)
    example = f" (it was {as_setting(variable.default)})" if variable.default is not None else ""
    while True:
        answer = typer.prompt(f"{name}{example}", err=True)
        try:
            return coerce(answer, variable)
        except UsageError as error:
            session.out.note(str(error))
