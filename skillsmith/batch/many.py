"""A batch from its inputs to its results: what is known already, what is left, and who does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from skillsmith.batch.inputs import Item
from skillsmith.batch.items import ItemResult, Job, Plan, of_execution
from skillsmith.batch.processes import run_in_processes
from skillsmith.batch.results import Results
from skillsmith.errors import ExecutionError
from skillsmith.library.program.graph import build_graph
from skillsmith.library.store.batch_rows import BatchRows
from skillsmith.workspace import Workspace, open_workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One skill and many inputs.

    Args:
        plan: What the workers need to know; its batch id is filled in here.
        items: The inputs, checked.
        output: The results file.
        workers: How many processes of this machine.
        dask: Address of a Dask scheduler, whose workers do it instead.
        retry_failed: Whether inputs that failed before are tried again.
    """

    plan: Plan
    items: Sequence[Item]
    output: Path
    workers: int = 1
    dask: str | None = None
    retry_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What came of a batch.

    Args:
        items: How many inputs there are.
        succeeded: How many of them succeeded, earlier runs of the batch included.
        failed: How many failed.
        executed: How many were executed this time.
        failures: The first results that failed this time.
    """

    batch: str
    items: int
    succeeded: int
    failed: int
    executed: int
    duration_seconds: float
    failures: tuple[ItemResult, ...] = ()


_KEPT_FAILURES = 5


def run_many(batch: Batch, *, on_result: Callable[[ItemResult], None] | None = None) -> Summary:
    """Do what is left of a batch.

    Args:
        batch: The skill, its inputs and who does it.
        on_result: Is told each result as it comes.

    Raises:
        RefusedError: The results file belongs to something else.
        ExecutionError: A worker died, or no cluster answers.
        KeyboardInterrupt: On Ctrl-C; run the same again to go on.
    """
    began, executed = time.monotonic(), 0
    failures: list[ItemResult] = []
    with Results(batch.output, skill=batch.plan.skill) as results:
        plan = replace(batch.plan, batch=results.batch)
        known, jobs = _what_is_left(plan, batch, results)
        for result in known:
            results.add(result)
        for result in _done_by(batch, plan, jobs, results):
            if result.status == "interrupted":
                raise ExecutionError("a worker was stopped", hint="run the same again to go on")
            results.add(result)
            executed += 1
            if result.status == "failed" and len(failures) < _KEPT_FAILURES:
                failures.append(result)
            if on_result is not None:
                on_result(result)
        outcomes = [results.known[item.key] for item in batch.items]
        results.finish()
    return Summary(
        batch=plan.batch, items=len(batch.items), succeeded=sum(outcomes),
        failed=len(outcomes) - sum(outcomes), executed=executed,
        duration_seconds=time.monotonic() - began, failures=tuple(failures),
    )  # fmt: skip


def _done_by(batch: Batch, plan: Plan, jobs: Sequence[Job], results: Results) -> Iterator[ItemResult]:
    if not jobs:
        return iter(())
    if batch.dask is None:
        return run_in_processes(plan, jobs, workers=min(batch.workers, len(jobs)))
    from skillsmith.batch.cluster import run_on_cluster  # noqa: PLC0415  (distributed: 600 ms)

    return run_on_cluster(plan, results.hand_out(jobs), address=batch.dask)


def _what_is_left(plan: Plan, batch: Batch, results: Results) -> tuple[list[ItemResult], list[Job]]:
    """Return results that only the ledger knows, and what is still to be done."""
    known, jobs = [], []
    with open_workspace(plan.db, create=False) as workspace:
        executions = BatchRows(workspace.db).executions(plan.batch)
        writes = _changes_something(workspace, plan.skill)
        for item in batch.items:
            job = Job(index=item.index, key=item.key, inputs=item.inputs)
            before = results.known.get(item.key)
            again = before is False and batch.retry_failed
            if before is not None and not again:
                continue
            found = executions.get(item.key)
            if found is None and not again and writes and item.key in results.handed_out:
                known.append(_lost(job))
            elif found is None or again:
                jobs.append(job)
            elif found.finished:
                execution = workspace.ledger.get(found.execution_id)
                known.append(of_execution(job, execution, work_dir=found.work_dir))
            else:
                jobs.append(replace(job, resume=found.execution_id))
    return known, jobs


def _changes_something(workspace: Workspace, ref: str) -> bool:
    graph = build_graph(workspace.skills.get(ref), workspace.skills)
    nodes = [stop.node for stop in graph.work() if stop.node.kind in ("tool", "agent")]
    return any(node.effect == "write" and not node.repeatable for node in nodes)


def _lost(job: Job) -> ItemResult:
    """Return what is known of an input that changes something and went to a machine that never answered."""
    return ItemResult(
        index=job.index, key=job.key, status="failed", inputs=job.inputs,
        error="it was under way on the cluster when the batch stopped and may have been done; see whether it"
        " was, and use --retry-failed if not",
    )  # fmt: skip
