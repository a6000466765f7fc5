"""Every literal of a block of Python, with its exact place and with what stands beside it.

Places count characters. Positions of the outer syntax tree are trusted only outside f-strings; the
expressions inside them are parsed on their own, so that every interpreter finds the same literals.
"""

from __future__ import annotations

import ast
import math
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from typing import Literal as OneOf

from skillsmith.errors import UsageError
from skillsmith.library.code.beside import Beside, Signatures, children, signatures
from skillsmith.library.code.encodings import content_encoding
from skillsmith.library.code.source import Positions, bom_length, parse_expression, require_python
from skillsmith.library.code.strings import Field, Segment, StringToken, lex_strings

LiteralKind: TypeAlias = OneOf[
    "str", "bytes", "fstring", "int", "float", "bool", "none", "list", "tuple", "dict", "word"
]

_NOTHING = Beside()
_INTEGER_LIMIT = 2**63
_WORD_CHARACTER = re.compile(r"\w")
_OPEN_ESCAPE = re.compile(r"\\(?:[0-7]{1,2})?")
_RAW_EDGES = {"\\", "'", '"'}
_QUOTES = {"'", '"'}
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_KINDS: dict[type, LiteralKind] = {bool: "bool", int: "int", float: "float", type(None): "none", str: "str"}
_CONTAINERS: dict[type, LiteralKind] = {ast.List: "list", ast.Tuple: "tuple", ast.Dict: "dict"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """One literal, or one stretch of characters inside a string or f-string.

    Args:
        value: What it means; the text for bytes, a list for a tuple.
        kind: ``fstring`` is a literal part of an f-string, ``word`` a word of a shell command.
        start: Offset of the content: inside the quotes, or of the token where there are none.
        end: Offset after the content.
        token_start: Offset of the whole literal, prefix and quotes included.
        token_end: Offset after it.
        line: Line of ``start``, from 1.
        beside: What stands beside it.
        whole: Whether the content is all of the literal's value.
        segment: The characters with their escapes, for content of one string token.
        encoding: How another value is written there, see ``code_encodings``.
        liftable: Whether a template can hold a place for it.
    """

    value: Any
    kind: LiteralKind
    start: int
    end: int
    token_start: int
    token_end: int
    line: int
    beside: Beside = _NOTHING
    whole: bool = True
    segment: Segment | None = None
    encoding: str = "python"
    liftable: bool = True

    @property
    def format_spec(self) -> bool:
        """Whether it is part of a format specification."""
        return self.segment is not None and self.segment.role == "spec"


def python_literals(code: str) -> list[Literal]:
    """List the literals of a block of Python in order of their places.

    A string of several adjacent tokens is listed as a whole and token by token; a list, tuple or dict of
    literals is listed as a whole and item by item.

    Raises:
        UsageError: When the code does not parse.
    """
    tree = require_python(code, subject="the code")
    try:
        found = _Walker(code).run(tree)
    except RecursionError as error:
        raise UsageError("the code is nested too deeply", hint="split its longest expression") from error
    return sorted(found, key=lambda literal: (literal.start, -literal.end))


@dataclass(frozen=True, slots=True)
class _View:
    """A stretch of code that was parsed on its own, with its string tokens.

    ``base`` is what to add to an offset in what was parsed to get an offset in the code.
    """

    code: str
    positions: Positions
    base: int
    tokens: Sequence[StringToken]
    field: Field | None = None

    def span(self, node: ast.expr) -> tuple[int, int]:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return (
            self.base + self.positions.offset(node.lineno, node.col_offset),
            self.base + self.positions.offset(end_line, end_column),
        )

    def tokens_in(self, start: int, end: int) -> Sequence[StringToken]:
        first = bisect_left(self.tokens, start, key=lambda token: token.start)
        return self.tokens[first : bisect_left(self.tokens, end, key=lambda token: token.start)]


class _Walker:
    """Collects literals from the top of a tree downwards."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._lines = Positions(code)
        self._signatures: Signatures = {}
        self._found: list[Literal] = []

    def run(self, tree: ast.Module) -> list[Literal]:
        base = bom_length(self._code)
        view = _View(self._code, Positions(self._code[base:]), base, lex_strings(self._code, start=base))
        self._signatures = signatures(tree)
        self._visit(tree, _NOTHING, view)
        return self._found

    def _visit(self, node: ast.AST, beside: Beside, view: _View, *, group: bool = False) -> None:
        if isinstance(node, ast.expr):
            if _is_string(node):
                self._string(node, beside, view)
                return
            value = value_of(node)
            if value is not NO_VALUE:
                self._plain(node, value, beside, view, group=group)
                if type(node) not in _CONTAINERS:
                    return
        for child in children(node, beside, self._signatures):
            self._visit(child.node, child.beside, view, group=child.group)

    def _plain(self, node: ast.expr, value: Any, beside: Beside, view: _View, *, group: bool) -> None:
        start, end = view.span(node)
        if view.field is not None and start <= view.base:
            return  # a tuple that the braces of the f-string hold together
        quoted = any(quote in self._code[start:end] for quote in _QUOTES)
        possible = view.field is None or not (quoted or isinstance(node, ast.Tuple))
        self._found.append(
            Literal(
                value=value,
                kind=_CONTAINERS.get(type(node)) or _KINDS[type(value)],
                start=start,
                end=end,
                token_start=start,
                token_end=end,
                line=self._lines.line(start),
                beside=beside,
                encoding=self._plain_encoding(node, start, end, view, group=group),
                liftable=_is_storable(value) and not beside.fixed and not _is_debug(view) and possible,
            )
        )

    def _plain_encoding(self, node: ast.expr, start: int, end: int, view: _View, *, group: bool) -> str:
        if view.field is not None:
            return "python-nested"
        if isinstance(node, ast.Tuple):
            return "python-tuple"
        return "python-group" if group or self._touches_word(start, end) else "python"

    def _touches_word(self, start: int, end: int) -> bool:
        around = self._code[max(start - 1, 0) : start] + self._code[end : end + 1]
        return _WORD_CHARACTER.search(around) is not None

    def _string(self, node: ast.expr, beside: Beside, view: _View) -> None:
        start, end = view.span(node)
        tokens = view.tokens_in(start, end)
        several = isinstance(node, ast.Constant) and len(tokens) > 1
        usable = not _is_debug(view) and _agrees(node, tokens)
        if several:
            self._joined(node, (start, end), beside, view, usable=usable)
        whole = isinstance(node, ast.Constant) and not several
        for token in tokens:
            for piece in token.pieces:
                if isinstance(piece, Segment):
                    self._segment(piece, token, beside, view, whole=whole, usable=usable)
                else:
                    self._field(piece, beside, view)

    def _joined(
        self, node: ast.expr, span: tuple[int, int], beside: Beside, view: _View, *, usable: bool
    ) -> None:
        """Record a string of several adjacent tokens as one literal."""
        raw = ast.literal_eval(node)
        value = raw.decode("latin-1") if isinstance(raw, bytes) else raw
        start, end = span
        self._found.append(
            Literal(
                value=value,
                kind="bytes" if isinstance(raw, bytes) else "str",
                start=start,
                end=end,
                token_start=start,
                token_end=end,
                line=self._lines.line(start),
                beside=beside,
                encoding="python-bytes" if isinstance(raw, bytes) else "python-str",
                liftable=usable and view.field is None and _is_storable(value) and not _is_binary(raw),
            )
        )

    def _segment(
        self, segment: Segment, token: StringToken, beside: Beside, view: _View, *, whole: bool, usable: bool
    ) -> None:
        value = segment.value()
        self._found.append(
            Literal(
                value=value,
                kind="fstring" if segment.formatted else "bytes" if segment.binary else "str",
                start=segment.start,
                end=segment.end,
                token_start=token.start,
                token_end=token.end,
                line=self._lines.line(segment.start),
                beside=beside,
                whole=whole,
                segment=segment,
                encoding=content_encoding(segment, nested=view.field is not None),
                liftable=usable and _is_storable(value) and not (segment.binary and not value.isascii()),
            )
        )

    def _field(self, field: Field, beside: Beside, view: _View) -> None:
        """Visit the expression between the braces of an f-string."""
        source = self._code[field.start : field.end]
        expression = parse_expression(source)
        if expression is None:
            return
        tokens = lex_strings(self._code, start=field.start, end=field.end)
        outer = field if view.field is None or not view.field.debug else view.field
        inner = _View(self._code, Positions(f"({source}\n)"), field.start - 1, tokens, outer)
        self._visit(expression, Beside(call=beside.call, words=beside.words), inner)


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )


def _is_debug(view: _View) -> bool:
    """Whether the expression's own text is part of the string's value."""
    return view.field is not None and view.field.debug


def _is_binary(value: Any) -> bool:
    return isinstance(value, bytes) and not value.isascii()


def _agrees(node: ast.expr, tokens: Sequence[StringToken]) -> bool:
    """Whether the text lexed here is the text the interpreter found."""
    pieces = [piece for token in tokens for piece in token.pieces]
    lexed = "".join(p.value() for p in pieces if isinstance(p, Segment) and p.role == "text")
    if isinstance(node, ast.Constant):
        value = node.value
        return lexed == (value.decode("latin-1") if isinstance(value, bytes) else value)
    if any(isinstance(piece, Field) and piece.debug for piece in pieces):
        return True
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    return lexed == "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


class _NoValue:
    """Marks an expression that is not a literal (None is one)."""


NO_VALUE = _NoValue()


def value_of(node: ast.expr, *, depth: int = 0) -> Any:
    """Return the JSON form of a number, True, False, None or container of literals, else ``NO_VALUE``.

    Args:
        node: The expression.
        depth: Of the containers it stands in; text counts only inside one.
    """
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) in _KINDS and (depth or not _is_string(node)) else NO_VALUE
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        operand = value_of(node.operand)
        number = isinstance(operand, int | float) and not isinstance(operand, bool)
        return -operand if number and isinstance(node.operand, ast.Constant) else NO_VALUE
    displayed = isinstance(node, ast.List) or (isinstance(node, ast.Tuple) and not depth)
    if isinstance(node, ast.List | ast.Tuple) and displayed and isinstance(node.ctx, ast.Load):
        return _all([value_of(item, depth=depth + 1) for item in node.elts])
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        values = _all([value_of(value, depth=depth + 1) for value in node.values])
        if values is not NO_VALUE and all(isinstance(key, str) for key in keys):
            return dict(zip(keys, values, strict=True))
    return NO_VALUE


def _all(values: list[Any]) -> Any:
    return NO_VALUE if any(value is NO_VALUE for value in values) else values


def _is_storable(value: Any) -> bool:
    """Whether a value survives being stored as JSON."""
    if isinstance(value, str):
        return _SURROGATE.search(value) is None
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return -_INTEGER_LIMIT <= value < _INTEGER_LIMIT
    if isinstance(value, dict):
        return all(_is_storable(part) for pair in value.items() for part in pair)
    return not isinstance(value, list) or all(_is_storable(item) for item in value)


def cut_problem(literal: Literal, start: int, end: int) -> str | None:
    """Return why a stretch of a literal cannot become a place, None when it can.

    Args:
        literal: As ``python_literals`` or ``shell_literals`` listed it.
        start: Offset of the stretch's first character.
        end: Offset after its last.
    """
    if not literal.liftable:
        return "another value cannot be written there"
    if (start, end) == (literal.start, literal.end):
        return None
    if not literal.start <= start < end <= literal.end:
        return "it is not inside one literal"
    if literal.segment is None:
        return None if literal.kind == "word" else "it is a part of a whole literal"
    if (
        literal.encoding.endswith("nested")
        and literal.segment.source[: start - literal.start][-1:] in _QUOTES
    ):
        return "a quote stands before it"
    return _segment_problem(literal.segment, start, end)


def _segment_problem(segment: Segment, start: int, end: int) -> str | None:
    """Return why characters cannot be cut out of a string, whatever is written in their stead."""
    before, after = segment.source[: start - segment.start], segment.source[end - segment.start :]
    if segment.raw and (before[-1:] in _RAW_EDGES or after[:1] in _QUOTES):
        return "a quote or backslash beside it belongs to the raw string"
    units = segment.units()
    if start not in {unit.start for unit in units} or end not in {unit.end for unit in units}:
        return "it would cut an escape in two"
    neighbour = next((unit.source for unit in units if unit.end == start), "")
    if not segment.raw and _OPEN_ESCAPE.fullmatch(neighbour):
        return "the escape before it would take in what follows"
    return None
