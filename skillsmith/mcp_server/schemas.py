"""JSON Schemas of what the tools take and give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from skillsmith.library.program.document import schema_of_variables
from skillsmith.models import Json, Skill, Variable

MAX_TOP_K: Final = 20
MAX_RUNS: Final = 100

_TEXT: Final = {"type": "string"}
_SOME_TEXT: Final = {"type": "string", "minLength": 1}
_OBJECT: Final = {"type": "object"}
_NUMBER: Final = {"type": ["number", "null"]}
_NULLABLE_TEXT: Final = {"type": ["string", "null"]}


def described(schema: Mapping[str, Any], text: str, **more: Json) -> dict[str, Json]:
    """Return a schema with a description, and more keywords."""
    return {**schema, "description": text, **more}


def takes(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Return the schema of a tool's arguments, which knows no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def gives(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Return the schema of a tool's result; more keys may come."""
    return {
        "type": "object", "properties": {**required, **(optional or {})}, "required": list(required),
    }  # fmt: skip


def _list(of: Mapping[str, Json], **more: Json) -> dict[str, Json]:
    return {"type": "array", "items": dict(of), **more}


NAME: Final = described(_SOME_TEXT, "The skill: NAME, or NAME@VERSION.")

FIND_TAKES: Final = takes(
    {"task": described(_SOME_TEXT, "What is to be done, in words, with its concrete values.")},
    {
        "top_k": {
            "type": "integer", "minimum": 1, "maximum": MAX_TOP_K, "default": 3,
            "description": "At most so many skills.",
        },
        "tags": _list(_TEXT, description="Only skills with all of these tags."),
    },
)  # fmt: skip
_MATCH: Final = gives(
    {
        "name": _TEXT, "version": {"type": "integer"}, "confidence": {"type": "number"}, "inputs": _OBJECT,
        "missing": _list(_TEXT), "reason": _TEXT, "runnable": {"type": "boolean"},
    },
    {"why_not": _NULLABLE_TEXT},
)  # fmt: skip
FIND_GIVES: Final = gives({"matches": _list(_MATCH), "abstained": {"type": "boolean"}, "reason": _TEXT})

SHOW_TAKES: Final = takes({"name": NAME})
SHOW_GIVES: Final = gives(
    {
        "name": _TEXT, "version": {"type": "integer"}, "state": _TEXT, "description": _TEXT,
        "inputs": _OBJECT, "outputs": _OBJECT, "steps": _list(_OBJECT), "runnable": {"type": "boolean"},
    },
    {"why_not": _NULLABLE_TEXT, "proof": {"type": ["object", "null"]}, "ledger": _OBJECT},
)  # fmt: skip

RUN_TAKES: Final = takes(
    {"name": NAME},
    {
        "inputs": described(_OBJECT, "Values by input name; show_skill gives their schema."),
        "task": described(_TEXT, "The task in words; inputs that are not given are read from it."),
        "dry_run": {
            "type": "boolean", "default": False,
            "description": "Run nothing; the plan says exactly what would run.",
        },
        "resume": described(_TEXT, "Id of an execution of this skill that broke off, to go on with it."),
    },
)  # fmt: skip


def run_gives(outputs: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Return the schema of what a run gives, with that of the skill's outputs in it."""
    return gives(
        {"skill_used": _TEXT, "version": {"type": "integer"}},
        {
            "execution_id": _NULLABLE_TEXT, "run_id": _NULLABLE_TEXT,
            "success": {"type": ["boolean", "null"]}, "outputs": dict(outputs or _OBJECT),
            "artifacts": described(_list(_TEXT), "Files that were made or changed, below work_dir."),
            "work_dir": _NULLABLE_TEXT, "adaptations": _list(_OBJECT), "nodes": _list(_OBJECT),
            "duration_seconds": _NUMBER, "cost_usd": _NUMBER, "error": _NULLABLE_TEXT,
            "plan": described(_OBJECT, "Of a dry run."),
        },
    )  # fmt: skip


OUTCOME_TAKES: Final = takes(
    {
        "id": described(_SOME_TEXT, "A run's or an execution's id, or a unique beginning of it."),
        "outcome": {"enum": ["success", "failure", "unknown"]},
    },
    {"note": described(_TEXT, "Why, for people.", maxLength=2000)},
)
RUN_DOCUMENT: Final = gives(
    {"id": _TEXT, "task": _TEXT, "status": _TEXT, "outcome": _TEXT},
    {"outcome_reason": _NULLABLE_TEXT, "started_at": _NULLABLE_TEXT, "note": _NULLABLE_TEXT},
)

EXTRACT_TAKES: Final = takes(
    {
        "runs": _list(_SOME_TEXT, minItems=1, maxItems=100, description="Ids of runs of one kind of task."),
        "name": described(_SOME_TEXT, "The new skill's name: lower-case letters, digits, - and _."),
    },
    {
        "description": described(_TEXT, "Instead of the one found."),
        "tags": _list(_TEXT, description="Instead of those found."),
    },
)
EXTRACT_GIVES: Final = gives({
    "skill": _TEXT, "version": {"type": "integer"}, "state": _TEXT, "inputs": _OBJECT,
    "proof": {"type": ["object", "null"]},
})  # fmt: skip

SEARCH_TAKES: Final = takes(
    {},
    {
        "text": described(_TEXT, "Only runs whose task or events hold these words."),
        "outcome": {"enum": ["success", "failure", "unknown"]},
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_RUNS, "default": 20},
        "after": described(_SOME_TEXT, "`next` of the page before."),
    },
)
SEARCH_GIVES: Final = gives({"items": _list(RUN_DOCUMENT), "next": _NULLABLE_TEXT})


def inputs_of(skill: Skill) -> dict[str, Json]:
    """Return the schema of a skill's inputs; recorded values of required ones are only examples."""
    schema = schema_of_variables(skill.variables)
    del schema["$schema"]
    for variable in skill.variables:
        if variable.required:
            _default_as_example(schema["properties"][variable.name], variable)
    return schema


def _default_as_example(found: dict[str, Json], variable: Variable) -> None:
    found.pop("default", None)
    if variable.default is not None:
        found["examples"] = [variable.default]


def outputs_of(skill: Skill) -> dict[str, Json]:
    """Return the schema of a skill's outputs, to stand inside another one."""
    schema = {key: value for key, value in skill.outputs.items() if key != "$schema"}
    if schema.get("type") != "object" or '"$ref"' in json.dumps(schema):
        return {"type": "object"}  # references would lead to another place in there
    return schema
