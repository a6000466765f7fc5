"""Sharing through files: ``export``, ``import``, ``trust``, ``sync``, ``verify``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.session import Session, YesOption, command
from skillsmith.cli.skills import NameArgument
from skillsmith.errors import ExitCode, UsageError
from skillsmith.models import Json
from skillsmith.presentation.documents import problem_document
from skillsmith.presentation.text import joined, plural

if TYPE_CHECKING:
    from skillsmith.library.exchange import Conflict, ImportReport
    from skillsmith.workspace import Workspace


SecretsOption = Annotated[
    bool, typer.Option("--allow-secrets", help="Write skills although something in them looks like a secret.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="PATH", help="Folder to write to.", show_default=False),
]
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="NAME", help="NAME or NAME@VERSION.", show_default=False)
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="F",
        help="json: a file NAME.skill.json each (default); skill-md: a folder NAME with a SKILL.md each.",
        show_default=False,
    ),
]
DialectOption = Annotated[
    str,
    typer.Option(
        "--dialect", metavar="D", help="Of SKILL.md: open, or claude-code with the keys only it knows."
    ),
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="agents|claude",
        help="Write SKILL.md folders into .agents/skills or .claude/skills here, with skills-lock.json.",
        show_default=False,
    ),
]


@command(
    "skillsmith export refund_booking -o skills/",
    "skillsmith export --all -o skills/ --json",
    "skillsmith export refund_booking --to agents",
    "skillsmith export --all -o skills/ --format skill-md --dialect claude-code",
)
def export(
    session: Session,
    *,
    output: OutputOption = None,
    names: NamesArgument = None,
    every: Annotated[bool, typer.Option("--all", help="All skills.")] = False,
    format_: FormatOption = None,
    dialect: DialectOption = "open",
    to: ToOption = None,
    allow_secrets: SecretsOption = False,
) -> None:
    """Write skills as files for git: the same skill gives the same bytes on every machine.

    A skill that holds what looks like a key, token or password is refused: the error says where it stands.
    """
    from skillsmith.library.exchange import export_skills  # noqa: PLC0415  (only to share)

    if bool(names) == every:
        raise UsageError("name skills or give --all, not both", hint="`skillsmith list` lists them")
    target = _target(output, to)
    chosen_format = format_ or ("skill-md" if to or dialect != "open" else "json")
    if chosen_format == "json" and (to or dialect != "open"):
        raise UsageError("--to and --dialect are for SKILL.md folders", hint="leave --format json out")
    with session.open() as workspace:
        chosen = workspace.skills.names() if every else names or []
        with session.out.progress("writing"):
            files = export_skills(
                workspace.skills, chosen, target, format=chosen_format, dialect=dialect,
                allow_secrets=allow_secrets,
            )  # fmt: skip
    written = [str(path) for path in files]
    session.out.document({"written": written}, lambda: session.out.line("\n".join(written)))


def _target(output: Path | None, to: str | None) -> Path:
    """Return the folder to write to, which one of the two options names."""
    from skillsmith.library.sharing.lockfile import PLACES  # noqa: PLC0415  (only to share)

    if (output is None) == (to is None):
        raise UsageError("it is not said where to write", hint="give one of --output PATH and --to agents")
    if output is not None:
        return output
    if to is None or to not in PLACES:
        raise UsageError(f"there is no place {to!r}", hint=f"use --to {' or '.join(PLACES)}")
    return PLACES[to]


@command(
    "skillsmith import skills/",
    "skillsmith import .agents/skills",
    "skillsmith import refund_booking.skill.json --new-version --json",
)
def import_skills(
    session: Session,
    *,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Skill files, SKILL.md folders, or folders of them.")
    ],
    new_version: Annotated[
        bool, typer.Option("--new-version", help="Where a name is taken by other content, add a version.")
    ] = False,
) -> ExitCode:
    """Read shared skills: digest and shape are checked first, and what could run code is quarantined.

    A quarantined skill runs only after `skillsmith trust NAME`. A folder with a SKILL.md that skillsmith did
    not write becomes a skill that hands its text to an agent; where it brings code, it is quarantined, too.
    """
    from skillsmith.library.exchange import import_files  # noqa: PLC0415  (only to share)

    out = session.out
    with session.open(create=True) as workspace, out.progress("importing"):
        report = import_files(workspace.skills, paths, new_version=new_version)
        missing = _missing(workspace, report.imported)
    document = {**_import_document(report), "missing": missing}
    for problem in report.problems:
        out.warn(f"refused {problem.path}: {problem.reason}")
    out.document(document, lambda: _show_imported(session, document))
    return _import_code(report)


@command("skillsmith sync ~/team-skills")
def sync(
    session: Session,
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of skill files, made when missing.")],
    allow_secrets: SecretsOption = False,
) -> ExitCode:
    """Import what is new in a folder, write to it what is new here, and merge what both changed.

    What comes in is in quarantine until `skillsmith trust NAME`; skills in quarantine are not written.
    Changes of both sides are merged step by step; where both changed the same step, nothing is touched and
    the exit code is 5. A skill deleted here leaves the folder; one deleted there is retired here. Where a
    skill to be written holds what looks like a secret, nothing is changed.
    """
    from skillsmith.library.sync import sync_folder  # noqa: PLC0415  (only to share)

    out = session.out
    with session.open(create=True) as workspace, out.progress("comparing"):
        report = sync_folder(workspace.skills, folder, allow_secrets=allow_secrets)
    document = {
        "written": [str(path) for path in report.written],
        "merged": list(report.merged),
        "retired": list(report.retired),
        "removed": [str(path) for path in report.removed],
        **_import_document(report.imported),
    }
    for problem in report.imported.problems:
        out.warn(f"refused {problem.path}: {problem.reason}")
    out.document(document, lambda: _show_synced(session, document))
    return ExitCode.REFUSED if report.imported.conflicts else _import_code(report.imported)


def _show_synced(session: Session, document: dict[str, Json]) -> None:
    for path in document["written"]:
        session.out.line(f"wrote {path}")
    for name in document["merged"]:
        session.out.line(f"merged {name}; it has no proof yet")
    for path in document["removed"]:
        session.out.line(f"removed {path}: the skill was deleted here")
    for name in document["retired"]:
        session.out.line(f"retired {name}: it was deleted from the folder")
    _show_imported(session, document, quiet=any(document[key] for key in _SYNCED))


_SYNCED = ("written", "merged", "removed", "retired")


def _import_document(report: ImportReport) -> dict[str, Json]:
    return {
        "imported": list(report.imported),
        "unchanged": list(report.unchanged),
        "conflicts": [_conflict_document(conflict) for conflict in report.conflicts],
        "quarantined": list(report.quarantined),
        "problems": [problem_document(problem) for problem in report.problems],
    }


def _missing(workspace: Workspace, imported: Iterable[str]) -> dict[str, Json]:
    """Return which packages and programs new skills need that are not here, and how to get them."""
    from skillsmith.library.extraction.requirements import missing_for, needs_of  # noqa: PLC0415  (only to share)

    needs = {ref: needs_of(workspace.skills.get(ref)) for ref in imported}
    found = {ref: [f"{one.name}: {one.hint}" for one in missing_for(need)] for ref, need in needs.items()}
    return {ref: absent for ref, absent in found.items() if absent}


def _import_code(report: ImportReport) -> ExitCode:
    if report.problems:
        return ExitCode.REFUSED
    return ExitCode.FAILED if report.conflicts else ExitCode.OK


def _conflict_document(conflict: Conflict) -> dict[str, Json]:
    return {
        "name": conflict.name, "path": conflict.path, "version": conflict.version,
        "differs": list(conflict.differs), "reasons": list(conflict.reasons),
    }  # fmt: skip


def _show_imported(session: Session, document: dict[str, Json], *, quiet: bool = False) -> None:
    out = session.out
    for name in document["imported"]:
        quarantined = name in document["quarantined"]
        out.line(f"imported {name}{', in quarantine' if quarantined else ''}")
    for name, absent in document.get("missing", {}).items():
        out.warn(f"{name} needs what is not here: {'; '.join(absent)}")
    for conflict in document["conflicts"]:
        out.warn(_conflict_line(conflict))
    if document["quarantined"]:
        out.note("look at what is in quarantine with `skillsmith show NAME`, then `skillsmith trust NAME`")
    if not document["imported"] and not document["conflicts"] and not quiet:
        out.note("nothing new")


def _conflict_line(conflict: dict[str, Json]) -> str:
    here = f"{conflict['name']}@{conflict['version']}"
    if not conflict["reasons"]:
        return (
            f"conflict: {conflict['path']} and {here} differ in {joined(conflict['differs'])};"
            f" `skillsmith import {conflict['path']} --new-version` adds the file as a version"
        )
    return (
        f"conflict: {'; '.join(conflict['reasons'])}; both are kept:"
        f" `skillsmith import {conflict['path']} --new-version` takes the folder's,"
        f" `skillsmith export {conflict['name']} -o DIR` puts {here} in its place"
    )


@command("skillsmith trust refund_booking")
def trust(session: Session, *, name: NameArgument, yes: YesOption = False) -> None:
    """Let an imported skill run, after you have seen its code.

    On a terminal its code, defaults and files are shown first and you are asked; what was shown is trusted.
    """
    from skillsmith.library.exchange import trust as trust_skill  # noqa: PLC0415  (only to share)
    from skillsmith.presentation.show import show_for_trust  # noqa: PLC0415  (only to draw a skill)

    out = session.out
    with session.open() as workspace:
        waiting = workspace.skills.newest_in_state(name, "quarantined")
        skill = workspace.skills.get(name if waiting is None else f"{name}@{waiting}")
        if session.interactive and not yes and skill.state in ("quarantined", "retired"):
            show_for_trust(out, skill)
            session.confirm(f"trust {skill.name}@{skill.version}?", yes=False)
        trusted = trust_skill(workspace.skills, skill.id)
    out.document(
        {"skill": trusted.name, "version": trusted.version, "state": trusted.state},
        lambda: out.line(f"{trusted.name}@{trusted.version} is {trusted.state}"),
    )


@command("skillsmith verify", "skillsmith verify skills/refund_booking.skill.json")
def verify(
    session: Session,
    *,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Skill files, SKILL.md folders, folders of them; else the database.",
            show_default=False,
        ),
    ] = None,
) -> ExitCode:
    """Check skill files against their digests, or the whole database against its own."""
    from skillsmith.library.sharing.verify import verify_files, verify_library  # noqa: PLC0415  (only to verify)

    with session.out.progress("checking"):
        if paths:
            report = verify_files(paths)
        else:
            with session.open() as workspace:
                report = verify_library(workspace.db)
    document: dict[str, Json] = {"checked": dict(report.checked), "problems": list(report.problems)}
    session.out.document(document, lambda: _show_verified(session, document))
    if not report.problems:
        return ExitCode.OK
    return ExitCode.REFUSED if paths else ExitCode.FAILED


def _show_verified(session: Session, document: dict[str, Json]) -> None:
    for problem in document["problems"]:
        session.out.line(problem, style="red")
    checked = ", ".join(f"{count:,} {what}" for what, count in document["checked"].items())
    session.out.line(f"checked {checked}; {plural(len(document['problems']), 'problem')}")
