"""What stands between a run and its skill: which runs are refused, and how a draft is proven.

A skill is ``proven`` when the highest proof that its node kinds allow has passed: of code that it was run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from skillsmith.errors import ExtractionError, UsageError
from skillsmith.library.code.tests import GivenTests
from skillsmith.library.extraction.polish import polished, unproven
from skillsmith.library.families.code_family import CodeFamily
from skillsmith.library.families.code_generalises import reconstructs_code, replays_code
from skillsmith.library.families.generalises import reconstructs_all
from skillsmith.library.families.perturbation import perturbed
from skillsmith.library.program.validation import NAME
from skillsmith.library.proof import Recorded, reconstructs, replays
from skillsmith.library.trace.align import TracedRun
from skillsmith.models import AgentRunner, FileSnapshot, Proof, Run, Skill


@dataclass(frozen=True, slots=True)
class SkillDraft:
    """A skill in the making, with what it can be proven by.

    Args:
        recorded: What its run did, by node.
        files: What lay in the run's work folder before.
        unsound: What is known to be wrong with it.
        proofs: Those of a family of runs, made already.
        family: The family of code runs that it is from.
        tests: What its program must pass.
        traced: The runs of a family of tool calls.
    """

    skill: Skill
    recorded: Mapping[str, Recorded]
    files: tuple[FileSnapshot, ...]
    unsound: tuple[str, ...]
    proofs: tuple[Proof, ...] = ()
    family: CodeFamily | None = None
    tests: GivenTests | None = None
    traced: tuple[TracedRun, ...] = ()


def proven(draft: SkillDraft, skill: Skill, *, replay: bool) -> Skill:
    """Prove a skill as far as it goes and return it with its proofs and state.

    Args:
        draft: What it was made from.
        skill: As it will be stored.
        replay: Whether its code may be run.
    """
    made = _proven(draft, skill, replay=replay)
    notes = skill.context_requirements.get("notes")
    if not notes:
        return made
    proofs = (replace(proof, detail={**proof.detail, "depends_on": list(notes)}) for proof in made.proofs)
    return replace(made, proofs=tuple(proofs))


def _proven(draft: SkillDraft, skill: Skill, *, replay: bool) -> Skill:
    if draft.family is not None:
        family = draft.family
        proofs = [reconstructs_code(family, skill), *([replays_code(family, skill)] if replay else [])]
        done = replay and all(proof.passed for proof in proofs)
        return replace(skill, proofs=(*proofs, *draft.proofs), state="proven" if done else "draft")
    if draft.proofs:  # of a family; what does not generalise still does what its own runs did
        proof = reconstructs_all(skill, draft.traced)
        return replace(skill, proofs=(proof, *draft.proofs[1:]), state="proven" if proof.passed else "draft")
    proofs = [reconstructs(skill, draft.recorded, known=draft.unsound)]
    has_code = any(node.kind == "code" for node in skill.nodes)
    if has_code and replay and proofs[0].passed:
        proofs.append(replays(skill, draft.recorded, draft.files, tests=draft.tests))
    complete = all(proof.passed for proof in proofs) and (len(proofs) > 1 or not has_code)
    further = perturbed(skill, draft.files) if len(proofs) > 1 and complete else None
    if further is not None and further.compared:  # a refused value proves nothing
        proofs.append(further)
    return replace(skill, proofs=tuple(proofs), state="proven" if complete else "draft")


def with_better_words(
    draft: SkillDraft,
    skill: Skill,
    agents: AgentRunner,
    *,
    fixed: Collection[str],
    taken: Callable[[str], bool],
    replay: bool,
) -> Skill:
    """Return a proven skill with the words that a model proposes, where it passes the same proofs with them.

    Args:
        draft: What it was made from.
        skill: Proven.
        agents: Asks the model.
        fixed: What the user has said: name, description, tags.
        taken: Whether the library has a skill of a name.
        replay: Whether its code may be run.
    """
    found = polished(skill, agents, fixed=fixed, taken=taken)
    if found.skill is skill:
        return replace(skill, why=(*skill.why, *found.reasons))
    again = proven(_named(draft, found.names), found.skill, replay=replay)
    if _verdicts(again) == _verdicts(skill) and again.state == skill.state:
        return replace(again, why=(*again.why, *found.reasons))
    _named(draft, {new: old for old, new in found.names.items()})
    failures = [text for proof in again.proofs for text in proof.failures]
    return unproven(skill, f"with the model's words: {(failures or ['it passes fewer proofs'])[0]}")


def _verdicts(skill: Skill) -> list[tuple[str, bool]]:
    return [(proof.level, proof.passed) for proof in skill.proofs]


def _named(draft: SkillDraft, names: Mapping[str, str]) -> SkillDraft:
    """Return what a skill was made from, with its inputs called by other names."""
    family = draft.family
    if family is None:
        return draft
    for one in family.spots.lifted.drafts:
        one.name = names.get(one.name, one.name)
    switches = {node: names.get(name, name) for node, name in family.switches.items()}
    return replace(draft, family=replace(family, switches=switches))


def refuse_name(name: str | None) -> None:
    """Refuse what is no skill name."""
    if name is not None and not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no skill name", hint="use lower-case letters, digits, - and _")


def refuse_unfit(run: Run) -> None:
    """Refuse a run that failed or is not over."""
    short = run.id[:13]
    if run.outcome == "failure":
        raise ExtractionError(
            f"run {short} failed ({run.outcome_reason or 'no reason given'});"
            " skills come from successful runs",
            hint=f"if it did succeed, say so with `skillsmith mark {short} --outcome success`",
        )
    if run.status == "running":
        raise ExtractionError(f"run {short} is still running", hint="wait until it has ended")


def step_range(steps: str) -> range | None:
    """Return the steps that a text like ``3-7`` names; None for all."""
    if steps == "all":
        return None
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", steps)
    if not found or int(found[2] or found[1]) < int(found[1]):
        raise UsageError(f"steps {steps!r} is no range", hint='use "all", "4" or "3-7"')
    return range(int(found[1]), int(found[2] or found[1]) + 1)
