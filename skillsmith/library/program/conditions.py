"""Conditions and checks: expressions over inputs, results and files, evaluated without Python's powers.

The evaluator is simpleeval's, fed with JSON values and the few functions listed here; nothing in an
expression can import, call a method or reach an object of ours.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from skillsmith.errors import ExecutionError
from skillsmith.library.program import bounded
from skillsmith.library.program.paths import leaves_folder
from skillsmith.models import Json

MAX_EXPRESSION_CHARS = 2_000
MAX_SHOWN = 200
MAX_NESTING = 50
"""Of an expression's parts inside parts; Python's own parser gives up on little more."""

MAX_TEXT_BYTES = 10 * 1024 * 1024
"""A check reads no more of a file than this."""

FUNCTIONS = (
    "exists", "size", "text", "columns", "rows", "len", "lower", "contains", "startswith", "endswith", "min",
    "max", "sum", "abs", "round", "int", "float", "str",
)  # fmt: skip
"""What an expression may call."""

_CONSTANTS: Mapping[str, Json] = {"True": True, "False": False, "None": None, "true": True, "false": False,
                                  "null": None}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an expression can see.

    Args:
        inputs: Values by variable name; also as the mapping ``inputs``.
        results: Results of finished nodes by id; also as the mapping ``results``.
        work_dir: Where file names are looked up.
    """

    inputs: Mapping[str, Json] = field(default_factory=dict)
    results: Mapping[str, Json] = field(default_factory=dict)
    work_dir: Path = Path()


def holds(expression: str, surroundings: Surroundings) -> bool:
    """Tell whether an expression is true.

    Args:
        expression: Python's operators over names, items, fields of results and calls of FUNCTIONS,
            e.g. ``exists(output_path) and n2.total > 0``.
        surroundings: What it can see.

    Raises:
        ExecutionError: It cannot be read, or not be evaluated on these values.
    """
    import simpleeval  # type: ignore[import-untyped]  # noqa: PLC0415  (8 ms; few skills have conditions)

    names_in(expression)
    shown = shorten(expression)
    evaluator = bounded.evaluator(
        _names(surroundings), _functions(surroundings), allowed_attrs={_Record: _AnyName()}
    )
    try:
        value = evaluator.eval(expression.strip())
    except simpleeval.NameNotDefined as error:
        raise ExecutionError(f"in {shown}: nothing is called {error.name!r}") from error
    except simpleeval.InvalidExpression as error:
        raise ExecutionError(f"{shown} cannot be evaluated: {error}") from error
    except ExecutionError:
        raise
    except Exception as error:  # whatever an expression makes Python raise, it is the expression's own fault
        reason = f"{type(error).__name__}: {error}"
        raise ExecutionError(f"{shown} cannot be evaluated: {reason}") from error
    if callable(value):
        raise ExecutionError(f"{shown} names a function without calling it")
    return bool(value)


def _names(surroundings: Surroundings) -> dict[str, Json]:
    inputs = {name: _wrapped(value) for name, value in surroundings.inputs.items()}
    results = {name: _wrapped(value) for name, value in surroundings.results.items()}
    return {
        **_CONSTANTS, "inputs": _Record(inputs), "results": _Record(results), **results, **inputs,
    }  # fmt: skip


class _Record:
    """A JSON object as expressions see it: its fields, and no methods that could hide them."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Json]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> Json:
        return self._fields[name]

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return self._fields == (other._fields if isinstance(other, _Record) else other)

    __hash__ = None  # type: ignore[assignment]  # as dict has none


class _AnyName:
    """Contains every name: a record's fields are all allowed."""

    def __contains__(self, name: object) -> bool:
        return True


def _wrapped(value: Json) -> Json:
    if isinstance(value, dict):
        return _Record({name: _wrapped(item) for name, item in value.items()})
    if isinstance(value, list):
        return [_wrapped(item) for item in value]
    return value


def names_in(expression: str) -> frozenset[str]:
    """Return the names of inputs and nodes that an expression reads.

    Raises:
        ExecutionError: It is not one expression.
    """
    tree = _parse(expression)
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in used if isinstance(node.ctx, ast.Store)}  # in a comprehension
    names = {node.id for node in used} - made
    for node in ast.walk(tree):  # results["n1"]
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("results", "inputs")
            and isinstance(node.slice, ast.Constant)
        ):
            names.add(str(node.slice.value))
    return frozenset(names - set(_CONSTANTS) - set(FUNCTIONS) - {"inputs", "results"})


def _parse(expression: str) -> ast.Expression:
    shown = shorten(expression)
    if len(expression) > MAX_EXPRESSION_CHARS:
        raise ExecutionError(
            f"{shown} is longer than {MAX_EXPRESSION_CHARS:,} characters", hint="make several checks of it"
        )
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ExecutionError(f"{shown} is no valid expression: {error}") from error
    if _is_deep(tree):
        raise ExecutionError(
            f"{shown} is nested more than {MAX_NESTING} deep", hint="make several checks of it"
        )
    return tree


def _is_deep(tree: ast.AST) -> bool:
    level = [tree]
    for _ in range(MAX_NESTING + 1):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def shorten(expression: str) -> str:
    """Write an expression so that it fits into a line."""
    text = repr(expression)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _functions(surroundings: Surroundings) -> dict[str, Callable[..., Json]]:
    work_dir = surroundings.work_dir
    given = {value for value in surroundings.inputs.values() if isinstance(value, str)}

    def file(name: str) -> Path:
        path = work_dir / name
        if name in given and Path(name).is_absolute():  # the user's own file, too far away to be copied
            return path
        if leaves_folder(name) or not path.resolve().is_relative_to(work_dir.resolve()):
            raise ExecutionError(
                f"a condition asks for {shorten(name)}, which is outside the work folder",
                hint="look at files in the work folder only",
            )
        return path

    functions: dict[str, Callable[..., Json]] = {
        "exists": lambda name: file(name).exists(),
        "size": lambda name: file(name).stat().st_size,
        "text": lambda name: _text(file(name)),
        "columns": lambda name: _table(file(name))[0],
        "rows": lambda name: _table(file(name))[1],
        "lower": lambda value: bounded.as_text(value).lower(),
        "contains": lambda value, part: part in value,
        "startswith": lambda value, start: bounded.as_text(value).startswith(start),
        "endswith": lambda value, end: bounded.as_text(value).endswith(end),
        "len": len, "min": min, "max": max, "sum": bounded.total, "abs": abs, "round": bounded.rounded,
        "int": int, "float": float, "str": bounded.as_text,
    }  # fmt: skip
    return functions


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_TEXT_BYTES).decode("utf-8", "replace")


def _table(path: Path) -> tuple[list[str], int]:
    """Return a CSV or TSV file's column names and how many rows follow them."""
    lines = _text(path).splitlines()
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows = list(csv.reader(lines, delimiter=delimiter))
    return (rows[0] if rows else [], max(len(rows) - 1, 0))
