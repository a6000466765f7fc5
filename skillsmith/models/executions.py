"""What executions of skills did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from skillsmith.models.runs import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """One structured difference between a skill and what an execution did.

    Args:
        type: parameter_change, agent_deviation, code_modification, node_added, node_removed, node_skipped,
            node_replaced or retry.
        target: Node id or variable name.
        before: What the skill says.
        after: What was done (a unified diff for code).
        reason: Why.
        evidence: What shows it: the error before, the exit code after, how often it was tried.
    """

    type: str
    target: str
    before: Json = None
    after: Json = None
    reason: str = ""
    evidence: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResult:
    """What one node did in an execution."""

    node_id: str
    status: Literal["done", "failed", "skipped"]
    result: Json = None
    output: str = ""
    exit_code: int | None = None
    error: str | None = None
    artifacts: tuple[str, ...] = ()
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One use of a skill version."""

    id: str
    skill: str
    version: int
    run_id: str | None
    task: str
    started_at: float
    completed_at: float | None
    duration_seconds: float | None
    success: bool | None
    error: str | None
    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json]
    adaptations: tuple[Adaptation, ...]
    cost_usd: float | None
    confidence: float | None = None
    artifacts: tuple[str, ...] = ()

    @property
    def adapted(self) -> bool:
        """Whether anything differed from the skill."""
        return bool(self.adaptations)
