"""Commands that look at runs and judge them: ``runs``, ``timeline``, ``mark``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, get_args

import typer

from skillsmith.cli.documents import event_document, run_document
from skillsmith.cli.session import DEFAULT_LIMIT, AfterOption, LimitOption, Session, command
from skillsmith.cli.text import (
    OUTCOME_STYLES,
    clock,
    duration,
    joined,
    money,
    number,
    short_id,
    value_text,
    when,
)
from skillsmith.errors import UsageError
from skillsmith.models import EventKind, Json, Outcome
from skillsmith.output import Column, Output

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

ARCHIVE_COLUMN = Column(key="archive", title="in", width=80, style="dim")

CONTENT_LINES = 12
"""Lines of one event that a timeline shows unless asked for all."""

ROLE_STYLES = {"user": "green", "assistant": "cyan", "tool": "magenta", "system": "dim"}


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
        found = workspace.runs.list(
            outcome=outcome, source=source, search=search, after=after, window=(limit or DEFAULT_LIMIT) + 1
        )
        session.out.items(
            map(run_document, found), limit=limit, cursor="id",
            show=lambda page: session.out.table(RUN_COLUMNS, page), empty="no runs",
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


def show_events(out: Output, events: Sequence[Mapping[str, Json]], *, full: bool) -> None:
    """Print events for people, each with a heading and its text below."""
    for event in events:
        out.line(_heading(event), style=ROLE_STYLES.get(event.get("role") or "", "bold"))
        for label, text, language in _bodies(event):
            _show_text(out, label, text, language=language, full=full)


def _heading(event: Mapping[str, Json]) -> str:
    who = event.get("agent") or ""
    if event.get("recipient"):
        who = f"{who} → {event['recipient']}"
    what = event["kind"]
    if not who and event.get("role"):
        who = event["role"]
    if event.get("tool"):
        what += f" {event['tool']['name']}"
    code = event.get("code", {})
    if "exit_code" in code:
        what += f" exit {code['exit_code']}"
    facts = (duration(event.get("duration_seconds")), money(event.get("cost_usd")), clock(event.get("at")))
    return "  ".join(part for part in (f"{event['seq']:>5}", what, who, *facts) if part)


def _bodies(event: Mapping[str, Json]) -> list[tuple[str, str, str | None]]:
    """Return what an event holds as label, text and language of code."""
    tool, code = event.get("tool", {}), event.get("code", {})
    found = [
        ("thinks: ", event.get("reasoning"), None),
        ("", event.get("content"), None),
        ("", code.get("text"), code.get("language")),
        ("", code.get("output"), None),
        ("", value_text(tool["arguments"]) if "arguments" in tool else None, None),
        ("", tool.get("result"), None),
        ("error: ", tool.get("error"), None),
    ]
    if event["kind"] in ("context", "error", "skill", "raw") and event.get("data"):
        found.append(("", value_text(event["data"]), None))
    return [(label, text, language) for label, text, language in found if text]


def _show_text(out: Output, label: str, text: str, *, language: str | None, full: bool) -> None:
    lines = (label + text).strip("\n").splitlines()
    kept = lines if full else lines[:CONTENT_LINES]
    if language:
        out.code("\n".join(kept), language=language, indent=7)
    else:
        for line in kept:
            out.line(f"       {line if full else _cut(line, 4 * out.width)}".rstrip())
    if len(kept) < len(lines):
        out.line(f"       … {len(lines) - len(kept)} more lines (--full)", style="dim")


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[:width]}… (--full)"
