"""The one error boundary: what a user can mend becomes one line and an exit code, bugs pass through raw."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence

import typer

from skillsmith.errors import ExitCode, SkillsmithError, UsageError
from skillsmith.output import Output

INTERRUPTED = 130
PIPE_CLOSED = 141
"""As shells report a process that SIGPIPE ended."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""What writing to a stream fails with through no fault of ours."""


def guard(work: Callable[[], int], args: Sequence[str]) -> int:
    """Do the work and return its exit code, or that of its error after printing it.

    Args:
        work: Runs the command.
        args: The command line, to know how errors are wanted.
    """
    _fill_in_streams()
    out = Output(as_json=wants_json(args))
    try:
        code = work()
        out.flush()
    except BrokenPipeError:
        _close_stdout()
        return PIPE_CLOSED
    except typer.Exit as done:
        return int(done.exit_code)
    except (KeyboardInterrupt, typer.Abort) as stop:
        code, problem = INTERRUPTED, SkillsmithError(str(stop) or "interrupted")
    except SkillsmithError as error:
        code, problem = int(error.exit_code), error
    except typer.TyperException as error:
        if _is_bare(error) and not out.as_json:
            typer.echo(error.format_message(), err=True)
            return int(ExitCode.USAGE)
        code, problem = int(ExitCode.USAGE), _usage_error(error)
    except OSError as error:
        code, problem = int(ExitCode.FAILED), _system_error(error)
    else:
        return code
    out.error(problem)
    return code


def wants_json(args: Sequence[str]) -> bool:
    """Tell whether ``--json`` is among the options."""
    options = args[: args.index("--")] if "--" in args else args
    return "--json" in options


def _is_bare(error: typer.TyperException) -> bool:
    """Tell whether nothing at all was asked for; Typer's message is the whole help then."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _usage_error(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "skillsmith"
    if _is_bare(error):
        return UsageError("a command is missing", hint=f"`{path} --help` lists them")
    message = " ".join(error.format_message().split()).rstrip(".")
    return UsageError(message[:1].lower() + message[1:], hint=f"`{path} --help` shows how")


def _system_error(error: OSError) -> SkillsmithError:
    """Name the file that the system refused, or say that the output cannot be written; else it is a bug."""
    if error.filename is not None:
        return SkillsmithError(f"{error.filename}: {error.strerror}")
    if error.errno not in _NO_ROOM:
        raise error
    _close_stdout()
    return SkillsmithError(f"the output cannot be written: {error.strerror}", hint="send it elsewhere")


def _fill_in_streams() -> None:
    """Open what the caller closed, lest a file of ours takes the place of standard output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  (stays open)


def _close_stdout() -> None:
    """Point stdout at nothing, so that the interpreter does not complain while it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
