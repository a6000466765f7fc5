"""Proofs over several runs of code: the skill regenerates each run's code, and that of a run it never saw.

``reconstructs``: with a run's own values the templates give its code back. ``generalises`` leaves one run
out at a time: the code made from the others, with the values of that run, must be its code. "The same" is
the exact text, or the same program in another layout or with other names of its own; which is in the proof.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from skillsmith.errors import ExtractionError, SkillsmithError
from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.nodes import SEPARATOR
from skillsmith.library.code.tests import given_tests
from skillsmith.library.families.code_columns import CodedRun, changes_nothing, pairs_with
from skillsmith.library.families.code_family import CodeFamily, blocks_of, code_family, recorded_of
from skillsmith.library.families.code_skeleton import first_line, same_code
from skillsmith.library.families.code_spots import literal_value
from skillsmith.library.program.conditions import Surroundings, holds
from skillsmith.library.proof import defaults_of, replays, template_values
from skillsmith.library.templates import render
from skillsmith.library.trace.results import as_exact
from skillsmith.models import Json, Node, Proof, Skill

MAX_LEFT_OUT = 30
"""Of a larger family only so many runs are left out in turn, evenly chosen; the proof says how many."""

MAX_REPLAYED = 5
"""Runs of a family whose code is run anew with their values; the proof says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFit:
    """How a family's skill does with a run.

    Args:
        inputs: The values that the run has for its inputs.
        said: Names of those that people said in the run.
        given: Names of those that only its code has.
        blocks: The run's blocks by node.
        equal: In what sense the code is the same: exact, formatting or names.
        problem: Why it is not; None when it is.
    """

    inputs: Mapping[str, Json] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    blocks: Mapping[str, Sequence[Facts]] = field(default_factory=dict)
    equal: str | None = None
    problem: str | None = None


def fit_code(family: CodeFamily, run: CodedRun) -> CodeFit:
    """Find the inputs with which a family's skill has the code of a run, and compare it.

    Args:
        family: The family; the run may be one of it or another.
        run: The run.
    """
    columns, base = family.line.columns, family.base
    members = dict(pairs_with([base.shape(one.facts).key for one in columns], run))
    problem = _missing(family, members) or _further(family, run, members)
    if problem:
        return CodeFit(problem=problem)
    values, conflict = _values(family, run, members)
    blocks = blocks_of(family, members)
    asked = {name: node in blocks for node, name in family.switches.items()}
    inputs = {**defaults_of(family.skill), **values, **asked}
    said = tuple(name for name, value in values.items() if run.said(value))
    given = tuple(name for name in values if name not in said)
    fit = CodeFit(inputs=inputs, said=said, given=given, blocks=blocks, problem=conflict)
    return fit if conflict else _compared(family, run, fit)


def _missing(family: CodeFamily, members: Mapping[int, Facts]) -> str | None:
    for place, column in enumerate(family.line.columns):
        if place not in members and column.facts.seq not in family.line.alone:
            return f"the run does not do “{first_line(column.facts)}”, which the skill always does"
    return None


def _further(family: CodeFamily, run: CodedRun, members: Mapping[int, Facts]) -> str | None:
    """Return what else the run changes; what only looks, or is known to be left out, is nothing."""
    taken = {facts.seq for facts in members.values()}
    for facts in run.kept:
        known = facts.seq in taken or run.shape(facts).key in family.line.dropped
        if not known and not changes_nothing(facts):
            return f"the run also does “{first_line(facts)}”"
    return None


def _values(
    family: CodeFamily, run: CodedRun, members: Mapping[int, Facts]
) -> tuple[dict[str, Json], str | None]:
    """Return what stands at each input's places; a problem when two places of one input differ."""
    values: dict[str, Json] = {}
    for spot in family.spots.spots:
        if spot.column not in members:
            continue
        name = spot.draft.name
        text = literal_value(run, run.shape(members[spot.column]).literals[spot.literal])
        value = spot.value_in(text)
        if value is None and text is not None:
            return values, f"{name}: {text!r} is not {spot.before!r} + a value + {spot.after!r}"
        if name in values and as_exact(values[name]) != as_exact(value):
            return values, f"{name} would have to be both {values[name]!r} and {value!r}"
        values[name] = value
    return values, None


def _compared(family: CodeFamily, run: CodedRun, fit: CodeFit) -> CodeFit:
    senses: Counter[str] = Counter()
    recorded = recorded_of(family, run, fit.blocks)
    for node in family.skill.nodes:
        if node.kind != "code" or node.template is None:
            continue
        try:
            if _is_done(node, fit.inputs) != (node.id in fit.blocks):
                return replace(fit, problem=f"{node.id}: {node.condition} is not what the run went by")
            if node.id not in fit.blocks:
                continue
            values = template_values(node, fit.inputs, {}) | dict(recorded[node.id].places)
            made = render(node.template, values, language=node.language)
        except SkillsmithError as error:
            return replace(fit, problem=f"{node.id}: {error.message}")
        wanted = SEPARATOR.join(one.block.text for one in fit.blocks[node.id])
        sense = same_code(made, wanted, language=node.language)
        if sense is None:
            return replace(fit, problem=f"{node.id}: {_difference(family, run, node, fit)}")
        senses[sense] += 1
    worst = next((one for one in ("names", "formatting", "exact") if senses[one]), None)
    return replace(fit, equal=worst)


def _is_done(node: Node, inputs: Mapping[str, Json]) -> bool:
    return node.condition is None or holds(node.condition, Surroundings(inputs=inputs))


def _difference(family: CodeFamily, run: CodedRun, node: Node, fit: CodeFit) -> str:
    """Say where a run's code is not what the skill makes of it."""
    lifted = {(spot.column, spot.literal) for spot in family.spots.spots}
    groups = {name: iter(group) for name, group in fit.blocks.items()}
    for place, column in enumerate(family.line.columns):
        name = family.node_of[place]
        if name != node.id or name not in groups:
            continue
        facts = next(groups[name])
        ours, theirs = family.base.shape(column.facts).literals, run.shape(facts).literals
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            fixed = literal_value(family.base, one), literal_value(run, other)
            if (place, index) not in lifted and as_exact(fixed[0]) != as_exact(fixed[1]):
                return f"line {other.line} has {fixed[1]!r}, the other runs all have {fixed[0]!r}"
    return "the code it makes is not the run's"


# -------------------------------------------------------------------------------------------------- proofs


def reconstructs_code(family: CodeFamily, skill: Skill) -> Proof:
    """Prove that the skill has the code of every run it was made from.

    Args:
        family: The family.
        skill: As it is stored.
    """
    began = time.time()
    family = replace(family, skill=skill)
    fits = [(run, fit_code(family, run)) for run in family.runs]
    failures = [f"{run.short}: {fit.problem}" for run, fit in fits if fit.problem]
    blocks = sum(len(group) for _, fit in fits for group in fit.blocks.values())
    senses = Counter(fit.equal for _, fit in fits if fit.equal)
    detail: dict[str, Json] = {"runs": len(fits), "code_blocks": blocks, "equal": dict(senses)}
    return Proof(
        level="reconstructs", passed=not failures and blocks > 0, compared=blocks, failures=tuple(failures),
        detail=detail, at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


def replays_code(family: CodeFamily, skill: Skill) -> Proof:
    """Prove that the skill's code, run with the values and files of its runs, does what it did in them.

    Args:
        family: The family.
        skill: As it is stored.
    """
    began = time.time()
    chosen = _spread(family.runs, MAX_REPLAYED)
    failures: list[str] = []
    compared, details = 0, []
    for run in chosen:
        fit = fit_code(replace(family, skill=skill), run)
        proof = replays(
            with_values(skill, fit.inputs), recorded_of(family, run, fit.blocks), run.before,
            tests=given_tests(run.run.metadata),
        )  # fmt: skip
        compared += proof.compared
        failures += [f"{run.short}: {failure}" for failure in proof.failures]
        details.append({"run": run.run.id, "passed": proof.passed, **proof.detail})
    return Proof(
        level="replays", passed=not failures and compared > 0, compared=compared, failures=tuple(failures),
        detail={"runs": len(chosen), "of": len(family.runs), "replayed": details}, at=began,
        duration_seconds=time.time() - began,
    )  # fmt: skip


def with_values(skill: Skill, inputs: Mapping[str, Json]) -> Skill:
    """Return a skill with these values as its defaults."""
    variables = tuple(
        replace(one, default=inputs[one.name]) if one.name in inputs else one for one in skill.variables
    )
    return replace(skill, variables=variables)


def generalises_code(runs: Sequence[CodedRun], failed: Sequence[CodedRun] = ()) -> Proof:
    """Prove that code made from all runs but one is that run's code, for each in turn.

    Args:
        runs: The family, at least two.
        failed: Runs of the family that failed.
    """
    began = time.time()
    found = [(run, _left_out(runs, run, failed)) for run in _spread(runs, MAX_LEFT_OUT)]
    failures = tuple(f"{run.short}: {fit.problem}" for run, fit in found if fit.problem)
    detail: dict[str, Json] = {
        "kind": "leave-one-run-out", "regenerated": len(found) - len(failures), "runs": len(runs),
        "tasks": len({run.task for run, _ in found}),
        "left_out": [
            {"run": run.run.id, "regenerated": fit.problem is None, "equal": fit.equal,
             "from_words": list(fit.said), "from_record": list(fit.given), "problem": fit.problem}
            for run, fit in found
        ],
    }  # fmt: skip
    return Proof(
        level="generalises", passed=not failures, compared=len(found), failures=failures, detail=detail,
        at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


def _left_out(runs: Sequence[CodedRun], run: CodedRun, failed: Sequence[CodedRun]) -> CodeFit:
    try:
        return fit_code(code_family([one for one in runs if one is not run], failed), run)
    except ExtractionError as error:
        return CodeFit(problem=f"the other runs give no skill: {error.message}")


def _spread(runs: Sequence[CodedRun], most: int) -> list[CodedRun]:
    step = max(len(runs) / most, 1.0)
    return [runs[number] for number in dict.fromkeys(int(at * step) for at in range(min(len(runs), most)))]
