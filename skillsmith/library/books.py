"""The books of one execution: what is written into run, ledger and events says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skillsmith.library.checkpoints import Progress
from skillsmith.library.execution_log import ExecutionLog
from skillsmith.library.ledger import ExecutionLedger, Usage
from skillsmith.library.tracking import adapted_data
from skillsmith.library.tries import ExecutionCallbacks
from skillsmith.models import Adaptation, Execution, Json, Skill


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Where one execution is written down, and how far it had come.

    Args:
        confidence: The matcher's, when it chose the skill.
    """

    execution_id: str
    run_id: str
    skill: Skill
    log: ExecutionLog
    ledger: ExecutionLedger
    progress: Progress
    confidence: float | None
    callbacks: ExecutionCallbacks

    def announce(self, event: str, **data: Json) -> None:
        """Write down what became of the skill, and tell the caller the same.

        Args:
            event: SKILL_MATCHED, SKILL_EXECUTION_START, SKILL_ADAPTED or SKILL_EXECUTION_COMPLETE.
            data: What belongs to it.
        """
        shared: dict[str, Json] = {
            "skill_id": self.skill.id, "skill_name": self.skill.name, "execution_id": self.execution_id,
        }  # fmt: skip
        self.log.skill(event, {**shared, **data})
        self.callbacks.tell(event, **shared, **data)

    def close(
        self,
        adaptations: Sequence[Adaptation],
        *,
        success: bool,
        reason: str,
        error: str | None = None,
        outputs: Mapping[str, Json] | None = None,
        artifacts: Sequence[str] = (),
    ) -> tuple[Execution, Usage]:
        """Write down how it came out, and return that with what models were asked for.

        Args:
            adaptations: Where it differs from the skill.
            success: Whether it did what the skill promises.
            reason: Which fact says so.
            error: What went wrong.
            outputs: By name.
            artifacts: Paths of files that were made or changed.
        """
        usage = self.ledger.usage(self.run_id)
        execution = self.ledger.finish(
            self.execution_id, success=success, outputs=outputs or {}, adaptations=adaptations,
            artifacts=artifacts, error=error, cost_usd=usage.cost_usd,
        )  # fmt: skip
        if execution.adaptations:
            self.announce("SKILL_ADAPTED", **adapted_data(execution.adaptations))
        self.announce(
            "SKILL_EXECUTION_COMPLETE", success=success, duration_seconds=execution.duration_seconds,
            cost_usd=execution.cost_usd, adapted=execution.adapted, error=execution.error,
        )  # fmt: skip
        self.log.finish(
            status="completed" if success else "failed", outcome="success" if success else "failure",
            reason=reason,
        )  # fmt: skip
        return execution, usage
