"""What a finished step did, as a row of the ``steps`` table: its figures as JSON, the rest in columns."""

from __future__ import annotations

from collections.abc import Mapping

from skillsmith.events import dump_json
from skillsmith.models import Json, StepExecutionSummary

_STEP_COLUMNS = (
    "host_id", "title", "started_at", "ended_at", "agent_transitions", "intermediate_artifacts",
    "context_snapshots",
)  # fmt: skip
_FIGURES = (
    "agents", "events", "messages", "tool_calls", "code_blocks", "failed_code_blocks", "duration_seconds",
    "tokens", "cost_usd", "dropped",
)  # fmt: skip


def step_row(pk: int, summary: StepExecutionSummary, columns: Mapping[str, Json]) -> tuple[Json, ...]:
    """Return run, step, summary and the other columns in their order.

    Args:
        pk: The run's primary key.
        summary: The step's figures.
        columns: As for ``RunRepository.save_step``.
    """
    figures = {name: getattr(summary, name) for name in _FIGURES}
    values = map(columns.get, _STEP_COLUMNS)
    plain = (value if _is_plain(value) else dump_json(value) for value in values)
    return pk, summary.step, dump_json(figures), *plain


def _is_plain(value: Json) -> bool:
    return value is None or isinstance(value, (str, int, float))
