"""Skills: nodes, variables, templates, the reasons behind them and the proofs of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from skillsmith.models.bindings import Binding
from skillsmith.models.runs import Json

SkillState = Literal["draft", "proven", "trusted", "quarantined", "retired"]
NodeKind = Literal["code", "tool", "agent", "skill", "approval", "check"]
Effect = Literal["read", "write"]
ProofLevel = Literal["reconstructs", "replays", "generalises"]
VariableType = Literal[
    "string", "integer", "number", "boolean", "date", "path", "url", "email", "id", "enum", "list", "object",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One input of a skill.

    Args:
        name: A Python identifier.
        type: Its kind; see VariableType.
        default: The literal it had in the source run.
        required: Whether an execution must give it (then ``default`` is only the example).
        enum: Allowed values, for type ``enum``.
    """

    name: str
    type: VariableType
    description: str = ""
    default: Json = None
    required: bool = False
    enum: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One ``{variable}`` in a code template, in order of appearance.

    ``encoding`` says how a value is written at that place (see library/templates.py).
    """

    variable: str
    encoding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Code or text with ``{variable}`` places; every other brace stands for itself.

    Args:
        text: The text with the places in it.
        slots: What stands in each place, in order.
        variables: The distinct variable names used.
    """

    text: str
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUse:
    """A file a code node reads or writes, relative to the work folder; ``path`` may be bound to an input."""

    path: Binding
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a skill's DAG.

    Args:
        id: Unique in the skill: ``n1``, ``n2``, …
        kind: code, tool, agent, skill, approval or check.
        title: A short line for people.
        agent: Who did it in the source run.
        tool: Tool name (kind ``tool``), or sub-skill ``NAME@VERSION`` (kind ``skill``).
        arguments: Bound arguments by name (tool, skill).
        effect: Whether it may change something outside; writes keep their order and are never dropped.
        language: Of the template (kind ``code``).
        template: The code (``code``), prompt (``agent``), question (``approval``) or expression (``check``).
        bindings: For a template: variable name → where its value comes from, when it is not an input of
            the same name.
        for_each: A list; the node (kinds ``tool``, ``code`` and ``agent``) is done once for each item, in
            order, its bindings read the item with ``FromItem``, and its result is the list of what each gave.
        reads: Files it needs (kind ``code``).
        writes: Files it makes (kind ``code``).
        after: Ids of nodes that must be done before.
        condition: Safe expression over inputs and results; the node is skipped when it is false.
        optional: A failure does not fail the skill.
        timeout_seconds: Wall clock limit.
        retries: How often a failure is tried again.
        repeatable: Whether it may be done twice without harm; then it is not asked about when an execution
            that stopped inside it is resumed.
        output_schema: JSON Schema of its result; None: any.
        source_seqs: Sequence numbers of the events in the source run.
    """

    id: str
    kind: NodeKind
    title: str = ""
    agent: str | None = None
    tool: str | None = None
    arguments: Mapping[str, Binding] = field(default_factory=dict)
    effect: Effect = "write"
    language: str | None = None
    template: Template | None = None
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    for_each: Binding | None = None
    reads: tuple[FileUse, ...] = ()
    writes: tuple[FileUse, ...] = ()
    after: tuple[str, ...] = ()
    condition: str | None = None
    optional: bool = False
    timeout_seconds: float | None = None
    retries: int = 0
    repeatable: bool = False
    output_schema: Json = None
    source_seqs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """One place in the source run that supports a decision.

    Args:
        seq: The event.
        where: "user", "task", "result", "argument", "code", "file".
        path: JSON path or span inside it, as text.
        text: The words or value seen there, shortened.
    """

    seq: int
    where: str
    path: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One decision of the extraction, with its evidence.

    Args:
        subject: What was decided on, e.g. ``n3.reservation_id`` or ``call 12 get_user_details``.
        decision: input, flow, file, constant, left_out, kept, edge, variable, output.
        rule: The rule's name, e.g. ``user-words``, ``earlier-result``, ``no-source``.
        detail: One sentence for people.
        value: The literal in question, when there is one.
        witnesses: Where it was seen.
    """

    subject: str
    decision: str
    rule: str
    detail: str = ""
    value: Json = None
    witnesses: tuple[Witness, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillArtifact:
    """A file that belongs to a skill: a code template, a small input file, a configuration.

    Args:
        type: code, data, config, plot_template, data_schema.
        content: The bytes.
        is_template: Whether ``{variable}`` places in it are filled.
    """

    name: str
    type: str
    content: bytes
    path: str | None = None
    description: str = ""
    language: str | None = None
    is_template: bool = False
    template_variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Stored evidence on a skill version.

    Args:
        level: reconstructs, replays or generalises.
        passed: Whether everything compared was equal.
        compared: How many things were compared.
        failures: What differed, a line each; also runtime failures, timeouts, nondeterminism.
        detail: What was compared, as JSON.
    """

    level: ProofLevel
    passed: bool
    compared: int
    failures: tuple[str, ...] = ()
    detail: Mapping[str, Json] = field(default_factory=dict)
    at: float | None = None
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """One immutable version of a skill.

    Args:
        id: UUIDv7 of the version; empty before it is stored.
        name: Lower-case letters, digits, ``-`` and ``_``.
        version: From 1.
        task_pattern: The source task with its variables in place.
        variables: The inputs.
        outputs: JSON Schema of the outputs object.
        output_bindings: Output name → where it comes from.
        nodes: In a valid execution order.
        agents: Agent names in the order they worked.
        examples: Earlier tasks it served, the source task first.
        context_requirements: Packages, tools and files it needs, as JSON.
        source_run_ids: Where it came from.
        source_steps: "all" or a range like "3-7".
        body: Free text (an imported SKILL.md's body, notes); part of what is searched.
        why: Every decision of the extraction.
        extras: Keys of a foreign format, kept as they were.
        reason: Why this version was made; stays in this file, is not exported.
        lineage: What it was made from beside its parent, as JSON: ``runs``, ``executions``, ``adaptations``,
            ``skills``, ``proposal``; stays in this file.
    """

    name: str
    version: int = 1
    id: str = ""
    state: SkillState = "draft"
    description: str = ""
    task_pattern: str = ""
    tags: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    outputs: Mapping[str, Json] = field(default_factory=dict)
    output_bindings: Mapping[str, Binding] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    agents: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    context_requirements: Mapping[str, Json] = field(default_factory=dict)
    source_run_ids: tuple[str, ...] = ()
    source_steps: str = "all"
    body: str = ""
    artifacts: tuple[SkillArtifact, ...] = ()
    why: tuple[Reason, ...] = ()
    proofs: tuple[Proof, ...] = ()
    is_public: bool = False
    created_at: float | None = None
    parent_id: str | None = None
    extras: Mapping[str, Json] = field(default_factory=dict)
    reason: str = ""
    lineage: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillSummary:
    """What a list of skills shows."""

    name: str
    version: int
    state: SkillState
    tags: tuple[str, ...]
    description: str
    success_rate: float | None
    executions: int
    last_used_at: float | None
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One candidate for a task.

    Args:
        confidence: Calibrated, 0..1.
        parts: semantic, lexical, tags, structure, evidence: each 0..1.
        inputs: What the task's words bind, by variable name.
        missing: Required inputs that nothing binds.
        reason: One sentence.
    """

    name: str
    version: int
    confidence: float
    parts: Mapping[str, float]
    inputs: Mapping[str, Json]
    missing: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """The answer of the matcher; ``abstained`` means that no skill fits."""

    matches: tuple[Match, ...]
    abstained: bool
    reason: str
