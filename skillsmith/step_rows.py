"""What a finished step did, as a row of the ``steps`` table: its figures as JSON, the rest in columns."""

from __future__ import annotations

from collections.abc import Mapping

from skillsmith.events import dump_json, load_json
from skillsmith.models import Json, StepExecutionSummary

_STEP_COLUMNS = (
    "host_id", "title", "started_at", "ended_at", "agent_transitions", "intermediate_artifacts",
    "context_snapshots",
)  # fmt: skip
_FIGURES = (
    "agents", "events", "messages", "tool_calls", "code_blocks", "failed_code_blocks", "duration_seconds",
    "tokens", "cost_usd", "dropped",
)  # fmt: skip


class StepRow(tuple[Json, ...]):
    """What the table holds of a step, from ``step`` on."""

    __slots__ = ()


def step_row(summary: StepExecutionSummary, columns: Mapping[str, Json]) -> StepRow:
    """Return a step's row.

    Args:
        summary: The step's figures.
        columns: As for ``RunRepository.save_step``.
    """
    return row_of_step(summary.step, {name: getattr(summary, name) for name in _FIGURES}, columns)


def row_of_step(step: int, figures: Mapping[str, Json], columns: Mapping[str, Json]) -> StepRow:
    """Do ``step_row`` for figures that are no summary yet: all but the run and the step."""
    values = map(columns.get, _STEP_COLUMNS)
    plain = (value if _is_plain(value) else dump_json(value) for value in values)
    return StepRow((step, dump_json(figures), *plain))


def parts_of(row: StepRow) -> tuple[dict[str, Json], dict[str, Json]]:
    """Return figures and columns of a step's row, the step among the figures."""
    step, figures, *columns = row
    return {"step": step, **load_json(figures)}, dict(zip(_STEP_COLUMNS, columns, strict=True))


def _is_plain(value: Json) -> bool:
    return value is None or isinstance(value, (str, int, float))
