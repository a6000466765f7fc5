"""Tests of what models are told about tools."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any, Literal

import jsonschema

from skillsmith.library.tools.callables import PythonTools
from skillsmith.library.tools.schemas import function_schema, schema_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


def plot(
    path: str,
    points: list[float],
    *,
    colour: Colour = Colour.RED,
    scale: Literal["log", "linear"] = "linear",
    title: str | None = None,
    options: dict[str, int] | None = None,
    anything: Any = 3,
) -> None:
    """Plot points into a file."""


def test_signature_and_docstring_become_a_schema() -> None:
    """Types, defaults and choices come from the signature, the purpose from the docstring."""
    schema = function_schema(plot)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["description"] == "Plot points into a file."
    assert schema["required"] == ["path", "points"]
    properties = schema["properties"]
    assert properties["path"] == {"type": "string"}
    assert properties["points"] == {"type": "array", "items": {"type": "number"}}
    assert properties["colour"] == {"enum": ["red", "blue"]}
    assert properties["scale"] == {"enum": ["log", "linear"], "default": "linear"}
    assert properties["title"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert properties["options"]["anyOf"][0]["additionalProperties"] == {"type": "integer"}
    assert properties["anything"] == {"default": 3}


def test_what_is_not_known_is_left_open() -> None:
    """Free keywords, unreadable annotations and built-in callables allow what the model gives."""

    def free(first: Missing, **more: int) -> None:  # type: ignore[name-defined]  # noqa: F821  (the point)
        """Take anything."""

    assert function_schema(free)["properties"] == {"first": {}}
    assert function_schema(free)["additionalProperties"] is True
    assert function_schema(math.hypot)["additionalProperties"] is True


def test_python_tools_describe_themselves() -> None:
    """A module's tools are told with their own schemas; another source's take anything."""
    source = PythonTools({"plot": plot}, label="test")
    assert schema_of(source, "plot")["required"] == ["path", "points"]
