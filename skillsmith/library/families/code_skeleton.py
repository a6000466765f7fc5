"""What code is without its values: two blocks of one shape do the same with other values.

Formatting, comments, docstrings and what a run called its own variables are no part of the shape; the kind
and number of the values are, so the literals of two blocks of one shape correspond one by one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.literals import NO_VALUE, Literal, value_of
from skillsmith.library.code.source import parse_python
from skillsmith.library.program.languages import is_python, is_shell
from skillsmith.library.trace.results import as_exact

_POSITIONS = frozenset({"ctx", "type_comment", "kind", "type_ignores"})
_PLAIN = (ast.Constant, ast.UnaryOp, ast.List, ast.Tuple, ast.Dict)
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Shape:
    """A block without its values.

    Args:
        key: Equal for blocks of one shape.
        literals: The values, in order; those of two blocks of one shape correspond.
        names: The block's own names, in order of appearance; those of two blocks correspond, too.
    """

    key: tuple[object, ...]
    literals: tuple[Literal, ...]
    names: tuple[str, ...] = ()


def shape_of(facts: Facts, own: frozenset[str]) -> Shape:
    """Return the shape of a block.

    Args:
        facts: The block.
        own: Names that the run's code defines somewhere: what they are called does not matter.
    """
    language, text = facts.block.language, facts.block.text
    if facts.tree is not None:
        literals = tuple(_chosen(facts.literals))
        former = _Former(own, values=False)
        form = former.form(facts.tree)
        return Shape(("python", form, tuple(map(_class, literals))), literals, tuple(former.names))
    if is_shell(language):
        literals = tuple(literal for literal in facts.literals if literal.liftable)
        return Shape(("shell", *_between(text, literals)), literals)
    return Shape((language.lower(), " ".join(text.split())), ())


def own_names(blocks: Iterable[Facts]) -> frozenset[str]:
    """Return the names that blocks define: variables, parameters, functions, aliases."""
    return frozenset(name for facts in blocks if facts.tree is not None for name in _defined(facts.tree))


def same_code(made: str, wanted: str, *, language: str | None) -> str | None:
    """Return in what sense two pieces of code are the same; None when they are not.

    Returns:
        "exact"; "formatting": they differ in layout, comments or docstrings only; "names": also in what they
        call their own variables.
    """
    if made == wanted:
        return "exact"
    if not is_python(language):
        return "formatting" if _lines(made) == _lines(wanted) else None
    trees = parse_python(made), parse_python(wanted)
    if trees[0] is None or trees[1] is None:
        return None
    if _form(trees[0], frozenset()) == _form(trees[1], frozenset()):
        return "formatting"
    forms = [_form(tree, frozenset(_defined(tree))) for tree in trees if tree is not None]
    return "names" if forms[0] == forms[1] else None


def _form(tree: ast.Module, own: frozenset[str]) -> object:
    return _Former(own, values=True).form(tree)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _chosen(literals: Sequence[Literal]) -> Iterator[Literal]:
    """Yield the literals that a shape has, outermost first; a list of literals is one."""
    end = -1
    for literal in literals:
        counts = literal.whole or (literal.segment is not None and literal.value)
        if counts and literal.start >= end and not literal.beside.docstring and not literal.format_spec:
            yield literal
            end = literal.end


def _class(literal: Literal) -> str:
    return "number" if literal.kind in ("int", "float") else literal.kind


def _between(text: str, literals: Sequence[Literal]) -> Iterator[str]:
    """Yield what stands between the literals of shell commands."""
    position = 0
    for literal in literals:
        start, end = literal.start, literal.end
        if literal.whole:  # its quotes are only a spelling
            start, end = literal.token_start, literal.token_end
        yield " ".join(text[position:start].split())
        position = end
    yield " ".join(text[position:].split())


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(asname=str() as name) | ast.ExceptHandler(name=str() as name):
                yield name


class _Former:
    """Turns a syntax tree into nested tuples.

    Args:
        own: Names that stand for their place of first appearance.
        values: Whether literals keep their values.
    """

    def __init__(self, own: frozenset[str], *, values: bool) -> None:
        self._own = own
        self._values = values
        self.names: dict[str, int] = {}

    def form(self, node: ast.AST) -> object:
        """Return a node's form."""
        if isinstance(node, ast.JoinedStr):
            return ("f", *(self._piece(part) for part in node.values))
        if isinstance(node, _PLAIN):
            value = value_of(node, depth=1 if isinstance(node, ast.Constant) else 0)
            if value is not NO_VALUE:
                return self._literal(node, value)
        return (type(node).__name__, *(self._field(node, *item) for item in self._fields(node)))

    @staticmethod
    def _fields(node: ast.AST) -> Iterator[tuple[str, Any]]:
        """Yield a node's fields; a docstring is none of them."""
        for name, value in ast.iter_fields(node):
            if name in _POSITIONS:
                continue
            documented = name == "body" and isinstance(node, (ast.Module, *_NAMED)) and value
            if documented and _is_text(value[0]):
                value = value[1:]  # noqa: PLW2901  (the same field, less its docstring)
            yield name, value

    def _field(self, node: ast.AST, name: str, value: Any) -> object:
        if isinstance(value, list):
            return tuple(self._field(node, name, item) for item in value)
        if isinstance(value, ast.AST):
            return self.form(value)
        if isinstance(value, str) and value in self._own and _is_name(node, name):
            return self.names.setdefault(value, len(self.names))
        return repr(value) if isinstance(node, ast.Constant) else value

    def _literal(self, node: ast.AST, value: object) -> object:
        if self._values:
            return ("literal", type(node).__name__, as_exact(value))
        if isinstance(node, (ast.List, ast.Dict)):
            return (type(node).__name__,)
        if isinstance(node, ast.Tuple):
            return ("Tuple", len(node.elts))
        return ("number",) if _is_number(value) else (type(value).__name__,)

    def _piece(self, part: ast.expr) -> object:
        if isinstance(part, ast.Constant):
            return part.value if self._values else "text"
        return self.form(part)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_name(node: ast.AST, field: str) -> bool:
    """Whether a field of a node holds the name of a variable, not of an attribute, keyword or module."""
    match node:
        case ast.Name() | ast.arg() | ast.Global() | ast.Nonlocal() | ast.ExceptHandler():
            return True
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return field == "name"
        case ast.alias():
            return field == "asname"
        case _:
            return False


def mapped_names(pairs: Iterable[tuple[Shape, Shape]]) -> Mapping[str, str] | None:
    """Return which name of one run is which of another; None when a name would be two.

    Args:
        pairs: Blocks of one shape, of the one and of the other run.
    """
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    for one, other in pairs:
        for first, second in zip(one.names, other.names, strict=True):
            if there.setdefault(first, second) != second or back.setdefault(second, first) != first:
                return None
    return there


def first_line(facts: Facts) -> str:
    """Return the first line of a block that says something, for people."""
    lines = (line.strip() for line in facts.block.text.splitlines())
    return next((line for line in lines if line and not re.match(r"#|import\b|from\b", line)), "")[:60]
