"""Proofs of a changed version, from the executions that suggested the change.

``reconstructs``: with the inputs and results of past executions it makes the very calls and code blocks that
they made, the changed ones included. ``replays``: run for real on their inputs, it gave what its parent gave.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from skillsmith.library.optimizing.trial import Trial
from skillsmith.library.proof import Recorded, reconstructs
from skillsmith.library.proposing.facts import Fact, Facts
from skillsmith.library.proposing.proposals import Proposal
from skillsmith.models import Json, Node, Proof, Skill

MAX_EXECUTIONS = 3

_RENEWING = frozenset({"template", "lift_literal", "lift_argument", "constant"})
"""Edits after which a node does what mending made of it in the executions."""


class Inputs(Protocol):
    """Gives the inputs of a past execution for a version."""

    def __call__(self, skill: Skill, fact: Fact, *, child: bool) -> dict[str, Json]:
        """Return values by name."""
        ...


def reconstructed(skill: Skill, facts: Facts, proposals: Sequence[Proposal], inputs: Inputs) -> Proof:
    """Prove that a version makes the calls and code blocks of past executions.

    Args:
        skill: The changed version.
        facts: The executions.
        proposals: What was changed.
        inputs: Gives their inputs.
    """
    began = time.time()
    told = {one for proposal in proposals for one in proposal.evidence.get("execution_ids", ())}
    uses = sorted(facts.successes, key=lambda fact: fact.execution.id not in told)[:MAX_EXECUTIONS]
    renewed = {str(one.change.get("node")) for one in proposals if one.change.get("edit") in _RENEWING}
    failures, compared, left_out = list[str](), 0, set[str]()
    for fact in uses:
        nodes = [node for node in skill.nodes if _is_comparable(node, fact, renewed)]
        left_out |= {node.id for node in skill.nodes} - {node.id for node in nodes}
        values = inputs(skill, fact, child=False)
        variables = tuple(replace(one, default=values.get(one.name, one.default)) for one in skill.variables)
        proof = reconstructs(replace(skill, nodes=tuple(nodes), variables=variables), _recorded(fact))
        failures += [f"{fact.execution.id[:13]}: {failure}" for failure in proof.failures]
        compared += proof.compared
    detail = {"executions": [fact.execution.id for fact in uses], "not_compared": sorted(left_out)}
    return Proof(
        level="reconstructs", passed=not failures and compared > 0, compared=compared,
        failures=tuple(failures), detail=detail, at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


def _is_comparable(node: Node, fact: Fact, renewed: set[str]) -> bool:
    did = fact.node(node.id)
    if node.kind not in ("tool", "code") or node.for_each is not None or did.status != "done":
        return False
    return (node.id in fact.adapted) == (node.id in renewed)


def _recorded(fact: Fact) -> Mapping[str, Recorded]:
    return {
        key: Recorded(
            arguments=did.calls[-1].arguments if did.calls else None, result=did.result,
            code=did.codes[-1] if did.codes else None,
        )
        for key, did in fact.nodes.items()
        if did.status == "done"
    }  # fmt: skip


def repeated(parent: Skill, trials: Sequence[Trial], lost: Sequence[str]) -> Proof:
    """Return what the trials prove: the same results as the parent's, from code that really ran.

    Args:
        parent: What it was compared with.
        trials: What both did.
        lost: What the child does not give.
    """
    good = [trial for trial in trials if trial.parent.success]
    compared = sum(1 + len(trial.parent.outputs) + len(trial.parent.files) for trial in good)
    return Proof(
        level="replays", passed=not lost and compared > 0, compared=compared, failures=tuple(lost),
        detail={
            "compared_with": f"{parent.name}@{parent.version}", "trials": len(trials),
            "seconds": {
                "parent": sum(t.parent.seconds for t in trials),
                "child": sum(t.child.seconds for t in trials),
            },
        },
        at=time.time(), duration_seconds=sum(t.parent.seconds + t.child.seconds for t in trials),
    )  # fmt: skip
