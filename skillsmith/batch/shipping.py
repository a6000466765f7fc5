"""A skill on its way to another machine, and an execution with its run on the way back.

What comes back is a skillsmith file with one run in it, so that nothing of it has to be told twice: the same
rows are copied as when a run is archived.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from skillsmith import archive_rows
from skillsmith.batch.items import ItemResult, Job, Plan
from skillsmith.batch.worker import Worker
from skillsmith.db import Database
from skillsmith.library.program.graph import build_graph
from skillsmith.models import Execution, Skill
from skillsmith.workspace import Workspace, open_workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A skill version, and whether it is the current one of its name."""

    skill: Skill
    current: bool


Crate: TypeAlias = tuple[Packed, ...]
"""A skill with the skills that it calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What came of an input.

    Args:
        execution: When it was recorded in a file of the worker's own.
        run: That file, with just its run, compressed.
    """

    result: ItemResult
    execution: Execution | None = None
    run: bytes | None = None


def pack(workspace: Workspace, ref: str) -> Crate:
    """Return a skill with all that it calls, the lowest versions first."""
    graph = build_graph(workspace.skills.get(ref), workspace.skills)
    skills = {skill.id: skill for skill in graph.skills.values()}
    return tuple(
        Packed(skill=skill, current=workspace.skills.current_version(skill.name) == skill.version)
        for skill in sorted(skills.values(), key=lambda skill: (skill.name, skill.version))
    )


def perform_elsewhere(plan: Plan, job: Job, crate: Crate) -> Shipment:
    """Do one input in a file of its own."""
    with TemporaryDirectory(prefix="skillsmith-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "skillsmith.db"
        path.write_bytes(_empty_file())
        with open_workspace(path) as workspace:
            for packed in crate:
                workspace.skills.add(packed.skill, make_current=packed.current, keep_version=True)
        own = replace(plan, db=str(path))
        with Worker(own) as worker:
            result = worker.perform(replace(job, resume=None))
        if result.run_id is None or result.execution_id is None:
            return Shipment(result=result)
        with open_workspace(path) as workspace:
            execution = workspace.ledger.get(result.execution_id)
            return Shipment(result=result, execution=execution, run=_run_alone(workspace, result.run_id))


@cache
def _empty_file() -> bytes:
    """Return a new skillsmith file: copying it is cheaper than making one for each input."""
    with TemporaryDirectory(prefix="skillsmith-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "empty.db"
        Database(path).close()
        return path.read_bytes()


def _run_alone(workspace: Workspace, run_id: str) -> bytes:
    path = Path(workspace.path).with_name("run.db")
    path.write_bytes(_empty_file())
    target = Database(path)
    try:
        with target.transaction():
            archive_rows.copy(workspace.db, workspace.runs.key(run_id), target)
    finally:
        target.close()
    return zlib.compress(path.read_bytes())


def unpack(workspace: Workspace, shipment: Shipment) -> None:
    """Record what a worker elsewhere did; what is here already stays as it is."""
    execution = shipment.execution
    if shipment.run is None or execution is None or execution.run_id is None:
        return
    with TemporaryDirectory(prefix="skillsmith-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "run.db"
        path.write_bytes(zlib.decompress(shipment.run))
        source = Database(path)
        try:
            key = archive_rows.find(source, execution.run_id)
            with workspace.db.transaction():
                if key is not None and archive_rows.find(workspace.db, execution.run_id) is None:
                    archive_rows.copy(source, key, workspace.db)
                    workspace.ledger.record(execution)
        finally:
            source.close()
