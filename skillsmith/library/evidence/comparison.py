"""Executions and runs side by side, step by step: what each did, how long it took and what it cost.

A step is a node of the skill. What an execution did is known by the node; what a run without the skill did is
laid beside it: in the run that the skill was made from by the recorded events, in others by the tool's name
and order. Model calls count for the step they led to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.errors import NotFoundError, UsageError
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.repository import SkillRepository
from skillsmith.models import Adaptation, Event, Execution, Json, Node, Run, Skill
from skillsmith.runs import RunRepository

INPUTS = "inputs"
"""The row of what was adapted before the first node."""

REST = "rest"
"""The row of what belongs to no node."""

DEFAULT_COUNT = 3


@dataclass(slots=True, kw_only=True)
class Cell:
    """What one of them did at one step.

    Args:
        status: done, failed or skipped; None: nothing that can fail.
        tokens: Prompt and completion tokens together.
        cost_usd: None when it is not known.
        adaptations: Their types.
    """

    status: str | None = None
    duration_seconds: float | None = None
    tokens: int = 0
    cost_usd: float | None = 0.0
    adaptations: list[str] = field(default_factory=list)
    error: str | None = None

    def add(self, event: Event) -> None:
        """Count an event in."""
        self.tokens += (event.tokens_in or 0) + (event.tokens_out or 0)
        if event.kind == "llm_call":
            known = self.cost_usd is not None and event.cost_usd is not None
            self.cost_usd = (self.cost_usd or 0.0) + (event.cost_usd or 0.0) if known else None
        if event.duration_seconds is not None:
            self.duration_seconds = (self.duration_seconds or 0.0) + event.duration_seconds
        if event.kind in ("tool_result", "code_result"):
            self.error = _error(event)
            self.status = "failed" if self.error else "done"


def _error(event: Event) -> str | None:
    if event.tool is not None:
        return event.tool.error
    code = event.code.exit_code if event.code else None
    return f"exit code {code}" if code else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One execution or run with what it did, by step."""

    run: Run
    execution: Execution | None
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row: a node, or what stands for no node.

    Args:
        key: Node id, inside sub-skills ``NODE/ID``.
        cells: One for each lane; None where it did nothing there.
    """

    key: str
    title: str
    kind: str
    cells: tuple[Cell | None, ...]


class Comparer:
    """Lays executions and runs beside each other.

    Args:
        ledger: The executions.
        runs: The runs.
        skills: The skills.
    """

    def __init__(self, ledger: ExecutionLedger, runs: RunRepository, skills: SkillRepository) -> None:
        self._ledger = ledger
        self._runs = runs
        self._skills = skills

    def lanes(self, skill: str, references: Sequence[str]) -> list[Lane]:
        """Return what is to be compared.

        Args:
            skill: The skill's name.
            references: Ids or prefixes of executions of the skill, or of any runs; none: its newest.

        Raises:
            NotFoundError: One is not there, or there is none at all.
            UsageError: One is an execution of another skill, or a prefix fits several.
        """
        if references:
            found = [self._lane(skill, reference) for reference in references]
        else:
            newest = self._ledger.list(skill, window=DEFAULT_COUNT)
            found = [self._of_execution(one) for one, _ in zip(newest, range(DEFAULT_COUNT), strict=False)]
        if not found:
            raise NotFoundError(
                f"{skill} has not been used yet", hint="name runs to compare, or use it: `skillsmith run`"
            )
        return found

    def _lane(self, skill: str, reference: str) -> Lane:
        execution = self._execution(reference)
        if execution is None:
            return self._of_run(skill, self._runs.get(reference))
        if execution.skill != skill:
            raise UsageError(
                f"execution {execution.id[:18]} is one of {execution.skill}, not of {skill}",
                hint=f"`skillsmith executions {skill}` lists those that are",
            )
        return self._of_execution(execution)

    def _execution(self, reference: str) -> Execution | None:
        """Return the execution that an id means, its own or that of its run."""
        try:
            return self._ledger.get(reference)
        except NotFoundError:
            run = self._runs.get(reference)
        if run.source != "execution":
            return None
        begun = next(self._runs.events(run.id, kind="context"), None)
        values = (begun.data or {}).get("values", {}) if begun else {}
        return self._ledger.get(values["execution_id"]) if "execution_id" in values else None

    def _of_execution(self, execution: Execution) -> Lane:
        if execution.run_id is None:
            raise NotFoundError(f"execution {execution.id[:18]} has no run to compare")
        cells: dict[str, Cell] = {}
        for event in self._runs.events(execution.run_id):
            key = (event.data or {}).get("node")
            if key is not None:
                cells.setdefault(key, Cell()).add(event)
        for _, key, state in self._ledger.checkpoints(execution.id):
            if state.get("status") in ("done", "failed", "skipped") and not key.endswith("/"):
                cell = cells.setdefault(key, Cell())
                cell.status, cell.error = state["status"], state.get("error")
        for adaptation in execution.adaptations:
            key = _step_of(adaptation, cells)
            cells.setdefault(key, Cell()).adaptations.append(adaptation.type)
        return Lane(run=self._runs.get(execution.run_id), execution=execution, cells=cells)

    def _of_run(self, skill: str, run: Run) -> Lane:
        laid = _Laid(self._skill(skill), run.id)
        cells: dict[str, Cell] = {}
        waiting: list[Event] = []
        for event in self._runs.events(run.id):
            key = laid.key(event)
            if key is None:
                waiting += [event] if event.kind == "llm_call" else []
                continue
            cell = cells.setdefault(key, Cell())
            for one in (*waiting, event):
                cell.add(one)
            waiting.clear()
        for event in waiting:
            cells.setdefault(REST, Cell()).add(event)
        return Lane(run=run, execution=None, cells=cells)

    def _skill(self, name: str) -> Skill | None:
        try:
            return self._skills.get(name)
        except NotFoundError:  # deleted: its executions stay, and can be compared
            return None

    def steps(self, skill: str, lanes: Sequence[Lane]) -> list[Step]:
        """Return the rows, in the order of the skill's nodes, what stands for no node last."""
        found = self._skill(skill)
        nodes = {node.id: node for node in found.nodes} if found else {}
        keys = dict.fromkeys(key for lane in lanes for key in lane.cells)
        order = {key: place for place, key in enumerate([INPUTS, *nodes])}
        after = len(order)
        keys_in_order = sorted(
            keys, key=lambda key: order.get(key.split("/")[0], after + (1 if key == REST else 0))
        )
        return [
            Step(
                key=key, title=_title(key, nodes), kind=nodes[key].kind if key in nodes else "",
                cells=tuple(lane.cells.get(key) for lane in lanes),
            )
            for key in keys_in_order
        ]  # fmt: skip


def _title(key: str, nodes: Mapping[str, Node]) -> str:
    node = nodes.get(key)
    return "" if node is None else node.title or node.tool or node.kind


def _step_of(adaptation: Adaptation, keys: Iterable[str]) -> str:
    """Return the node that an adaptation is about; the inputs when it is about none."""
    target = adaptation.target
    owner = target.rsplit(".", 1)[0] if adaptation.type == "parameter_change" else target
    return owner if owner in keys else INPUTS


class _Laid:
    """Finds the node that an event of a run without the skill corresponds to.

    Args:
        skill: The skill; None when it is gone.
        run_id: The run.
    """

    def __init__(self, skill: Skill | None, run_id: str) -> None:
        nodes = skill.nodes if skill else ()
        own = skill is not None and skill.source_run_ids[:1] == (run_id,)
        self._by_seq = {seq: node.id for node in nodes for seq in node.source_seqs} if own else {}
        self._open = [node for node in nodes if node.kind in ("tool", "code")]
        self._calls: dict[str, str] = {}

    def key(self, event: Event) -> str | None:
        """Return the key of an event's step; None for what is part of no step yet."""
        use = event.tool or event.code
        if use is None or event.kind not in ("tool_call", "tool_result", "code", "code_result"):
            return None
        if event.kind in ("tool_result", "code_result"):
            return self._calls.get(use.call_id or "", self._calls.get("", REST))
        name = event.tool.name if event.tool else None
        key = self._by_seq.get(event.seq) or (None if self._by_seq else self._take(name)) or REST
        self._calls[use.call_id or ""] = self._calls[""] = key
        return key

    def _take(self, tool: str | None) -> str | None:
        """Return the first node left that calls this tool, or that is code."""
        for node in self._open:
            if (node.tool == tool) if tool else node.kind == "code":
                self._open.remove(node)
                return node.id
        return None


def totals(lane: Lane) -> dict[str, Json]:
    """Return what a whole lane came to, as JSON."""
    run, execution = lane.run, lane.execution
    success = execution.success if execution else {"success": True, "failure": False}.get(run.outcome)
    return {
        "id": execution.id if execution else run.id,
        "kind": "execution" if execution else "run",
        "run_id": run.id,
        "version": execution.version if execution else None,
        "task": run.task,
        "success": success,
        "duration_seconds": execution.duration_seconds if execution else run.duration_seconds,
        "tokens": run.tokens,
        "cost_usd": execution.cost_usd if execution else run.cost_usd,
        "adaptations": len(execution.adaptations) if execution else 0,
        "error": execution.error if execution else None,
    }
