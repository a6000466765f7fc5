"""Skills with histories that really happened: each is executed on many inputs, and something about it recurs.

Nothing is written into the ledger by hand. Code runs in the sandbox, tools are called, a stand-in for a model
mends what fails and answers prompts; what the executor records of that is all that the optimizer sees.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillsmith.library.tools.callables import PythonTools
from skillsmith.models import (
    Constant,
    Event,
    FileUse,
    FromInput,
    Json,
    Node,
    Skill,
    Slot,
    Template,
    Variable,
)
from skillsmith.models.protocols import AgentReply, AgentTask
from skillsmith.workspace import Workspace

PRICE_A_TOKEN = 2e-6
"""Of the stand-in for a model, in USD."""

Answer = Callable[[AgentTask], "str | dict[str, Any]"]


class StandIn:
    """Answers in a model's place after a model's time, at a model's price by the length of what it is told.

    Args:
        answer: Gives the answer to a task.
        seconds: How long it takes.
    """

    def __init__(self, answer: Answer, *, seconds: float = 0.1) -> None:
        self._answer = answer
        self._seconds = seconds
        self._wake = threading.Event()

    def run(self, task: AgentTask) -> AgentReply:
        """Answer."""
        self._wake.wait(self._seconds)
        answer = self._answer(task)
        text = answer if isinstance(answer, str) else json.dumps(answer)
        tokens_in, tokens_out = len(task.prompt) // 4, max(len(text) // 4, 1)
        cost = PRICE_A_TOKEN * (tokens_in + tokens_out)
        call = Event(
            kind="llm_call", agent=task.agent, at=time.time(), tokens_in=tokens_in, tokens_out=tokens_out,
            cost_usd=cost, duration_seconds=self._seconds, data={"model": "stand-in"},
        )  # fmt: skip
        said = Event(kind="message", role="assistant", agent=task.agent, content=text, at=time.time())
        return AgentReply(
            text=text, value=None if isinstance(answer, str) else answer, events=(call, said), model_calls=1,
            tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=cost, duration_seconds=self._seconds,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One skill and how it is used.

    Args:
        kind: The proposal that its history calls for; None: none.
        target: What that is about.
        inputs: Inputs of the execution with this number.
        files: Text by path of the files that it is given.
        better: Whether the change saves time or cost, so that the gate has to accept it; None: it may do
            either.
    """

    skill: Skill
    kind: str | None
    target: str = ""
    inputs: Callable[[int], Mapping[str, Json]]
    files: Callable[[int], Mapping[str, str]] = field(default=lambda _: {})
    tools: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    answer: Answer | None = None
    better: bool | None = True

    @property
    def source(self) -> PythonTools | None:
        """Its tools."""
        return PythonTools(self.tools, label="bench", thread_safe=True) if self.tools else None

    @property
    def agents(self) -> StandIn | None:
        """What stands in for its model."""
        return StandIn(self.answer) if self.answer else None


def live(workspace: Workspace, planted: Planted, *, root: Path, executions: int) -> None:
    """Store a skill and execute it, each time on other inputs in a folder of its own."""
    skill = workspace.skills.add(planted.skill)
    for number in range(executions):
        folder = root / skill.name / str(number)
        folder.mkdir(parents=True)
        for path, text in planted.files(number).items():
            (folder / path).write_text(text, encoding="utf-8")
        executor = workspace.executor(tools=planted.source, work_dir=folder / "work", agents=planted.agents)
        task = {"task": f"{skill.description} no. {number + 1}", "inputs": dict(planted.inputs(number))}
        with contextlib.chdir(folder):
            executor.execute_skill(skill, task)


# ------------------------------------------------------------------------------------------------ building


def code(key: str, text: str, *after: str, places: tuple[str, ...] = (), **more: Any) -> Node:
    """Return a node of Python with whole literals as places."""
    slots = tuple(Slot(variable=name, encoding="python") for name in places)
    return Node(
        id=key, kind="code", title=f"do {key}", template=Template(text=text, slots=slots), after=after, **more
    )


def tool(key: str, name: str, *after: str, effect: Any = "read", **arguments: Any) -> Node:
    """Return a node that calls a tool."""
    return Node(id=key, kind="tool", tool=name, arguments=arguments, after=after, effect=effect)


def skill(name: str, about: str, variables: tuple[Variable, ...], *nodes: Node, **outputs: Any) -> Skill:
    """Return a proven skill."""
    return Skill(
        name=name, description=about, state="proven", variables=variables, nodes=nodes,
        output_bindings=outputs,
    )  # fmt: skip


def number(name: str, default: float, **more: Any) -> Variable:
    """Return a numeric input."""
    kind: Any = "integer" if isinstance(default, int) else "number"
    return Variable(name=name, type=kind, default=default, **more)


TABLE = Variable(name="table", type="path", default="table.csv", required=True)


def table(rows: int, *columns: str) -> str:
    """Return a CSV file."""
    lines = [
        ",".join(str((row * 7 + place * 3) % 23) for place, _ in enumerate(columns)) for row in range(rows)
    ]
    return "\n".join([",".join(columns), *lines]) + "\n"


def code_that_ran(task: AgentTask) -> str:
    """Return the code that a mender is asked about."""
    return task.prompt.partition("The code that ran")[2].partition("```\n")[2].partition("\n```")[0] + "\n"


def reads(*names: str) -> tuple[FileUse, ...]:
    """Return the files that a node reads, by input."""
    return tuple(FileUse(path=FromInput(name)) for name in names)


def writes(*paths: str) -> tuple[FileUse, ...]:
    """Return the files that a node writes."""
    return tuple(FileUse(path=Constant(path)) for path in paths)
