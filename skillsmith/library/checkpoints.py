"""Checkpoints: what later nodes need of each finished node, so that an execution goes on where it stopped.

A node that changes something is also marked when it begins. One that began and never ended may or may not
have made its change: that is for a person to say, never for us to try again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from skillsmith.errors import NotFoundError
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.models import Adaptation, Json, NodeResult

PREPARED = ":inputs"
"""The checkpoint before the first node: the inputs as the nodes get them. No node can be called so."""

_STARTED = "started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an execution has come.

    Args:
        values: Inputs as the nodes get them, by name; None when it did not get that far.
        reasons: Why inputs are not their defaults, by name.
        settled: Results of the nodes that are done or skipped, by key.
        attempts: How often a node was tried, where more than once.
        adaptations: Where nodes that are settled differ from the skill, by key.
        uncertain: Keys of nodes that began to change something outside and never ended.
        begun: Keys of code nodes that began and never ended, each with the files it declares that were not
            there before.
    """

    values: Mapping[str, Json] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    settled: Mapping[str, NodeResult] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    adaptations: Mapping[str, tuple[Adaptation, ...]] = field(default_factory=dict)
    uncertain: tuple[str, ...] = ()
    begun: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class SkillCheckpointManager:
    """Save and restore the progress of executions.

    Args:
        ledger: Where checkpoints are kept.
    """

    def __init__(self, ledger: ExecutionLedger) -> None:
        self._ledger = ledger

    def create_skill_checkpoint(
        self, skill_execution_id: str, step: str, context: Mapping[str, Json]
    ) -> None:
        """Save what later nodes need after a step.

        Args:
            skill_execution_id: The execution.
            step: The node's key.
            context: What is needed, as JSON.
        """
        self._ledger.checkpoint(skill_execution_id, step, context)

    def resume_skill_from_checkpoint(
        self, skill_execution_id: str, checkpoint_id: int | None = None
    ) -> Progress:
        """Return how far an execution had come.

        Args:
            skill_execution_id: The execution.
            checkpoint_id: Ordinal of the checkpoint to go back to; None: the last.

        Raises:
            NotFoundError: There is no such checkpoint.
        """
        rows = self._ledger.checkpoints(skill_execution_id)
        if checkpoint_id is not None:
            if checkpoint_id not in {ordinal for ordinal, _, _ in rows}:
                raise NotFoundError(f"execution {skill_execution_id} has no checkpoint {checkpoint_id}")
            rows = [row for row in rows if row[0] <= checkpoint_id]
        inputs: Mapping[str, Json] = {}
        states: dict[str, Mapping[str, Json]] = {}
        for _, key, state in rows:
            if key == PREPARED:
                inputs = state
            else:
                states[key] = state
        settled = {
            key: _result(key, state)
            for key, state in states.items()
            if state["status"] in ("done", "skipped")
        }
        return Progress(
            values=inputs.get("values"),
            reasons=inputs.get("reasons", {}),
            settled=settled,
            attempts={
                key: state["attempts"] for key, state in states.items() if state.get("attempts", 1) > 1
            },
            adaptations={
                key: tuple(Adaptation(**one) for one in state["adaptations"])
                for key, state in states.items()
                if "adaptations" in state
            },
            uncertain=tuple(key for key, state in states.items() if state == {"status": _STARTED}),
            begun={
                key: tuple(state["absent"])
                for key, state in states.items()
                if state["status"] == _STARTED and "absent" in state
            },
        )

    def prepared(self, execution_id: str, values: Mapping[str, Json], reasons: Mapping[str, str]) -> None:
        """Save the inputs before the first node, and why they are not their defaults."""
        state = {"values": dict(values), "reasons": dict(reasons)}
        self.create_skill_checkpoint(execution_id, PREPARED, state)

    def started(self, execution_id: str, key: str, *, absent: Sequence[str] | None = None) -> None:
        """Mark that a node which changes something has begun.

        Args:
            execution_id: The execution.
            key: The node's.
            absent: For code, which changes nothing but its folder: the files it declares that are not there.
        """
        files = {} if absent is None else {"absent": list(absent)}
        self.create_skill_checkpoint(execution_id, key, {"status": _STARTED, **files})

    def settled(
        self,
        execution_id: str,
        key: str,
        result: NodeResult,
        *,
        attempts: int = 1,
        adaptations: Sequence[Adaptation] = (),
    ) -> None:
        """Save how a node ended, and where it differs from the skill."""
        # what was printed is the result, and stands in the events: only the reason of a skip is kept
        reason = result.output if result.status == "skipped" else ""
        optional = {
            "output": reason, "exit_code": result.exit_code, "error": result.error,
            "artifacts": list(result.artifacts), "duration_seconds": result.duration_seconds,
        }  # fmt: skip
        kept: dict[str, Json] = {
            name: value for name, value in optional.items() if value not in (None, "", [])
        }
        kept |= {"status": result.status, "result": result.result}
        if attempts > 1:
            kept["attempts"] = attempts
        if adaptations:
            kept["adaptations"] = [asdict(one) for one in adaptations]
        self.create_skill_checkpoint(execution_id, key, kept)


def _result(key: str, state: Mapping[str, Json]) -> NodeResult:
    return NodeResult(
        node_id=key, status=state["status"], result=state.get("result"), output=state.get("output", ""),
        exit_code=state.get("exit_code"), error=state.get("error"),
        artifacts=tuple(state.get("artifacts", ())), duration_seconds=state.get("duration_seconds", 0.0),
    )  # fmt: skip
