"""Write cli.md from the command registry, so that the reference says what the commands themselves say.

python docs/make_cli.py            writes docs/cli.md
python docs/make_cli.py --check    only tells whether it is up to date (exit code 1 when it is not)
"""  # noqa: INP001  (a script beside the pages, no package)

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from skillsmith.cli.app import COMMANDS, GROUPS, build, load

PAGE = Path(__file__).with_name("cli.md")
SHARED = ("--db", "--json", "--help")
HEAD = """\
# Command line

*This page is made from the commands' own help by `docs/make_cli.py`; a test keeps it up to date.*

Every command takes `--db PATH` and `--json`, before or after its name, and `--help`.

- With `--json` exactly one JSON document goes to stdout. Lists are `{"items": […], "next": CURSOR}`; give the
  cursor to `--after`.
- Without it people get aligned text; on a terminal tables and colour (`NO_COLOR` is obeyed).
- A skill is `NAME` or `NAME@VERSION`. A run or an execution is its id or any unique beginning of it.
- Notes, questions and errors go to stderr. An error is one line that says what is wrong and what to do;
  with `--json` it is `{"error": {"code", "message", "hint"}}`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | the command line is wrong, or an input is missing |
| 3 | what was named is not there |
| 4 | no skill fits the task |
| 5 | refused: not trusted, nearly the same as another skill, holds a secret, invalid file, not confirmed |
| 130 | interrupted |
"""


def main(words: list[str]) -> int:
    """Write the page, or tell whether it is what it should be."""
    text = page()
    if words == ["--check"]:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """Return the page for the commands as they are."""
    application: Any = typer.main.get_command(build(COMMANDS))
    parts = [HEAD, "\n".join(_overview())]
    parts += ["\n".join(_section(application, name)) for name in COMMANDS]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _overview() -> Iterator[str]:
    yield "| command | does |"
    yield "|---|---|"
    for name, entry in COMMANDS.items():
        yield f"| [`{name}`](#{name.replace(' ', '-')}) | {_cell(entry.summary)} |"


def _section(application: Any, name: str) -> Iterator[str]:
    command, context = _command(application, name)
    yield f"## {name}"
    yield ""
    yield f"`{_usage(command, context)}`"
    yield ""
    yield _prose(load(name))
    records = [_record(parameter, context) for parameter in command.params]
    shown = [record for record in records if record and not record[0].startswith(SHARED)]
    if shown:
        yield ""
        yield "| | |"
        yield "|---|---|"
        yield from (f"| `{_cell(left)}` | {_cell(right)} |" for left, right in shown)
    yield ""
    yield "```sh"
    yield from load(name).examples  # type: ignore[attr-defined]  # set by session.command
    yield "```"


def _command(application: Any, name: str) -> tuple[Any, Any]:
    context = application.make_context("skillsmith", ["--json", *name.split()])
    command: Any = None
    for word in name.split():
        command = context.command.get_command(context, word)
        rest = name.split()[1:] if command.name in GROUPS else []
        context = command.make_context(word, rest, parent=context, resilient_parsing=True)
    return command, context


def _usage(command: Any, context: Any) -> str:
    usage: str = " ".join(command.get_usage(context).split())
    return usage.removeprefix("Usage: ")


def _prose(function: Any) -> str:
    """Return a command's help without line breaks inside its paragraphs, code spans as they are."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(_escaped(" ".join(paragraph.split())) for paragraph in paragraphs)


def _record(parameter: Any, context: Any) -> tuple[str, str] | None:
    if parameter.param_type_name == "argument":
        name = parameter.make_metavar(context).strip("{}")
        return name, parameter.help or ""
    record: tuple[str, str] | None = parameter.get_help_record(context)
    return record


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Keep Markdown from reading braces, stars or angle brackets of a help text as markup."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        for mark in _MARKS:
            parts[index] = parts[index].replace(mark, "\\" + mark)
    return "`".join(parts)


_MARKS: Iterable[str] = ("*", "_", "<", "[")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
