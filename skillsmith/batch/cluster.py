"""Inputs done by the workers of a Dask cluster that is there already.

A worker on this machine works on the skillsmith file itself, like a process of ours. A worker elsewhere
cannot share it: it gets the skill, works on a file of its own, and sends back each execution with its run.
"""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from skillsmith.batch.items import ItemResult, Job, Plan
from skillsmith.batch.shipping import Crate, Shipment, pack, perform_elsewhere, unpack
from skillsmith.batch.worker import Worker
from skillsmith.errors import ExecutionError
from skillsmith.workspace import open_workspace

_AHEAD = 2
_CONNECT_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What goes to the cluster for one input.

    Args:
        machine: Whose file ``plan.db`` is.
        crate: The skill, for workers of other machines.
    """

    plan: Plan
    job: Job
    machine: str
    crate: Crate


def run_on_cluster(
    plan: Plan, jobs: Iterable[Job], *, address: str, machine: str | None = None
) -> Iterator[ItemResult]:
    """Yield results as they come, in no order.

    Args:
        plan: The batch.
        jobs: What is to be done.
        address: Of the scheduler, e.g. ``tcp://10.0.0.5:8786``.
        machine: Name of the machine that has the file; None: this one.

    Raises:
        ExecutionError: Dask is not installed, no cluster answers, or its workers cannot do this.
    """
    with _connected(address) as client, open_workspace(plan.db, create=False) as workspace:
        crate = pack(workspace, plan.skill)
        here = machine or this_machine()
        orders = iter(Order(plan=plan, job=job, machine=here, crate=crate) for job in jobs)
        for shipment in _handed_out(client, orders):
            unpack(workspace, shipment)
            yield shipment.result


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        from distributed import Client  # noqa: PLC0415  (900 ms; only with --dask)
    except ImportError as error:
        raise ExecutionError("Dask is not installed", hint="pip install 'skillsmith-cli[cluster]'") from error
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # a time-out is an OSError
        raise ExecutionError(
            f"no Dask scheduler answers at {address}: {error}", hint="start one with `dask scheduler`"
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise ExecutionError(
                f"the cluster at {address} has no workers", hint=f"start some with `dask worker {address}`"
            )
        yield client


def _handed_out(client: Any, orders: Iterator[Order]) -> Iterator[Shipment]:
    """Keep a few orders for each of the cluster's threads under way."""
    from distributed import as_completed  # noqa: PLC0415  (loaded by now)

    limit = _AHEAD * sum(one["nthreads"] for one in client.scheduler_info(n_workers=-1)["workers"].values())
    first = [_submit(client, order) for order in islice(orders, limit)]
    under_way = as_completed(first, loop=client.loop)
    for future in under_way:
        error = future.exception()
        if isinstance(error, ImportError):
            raise ExecutionError(
                f"the cluster's workers lack {error.name}", hint="install skillsmith where they run"
            ) from error
        if error is not None:
            raise ExecutionError(
                f"the cluster failed: {error}", hint="run the same again to go on"
            ) from error
        for order in islice(orders, 1):
            under_way.add(_submit(client, order))
        yield future.result()


def _submit(client: Any, order: Order) -> Any:
    return client.submit(fill_order, order, pure=False, retries=0)


def fill_order(order: Order) -> Shipment:
    """Do one input, on a worker of the cluster."""
    if order.machine == this_machine() and Path(order.plan.db).exists():
        with Worker(order.plan) as worker:
            return Shipment(result=worker.perform(order.job))
    return perform_elsewhere(order.plan, order.job, order.crate)


def this_machine() -> str:
    """Return what tells this machine from others: two containers of one host are two."""
    return f"{platform.node()}-{uuid.getnode():x}"
