"""What a benchmark task is made of: a captured source run, new tasks in other words, and what is right.

A task is judged by files, outputs and tool state alone, against values that an independent reference computed
from the data itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillsmith.library.program.bindings import sources
from skillsmith.models import FromNode, Json, Skill

if TYPE_CHECKING:
    from skillsmith.models import AgentRunner

Files = Mapping[str, str]
"""Text by path, relative to the folder where the task is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the scripted model in a source run.

    Args:
        agent: Who says it.
        text: What it says.
        reasoning: What it thinks.
        code: Code that it has run.
        language: Of the code.
        tool: The tool that it calls instead.
        arguments: With what.
    """

    agent: str
    text: str
    reasoning: str = ""
    code: str | None = None
    language: str = "python"
    tool: str | None = None
    arguments: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a run or an execution left behind.

    Args:
        folder: Where the skill worked.
        outputs: Its outputs by name.
        service: The tools' state, if the family has tools.
    """

    folder: Path
    outputs: Mapping[str, Json]
    service: Any = None


Check = Callable[[Done], Iterable[str]]
"""Yields what is wrong, a line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A run that agents did, from which the product makes a skill.

    Args:
        name: The skill's name.
        task: What the agents were asked to do.
        files: What lay in their folder.
        turns: What they said, ran and called, in order.
        checks: What has to be so at its end, by the same reference that judges the new tasks.
        edit: What the skill's owner changes by hand afterwards, as a new version.
    """

    name: str
    task: str
    turns: tuple[Turn, ...]
    checks: tuple[Check, ...]
    files: Files = field(default_factory=dict)
    edit: Callable[[Skill], Skill] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A deviation from the skill that a task brings about.

    Args:
        kind: Type of the adaptation that has to be recorded.
        target: Finds its target in the skill, by what the source run had there.
        after: What was done instead, when that is one known value; None: not compared.
    """

    kind: str
    target: Callable[[Skill], str]
    after: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A new task for a skill.

    Args:
        words: What a person asks for.
        skill: The name of the right skill; only for judging.
        checks: What has to be so afterwards.
        files: What lies in the person's folder.
        planted: The deviations from the skill.
        trouble: Prepares the tools' state: what is different there, and what goes wrong.
        agents: Stands in for the model that mends what fails; None: there is no model.
    """

    words: str
    skill: str
    checks: tuple[Check, ...]
    files: Files = field(default_factory=dict)
    planted: tuple[Planted, ...] = ()
    trouble: Callable[[Any], None] | None = None
    agents: Callable[[], AgentRunner] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Source runs and tasks of one kind.

    Args:
        service: Makes the object whose public methods are the tools; each run and task gets a new one.
    """

    name: str
    sources: tuple[Source, ...]
    tasks: tuple[Task, ...]
    service: Callable[[], Any] | None = None


# --------------------------------------------------------------------------------------------------- checks


def text_is(path: str, lines: Sequence[str]) -> Check:
    """Check that a file has just these lines."""
    return lambda done: _differences(path, _lines(done, path), list(lines))


def json_is(path: str, value: Json) -> Check:
    """Check that a JSON file holds just this value."""

    def check(done: Done) -> Iterator[str]:
        found = _read(done, path)
        yield from _differences(path, None if found is None else json.loads(found), value)

    return check


def printed(*parts: str) -> Check:
    """Check that the printed output holds these texts."""

    def check(done: Done) -> Iterator[str]:
        output = str(done.outputs.get("output", ""))
        yield from (f"{part!r} was not printed: {output[:200]!r}" for part in parts if part not in output)

    return check


def state_is(name: str, read: Callable[[Any], Json], value: Json) -> Check:
    """Check a part of the tools' state."""
    return lambda done: _differences(name, read(done.service), value)


def file_is(path: str, read: Callable[[bytes], Json], value: Json) -> Check:
    """Check what a reader of our own finds in a file."""

    def check(done: Done) -> Iterator[str]:
        file = done.folder / path
        yield from _differences(path, read(file.read_bytes()) if file.is_file() else None, value)

    return check


def _read(done: Done, path: str) -> str | None:
    file = done.folder / path
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _lines(done: Done, path: str) -> list[str] | None:
    text = _read(done, path)
    return None if text is None else text.splitlines()


def _differences(name: str, found: Json, wanted: Json) -> Iterator[str]:
    if found is None and wanted is not None:
        yield f"{name} is not there"
    elif found != wanted:
        yield f"{name} is {_short(found)}, not {_short(wanted)}"


def _short(value: Json) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:160]}…"


# -------------------------------------------------------------------------------------- targets of deviations


def input_with(default: Json) -> Callable[[Skill], str]:
    """Find the input that had this value in the source run."""

    def find(skill: Skill) -> str:
        names = [one.name for one in skill.variables if one.default == default]
        return names[0] if names else f"no input with the default {default!r}"

    return find


def node_with(text: str) -> Callable[[Skill], str]:
    """Find the node that calls this tool, or whose template holds this text."""

    def find(skill: Skill) -> str:
        nodes = [node.id for node in skill.nodes if text == node.tool or text in _template(node.template)]
        return nodes[0] if nodes else f"no node with {text!r}"

    return find


def _template(template: Any) -> str:
    return template.text if template else ""


def argument_of(tool: str, name: str) -> Callable[[Skill], str]:
    """Find an argument of the node that calls this tool."""
    return lambda skill: f"{node_with(tool)(skill)}.{name}"


def other_value(was: Json, now: Json) -> Planted:
    """Return the deviation of an input that was meant to keep its value."""
    return Planted(kind="parameter_change", target=input_with(was), after=now)


# -------------------------------------------------------------------------------------------- owners' changes


def only_if(skill: Skill, text: str, condition: str) -> Skill:
    """Have a node run only on a condition; outputs that come from it are given up.

    Args:
        skill: As it was extracted.
        text: The node's tool, or what its template holds.
        condition: Over the skill's inputs and results.
    """
    chosen = node_with(text)(skill)
    nodes = [
        replace(node, condition=condition, optional=True) if node.id == chosen else node
        for node in skill.nodes
    ]
    kept = {
        name: binding
        for name, binding in skill.output_bindings.items()
        if all(not (isinstance(one, FromNode) and one.node == chosen) for one in sources(binding))
    }
    outputs = {
        **skill.outputs,
        "properties": {name: schema for name, schema in skill.outputs["properties"].items() if name in kept},
        "required": [name for name in skill.outputs.get("required", ()) if name in kept],
    }
    return replace(skill, nodes=tuple(nodes), outputs=outputs, output_bindings=kept)
