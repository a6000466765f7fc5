"""Execute skills: prepare everything, walk the graph, judge the outcome by the checks, keep the books.

Every execution is a run like any other, so what skills do can be looked at, compared and learned from. It
leaves run, events and checkpoints behind however it ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from skillsmith.db import Database
from skillsmith.errors import UsageError
from skillsmith.files import FileRepository
from skillsmith.library.checkpoints import Progress, SkillCheckpointManager
from skillsmith.library.evidence.trust_ladder import TrustLadder
from skillsmith.library.execution.books import Books
from skillsmith.library.execution.cleaning import Cleaner, Redact
from skillsmith.library.execution.dry_run import document_of
from skillsmith.library.execution.execution_log import ExecutionLog
from skillsmith.library.execution.interrupts import sigterm_interrupts
from skillsmith.library.execution.lease import lease
from skillsmith.library.execution.mending import Mender
from skillsmith.library.execution.node_runs import NodeRunner
from skillsmith.library.execution.outcome import (
    ExecutionInterruptedError,
    ExecutionResult,
    collect_outputs,
    counted,
    output_problem,
)
from skillsmith.library.execution.preparation import Means, Preparation, prepare, warnings_of
from skillsmith.library.execution.recovery import put_back
from skillsmith.library.execution.resumption import (
    confirm_uncertain,
    refuse_resume,
    refuse_without_results,
    refuse_without_secrets,
)
from skillsmith.library.execution.sandbox import ProcessGroups, clean_environment
from skillsmith.library.execution.walk import ExecutionCallbacks, Walk, Walker
from skillsmith.library.execution.workfolder import FilePlan, WorkFolder
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.matching.binder import file_roles
from skillsmith.library.matching.early_exit import PHRASING
from skillsmith.library.matching.wording import phrasing
from skillsmith.library.program.bindings import UnresolvedError
from skillsmith.library.repository import SkillRepository
from skillsmith.library.tracking import SkillAdaptationTracker
from skillsmith.models import AgentRunner, Json, Skill, ToolSource
from skillsmith.runs import RunRepository

MAX_SIDE_BY_SIDE = 4
FIRST_BACKOFF_SECONDS = 0.5
MAX_MENDINGS = 2

PASSED_VARIABLES = "SKILLSMITH_PASS_ENV"
"""Names of environment variables that skills' code gets beyond the harmless ones, with commas."""


class SkillExecutor:
    """Executes skills.

    Args:
        db: The connection; executions must be run on its thread.
        tools: Where tool nodes find their tools.
        work_dir: Folder the code works in; None: a new one below ``./skillsmith-runs`` for each execution.
        agents: Runs agent nodes, and mends nodes that fail.
        redact: Takes secrets out of events; whatever else is stored goes through it, too.
        pass_env: Names of environment variables that the code gets beyond the harmless ones.
        side_by_side: How many nodes may run at once.
        backoff_seconds: Pause before a failed node's first further try; doubles with each.
        mendings: How often an agent is asked to mend one failing node; 0: never.
    """

    def __init__(  # noqa: PLR0913  (the means of executions, all with defaults)
        self,
        db: Database,
        *,
        tools: ToolSource | None = None,
        work_dir: Path | None = None,
        agents: AgentRunner | None = None,
        redact: Redact | None = None,
        pass_env: Sequence[str] | None = None,
        side_by_side: int = MAX_SIDE_BY_SIDE,
        backoff_seconds: float = FIRST_BACKOFF_SECONDS,
        mendings: int = MAX_MENDINGS,
    ) -> None:
        self._db = db
        self._skills = SkillRepository(db)
        self._cleaner = Cleaner(redact)
        self._ledger = ExecutionLedger(db, clean=self._cleaner.json)
        self._checkpoints = SkillCheckpointManager(self._ledger)
        self._ladder = TrustLadder(db, self._skills)
        self._tools = tools
        self._work_dir = work_dir
        self._agents = agents
        self._pass_env = passed_variables() if pass_env is None else tuple(pass_env)
        self._side_by_side = side_by_side
        self._backoff_seconds = backoff_seconds
        self._mendings = mendings

    def execute_skill(
        self,
        skill: Skill,
        task_context: Mapping[str, Json],
        allow_adaptation: bool = True,  # noqa: FBT001, FBT002  (the specification's signature)
        strict_mode: bool = False,  # noqa: FBT001, FBT002
        *,
        dry_run: bool = False,
        resume: str | None = None,
        callbacks: ExecutionCallbacks | None = None,
    ) -> ExecutionResult:
        """Execute a skill on a task; a failure of the skill is in the result, not raised.

        Args:
            skill: The version to run.
            task_context: ``task``: what was asked for; ``inputs``: values by name; ``confidence`` and
                ``reason``: the matcher's, when it chose the skill; ``labels``: kept with the run.
            allow_adaptation: Whether the task's words may change inputs that have a default, and whether
                an agent, if there is one, may mend nodes that fail.
            strict_mode: Whether a failure of an optional node fails the skill.
            dry_run: Run nothing; the result's ``plan`` says what would be run.
            resume: Id of an execution of this skill to go on with; its own task and inputs are used.
            callbacks: What the caller wants to hear and be asked.

        Raises:
            UsageError: An input is unknown, missing or does not fit, or the execution is over.
            RefusedError: The skill is not trusted, or would write outside its work folder.
            ExecutionError: Something it needs is not there, or the execution to resume is still running or
                used a secret, which is not stored. In all these cases nothing has been run.
            ExecutionInterruptedError: On Ctrl-C or SIGTERM; the execution can be resumed.
        """
        callbacks, adapt = callbacks or ExecutionCallbacks(), allow_adaptation
        if dry_run:
            plan = self.plan(skill, task_context, allow_adaptation=allow_adaptation)
            return ExecutionResult(skill_used=skill.name, version=skill.version, plan=plan)
        if resume is not None:
            execution_id = self._ledger.get(resume).id
            with lease(self._db.path, execution_id):  # what is read from here on stays as it is
                return self._resume(skill, execution_id, callbacks, strict=strict_mode, adapt=adapt)
        preparation = prepare(
            skill, task=_task(task_context), given=_inputs(task_context), skills=self._skills,
            means=self._means(callbacks), adapt=adapt,
        )  # fmt: skip
        books = self._open(preparation, task_context, callbacks)
        with lease(self._db.path, books.execution_id):
            return self._execute(preparation, books, callbacks, strict=strict_mode, adapt=adapt)

    def plan(
        self, skill: Skill, task_context: Mapping[str, Json], *, allow_adaptation: bool = True
    ) -> dict[str, Json]:
        """Return what an execution would do, as JSON; also for skills that may not run yet.

        Args:
            skill: The version.
            task_context: As for ``execute_skill``.
            allow_adaptation: As for ``execute_skill``.
        """
        means = replace(self._means(ExecutionCallbacks()), can_ask=True)
        preparation = prepare(
            skill, task=_task(task_context), given=_inputs(task_context), skills=self._skills, means=means,
            adapt=allow_adaptation, only_look=True,
        )  # fmt: skip
        return document_of(preparation, means=means)

    def check(self, skill: Skill, task_context: Mapping[str, Json]) -> None:
        """Make sure that an execution could begin; nothing is run.

        Args:
            skill: The version.
            task_context: As for ``execute_skill``.

        Raises:
            SkillsmithError: As ``execute_skill`` would before it runs anything.
        """
        prepare(
            skill, task=_task(task_context), given=_inputs(task_context), skills=self._skills,
            means=self._means(ExecutionCallbacks()),
        )  # fmt: skip

    def _means(self, callbacks: ExecutionCallbacks) -> Means:
        return Means(
            tools=self._tools,
            agents=self._agents,
            can_ask=callbacks.approve is not None,
            work_dir=self._work_dir,
        )

    def _open(
        self, preparation: Preparation, context: Mapping[str, Json], callbacks: ExecutionCallbacks
    ) -> Books:
        skill, log = preparation.skill, ExecutionLog(self._db, cleaner=self._cleaner)
        confidence, news = context.get("confidence"), dict[str, dict[str, Json]]()
        if confidence is not None:
            explanation = context.get("reason") or ""
            news["SKILL_MATCHED"] = {"confidence": confidence, "explanation": explanation}
        with log.together():
            run = log.begin(
                preparation.task, work_dir=preparation.work_dir,
                metadata={**context.get("labels", {}), "skill": skill.name, "version": skill.version},
            )  # fmt: skip
            execution_id = self._ledger.start(
                skill, task=run.task, run_id=run.id, inputs=preparation.inputs, confidence=confidence
            )
            books = Books(
                execution_id=execution_id, run_id=run.id, log=log, progress=Progress(),
                confidence=confidence, callbacks=callbacks, skill=skill, ledger=self._ledger,
            )  # fmt: skip
            news["SKILL_EXECUTION_START"] = books.beginning
            books.note(news)
        books.tell(news)
        return books

    def _resume(
        self, skill: Skill, execution_id: str, callbacks: ExecutionCallbacks, *, strict: bool, adapt: bool
    ) -> ExecutionResult:
        execution = self._ledger.get(execution_id)
        refuse_resume(execution, skill)
        run = RunRepository(self._db).get(execution.run_id or "")
        progress = self._checkpoints.resume_skill_from_checkpoint(execution.id)
        refuse_without_secrets(execution, progress)
        means = self._means(callbacks)
        if run.work_dir:
            means = replace(means, work_dir=Path(run.work_dir))
        given = {name: value for name, value in execution.inputs.items() if value is not None}
        preparation = prepare(skill, task="", given=given, skills=self._skills, means=means)
        if progress.values is not None:
            files = FilePlan(values=progress.values, files=(), outside=preparation.files.outside)
            preparation = replace(preparation, files=files)
        refuse_without_results(execution, progress, preparation.graph)
        confirm_uncertain(progress, preparation.graph, callbacks)
        if preparation.work_dir is not None:
            key = RunRepository(self._db).key(run.id)
            put_back(
                progress, preparation.graph, folder=preparation.work_dir, files=FileRepository(self._db),
                run=key,
            )  # fmt: skip
        log = ExecutionLog(self._db, cleaner=self._cleaner)
        log.reopen(run.id)
        books = Books(
            execution_id=execution.id, run_id=run.id, log=log, progress=progress,
            confidence=execution.confidence, callbacks=callbacks, skill=skill, ledger=self._ledger,
        )  # fmt: skip
        books.announce({"SKILL_EXECUTION_START": books.beginning})
        preparation = replace(preparation, task=execution.task)
        return self._execute(preparation, books, callbacks, strict=strict, adapt=adapt)

    def _execute(
        self,
        preparation: Preparation,
        books: Books,
        callbacks: ExecutionCallbacks,
        *,
        strict: bool,
        adapt: bool,
    ) -> ExecutionResult:
        skill, groups = preparation.skill, ProcessGroups()
        tracker = SkillAdaptationTracker()
        try:
            with sigterm_interrupts(), self._environment(preparation) as environment:
                folder, reasons = self._begin(preparation, books)
                tracker.track_inputs(skill, preparation.inputs, reasons, reads=file_roles(skill)[0])
                runner = NodeRunner(
                    tools=self._tools, agents=self._agents, folder=folder, groups=groups,
                    environment=environment,
                    skills=preparation.graph.skills, cancelled=threading.Event(),
                )  # fmt: skip
                mender = self._mender(preparation, runner) if adapt else None
                walker = Walker(
                    runner=runner, mender=mender, log=books.log, checkpoints=self._checkpoints,
                    tracker=tracker, callbacks=callbacks, stop_code=groups.stop, strict=strict,
                    side_by_side=self._side_by_side, backoff_seconds=self._backoff_seconds,
                )  # fmt: skip
                walk = Walk(
                    preparation.graph, execution_id=books.execution_id, values=preparation.files.values,
                    means=walker, progress=books.progress,
                )  # fmt: skip
                walk.run()
        except KeyboardInterrupt:
            books.log.finish(status="interrupted", outcome="unknown", reason="interrupted")
            raise ExecutionInterruptedError(books.execution_id) from None
        except Exception as error:
            self._give_up(books, tracker, error)
            raise
        finally:
            groups.stop()
        return self._judge(preparation, books, walk, tracker)

    @contextmanager
    def _environment(self, preparation: Preparation) -> Iterator[Mapping[str, str]]:
        """Yield the environment of the code, with a home folder that ends with it; none without code."""
        if preparation.work_dir is None:
            yield {}
            return
        with TemporaryDirectory(prefix="skillsmith-home-", ignore_cleanup_errors=True) as home:
            yield clean_environment(home=Path(home), passed=self._pass_env)

    def _mender(self, preparation: Preparation, runner: NodeRunner) -> Mender | None:
        if self._agents is None or self._mendings < 1:
            return None
        return Mender(
            self._agents, runner=runner, graph=preparation.graph, task=preparation.task, limit=self._mendings
        )

    def _begin(self, preparation: Preparation, books: Books) -> tuple[WorkFolder | None, Mapping[str, str]]:
        """Make the work folder and bring the files in; return the folder and why inputs are what they are."""
        skill, plan = preparation.skill, preparation.files
        books.log.context({
            "skill": skill.name, "version": skill.version, "execution_id": books.execution_id,
            "inputs": dict(preparation.inputs), "resumed": books.progress.values is not None,
        })  # fmt: skip
        folder = None
        if preparation.work_dir is not None:
            folder = WorkFolder(preparation.work_dir, outside=plan.outside)
            books.log.files(folder.bring(plan.files), agent=None)
        if books.progress.values is not None:
            return folder, books.progress.reasons
        reasons = preparation.reasons
        books.log.later(lambda: self._checkpoints.prepared(books.execution_id, plan.values, reasons))
        return folder, reasons

    def _give_up(self, books: Books, tracker: SkillAdaptationTracker, error: Exception) -> None:
        """Close the books on an error that is not the skill's own."""
        text = str(error) or type(error).__name__
        books.log.failure(text)
        books.close(tracker.adaptations, success=False, error=text, reason=text)

    def _judge(
        self, preparation: Preparation, books: Books, walk: Walk, tracker: SkillAdaptationTracker
    ) -> ExecutionResult:
        skill, results = preparation.skill, tuple(walk.results.values())
        outputs: dict[str, Json] = {}
        error = walk.failure
        if error is None:
            outputs, error = self._outputs(preparation, walk)
        success = error is None
        artifacts = tuple(dict.fromkeys(path for result in results for path in result.artifacts))
        execution, usage = books.close(
            tracker.adaptations, success=success, outputs=outputs, artifacts=artifacts, error=error,
            reason=error or f"{counted(results)}, and the outputs fit their schema",
        )  # fmt: skip
        if success:
            self._remember(skill, books.log.clean(preparation.task))
        self._ladder.after_execution(skill)
        return ExecutionResult(
            run_id=books.run_id, execution_id=books.execution_id, skill_used=skill.name,
            version=skill.version, confidence=books.confidence, success=success,
            adaptations=tracker.adaptations, outputs=outputs, artifacts=artifacts,
            duration_seconds=execution.duration_seconds or 0.0, model_calls=usage.model_calls,
            tokens_in=usage.tokens_in, tokens_out=usage.tokens_out, cost_usd=usage.cost_usd, error=error,
            work_dir=None if preparation.work_dir is None else str(preparation.work_dir), nodes=results,
            warnings=tuple(warnings_of(skill)),
            defaults_used={name: preparation.inputs[name] for name in preparation.defaults_used},
        )  # fmt: skip

    def _outputs(self, preparation: Preparation, walk: Walk) -> tuple[dict[str, Json], str | None]:
        """Return the skill's outputs, and what is wrong with them."""
        try:
            outputs = collect_outputs(preparation.skill, preparation.inputs, walk.results_in(""))
        except UnresolvedError as error:
            return {}, error.message
        return outputs, output_problem(preparation.skill, outputs)

    def _remember(self, skill: Skill, task: str) -> None:
        """Keep the task with the skill, unless it is worded as an earlier one is, values apart."""
        ref = f"{skill.name}@{skill.version}"
        if skill.id and task.strip() and phrasing(task, skill.examples) < PHRASING and self._skills.has(ref):
            self._skills.add_example(ref, task)


def passed_variables() -> tuple[str, ...]:
    """Return the names of environment variables that the user wants to pass on to code."""
    names = os.environ.get(PASSED_VARIABLES, "")
    return tuple(name.strip().upper() for name in names.split(",") if name.strip())


def _task(context: Mapping[str, Json]) -> str:
    return str(context.get("task") or "")


def _inputs(context: Mapping[str, Json]) -> Mapping[str, Json]:
    inputs = context.get("inputs") or {}
    if not isinstance(inputs, Mapping):
        raise UsageError("the inputs of a task are values by name", hint='give {"inputs": {"name": value}}')
    return inputs
