"""What stands beside an expression in Python source: the evidence that names a literal.

A literal alone says nothing; ``sigma=5``, ``threshold > 5`` and ``head(5)`` say what the five is. One
generator hands each child of a syntax tree node what is known about its place.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias
from typing import Literal as OneOf

NameSource: TypeAlias = OneOf["keyword", "parameter", "target", "key", "compare", "option"]

_COMPARE = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in",
    ast.NotIn: "not in",
}  # fmt: skip
PATH_WRAPPERS = frozenset({"Path", "PurePath", "join", "abspath", "expanduser", "str", "fspath"})
"""Functions that only pass a path on."""

_FILE_MODE = re.compile(r"[rwax][bt+]{0,2}")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What stands beside a literal.

    Args:
        name: The best name for it: keyword, parameter, assignment target, dict key or compared name.
        source: Which of these the name is.
        call: The function it is an argument of, dotted.
        operator: The comparison it stands in, seen from the name (``<``, ``>=``, ``==``, …).
        words: Further identifiers in the same expression.
        subscript: It stands alone between square brackets (``df["price"]``).
        stored: … and that item is assigned to.
        dict_key: It is a key of a dict display.
        docstring: It documents a module, class or function.
        mode: The file mode beside it, where the function opens files.
        fixed: It stands where only a literal of its own kind may stand (a match pattern).
    """

    name: str | None = None
    source: NameSource | None = None
    call: str | None = None
    operator: str | None = None
    words: tuple[str, ...] = ()
    subscript: bool = False
    stored: bool = False
    dict_key: bool = False
    docstring: bool = False
    mode: str | None = None
    fixed: bool = False


class Child(NamedTuple):
    """A node below another, with what is known about its place.

    ``group`` says that an expression written there needs parentheses to stay whole.
    """

    node: ast.AST
    beside: Beside
    group: bool = False


Signatures: TypeAlias = Mapping[str, Sequence[str]]


class _Place(NamedTuple):
    """What is known where a node stands."""

    beside: Beside
    signatures: Signatures


_Children: TypeAlias = Callable[[Any, _Place], Iterator[Child]]


def signatures(tree: ast.AST) -> dict[str, list[str]]:
    """Map the functions and classes a block defines to the names of their positional parameters."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = _parameters(node)
        elif isinstance(node, ast.ClassDef):
            for made in node.body:
                if isinstance(made, ast.FunctionDef) and made.name == "__init__":
                    found[node.name] = _parameters(made)
    return found


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def children(node: ast.AST, beside: Beside, known: Signatures) -> Iterator[Child]:
    """Yield the nodes directly below a node, each with what stands beside it.

    Args:
        node: Any node of a syntax tree.
        beside: What stands beside the node itself.
        known: Parameter names of functions, see ``signatures``.
    """
    handler = _HANDLERS.get(type(node))
    if handler is not None:
        yield from handler(node, _Place(beside, known))
        return
    inner = Beside() if isinstance(node, ast.stmt | ast.mod) else beside
    yield from (Child(child, inner) for child in ast.iter_child_nodes(node))


def dotted_name(node: ast.expr) -> str | None:
    """Return ``a.b.c`` for names and attributes, the last attribute for anything longer, else None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted_name(node.value) if isinstance(node.value, ast.Name | ast.Attribute) else None
        return f"{owner}.{node.attr}" if owner else node.attr
    return None


def mode_of(call: ast.Call) -> str | None:
    """Return the file mode a call is given, None when it does not open files."""
    if (dotted_name(call.func) or "").rpartition(".")[2] != "open":
        return None
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    texts = [value.value for value in given if isinstance(value, ast.Constant)]
    return next((text for text in texts if isinstance(text, str) and _FILE_MODE.fullmatch(text)), "r")


def identifier_of(node: ast.expr) -> str | None:
    """Return the word that names what an expression is: a name, attribute, string key or called method."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value if isinstance(node.slice.value, str) else identifier_of(node.value)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and len(node.args) == 1:
            return identifier_of(node.args[0]) or node.func.id
        return identifier_of(node.func)
    return None


def _documented(node: Any, _place: _Place) -> Iterator[Child]:
    """Children of a module, class or function, whose first statement may be its docstring."""
    first = node.body[0] if node.body else None
    for child in ast.iter_child_nodes(node):
        is_text = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if child is first and is_text and isinstance(child.value.value, str):
            yield Child(child.value, Beside(docstring=True))
        else:
            yield Child(child, Beside())


def _assign(node: ast.Assign, _place: _Place) -> Iterator[Child]:
    for target in node.targets:
        yield Child(target, Beside())
    target = node.targets[0]
    both = (target, node.value)
    if all(isinstance(side, ast.Tuple | ast.List) for side in both):
        names, values = target.elts, node.value.elts  # type: ignore[attr-defined]  # checked above
        if len(names) == len(values):
            yield from (Child(value, _target(name)) for name, value in zip(names, values, strict=True))
            return
    yield Child(node.value, _target(target))


def _target(target: ast.expr) -> Beside:
    name = identifier_of(target)
    return Beside(name=name, source="target") if name else Beside()


def _single_assign(node: ast.AnnAssign | ast.AugAssign | ast.NamedExpr, _place: _Place) -> Iterator[Child]:
    yield Child(node.target, Beside())
    if isinstance(node, ast.AnnAssign):
        yield Child(node.annotation, Beside())
    if node.value is not None:
        yield Child(node.value, _target(node.target))


def _call(node: ast.Call, place: _Place) -> Iterator[Child]:
    call, mode = dotted_name(node.func), mode_of(node)
    if isinstance(node.func, ast.Attribute):
        yield Child(node.func, replace(place.beside, call=node.func.attr, mode=mode), group=True)
    else:
        yield Child(node.func, place.beside, group=True)
    if place.beside.call and (call or "").rpartition(".")[2] in PATH_WRAPPERS:
        call, mode = place.beside.call, place.beside.mode
    parameters = place.signatures.get(call or "", ())
    outer = tuple(word for word in (place.beside.name,) if word) + place.beside.words
    for index, argument in enumerate(node.args):
        parameter = parameters[index] if index < len(parameters) else None
        source: NameSource | None = "parameter" if parameter else None
        words = outer + _identifiers(node.args[:index] + node.args[index + 1 :])
        yield Child(argument, Beside(name=parameter, source=source, call=call, words=words, mode=mode))
    for keyword in node.keywords:
        yield Child(
            keyword.value, Beside(name=keyword.arg, source="keyword", call=call, words=outer, mode=mode)
        )


def _identifiers(nodes: Sequence[ast.expr]) -> tuple[str, ...]:
    return tuple(
        name for node in nodes if not isinstance(node, ast.Constant) and (name := identifier_of(node))
    )


def _arguments(node: ast.arguments, _place: _Place) -> Iterator[Child]:
    positional = [*node.posonlyargs, *node.args]
    pairs = list(zip(positional[len(positional) - len(node.defaults) :], node.defaults, strict=True))
    pairs += [(arg, value) for arg, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value]
    for argument, default in pairs:
        yield Child(default, Beside(name=argument.arg, source="parameter"))
    yield from (Child(child, Beside()) for child in ast.iter_child_nodes(node) if isinstance(child, ast.arg))


def _dict(node: ast.Dict, place: _Place) -> Iterator[Child]:
    for key, value in zip(node.keys, node.values, strict=True):
        if key is not None:
            yield Child(key, replace(place.beside, dict_key=True))
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield Child(value, replace(place.beside, name=key.value, source="key"))
        else:
            yield Child(value, place.beside)


def _compare(node: ast.Compare, place: _Place) -> Iterator[Child]:
    sides = [node.left, *node.comparators]
    signs = [_COMPARE.get(type(operator), "is") for operator in node.ops]
    for index, side in enumerate(sides):
        other = sides[index - 1] if index else sides[1]
        sign = signs[index - 1] if index else _MIRRORED.get(signs[0], signs[0])
        name = identifier_of(other)
        compared = Beside(name=name, source="compare", operator=sign)
        yield Child(side, compared if name else place.beside)


def _subscript(node: ast.Subscript, place: _Place) -> Iterator[Child]:
    yield Child(node.value, place.beside, group=True)
    alone = isinstance(node.slice, ast.Constant | ast.JoinedStr | ast.List | ast.Tuple)
    yield Child(
        node.slice,
        Beside(
            words=_identifiers([node.value]),
            subscript=alone,
            stored=not isinstance(node.ctx, ast.Load),
        ),
    )


def _binary(node: ast.BinOp, place: _Place) -> Iterator[Child]:
    for side, other in ((node.left, node.right), (node.right, node.left)):
        words = place.beside.words + _identifiers([other])
        group = isinstance(node.op, ast.Pow) and side is node.left
        yield Child(side, replace(place.beside, words=words), group)


def _tight(node: Any, place: _Place) -> Iterator[Child]:
    """Children of an operator that binds more tightly than a sign does."""
    yield from (Child(child, place.beside, group=True) for child in ast.iter_child_nodes(node))


def _unary(node: ast.UnaryOp, place: _Place) -> Iterator[Child]:
    yield Child(node.operand, place.beside, group=not isinstance(node.op, ast.Not))


def _pattern(node: Any, _place: _Place) -> Iterator[Child]:
    yield from (Child(child, Beside(fixed=True)) for child in ast.iter_child_nodes(node))


_HANDLERS: dict[type[ast.AST], _Children] = {
    ast.Module: _documented, ast.ClassDef: _documented, ast.FunctionDef: _documented,
    ast.AsyncFunctionDef: _documented, ast.Assign: _assign, ast.AnnAssign: _single_assign,
    ast.AugAssign: _single_assign, ast.NamedExpr: _single_assign, ast.Call: _call, ast.arguments: _arguments,
    ast.Dict: _dict, ast.Compare: _compare, ast.Subscript: _subscript, ast.BinOp: _binary,
    ast.Attribute: _tight, ast.Await: _tight, ast.UnaryOp: _unary, ast.MatchValue: _pattern,
    ast.MatchMapping: _pattern, ast.MatchClass: _pattern,
}  # fmt: skip
