"""A skill as one JSON document: the form it is stored, exported, compared and signed in.

Skill → document → skill loses nothing that belongs to the skill. What belongs to a machine (ids, run ids,
times, state, ledger) is left out, so the same skill is the same document everywhere. The order of keys inside
constant objects carries no meaning here; the order of an ``ObjectOf`` binding does, and is kept.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from skillsmith.errors import InvalidSkillFileError
from skillsmith.library.program.bindings import from_json, to_json
from skillsmith.library.program.seal import digest_of_document
from skillsmith.library.program.shape import Check, compile_schema, show_place
from skillsmith.models import (
    FileUse,
    Json,
    Node,
    Proof,
    Reason,
    Skill,
    SkillArtifact,
    Slot,
    Template,
    Variable,
    Witness,
)

FORMAT = "skillsmith.skill/1"

__all__ = [
    "FORMAT", "Document", "artifact_to_json", "build_skill", "digest_of_document", "from_document",
    "from_lines", "input_schema", "proofs_to_json", "schema_of_variables", "schema_path", "shape_check",
    "to_document", "to_lines",
]  # fmt: skip

Document: TypeAlias = dict[str, Json]

_SCHEMA_TYPES: Mapping[str, dict[str, Json]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "path": {"type": "string", "format": "path"},
    "url": {"type": "string", "format": "uri"},
    "email": {"type": "string", "format": "email"},
    "id": {"type": "string", "format": "id"},
    "enum": {},
    "list": {"type": "array"},
    "object": {"type": "object"},
}
_PROOF_ORDER = ("reconstructs", "replays", "generalises")


def to_document(skill: Skill, *, with_history: bool = False) -> Document:
    """Write a skill as a document with its digest.

    Args:
        skill: Stored or not.
        with_history: Also add ``history``: what only this machine knows. It is not part of the digest.
    """
    document: Document = {
        "format": FORMAT,
        "name": skill.name,
        "version": skill.version,
        "description": skill.description,
        "task_pattern": skill.task_pattern,
        "tags": list(skill.tags),
        "inputs": input_schema(skill),
        "variables": [_variable_to_json(variable) for variable in skill.variables],
        "outputs": dict(skill.outputs),
        "output_bindings": {name: to_json(binding) for name, binding in skill.output_bindings.items()},
        "nodes": [_node_to_json(node) for node in skill.nodes],
        "agents": list(skill.agents),
        "examples": list(skill.examples),
        "context_requirements": dict(skill.context_requirements),
        "source": {"steps": skill.source_steps},
        "body": to_lines(skill.body),
        "public": skill.is_public,
        "artifacts": [artifact_to_json(artifact) for artifact in skill.artifacts],
        "why": [_reason_to_json(reason) for reason in skill.why],
        "proof": proofs_to_json(skill.proofs),
        "extras": dict(skill.extras),
    }
    document["digest"] = digest_of_document(document)
    if with_history:
        document["history"] = _history(skill)
    return document


def from_document(document: Json) -> Skill:
    """Read a skill from a document; ``history`` is not read: it belongs to another machine.

    Raises:
        InvalidSkillFileError: The document does not have the shape of its JSON Schema.
    """
    if isinstance(document, dict) and document.get("format", FORMAT) != FORMAT:
        raise InvalidSkillFileError(
            f"the format is {str(document['format'])[:60]!r}, not {FORMAT!r}",
            hint="it may need a newer skillsmith",
        )
    flaw = shape_check()(document)
    if flaw is not None:
        raise InvalidSkillFileError(f"{show_place(flaw[0])} {flaw[1]}")
    return build_skill(document)


@cache
def shape_check() -> Check:
    """Return the compiled JSON Schema of skill documents."""
    return compile_schema(orjson.loads(schema_path().read_bytes()))


def schema_path() -> Path:
    """Return where the JSON Schema of skill documents stands."""
    return Path(__file__).with_name("skill.schema.json")


def input_schema(skill: Skill) -> Document:
    """Return the JSON Schema 2020-12 of a skill's inputs."""
    return schema_of_variables(skill.variables)


def schema_of_variables(variables: Iterable[Variable]) -> Document:
    """Return the JSON Schema 2020-12 of an object with one property for each variable."""
    known = list(variables)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {variable.name: _property(variable) for variable in known},
        "required": [variable.name for variable in known if variable.required],
        "additionalProperties": False,
    }


def _property(variable: Variable) -> dict[str, Json]:
    schema = dict(_SCHEMA_TYPES.get(variable.type, {}))
    if variable.enum:
        schema["enum"] = list(variable.enum)
    if variable.description:
        schema["description"] = variable.description
    if variable.default is not None:
        schema["default"] = variable.default
    return schema


def to_lines(text: str) -> list[str]:
    r"""Split text at ``\n``; ``from_lines`` puts the very same text together again."""
    return text.split("\n") if text else []


def from_lines(lines: Iterable[str]) -> str:
    """Join what ``to_lines`` split."""
    return "\n".join(lines)


def _optional(kind: Any, *names: str) -> Callable[[Any], dict[str, Json]]:
    """Return a function that takes from a value those plain fields that differ from their defaults."""
    known = {field.name: field.default for field in fields(kind)}
    defaults, take = tuple(known[name] for name in names), attrgetter(*names)

    def chosen(value: Any) -> dict[str, Json]:
        return {
            name: list(current) if type(current) is tuple else current
            for name, current, default in zip(names, take(value), defaults, strict=True)
            if current != default
        }

    return chosen


_of_variable = _optional(Variable, "description", "default", "required", "enum")
_of_node = _optional(
    Node, "title", "agent", "tool", "effect", "language", "after", "condition", "optional", "timeout_seconds",
    "retries", "repeatable", "output_schema", "source_seqs",
)  # fmt: skip
_of_artifact = _optional(
    SkillArtifact, "path", "description", "language", "is_template", "template_variables"
)
_of_reason = _optional(Reason, "detail", "value")
_of_witness = _optional(Witness, "path", "text")


def _variable_to_json(variable: Variable) -> Document:
    return {"name": variable.name, "type": variable.type, **_of_variable(variable)}


def _variable(data: Document) -> Variable:
    return Variable(**{**data, "enum": tuple(data["enum"])} if "enum" in data else data)


def _node_to_json(node: Node) -> Document:
    data = {"id": node.id, "kind": node.kind, **_of_node(node)}
    if node.arguments:
        data["arguments"] = {name: to_json(binding) for name, binding in node.arguments.items()}
    if node.bindings:
        data["bindings"] = {name: to_json(binding) for name, binding in node.bindings.items()}
    if node.for_each is not None:
        data["for_each"] = to_json(node.for_each)
    if node.reads:
        data["reads"] = list(map(_use_to_json, node.reads))
    if node.writes:
        data["writes"] = list(map(_use_to_json, node.writes))
    if node.template is not None:
        data["template"] = _template_to_json(node.template)
    return data


def _use_to_json(use: FileUse) -> Document:
    path = to_json(use.path)
    return {"path": path} if use.digest is None else {"path": path, "digest": use.digest}


def _template_to_json(template: Template) -> Document:
    data: Document = {"lines": to_lines(template.text)}
    if template.slots:
        data["slots"] = [{"variable": slot.variable, "encoding": slot.encoding} for slot in template.slots]
    return data


def _node(data: Document) -> Node:
    plain = {key: value for key, value in data.items() if key not in _NODE_READERS}
    built = {key: read(data[key]) for key, read in _NODE_READERS.items() if key in data}
    return Node(**plain, **built)


def _bindings(data: Document) -> dict[str, Any]:
    return {name: from_json(binding) for name, binding in data.items()}


def _uses(data: list[Document]) -> tuple[FileUse, ...]:
    return tuple(FileUse(path=from_json(use["path"]), digest=use.get("digest")) for use in data)


def _template(data: Document) -> Template:
    slots = tuple(
        Slot(variable=slot["variable"], encoding=slot["encoding"]) for slot in data.get("slots", ())
    )
    return Template(text=from_lines(data["lines"]), slots=slots)


_NODE_READERS: Mapping[str, Callable[[Any], Any]] = {
    "arguments": _bindings,
    "bindings": _bindings,
    "for_each": from_json,
    "reads": _uses,
    "writes": _uses,
    "template": _template,
    "after": tuple,
    "source_seqs": tuple,
}


def artifact_to_json(artifact: SkillArtifact) -> Document:
    """Write an artifact: text as lines, other bytes as lines of base64."""
    encoding, content = _content_to_json(artifact.content)
    plain = {"name": artifact.name, "type": artifact.type, "encoding": encoding, "content": content}
    return plain | _of_artifact(artifact)


def _content_to_json(content: bytes) -> tuple[str, list[str]]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "base64", _base64_lines(content)
    return ("base64", _base64_lines(content)) if "\0" in text else ("text", to_lines(text))


def _base64_lines(content: bytes) -> list[str]:
    text = base64.b64encode(content).decode("ascii")
    return [text[start : start + 76] for start in range(0, len(text), 76)]


def _artifact(data: Document) -> SkillArtifact:
    optional = {key: value for key, value in data.items() if key not in ("content", "encoding")}
    optional["template_variables"] = tuple(data.get("template_variables", ()))
    return SkillArtifact(content=_content(data), **optional)


def _content(data: Document) -> bytes:
    if data["encoding"] == "text":
        return from_lines(data["content"]).encode()
    try:
        return base64.b64decode("".join(data["content"]), validate=True)
    except ValueError as error:
        raise InvalidSkillFileError(f"artifact {data['name']!r} is not valid base64: {error}") from error


def _reason_to_json(reason: Reason) -> Document:
    data = {"subject": reason.subject, "decision": reason.decision, "rule": reason.rule, **_of_reason(reason)}
    if reason.witnesses:
        data["witnesses"] = [
            {"seq": witness.seq, "where": witness.where, **_of_witness(witness)}
            for witness in reason.witnesses
        ]
    return data


def _reason(data: Document) -> Reason:
    witnesses = tuple(Witness(**witness) for witness in data.get("witnesses", ()))
    return Reason(**{**data, "witnesses": witnesses})


def proofs_to_json(proofs: Iterable[Proof]) -> list[Document]:
    """Write proofs as a sorted set: what was found, not when, where or how often."""
    found = {
        (_PROOF_ORDER.index(proof.level), proof.passed, proof.compared, proof.failures) for proof in proofs
    }
    return [
        {"level": _PROOF_ORDER[level], "passed": passed, "compared": compared, "failures": list(failures)}
        for level, passed, compared, failures in sorted(found)
    ]


def _proof(data: Document) -> Proof:
    return Proof(
        level=data["level"],
        passed=data["passed"],
        compared=data["compared"],
        failures=tuple(data["failures"]),
    )


def _history(skill: Skill) -> Document:
    return {
        "id": skill.id,
        "state": skill.state,
        "created_at": skill.created_at,
        "parent_id": skill.parent_id,
        "source_run_ids": list(skill.source_run_ids),
        "proofs": [
            {
                "level": proof.level, "passed": proof.passed, "compared": proof.compared,
                "failures": list(proof.failures), "detail": dict(proof.detail), "at": proof.at,
                "duration_seconds": proof.duration_seconds,
            }
            for proof in skill.proofs
        ],
    }  # fmt: skip


def build_skill(document: Document, **facts: Any) -> Skill:
    """Build a skill from a document of the right shape.

    Args:
        document: Checked before, or made by this module.
        facts: Fields of the skill that the document does not hold, or that replace what it holds.
    """
    built: dict[str, Any] = {
        "name": document["name"],
        "version": document["version"],
        "description": document["description"],
        "task_pattern": document["task_pattern"],
        "tags": tuple(document["tags"]),
        "variables": tuple(map(_variable, document["variables"])),
        "outputs": document["outputs"],
        "output_bindings": _bindings(document["output_bindings"]),
        "nodes": tuple(map(_node, document["nodes"])),
        "agents": tuple(document["agents"]),
        "examples": tuple(document["examples"]),
        "context_requirements": document["context_requirements"],
        "source_steps": document["source"]["steps"],
        "body": from_lines(document["body"]),
        "is_public": document["public"],
        "artifacts": tuple(map(_artifact, document["artifacts"])),
        "why": tuple(map(_reason, document["why"])),
        "proofs": tuple(map(_proof, document["proof"])),
        "extras": document["extras"],
    }
    return Skill(**{**built, **facts})
