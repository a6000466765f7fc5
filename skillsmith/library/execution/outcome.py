"""What an execution came to: its outputs, whether they are what the skill promises, and its result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.library.program.bindings import UnresolvedError, resolve
from skillsmith.library.program.shape import compile_schema
from skillsmith.models import Adaptation, Json, NodeResult, Skill


class ExecutionInterruptedError(KeyboardInterrupt):
    """An execution was interrupted; it can be resumed.

    Args:
        execution_id: Which one.
    """

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"execution {execution_id} was interrupted; go on with --resume {execution_id[:13]}")
        self.execution_id = execution_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """What an execution did.

    Args:
        success: None after a dry run.
        artifacts: Paths of files that were made or changed, relative to ``work_dir``.
        model_calls: Requests that models answered, for agent nodes and for mending.
        cost_usd: 0.0 when no model was called; None when one was and its cost is not known.
        warnings: What the user should know about the skill.
        defaults_used: Inputs that the source run took from a person's words and of which this task does not
            speak, with the recorded values that were used.
        nodes: What each node did, sub-skills' nodes under ``NODE/ID``.
        plan: What a dry run found.
    """

    skill_used: str
    version: int
    run_id: str | None = None
    execution_id: str | None = None
    confidence: float | None = None
    success: bool | None = None
    adaptations: tuple[Adaptation, ...] = ()
    outputs: Mapping[str, Json] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    duration_seconds: float = 0.0
    model_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = 0.0
    error: str | None = None
    work_dir: str | None = None
    nodes: tuple[NodeResult, ...] = ()
    warnings: tuple[str, ...] = ()
    defaults_used: Mapping[str, Json] = field(default_factory=dict)
    plan: Mapping[str, Json] | None = None

    @property
    def adapted(self) -> bool:
        """Whether anything differed from the skill."""
        return bool(self.adaptations)


def collect_outputs(skill: Skill, inputs: Mapping[str, Json], results: Mapping[str, Json]) -> dict[str, Json]:
    """Return a skill's outputs; one whose node was skipped is left out unless it is required.

    Raises:
        UnresolvedError: A required output cannot be found.
    """
    required = set(skill.outputs.get("required", ()))
    outputs: dict[str, Json] = {}
    for name, binding in skill.output_bindings.items():
        try:
            outputs[name] = resolve(binding, inputs, results)
        except UnresolvedError as error:
            if name in required:
                raise UnresolvedError(f"output {name!r}: {error.message}") from error
    return outputs


def output_problem(skill: Skill, outputs: Mapping[str, Json]) -> str | None:
    """Return how the outputs differ from the skill's schema, or None."""
    problem = misfit(skill.outputs or None, dict(outputs))
    return problem and f"output {problem}"


def misfit(schema: Json, value: Json) -> str | None:
    """Return where a value does not fit a JSON Schema, and how; None when it does, or there is no schema."""
    if schema is None or _plainly_fits(schema, value):
        return None
    import jsonschema  # noqa: PLC0415  (90 ms; only for what does not fit, and for keywords beyond our own)

    validator = jsonschema.Draft202012Validator(schema)
    try:
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    except Exception as broken:  # noqa: BLE001  (whatever a broken schema makes the validator raise is its own fault)
        return f"value: its schema cannot be applied: {type(broken).__name__}"
    if error is None:
        return None
    place = error.json_path.removeprefix("$").lstrip(".")
    return f"{place or ('object' if isinstance(value, dict) else 'value')}: {error.message[:300]}"


def _plainly_fits(schema: Json, value: Json) -> bool:
    """Whether a value fits a schema, as far as our own checker, which is stricter, can tell."""
    try:
        return compile_schema(schema)(value) is None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, re.error):
        return False  # a schema that it does not know, or a broken one: the full validator has the say


def counted(results: Sequence[NodeResult]) -> str:
    """Return how many nodes are done, in words."""
    done = sum(result.status == "done" for result in results)
    return f"{done} of {len(results)} nodes done" if done < len(results) else f"all {done} nodes done"
