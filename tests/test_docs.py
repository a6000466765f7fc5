"""Tests that documentation cannot rot: every command explains itself, shows examples and is in the README."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

import pytest
import typer
from cli_process import ROOT

from skillsmith.cli.app import COMMANDS, GROUPS, build, load

README = (ROOT / "README.md").read_text(encoding="utf-8")
WIDTH = 80


@pytest.fixture(scope="module")
def application() -> Any:
    """Return the whole command line, every command loaded."""
    return typer.main.get_command(build(COMMANDS))


def _context(application: Any, name: str, args: Sequence[str] = (), *, lenient: bool = True) -> Any:
    """Return the context of a command, as when it runs with these arguments."""
    context = application.make_context("skillsmith", ["--json", *name.split(), *args])
    for word in name.split():
        command = context.command.get_command(context, word)
        rest = [*name.split()[1:], *args] if command.name in GROUPS else list(args)
        context = command.make_context(word, rest, parent=context, resilient_parsing=lenient)
    return context


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_how_and_shows_examples(application: Any, name: str) -> None:
    """Every command's help begins with a whole sentence and ends with examples."""
    text = _context(application, name).get_help()
    assert (load(name).__doc__ or "").strip().split("\n")[0].endswith(".")
    assert text.startswith(f"Usage: skillsmith {name} ")
    assert f"\n  Examples:\n    skillsmith {name}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_is_explained(application: Any, name: str) -> None:
    """No option or argument goes without a word."""
    for parameter in _context(application, name).command.params:
        assert parameter.help, parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_can_be_typed(application: Any, name: str) -> None:
    """The command line takes every example as it stands."""
    examples: tuple[str, ...] = load(name).examples  # type: ignore[attr-defined]  # set by session.command
    for example in examples:
        words = shlex.split(example)
        place = 1 + len(name.split())
        assert words[:place] == ["skillsmith", *name.split()], example
        _context(application, name, words[place:], lenient=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_summaries_fit_the_list(name: str) -> None:
    """A command's summary fits on its line of the list of commands."""
    column = 4 + max(len(known.split()[0]) for known in [*COMMANDS, *GROUPS])
    assert len(COMMANDS[name].summary) <= WIDTH - column - 2
    assert COMMANDS[name].summary.endswith(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_names_every_command(name: str) -> None:
    """Every command appears in the README as code."""
    first, *others = name.split()
    spans = [
        re.split(r"[\s\\|]+", span.removeprefix("skillsmith ")) for span in re.findall(r"`([^`\n]+)`", README)
    ]
    assert any(span[0] == first and set(others) <= set(span) for span in spans)
