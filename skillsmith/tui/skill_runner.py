"""Running a skill from the screens: the same care as ``skillsmith run``, with nobody at a prompt.

Everything here runs on a worker thread; what it tells and asks goes through callbacks.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from skillsmith.errors import UsageError
from skillsmith.library.execution.outcome import ExecutionInterruptedError, ExecutionResult
from skillsmith.models import AgentRunner, Json, Skill
from skillsmith.presentation.plan_effects import agents_that_write, writing_calls, writing_tools
from skillsmith.teams.means import opened
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.execution.walk import ExecutionCallbacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One execution that is wanted.

    Args:
        task: What is to be done, in words; may be empty.
        inputs: Values given by hand or by a match.
        confidence: The matcher's, when it chose the skill; ``reason`` says why.
        tools: Where tools are, as after ``--tools``, several with blanks between.
        work_dir: Folder to work in; empty: a new one.
        max_cost: Stop before a model call beyond this many dollars; None: no limit.
        strict: Whether a step that may fail fails the skill.
        adapt: Whether the task's words may change inputs that have a recorded value.
        resume: Id of the execution to go on with.
    """

    skill: Skill
    task: str = ""
    inputs: Mapping[str, Json] = field(default_factory=dict)
    confidence: float | None = None
    reason: str | None = None
    tools: str = ""
    work_dir: str = ""
    max_cost: float | None = None
    strict: bool = False
    adapt: bool = True
    resume: str | None = None

    @property
    def context(self) -> dict[str, Json]:
        """What the executor takes."""
        return {
            "task": "" if self.resume else self.task, "inputs": dict(self.inputs),
            "confidence": self.confidence, "reason": self.reason,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an execution would do.

    Args:
        plan: The executor's dry run.
        changing: Names of the tools it may call that change something.
        calls: Those of its calls that are known already, with their arguments.
    """

    order: Order
    plan: Mapping[str, Json]
    changing: tuple[str, ...]
    calls: tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, slots=True)
class Stopped:
    """An execution that was stopped, and can be gone on with."""

    execution_id: str


def preview(workspace: Workspace, order: Order) -> Preview:
    """Return what an execution would do; nothing is run.

    Raises:
        SkillsmithError: The tools cannot be opened, or an input does not fit.
    """
    with opened(_sources(order.tools)) as source:
        executor = workspace.executor(tools=source, work_dir=_folder(order), agents=_agents(workspace, order))
        plan = executor.plan(order.skill, order.context, allow_adaptation=order.adapt)
        calls = writing_calls(plan)
        may_call = writing_tools(source) if agents_that_write(plan) else []
    changing = dict.fromkeys([*(str(call["tool"]) for call in calls), *may_call])
    return Preview(order=order, plan=plan, changing=tuple(changing), calls=tuple(calls))


def perform(workspace: Workspace, order: Order, callbacks: ExecutionCallbacks) -> ExecutionResult | Stopped:
    """Execute a skill.

    Args:
        workspace: This thread's.
        order: What is wanted.
        callbacks: What hears and is asked, on this thread; its ``cancelled`` stops the execution.

    Raises:
        SkillsmithError: It cannot begin; then nothing was run.
    """
    with opened(_sources(order.tools)) as source:
        executor = workspace.executor(tools=source, work_dir=_folder(order), agents=_agents(workspace, order))
        try:
            return executor.execute_skill(
                order.skill, order.context, order.adapt, order.strict, resume=order.resume,
                callbacks=callbacks,
            )  # fmt: skip
        except ExecutionInterruptedError as error:
            return Stopped(error.execution_id)


def resumable(workspace: Workspace, execution_id: str) -> tuple[Skill, str, dict[str, Json]]:
    """Return skill, task and inputs of an execution that can be gone on with.

    Raises:
        SkillsmithError: It is over, or not there.
    """
    from skillsmith.library.execution.resumption import refuse_resume  # noqa: PLC0415  (only to go on)

    execution = workspace.ledger.get(execution_id)
    skill = workspace.skills.get(f"{execution.skill}@{execution.version}")
    refuse_resume(execution, skill)
    given = {name: value for name, value in execution.inputs.items() if value is not None}
    return skill, execution.task, given


def _folder(order: Order) -> Path | None:
    return Path(order.work_dir).expanduser() if order.work_dir.strip() else None


def _agents(workspace: Workspace, order: Order) -> AgentRunner | None:
    """Return what runs agents, when a model is configured in the environment."""
    from skillsmith.teams.model import Model  # noqa: PLC0415  (only to run)

    return Model(workspace, name=None, max_cost=order.max_cost, max_turns=None).agents


def _sources(tools: str) -> list[str]:
    try:
        return shlex.split(tools)
    except ValueError as error:
        raise UsageError(f"the tools cannot be read: {error}", hint="close the quotes") from error
