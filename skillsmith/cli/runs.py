"""Commands that look at runs and judge them: ``runs``, ``timeline``, ``mark``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from skillsmith.cli.session import DEFAULT_LIMIT, AfterOption, LimitOption, Session, command
from skillsmith.errors import UsageError
from skillsmith.models import EventKind, Outcome
from skillsmith.output import Column
from skillsmith.presentation.documents import event_document, run_document
from skillsmith.presentation.events import show_events
from skillsmith.presentation.text import (
    OUTCOME_STYLES,
    duration,
    joined,
    money,
    number,
    short_id,
    when,
)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id or a unique beginning of it.")]

RUN_COLUMNS = (
    Column(key="id", title="run", show=short_id, width=18, style="cyan"),
    Column(key="started_at", title="started", show=when, width=16, style="dim", spare=True),
    Column(key="source", title="source", width=16, spare=True),
    Column(key="outcome", title="outcome", style=lambda value: OUTCOME_STYLES.get(value, "")),
    Column(key="duration_seconds", title="took", show=duration, right=True, width=10),
    Column(key="events", title="events", show=number, right=True, width=9),
    Column(key="cost_usd", title="cost", show=money, right=True, width=10, spare=True),
    Column(key="agents", title="agents", show=joined, width=24, spare=True),
    Column(key="task", title="task", width=80, grow=True),
)


def _near(path: str) -> str:
    """Write a path as seen from here, when it is below."""
    place, here = Path(path), Path.cwd()
    return str(place.relative_to(here)) if place.is_relative_to(here) else path


ARCHIVE_COLUMN = Column(key="archive", title="in", width=80, style="dim", show=_near)


@command("skillsmith runs", "skillsmith runs --outcome success --search refund --json")
def runs(
    session: Session,
    *,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="O", help="Only success, failure or unknown.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", metavar="S", help="Only of this format, or `capture`.")
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only with these words in task or events.")
    ] = None,
    archived: Annotated[
        bool, typer.Option("--archived", help="Instead those in a second file; it is named with each.")
    ] = False,
    limit: LimitOption = DEFAULT_LIMIT,
    after: AfterOption = None,
) -> None:
    """List the runs, newest first."""
    if outcome is not None:
        outcome_named(outcome)
    if archived:
        _list_archived(session, limit=limit, after=after, filtered=bool(outcome or source or search))
        return
    with session.open() as workspace:
        if search and workspace.db.readonly:
            session.out.note("the file may not be written, so events that are not indexed yet are not found")
        found = workspace.runs.list(
            outcome=outcome, source=source, search=search, after=after, window=(limit or DEFAULT_LIMIT) + 1
        )
        session.out.items(
            map(run_document, found), limit=limit, cursor="id",
            show=lambda page: session.out.table(RUN_COLUMNS, page),
            empty="no runs" if outcome or source or search
            else "no runs yet: `skillsmith ingest PATH` reads agent logs",
        )  # fmt: skip


def _list_archived(session: Session, *, limit: int, after: str | None, filtered: bool) -> None:
    if filtered:
        raise UsageError("--archived takes no other filter", hint="look into the second file with --db")
    with session.open() as workspace:
        found = workspace.archived.list(after=after, window=(limit or DEFAULT_LIMIT) + 1)
        session.out.items(
            ({**run_document(one.as_run()), "archive": str(one.archive)} for one in found),
            limit=limit, cursor="id", empty="no run is archived",
            show=lambda page: session.out.table((*RUN_COLUMNS, ARCHIVE_COLUMN), page),
        )  # fmt: skip


@command("skillsmith timeline 019ab3", "skillsmith timeline 019ab3 --kind tool_call --json")
def timeline(
    session: Session,
    *,
    run: RunArgument,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="K", help="Only this kind: message, tool_call, code, …")
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="A", help="Only what this agent did.")
    ] = None,
    step: Annotated[int | None, typer.Option("--step", metavar="N", min=1, help="Only this step.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Do not shorten long texts.")] = False,
    limit: LimitOption = DEFAULT_LIMIT,
    after: AfterOption = None,
) -> None:
    """Print one run's events in order."""
    start = sequence_number(after)
    if kind is not None and kind not in get_args(EventKind):
        raise UsageError(f"there is no event kind {kind!r}", hint=f"use one of {joined(get_args(EventKind))}")
    with session.open() as workspace:
        found = workspace.runs.events(
            run, after=start, kind=kind, agent=agent, step=step, window=(limit or DEFAULT_LIMIT) + 1
        )
        session.out.items(
            map(event_document, found), limit=limit, cursor="seq",
            show=lambda page: show_events(session.out, page, full=full), empty="no events",
        )  # fmt: skip


@command("skillsmith mark 019ab3 --outcome success --note 'checked by hand'")
def mark(
    session: Session,
    *,
    run: RunArgument,
    outcome: Annotated[str, typer.Option("--outcome", metavar="O", help="success or failure.")],
    note: Annotated[str | None, typer.Option("--note", metavar="T", help="Why, for people.")] = None,
) -> None:
    """Store a person's judgement of a run; later imports do not change it."""
    judgement = outcome_named(outcome)
    with session.open() as workspace:
        marked = workspace.runs.mark(run, judgement, note=note)
    session.out.document(
        run_document(marked), lambda: session.out.line(f"run {short_id(marked.id)}: {marked.outcome}")
    )


def outcome_named(name: str) -> Outcome:
    """Check an outcome given on the command line.

    Raises:
        UsageError: It is not one.
    """
    if name in ("success", "failure", "unknown"):
        return name  # type: ignore[return-value]  # one of the three
    raise UsageError(f"outcome {name!r} is not known", hint="use success, failure or unknown")


def sequence_number(cursor: str | None) -> int:
    """Read the cursor of a timeline.

    Raises:
        UsageError: It is not a number.
    """
    if cursor is None:
        return 0
    if not cursor.isdecimal():
        raise UsageError(
            f"--after {cursor!r} is not a sequence number", hint="take `next` of the page before"
        )
    return int(cursor)
