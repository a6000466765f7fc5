"""``serve``: the same workspace over HTTP and WebSockets, for other programs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.session import Session, command
from skillsmith.errors import UsageError
from skillsmith.presentation.text import joined
from skillsmith.teams.means import opened

if TYPE_CHECKING:
    from skillsmith.server.launch import Address
    from skillsmith.server.settings import ServerSettings

HostOption = Annotated[
    str,
    typer.Option(
        "--host", metavar="ADDRESS", help="Where it listens; beyond this machine only with --allow-remote."
    ),
]
PortOption = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0: any free one.")]
RemoteOption = Annotated[
    bool, typer.Option("--allow-remote", help="Let other machines in; put TLS in front of it.")
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option("--allow-host", metavar="NAME", help="A further name it may be asked by; repeatable."),
]
AllowRunOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-run",
        metavar="NAME|all",
        help="A skill that may be executed over HTTP; repeatable; else none.",
    ),
]
ToolsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tools", metavar="MODULE",
        help="Where tools are: package.module, file.py or mcp:COMMAND; repeatable; requests cannot name any.",
    ),
]  # fmt: skip
FolderOption = Annotated[
    Path | None,
    typer.Option("--workdir", metavar="D", help="Executions work below it; else below the current folder."),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="PATH",
        help="The token; else $SKILLSMITH_TOKEN, or a new one that is printed.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="The model that executions may ask; else they ask none."),
]
MaxCostOption = Annotated[
    float | None, typer.Option("--max-cost", metavar="USD", help="Of one execution's model calls.")
]
JobsOption = Annotated[
    int, typer.Option("--jobs", metavar="N", min=1, max=64, help="Executions and the like at once.")
]


@command(
    "skillsmith serve",
    "skillsmith serve --port 0 --json",
    "skillsmith serve --allow-run refund_booking --tools airline.tools --workdir work --token-file token.txt",
)
def serve(
    session: Session,
    *,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8765,
    allow_remote: RemoteOption = False,
    allow_host: AllowHostOption = None,
    allow_run: AllowRunOption = None,
    tools: ToolsOption = None,
    workdir: FolderOption = None,
    token_file: TokenOption = None,
    model: ModelOption = None,
    max_cost: MaxCostOption = None,
    jobs: JobsOption = 2,
) -> None:
    """Serve the file over HTTP and WebSockets until Ctrl-C; the page at /docs says how it is used.

    Every request needs the token. Skills run only when --allow-run names them, with the tools given here and
    in folders below --workdir. With --json one document with address and token is printed when it is ready.
    """
    _require_extra()
    from skillsmith.server.settings import ServerSettings  # noqa: PLC0415  (an extra)

    token, known = _token(token_file)
    with session.open(create=True) as workspace:  # a problem with the file is told before anything listens
        db = Path(workspace.path).absolute()
        _require_skills(session, workspace.skills.names(), allow_run or ())
    _check_tools(tools or ())
    _check_model(model)
    settings = ServerSettings(
        db=db, token=token, host=_checked_host(host, remote=allow_remote), port=port,
        hosts=frozenset(allow_host or ()), remote=allow_remote, allow_run=frozenset(allow_run or ()),
        tools=tuple(tools or ()), folder=_folder(workdir), model=model, max_cost=max_cost, jobs=jobs,
    )  # fmt: skip
    from skillsmith.server.launch import Server  # noqa: PLC0415  (0.6 s; not for what is refused before)

    server = Server(settings, ready=lambda address: _tell(session, settings, address, known=known))
    try:
        server.serve_until_told()
    except KeyboardInterrupt:  # raised again by the server once it is down
        session.out.note("stopped")


def _require_extra() -> None:
    from importlib.util import find_spec  # noqa: PLC0415  (only here)

    missing = [
        name for name in ("fastapi", "uvicorn", "websockets", "fastapi_offline") if not find_spec(name)
    ]
    if missing:
        raise UsageError(
            f"serve needs packages that are not installed: {joined(missing)}",
            hint="pip install 'skillsmith-cli[server]'",
        )


def _token(file: Path | None) -> tuple[str, bool]:
    """Return the token, and whether the user has it already."""
    from skillsmith.server.settings import TOKEN_VARIABLE, checked_token, new_token  # noqa: PLC0415

    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the token in {file} cannot be read: {error}") from error
        return checked_token(text, source=str(file)), True
    if os.environ.get(TOKEN_VARIABLE):
        return checked_token(os.environ[TOKEN_VARIABLE], source=f"${TOKEN_VARIABLE}"), True
    return new_token(), False


def _checked_host(host: str, *, remote: bool) -> str:
    from skillsmith.server.settings import is_loopback  # noqa: PLC0415

    if not remote and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines",
            hint="give --allow-remote, too, if that is meant; what runs over HTTP then runs for them",
        )
    return "127.0.0.1" if host == "localhost" else host


def _require_skills(session: Session, known: Sequence[str], allowed: Sequence[str]) -> None:
    from skillsmith.server.settings import ALL  # noqa: PLC0415

    for name in allowed:
        if "@" in name:
            raise UsageError(f"--allow-run {name}: it takes names, without versions")
        if name != ALL and name not in known:
            session.out.warn(f"--allow-run {name}: there is no such skill yet")


def _check_tools(sources: Sequence[str]) -> None:
    """Open the tools once, so that a mistake is told now and not by the first job."""
    with opened(sources) as tools:
        if tools is not None:
            tuple(tools.names())


def _check_model(name: str | None) -> None:
    if name is not None:
        from skillsmith.library.agents.model_settings import read_settings  # noqa: PLC0415  (only with a model)

        read_settings(model=name)


def _folder(given: Path | None) -> Path:
    folder = (given or Path.cwd()).absolute()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", hint="make it first, or name another with --workdir")
    return folder


def _tell(session: Session, settings: ServerSettings, address: Address, *, known: bool) -> None:
    """Say where it is, and the token if it is new."""
    out = session.out
    document = {
        "url": address.url, "docs_url": f"{address.url}/docs", "host": address.host, "port": address.port,
        "token": None if known else settings.token, "db": str(settings.db), "pid": os.getpid(),
        "allow_run": sorted(settings.allow_run), "workdir": str(settings.folder),
    }  # fmt: skip

    def show() -> None:
        out.line(f"serving {settings.db} at {address.url}  (how: {address.url}/docs)", style="bold")
        if not known:
            out.line(f"token: {settings.token}")
        runs = joined(sorted(settings.allow_run)) or "no skill (--allow-run NAME)"
        out.note(f"may execute: {runs}; Ctrl-C stops it")

    out.document(document, show)
    out.flush()
