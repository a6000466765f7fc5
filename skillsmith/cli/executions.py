"""What came of using skills: ``executions`` and ``stats``."""

from __future__ import annotations

from typing import Annotated

import typer

from skillsmith.cli.documents import execution_document, stats_document
from skillsmith.cli.session import DEFAULT_LIMIT, AfterOption, LimitOption, Session, command
from skillsmith.cli.text import duration, money, number, share, short_id, when
from skillsmith.models import Json
from skillsmith.output import Column
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
    """Show a skill's performance, counted from its executions."""
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
    low = share(document["success_rate_low"])
    return [
        ("executions", str(document["executions"])),
        (
            "success rate",
            f"{share(document['success_rate'])} (at least {low} with 95 % confidence)" if low else "",
        ),
        ("average duration", duration(document["avg_duration_seconds"])),
        ("95 % are done within", duration(document["p95_duration_seconds"])),
        ("average cost", money(document["avg_cost_usd"])),
        ("adapted", share(document["adaptation_rate"])),
        ("helped / hurt", _helped(document)),
    ]


def _helped(document: dict[str, Json]) -> str:
    if document["helped"] is None:
        return ""
    return f"{document['helped']} / {document['hurt']} against runs without a skill"
