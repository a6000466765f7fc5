"""What of a skill full text finds, and how words become a query for it.

Names of tools and functions are found by their parts: ``get_user_details`` and ``getUserDetails`` both by
"user details". SQLite's tokenizer splits at underscores, so only capitals need help, and scripts that
write without spaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from skillsmith.library.program.document import Document
from skillsmith.word_pieces import in_pieces, indexed, term

_UPPER, _LOWER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz0123456789"
_CLASSES = bytes(
    ord("U") if code in _UPPER else ord("l") if code in _LOWER else ord(" ") for code in range(256)
)
_STOP_WORDS = frozenset(
    "a an and are as at be but by can do does for from had has have he her his how i if in into is it its me"
    " my no not of on or our please she so some such that the their them then there these they this to us was"
    " we were what when which who will with would you your".split()
)

COLUMNS = ("name", "description", "task_pattern", "tags", "examples", "body")
WEIGHTS = (8.0, 4.0, 4.0, 6.0, 4.0, 1.0)
"""How much a hit in each column counts."""

MAX_BODY_CHARS = 100_000
"""Of a longer body only the beginning is searchable."""


def search_columns(document: Document) -> tuple[str, ...]:
    """Return the text of each full-text column of a skill."""
    columns = (
        document["name"],
        split_names(document["description"]),
        split_names(document["task_pattern"]),
        " ".join(document["tags"]),
        split_names("\n".join(document["examples"])),
        split_names("\n".join(_body(document))[:MAX_BODY_CHARS]),
    )
    return tuple(map(indexed, columns))


def _body(document: Document) -> Iterator[str]:
    for variable in document["variables"]:
        yield f"{variable['name']} {variable.get('description', '')}"
    for node in document["nodes"]:
        yield f"{node.get('title', '')} {node.get('tool', '')} {node.get('agent', '')}"
        yield from node.get("arguments", ())
        yield from node.get("template", {}).get("lines", ())
    yield from document["body"]
    for artifact in document["artifacts"]:
        yield f"{artifact['name']} {artifact.get('description', '')}"
        if artifact["encoding"] == "text":
            yield from artifact["content"]


def split_names(text: str) -> str:
    """Return text with a space at every hump of a camel-case word.

    Humps are looked for in a string of character classes: ten times as fast as a regular expression.
    """
    classes = text.encode("ascii", "replace").translate(_CLASSES)
    humps = sorted({*_found(classes, b"lU"), *_found(classes, b"UUl")})
    ends = [hump + 1 for hump in humps]
    return " ".join(text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True))


def _found(classes: bytes, pattern: bytes) -> Iterator[int]:
    at = classes.find(pattern)
    while at >= 0:
        yield at
        at = classes.find(pattern, at + 1)


def search_expression(words: str, *, operator: str = "OR") -> str:
    """Return an FTS5 expression over the words of any text but the most common; empty when it has none."""
    found = re.findall(r"[^\W_]+", split_names(in_pieces(words)))
    telling = [word for word in found if word.lower() not in _STOP_WORDS] or found
    return f" {operator} ".join(map(term, dict.fromkeys(word.lower() for word in telling)))
