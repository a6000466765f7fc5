"""Skills as tools of their own: those that the user offers and that can be run here, as they are now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from skillsmith.mcp_server import schemas
from skillsmith.mcp_server.running import run_skill, why_not
from skillsmith.mcp_server.settings import RUNNABLE
from skillsmith.mcp_server.tools import ToolSpec
from skillsmith.mcp_server.visit import Answer, Arguments, Visit
from skillsmith.models import Skill

PREFIX: Final = "skill_"


def offered(visit: Visit, *, after: str | None, limit: int) -> tuple[list[ToolSpec], str | None]:
    """Return a page of the skills that are tools of their own, and the name to go on after.

    Args:
        visit: The call's.
        after: Name of the last one seen.
        limit: At most so many.
    """
    found: list[ToolSpec] = []
    for skill in _candidates(visit, after):
        if len(found) == limit:
            return found, found[-1].name.removeprefix(PREFIX)
        found.append(_spec(skill))
    return found, None


def tool_of(visit: Visit, name: str) -> ToolSpec | None:
    """Return a skill as a tool, by the tool's name; None when it is not offered."""
    skill_name = name.removeprefix(PREFIX)
    if skill_name == name or not visit.workspace.skills.exists(skill_name):
        return None
    skill = _version(visit, skill_name)
    return None if skill is None or not _is_offered(visit, skill) else _spec(skill)


def _candidates(visit: Visit, after: str | None) -> Iterator[Skill]:
    choice = visit.settings.offered
    if choice.everything:
        names = (one.name for one in visit.workspace.skills.list(after=after) if one.state in RUNNABLE)
    else:
        bare = sorted({name.partition("@")[0] for name in choice.named})
        skills = visit.workspace.skills
        names = (name for name in bare if (after is None or name > after) and skills.exists(name))
    for name in names:
        skill = _version(visit, name)
        if skill is not None and _is_offered(visit, skill):
            yield skill


def _version(visit: Visit, name: str) -> Skill | None:
    """Return the version that is offered: the pinned one, where the user pinned one, else the current."""
    choice, skills = visit.settings.offered, visit.workspace.skills
    pinned = [ref for ref in choice.named if ref.startswith(f"{name}@")]
    ref = max(pinned, key=lambda one: int(one.partition("@")[2])) if pinned else name
    return skills.get(ref) if skills.has(ref) else None


def _is_offered(visit: Visit, skill: Skill) -> bool:
    return visit.settings.offered.holds(skill) and why_not(visit, skill) is None


def _spec(skill: Skill) -> ToolSpec:
    ref = f"{skill.name}@{skill.version}"

    def call(visit: Visit, arguments: Arguments) -> Answer:
        return run_skill(visit, {"name": ref, "inputs": dict(arguments)})

    writes = any(node.effect == "write" for node in skill.nodes)
    return ToolSpec(
        name=f"{PREFIX}{skill.name}", title=skill.name, about=_about(skill), call=call, long=True,
        takes=schemas.inputs_of(skill), gives=schemas.run_gives(schemas.outputs_of(skill)),
        reads=not writes, destroys=writes, reaches_out=True,
    )  # fmt: skip


def _about(skill: Skill) -> str:
    about = skill.description.strip() or skill.name
    pattern = f" For tasks like: {skill.task_pattern.strip()}" if skill.task_pattern.strip() else ""
    return f"{about} (skill {skill.name}@{skill.version}, {skill.state}.){pattern}"[:1000]
