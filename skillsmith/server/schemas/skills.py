"""Skills, their versions, files, executions and figures."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from skillsmith.server.schemas.common import (
    ID_PATTERN,
    NAME_PATTERN,
    REFERENCE_PATTERN,
    Answer,
    JsonObject,
    Request,
    WholeNumber,
)

Tag = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(max_length=20_000)]
Line = Annotated[str, StringConstraints(max_length=500)]
IdText = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
TaskText = Annotated[str, StringConstraints(min_length=1, max_length=20_000, pattern=r"\S")]

RunIds = Annotated[list[IdText], Field(min_length=1, max_length=100)]
_RUNS: Final = frozenset({"run_id", "run_ids"})


class SkillSummaryAnswer(Answer):
    """A skill in a list."""

    name: str = Field(examples=["refund_booking"])
    version: int
    state: str = Field(examples=["proven"])
    tags: list[str]
    description: str
    success_rate: float | None
    executions: int
    last_used_at: str | None
    created_at: str | None


class ProofAnswer(Answer):
    """Evidence that a version does what its run did."""

    level: str = Field(examples=["reconstructs"])
    passed: bool
    compared: int
    failures: list[str]
    at: str | None
    duration_seconds: float | None


class PerformanceAnswer(Answer):
    """How a skill does, counted from its executions; null: not known."""

    executions: int
    finished: int
    completed: int
    success_rate: float | None
    success_rate_low: float | None = Field(description="Lower bound of the 95 % interval.")
    success_rate_high: float | None
    avg_time: float | None = Field(description="Seconds; the same as `avg_duration_seconds`.")
    avg_cost: float | None = Field(description="USD; the same as `avg_cost_usd`.")
    avg_duration_seconds: float | None
    p95_duration_seconds: float | None
    avg_cost_usd: float | None
    adaptation_rate: float | None
    helped: int | None
    hurt: int | None
    last_used_at: str | None


class SkillAnswer(Answer):
    """A skill whole: its export document, and what only this file knows of it."""

    id: str
    name: str = Field(examples=["refund_booking"])
    version: int
    state: str
    description: str
    tags: list[str]
    inputs: JsonObject = Field(description="JSON Schema.")
    outputs: JsonObject = Field(description="JSON Schema.")
    nodes: list[JsonObject]
    created_at: str | None
    source_run_ids: list[str]
    proof: ProofAnswer | None
    proofs: list[ProofAnswer]
    ledger: JsonObject


class SkillArtifactAnswer(Answer):
    """A file that belongs to a skill."""

    name: str
    type: str
    path: str | None
    description: str
    language: str | None
    is_template: bool
    template_variables: list[str]
    size: int
    digest: str
    content: str | None = Field(description="Its text; null when it is not text, or too large.")


class AdaptationAnswer(Answer):
    """One difference between a skill and what an execution did."""

    type: str = Field(examples=["parameter_change"])
    target: str
    before: Any
    after: Any
    reason: str
    evidence: JsonObject


class ExecutionAnswer(Answer):
    """One use of a skill."""

    id: str
    skill: str
    version: int
    run_id: str | None
    task: str
    started_at: str | None
    duration_seconds: float | None
    success: bool | None = Field(description="null: it is not over.")
    error: str | None
    inputs: JsonObject
    outputs: JsonObject
    adapted: bool
    adaptations: list[AdaptationAnswer]
    artifacts: list[str]
    cost_usd: float | None
    confidence: float | None


class MatchRequest(Request):
    """A task that a skill is wanted for."""

    task_description: TaskText = Field(examples=["cancel reservation EHGLP3 for user emma_kim_9957"])
    top_k: WholeNumber = Field(default=5, ge=1, le=100)
    min_similarity: float | None = Field(
        default=None, ge=0, le=1, description="The least confidence; null: what this library has learned."
    )
    required_tags: list[Tag] = Field(default_factory=list, max_length=20)


class MatchAnswer(Answer):
    """A skill that fits."""

    skill: str = Field(examples=["refund_booking"])
    version: int
    confidence: float = Field(description="0 to 1: how often such a match is right.")
    explanation: str
    parts: dict[str, float]
    inputs: JsonObject = Field(description="What the task's words bind.")
    missing: list[str] = Field(description="Required inputs that nothing binds.")


class MatchesAnswer(Answer):
    """What fits a task, best first; or that nothing does, and why."""

    matches: list[MatchAnswer]
    abstained: bool
    reason: str


class AnalysisRequest(Request):
    """How much evidence is asked for."""

    min_executions: WholeNumber = Field(default=10, ge=1, le=1_000_000)


class AnalysisAnswer(Answer):
    """What a skill's executions suggest."""

    skill: str
    version: int
    executions: int
    enough: bool
    current_performance: PerformanceAnswer
    recommendations: list[JsonObject]
    optimization_potential: JsonObject
    notes: list[str]


class VersionAnswer(Answer):
    """One version of a skill."""

    version: int
    state: str
    current: bool
    created_at: str | None
    reason: str
    parent: int | None
    lineage: JsonObject
    digest: str
    executions: int
    success_rate: float | None


class RollbackRequest(Request):
    """Which version becomes the current one."""

    version: WholeNumber = Field(ge=1, le=999_999_999)
    reason: Text = ""


class RollbackAnswer(Answer):
    """The version that is current now."""

    success: bool
    skill_id: str
    skill: str
    version: int
    from_version: int
    state: str


class ExtractRequest(Request):
    """What a skill is to be made of."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["run_id"]}, {"required": ["run_ids"]}]}
    )
    run_id: IdText | SkipJsonSchema[None] = Field(default=None, description="One run; or `run_ids`.")
    run_ids: RunIds | SkipJsonSchema[None] = Field(
        default=None, description="Several runs of one kind of task."
    )
    step_range: str = Field(
        default="all", pattern=r"^(all|[1-9][0-9]{0,8}(-[1-9][0-9]{0,8})?)$", examples=["all", "3-7"]
    )
    name: str | None = Field(default=None, pattern=NAME_PATTERN)
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    description: Text | None = None
    public: bool = False
    force: bool = Field(default=False, description="Keep it although the library has one like it.")
    replay: bool = Field(
        default=False,
        description="Run its code for the proof; needs a server started with `--allow-run all`.",
    )

    @model_validator(mode="after")
    def _names_runs(self) -> Self:
        if not self.runs or None in (getattr(self, name) for name in self.model_fields_set & _RUNS):
            raise ValueError("give `run_id` or `run_ids`")
        return self

    @property
    def runs(self) -> list[str]:
        """All that are named."""
        return [*([self.run_id] if self.run_id else []), *(self.run_ids or ())]


class ExecuteRequest(Request):
    """What a skill is to do."""

    task: Text = Field(default="", description="The task in words; values in it are bound to inputs.")
    task_context: JsonObject = Field(
        default_factory=dict, description="Values of inputs by name.", examples=[{"order_id": "ORD-7001"}]
    )
    allow_adaptation: bool = True
    strict_mode: bool = Field(default=False, description="A step that may fail fails the skill.")
    work_dir: Annotated[str, StringConstraints(min_length=1, max_length=300)] | None = Field(
        default=None, description="A folder below the server's; else a new one.", examples=["monday"]
    )
    resume: str | None = Field(
        default=None, pattern=ID_PATTERN, description="An execution of this skill that broke off."
    )


class OptimizeRequest(Request):
    """What is to be done with the recommendations."""

    apply_optimizations: bool = Field(
        default=False, description="Make the next version of what passes; needs a skill that may be run."
    )
    reason: Text = ""
    min_executions: WholeNumber = Field(default=10, ge=1, le=1_000_000)
    proposals: list[Annotated[str, StringConstraints(min_length=1, max_length=300)]] = Field(
        default_factory=list, max_length=50, description="Only these: numbers, kinds, or KIND:TARGET."
    )


class ComposeRequest(Request):
    """Skills that become one."""

    skill_ids: list[Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN)]] = Field(
        min_length=1, max_length=50, examples=[["load_data", "clean_data", "plot"]]
    )
    pattern: Literal["sequential", "parallel", "conditional"] = "sequential"
    name: str = Field(pattern=NAME_PATTERN, examples=["data_pipeline"])
    when: list[Line] = Field(default_factory=list, max_length=50, description="Conditions of the branches.")
    wires: list[Line] = Field(default_factory=list, max_length=200, examples=[["plot.data=load_data.rows"]])
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    description: Text = ""
    force: bool = False
    replay: bool = Field(default=False, description="Run it for the proof; needs parts that may be run.")
