"""Does code depend on its inputs? Its inputs are changed one by one, and what it does must change with them.

An input that the code only seems to use would look variable and not be. The code runs in a scratch folder, as
for a replay. A value that the code refuses says nothing either way and is noted as such.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from skillsmith.library.proof import Replayed, replayed
from skillsmith.models import FileSnapshot, Json, Proof, Skill, Variable

MAX_INPUTS = 6
"""Each costs up to five more runs of all code."""

MAX_SECONDS = 60.0
"""Of all runs together: what is not reached by then is noted as not tried."""


def perturbed(skill: Skill, files: Iterable[FileSnapshot]) -> Proof | None:
    """Prove that numbers and switches among a skill's inputs make a difference.

    Args:
        skill: Only its code nodes are run.
        files: What lay in the work folder before the run.

    Returns:
        None when the code has no such input.
    """
    chosen = _in_code(skill)
    if not chosen:
        return None
    began, files = time.time(), tuple(files)
    first, problem = replayed(skill, files)
    failures = [problem] if problem else []
    detail: dict[str, Json] = {"kind": "perturbation", "changed": [], "refused": [], "not_tried": []}
    for number, variable in enumerate(chosen):
        if problem or number >= MAX_INPUTS or time.time() - began > MAX_SECONDS:
            detail["not_tried"].append(variable.name)
            continue
        tried = _try(skill, variable, files, list(first.values()))
        if tried is None:
            detail["refused"].append(variable.name)
        elif tried["to"] is None:
            failures.append(f"{variable.name}: other values than {variable.default!r} change nothing")
        else:
            detail["changed"].append(tried)
    compared = len(detail["changed"]) + len(failures)
    return Proof(
        level="generalises", passed=not failures and compared > 0, compared=compared,
        failures=tuple(failures), detail=detail, at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


def _in_code(skill: Skill) -> list[Variable]:
    """Return the numbers and switches that stand in code."""
    used = {
        slot.variable
        for node in skill.nodes
        if node.kind == "code" and node.template
        for slot in node.template.slots
    }
    return [
        one for one in skill.variables if one.name in used and isinstance(one.default, (bool, int, float))
    ]


def _try(
    skill: Skill, variable: Variable, files: Sequence[FileSnapshot], first: Sequence[Replayed]
) -> dict[str, Json] | None:
    """Return which other value makes a difference, None for one when none does; None when all are refused."""
    accepted = False
    for value in _others(variable.default):
        after, refusal = replayed(_with(skill, variable, value), files)
        if refusal or any(one.timed_out or one.exit_code for one in after.values()):
            continue
        accepted = True
        if not _same(first, list(after.values())):
            return {"input": variable.name, "from": variable.default, "to": value}
    return {"input": variable.name, "from": variable.default, "to": None} if accepted else None


def _others(value: Json) -> list[Json]:
    """Return values that code is likely to take: near ones first, then far ones, as a limit may need."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        tried: list[Json] = [value + 1, value * 2, value // 2, value // 100, value * 100]
    else:
        tried = [value * 1.5, value / 2, 0.5, value / 100, value * 100]
    return [one for one in dict.fromkeys(tried) if one != value]


def _with(skill: Skill, variable: Variable, value: Json) -> Skill:
    variables = tuple(replace(one, default=value) if one is variable else one for one in skill.variables)
    return replace(skill, variables=variables)


def _same(first: Sequence[Replayed], second: Sequence[Replayed]) -> bool:
    """Whether two runs printed the same and left the same files."""
    return [(one.output, one.files) for one in first] == [(one.output, one.files) for one in second]
