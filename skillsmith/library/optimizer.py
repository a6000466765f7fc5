"""Improve skills from their own executions: propose, prove, compare, and only then make a new version.

The detectors are pure: from the ledger's facts to proposals. The gate decides by running both versions on
recorded inputs. A version that is made has everything accepted in it and says where it came from; what was
rejected is remembered and not proposed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from skillsmith.db import Database
from skillsmith.errors import RefusedError, SkillsmithError, UntrustedError, UsageError
from skillsmith.library.optimizing.gate import BUDGET_SECONDS, Gate, proven
from skillsmith.library.optimizing.rules import Verdict
from skillsmith.library.proposing.edits import apply_change, changed_nodes
from skillsmith.library.proposing.facts import FactReader, Facts
from skillsmith.library.proposing.flow import computed_twice, side_by_side
from skillsmith.library.proposing.guards import known_failures
from skillsmith.library.proposing.inputs import changed_constants, changed_literals, new_defaults
from skillsmith.library.proposing.nodes import left_out, mended_alike, put_in
from skillsmith.library.proposing.prompts import shorter_prompts
from skillsmith.library.proposing.proposals import MIN_EXECUTIONS, Proposal
from skillsmith.library.proposing.rows import ProposalRows, Remembered
from skillsmith.library.repository import SkillRepository
from skillsmith.library.versions import SkillVersionManager
from skillsmith.models import AgentRunner, Json, Proof, Skill, ToolSource

MAX_CHANGED_SHARE = 0.5
"""Of a skill's nodes that one optimisation may change, at least ``MIN_CHANGED`` of them."""

MIN_CHANGED = 2

_LINEAGE_IDS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What a skill's history says.

    Args:
        executions: Finished ones of the version that were looked at.
        enough: Whether these are enough to propose anything.
        proposals: Best first.
        withheld: Proposals that were rejected or made before, by fingerprint.
        notes: What could not be looked at.
    """

    skill: str
    version: int
    executions: int
    enough: bool
    proposals: tuple[Proposal, ...] = ()
    withheld: tuple[Remembered, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """What became of a skill's proposals.

    Args:
        proposals: All that there were.
        applied: Those that are in the new version.
        version: Its number; None: none was made.
        verdict: Of the new version as a whole, or of the last proposal that was looked at.
        verdicts: Of each proposal that was looked at, by fingerprint.
    """

    skill: str
    from_version: int
    proposals: tuple[Proposal, ...]
    applied: tuple[Proposal, ...] = ()
    version: int | None = None
    verdict: Verdict | None = None
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    executions: int = 0
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Json]:
        """Return it as JSON."""
        made = {one.fingerprint for one in self.applied}
        verdicts = self.verdicts
        return {
            "skill": self.skill, "from_version": self.from_version, "executions": self.executions,
            "proposals": [
                {
                    **one.document(), "applied": one.fingerprint in made,
                    "verdict": verdicts[one.fingerprint].document() if one.fingerprint in verdicts else None,
                }
                for one in self.proposals
            ],
            "applied": [one.fingerprint for one in self.applied], "version": self.version,
            "verdict": self.verdict and self.verdict.document(), "notes": list(self.notes),
        }  # fmt: skip


class SkillOptimizer:
    """Proposes and makes better versions of skills.

    Args:
        db: The connection.
        skills: The library.
        versions: Makes versions.
        tools: Where a comparison makes reads for real; None: the record answers them.
        agents: The model, for prompts and for questions that the record does not hold.
        budget_seconds: About how long one comparison may take.
    """

    def __init__(
        self,
        db: Database,
        skills: SkillRepository,
        versions: SkillVersionManager,
        *,
        tools: ToolSource | None = None,
        agents: AgentRunner | None = None,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        self._skills = skills
        self._versions = versions
        self._reader = FactReader(db)
        self._rows = ProposalRows(db)
        self._agents = agents
        self._gate = Gate(db, tools=tools, agents=agents, budget_seconds=budget_seconds)

    # --------------------------------------------------------------------------------------- proposing

    def analyze_skill(self, name: str, *, min_executions: int = MIN_EXECUTIONS) -> Analysis:
        """Return what the executions of a skill's current version suggest.

        Args:
            name: The skill, or one version of it.
            min_executions: Fewer finished executions suggest nothing.

        Raises:
            NotFoundError: There is no such skill.
            UsageError: The number makes no sense.
        """
        return self._analysed(self._facts(name, min_executions), min_executions)

    def _facts(self, name: str, min_executions: int) -> Facts:
        if min_executions < 1:
            raise UsageError(
                f"{min_executions} executions suggest nothing", hint="give --min-executions 1 or more"
            )
        return self._reader.read(self._skills.get(name))

    def _analysed(self, facts: Facts, min_executions: int) -> Analysis:
        skill, notes = facts.skill, list[str]()
        found: list[Proposal] = []
        enough = len(facts.uses) >= min_executions
        if enough:
            found = [
                replace(one, skill=skill.name, version=skill.version)
                for one in self._detected(facts, notes)
                if _fits(skill, one, notes)
            ]
        known = self._rows.of(skill.name)
        withheld = [known[one.fingerprint] for one in found if self._is_settled(one, known)]
        found = _in_turn([one for one in found if not self._is_settled(one, known)], notes)
        return Analysis(
            skill=skill.name, version=skill.version, executions=len(facts.uses), enough=enough,
            proposals=tuple(sorted(found, key=_promise, reverse=True)), withheld=tuple(withheld),
            notes=tuple(notes),
        )  # fmt: skip

    def _detected(self, facts: Facts, notes: list[str]) -> Iterator[Proposal]:
        yield from new_defaults(facts)
        yield from changed_constants(facts)
        yield from changed_literals(facts)
        yield from mended_alike(facts)
        yield from left_out(facts, self._reader)
        yield from put_in(facts)
        yield from computed_twice(facts)
        yield from side_by_side(facts)
        yield from known_failures(facts, self._reader)
        yield from shorter_prompts(facts, self._agents, notes)

    def _is_settled(self, proposal: Proposal, known: Mapping[str, Remembered]) -> bool:
        """Whether a proposal was rejected, or is part of a version that is still there."""
        before = known.get(proposal.fingerprint)
        if before is None or before.status == "open":
            return False
        made = f"{proposal.skill}@{before.new_version}"
        return before.status == "rejected" or self._skills.has(made)

    def proposals(self, name: str, *, min_executions: int = MIN_EXECUTIONS) -> tuple[Proposal, ...]:
        """Return the open proposals for a skill, best first; see ``analyze_skill``."""
        return self.analyze_skill(name, min_executions=min_executions).proposals

    def analyze_skill_executions(
        self, skill_id: str, min_executions: int = MIN_EXECUTIONS
    ) -> dict[str, Json]:
        """Return what a skill's executions suggest, as JSON: the specification's name."""
        found = self.analyze_skill(skill_id, min_executions=min_executions)
        return {
            "skill": found.skill, "version": found.version, "executions": found.executions,
            "enough": found.enough, "proposals": [one.document() for one in found.proposals],
            "withheld": [one.fingerprint for one in found.withheld], "notes": list(found.notes),
        }  # fmt: skip

    def recommend_optimizations(self, skill_id: str) -> list[dict[str, Json]]:
        """Return the open proposals as JSON: the specification's name."""
        return [one.document() for one in self.proposals(skill_id)]

    # ---------------------------------------------------------------------------------------- applying

    def create_optimized_version(self, skill_id: str, optimizations: Sequence[Mapping[str, Any]]) -> Skill:
        """Make a version with some of the recommended optimisations, as far as the gate accepts them.

        Args:
            skill_id: The skill.
            optimizations: As ``recommend_optimizations`` returns them.

        Raises:
            RefusedError: The gate accepted none.
        """
        chosen = [str(one.get("fingerprint")) for one in optimizations]
        made = self.optimize(skill_id, apply=True, chosen=chosen)
        if made.version is None:
            why = made.verdict.reason if made.verdict else "none of them is proposed"
            raise RefusedError(f"no version of {made.skill} was made: {why}")
        return self._skills.get(f"{made.skill}@{made.version}")

    def optimize(
        self,
        name: str,
        *,
        apply: bool = False,
        min_executions: int = MIN_EXECUTIONS,
        chosen: Sequence[str] = (),
        reason: str = "",
    ) -> Optimization:
        """Propose changes to a skill, and make the next version of those that pass the gate.

        Args:
            name: The skill.
            apply: Whether to make a version; else proposals are only returned.
            min_executions: Fewer finished executions suggest nothing.
            chosen: Numbers (from 1), kinds, ``KIND:TARGET`` or fingerprints; none: all.
            reason: The user's, kept with the version.

        Raises:
            NotFoundError: There is no such skill.
            UsageError: A choice names no proposal.
            RefusedError: The skill is in quarantine or retired, and nothing of it may be run.
        """
        facts = self._facts(name, min_executions)
        found = self._analysed(facts, min_executions)
        wanted = choose(found.proposals, chosen)
        base = Optimization(
            skill=found.skill, from_version=found.version, proposals=found.proposals,
            executions=found.executions, notes=found.notes,
        )  # fmt: skip
        if not apply:
            return base
        _refuse_unusable(facts.skill)
        return self._applied(base, facts, wanted, reason)

    def _applied(
        self, base: Optimization, facts: Facts, wanted: Sequence[Proposal], reason: str
    ) -> Optimization:
        best, taken = facts.skill, list[Proposal]()
        verdicts: dict[str, Verdict] = {}
        proofs: tuple[Proof, ...] = ()
        for proposal in wanted:
            child, verdict, given = self._tried(facts, best, taken, proposal)
            verdicts[proposal.fingerprint] = verdict
            if verdict.decision == "accepted":
                best, proofs = child, given
                taken.append(proposal)
            else:
                status = "rejected" if verdict.decision == "rejected" else "open"
                self._rows.keep(proposal, status=status, verdict=verdict.document(), reason=reason)
        last = verdicts[wanted[-1].fingerprint] if wanted else None
        if not taken:
            return replace(base, verdicts=verdicts, verdict=last)
        verdict = verdicts[taken[0].fingerprint]
        if len(taken) > 1:  # each was compared with the one before: now all of them with the parent
            verdict, proofs = self._gate.judge(facts, best, taken)
        if verdict.decision != "accepted":
            return replace(base, verdicts=verdicts, verdict=verdict)
        version = self._made(proven(best, proofs), taken, verdict, verdicts, reason)
        return replace(base, applied=tuple(taken), version=version, verdict=verdict, verdicts=verdicts)

    def _tried(
        self, facts: Facts, best: Skill, taken: Sequence[Proposal], proposal: Proposal
    ) -> tuple[Skill, Verdict, tuple[Proof, ...]]:
        """Return a version with one more change, and what the gate says of it."""
        try:
            child = apply_change(best, proposal.change)
        except SkillsmithError as error:  # it does not go together with what was accepted before
            return best, Verdict(decision="undecided", reason=error.message), ()
        changed, limit = len(changed_nodes(facts.skill, child)), edit_limit(facts.skill)
        if changed > limit:
            reason = (
                f"one optimisation changes {limit} nodes of this skill at most: left for the next version"
            )
            return best, Verdict(decision="undecided", reason=reason), ()
        verdict, proofs = self._gate.judge(facts, child, [proposal], parent=best, before=taken)
        return child, verdict, proofs

    def _made(
        self,
        child: Skill,
        taken: Sequence[Proposal],
        verdict: Verdict,
        verdicts: Mapping[str, Verdict],
        reason: str,
    ) -> int:
        """Store the version, make it current, and remember its proposals: all of it or nothing."""
        executions = dict.fromkeys(one for made in taken for one in made.evidence.get("execution_ids", ()))
        changes = [{"kind": one.kind, "target": one.target, "fingerprint": one.fingerprint} for one in taken]
        lineage = {"executions": list(executions)[:_LINEAGE_IDS], "proposals": changes}
        what = "; ".join(f"{one.kind} {one.target}" for one in taken)
        with self._skills.transaction():
            stored = self._versions.create_version(
                child, reason=reason or f"optimized: {what} ({verdict.reason})"[:500], lineage=lineage,
                make_current=True,
            )  # fmt: skip
            for one in taken:
                self._rows.keep(
                    one, status="applied", verdict=verdicts[one.fingerprint].document(),
                    new_version=stored.version, reason=reason,
                )  # fmt: skip
        return stored.version


def _fits(skill: Skill, proposal: Proposal, notes: list[str]) -> bool:
    """Whether a proposal can be carried out at all."""
    try:
        apply_change(skill, proposal.change)
    except SkillsmithError as error:
        notes.append(f"{proposal.kind} {proposal.target} cannot be made: {error.message}")
        return False
    return True


def _in_turn(proposals: Sequence[Proposal], notes: list[str]) -> list[Proposal]:
    """Leave out a new order while some node is to go: what is computed once need not run beside itself."""
    if not any(one.kind == "reuse_result" for one in proposals):
        return list(proposals)
    if any(one.kind == "run_together" for one in proposals):
        notes.append("a new order is looked at once no node computes again what another has computed")
    return [one for one in proposals if one.kind != "run_together"]


def _promise(proposal: Proposal) -> tuple[float, float]:
    """Return how much a proposal promises: time or cost saved, then how sure it is."""
    expected = proposal.expected
    gains = (expected.get("share"), expected.get("success"), expected.get("inputs"))
    return max((float(one) for one in gains if one), default=0.0), float(proposal.evidence.get("low") or 0.0)


def edit_limit(skill: Skill) -> int:
    """Return how many nodes of a skill one optimisation may change."""
    return max(MIN_CHANGED, ceil(MAX_CHANGED_SHARE * len(skill.nodes)))


def choose(proposals: Sequence[Proposal], chosen: Sequence[str]) -> list[Proposal]:
    """Return the proposals that were named, in their order.

    Args:
        proposals: In the order that they are shown in.
        chosen: Numbers from 1, kinds, ``KIND:TARGET`` or fingerprints; none: all.

    Raises:
        UsageError: One names none of them.
    """
    if not chosen:
        return list(proposals)
    wanted: set[int] = set()
    for name in chosen:
        found = {place for place, one in enumerate(proposals) if _is_named(name, place + 1, one)}
        if not found:
            known = ", ".join(f"{place} {one.kind}" for place, one in enumerate(proposals, 1)) or "none"
            raise UsageError(f"there is no proposal {name!r}", hint=f"there are: {known}")
        wanted |= found
    return [one for place, one in enumerate(proposals) if place in wanted]


def _is_named(name: str, number: int, proposal: Proposal) -> bool:
    names = (str(number), proposal.kind, f"{proposal.kind}:{proposal.target}", proposal.fingerprint)
    return name in names


def _refuse_unusable(skill: Skill) -> None:
    ref = f"{skill.name}@{skill.version}"
    if skill.state == "quarantined":
        raise UntrustedError(
            f"skill {ref} came from elsewhere and nobody has looked at its code",
            hint=f"look at it, then `skillsmith trust {ref}`",
        )
    if skill.state == "retired":
        raise RefusedError(f"skill {ref} is retired", hint="optimize another version of it")
