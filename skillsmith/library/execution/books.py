"""The books of one execution: what is written into run, ledger and events says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from skillsmith.library.checkpoints import Progress
from skillsmith.library.evidence.usage import NO_USAGE, Usage
from skillsmith.library.execution.callbacks import ExecutionCallbacks
from skillsmith.library.execution.execution_log import ExecutionLog
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.tracking import adapted_data
from skillsmith.models import Adaptation, Execution, Json, Skill

News: TypeAlias = Mapping[str, dict[str, Json]]
"""What became of a skill: data by event."""


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

    @property
    def beginning(self) -> dict[str, Json]:
        """What SKILL_EXECUTION_START says."""
        return {"version": self.skill.version, "run_id": self.run_id}

    def announce(self, news: News) -> None:
        """Write down what became of the skill, and when that is stored tell the caller the same.

        Args:
            news: SKILL_MATCHED, SKILL_EXECUTION_START, SKILL_ADAPTED or SKILL_EXECUTION_COMPLETE, and what
                belongs to it.
        """
        with self.log.together():
            self.note(news)
        self.tell(news)

    def note(self, news: News) -> None:
        """Write down what became of the skill."""
        for event, data in news.items():
            self.log.skill(event, self._shared | data)

    def tell(self, news: News) -> None:
        """Tell the caller what became of the skill."""
        for event, data in news.items():
            self.callbacks.tell(event, **self._shared, **data)

    @property
    def _shared(self) -> dict[str, Json]:
        return {
            "skill_id": self.skill.id, "skill_name": self.skill.name, "execution_id": self.execution_id,
        }  # fmt: skip

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
        with self.log.together():
            usage = self.ledger.usage(self.run_id) if self.log.asked_models else NO_USAGE
            execution = self.ledger.finish(
                self.execution_id, success=success, outputs=outputs or {}, adaptations=adaptations,
                artifacts=artifacts, error=error, cost_usd=usage.cost_usd,
            )  # fmt: skip
            news = _news_of(execution)
            self.note(news)
            self.log.finish(
                status="completed" if success else "failed", outcome="success" if success else "failure",
                reason=reason,
            )  # fmt: skip
        self.tell(news)
        return execution, usage


def _news_of(execution: Execution) -> News:
    news: dict[str, dict[str, Json]] = {}
    if execution.adaptations:
        news["SKILL_ADAPTED"] = adapted_data(execution.adaptations)
    news["SKILL_EXECUTION_COMPLETE"] = {
        "success": execution.success, "duration_seconds": execution.duration_seconds,
        "cost_usd": execution.cost_usd, "adapted": execution.adapted, "error": execution.error,
    }  # fmt: skip
    return news
