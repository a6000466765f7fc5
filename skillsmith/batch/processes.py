"""Inputs done by processes of this machine, a few more handed out than there are workers.

An interrupt lets each worker close the books of what it has under way, so that it can be resumed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait as wait_for

from skillsmith.batch.items import ItemResult, Job, Plan
from skillsmith.batch.worker import Worker
from skillsmith.errors import ExecutionError

_AHEAD = 2
"""Jobs handed out for each worker: the next one is there when the last one ends."""

_UNTIL_CLOSED_SECONDS = 2.0

_worker: Worker | None = None


def run_in_processes(plan: Plan, jobs: Iterable[Job], *, workers: int) -> Iterator[ItemResult]:
    """Yield results as they come, in no order.

    Args:
        plan: The batch.
        jobs: What is to be done.
        workers: How many processes.

    Raises:
        ExecutionError: A worker died.
    """
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(plan,)
    )
    try:
        yield from _handed_out(pool, iter(jobs), limit=workers * _AHEAD)
    except BrokenProcessPool as error:
        raise ExecutionError(
            "a worker process died", hint="run the same command again: what is finished is not repeated"
        ) from error
    except BaseException:  # an interrupt, or nobody wants more: end what is under way, then go on with it
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _handed_out(pool: ProcessPoolExecutor, jobs: Iterator[Job], *, limit: int) -> Iterator[ItemResult]:
    under_way: set[Future[ItemResult]] = {pool.submit(_perform, job) for job in islice(jobs, limit)}
    while under_way:
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        under_way |= {pool.submit(_perform, job) for job in islice(jobs, len(done))}
        for future in done:
            yield future.result()


def _start(plan: Plan) -> None:
    """Make this process a worker; Ctrl-C is for the process that hands out, which ends the workers."""
    global _worker  # noqa: PLW0603  (one worker a process)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = Worker(plan)
    _worker.__enter__()


def _end_with_parent() -> None:
    """Stop this worker when the process that hands out was killed: nobody would ever call it again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        while True:  # the first one may be taken by an execution, which closes its books
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_UNTIL_CLOSED_SECONDS)


def _perform(job: Job) -> ItemResult:
    assert _worker is not None
    return _worker.perform(job)
