"""What each kind of job does, in its own process; its result is what the command of the same name prints."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skillsmith.library.execution.callbacks import ExecutionCallbacks
from skillsmith.models import AgentRunner, Json, ToolSource
from skillsmith.presentation.run_result import skill_document
from skillsmith.presentation.skills import composition_document, report_document
from skillsmith.server.fences import refuse_outside
from skillsmith.teams.means import opened
from skillsmith.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One job, seen from inside its process.

    Args:
        workspace: The open file.
        request: What was asked for, and the server's settings that matter.
        say: Tells the server something.
        stack: Holds open what the work needs.
    """

    workspace: Workspace
    request: Mapping[str, Any]
    say: Callable[[dict[str, Json]], None]
    stack: ExitStack

    def progress(self, phase: str, *, done: int = 0, detail: str = "") -> None:
        """Tell how far it is."""
        self.say({"progress": {"phase": phase, "done": done, "detail": detail}})

    def tools(self) -> ToolSource | None:
        """Open the tools that the server was started with."""
        return self.stack.enter_context(opened(self.request["tools"]))

    def agents(self) -> AgentRunner | None:
        """Return what asks the model that the server was started with."""
        if not self.request["model"]:
            return None
        from skillsmith.library.agents.budgets import Budget  # noqa: PLC0415  (only with a model)
        from skillsmith.library.agents.model_settings import read_settings  # noqa: PLC0415

        settings = read_settings(model=self.request["model"])
        budget = Budget(max_cost_usd=self.request["max_cost"], max_calls=self.request["max_turns"])
        return None if settings is None else self.workspace.agents(settings, budget=budget)


def extract(task: Task) -> dict[str, Json]:
    """Make a skill from runs."""
    task.progress("extracting", detail=", ".join(run[:13] for run in task.request["runs"]))
    report = task.workspace.extractor.extract(task.request["runs"], **task.request["options"])
    task.say({"skill_id": report.skill.id})
    _embed(task)
    return {"result": report_document(report)}


def compose(task: Task) -> dict[str, Json]:
    """Make a skill of others."""
    task.progress("composing", detail=", ".join(task.request["skills"]))
    made = task.workspace.composer.compose(task.request["skills"], **task.request["options"])
    task.say({"skill_id": made.skill.id})
    _embed(task)
    return {"result": composition_document(made)}


def optimize(task: Task) -> dict[str, Json]:
    """Propose changes of a skill, and make the next version when that is asked for."""
    name, options = task.request["skill"], task.request["options"]
    task.progress("comparing" if options["apply"] else "analysing", detail=name)
    made = task.workspace.optimizing(tools=task.tools(), agents=task.agents()).optimize(name, **options)
    document = made.document()
    if made.version is not None:
        task.say({"skill_id": task.workspace.skills.get(f"{made.skill}@{made.version}").id})
        _embed(task)
    return {"result": {**document, "new_version": made.version, "changes": document["applied"]}}


def execute(task: Task) -> dict[str, Json]:
    """Execute a skill in a folder below the server's."""
    request = task.request
    tools, root = task.tools(), Path(request["folder"])
    os.chdir(root)  # the user's relative paths lead from here
    skill = task.workspace.skills.get(request["skill"])
    work_dir = None if request["work_dir"] is None else Path(request["work_dir"])
    executor = task.workspace.executor(tools=tools, work_dir=work_dir, agents=task.agents())
    context: dict[str, Json] = {"task": request["task"], "inputs": request["inputs"]}
    if request["resume"] is None:
        plan = executor.plan(skill, context, allow_adaptation=request["adapt"])
        said = {one["name"]: one["value"] for one in plan["inputs"] if one["from"] != "default"}
        refuse_outside(skill, said, root=root)
    task.progress("executing", detail=f"{skill.name}@{skill.version}")
    result = executor.execute_skill(
        skill, context, request["adapt"], request["strict"], resume=request["resume"],
        callbacks=_callbacks(task),
    )  # fmt: skip
    document = skill_document(result)
    if result.success:
        return {"result": document}
    failure = {"code": "skill_failed", "message": result.error or "it failed", "hint": ""}
    return {"result": document, "error": failure}


WORK: Final[Mapping[str, Callable[[Task], dict[str, Json]]]] = {
    "compose": compose, "execute": execute, "extract": extract, "optimize": optimize,
}  # fmt: skip


def _callbacks(task: Task) -> ExecutionCallbacks:
    """Tell the server which run it is, and which node is done."""
    done = 0

    def on_event(name: str, data: Mapping[str, Json]) -> None:
        nonlocal done
        known = {key: data[key] for key in ("run_id", "execution_id") if data.get(key)}
        if known:
            task.say(known)
        if name == "NODE_ENDED":
            done += 1
            error = f": {data['error']}" if data["error"] else ""
            task.progress("executing", done=done, detail=f"{data['node']} {data['status']}{error}"[:500])

    return ExecutionCallbacks(on_event=on_event)


def _embed(task: Task) -> None:
    """Bring the vectors up to date, so that the next match need not."""
    task.progress("embedding")
    task.workspace.vectors.sync()
