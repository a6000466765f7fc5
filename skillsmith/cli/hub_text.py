"""What the ``hub`` commands print: documents for scripts, lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from skillsmith.cli.session import Session
from skillsmith.models import Json
from skillsmith.notices import timestamp
from skillsmith.presentation.text import joined, plural, short_id

if TYPE_CHECKING:
    from skillsmith.hub.partitions import HubMove
    from skillsmith.hub.reports import PointerConflict, PullReport, PushReport
    from skillsmith.hub.status import HubStatus

NAMES_SHOWN = 20

_WORDS = {
    "executions": "execution", "history": "entry of the history", "runs": "run's figures",
    "whole_runs": "whole run",
}  # fmt: skip


def push_document(report: PushReport, sent: HubMove | None) -> dict[str, Json]:
    """Describe what the hub got."""
    return {
        "versions": list(report.versions), "moved": list(report.moved), "deleted": list(report.deleted),
        "conflicts": [_conflict(one) for one in report.conflicts], "executions": report.executions,
        "history": report.history, "runs": report.runs, "whole_runs": list(sent.runs) if sent else [],
    }  # fmt: skip


def _conflict(one: PointerConflict) -> dict[str, Json]:
    return {
        "name": one.name, "here": one.here, "there": one.there, "machine": one.machine,
        "reasons": list(one.reasons),
    }  # fmt: skip


def show_push(session: Session, document: dict[str, Json]) -> None:
    """Tell what the hub got."""
    _names(session, "pushed", document["versions"])
    _names(session, "the hub now follows", document["moved"])
    _names(session, "told the hub that these were deleted:", document["deleted"])
    _counts(session, "pushed", document, ("executions", "history", "runs", "whole_runs"))
    for one in document["conflicts"]:
        session.out.warn(f"{_conflict_line(one)}; `skillsmith hub push --ours {one['name']}` insists")


def _names(session: Session, verb: str, names: Sequence[str]) -> None:
    for name in names[:NAMES_SHOWN]:
        session.out.line(f"{verb} {name}")
    if len(names) > NAMES_SHOWN:
        session.out.line(f"{verb} {len(names) - NAMES_SHOWN:,} more")


def _counts(session: Session, verb: str, document: dict[str, Json], keys: Sequence[str]) -> None:
    found = {key: len(document[key]) if isinstance(document[key], list) else document[key] for key in keys}
    told = [f"{number:,} × {_WORDS[key]}" for key, number in found.items() if number]
    if told:
        session.out.line(f"{verb} {', '.join(told)}")
    elif not any(document.values()):
        session.out.note("nothing new")


def _conflict_line(one: dict[str, Json]) -> str:
    here = f"{one['name']}@{one['here']}" if one["here"] else f"{one['name']}, deleted here,"
    there = f"{one['name']}@{one['there']}" if one["there"] else "another version"
    return f"conflict: {here} and the hub's ({there}, {one['machine']}): {'; '.join(one['reasons'])}"


def pull_document(report: PullReport) -> dict[str, Json]:
    """Describe what came from the hub."""
    return {
        "versions": list(report.versions), "quarantined": list(report.quarantined),
        "renumbered": [{"here": one.here, "there": one.there, "machine": one.machine}
                       for one in report.renumbered],
        "moved": list(report.moved), "merged": list(report.merged), "retired": list(report.retired),
        "waiting": list(report.waiting), "conflicts": [_conflict(one) for one in report.conflicts],
        "refused": [{"name": one.name, "digest": one.digest, "reason": one.reason} for one in report.refused],
        "executions": report.executions, "history": report.history,
    }  # fmt: skip


def show_pull(session: Session, document: dict[str, Json]) -> None:
    """Tell what came from the hub."""
    out = session.out
    _names(session, "pulled", document["versions"])
    for one in document["renumbered"][:NAMES_SHOWN]:
        out.line(f"{one['here']} is what {one['machine']} calls version {one['there']}")
    _names(session, "now current:", document["moved"])
    _names(session, "merged into", document["merged"])
    _names(session, "retired, as another machine deleted it:", document["retired"])
    _counts(session, "pulled", document, ("executions", "history"))
    for one in document["refused"]:
        out.warn(f"refused a version of {one['name']}: {one['reason']}")
    for one in document["conflicts"]:
        name = one["name"]
        out.warn(
            f"{_conflict_line(one)}; `skillsmith hub pull --theirs {name}` takes the hub's,"
            f" `skillsmith hub push --ours {name}` ours"
        )
    if document["quarantined"] or document["waiting"]:
        out.note("look at what is in quarantine with `skillsmith show NAME`, then `skillsmith trust NAME`")


def status_document(found: HubStatus) -> dict[str, Json]:
    """Describe the state of a hub."""
    return {
        "hub": found.hub, "id": found.id, **found.counts, "bytes": found.bytes, "months": list(found.months),
        "machines": [{"name": name, "last_seen": timestamp(at)} for name, at in found.machines],
        "vectors": dict(found.vectors), "to_send": dict(found.to_send), "to_read": dict(found.to_read),
        "waiting": list(found.waiting), "open": list(found.open),
        "numbers": [
            {"digest": one.digest, "here": one.here, "machines": list(one.machines), "current": one.current,
             "deleted": one.deleted}
            for one in found.numbers
        ],
    }  # fmt: skip


def show_status(session: Session, found: HubStatus) -> None:
    """Tell the state of a hub."""
    out, counts = session.out, found.counts
    out.fields([
        ("hub", found.hub),
        ("skills", f"{counts['skills']:,} in {counts['versions']:,} versions, {counts['deleted']:,} deleted"),
        ("ledger", f"{counts['executions']:,} executions, {counts['history']:,} entries of history"),
        ("runs", f"{counts['runs']:,}, {counts['archived_runs']:,} of them whole"),
        ("months", ", ".join(found.months)),
        ("vectors", ", ".join(f"{number:,} of {model}" for model, number in found.vectors.items())),
        ("size", f"{found.bytes / 1e6:,.1f} MB"),
        ("to send", _amounts(found.to_send, "some of {:,} {}")),
        ("to pull", _amounts(found.to_read, "{:,} {}")),
        ("waiting", joined(found.waiting[:NAMES_SHOWN])),
        ("conflicts", joined(found.open[:NAMES_SHOWN])),
    ])  # fmt: skip
    for name, at in found.machines:
        out.line(f"{name} pushed last at {timestamp(at)}")
    for one in found.numbers:
        marks = [word for word, on in (("current", one.current), ("deleted", one.deleted)) if on]
        here = f"version {one.here} here" if one.here else "not here"
        told = f" ({', '.join(marks)})" if marks else ""
        out.line(f"{one.digest[:19]}… {here}; {', '.join(one.machines)}{told}")


def _amounts(rows: Mapping[str, int], form: str) -> str:
    return ", ".join(form.format(number, table) for table, number in rows.items() if number) or "nothing"


def move_document(move: HubMove) -> dict[str, Json]:
    """Describe runs that went to a hub or came from one."""
    return {"runs": list(move.runs), "events": move.events, "months": list(move.months)}


def move_line(verb: str, move: HubMove) -> str:
    """Tell which runs went to a hub or came from one."""
    if not move.runs:
        return "no run is that old"
    some = ", ".join(map(short_id, move.runs[:3])) + (", …" if len(move.runs) > 3 else "")  # noqa: PLR2004  (what fits a line)
    return f"{verb} {plural(len(move.runs), 'run')} ({some}), {plural(move.events, 'event')}"
