"""What analytics say, as values: each figure with what it was counted from, None where it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime

from skillsmith.db import Row
from skillsmith.library.evidence.intervals import wilson
from skillsmith.library.reporting.rows import Bucket
from skillsmith.models import Json

_TIMES = frozenset({"since", "until", "last_used_at", "last_at"})
"""Fields that are Unix times, and timestamps in a document."""


class Documented:
    """A value that can be written as JSON."""

    __slots__ = ()

    def document(self) -> dict[str, Json]:
        """Return it as JSON, times as ISO timestamps in UTC."""
        assert is_dataclass(self)
        return {one.name: _json(one.name, getattr(self, one.name)) for one in fields(self)}


def _json(name: str, value: object) -> Json:
    if isinstance(value, Documented):
        return value.document()
    if isinstance(value, tuple):
        return [_json("", item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _json("", item) for key, item in value.items()}
    if name in _TIMES and isinstance(value, float):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(Documented):
    """What a group of executions came to.

    Args:
        executions: All, also those that are not over.
        finished: Those that ended; rates and costs are theirs.
        success_rate_low: Lower bound of the rate's Wilson 95 % interval; likewise ``_high``.
        adapted: How many finished ones differed from the skill.
        duration_seconds: In all.
        cost_usd: In all; None when the cost of one is not known.
        known_cost_usd: Of those whose cost is known.
        unpriced: How many finished ones have no known cost.
        avg_cost_usd: Mean of those whose cost is known.
    """

    executions: int = 0
    finished: int = 0
    successes: int = 0
    failures: int = 0
    success_rate: float | None = None
    success_rate_low: float | None = None
    success_rate_high: float | None = None
    adapted: int = 0
    adaptation_rate: float | None = None
    duration_seconds: float = 0.0
    avg_duration_seconds: float | None = None
    cost_usd: float | None = 0.0
    known_cost_usd: float = 0.0
    unpriced: int = 0
    avg_cost_usd: float | None = None
    last_used_at: float | None = None


def figures_of(row: Row) -> Figures:
    """Return the figures of one row of ``AnalyticsRows.grouped``."""
    finished, successes = row["finished"], row["successes"]
    rate = wilson(successes, finished)
    known, duration = row["known_cost_usd"] or 0.0, row["duration_seconds"] or 0.0
    return Figures(
        executions=row["executions"], finished=finished, successes=successes, failures=finished - successes,
        success_rate=rate.value if rate else None, success_rate_low=rate.low if rate else None,
        success_rate_high=rate.high if rate else None,
        adapted=row["adapted"], adaptation_rate=row["adapted"] / finished if finished else None,
        duration_seconds=duration,
        avg_duration_seconds=duration / row["timed"] if row["timed"] else None,
        cost_usd=None if row["unpriced"] else known, known_cost_usd=known, unpriced=row["unpriced"],
        avg_cost_usd=known / row["priced"] if row["priced"] else None, last_used_at=row["last_used_at"],
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Documented):
    """One day or week of a trend.

    Args:
        start: The day it begins on, as YYYY-MM-DD in UTC.
    """

    start: str
    figures: Figures

    def document(self) -> dict[str, Json]:
        """Return it as one flat object."""
        return {"start": self.start, **self.figures.document()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend(Documented):
    """Executions over time, a point for every day or week, also for those without any.

    Args:
        bucket: day, or week from Monday on.
        time_zone: Always UTC, whatever the machine's.
        since: Where the first point begins, Unix seconds; None: nothing was ever executed.
        days: Length of the window; None: from the first execution on.
    """

    skill: str | None
    bucket: Bucket
    days: int | None
    since: float | None
    points: tuple[Point, ...]
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings(Documented):
    """What executions took, beside what your runs without the skill took.

    A run without it is one that the skill was made from, or one on the very same task. A success is worth
    the median of such runs that succeeded on its task, or, without any, of all of them that succeeded; all
    that was spent, on failures too, is taken off.

    Args:
        finished: Executions that ended.
        cost_usd: Of all of them; None when one is not known. ``known_cost_usd`` and ``unpriced`` tell more.
        tokens_in: Prompt tokens of their runs; likewise ``tokens_out``.
        plain_runs: Runs without the skill that they are compared with.
        plain_unpriced: How many of these have no known cost.
        plain_cost_usd: Median cost of those that succeeded; None when none is known.
        plain_duration_seconds: Likewise their duration.
        cost_saved_usd: None when a cost is not known, or there is nothing to compare with.
        time_saved_seconds: Likewise.
    """

    finished: int = 0
    cost_usd: float | None = 0.0
    known_cost_usd: float = 0.0
    unpriced: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    plain_runs: int = 0
    plain_unpriced: int = 0
    plain_cost_usd: float | None = None
    plain_duration_seconds: float | None = None
    cost_saved_usd: float | None = None
    time_saved_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAnalysis(Documented):
    """Costs and savings of one skill, or of all skills together.

    Args:
        savings: For the library, the saved time and cost are sums over the skills where they are known.
        compared: Over how many skills each sum goes: time, cost.
        versions: Figures by version; empty for the library.
    """

    skill: str | None
    savings: Savings
    compared: Mapping[str, int]
    versions: Mapping[int, Figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRow(Documented):
    """How often executions changed one node or input.

    Args:
        kind: node, input, or other for what the version does not have by itself.
        counts: Changes by type of adaptation.
        executions: How many executions changed it at all.
        share: Of the version's finished executions.
    """

    target: str
    kind: str
    label: str
    counts: Mapping[str, int]
    executions: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionHeat(Documented):
    """The heat map of one version: its nodes in order, also those never changed, then what else changed."""

    version: int
    finished: int
    rows: tuple[HeatRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap(Documented):
    """What executions changed, node by node and version by version.

    Args:
        types: Types of adaptation that occur, most frequent first.
        versions: Newest first.
    """

    skill: str
    types: tuple[str, ...]
    versions: tuple[VersionHeat, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopSkill(Documented):
    """One skill in a ranking."""

    skill: str
    version: int
    state: str
    figures: Figures
    savings: Savings

    def document(self) -> dict[str, Json]:
        """Return it as one flat object."""
        return {
            "skill": self.skill, "version": self.version, "state": self.state, **self.figures.document(),
            "time_saved_seconds": self.savings.time_saved_seconds,
            "cost_saved_usd": self.savings.cost_saved_usd,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Documented):
    """One error that executions ended with."""

    message: str
    count: int
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillDashboard(Documented):
    """Everything analytics know of one skill.

    Args:
        state: None for a skill that is gone.
        days: Length of the window; None: all time.
        p95_duration_seconds: Within it 95 % of the executions were done.
    """

    skill: str
    version: int | None
    state: str | None
    days: int | None
    since: float | None
    totals: Figures
    p95_duration_seconds: float | None
    versions: Mapping[int, Figures]
    trend: Trend
    savings: Savings
    heatmap: HeatMap
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryDashboard(Documented):
    """Everything analytics know of the library, but what could be consolidated.

    Args:
        skills: How many there are; ``states`` how many in each state.
        used: How many skills, deleted ones too, the executions are of.
    """

    days: int | None
    since: float | None
    skills: int
    states: Mapping[str, int]
    used: int
    totals: Figures
    metric: str
    top: tuple[TopSkill, ...]
    trend: Trend
    costs: CostAnalysis
