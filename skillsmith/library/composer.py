"""New skills from proven ones: one after the other, side by side, or one of several under a condition.

The composed skill is an ordinary one whose nodes are skills, so it is matched, executed, exported, versioned
and composed again like any other. Everything that is wrong with a composition is said before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from skillsmith.db import Database
from skillsmith.errors import NearDuplicateError, UsageError
from skillsmith.library.composing.flow import condition_problems, flow_of
from skillsmith.library.composing.parts import PATTERNS, Pattern, read_parts
from skillsmith.library.composing.proof import can_replay, reconstructs, replays
from skillsmith.library.composing.skill import Plan, composed_skill, outputs_of
from skillsmith.library.composing.wiring import Wire, Wirer, parse_wires
from skillsmith.library.program.document import to_document
from skillsmith.library.program.graph import build_graph
from skillsmith.library.program.similarity import structure_digest
from skillsmith.library.program.validation import NAME, validate_skill
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Proof, Skill, Variable

if TYPE_CHECKING:
    from skillsmith.library.composing.chains import Chain
    from skillsmith.library.matcher import SkillMatcher

__all__ = ["Composition", "SkillComposer", "Wire"]

MAX_NAME_CHARS = 64
SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What a composition came to.

    Args:
        skill: As stored, with its proofs.
        wiring: Where each input of each part comes from, and why.
        problems: What keeps it a draft, one line each.
        duplicates: Skills of the library with the same structure: name, version, similarity.
    """

    skill: Skill
    wiring: tuple[Wire, ...]
    problems: tuple[str, ...] = ()
    duplicates: tuple[dict[str, Any], ...] = field(default=())

    @property
    def proof(self) -> Proof | None:
        """The proof that counts: the highest that passed, else the last."""
        passed = [proof for proof in self.skill.proofs if proof.passed]
        return next(reversed(passed or self.skill.proofs), None)


class SkillComposer:
    """Composes skills.

    Args:
        db: The connection.
        skills: The library.
        matcher: Gives the matcher, which finds the parts for a task.
    """

    def __init__(self, db: Database, skills: SkillRepository, *, matcher: Callable[[], SkillMatcher]) -> None:
        self._db = db
        self._skills = skills
        self._matcher = matcher

    def compose(  # noqa: PLR0913  (keyword-only options of one command)
        self,
        skills: Sequence[str],
        *,
        pattern: str = "sequential",
        name: str | None = None,
        when: str | Sequence[str] | None = None,
        wires: Sequence[str] = (),
        inputs: Sequence[Variable] = (),
        description: str = "",
        tags: Sequence[str] = (),
        public: bool = False,
        force: bool = False,
        replay: bool = True,
        allow_secrets: bool = False,
    ) -> Composition:
        """Make a skill of others, prove it and store it.

        Args:
            skills: ``NAME``, ``NAME@VERSION`` or ``LABEL=NAME@VERSION``, in their order.
            pattern: sequential, parallel or conditional.
            name: The new skill's name; a known name gets a new version.
            when: For conditional: an expression for each branch but the last, which may do without. It reads
                inputs of the whole by name, and results of parts: those it reads, and all before them, are
                done first, the rest are the branches.
            wires: By hand: ``PART.INPUT=PART.OUTPUT``, ``PART.INPUT=PART.INPUT`` for the same value,
                ``PART.INPUT=NAME`` for an input of the whole, ``PART.INPUT=`` for one of the same name.
            inputs: Further inputs of the whole, for conditions.
            description: Instead of one made of the parts'.
            tags: Instead of the parts'.
            public: Mark it as meant for sharing.
            force: Store it although the library has one of the same structure.
            replay: Run it for the proof, in a scratch folder, when all of it is code.
            allow_secrets: Keep it although something in it looks like a secret.

        Raises:
            NotFoundError: A part, or a skill that it calls, is not there.
            RefusedError: A part may not run, or is a draft.
            UsageError: It cannot be composed; says all that is wrong.
            NearDuplicateError: The library has it already under another name.
            SecretFoundError: It holds what looks like a secret.
        """
        conditions = (when,) if isinstance(when, str) else tuple(when or ())
        plan = self.plan(skills, pattern=pattern, name=name, when=conditions, wires=wires, inputs=inputs)
        skill = replace(self._sound(plan, description=description, tags=tags), is_public=public)
        duplicates = self._admit(skill, force=force, allow_secrets=allow_secrets)
        proven = self._proven(skill, plan, replay=replay)
        problems = tuple(failure for proof in proven.proofs for failure in proof.failures)
        if not problems and proven.state == "draft":
            problems = ("its code was not run: compose it with --replay",)
        return Composition(
            skill=self._skills.add(proven), wiring=plan.wires, problems=problems, duplicates=duplicates
        )

    def _sound(self, plan: Plan, *, description: str, tags: Sequence[str]) -> Skill:
        """Return the skill of a plan.

        Raises:
            UsageError: The plan has problems, or the skill would.
        """
        if plan.problems:
            raise _not_composed(plan)
        skill = composed_skill(plan, description=description, tags=tags)
        unsound = validate_skill(skill)
        if unsound:
            raise _not_composed(replace(plan, problems=tuple(unsound)))
        build_graph(skill, self._skills)  # refuses what would be too large or too deep
        return skill

    def plan(
        self,
        skills: Sequence[str],
        *,
        pattern: str = "sequential",
        name: str | None = None,
        when: Sequence[str] = (),
        wires: Sequence[str] = (),
        inputs: Sequence[Variable] = (),
    ) -> Plan:
        """Return how skills would be composed, with all that is wrong; stores nothing. See ``compose``.

        Raises:
            NotFoundError: A part, or a skill that it calls, is not there.
            RefusedError: A part may not run, or is a draft.
            UsageError: The pattern or the name is not one, or a part contains the whole.
        """
        way = _pattern(pattern)
        title = _name(name, skills)
        parts = read_parts(skills, self._skills, name=title)
        flow = flow_of(parts, way, when)
        given, problems = parse_wires(wires)
        wirer = Wirer(parts, before=flow.before, given=given, inputs=inputs)
        wired, variables = wirer.run()
        return Plan(
            name=title, pattern=way, when=tuple(when), parts=parts, flow=flow, wires=wired,
            variables=variables,
            problems=(
                *flow.problems, *problems, *_doubled(inputs), *wirer.problems,
                *condition_problems(parts, when, variables), *outputs_of(parts, way).problems,
            ),
        )  # fmt: skip

    def _admit(self, skill: Skill, *, force: bool, allow_secrets: bool) -> tuple[dict[str, Any], ...]:
        """Refuse what may not be stored unasked; return what the library has of the same structure."""
        if not allow_secrets:
            self._skills.clearance.refuse_secrets([(skill.name, to_document(skill))])
        duplicates = tuple(
            {"name": name, "version": version, "similarity": 1.0}
            for name, version in self._skills.with_structure(structure_digest(skill))
            if name != skill.name
        )
        if duplicates and not force:
            raise NearDuplicateError(
                f"skill {duplicates[0]['name']!r} is composed the same way",
                hint=f"give --name {duplicates[0]['name']} for a new version of it, or --force to keep both",
            )
        return duplicates

    def _proven(self, skill: Skill, plan: Plan, *, replay: bool) -> Skill:
        """Return the skill with its proofs: proven when the highest that its nodes allow has passed."""
        proofs = [reconstructs(skill, plan, skills=self._skills, db=self._db)]
        all_code = can_replay(build_graph(skill, self._skills))
        if all_code and replay and proofs[0].passed:
            proofs.append(replays(skill, plan, skills=self._skills))
        complete = all(proof.passed for proof in proofs) and (len(proofs) > 1 or not all_code)
        return replace(skill, proofs=tuple(proofs), state="proven" if complete else "draft")

    def compose_skills(
        self, skill_ids: Sequence[str], composition_pattern: str = "sequential", name: str | None = None
    ) -> Skill:
        """Make a skill of others and return it as stored: the specification's name for ``compose``."""
        return self.compose(skill_ids, pattern=composition_pattern, name=name).skill

    def find_composable_skills(
        self, task: str, *, limit: int = 3, min_confidence: float | None = None
    ) -> list[Chain]:
        """Return chains of skills that together do a task which none of them does alone, best first.

        Args:
            task: What is to be done, in words.
            limit: At most so many chains.
            min_confidence: The least confidence in each link; None: the library's own threshold.

        Raises:
            UsageError: The task is empty.
        """
        from skillsmith.library.composing.chains import find_chains  # noqa: PLC0415  (loads the matcher)

        return find_chains(task, self._matcher(), limit=limit, min_confidence=min_confidence)


def _pattern(text: str) -> Pattern:
    for pattern in PATTERNS:
        if pattern == text:
            return pattern
    raise UsageError(f"there is no pattern {text!r}", hint=f"use one of {', '.join(PATTERNS)}")


def _name(name: str | None, skills: Sequence[str]) -> str:
    words = (reference.rpartition("=")[2].partition("@")[0].strip() for reference in skills)
    chosen = "_".join(words)[:MAX_NAME_CHARS].strip("_") if name is None else name
    if not NAME.fullmatch(chosen):
        raise UsageError(f"{chosen!r} is no skill name", hint="use lower-case letters, digits, - and _")
    return chosen


def _doubled(inputs: Sequence[Variable]) -> list[str]:
    names = [variable.name for variable in inputs]
    return [f"the input {name} is declared twice" for name in dict.fromkeys(names) if names.count(name) > 1]


def _not_composed(plan: Plan) -> UsageError:
    problems = list(dict.fromkeys(plan.problems))
    more = f"; and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    parts = ", ".join(part.label for part in plan.parts)
    return UsageError(f"{parts} cannot be composed: {'; '.join(problems[:SHOWN_PROBLEMS])}{more}")
