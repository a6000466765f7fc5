"""A worker of a batch: opens the file once, then does one input after the other.

A failure belongs to its input and comes back as a result; only what concerns all inputs is raised.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from skillsmith.batch.items import ItemResult, Job, Plan, of_execution
from skillsmith.errors import SkillsmithError
from skillsmith.library.execution.lease import StillRunningError, lease
from skillsmith.library.execution.outcome import ExecutionInterruptedError, ExecutionResult
from skillsmith.models import AgentRunner, Json, ToolSource
from skillsmith.teams.means import opened
from skillsmith.workspace import open_workspace

if TYPE_CHECKING:
    from skillsmith.library.executor import SkillExecutor

_PATIENCE_SECONDS = 20.0
_LOOK_AGAIN_SECONDS = 0.1


class Worker:
    """Does inputs of one batch; a context manager, for tools and the file stay open meanwhile.

    Args:
        plan: The batch.

    Raises:
        SkillsmithError: The file, the skill or the tools are not there.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = ExitStack()
        self._stopped = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._workspace = stack.enter_context(open_workspace(self._plan.db, create=False))
            self._skill = self._workspace.skills.get(self._plan.skill)
            self._tools = stack.enter_context(opened(self._plan.tools))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def look(self, job: Job) -> dict[str, Json]:
        """Return what doing an input would do, as a dry run's document; nothing is run.

        Raises:
            SkillsmithError: It could not even begin.
        """
        executor = self._executor(job)
        executor.check(self._skill, self._context(job))
        return executor.plan(self._skill, self._context(job))

    @property
    def tools(self) -> ToolSource | None:
        """The tools that are open."""
        return self._tools

    def perform(self, job: Job) -> ItemResult:
        """Do one input, and return what came of it; after an interrupt nothing is begun any more."""
        if self._stopped:
            return _interrupted(job, job.resume)
        try:
            known = self._awaited(job)
            if known is not None:
                return known
            result = self._executor(job).execute_skill(
                self._skill, self._context(job), strict_mode=self._plan.strict, resume=job.resume
            )
        except ExecutionInterruptedError as stop:
            self._stopped = True
            return _interrupted(job, stop.execution_id)
        except SkillsmithError as error:
            return ItemResult(
                index=job.index, key=job.key, status="failed", inputs=job.inputs, error=str(error),
                execution_id=job.resume,
            )  # fmt: skip
        return _of_result(job, result)

    def _awaited(self, job: Job) -> ItemResult | None:
        """Wait for a worker of a killed batch to let go of an input; return the result if it made one."""
        if job.resume is None:
            return None
        _wait_for_release(self._plan.db, job.resume)
        execution = self._workspace.ledger.get(job.resume)
        if execution.success is None:
            return None
        run = self._workspace.runs.get(execution.run_id or "")
        return of_execution(job, execution, work_dir=run.work_dir)

    def _context(self, job: Job) -> dict[str, Json]:
        labels = {"batch": self._plan.batch, "item": job.key}
        return {"task": "", "inputs": dict(job.inputs), "labels": labels}

    def _executor(self, job: Job) -> SkillExecutor:
        folder = self._plan.work_dir
        work_dir = None if folder is None else folder / f"{job.index:06d}"
        return self._workspace.executor(tools=self._tools, work_dir=work_dir, agents=self._agents())

    def _agents(self) -> AgentRunner | None:
        """Return what runs agent nodes, with a budget of its own for each input."""
        from skillsmith.library.agents.budgets import Budget  # noqa: PLC0415  (with the executor)
        from skillsmith.library.agents.model_settings import read_settings  # noqa: PLC0415

        if all(node.kind not in ("agent", "skill") for node in self._skill.nodes):
            return None
        settings = read_settings(model=self._plan.model)
        if settings is None:
            return None
        budget = Budget(max_cost_usd=self._plan.max_cost, max_calls=self._plan.max_turns)
        return self._workspace.agents(settings, budget=budget)


def _wait_for_release(db: str, execution_id: str) -> None:
    """Wait until whoever runs an execution lets it go, or patience ends."""
    patience = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < patience:
        try:
            with lease(db, execution_id):
                return
        except StillRunningError:
            time.sleep(_LOOK_AGAIN_SECONDS)


def _interrupted(job: Job, execution_id: str | None) -> ItemResult:
    return ItemResult(
        index=job.index, key=job.key, status="interrupted", inputs=job.inputs, execution_id=execution_id
    )


def _of_result(job: Job, result: ExecutionResult) -> ItemResult:
    return ItemResult(
        index=job.index, key=job.key, status="succeeded" if result.success else "failed", inputs=job.inputs,
        outputs=result.outputs, artifacts=result.artifacts, error=result.error,
        execution_id=result.execution_id, run_id=result.run_id, work_dir=result.work_dir,
        duration_seconds=result.duration_seconds, cost_usd=result.cost_usd,
    )  # fmt: skip
