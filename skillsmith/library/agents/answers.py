"""Answers of a model in a form that was asked for: what it is told, and whether it kept to it.

Endpoints that know JSON schemas hold a model to them; others ignore or refuse them. So the schema is always
told in words, too, and every answer is validated here.
"""

from __future__ import annotations

import json
import re

from skillsmith.errors import UsageError
from skillsmith.models import Json

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL | re.IGNORECASE)


def check_schema(schema: Json) -> None:
    """Make sure that a schema can be kept.

    Raises:
        UsageError: It is no JSON Schema.
    """
    import jsonschema  # noqa: PLC0415  (90 ms; only for answers with a schema)

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.exceptions.SchemaError as error:
        raise UsageError(
            f"the schema of an answer is no JSON Schema: {error.message[:200]}", hint="mend the skill's node"
        ) from error


def schema_words(schema: Json) -> str:
    """Return what a model is told about the form of its answer."""
    return (
        "Your final answer is one JSON value that fits this JSON Schema, and nothing else:"
        f" no words around it, no Markdown.\n{json.dumps(schema, ensure_ascii=False)}"
    )


def read_answer(text: str, schema: Json) -> tuple[Json, str | None]:
    """Return the answer as JSON, and what is wrong with it, if anything.

    Args:
        text: What the model said; a Markdown fence around the JSON is forgiven.
        schema: What it has to fit.
    """
    import jsonschema  # noqa: PLC0415  (90 ms; only for answers with a schema)

    fenced = _FENCED.search(text)
    try:
        value = json.loads(fenced[1] if fenced and not text.lstrip().startswith(("{", "[")) else text)
    except ValueError as error:  # RecursionError: nested thousands deep, which no schema asks for
        return None, f"it is no JSON: {error}"
    except RecursionError:
        return None, "it is nested too deep"
    validator = jsonschema.Draft202012Validator(schema)
    problem = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if problem is None:
        return value, None
    place = problem.json_path.removeprefix("$").lstrip(".") or "the value"
    return None, f"{place}: {problem.message[:300]}"


def repair_words(problem: str, schema: Json) -> str:
    """Return what a model is told when its answer did not fit."""
    return f"Your answer cannot be used: {problem}\n{schema_words(schema)}"
