"""The command registry and the Typer application built from it.

Only the module of the command that was named is imported, and none for the list of commands, so that help
and every command that only reads start in little more than the time Typer itself needs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated

import typer

from skillsmith.cli.boundary import guard
from skillsmith.cli.session import Command, DbOption, Globals, JsonOption


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, and what it does in a few words.

    Args:
        target: Module under ``skillsmith.cli`` and function.
        summary: For the list of commands; the whole help is the function's docstring.
    """

    target: str
    summary: str


COMMANDS = {
    "demo": Entry("demo:demo", "See the whole life of a skill, live, with no key."),
    "ingest": Entry("ingest:ingest", "Read agent logs into the file."),
    "runs": Entry("runs:runs", "List the runs, newest first."),
    "timeline": Entry("runs:timeline", "Print one run's events in order."),
    "artifacts": Entry("artifacts:artifacts", "List a run's files, versions and diffs."),
    "tui": Entry("tui:tui", "See it all on the whole terminal."),
    "watch": Entry("watch:watch", "Follow a run while it goes on."),
    "export-run": Entry("export_run:export_run", "Write a run as a trace for trace viewers, or as JSON."),
    "mark": Entry("runs:mark", "Judge a run yourself: success or failure."),
    "extract": Entry("extract:extract", "Make a skill from a run, and prove it."),
    "list": Entry("skills:list_skills", "List the skills."),
    "show": Entry("skills:show", "Show one skill whole, or why it is as it is."),
    "delete": Entry("skills:delete", "Remove a skill or one of its versions."),
    "match": Entry("match:match", "Find the skill that fits a task, or learn why none does."),
    "run": Entry("run:run", "Do a task with the skill that fits it."),
    "run-many": Entry("run_many:run_many", "Run one skill over many inputs, several at once."),
    "executions": Entry("executions:executions", "List a skill's executions, newest first."),
    "stats": Entry("executions:stats", "Show how a skill performs."),
    "compare": Entry("compare:compare", "Lay executions and runs side by side, step by step."),
    "versions": Entry("versions:versions", "List a skill's versions and what was done to it."),
    "diff": Entry("versions:diff", "Show how two versions of a skill differ."),
    "rollback": Entry("versions:rollback", "Make another version the current one, and say why."),
    "compose": Entry("compose:compose", "Make a new skill of others, wired and proven."),
    "optimize": Entry("optimize:optimize", "Improve a skill from what its executions show."),
    "analytics": Entry("analytics:analytics", "Show how the whole library does, with charts."),
    "usage": Entry("analytics:usage", "Show one skill's use over time."),
    "learn": Entry("learn:learn", "Make draft skills from a run while it goes on."),
    "summarize": Entry("learn:summarize", "Sum up a long run within a budget of tokens."),
    "export": Entry("share:export", "Write skills as files for git."),
    "import": Entry("share:import_skills", "Read shared skills; what runs code is quarantined."),
    "trust": Entry("share:trust", "Let an imported skill run, once you have seen its code."),
    "sync": Entry("share:sync", "Keep the library and a shared folder alike, both ways."),
    "verify": Entry("share:verify", "Check skill files, or the database, against their digests."),
    "serve": Entry("serve:serve", "Serve the file over HTTP and WebSockets."),
    "mcp": Entry("mcp:mcp", "Serve the library to other programs' agents by MCP."),
    "archive": Entry("archive:archive", "Move old runs to a second file, or back."),
    "hub push": Entry("hub:hub_push", "Send what is new here to a team's library in PostgreSQL."),
    "hub pull": Entry("hub:hub_pull", "Take in what is new there; what runs code is quarantined."),
    "hub match": Entry("hub:hub_match", "Find the skill that fits a task in the team's library."),
    "hub status": Entry("hub:hub_status", "Compare this file with the team's library."),
    "hub archive": Entry("hub:hub_archive", "Move whole runs there, a partition for each month."),
    "hub try": Entry("hub:hub_try", "Start a hub here, with nothing installed."),
    "reindex": Entry("care:reindex", "Rebuild full text and skill vectors."),
    "doctor": Entry("doctor:doctor", "Check the installation and the file."),
    "backup": Entry("care:backup", "Write a consistent copy of the file while in use."),
    "model status": Entry("model:model_status", "Tell whether the embedding model is installed."),
    "model install": Entry("model:model_install", "Install the embedding model."),
}
"""In the order of a skill's life; a name of two words is a command of a group."""

GROUPS = {
    "model": "Show or install the local embedding model.",
    "hub": "Share skills, ledgers and runs with a team through PostgreSQL.",
}

_COMPLETION_VARIABLE = "_SKILLSMITH_COMPLETE"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if _COMPLETION_VARIABLE in os.environ:
        build(COMMANDS)(args=args, prog_name="skillsmith")
    return guard(lambda: _invoke(args), args)


def _invoke(args: list[str]) -> int:
    application = typer.main.get_command(build(named(args)))
    with application.make_context("skillsmith", args) as context:
        return int(application.invoke(context) or 0)


def named(args: Sequence[str]) -> list[str]:
    """Return the registry's names that a command line names: of a group, all its commands."""
    words = iter(args)
    for word in words:
        if word == "--db":
            next(words, None)
        elif not word.startswith("-"):
            return [name for name in COMMANDS if name.split()[0] == word]
    return []


def load(name: str) -> Command:
    """Import a command's function."""
    module, function = COMMANDS[name].target.split(":")
    found: Command = getattr(import_module(f"skillsmith.cli.{module}"), function)
    return found


def build(needed: Iterable[str]) -> typer.Typer:
    """Build the application; of the commands that are not needed only name and summary are there."""
    settings = {"rich_markup_mode": None, "pretty_exceptions_enable": False, "no_args_is_help": True}
    application = typer.Typer(**settings)  # type: ignore[arg-type]  # three keywords of their own types
    application.callback()(_root)
    groups = {name: typer.Typer(**settings) for name in GROUPS}  # type: ignore[arg-type]  # as above
    for name, group in groups.items():
        application.add_typer(group, name=name, help=GROUPS[name])
    chosen = set(needed)
    for name, entry in COMMANDS.items():
        above, _, leaf = name.rpartition(" ")
        parent = groups[above] if above else application
        if name in chosen:
            function = load(name)
            parent.command(leaf, short_help=entry.summary, epilog=_epilog(function))(function)
        else:
            parent.command(leaf, help=entry.summary)(_not_needed)
    return application


def _not_needed() -> None:
    """Stand for a command that was not named."""


def _epilog(function: Command) -> str:
    examples: tuple[str, ...] = function.examples  # type: ignore[attr-defined]  # set by session.command
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)


def _version(wanted: bool) -> None:
    if wanted:
        import skillsmith  # noqa: PLC0415  (already loaded; the version is read only now)

        typer.echo(f"skillsmith {skillsmith.__version__}")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    db: DbOption = None,
    as_json: JsonOption = False,
    version: Annotated[  # noqa: ARG001  (handled by its callback)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn what agents did into what agents can do again.

    Capture runs, extract skills from them, prove the skills, find the right one for a task and run it: all
    in one SQLite file, with no server, account or model needed.
    """
    ctx.obj = Globals(db=db, as_json=as_json)
