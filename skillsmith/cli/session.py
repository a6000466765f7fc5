"""What every command shares: ``--db`` and ``--json``, the open file, and how a function becomes a command.

A command is a plain function whose first parameter is the ``Session``; it parses nothing, opens one
workspace, calls one service and prints. Its docstring is its help.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeAlias

import typer

from skillsmith.errors import ExitCode, RefusedError
from skillsmith.output import Output, clean, is_terminal

if TYPE_CHECKING:
    from skillsmith.workspace import Workspace

P = ParamSpec("P")
Command: TypeAlias = Callable[..., ExitCode | None]

DEFAULT_LIMIT = 100

DbOption = Annotated[
    Path | None,
    typer.Option(
        "--db", metavar="PATH", show_default=False,
        help="The skillsmith file; else $SKILLSMITH_DB, ./skillsmith.db, or the user data folder.",
    ),
]  # fmt: skip
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Items on a page; 0: all.")]
AfterOption = Annotated[
    str | None,
    typer.Option("--after", metavar="CURSOR", help="Go on after this cursor (`next` of the page before)."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Globals:
    """The options given before the command's name."""

    db: Path | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One command's surroundings.

    Args:
        out: Where it prints.
        db: The file named by ``--db``.
    """

    out: Output
    db: Path | None

    def open(self, *, create: bool = False) -> Workspace:
        """Open the file; a command that only reads never makes one, and works without the right to write."""
        from skillsmith.db import may_write  # noqa: PLC0415  (10 ms; not for help)
        from skillsmith.workspace import default_path, open_workspace  # noqa: PLC0415  (as above)

        path = self.db or default_path()
        if path.is_file() and not may_write(path):
            return open_workspace(path, readonly=True)
        new = create and not path.exists()
        workspace = open_workspace(path, create=create)
        if new:
            self.out.note(f"new file {path}")
        return workspace

    @property
    def interactive(self) -> bool:
        """Whether a person can be asked."""
        return not self.out.as_json and is_terminal(sys.stdin) and is_terminal(sys.stderr)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask a person on the terminal, unless they said yes already.

        Raises:
            RefusedError: The answer is no, or there is nobody to ask.
        """
        if yes:
            return
        if not self.interactive:
            raise RefusedError(f"not confirmed: {question}", hint="give --yes")
        if not typer.confirm(clean(question), err=True):
            raise RefusedError("not confirmed", hint="nothing was done")


def command(*examples: str) -> Callable[[Callable[Concatenate[Session, P], ExitCode | None]], Command]:
    """Turn a function of a session into what Typer can register.

    Args:
        examples: Whole command lines, shown at the end of its help.
    """

    def wrap(function: Callable[Concatenate[Session, P], ExitCode | None]) -> Command:
        def run(*, ctx: typer.Context, db: Path | None, as_json: bool, **options: Any) -> ExitCode | None:
            above = ctx.obj if isinstance(ctx.obj, Globals) else Globals()
            out = Output(as_json=as_json or above.as_json)
            session = Session(out=out, db=db or above.db)
            call: Callable[..., ExitCode | None] = function
            return call(session, **options)

        run.__doc__ = function.__doc__
        run.__annotations__ = {}
        run.__signature__ = _signature(function)  # type: ignore[attr-defined]  # what Typer reads
        run.examples = examples  # type: ignore[attr-defined]
        return run

    return wrap


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the function's signature with Typer's context and the shared options in place of the session."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = (
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        *(parameter.replace(kind=keyword) for parameter in own),
        inspect.Parameter("db", keyword, annotation=DbOption, default=None),
        inspect.Parameter("as_json", keyword, annotation=JsonOption, default=False),
    )
    return inspect.Signature(shared)
