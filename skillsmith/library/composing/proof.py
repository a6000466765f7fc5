"""Proofs of composed skills: that composing changed nothing of what the parts do.

``reconstructs``: with the same inputs every call and code block is exactly that of its part alone, and what
wires would have carried in recorded uses of the parts is what their ends take. ``replays``, where all is
code: the whole, run for real in a scratch folder, gives what its parts give when they are run by hand one
after the other: outputs of the same shape and the very same files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeGuard

from skillsmith.db import Database
from skillsmith.errors import RefusedError, SkillsmithError
from skillsmith.ids import digest_of
from skillsmith.library.composing.parts import Part
from skillsmith.library.composing.skill import Plan
from skillsmith.library.composing.wiring import Wire
from skillsmith.library.execution.dry_run import document_of
from skillsmith.library.execution.outcome import ExecutionResult, collect_outputs
from skillsmith.library.execution.preparation import Means, Preparation
from skillsmith.library.execution.workfolder import FilePlan
from skillsmith.library.executor import SkillExecutor
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.program.bindings import as_text, resolve
from skillsmith.library.program.graph import Graph, build_graph
from skillsmith.library.program.inputs import accept, find_variable
from skillsmith.library.program.paths import leaves_folder
from skillsmith.library.proof import defaults_of
from skillsmith.library.repository import SkillRepository
from skillsmith.library.store.reader import SkillReader
from skillsmith.library.trace.calls import calls_of
from skillsmith.models import Binding, FromInput, Json, Proof, Skill
from skillsmith.runs import RunRepository

REPLAYED_KINDS = frozenset({"code", "check", "skill"})
SAMPLES = 5
"""Successful executions of a part that wires are tried on."""


def can_replay(graph: Graph) -> bool:
    """Tell whether all of a skill is code, so that it can be run in a scratch folder without harm."""
    kinds = {stop.node.kind for stop in graph.work()}
    return "code" in kinds and kinds <= REPLAYED_KINDS


# ------------------------------------------------------------------------------------------- reconstructs


def reconstructs(skill: Skill, plan: Plan, *, skills: SkillReader, db: Database) -> Proof:
    """Prove that the composed skill does what its parts do, as far as that shows without running.

    Args:
        skill: The composed one.
        plan: What it was made of.
        skills: Where its parts are.
        db: Where recorded uses of the parts are.
    """
    began = time.time()
    inputs = _known_defaults(skill)
    whole = _planned(skill, build_graph(skill, skills), inputs)
    failures = [problem for node in whole.values() for problem in _problems(node)]
    nodes = 0
    for part in plan.parts:
        given = {name: wire.binding for name, wire in plan.of(part.label).items() if wire.offer is None}
        own = {name: inputs[one.name] for name, one in given.items() if _is_known(one, inputs)}
        for key, alone in _planned(part.skill, part.graph, own).items():
            nodes += 1
            failures += _differing(f"{part.label}/{key}", alone, whole)
    wires = [wire for wire in plan.wires if wire.offer is not None]
    carried = [one for wire in wires for one in _carried(wire, plan, db)]
    failures += [one for one in carried if one]
    levels = {part.ref: [one.level for one in part.skill.proofs if one.passed] for part in plan.parts}
    return Proof(
        level="reconstructs", passed=not failures, compared=nodes + len(wires) + len(carried),
        failures=tuple(failures), at=began, duration_seconds=time.time() - began,
        detail={
            "kind": "composition", "nodes": nodes, "wires": len(wires), "recorded_values": len(carried),
            "parts": levels,
        },
    )  # fmt: skip


def _known_defaults(skill: Skill) -> dict[str, Json]:
    """Return the recorded values of a skill's inputs, as far as there are any."""
    return {one.name: one.default for one in skill.variables if one.default is not None or not one.required}


def _is_known(binding: Binding, inputs: Mapping[str, Json]) -> TypeGuard[FromInput]:
    return isinstance(binding, FromInput) and binding.name in inputs


def _planned(skill: Skill, graph: Graph, inputs: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    """Return what each node would do with some inputs, by key, as a dry run shows it."""
    files = FilePlan(values=inputs, files=(), outside=frozenset())
    preparation = Preparation(
        skill=skill, task="", graph=graph, inputs=inputs, bound={}, files=files, work_dir=None
    )
    found = document_of(preparation, means=Means(can_ask=True))["nodes"]
    return {node["id"]: node for node in found}


_DEEDS = ("arguments", "code", "prompt", "question", "expression", "template", "values", "for_each", "calls",
          "reads", "writes")  # fmt: skip
"""Keys of a dry run's node that say what it does."""


def _differing(key: str, alone: Mapping[str, Json], whole: Mapping[str, Mapping[str, Json]]) -> list[str]:
    """Return how a node inside the whole differs from the same node of its part with the same inputs."""
    inside = whole.get(key)
    if inside is None:
        return [f"{key}: it is not in the whole"]
    names = [name for name in _DEEDS if inside.get(name) != alone.get(name)]
    return [f"{key}: its {' and '.join(names)} would not be those of the part alone"] if names else []


def _problems(node: Mapping[str, Json]) -> Iterator[str]:
    """Yield what a dry run could not put in place in a node."""
    entries = [node, *(entry for name in _DEEDS for entry in _entries(node.get(name)))]
    yield from (f"{node['id']}: {entry['problem']}" for entry in entries if "problem" in entry)


def _entries(value: Json) -> Iterator[Mapping[str, Json]]:
    """Yield the objects in a dry run's value, at any depth."""
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _carried(wire: Wire, plan: Plan, db: Database) -> Iterator[str | None]:
    """Yield for each recorded use of the giving part what is wrong with the value that the wire carries."""
    assert wire.offer is not None
    parts = {part.label: part for part in plan.parts}
    variable = find_variable(parts[wire.part].skill, wire.input)
    for where, outputs in _recorded(parts[wire.offer.part], db):
        try:
            accept(resolve(wire.binding, {}, {wire.offer.part: outputs}), variable)
        except SkillsmithError as error:
            yield f"{wire.part}.{wire.input}: {wire.source} in {where} does not fit: {error.message}"
        else:
            yield None


def _recorded(part: Part, db: Database) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield what a part gave in its newest executions, or in the run that it was made from."""
    ledger, found = ExecutionLedger(db), 0
    for execution in ledger.list(part.skill.name, version=part.skill.version):
        if execution.success:
            found += 1
            yield f"execution {execution.id[:13]}", execution.outputs
        if found == SAMPLES:
            break
    if found or len(part.skill.source_run_ids) != 1:
        return
    runs, run_id = RunRepository(db), part.skill.source_run_ids[0]
    try:
        calls = {call.seq: call for call in calls_of(runs.events(run_id))}
        results = {
            node.id: calls[node.source_seqs[0]].result
            for node in part.skill.nodes
            if node.for_each is None and node.source_seqs and node.source_seqs[0] in calls
        }
        yield f"run {run_id[:13]}", collect_outputs(part.skill, defaults_of(part.skill), results)
    except SkillsmithError:  # the run was deleted, or did not record all of it: nothing to try
        return


# --------------------------------------------------------------------------------------------- replays


def replays(skill: Skill, plan: Plan, *, skills: SkillReader) -> Proof:
    """Prove that the composed skill, run for real, gives what its parts give when run by hand.

    Args:
        skill: All code; it is run with its recorded inputs.
        plan: What it was made of.
        skills: Where its parts are.
    """
    began = time.time()
    failures: list[str] = []
    compared, detail = 0, dict[str, Json]()
    with TemporaryDirectory(prefix="skillsmith-replay-", ignore_cleanup_errors=True) as folder:
        bench = _Bench(Path(folder))
        try:
            _refuse_outside(skill)
            bench.stock(build_graph(skill, skills))
            compared, failures, detail = bench.compare(skill, plan)
        except SkillsmithError as error:
            failures.append(f"it cannot be run with its recorded inputs: {error.message}")
        finally:
            bench.close()
    return Proof(
        level="replays", passed=not failures and compared > 0, compared=compared, failures=tuple(failures),
        detail={"kind": "composition", **detail}, at=began, duration_seconds=time.time() - began,
    )  # fmt: skip


def _refuse_outside(skill: Skill) -> None:
    """Refuse to run on files beyond the scratch folder: a replay must not change what a user has."""
    for variable in skill.variables:
        value = variable.default
        if variable.type == "path" and isinstance(value, str) and (leaves_folder(value) or value[:1] == "~"):
            raise RefusedError(f"the input {variable.name} leads out of the scratch folder: {value}")


class _Bench:
    """A scratch library and scratch folders, where nothing of the user's is touched.

    Args:
        root: An empty folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._db = Database(root / "proof.db")
        self._skills = SkillRepository(self._db)

    def close(self) -> None:
        self._db.close()

    def stock(self, graph: Graph) -> None:
        """Bring in the versions that a skill calls."""
        called = {f"{one.name}@{one.version}": one for scope, one in graph.skills.items() if scope}
        for one in sorted(called.values(), key=lambda one: one.version):
            self._skills.add(one, keep_version=True)

    def compare(self, skill: Skill, plan: Plan) -> tuple[int, list[str], dict[str, Json]]:
        """Run the whole, then its parts by hand with the inputs they got; return how that compares."""
        whole = self._run(skill, _known_defaults(skill), "whole")
        if not whole.success:
            return 1, [f"it fails with its recorded inputs: {whole.error}"], {}
        nodes = {node.node_id: node for node in whole.nodes}
        failures, compared = [], 0
        done = [part for part in plan.parts if nodes[part.label].status == "done"]
        for part in done:
            alone = self._run(self._skills.get(part.ref), nodes[f"{part.label}/"].result, "by-hand")
            compared += 1
            if _flat(alone.outputs, self._root) != _flat(nodes[part.label].result, self._root):
                failures.append(f"{part.label}: its outputs differ from those of the part run by hand")
        made, by_hand = (_digests(self._root / name) for name in ("whole", "by-hand"))
        for path in sorted({*made, *by_hand}):
            compared += 1
            if made.get(path) != by_hand.get(path):
                failures.append(f"{path}: it is not the file that the parts make when run by hand")
        skipped = [part.label for part in plan.parts if part not in done]
        return compared, failures, {"files": len(made), "parts_run": len(done), "not_run": skipped}

    def _run(self, skill: Skill, inputs: Mapping[str, Json], folder: str) -> ExecutionResult:
        given = {name: value for name, value in inputs.items() if value is not None}
        executor = SkillExecutor(self._db, work_dir=self._root / folder, pass_env=())
        return executor.execute_skill(skill, {"task": "", "inputs": given}, strict_mode=True)


def _flat(outputs: Json, root: Path) -> str:
    """Return outputs as text with scratch folders, times and ids flattened, as replays compare them."""
    text = as_text(outputs).replace(str(root / "whole"), "").replace(str(root / "by-hand"), "")
    return re.sub(r"0x[0-9a-f]+|\d+(?:[.:]\d+)*", "#", text)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): digest_of(path.read_bytes()) for path in files}
