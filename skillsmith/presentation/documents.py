"""Stored values as the JSON documents of the command line; absent keys mean not applicable.

The keys are a contract with scripts: more may be added, none goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillsmith.notices import timestamp

if TYPE_CHECKING:
    from skillsmith.models import (
        Adaptation,
        CodeUse,
        Event,
        Execution,
        FileVersion,
        Json,
        Match,
        MatchResult,
        Problem,
        Proof,
        Reason,
        Run,
        SkillSummary,
        ToolUse,
    )


def run_document(run: Run) -> dict[str, Json]:
    """Describe a run."""
    return {
        "id": run.id,
        "task": run.task,
        "source": run.source,
        "status": run.status,
        "outcome": run.outcome,
        "outcome_reason": run.outcome_reason,
        "started_at": timestamp(run.started_at),
        "duration_seconds": run.duration_seconds,
        "agents": list(run.agents),
        "events": run.events,
        "tokens": run.tokens,
        "cost_usd": run.cost_usd,
        "note": run.note,
    }


def event_document(event: Event) -> dict[str, Json]:
    """Describe an event with the keys that apply to it."""
    tokens = None
    if event.tokens_in is not None or event.tokens_out is not None:
        tokens = (event.tokens_in or 0) + (event.tokens_out or 0)
    return _present(
        seq=event.seq,
        at=timestamp(event.at),
        step=event.step,
        kind=event.kind,
        role=event.role,
        agent=event.agent,
        recipient=event.recipient,
        content=event.content,
        reasoning=event.reasoning,
        tool=_tool(event.tool) if event.tool else None,
        code=_code(event.code) if event.code else None,
        data=dict(event.data) if event.data else None,
        duration_seconds=event.duration_seconds,
        tokens=tokens,
        cost_usd=event.cost_usd,
    )


def _tool(tool: ToolUse) -> dict[str, Json]:
    arguments = tool.parsed if tool.parsed is not None else tool.arguments
    return _present(
        name=tool.name, call_id=tool.call_id, arguments=arguments, result=tool.result, error=tool.error
    )


def _code(code: CodeUse) -> dict[str, Json]:
    return _present(language=code.language, text=code.text, exit_code=code.exit_code, output=code.output)


def file_document(version: FileVersion) -> dict[str, Json]:
    """Describe a file version."""
    return {
        "path": version.path,
        "version": version.version,
        "digest": version.digest,
        "size": version.size,
        "agent": version.agent,
        "at": timestamp(version.at),
        "superseded_by": version.superseded_by,
    }


def problem_document(problem: Problem) -> dict[str, Json]:
    """Describe what could not be read."""
    return {"path": problem.path, "line": problem.line, "reason": problem.reason}


def summary_document(summary: SkillSummary) -> dict[str, Json]:
    """Describe a skill in a list."""
    return {
        "name": summary.name,
        "version": summary.version,
        "state": summary.state,
        "tags": list(summary.tags),
        "description": summary.description,
        "success_rate": summary.success_rate,
        "executions": summary.executions,
        "last_used_at": timestamp(summary.last_used_at),
        "created_at": timestamp(summary.created_at),
    }


def proof_document(proof: Proof | None) -> dict[str, Json] | None:
    """Describe a proof; None when there is none."""
    if proof is None:
        return None
    return {
        "level": proof.level,
        "passed": proof.passed,
        "compared": proof.compared,
        "failures": list(proof.failures),
        "at": timestamp(proof.at),
        "duration_seconds": proof.duration_seconds,
    }


def reason_document(reason: Reason) -> dict[str, Json]:
    """Describe one decision of the extraction with its witnesses."""
    witnesses = [
        _present(seq=witness.seq, where=witness.where, path=witness.path or None, text=witness.text or None)
        for witness in reason.witnesses
    ]
    return {
        "subject": reason.subject,
        "decision": reason.decision,
        "rule": reason.rule,
        "detail": reason.detail,
        "value": reason.value,
        "witnesses": witnesses,
    }


def match_document(result: MatchResult) -> dict[str, Json]:
    """Describe the matcher's answer."""
    return {
        "matches": [_match(match) for match in result.matches],
        "abstained": result.abstained,
        "reason": result.reason,
    }


def _match(match: Match) -> dict[str, Json]:
    return {
        "name": match.name,
        "version": match.version,
        "confidence": match.confidence,
        "parts": dict(match.parts),
        "inputs": dict(match.inputs),
        "missing": list(match.missing),
        "reason": match.reason,
    }


def adaptation_document(adaptation: Adaptation) -> dict[str, Json]:
    """Describe one difference between a skill and what an execution did."""
    return {
        "type": adaptation.type,
        "target": adaptation.target,
        "before": adaptation.before,
        "after": adaptation.after,
        "reason": adaptation.reason,
        "evidence": dict(adaptation.evidence),
    }


def execution_document(execution: Execution) -> dict[str, Json]:
    """Describe an execution in a skill's history."""
    return {
        "id": execution.id,
        "skill": execution.skill,
        "version": execution.version,
        "run_id": execution.run_id,
        "task": execution.task,
        "started_at": timestamp(execution.started_at),
        "duration_seconds": execution.duration_seconds,
        "success": execution.success,
        "error": execution.error,
        "inputs": dict(execution.inputs),
        "outputs": dict(execution.outputs),
        "adapted": execution.adapted,
        "adaptations": [adaptation_document(adaptation) for adaptation in execution.adaptations],
        "artifacts": list(execution.artifacts),
        "cost_usd": execution.cost_usd,
        "confidence": execution.confidence,
    }


def _present(**fields: Any) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}


def stats_document(stats: Mapping[str, Json]) -> dict[str, Json]:
    """Describe a skill's performance."""
    return {**stats, "last_used_at": timestamp(stats.get("last_used_at"))}


def counted(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts with the largest first."""
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
