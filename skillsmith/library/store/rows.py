"""A skill version as rows: its document split into the columns that must be found or shown by themselves.

What is stored is the document of library/program/document.py and nothing else, so that a stored skill and an
exported one can never differ. No SQL stands here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from skillsmith.db import Row
from skillsmith.events import dump_json, load_json
from skillsmith.ids import digest_of
from skillsmith.library.program.document import (
    FORMAT,
    Document,
    artifact_to_json,
    build_skill,
    from_lines,
    proofs_to_json,
    to_lines,
)
from skillsmith.library.program.seal import content_digest
from skillsmith.library.program.similarity import structure_digest
from skillsmith.models import Proof, Skill, SkillArtifact

_JSON_COLUMNS = {
    "tags": "tags", "examples": "examples", "variables": "variables", "inputs": "input_schema",
    "outputs": "output_schema", "output_bindings": "output_bindings", "nodes": "dag_template",
    "agents": "agent_sequence", "context_requirements": "context_requirements", "why": "why",
    "extras": "extras",
}  # fmt: skip
"""Key of the document → column."""


def version_columns(skill: Skill, document: Document) -> dict[str, Any]:
    """Return the columns of ``skill_versions`` but the keys.

    Args:
        skill: With its id and version.
        document: The same skill.
    """
    columns = {column: dump_json(document[key]) for key, column in _JSON_COLUMNS.items()}
    return columns | {
        "id": skill.id, "version": skill.version, "state": skill.state, "digest": content_digest(document),
        "structure": structure_digest(skill), "description": skill.description,
        "task_pattern": skill.task_pattern, "body": from_lines(document["body"]),
        "source_run_id": next(iter(skill.source_run_ids), None),
        "source_run_ids": dump_json(list(skill.source_run_ids)), "source_step_range": skill.source_steps,
        "is_public": int(skill.is_public), "parent_skill_id": skill.parent_id, "created_at": skill.created_at,
        "reason": skill.reason or None, "lineage": dump_json(dict(skill.lineage)),
    }  # fmt: skip


def artifact_columns(version: int, artifact: SkillArtifact) -> tuple[Any, ...]:
    """Return the values of ``skill_artifacts`` from ``skill_version`` to ``created_at``."""
    return (
        version, artifact.type, artifact.name, artifact.path, digest_of(artifact.content),
        artifact.description, artifact.language, int(artifact.is_template),
        dump_json(list(artifact.template_variables)), len(artifact.content), time.time(),
    )  # fmt: skip


def proof_columns(version: int, proof: Proof) -> tuple[Any, ...]:
    """Return the values of ``proofs`` from ``skill_version`` to ``duration_seconds``."""
    return (
        version, proof.level, int(proof.passed), proof.compared, dump_json(list(proof.failures)),
        dump_json(dict(proof.detail)), proof.at, proof.duration_seconds,
    )  # fmt: skip


def artifact_of(row: Row, content: Callable[[str], bytes]) -> SkillArtifact:
    """Build an artifact from its row.

    Args:
        row: Of ``skill_artifacts``.
        content: Returns the bytes of a digest.
    """
    return SkillArtifact(
        name=row["name"], type=row["artifact_type"], content=content(row["digest"]), path=row["file_path"],
        description=row["description"], language=row["language"], is_template=bool(row["is_template"]),
        template_variables=tuple(load_json(row["template_variables"])),
    )  # fmt: skip


def proof_of(row: Row) -> Proof:
    """Build a proof from its row."""
    return Proof(
        level=row["level"], passed=bool(row["passed"]), compared=row["compared"],
        failures=tuple(load_json(row["failures"])), detail=load_json(row["detail"]), at=row["at"],
        duration_seconds=row["duration_seconds"],
    )  # fmt: skip


def document_of(row: Row, artifacts: Iterable[SkillArtifact], proofs: Iterable[Proof]) -> Document:
    """Put a document together again, without its digest.

    Args:
        row: Of ``skill_versions`` with the ``name`` of the skill.
        artifacts: In their order.
        proofs: Of this version.
    """
    document: Document = {key: load_json(row[column]) for key, column in _JSON_COLUMNS.items()}
    return document | {
        "format": FORMAT, "name": row["name"], "version": row["version"], "description": row["description"],
        "task_pattern": row["task_pattern"], "source": {"steps": row["source_step_range"]},
        "body": to_lines(row["body"]), "public": bool(row["is_public"]),
        "artifacts": [artifact_to_json(artifact) for artifact in artifacts], "proof": proofs_to_json(proofs),
    }  # fmt: skip


def skill_of(row: Row, artifacts: tuple[SkillArtifact, ...], proofs: tuple[Proof, ...]) -> Skill:
    """Build a stored skill."""
    return build_skill(
        document_of(row, (), ()), artifacts=artifacts, proofs=proofs, id=row["id"], state=row["state"],
        created_at=row["created_at"], parent_id=row["parent_skill_id"],
        source_run_ids=tuple(load_json(row["source_run_ids"])), reason=row["reason"] or "",
        lineage=load_json(row["lineage"]),
    )  # fmt: skip
