"""What goes to a worker and what comes back: plain values that travel between processes and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from skillsmith.models import Execution, Json

Status: TypeAlias = Literal["succeeded", "failed", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every worker of a batch needs to know.

    Args:
        db: The skillsmith file.
        skill: ``NAME@VERSION``.
        batch: Id of the batch, kept with every run.
        tools: Where tools are, as ``--tools`` says it.
        strict: Whether a failure of an optional node fails the skill.
        work_dir: Folder with a subfolder for each input; None: a new one for each, below
            ``./skillsmith-runs``.
        model: Name of the model for agent nodes; None: the environment says it.
        max_cost: USD that models may cost for one input.
        max_turns: Model calls for one input.
    """

    db: str
    skill: str
    batch: str
    tools: tuple[str, ...] = ()
    strict: bool = False
    work_dir: Path | None = None
    model: str | None = None
    max_cost: float | None = None
    max_turns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One input to be done.

    Args:
        resume: Id of an execution of it that broke off.
    """

    index: int
    key: str
    inputs: Mapping[str, Json]
    resume: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """What came of one input."""

    index: int
    key: str
    status: Status
    inputs: Mapping[str, Json]
    outputs: Mapping[str, Json] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    error: str | None = None
    execution_id: str | None = None
    run_id: str | None = None
    work_dir: str | None = None
    duration_seconds: float | None = None
    cost_usd: float | None = None

    def document(self) -> dict[str, Json]:
        """Return it as a line of the results."""
        return {
            "index": self.index, "key": self.key, "success": self.status == "succeeded",
            "inputs": dict(self.inputs), "outputs": dict(self.outputs), "artifacts": list(self.artifacts),
            "error": self.error, "execution_id": self.execution_id, "run_id": self.run_id,
            "work_dir": self.work_dir, "duration_seconds": self.duration_seconds, "cost_usd": self.cost_usd,
        }  # fmt: skip


def of_execution(job: Job, execution: Execution, *, work_dir: str | None) -> ItemResult:
    """Return what the ledger knows of an input that is done."""
    return ItemResult(
        index=job.index, key=job.key, status="succeeded" if execution.success else "failed",
        inputs=job.inputs, outputs=execution.outputs, artifacts=execution.artifacts, error=execution.error,
        execution_id=execution.id, run_id=execution.run_id, work_dir=work_dir,
        duration_seconds=execution.duration_seconds, cost_usd=execution.cost_usd,
    )  # fmt: skip
