"""What a server offers and what it may run, decided once by the user who starts it, never by a client."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from skillsmith.errors import RefusedError, UntrustedError, UsageError
from skillsmith.library.program.graph import build_graph
from skillsmith.library.program.validation import REFERENCE
from skillsmith.models import Skill, SkillState
from skillsmith.workspace import Workspace

ALL: Final = "all"

RUNNABLE: Final[frozenset[SkillState]] = frozenset({"proven", "trusted"})
"""States in which a version may be run for other programs."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Skills that a user named: all, some by name, or single versions of them."""

    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str | None, *, option: str) -> Self:
        """Read ``all`` or ``NAME[@VERSION],…``.

        Args:
            text: What the user wrote; None: nothing.
            option: After which option, for messages.

        Raises:
            UsageError: One is not a skill's name.
        """
        names = [name.strip() for name in (text or "").split(",") if name.strip()]
        for name in names:
            if REFERENCE.fullmatch(name) is None:
                raise UsageError(
                    f"{option}: {name!r} cannot be a skill's name",
                    hint=f"write {option} a,b@2 or {option} all",
                )
        return cls(frozenset(names))

    @property
    def everything(self) -> bool:
        """Whether all skills are chosen."""
        return ALL in self.names

    @property
    def named(self) -> tuple[str, ...]:
        """The names that were given, without ``all``."""
        return tuple(sorted(self.names - {ALL}))

    def holds(self, skill: Skill) -> bool:
        """Tell whether a version is among them."""
        return not self.names.isdisjoint({ALL, skill.name, f"{skill.name}@{skill.version}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One server.

    Args:
        db: The skillsmith file.
        allowed: Skills that clients may run.
        offered: Skills that are tools of their own.
        tools: Where the tools of skills are, as after ``--tools``.
        work_dir: Folder in which each execution gets one of its own; None: ``./skillsmith-runs``.
        model: Instead of the model that the environment names.
        max_cost: Of the model calls of one execution, in USD.
        max_turns: Model calls of one execution.
    """

    db: str
    allowed: Choice = field(default_factory=Choice)
    offered: Choice = field(default_factory=Choice)
    tools: tuple[str, ...] = ()
    work_dir: Path | None = None
    model: str | None = None
    max_cost: float | None = None
    max_turns: int | None = None


def check(settings: Settings, workspace: Workspace) -> None:
    """Make sure that what the user named is there and fits together.

    Raises:
        NotFoundError: A skill is not in the library.
        UsageError: A skill is to be a tool of its own and may not be run.
    """
    for name in settings.allowed.named:
        workspace.skills.get(name)
    for name in settings.offered.named:
        skill = workspace.skills.get(name)
        if not settings.allowed.holds(skill):
            raise UsageError(
                f"--skills offers {name}, which clients may not run", hint=f"add --allow-run {name}"
            )
    if settings.offered.everything and not settings.allowed.names:
        raise UsageError("--skills all offers nothing: no skill may be run", hint="add --allow-run all")


def refuse_to_run(skill: Skill, settings: Settings, workspace: Workspace) -> None:
    """Refuse to run what the user has not allowed, and what nothing has proven yet, sub-skills included.

    Raises:
        UntrustedError: It, or a skill that it calls, is in quarantine.
        RefusedError: It may not be run here, or is a draft or retired.
    """
    for one in build_graph(skill, workspace.skills).skills.values():
        refuse_quarantined(one)
        _refuse_unproven(one)
    if not settings.allowed.holds(skill):
        raise RefusedError(
            f"this server may not run {skill.name}@{skill.version}",
            hint=f"its user can allow it: start it as `skillsmith mcp --allow-run {skill.name}`",
        )


def refuse_quarantined(skill: Skill) -> None:
    """Refuse to show or run what came from elsewhere: its words, too, would reach a model unread.

    Raises:
        UntrustedError: It is in quarantine.
    """
    if skill.state == "quarantined":
        ref = f"{skill.name}@{skill.version}"
        raise UntrustedError(
            f"skill {ref} came from elsewhere and nobody has looked at its code",
            hint=f"a person can read it with `skillsmith show {ref}`, and then `skillsmith trust {ref}`",
        )


def _refuse_unproven(skill: Skill) -> None:
    if skill.state not in RUNNABLE:
        raise RefusedError(
            f"skill {skill.name}@{skill.version} is {'a draft' if skill.state == 'draft' else skill.state}",
            hint="only proven and trusted skills are run for other programs",
        )
