"""What came of the whole library, and of one skill over time: ``analytics`` and ``usage``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.charts import bar, columns
from skillsmith.cli.session import Session, command
from skillsmith.errors import UsageError
from skillsmith.models import Json
from skillsmith.output import Column, Output
from skillsmith.presentation.text import duration, money, number, plural, share, when

if TYPE_CHECKING:
    from skillsmith.library.analytics import Metric

DaysOption = Annotated[
    int,
    typer.Option("--days", metavar="D", min=0, help="Only the last D days (UTC), today included; 0: all."),
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print the table as CSV, with all its columns.")]

TOP_COLUMNS = (
    Column(key="skill", title="skill", style="cyan", grow=True),
    Column(key="state", title="state", spare=True),
    Column(key="executions", title="used", show=number, right=True),
    Column(key="success_rate", title="success", show=share, right=True),
    Column(key="success_rate_low", title="at least", show=share, right=True),
    Column(key="adaptation_rate", title="adapted", show=share, right=True, spare=True),
    Column(key="avg_duration_seconds", title="took", show=duration, right=True),
    Column(key="time_saved_seconds", title="saved", show=lambda value: _signed(value, duration), right=True),
    Column(key="cost_saved_usd", title="saved $", show=lambda value: _signed(value, _dollars), right=True),
    Column(key="last_used_at", title="last used", show=when, style="dim", spare=True),
)
PAIR_COLUMNS = (
    Column(key="kind", title="what", style="yellow"),
    Column(key="keep", title="keep", style="cyan"),
    Column(key="other", title="other"),
    Column(key="similarity", title="alike", show=share, right=True),
    Column(key="reason", title="because", width=90, grow=True),
)
VERSION_COLUMNS = (
    Column(key="version", title="v", right=True, style="cyan"),
    Column(key="executions", title="used", show=number, right=True),
    Column(key="success_rate", title="success", show=share, right=True),
    Column(key="success_rate_low", title="at least", show=share, right=True),
    Column(key="adaptation_rate", title="adapted", show=share, right=True),
    Column(key="avg_duration_seconds", title="took", show=duration, right=True),
    Column(key="avg_cost_usd", title="cost", show=money, right=True),
    Column(key="last_used_at", title="last used", show=when, style="dim", spare=True),
)
HEAT_COLUMNS = (
    Column(key="version", title="v", right=True),
    Column(key="target", title="node or input", style="cyan"),
    Column(key="label", title="", grow=True, spare=True),
    Column(key="share", title="changed in", show=share, right=True),
    Column(key="share_bar", title="", style="red"),
    Column(key="types", title="how", width=60),
)
PAIRS = 10
"""Pairs of skills that are proposed at a time."""


@command(
    "skillsmith analytics",
    "skillsmith analytics --by time_saved --top 5 --days 90",
    "skillsmith analytics --days 0 --csv",
)
def analytics(
    session: Session,
    *,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Skills in the ranking.")] = 10,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="M",
            help="Rank by success_rate, executions, time_saved, cost_saved or last_used.",
        ),
    ] = "success_rate",
    days: DaysOption = 30,
    csv: CsvOption = False,
) -> None:
    """Show how the whole library does: use over time, the best skills, costs, and skills that are too alike.

    A success rate is ranked by what it is at least (the lower bound of its 95 % interval). Saved is what your
    runs without the skill took, those it was made from and those on the same tasks, less what it took itself.
    Days are counted in UTC. Proposals under "too alike" change nothing.
    """
    metric = _metric(by)
    with session.open() as workspace:
        found = workspace.analytics.library_dashboard(metric=metric, limit=top, days=days or None)
        pairs = () if csv else workspace.analytics.consolidation_candidates(limit=PAIRS)
    document = {**found.document(), "consolidation": [pair.document() for pair in pairs]}
    if csv and not session.out.as_json:
        _write_csv(document["top"])
        return
    session.out.document(document, lambda: _show_library(session.out, document))


@command("skillsmith usage refund_booking", "skillsmith usage refund_booking --days 90 --csv")
def usage(
    session: Session,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The skill; also a deleted one.")],
    days: DaysOption = 30,
    csv: CsvOption = False,
) -> None:
    """Show one skill's use over time, its versions, costs, failures, and where executions changed it.

    With --csv: one line a day, or a week of a longer window, in UTC.
    """
    with session.open() as workspace:
        document = workspace.analytics.dashboard(name, days=days or None).document()
    if csv and not session.out.as_json:
        _write_csv(document["trend"]["points"])
        return
    session.out.document(document, lambda: _show_skill(session.out, document))


def _metric(name: str) -> Metric:
    from skillsmith.library.analytics import METRICS  # noqa: PLC0415  (not for help)

    if name not in METRICS:
        raise UsageError(f"--by {name!r} is not known", hint=f"use one of {', '.join(METRICS)}")
    return name


def _write_csv(rows: Sequence[Mapping[str, Json]]) -> None:
    import csv  # noqa: PLC0415  (only for tables that are asked for as CSV)

    if rows:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _show_library(out: Output, document: Mapping[str, Json]) -> None:
    costs = document["costs"]["savings"]
    states = ", ".join(f"{count} {state}" for state, count in document["states"].items())
    out.fields([
        ("skills", f"{document['skills']} ({states})" if states else "0"),
        ("executions", _executions(document, document["totals"])),
        ("success rate", _rate(document["totals"])),
        ("saved", _saved(costs)),
        ("cost", _cost(costs)),
    ])  # fmt: skip
    _show_trend(out, document["trend"])
    if document["top"]:
        out.line(f"\nbest by {document['metric'].replace('_', ' ')}", style="bold")
        out.table(TOP_COLUMNS, document["top"])
    if document["consolidation"]:
        out.line("\ntoo alike", style="bold")
        out.table(PAIR_COLUMNS, document["consolidation"])
        for pair in document["consolidation"]:
            if pair["command"]:
                out.line(f"  {pair['kind']} {pair['other']}: {pair['command']}", style="dim")


def _show_skill(out: Output, document: Mapping[str, Json]) -> None:
    totals = document["totals"]
    version = f"version {document['version']}, {document['state']}" if document["version"] else "deleted"
    out.fields([
        ("skill", f"{document['skill']} ({version})"),
        ("executions", _executions(document, totals)),
        ("success rate", _rate(totals)),
        ("average duration", duration(totals["avg_duration_seconds"])),
        ("95 % are done within", duration(document["p95_duration_seconds"])),
        ("saved", _saved(document["savings"])),
        ("cost", _cost(document["savings"])),
    ])  # fmt: skip
    _show_trend(out, document["trend"])
    versions = [{"version": int(key), **figures} for key, figures in document["versions"].items()]
    if len(versions) > 1:
        out.line("\nversions", style="bold")
        out.table(VERSION_COLUMNS, versions[::-1])
    heat = _heat(document["heatmap"])
    if heat:
        out.line("\nwhere executions changed it", style="bold")
        out.table(HEAT_COLUMNS, heat)
    for failure in document["failures"]:
        out.line(f"failed {failure['count']} ×: {failure['message']}", style="red")


def _show_trend(out: Output, trend: Mapping[str, Json]) -> None:
    points = trend["points"]
    if not any(point["executions"] for point in points):
        return
    days = [point["start"] for point in points]
    out.line(f"\nexecutions a {trend['bucket']} (UTC)", style="bold")
    for line in columns([point["executions"] for point in points], labels=days, width=out.width):
        out.line(line, style="green")
    failures = [point["failures"] for point in points]
    if any(failures):
        out.line(f"failures a {trend['bucket']}", style="bold")
        for line in columns(failures, labels=days, width=out.width, height=2):
            out.line(line, style="red")


def _heat(heatmap: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Return a row for each node of a version that executions changed, and for each of its other nodes."""
    changed = [one for one in heatmap["versions"] if any(row["executions"] for row in one["rows"])]
    return [
        {
            **row, "version": one["version"], "share_bar": bar(row["share"]),
            "types": ", ".join(f"{kind} {count}" for kind, count in row["counts"].items()),
        }
        for one in changed
        for row in one["rows"]
    ]  # fmt: skip


def _executions(document: Mapping[str, Json], totals: Mapping[str, Json]) -> str:
    window = f" in the last {plural(document['days'], 'day')}" if document["days"] else ""
    if not totals["executions"]:
        return f"none{window}" + ("; --days 0 counts all" if window else "")
    unfinished = totals["executions"] - totals["finished"]
    return f"{totals['executions']:,}{window}" + (f", {unfinished} not over" if unfinished else "")


def _rate(totals: Mapping[str, Json]) -> str:
    if totals["success_rate"] is None:
        return ""
    low, high = share(totals["success_rate_low"]), share(totals["success_rate_high"])
    return f"{share(totals['success_rate'])} (95 % sure: {low} to {high})"


def _saved(savings: Mapping[str, Json]) -> str:
    parts = (
        _signed(savings["time_saved_seconds"], duration),
        _signed(savings["cost_saved_usd"], _dollars),
        f"against {plural(savings['plain_runs'], 'run')} without" if savings["plain_runs"] else "",
    )
    return ", ".join(filter(None, parts)) if any(parts[:2]) else ""


def _cost(savings: Mapping[str, Json]) -> str:
    if not savings["unpriced"]:
        return _dollars(savings["cost_usd"]) if savings["finished"] else ""
    of = f"{savings['unpriced']} of {savings['finished']}"
    return f"unknown for {of}; {_dollars(savings['known_cost_usd'])} for the others"


def _dollars(usd: float) -> str:
    return f"${usd:.4f}"


def _signed(value: float | None, show: object) -> str:
    """Write a figure that may be a loss; nothing when it is not known."""
    if value is None:
        return ""
    assert callable(show)
    return f"-{show(-value)}" if value < 0 else str(show(value))
