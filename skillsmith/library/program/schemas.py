"""What a skill's own JSON Schemas may hold: nothing that is fetched from elsewhere or takes for ever.

A schema comes with a skill file and is applied to results in this process, where no time limit reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from skillsmith.library.program.patterns import UnjudgedError, may_take_for_ever
from skillsmith.models import Json

MAX_PATTERN_CHARS = 500


def schema_flaws(schema: Json, where: str) -> Iterator[str]:
    """Say what of a schema would be fetched from elsewhere, or might never end.

    Args:
        schema: The schema, or a part of it.
        where: What it belongs to, for the message.
    """
    if isinstance(schema, list):
        for part in schema:
            yield from schema_flaws(part, where)
    if not isinstance(schema, dict):
        return
    for key in ("$ref", "$dynamicRef"):
        target = schema.get(key)
        if isinstance(target, str) and not target.startswith("#"):
            yield f"{where} refers to {target[:80]!r}, which is outside of it"
    patterns = schema.get("patternProperties")
    for pattern in (schema.get("pattern"), *(patterns if isinstance(patterns, dict) else ())):
        if isinstance(pattern, str) and (flaw := pattern_flaw(pattern)):
            yield f"{where} has the pattern {pattern[:80]!r}, which {flaw}"
    for part in schema.values():
        yield from schema_flaws(part, where)


def pattern_flaw(pattern: str) -> str | None:
    """Say why a regular expression is not used: it is none, or it might search for ever; else None."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"is longer than {MAX_PATTERN_CHARS} characters"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    try:
        endless = may_take_for_ever(pattern)
    except (UnjudgedError, RecursionError) as error:
        return f"might never end, as far as can be told: {error}"
    return "can be read in so many ways that a search might never end" if endless else None
