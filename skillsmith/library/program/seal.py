"""Canonical bytes of skill documents and the digests over them.

Two digests: the seal of a file covers all of it but itself; the content digest leaves out what may grow
while a version stays the same, so that it tells whether two versions do the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

import orjson

from skillsmith.errors import InvalidSkillFileError
from skillsmith.models import Json

MAX_DEPTH = 100
"""Deeper nesting is refused: no skill needs it, and every reader would have to survive it."""

_UNSEALED = frozenset({"digest", "history"})
_GROWING = frozenset({"version", "proof", "examples"})
"""The number of a version, its evidence, and the tasks it served."""


def canonical(value: Json) -> bytes:
    """Return the canonical bytes: UTF-8 JSON, keys sorted, no spaces.

    Raises:
        InvalidSkillFileError: It holds what JSON cannot.
    """
    return _dump(value, orjson.OPT_SORT_KEYS)


def render(document: Mapping[str, Json]) -> bytes:
    """Return the bytes of an export file: keys sorted, one value a line.

    Raises:
        InvalidSkillFileError: It holds what JSON cannot, or is nested too deeply.
    """
    data = _dump(document, orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if b"\n" + b" " * (2 * MAX_DEPTH + 1) in data:
        raise InvalidSkillFileError(f"it is nested deeper than {MAX_DEPTH} levels")
    return data


def _dump(value: Json, options: int) -> bytes:
    try:
        return orjson.dumps(value, option=options)
    except TypeError:  # integers beyond 64 bits, lone surrogates, very deep nesting, no JSON at all
        indent = 2 if options & orjson.OPT_INDENT_2 else None
        try:
            text = json.dumps(
                value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent,
                separators=(",", ": ") if indent else (",", ":"),
            )  # fmt: skip
            return (text + "\n" * bool(options & orjson.OPT_APPEND_NEWLINE)).encode()
        except RecursionError as error:
            raise InvalidSkillFileError("it is nested too deeply") from error
        except (TypeError, ValueError) as error:
            raise InvalidSkillFileError(f"it holds what JSON cannot: {error}") from error


def digest_of_document(document: Mapping[str, Json]) -> str:
    """Return ``sha256:…`` over the canonical form without ``digest`` and ``history``: the file's seal."""
    return _seal(document, _UNSEALED)


def content_digest(document: Mapping[str, Json]) -> str:
    """Return ``sha256:…`` over what makes a version this version: two with the same do the same."""
    return _seal(document, _UNSEALED | _GROWING)


def _seal(document: Mapping[str, Json], left_out: frozenset[str]) -> str:
    kept = {key: value for key, value in document.items() if key not in left_out}
    return "sha256:" + sha256(canonical(kept)).hexdigest()
