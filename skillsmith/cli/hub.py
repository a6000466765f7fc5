"""A team's library in PostgreSQL: ``hub push``, ``pull``, ``match``, ``status``, ``archive`` and ``try``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillsmith.cli.archive import OlderThanOption, RunsArgument
from skillsmith.cli.hub_text import (
    move_document,
    move_line,
    pull_document,
    push_document,
    show_pull,
    show_push,
    show_status,
    status_document,
)
from skillsmith.cli.match import MATCH_COLUMNS, ConfidenceOption, inputs_line
from skillsmith.cli.session import Session, YesOption, command
from skillsmith.errors import ExitCode, UsageError
from skillsmith.output import Column
from skillsmith.presentation.documents import match_document
from skillsmith.presentation.text import DAY, plural, split_list

if TYPE_CHECKING:
    from skillsmith.hub.client import Hub
    from skillsmith.hub.match import HubMatch
    from skillsmith.hub.partitions import HubMove
    from skillsmith.workspace import Workspace

HubOption = Annotated[
    str | None,
    typer.Option(
        "--hub", metavar="URL", show_default=False,
        help="postgresql://USER@HOST/DATABASE, without a password; else $SKILLSMITH_HUB.",
    ),
]  # fmt: skip
SecretsOption = Annotated[
    bool, typer.Option("--allow-secrets", help="Send it although something in it looks like a secret.")
]


def _connect(url: str | None, *, create: bool = False, upgrade: bool = False) -> Hub:
    from skillsmith.hub.address import find_address  # noqa: PLC0415  (60 ms: the driver)
    from skillsmith.hub.client import Hub  # noqa: PLC0415

    return Hub(find_address(url), create=create, upgrade=upgrade)


# ------------------------------------------------------------------------------------------- push, pull


@command(
    "skillsmith hub push --hub postgresql://ann@db.example/team", "skillsmith hub push --ours plot --json"
)
def hub_push(
    session: Session,
    *,
    hub: HubOption = None,
    ours: Annotated[
        list[str] | None,
        typer.Option(
            "--ours", metavar="NAME", help="Where both pointers moved, ours wins; both versions stay."
        ),
    ] = None,
    runs: Annotated[bool, typer.Option("--runs", help="Also whole runs, with all events and files.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Offer everything anew, e.g. after the hub was restored.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Bring an older hub's schema up to date.")
    ] = False,
    allow_secrets: SecretsOption = False,
) -> ExitCode:
    """Send what is new here to a hub: versions, pointers, deletions, ledger, history, runs' figures.

    Nothing there is overwritten. What is in quarantine here is not sent. Where another machine has moved a
    skill's pointer since your last pull, it stays and the exit code is 5: pull, which merges, and push again.
    """
    from skillsmith.hub.push import push  # noqa: PLC0415  (only for hubs)

    out = session.out
    with session.open() as workspace, _connect(hub, create=True, upgrade=upgrade) as connection:
        with out.progress("pushing") as step:
            report = push(
                workspace,
                connection,
                ours=ours or (),
                allow_secrets=allow_secrets,
                again=again,
                progress=step,
            )
        sent = _send_all_runs(session, workspace, connection, allow_secrets=allow_secrets) if runs else None
        _index(session, connection)
    document = push_document(report, sent)
    out.document(document, lambda: show_push(session, document))
    return ExitCode.REFUSED if report.conflicts else ExitCode.OK


def _send_all_runs(
    session: Session, workspace: Workspace, connection: Hub, *, allow_secrets: bool
) -> HubMove:
    from skillsmith.hub.partitions import HubArchive  # noqa: PLC0415  (only for hubs)

    chosen = [run.id for run in workspace.runs.list() if run.status != "running"]
    with session.out.progress("sending runs", total=len(chosen)) as step:
        return HubArchive(workspace, connection).send(chosen, allow_secrets=allow_secrets, progress=step)


def _index(session: Session, connection: Hub) -> None:
    from skillsmith.hub.vector_rows import index_vectors  # noqa: PLC0415  (only for hubs)

    with session.out.progress("indexing vectors"):
        for model in index_vectors(connection):
            session.out.note(f"indexed the vectors of {model}")


@command("skillsmith hub pull", "skillsmith hub pull --run 019ab3 --json")
def hub_pull(
    session: Session,
    *,
    hub: HubOption = None,
    theirs: Annotated[
        list[str] | None,
        typer.Option(
            "--theirs", metavar="NAME", help="Where both pointers moved, the hub's wins; ours stays."
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Look at everything anew, e.g. after the hub was restored.")
    ] = False,
    run: Annotated[
        list[str] | None, typer.Option("--run", metavar="RUN", help="Bring only this run back, whole.")
    ] = None,
) -> ExitCode:
    """Take in what is new on a hub; what could run is in quarantine until `skillsmith trust NAME`.

    Changes of both sides are merged step by step. Where both changed the same step, both versions stay, ours
    stays the current one, and the exit code is 5. A skill that another machine deleted is retired here.
    """
    out = session.out
    with session.open(create=True) as workspace, _connect(hub) as connection:
        if run:
            _bring_back(session, workspace, connection, run)
            return ExitCode.OK
        from skillsmith.hub.pull import pull  # noqa: PLC0415  (only for hubs)

        with out.progress("pulling") as step:
            report = pull(workspace, connection, theirs=theirs or (), again=again, progress=step)
    document = pull_document(report)
    out.document(document, lambda: show_pull(session, document))
    return ExitCode.REFUSED if report.conflicts or report.refused else ExitCode.OK


def _bring_back(session: Session, workspace: Workspace, connection: Hub, runs: list[str]) -> None:
    from skillsmith.hub.partitions import HubArchive  # noqa: PLC0415  (only for hubs)

    with session.out.progress("bringing back", total=len(runs)) as step:
        move = HubArchive(workspace, connection).fetch(runs, progress=step)
    session.out.document(move_document(move), lambda: session.out.line(move_line("brought back", move)))


# ----------------------------------------------------------------------------------------------- match


@command("skillsmith hub match 'plot the power spectrum'", "skillsmith hub match 'cancel order 17' --json")
def hub_match(
    session: Session,
    *,
    task: Annotated[str, typer.Argument(metavar="TASK", help="What is to be done, in words.")],
    hub: HubOption = None,
    top_k: Annotated[int, typer.Option("--top-k", metavar="K", min=1, help="At most so many skills.")] = 5,
    min_confidence: ConfidenceOption = None,
    tags: Annotated[
        str | None, typer.Option("--tags", metavar="A,B", help="Only skills with all these tags.")
    ] = None,
) -> ExitCode:
    """Find the skills of a hub that fit a task, best first; when none does, say why (exit code 4)."""
    from skillsmith.hub.match import match  # noqa: PLC0415  (only for hubs)

    with session.open() as workspace, _connect(hub) as connection:
        found = match(
            workspace, connection, task, top_k=top_k, min_confidence=min_confidence, tags=split_list(tags)
        )
    document = match_document(found.result)
    for one in document["matches"]:
        place = found.places[one["name"]]
        one |= {"here": place.here, "machine": place.machine, "number": place.there}
    session.out.document(document, lambda: _show_match(session, found))
    return ExitCode.NO_MATCH if found.result.abstained else ExitCode.OK


def _show_match(session: Session, found: HubMatch) -> None:
    result = found.result
    session.out.note(f"no skill fits: {result.reason}" if result.abstained else result.reason)
    rows: list[dict[str, Any]] = [
        {
            "skill": one.name, "confidence": one.confidence, "inputs": inputs_line(one.inputs),
            "missing": one.missing, "reason": one.reason,
            "here": found.places[one.name].here or "not yet: `skillsmith hub pull`",
        }
        for one in result.matches
    ]  # fmt: skip
    if rows:
        session.out.table((*MATCH_COLUMNS[:2], Column(key="here", title="here"), *MATCH_COLUMNS[2:]), rows)


# ---------------------------------------------------------------------------------------------- status


@command("skillsmith hub status", "skillsmith hub status plot --json")
def hub_status(
    session: Session,
    *,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Also tell which number means which version, machine by machine.",
            show_default=False,
        ),
    ] = None,
    hub: HubOption = None,
) -> None:
    """Show what a hub holds, what of it is not here, and what of ours is not there."""
    from skillsmith.hub.status import status  # noqa: PLC0415  (only for hubs)

    with session.open() as workspace, _connect(hub) as connection:
        found = status(workspace, connection, name=name)
    session.out.document(status_document(found), lambda: show_status(session, found))


# --------------------------------------------------------------------------------------------- archive


@command("skillsmith hub archive --older-than 90 --yes", "skillsmith hub archive 019ab3 019ab7")
def hub_archive(
    session: Session,
    *,
    runs: RunsArgument = None,
    older_than: OlderThanOption = None,
    hub: HubOption = None,
    allow_secrets: SecretsOption = False,
    yes: YesOption = False,
) -> None:
    """Move whole runs to a hub, into a partition for each month.

    A run goes from here only after the hub's copy was read back and found equal. `runs --archived` lists what
    was moved, `hub pull --run RUN` brings a run back.
    """
    from skillsmith.hub.partitions import HubArchive  # noqa: PLC0415  (only for hubs)

    if bool(runs) == (older_than is not None):
        raise UsageError("which runs?", hint="name them, or give --older-than DAYS")
    with session.open() as workspace, _connect(hub, create=True) as connection:
        chosen = list(runs or ()) or workspace.archive.older_than(time.time() - (older_than or 0.0) * DAY)
        if chosen:
            session.confirm(f"move {plural(len(chosen), 'run')} to {connection.shown}?", yes=yes)
        with session.out.progress("archiving", total=len(chosen)) as step:
            move = HubArchive(workspace, connection).send(
                chosen, remove=True, allow_secrets=allow_secrets, progress=step
            )
    session.out.document(move_document(move), lambda: session.out.line(move_line("moved", move)))


# ------------------------------------------------------------------------------------------------- try


@command("skillsmith hub try ./team-hub", "skillsmith hub try ./team-hub --stop")
def hub_try(
    session: Session,
    *,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the server's data, made when missing.")
    ],
    stop: Annotated[bool, typer.Option("--stop", help="Stop the server; its data stay.")] = False,
    yes: YesOption = False,
) -> None:
    """Start a PostgreSQL server with pgvector in a folder, to try a hub with nothing installed.

    It listens on no network address and runs until `--stop`, or until the machine restarts.
    """
    from skillsmith.hub import trial  # noqa: PLC0415  (only for hubs)

    if stop:
        trial.stop(folder)
        session.out.document(
            {"stopped": str(folder)}, lambda: session.out.line(f"stopped the server in {folder}")
        )
        return
    if trial.needs_consent():
        session.confirm(trial.ROOT_NOTE.format(folder=folder) + "; go on?", yes=yes)
    with session.out.progress("starting"):
        url = trial.start(folder)
    session.out.document({"hub": url}, lambda: _show_try(session, url))


def _show_try(session: Session, url: str) -> None:
    session.out.note("the hub is ready; tell skillsmith where it is:")
    session.out.line(f"export SKILLSMITH_HUB='{url}'")
