"""Versions of a skill: ``versions``, ``diff`` and ``rollback``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.session import DEFAULT_LIMIT, AfterOption, LimitOption, Session, command
from skillsmith.errors import UsageError
from skillsmith.models import Json
from skillsmith.notices import timestamp
from skillsmith.output import Column, Output
from skillsmith.presentation.skills import version_document
from skillsmith.presentation.text import STATE_STYLES, duration, money, number, plural, share, when

if TYPE_CHECKING:
    from skillsmith.library.versions import Change, HistoryEntry, SkillVersionManager

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The skill; also a deleted one.")]
SkillArgument = Annotated[str, typer.Argument(metavar="NAME", help="The skill.")]

VERSION_COLUMNS = (
    Column(key="current", title="", show=lambda current: "→" if current else ""),
    Column(key="version", title="v", right=True, style="cyan"),
    Column(key="state", title="state", style=lambda state: STATE_STYLES.get(state, "")),
    Column(key="created_at", title="made", show=when, style="dim"),
    Column(key="parent", title="from", show=lambda parent: f"v{parent}" if parent else "", spare=True),
    Column(key="executions", title="used", show=number, right=True),
    Column(key="success_rate", title="success", show=share, right=True),
    Column(key="avg_duration_seconds", title="took", show=duration, right=True, spare=True),
    Column(key="avg_cost_usd", title="cost", show=money, right=True, spare=True),
    Column(key="reason", title="reason", width=80, grow=True),
)


@command("skillsmith versions refund_booking", "skillsmith versions refund_booking --json")
def versions(
    session: Session, *, name: NameArgument, limit: LimitOption = DEFAULT_LIMIT, after: AfterOption = None
) -> None:
    """List a skill's versions, newest first, each with how it has done, and what was done to the skill.

    When the current version does significantly worse than the one it came from, going back is proposed.
    """
    with session.open() as workspace:
        manager = workspace.versions
        entries = manager.get_version_history(name)
        history = [_history_document(entry) for entry in manager.history(name)]
        proposal = manager.rollback_proposal(name) if entries else None
    page, following = _page([version_document(entry) for entry in entries], limit, after)
    document: dict[str, Json] = {
        "items": page, "next": following, "skill": name, "history": history,
        "proposal": None if proposal is None else proposal.document(),
    }  # fmt: skip
    session.out.document(document, lambda: _show(session.out, document))


def _page(
    items: Sequence[dict[str, Json]], limit: int, after: str | None
) -> tuple[list[dict[str, Json]], str | None]:
    """Return one page of versions and the cursor of the next."""
    if after is not None and not after.isdecimal():
        raise UsageError(f"--after {after} is no version", hint="give the `next` of the page before")
    left = [item for item in items if after is None or item["version"] < int(after)]
    page = list(islice(left, limit) if limit else left)
    return page, str(page[-1]["version"]) if len(page) < len(left) else None


def _history_document(entry: HistoryEntry) -> dict[str, Json]:
    return {
        "at": timestamp(entry.at), "action": entry.action, "version": entry.version,
        "from_version": entry.from_version, "reason": entry.reason, "by_user": entry.by_user,
        "detail": dict(entry.detail),
    }  # fmt: skip


def _show(out: Output, document: dict[str, Json]) -> None:
    if document["items"]:
        out.table(VERSION_COLUMNS, document["items"])
    else:
        out.note(f"{document['skill']} has no versions any more")
    if document["next"]:
        out.note(f"there is more: --after {document['next']}, or --limit 0 for all")
    out.line()
    for entry in document["history"]:
        reason = f": {entry['reason']}" if entry["reason"] else ""
        by = f" by {entry['by_user']}" if entry["by_user"] else ""
        out.line(f"{when(entry['at'])}  {_deed(entry)}{by}{reason}", style="dim")
    if document["proposal"]:
        out.line()
        out.line(f"go back? {document['proposal']['reason']}", style="yellow")
        out.line(f"  {document['proposal']['command']}")


def _deed(entry: dict[str, Json]) -> str:
    """Write what was done in a few words."""
    version, detail = f"v{entry['version']}", entry["detail"]
    match entry["action"]:
        case "created":
            return f"{version} made, {detail.get('state', '')}" + (
                "" if detail.get("current") else ", beside"
            )
        case "rolled_back":
            return f"{version} made current again instead of v{entry['from_version']}"
        case "current":
            return f"{version} made current instead of v{entry['from_version']}"
        case "state":
            return f"{version} {detail.get('from')} → {detail.get('to')}"
        case action:
            return f"{version} {action}"


@command("skillsmith diff refund_booking 1 2", "skillsmith diff refund_booking 2 3 --json")
def diff(
    session: Session,
    *,
    name: SkillArgument,
    first: Annotated[str, typer.Argument(metavar="V1", help="The version looked at as the earlier one.")],
    second: Annotated[str, typer.Argument(metavar="V2", help="The one it is compared with.")],
) -> None:
    """Show how two versions differ: by step, binding, template, input, schema, condition, text and file."""
    with session.open() as workspace:
        found = workspace.versions.diff(name, _number(first), _number(second))
    session.out.document(found.document(), lambda: _show_changes(session.out, name, found.changes))


def _number(text: str) -> int:
    """Read a version: ``2`` or ``v2``."""
    digits = text.lower().removeprefix("v")
    if not digits.isdecimal() or not int(digits):
        raise UsageError(f"{text!r} is no version", hint="give a number, e.g. 2")
    return int(digits)


def _show_changes(out: Output, name: str, changes: Sequence[Change]) -> None:
    if not changes:
        out.note(f"the two versions of {name} hold the same")
    for change in changes:
        lines = change.text.splitlines()
        if len(lines) <= 1:
            out.line(f"{change.kind}  {change.where}: {change.text}", style=_tone(change))
            continue
        out.line(f"{change.kind}  {change.where}:", style="bold")
        for line in lines:
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            out.line(f"  {line}".rstrip(), style=style)
    if changes:
        out.note(plural(len(changes), "change"))


def _tone(change: Change) -> str:
    """Return the colour of a change: what came, what went, what is different."""
    return "green" if change.before is None else "red" if change.after is None else ""


@command(
    "skillsmith rollback refund_booking --to 2",
    'skillsmith rollback refund_booking --to 2 --reason "version 3 cancels the wrong order"',
)
def rollback(
    session: Session,
    *,
    name: SkillArgument,
    to: Annotated[str, typer.Option("--to", metavar="V", help="The version that becomes current.")],
    reason: Annotated[str, typer.Option("--reason", metavar="T", help="Why, for the history.")] = "",
) -> None:
    """Make another version the current one; no version is lost, and the history says so.

    A version in quarantine, or a retired one, may not become current: `skillsmith trust NAME@V` first.
    """
    with session.open() as workspace:
        manager = workspace.versions
        before = _current(manager, name)
        skill = manager.rollback_to_version(name, _number(to), reason=reason)
    document: dict[str, Json] = {
        "skill": skill.name, "version": skill.version, "from_version": before, "state": skill.state,
    }  # fmt: skip
    moved = "was current already" if before == skill.version else f"is current, instead of {before}"
    session.out.document(document, lambda: session.out.line(f"version {skill.version} of {name} {moved}"))


def _current(manager: SkillVersionManager, name: str) -> int | None:
    return next((entry.version for entry in manager.get_version_history(name) if entry.current), None)
