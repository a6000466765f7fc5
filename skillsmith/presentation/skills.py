"""Skills, what made them and their versions as JSON documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skillsmith.models import Json, Proof, Skill
from skillsmith.notices import timestamp
from skillsmith.presentation.documents import proof_document, reason_document, stats_document
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.composer import Composition
    from skillsmith.library.extractor import ExtractionReport
    from skillsmith.library.versions import VersionEntry


def skill_document(workspace: Workspace, skill: Skill) -> dict[str, Json]:
    """Describe a skill whole: its export document, and what only this file knows of it."""
    return {
        **workspace.skills.document(skill.id),
        "id": skill.id,
        "state": skill.state,
        "created_at": timestamp(skill.created_at),
        "source_run_ids": list(skill.source_run_ids),
        "proof": proof_document(highest_proof(skill)),
        "proofs": [proof_document(proof) for proof in skill.proofs],
        "ledger": stats_document(workspace.ledger.stats(skill.name)),
    }


def highest_proof(skill: Skill) -> Proof | None:
    """Return the proof that counts: the last one of the highest level that passed, else the last one."""
    levels = ("reconstructs", "replays", "generalises")
    passed = [proof for proof in skill.proofs if proof.passed]
    if passed:
        return max(reversed(passed), key=lambda proof: levels.index(proof.level))
    return skill.proofs[-1] if skill.proofs else None


def report_document(report: ExtractionReport) -> dict[str, Json]:
    """Describe what an extraction made."""
    from skillsmith.library.program.document import to_document  # noqa: PLC0415  (the extractor has loaded it)

    whole = to_document(report.skill)
    return {
        "skill": report.skill.name,
        "version": report.skill.version,
        "state": report.skill.state,
        "description": report.skill.description,
        "tags": list(report.skill.tags),
        "proof": proof_document(report.proof),
        "proofs": [proof_document(proof) for proof in report.skill.proofs],
        "inputs": whole["inputs"],
        "outputs": whole["outputs"],
        "nodes": whole["nodes"],
        "left_out": [reason_document(reason) for reason in report.left_out],
        "proposed": [reason_document(reason) for reason in report.proposed],
        "duplicates": [dict(duplicate) for duplicate in report.duplicates],
    }


def composition_document(composition: Composition) -> dict[str, Json]:
    """Describe what a composition came to: as ``extract`` does, and its wiring."""
    from skillsmith.library.program.document import to_document  # noqa: PLC0415  (the composer has loaded it)

    skill = composition.skill
    whole = to_document(skill)
    return {
        "skill": skill.name,
        "version": skill.version,
        "state": skill.state,
        "description": skill.description,
        "tags": list(skill.tags),
        "proof": proof_document(composition.proof),
        "proofs": [proof_document(proof) for proof in skill.proofs],
        "inputs": whole["inputs"],
        "outputs": whole["outputs"],
        "nodes": whole["nodes"],
        "left_out": [],
        "duplicates": [dict(duplicate) for duplicate in composition.duplicates],
        "wiring": [wire.document() for wire in composition.wiring],
        "problems": list(composition.problems),
    }


def version_document(entry: VersionEntry) -> dict[str, Json]:
    """Describe a version."""
    figures, rate = entry.figures, entry.figures.rate
    return {
        "version": entry.version,
        "state": entry.state,
        "current": entry.current,
        "created_at": timestamp(entry.created_at),
        "reason": entry.reason,
        "parent": entry.parent,
        "lineage": dict(entry.lineage),
        "digest": entry.digest,
        "executions": figures.executions,
        "finished": figures.finished,
        "successes": figures.successes,
        "success_rate": rate and rate.value,
        "success_rate_low": rate and rate.low,
        "success_rate_high": rate and rate.high,
        "adapted": figures.adapted,
        "avg_duration_seconds": figures.avg_duration_seconds,
        "avg_cost_usd": figures.avg_cost_usd,
        "last_used_at": timestamp(figures.last_used_at),
    }
