"""What a proposal is: one change to a skill as structured data, with what its executions say for it.

A proposal names executions anyone can look up; its figures are counted from them, and its interval says how
far the share can be trusted. Two proposals are the same when kind, target and change are: what was rejected
once is known by that again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from skillsmith.events import dump_json
from skillsmith.ids import digest_of
from skillsmith.library.evidence.intervals import wilson
from skillsmith.models import Execution, Json

ProposalKind: TypeAlias = Literal[
    "new_default", "constant_to_variable", "drop_node", "add_condition", "add_node", "run_together",
    "reuse_result", "guard_failure", "replace_template", "shorten_prompt", "retire", "consolidate",
]  # fmt: skip

MIN_EXECUTIONS = 10
"""Fewer finished executions of a version say nothing, unless the user says so."""

MOSTLY = 0.5
"""A share counts as *most* when the lower end of its Wilson 95 % interval is above this."""

SHOWN_IDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One change that a skill's executions suggest.

    Args:
        kind: What sort of change.
        target: The input, node or nodes it is about; for ``retire`` and ``consolidate`` the skill.
        change: What is to be done, as ``proposal_edits`` reads it.
        evidence: ``executions`` looked at, ``count`` that support it, ``share`` with the bounds of its Wilson
            interval, ``low`` and ``high``, ``execution_ids`` (the newest), ``text`` for people, and what
            else the kind has.
        expected: ``seconds`` and ``cost_usd`` saved by an execution, ``share`` of the mean duration or cost,
            ``success`` gained; only what can be told.
        skill: Name of the skill.
        version: Whose executions are the evidence.
    """

    kind: ProposalKind
    target: str
    change: Mapping[str, Json]
    evidence: Mapping[str, Json]
    expected: Mapping[str, Json] = field(default_factory=dict)
    skill: str = ""
    version: int = 0

    @property
    def fingerprint(self) -> str:
        """Its identity within the skill; of a prompt the old text, as a model words each try anew."""
        change = dict(self.change)
        if self.kind == "shorten_prompt":
            change = {"node": change.get("node"), "before": change.get("before")}
        return digest_of(dump_json([self.kind, self.target, _sorted(change)]).encode())

    def document(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {
            "kind": self.kind, "target": self.target, "skill": self.skill, "version": self.version,
            "change": dict(self.change), "evidence": dict(self.evidence), "expected": dict(self.expected),
            "fingerprint": self.fingerprint,
        }  # fmt: skip


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def support(
    found: Sequence[Execution], out_of: Sequence[Execution], text: str, **more: Json
) -> dict[str, Json]:
    """Return the evidence that some of a skill's executions are.

    Args:
        found: Those that support the proposal, newest first.
        out_of: All that were looked at.
        text: What they show, in words; ``{of}`` becomes "18 of 20 executions".
        more: What else the kind has.
    """
    interval = wilson(len(found), len(out_of))
    counted = f"{len(found)} of {len(out_of)} executions"
    return {
        "executions": len(out_of), "count": len(found),
        "share": interval and interval.value, "low": interval and interval.low,
        "high": interval and interval.high,
        "execution_ids": [one.id for one in found[:SHOWN_IDS]],
        "text": text.replace("{of}", counted), **more,
    }  # fmt: skip


def is_most(count: int, total: int) -> bool:
    """Tell whether a share is surely more than half."""
    interval = wilson(count, total)
    return interval is not None and interval.low > MOSTLY
