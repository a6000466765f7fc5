"""Which names a block of Python needs from outside, and which it leaves behind.

A block that runs although it uses a name nobody in it defines ran in a shared interpreter: it cannot run
alone, and must be joined with the blocks that define the name.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

_BUILTINS = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "get_ipython", "display"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a block of Python needs and gives.

    Args:
        needs: Names it uses before it defines them.
        defines: Names it leaves at module level.
        functions: Functions and classes among them.
        modules: Top-level modules it imports.
    """

    needs: frozenset[str] = frozenset()
    defines: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()

    @property
    def packages(self) -> frozenset[str]:
        """Return the imported modules that do not come with Python."""
        return self.modules - sys.stdlib_module_names


def names_of(tree: ast.Module) -> Names:
    """Analyse the names of a block.

    Args:
        tree: The parsed block.
    """
    scope = _Scope()
    _Reader(scope).read(tree.body)
    late = {name for body in scope.deferred for name in body - scope.defined}
    return Names(
        needs=frozenset((scope.needed | late) - _BUILTINS),
        defines=frozenset(scope.defined),
        functions=frozenset(
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ),
        modules=frozenset(_modules(tree)),
    )


def _modules(tree: ast.Module) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


@dataclass(slots=True)
class _Scope:
    """Names seen so far in one namespace.

    ``deferred`` holds what function bodies need: they run later, when the whole block is defined.
    """

    defined: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)
    deferred: list[set[str]] = field(default_factory=list)


class _Reader(ast.NodeVisitor):
    """Reads a namespace in the order in which it runs."""

    def __init__(self, scope: _Scope) -> None:
        self._scope = scope

    def read(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._scope.defined.add(node.id)
        elif node.id not in self._scope.defined:
            self._scope.needed.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.read([node.value, *node.targets])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.read([node.annotation, node.value])
        if node.value is not None:
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self.visit(ast.Name(id=node.target.id, ctx=ast.Load()))
        self.read([node.value, node.target])

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.read([node.value, node.target])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.read([node.iter, node.target, *node.body, *node.orelse])

    visit_AsyncFor = visit_For  # noqa: N815  (ast calls it)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self._scope.defined.add(alias.asname or alias.name.partition(".")[0])

    visit_ImportFrom = visit_Import  # noqa: N815  (ast calls it)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._scope.defined.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self._scope.defined.add(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # noqa: N815  (ast calls it)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.read(node.decorator_list)
        self._function(node.args, node.body)
        self._scope.defined.add(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815  (ast calls it)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node.args, [node.body])

    def _function(self, args: ast.arguments, body: Iterable[ast.AST]) -> None:
        self.read([*args.defaults, *args.kw_defaults])
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
        inner = _Scope(defined={argument.arg for argument in every if argument})
        _Reader(inner).read(body)
        shared = {name for node in body for name in _outer_names(node)}
        self._scope.defined |= shared
        late = {name for needs in inner.deferred for name in needs - inner.defined}
        self._scope.deferred.append((inner.needed | late) - inner.defined)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.read([*node.decorator_list, *node.bases, *node.keywords])
        inner = _Scope(defined=set(self._scope.defined))
        _Reader(inner).read(node.body)
        self._scope.needed |= inner.needed
        self._scope.deferred += inner.deferred
        self._scope.defined.add(node.name)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        inner = _Scope(defined=set(self._scope.defined))
        reader = _Reader(inner)
        for generator in node.generators:
            reader.read([generator.iter, generator.target, *generator.ifs])
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        reader.read(parts)
        self._scope.needed |= inner.needed
        self._scope.deferred += inner.deferred

    visit_ListComp = _comprehension  # noqa: N815  (ast calls it)
    visit_SetComp = _comprehension  # noqa: N815  (ast calls it)
    visit_GeneratorExp = _comprehension  # noqa: N815  (ast calls it)
    visit_DictComp = _comprehension  # noqa: N815  (ast calls it)


def _outer_names(node: ast.AST) -> Iterable[str]:
    """Yield the names that a function body declares global."""
    return (name for part in ast.walk(node) if isinstance(part, ast.Global) for name in part.names)
