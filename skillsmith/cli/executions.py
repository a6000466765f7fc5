"""What came of using skills: ``executions`` and ``stats``."""

from __future__ import annotations

from typing import Annotated

import typer

from skillsmith.cli.session import DEFAULT_LIMIT, AfterOption, LimitOption, Session, command
from skillsmith.models import Json
from skillsmith.output import Column
from skillsmith.presentation.documents import execution_document, stats_document
from skillsmith.presentation.text import duration, money, number, plural, share, short_id, when
from skillsmith.workspace import Workspace

HistoryArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="NAME or NAME@VERSION; also of a deleted skill.")
]

EXECUTION_COLUMNS = (
    Column(key="id", title="execution", show=short_id, width=18, style="cyan"),
    Column(key="version", title="v", right=True),
    Column(key="started_at", title="started", show=when, style="dim", spare=True),
    Column(
        key="success", title="result",
        show=lambda success: "running" if success is None else "success" if success else "failure",
        style=lambda success: "green" if success else "yellow" if success is None else "red",
    ),
    Column(key="duration_seconds", title="took", show=duration, right=True),
    Column(key="cost_usd", title="cost", show=money, right=True),
    Column(key="adaptations", title="adapted", show=lambda found: number(len(found)), right=True),
    Column(key="error", title="error", width=60, style="red"),
    Column(key="task", title="task", width=70, grow=True),
)  # fmt: skip


@command("skillsmith executions refund_booking", "skillsmith executions refund_booking@2 --limit 5 --json")
def executions(
    session: Session, *, name: HistoryArgument, limit: LimitOption = DEFAULT_LIMIT, after: AfterOption = None
) -> None:
    """List a skill's executions, newest first, with what each adapted."""
    with session.open() as workspace:
        skill, version = _known(workspace, name)
        found = workspace.ledger.list(
            skill, version=version, after=after, window=(limit or DEFAULT_LIMIT) + 1
        )
        session.out.items(
            map(execution_document, found), limit=limit, cursor="id", empty=f"{name} has not been used yet",
            show=lambda page: session.out.table(EXECUTION_COLUMNS, page),
        )  # fmt: skip


@command("skillsmith stats refund_booking", "skillsmith stats refund_booking@2 --json")
def stats(session: Session, *, name: HistoryArgument) -> None:
    """Show a skill's performance, counted from its executions, beside your runs without it.

    Runs without the skill are those it was made from, those on the same tasks, and those whose task is the
    skill's with other values or is worded like one it has served. An execution helped when it succeeded
    where most of them failed, or did it faster or cheaper; it hurt when it failed where most succeeded, or
    was slower or dearer.
    """
    with session.open() as workspace:
        skill, version = _known(workspace, name)
        document = stats_document(workspace.ledger.stats(skill, version=version))
    session.out.document(document, lambda: session.out.fields(_lines(document)))


def _known(workspace: Workspace, name: str) -> tuple[str, int | None]:
    """Return name and version that the library or, for what was deleted, the history knows.

    Raises:
        NotFoundError: Neither does; the hint gives close names.
    """
    skill, _, number = name.partition("@")
    version = int(number) if number.isdecimal() else None
    if next(workspace.ledger.list(skill, version=version, window=1), None) is None:
        workspace.skills.get(name)
    return skill, version


def _lines(document: dict[str, Json]) -> list[tuple[str, str]]:
    low, high = share(document["success_rate_low"]), share(document["success_rate_high"])
    rate = f"{share(document['success_rate'])} (95 % sure: {low} to {high})" if low else ""
    return [
        ("executions", _uses(document)),
        ("success rate", rate),
        ("average duration", duration(document["avg_duration_seconds"])),
        ("95 % are done within", duration(document["p95_duration_seconds"])),
        ("average cost", money(document["avg_cost_usd"])),
        ("adapted", share(document["adaptation_rate"])),
        *(_against(document, document["baseline"]) if document["baseline"] else [("without the skill", "")]),
    ]


def _uses(document: dict[str, Json]) -> str:
    total = document["selected"]
    if not total:
        return "0"
    return (
        f"{total} selected ({document['matched']} by match), {document['applied']} applied,"
        f" {document['completed']} completed"
    )


def _against(document: dict[str, Json], baseline: dict[str, Json]) -> list[tuple[str, str]]:
    """Return the lines that compare a skill with the user's own runs without it."""
    rules = ", ".join(f"{count} by {rule}" for rule, count in baseline["by"].items())
    rate = share(baseline["success_rate"])
    low, high = share(baseline["success_rate_low"]), share(baseline["success_rate_high"])
    speedup = document["speedup"]
    return [
        ("without the skill", f"{plural(baseline['runs'], 'run')} ({rules})"),
        ("their success rate", f"{rate} (95 % sure: {low} to {high})"),
        ("their median", " ".join(filter(None, _median(baseline)))),
        ("faster by", f"{speedup:.1f} ×" if speedup else ""),
        ("success with it", _difference(document["difference"])),
        ("helped / hurt", f"{document['helped']} / {document['hurt']}"),
    ]


def _median(baseline: dict[str, Json]) -> tuple[str, str]:
    return duration(baseline["median_duration_seconds"]), money(baseline["median_cost_usd"])


def _difference(found: dict[str, Json] | None) -> str:
    if found is None:
        return ""
    words = {"better": "better", "worse": "worse", "not shown": "no difference shown"}
    low, high = f"{found['low']:+.0%}", f"{found['high']:+.0%}"
    return f"{found['success_rate']:+.0%} (95 % sure: {low} to {high}): {words[found['verdict']]}"
