"""The string literals of Python source, taken apart the same way on every interpreter.

Python 3.11 sees an f-string as one token and 3.12 as many; positions inside it are wrong on 3.11. So the
text is lexed here: each string token becomes segments (characters that stand for themselves or for an
escape) and fields (the expressions between braces of an f-string). Within a segment, *units* map source
characters to the characters they mean; a unit is never cut.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

SegmentRole: TypeAlias = Literal["text", "spec"]


@dataclass(frozen=True, slots=True)
class Unit:
    """Source characters that belong together and the characters they mean.

    Args:
        start: Offset of the first source character.
        source: One or more characters as written: a letter, an escape, a doubled brace.
        value: What they mean; empty for an escaped line end, two characters for an unknown escape.
    """

    start: int
    source: str
    value: str

    @property
    def end(self) -> int:
        """Return the offset after the last source character."""
        return self.start + len(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of literal characters inside a string token.

    Args:
        start: Offset of its first character.
        source: The characters as written.
        quote: The token's quotes: one or three of them.
        raw: Whether backslashes stand for themselves.
        formatted: Whether the token is an f-string (braces are doubled).
        binary: Whether the token makes bytes.
        role: "spec" inside the format specification of a field, else "text".
    """

    start: int
    source: str
    quote: str
    raw: bool = False
    formatted: bool = False
    binary: bool = False
    role: SegmentRole = "text"

    @property
    def end(self) -> int:
        """Return the offset after its last character."""
        return self.start + len(self.source)

    def units(self) -> list[Unit]:
        """Map the source characters to their meaning, in order."""
        return list(_units(self))

    def value(self) -> str:
        """Return the text the segment means (bytes as Latin-1 characters)."""
        if not _SPECIAL.search(self.source):
            return self.source
        return "".join(unit.value for unit in _units(self))

    def source_span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the source offsets of ``value()[start:end]``, or None when a unit would be cut."""
        if not _SPECIAL.search(self.source):
            return self.start + start, self.start + end
        first = last = None
        position = 0
        for unit in _units(self):
            if position == start and first is None and unit.value:
                first = unit.start
            position += len(unit.value)
            if position == end and last is None:
                last = unit.end
        return None if first is None or last is None or first >= last else (first, last)


@dataclass(frozen=True, slots=True)
class Field:
    """The expression between the braces of an f-string.

    Args:
        start: Offset of the expression's first character.
        end: Offset after its last.
        debug: Whether its own text is part of the value (``f"{x=}"``).
    """

    start: int
    end: int
    debug: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StringToken:
    """One string token: prefix, quotes and what stands between them."""

    start: int
    end: int
    prefix: str
    quote: str
    pieces: tuple[Segment | Field, ...]

    @property
    def content(self) -> tuple[int, int]:
        """Return the offsets of what stands between the quotes."""
        return self.start + len(self.prefix) + len(self.quote), self.end - len(self.quote)


class StringSyntaxError(ValueError):
    """A string does not end, or a brace does not match; never raised for code that parses."""


_SPECIAL = re.compile(r"[\\\r{}]")
_TOKEN = re.compile(
    r"(?P<skip>\#[^\r\n]*)|(?P<prefix>[rR][bBfF]?|[bBfF][rR]?|[uU]|)(?P<quote>\"\"\"|'''|\"|')|(?P<word>\w+)"
)
_BODY = {
    "'": re.compile(r"(?:[^\\'\r\n]|\\(?:\r\n|.))*'", re.DOTALL),
    '"': re.compile(r"(?:[^\\\"\r\n]|\\(?:\r\n|.))*\"", re.DOTALL),
    "'''": re.compile(r"(?:[^\\']|\\.|'(?!''))*'''", re.DOTALL),
    '"""': re.compile(r"(?:[^\\\"]|\\.|\"(?!\"\"))*\"\"\"", re.DOTALL),
}
_F_STEP = re.compile(r"\\N\{[^}]*\}|\\(?:\r\n|[^{}])|\{\{|\}\}|[^\\{}'\"]+|.", re.DOTALL)
_F_STEP_RAW = re.compile(r"\\(?:\r\n|[^{}])|\{\{|\}\}|[^\\{}'\"]+|.", re.DOTALL)
_SPEC_STEP = re.compile(r"\\N\{[^}]*\}|\\(?:\r\n|[^{}])|[^\\{}'\"]+|.", re.DOTALL)
_FIELD_STEP = re.compile(r"==|!=|<=|>=|[\[\](){}:!=]")
_DEBUG = re.compile(r"=\s*(?=[!:}])")
_CONVERSION = re.compile(r"!\s*\w+\s*")


def lex_strings(code: str, *, start: int = 0, end: int | None = None) -> list[StringToken]:
    """Find the outermost string tokens of Python source, in order.

    Args:
        code: The source.
        start: Where to begin; must not lie inside a token.
        end: Where to stop.

    Raises:
        StringSyntaxError: When a string does not end.
    """
    tokens = []
    position, stop = start, len(code) if end is None else end
    while match := _TOKEN.search(code, position, stop):
        if match["quote"] is None:
            position = match.end()
            continue
        token = _string_at(code, match)
        tokens.append(token)
        position = token.end
    return tokens


def _string_at(code: str, match: re.Match[str]) -> StringToken:
    prefix, quote = match["prefix"], match["quote"]
    flags = prefix.lower()
    start, content = match.start(), match.end()
    if "f" in flags:
        pieces, end = _formatted_pieces(code, content, quote, raw="r" in flags)
        return StringToken(start=start, end=end, prefix=prefix, quote=quote, pieces=tuple(pieces))
    body = _BODY[quote].match(code, content)
    if body is None:
        raise StringSyntaxError(f"string at offset {start} does not end")
    source = code[content : body.end() - len(quote)]
    segment = Segment(start=content, source=source, quote=quote, raw="r" in flags, binary="b" in flags)
    return StringToken(start=start, end=body.end(), prefix=prefix, quote=quote, pieces=(segment,))


def _formatted_pieces(code: str, start: int, quote: str, *, raw: bool) -> tuple[list[Segment | Field], int]:
    """Take an f-string's content apart; return its pieces and the offset after the closing quotes."""
    pieces: list[Segment | Field] = []
    step = _F_STEP_RAW if raw else _F_STEP
    begun = position = start

    def close() -> None:
        if position > begun:
            pieces.append(
                Segment(start=begun, source=code[begun:position], quote=quote, raw=raw, formatted=True)
            )

    while match := step.match(code, position):
        if code.startswith(quote, position):
            close()
            return pieces, position + len(quote)
        if match[0] == "{":
            close()
            position = begun = _field(code, position + 1, pieces, quote=quote, raw=raw)
        elif match[0] == "}":
            raise StringSyntaxError(f"single brace at offset {position}")
        else:
            position = match.end()
    raise StringSyntaxError(f"f-string at offset {start} does not end")


def _field(code: str, start: int, pieces: list[Segment | Field], *, quote: str, raw: bool) -> int:
    """Append a field and the pieces of its format; return the offset after its closing brace."""
    end = _expression_end(code, start)
    debug = _DEBUG.match(code, end)
    position = debug.end() if debug else end
    pieces.append(Field(start, end, debug is not None))
    if conversion := _CONVERSION.match(code, position):
        position = conversion.end()
    if code.startswith(":", position):
        position = _spec(code, position + 1, pieces, quote=quote, raw=raw)
    if not code.startswith("}", position):
        raise StringSyntaxError(f"f-string expression at offset {start} does not end")
    return position + 1


def _spec(code: str, start: int, pieces: list[Segment | Field], *, quote: str, raw: bool) -> int:
    """Append the pieces of a format specification; return the offset of the brace that ends it."""
    begun = position = start
    while match := _SPEC_STEP.match(code, position):
        if match[0] in {"{", "}"}:
            if position > begun:
                source = code[begun:position]
                pieces.append(
                    Segment(start=begun, source=source, quote=quote, raw=raw, formatted=True, role="spec")
                )
            if match[0] == "}":
                return position
            position = begun = _field(code, position + 1, pieces, quote=quote, raw=raw)
        elif code.startswith(quote, position):
            break
        else:
            position = match.end()
    raise StringSyntaxError(f"format specification at offset {start} does not end")


def _expression_end(code: str, start: int) -> int:
    """Return where the expression of a field ends: at its ``=``, ``!``, ``:`` or closing brace."""
    depth = 0
    position = start
    while position < len(code):
        token = _TOKEN.match(code, position)
        if token:
            position = _string_at(code, token).end if token["quote"] else token.end()
            continue
        operator = _FIELD_STEP.match(code, position)
        if operator is None:
            position += 1
            continue
        sign = operator[0]
        if depth == 0 and (sign in {"!", ":", "}"} or (sign == "=" and _DEBUG.match(code, position))):
            return position
        depth += (sign in {"(", "[", "{"}) - (sign in {")", "]", "}"})
        position = operator.end()
    raise StringSyntaxError(f"f-string expression at offset {start} does not end")


_UNIT = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{2})|(?P<line>\r\n|\r|\n)|(?P<other>.))"
    r"|(?P<newline>\r\n?)",
    re.DOTALL,
)
_WIDE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|N\{([^}]*)\})")
_DOUBLED = re.compile(r"\{\{|\}\}")
_NEWLINE = re.compile(r"\r\n?")
_SIMPLE = dict(zip("\\'\"abfnrtv", "\\'\"\a\b\f\n\r\t\v", strict=True))


def _units(segment: Segment) -> Iterator[Unit]:
    source, position = segment.source, 0
    doubled = segment.formatted and segment.role == "text"
    while position < len(source):
        unit = (doubled and _doubled(source, position)) or (
            _raw_unit(source, position) if segment.raw else _cooked_unit(segment, position)
        )
        yield Unit(segment.start + position, *unit)
        position += len(unit[0])


def _doubled(source: str, position: int) -> tuple[str, str] | None:
    match = _DOUBLED.match(source, position)
    return (match[0], match[0][0]) if match else None


def _raw_unit(source: str, position: int) -> tuple[str, str]:
    newline = _NEWLINE.match(source, position)
    return (newline[0], "\n") if newline else (source[position], source[position])


def _cooked_unit(segment: Segment, position: int) -> tuple[str, str]:
    source = segment.source
    if not segment.binary and (wide := _WIDE.match(source, position)):
        return wide[0], _wide_value(wide)
    match = _UNIT.match(source, position)
    if match is None or (segment.formatted and match["other"] in {"{", "}"}):
        return source[position], source[position]
    return match[0], _escape_value(match, binary=segment.binary)


def _escape_value(match: re.Match[str], *, binary: bool) -> str:
    if match["newline"]:
        return "\n"
    if match["line"]:
        return ""
    if match["octal"]:
        code_point = int(match["octal"], 8)
        return chr(code_point & 0xFF if binary else code_point)
    if match["hex"]:
        return chr(int(match["hex"], 16))
    return _SIMPLE.get(match["other"], match[0])


def _wide_value(match: re.Match[str]) -> str:
    short, long, name = match.groups()
    return unicodedata.lookup(name) if name is not None else chr(int(short or long, 16))
