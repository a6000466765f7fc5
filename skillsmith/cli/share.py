"""Sharing through files: ``export``, ``import``, ``trust``, ``sync``, ``verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.documents import problem_document
from skillsmith.cli.session import Session, YesOption, command
from skillsmith.cli.skills import NameArgument
from skillsmith.cli.text import joined, plural
from skillsmith.errors import ExitCode, UsageError
from skillsmith.models import Json

if TYPE_CHECKING:
    from skillsmith.library.exchange import Conflict, ImportReport


@command("skillsmith export refund_booking -o skills/", "skillsmith export --all -o skills/ --json")
def export(
    session: Session,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PATH", help="Folder to write to.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="NAME or NAME@VERSION.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All skills.")] = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="F", help="json: a file NAME.skill.json each.")
    ] = "json",
) -> None:
    """Write skills as files for git: the same skill gives the same bytes on every machine."""
    from skillsmith.library.exchange import export_skills  # noqa: PLC0415  (only to share)

    if bool(names) == every:
        raise UsageError("name skills or give --all, not both", hint="`skillsmith list` lists them")
    with session.open() as workspace:
        chosen = workspace.skills.names() if every else names or []
        with session.out.progress("writing"):
            written = [str(path) for path in export_skills(workspace.skills, chosen, output, format=format_)]
    session.out.document({"written": written}, lambda: session.out.line("\n".join(written)))


@command("skillsmith import skills/", "skillsmith import refund_booking.skill.json --new-version --json")
def import_skills(
    session: Session,
    *,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Skill files, or folders of them.")],
    new_version: Annotated[
        bool, typer.Option("--new-version", help="Where a name is taken by other content, add a version.")
    ] = False,
) -> ExitCode:
    """Read shared skills: digest and shape are checked first, and what could run code is quarantined.

    A quarantined skill runs only after `skillsmith trust NAME`.
    """
    from skillsmith.library.exchange import import_files  # noqa: PLC0415  (only to share)

    out = session.out
    with session.open(create=True) as workspace, out.progress("importing"):
        report = import_files(workspace.skills, paths, new_version=new_version)
    document = _import_document(report)
    for problem in report.problems:
        out.warn(f"refused {problem.path}: {problem.reason}")
    out.document(document, lambda: _show_imported(session, document))
    return _import_code(report)


@command("skillsmith sync ~/team-skills")
def sync(
    session: Session,
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of skill files, made when missing.")],
) -> ExitCode:
    """Import what is new in a folder and write to it what is new here; what both changed stays as it is.

    What comes in is in quarantine until `skillsmith trust NAME`; skills in quarantine are not written.
    """
    from skillsmith.library.sync import sync_folder  # noqa: PLC0415  (only to share)

    out = session.out
    with session.open(create=True) as workspace, out.progress("comparing"):
        report = sync_folder(workspace.skills, folder)
    document = {"written": [str(path) for path in report.written], **_import_document(report.imported)}
    for problem in report.imported.problems:
        out.warn(f"refused {problem.path}: {problem.reason}")
    out.document(document, lambda: _show_synced(session, document))
    return _import_code(report.imported)


def _show_synced(session: Session, document: dict[str, Json]) -> None:
    for path in document["written"]:
        session.out.line(f"wrote {path}")
    _show_imported(session, document)


def _import_document(report: ImportReport) -> dict[str, Json]:
    return {
        "imported": list(report.imported),
        "unchanged": list(report.unchanged),
        "conflicts": [_conflict_document(conflict) for conflict in report.conflicts],
        "quarantined": list(report.quarantined),
        "problems": [problem_document(problem) for problem in report.problems],
    }


def _import_code(report: ImportReport) -> ExitCode:
    if report.problems:
        return ExitCode.REFUSED
    return ExitCode.FAILED if report.conflicts else ExitCode.OK


def _conflict_document(conflict: Conflict) -> dict[str, Json]:
    return {
        "name": conflict.name, "path": conflict.path, "version": conflict.version,
        "differs": list(conflict.differs),
    }  # fmt: skip


def _show_imported(session: Session, document: dict[str, Json]) -> None:
    out = session.out
    for name in document["imported"]:
        quarantined = name in document["quarantined"]
        out.line(f"imported {name}{', in quarantine' if quarantined else ''}")
    for conflict in document["conflicts"]:
        out.warn(
            f"conflict: {conflict['path']} and {conflict['name']}@{conflict['version']} differ in"
            f" {joined(conflict['differs'])}; --new-version adds the file as a version"
        )
    if document["quarantined"]:
        out.note("look at what is in quarantine with `skillsmith show NAME`, then `skillsmith trust NAME`")
    if not document["imported"] and not document["conflicts"]:
        out.note("nothing new")


@command("skillsmith trust refund_booking")
def trust(session: Session, *, name: NameArgument, yes: YesOption = False) -> None:
    """Let an imported skill run, after you have seen its code.

    On a terminal its code, defaults and files are shown first and you are asked; what was shown is trusted.
    """
    from skillsmith.cli.show import show_for_trust  # noqa: PLC0415  (only to draw a skill)
    from skillsmith.library.exchange import trust as trust_skill  # noqa: PLC0415  (only to share)

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
        typer.Argument(metavar="PATH", help="Skill files or folders; else the database.", show_default=False),
    ] = None,
) -> ExitCode:
    """Check skill files against their digests, or the whole database against its own."""
    from skillsmith.library.verify import verify_files, verify_library  # noqa: PLC0415  (only to verify)

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
