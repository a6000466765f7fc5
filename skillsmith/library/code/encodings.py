"""How a value is written at a place of a template, so that it can only ever change that value.

An encoding is a short name, kept in ``Slot.encoding``:

- inside a Python string: ``dq``, ``sq``, ``tdq``, ``tsq`` (the quotes: double, single, three of each), with
  ``raw-`` for raw strings, ``f-`` for f-strings, ``b-`` for bytes before it (``f-raw-tdq``);
- inside an expression of an f-string: ``nested``, ``f-nested``, ``b-nested``; in a format specification:
  ``spec``. Python 3.11 knows no escapes there, so values with quotes or backslashes are refused;
- a whole Python literal: ``python``, ``python-group`` (in parentheses), ``python-tuple``, ``python-nested``,
  ``python-str``, ``python-bytes`` (always text);
- in a shell word: ``sh-bare``, ``sh-dq``, ``sh-sq``; ``-arg`` after it where the word begins, and a leading
  dash would make it an option;
- elsewhere: ``text``, ``json`` (a whole value), ``json-str`` (inside a JSON string).

``NAME=SOURCE`` keeps how the default was spelled in the source run: a value equal to what SOURCE means is
written as SOURCE, so that defaults render back byte for byte (``python=1_000``).
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from skillsmith.errors import UsageError
from skillsmith.library.code.source import Positions, parse_expression
from skillsmith.library.code.strings import Segment, StringSyntaxError, lex_strings

_CONTENT = re.compile(r"(?P<kind>[bf]-)?(?P<raw>raw-)?(?P<quote>t?[ds]q)")
_QUOTES = {"dq": '"', "sq": "'", "tdq": '"""', "tsq": "'''"}
_NAMES = {quote: name for name, quote in _QUOTES.items()}
_SHELL_SAFE = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_WHOLE_PYTHON = {"python", "python-group", "python-tuple", "python-nested", "python-str", "python-bytes"}
_WHOLE = {"python", "python-group", "python-tuple", "python-nested", "json"}
_SHELL_SOUND = {
    "sh-bare": _SHELL_SAFE,
    "sh-sq": re.compile(r"[^']*"),
    "sh-dq": re.compile(r'(?:[^\\"$`]|\\.)*', re.DOTALL),
}
_EXACT_FLOATS = 2.0**53
_SHORT_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def content_encoding(segment: Segment, *, nested: bool) -> str:
    """Name the encoding of characters inside a Python string.

    Args:
        segment: The characters, with what the token's prefix and quotes say.
        nested: Whether the string stands inside an expression of an f-string.
    """
    if segment.role == "spec":
        return "spec"
    kind = "f-" if segment.formatted else "b-" if segment.binary else ""
    if nested:
        return f"{kind}nested"
    return f"{kind}{'raw-' if segment.raw else ''}{_NAMES[segment.quote]}"


def with_spelling(name: str, default: Any, source: str, *, variable: str) -> str:
    """Return the encoding that writes ``default`` as ``source``, with the spelling where it is needed.

    Raises:
        UsageError: When ``source`` does not mean ``default``.
    """
    if not _is_odd_number(default, name, source) and encode(default, name, variable=variable) == source:
        return name
    encoding = f"{name}={source}"
    if encode(default, encoding, variable=variable) != source:
        raise UsageError(
            f"the source {source!r} does not mean the default of {variable!r}", hint="lift another literal"
        )
    return encoding


def _is_odd_number(default: Any, name: str, source: str) -> bool:
    """Whether a number has other spellings that mean the same: ``5.0`` in code, ``0.50`` in text."""
    if name in _WHOLE:
        return isinstance(default, float) and default.is_integer()
    return _NUMBER.fullmatch(source) is not None and plain_text(float(source)) != source


def encode(value: Any, encoding: str, *, variable: str) -> str:
    """Write a value for a place.

    Args:
        value: Any JSON value; inside strings anything but a string is written as JSON.
        encoding: See the module.
        variable: The variable's name, for errors.

    Raises:
        UsageError: When the value cannot be written there, or the encoding is unknown.
    """
    name, spelled, source = encoding.partition("=")
    writer = _writer(name)
    if writer is None:
        raise UsageError(
            f"the place of {variable!r} has the unknown encoding {name!r}", hint="upgrade skillsmith"
        )
    if spelled and _equals(value, decode(name, source), whole=name in _WHOLE):
        return source
    return writer(value, name, variable)


def decode(name: str, source: str) -> Any:
    """Return the value that source text means at a place with this encoding.

    Raises:
        UsageError: When it means nothing there, or more than one value.
    """
    if segment := _segment(name, source):
        return segment.value() if _is_sound(segment) else _unsound(name, source)
    try:
        if name.startswith("python"):
            return _python_value(source)
        if name in {"json", "json-str"}:
            return json.loads(source if name == "json" else f'"{source}"')
    except ValueError:
        _unsound(name, source)
    if (pattern := _SHELL_SOUND.get(name.removesuffix("-arg"))) and not pattern.fullmatch(source):
        _unsound(name, source)
    if name.startswith("sh-dq"):
        return re.sub(r'\\([\\"$`])|\\\n', r"\1", source)
    return source.replace("{{", "{").replace("}}", "}") if name == "f-nested" else source


def _unsound(name: str, source: str) -> NoReturn:
    raise UsageError(
        f"the spelling {source!r} of a place with encoding {name!r} is not one literal",
        hint="make the template again from its source",
    )


def _is_sound(segment: Segment) -> bool:
    """Whether a spelling stays inside its quotes and holds no expression."""
    prefix = "f" if segment.formatted else "b" if segment.binary else ""
    source = segment.source
    if len(segment.quote) > 1 and source.endswith(segment.quote[0]):
        source += "_"  # a field or more text follows, else the quote would have been part of the closing ones
    literal = f"{prefix}{'r' if segment.raw else ''}{segment.quote}{source}{segment.quote}"
    try:
        tokens = lex_strings(literal)
    except StringSyntaxError:
        return False
    return (
        len(tokens) == 1
        and tokens[0].end == len(literal)
        and all(isinstance(p, Segment) for p in tokens[0].pieces)
    )


def plain_text(value: Any) -> str:
    """Return a value as it is written inside text: strings as they are, 5.0 as 5, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOATS:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def python_source(value: Any, *, variable: str) -> str:
    """Write a JSON value as a Python literal.

    Raises:
        UsageError: When it is no JSON value, or a number without a literal (infinity).
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(python_source(item, variable=variable) for item in value)}]"
    if isinstance(value, dict):
        pairs = (
            f"{python_source(key, variable=variable)}: {python_source(item, variable=variable)}"
            for key, item in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    finite = not isinstance(value, float) or math.isfinite(value)
    if finite and (value is None or isinstance(value, str | int | float)):
        return repr(value)
    raise UsageError(f"{value!r} is no value for {variable!r}", hint="give a JSON value")


def _equals(value: Any, default: Any, *, whole: bool) -> bool:
    """Whether a value is the default: by type for a whole literal (5 is 5.0), as text inside a string."""
    if _is_number(value) and (_is_number(default) if whole else _NUMBER.fullmatch(default)):
        return bool(float(default) == value)
    return _canonical(value) == _canonical(default) if whole else plain_text(value) == default


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _python_value(source: str) -> Any:
    expression = parse_expression(source)
    if expression is None or not _fills(expression, source):
        raise ValueError(source)
    value = ast.literal_eval(expression)
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return list(value) if isinstance(value, tuple) else value


def _fills(expression: ast.expr, source: str) -> bool:
    """Whether an expression is all of its source: no comment or blank beside it."""
    positions = Positions(f"({source}\n)")
    start = positions.offset(expression.lineno, expression.col_offset)
    end = positions.offset(expression.end_lineno or 0, expression.end_col_offset or 0)
    return (start, end) in {(1, len(source) + 1), (0, len(source) + 3)}


def _segment(name: str, source: str = "") -> Segment | None:
    """Return characters inside the kind of Python string that an encoding names, None for other encodings."""
    match = _CONTENT.fullmatch(name)
    if match is None:
        return None
    return Segment(
        start=0,
        source=source,
        quote=_QUOTES[match["quote"]],
        raw=bool(match["raw"]),
        formatted=match["kind"] == "f-",
        binary=match["kind"] == "b-",
    )


def _writer(name: str) -> Callable[[Any, str, str], str] | None:
    if name in _WHOLE_PYTHON:
        return _python
    if (style := _segment(name)) is not None:
        return partial(_content, style)
    if name in {"nested", "f-nested", "b-nested", "spec"}:
        return _nested
    if name.removesuffix("-arg") in _SHELL_SOUND:
        return _shell
    return _PLAIN.get(name)


_PLAIN: Mapping[str, Callable[[Any, str, str], str]] = {
    "text": lambda value, _name, _variable: plain_text(value),
    "json": lambda value, _name, _variable: json.dumps(value, ensure_ascii=False),
    "json-str": lambda value, _name, _variable: json.dumps(plain_text(value), ensure_ascii=False)[1:-1],
}

# ------------------------------------------------------------------------------------------------- Python


def _python(value: Any, name: str, variable: str) -> str:
    if name == "python-str":
        return f'"{_escaped(plain_text(value), chr(34))}"'
    if name == "python-bytes":
        return f'b"{_escaped_bytes(plain_text(value), chr(34), variable)}"'
    if name == "python-tuple":
        if not isinstance(value, list | tuple):
            raise UsageError(f"{variable!r} is a list, not {value!r}", hint="give a JSON list")
        items = "".join(f"{python_source(item, variable=variable)}, " for item in value)
        return f"({items.rstrip(' ')})"
    source = python_source(value, variable=variable)
    if name == "python":
        return source
    if name == "python-nested" and re.search(r"[\\'\"]", source):
        _refuse(variable, "text", "inside an expression of an f-string")
    return f"({source})"


def _content(style: Segment, value: Any, _name: str, variable: str) -> str:
    text = plain_text(value)
    quote, formatted, binary = style.quote, style.formatted, style.binary
    if not style.raw:
        if not text and len(quote) > 1:
            return "\\\n"  # nothing, but quotes before and after it do not meet
        cooked = _escaped_bytes(text, quote, variable) if binary else _escaped(text, quote)
        return _doubled(cooked) if formatted else cooked
    if _stands_raw(text, quote) and (text.isascii() or not binary):
        return _doubled(text) if formatted else text
    # The token is closed, the value written beside it with escapes, and the token opened again:
    # adjacent strings are one literal.
    prefix = "rb" if binary else "rf" if formatted else "r"
    single = _escaped_bytes(text, '"', variable) if binary else _escaped(text, '"')
    return f'{quote} {"b" if binary else ""}"{single}" {prefix}{quote}'


def _stands_raw(text: str, quote: str) -> bool:
    """Whether text means itself in a raw string, whatever stands around it."""
    if "'" in text or '"' in text or text.endswith("\\"):
        return False
    return all(char.isprintable() or (char == "\n" and len(quote) == 3) for char in text)  # noqa: PLR2004  (triple quotes)


def _escaped(text: str, quote: str) -> str:
    return "".join(_escaped_character(char, quote) for char in text)


def _escaped_character(char: str, quote: str) -> str:
    if char == quote[0]:
        return f"\\{char}"
    if char == "\n" and len(quote) > 1:
        return char
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004  (widths of the escapes)


def _escaped_bytes(text: str, quote: str, variable: str) -> str:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        _refuse(variable, "unpaired surrogates", "as bytes")
    escaped = (_escaped_character(chr(byte), quote) if byte < 0x80 else f"\\x{byte:02x}" for byte in data)  # noqa: PLR2004  (ASCII)
    return "".join(escaped)


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _nested(value: Any, name: str, variable: str) -> str:
    text = plain_text(value)
    forbidden = "\\'\"{}" if name == "spec" else "\\'\""
    if not text.isprintable() or any(char in forbidden for char in text):
        _refuse(variable, "quotes, backslashes or control characters", "inside the braces of an f-string")
    if name == "b-nested" and not text.isascii():
        _refuse(variable, "characters beyond ASCII", "as bytes")
    return _doubled(text) if name == "f-nested" else text


# -------------------------------------------------------------------------------------------------- shell


def _shell(value: Any, name: str, variable: str) -> str:
    text = plain_text(value)
    if "\0" in text or re.search(r"[\ud800-\udfff]", text):
        _refuse(variable, "zero bytes or unpaired surrogates", "in a shell command")
    if name.endswith("-arg") and text.startswith("-") and not _NUMBER.fullmatch(text):
        raise UsageError(
            f"{text!r} for {variable!r} would be read as an option",
            hint="put ./ before a file name that begins with a dash",
        )
    style = name.removesuffix("-arg")
    if style == "sh-dq":
        return re.sub(r'([\\"$`])', r"\\\1", text)
    if style == "sh-sq":
        return text.replace("'", "'\\''")
    if _SHELL_SAFE.fullmatch(text):
        return text
    quoted = text.replace("'", "'\\''")
    return f"'{quoted}'"


def _refuse(variable: str, what: str, where: str) -> NoReturn:
    raise UsageError(
        f"the value of {variable!r} has {what}, which cannot be written {where}", hint="use a simpler value"
    )
