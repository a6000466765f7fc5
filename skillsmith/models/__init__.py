"""The values that travel between the layers: frozen, slotted, without behaviour that needs a database.

Dictionaries appear only at the JSON and SQL edges. A value carries no identity of its own storage: the
store assigns sequence numbers, versions and ids.

Each name is loaded on first use: a command that lists runs does not build the classes of skills (35 ms).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skillsmith.models.bindings import (
        Between,
        Binding,
        Constant,
        Each,
        FromInput,
        FromItem,
        FromNode,
        ListOf,
        ObjectOf,
        PathStep,
        Text,
        Where,
    )
    from skillsmith.models.executions import Adaptation, Execution, NodeResult
    from skillsmith.models.protocols import (
        AgentError,
        AgentReply,
        AgentRunner,
        AgentTask,
        BudgetError,
        DescribedTools,
        Embedder,
        ToolSource,
    )
    from skillsmith.models.runs import (
        CodeUse,
        Event,
        EventKind,
        FileSnapshot,
        FileVersion,
        Json,
        Outcome,
        Problem,
        Run,
        RunRecord,
        RunStatus,
        StepExecutionSummary,
        ToolUse,
    )
    from skillsmith.models.skills import (
        Effect,
        FileUse,
        Match,
        MatchResult,
        Node,
        NodeKind,
        Proof,
        ProofLevel,
        Reason,
        Skill,
        SkillArtifact,
        SkillState,
        SkillSummary,
        Slot,
        Template,
        Variable,
        VariableType,
        Witness,
    )

_NAMES = {
    "bindings": """
        Between Binding Constant Each FromInput FromItem FromNode ListOf ObjectOf
        PathStep Text Where
    """,
    "executions": """
        Adaptation Execution NodeResult
    """,
    "protocols": """
        AgentError AgentReply AgentRunner AgentTask BudgetError DescribedTools Embedder ToolSource
    """,
    "runs": """
        CodeUse Event EventKind FileSnapshot FileVersion Json Outcome Problem
        Run RunRecord RunStatus StepExecutionSummary ToolUse
    """,
    "skills": """
        Effect FileUse Match MatchResult Node NodeKind Proof ProofLevel
        Reason Skill SkillArtifact SkillState SkillSummary Slot Template Variable
        VariableType Witness
    """,
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "Adaptation",
    "AgentError",
    "AgentReply",
    "AgentRunner",
    "AgentTask",
    "Between",
    "Binding",
    "BudgetError",
    "CodeUse",
    "Constant",
    "DescribedTools",
    "Each",
    "Effect",
    "Embedder",
    "Event",
    "EventKind",
    "Execution",
    "FileSnapshot",
    "FileUse",
    "FileVersion",
    "FromInput",
    "FromItem",
    "FromNode",
    "Json",
    "ListOf",
    "Match",
    "MatchResult",
    "Node",
    "NodeKind",
    "NodeResult",
    "ObjectOf",
    "Outcome",
    "PathStep",
    "Problem",
    "Proof",
    "ProofLevel",
    "Reason",
    "Run",
    "RunRecord",
    "RunStatus",
    "Skill",
    "SkillArtifact",
    "SkillState",
    "SkillSummary",
    "Slot",
    "StepExecutionSummary",
    "Template",
    "Text",
    "ToolSource",
    "ToolUse",
    "Variable",
    "VariableType",
    "Where",
    "Witness",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"skillsmith.models.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'skillsmith.models' has no attribute {name!r}")
