"""Tests of batches on a Dask cluster: two workers on 127.0.0.1, processes like any cluster's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_process import TOOLS, code_skill, tool_skill
from test_batch import batch

from skillsmith.batch import run_many
from skillsmith.batch.cluster import run_on_cluster
from skillsmith.batch.items import Job
from skillsmith.batch.results import Results
from skillsmith.errors import ExecutionError
from skillsmith.workspace import open_workspace

distributed = pytest.importorskip("distributed", reason="Dask is an extra: skillsmith-cli[cluster]")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return the address of a cluster of two worker processes."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_does_what_processes_do(tmp_path: Path, address: str) -> None:
    """Each input is done once, in the ledger and in the results."""
    work = batch(tmp_path, code_skill("greet"), [f"P{number}" for number in range(12)], dask=address)
    summary = run_many(work)
    assert (summary.succeeded, summary.failed, summary.executed) == (12, 0, 12)
    with open_workspace(tmp_path / "s.db") as workspace:
        assert workspace.ledger.stats("greet")["completed"] == 12
    assert (tmp_path / "work" / "000007" / "greeting.txt").read_text() == "Hello P6"


def test_what_other_machines_did_comes_back_whole(tmp_path: Path, address: str) -> None:
    """A worker that cannot see the file sends executions, runs and files; they are as if done here."""
    work = batch(tmp_path, code_skill("greet"), ["Ann", "Bob"])
    jobs = [Job(index=item.index, key=item.key, inputs=item.inputs) for item in work.items]
    plan = replace(work.plan, batch="b", db=str(tmp_path / "s.db"))
    results = list(run_on_cluster(plan, jobs, address=address, machine="another"))
    assert {result.status for result in results} == {"succeeded"}
    with open_workspace(tmp_path / "s.db") as workspace:
        assert workspace.ledger.stats("greet")["completed"] == 2
        for result in results:
            assert result.run_id is not None
            assert {event.kind for event in workspace.runs.events(result.run_id)} >= {"code", "code_result"}
            (version,) = workspace.files.versions(workspace.runs.key(result.run_id))
            assert workspace.files.content(version) == f"Hello {result.inputs['person']}".encode()


def test_what_may_have_been_changed_far_away_is_not_changed_again(tmp_path: Path, address: str) -> None:
    """An input whose worker never answered is a failure that says so, not a second try."""
    (tmp_path / "shop.py").write_text(TOOLS)
    skill = tool_skill()
    path = tmp_path / "in.jsonl"
    path.write_text('{"email": "ann@example.org", "order_id": "ORD-8001"}\n')
    work = batch(tmp_path, code_skill("greet"), ["Ann"], dask=address)
    with open_workspace(tmp_path / "s.db") as workspace:
        workspace.skills.add(skill)
    plan = replace(work.plan, skill="cancel_order@1", tools=(str(tmp_path / "shop.py"),))
    work = replace(work, plan=plan, output=tmp_path / "orders.jsonl")
    with Results(work.output, skill="cancel_order@1") as results:
        list(results.hand_out([Job(index=1, key=work.items[0].key, inputs={})]))
    summary = run_many(work)
    assert (summary.failed, summary.executed) == (1, 0)
    assert b"may have been done" in work.output.read_bytes()


def test_no_cluster_is_one_clear_error(tmp_path: Path) -> None:
    """Where nobody answers it says so, and the batch can go on elsewhere."""
    work = batch(tmp_path, code_skill("greet"), ["Ann"], dask="tcp://127.0.0.1:9")
    with pytest.raises(ExecutionError, match="no Dask scheduler answers"):
        run_many(work)
    assert run_many(replace(work, dask=None)).succeeded == 1
