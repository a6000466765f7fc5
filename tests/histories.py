"""Histories of skills for tests: really executed, quickly, in folders of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from skillsmith.library.tools.callables import PythonTools
from skillsmith.models import AgentRunner, FromNode, Json, Node, Skill, Slot, Template, Variable
from skillsmith.workspace import Workspace


def code(key: str, text: str, *after: str, places: tuple[str, ...] = (), **more: Any) -> Node:
    """Return a node of Python with whole literals as places."""
    slots = tuple(Slot(variable=name, encoding="python") for name in places)
    return Node(id=key, kind="code", template=Template(text=text, slots=slots), after=after, **more)


def tool(key: str, name: str, /, *after: str, effect: Any = "read", **arguments: Any) -> Node:
    """Return a node that calls a tool."""
    return Node(id=key, kind="tool", tool=name, arguments=arguments, after=after, effect=effect)


def number(name: str, default: int, **more: Any) -> Variable:
    """Return a whole number as an input."""
    return Variable(name=name, type="integer", default=default, **more)


def of(name: str, variables: tuple[Variable, ...], *nodes: Node, **more: Any) -> Skill:
    """Return a proven skill whose output is its last node's result."""
    outputs = more.pop("output_bindings", {"result": FromNode(nodes[-1].id)})
    return Skill(
        name=name, state=more.pop("state", "proven"), variables=variables, nodes=nodes,
        output_bindings=outputs, **more,
    )  # fmt: skip


def live(
    workspace: Workspace,
    skill: Skill,
    folder: Path,
    inputs: Callable[[int], Mapping[str, Json]],
    *,
    count: int = 10,
    files: Callable[[int], Mapping[str, str]] = lambda _: {},
    tools: Mapping[str, Callable[..., Any]] | None = None,
    agents: AgentRunner | None = None,
) -> Skill:
    """Store a skill, execute it on the inputs of each number, and return it."""
    stored = workspace.skills.add(skill)
    source = PythonTools(tools, label="tests", thread_safe=True) if tools else None
    for place in range(count):
        home = folder / f"{skill.name}-{stored.version}-{place}"
        home.mkdir()
        for path, text in files(place).items():
            (home / path).write_text(text, encoding="utf-8")
        with contextlib.chdir(home):
            executor = workspace.executor(tools=source, work_dir=home / "work", agents=agents)
            executor.execute_skill(stored, {"task": "", "inputs": dict(inputs(place))})
    return stored
