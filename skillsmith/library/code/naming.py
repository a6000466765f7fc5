"""Names for variables: what the code calls a literal, else what people called it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from skillsmith.library.code.drafts import Draft
from skillsmith.library.code.literals import Literal
from skillsmith.library.code.words import unit_of
from skillsmith.library.matching.mentions import look_of
from skillsmith.library.program.effects import name_words
from skillsmith.library.trace.literals import Occurrence
from skillsmith.library.trace.naming import identifier

_GENERIC = frozenset(
    "x y z a b c d e f g h i j k n m s t v df data value val values obj item items arg args key name text "
    "string result res out tmp temp row col self msg message other object data_frame label labels by on "
    "filepath_or_buffer fname fmt default query sql prompt content".split()
)
_PATH_WORDS = frozenset("file path filename filepath dir folder csv json png xlsx pdf txt parquet".split())
_COLUMN_CALLS = frozenset("groupby sort_values drop set_index value_counts pivot_table merge agg".split())
_SEARCHES = frozenset({"grep", "egrep", "fgrep", "rg"})
_FOLDER_SAID = re.compile(r"\b(?:folder|directory)\s+(?:called\s+|named\s+)?\W?\Z", re.IGNORECASE)
_SUFFIXES = {"string": "text", "list": "items", "path": "path", "date": "date", "id": "id"}
_COLUMN_NAMES = frozenset("x y hue by on columns column index values subset col".split())


def is_column(literal: Literal) -> bool:
    """Whether a literal names a column of a table."""
    beside = literal.beside
    called = (beside.call or "").rpartition(".")[2]
    return (beside.subscript and not beside.stored) or (
        called in _COLUMN_CALLS and (beside.name is None or beside.name in _COLUMN_NAMES)
    )


def has_telling_name(literal: Literal) -> bool:
    """Whether the code itself says what a literal is: by a keyword, a variable, an option or a comparison."""
    name = literal.beside.name
    return _is_telling(name) and literal.beside.source != "key"


def _is_telling(name: str | None) -> bool:
    return name is not None and len(name) > 1 and identifier(name) not in _GENERIC


def is_folder(mention: Occurrence) -> bool:
    """Whether people said a value as a folder: "in letters/", "into the folder letters"."""
    text = mention.said.text
    return (
        text[mention.end : mention.end + 1] == "/" or _FOLDER_SAID.search(text[: mention.start]) is not None
    )


def names_for(literal: Literal, mention: Occurrence | None) -> list[str]:
    """Return the names a literal suggests, the best first.

    Args:
        literal: The first place of the variable.
        mention: Where its value was said.
    """
    return [identifier(name) for name in _suggestions(literal, mention)]


def _suggestions(literal: Literal, mention: Occurrence | None) -> Iterator[str]:
    beside = literal.beside
    if isinstance(literal.value, str) and is_column(literal):
        yield f"{literal.value[:30]}_column"
    if isinstance(literal.value, list) and beside.subscript:
        yield "columns"
    if _is_telling(beside.name):
        yield f"{_bound(beside.operator)}{beside.name}"
    if mention is not None and not isinstance(literal.value, str):
        unit = unit_of(mention)
        if unit:
            yield unit
    call = (beside.call or "").rpartition(".")[2]
    if call in {"head", "tail"}:
        yield "rows"
    if call in _SEARCHES and not _is_telling(beside.name):
        yield "pattern"
    if mention is not None and isinstance(literal.value, str) and is_folder(mention):
        yield "folder"
    if beside.name and isinstance(literal.value, int | float):
        yield beside.name


def _bound(operator: str | None) -> str:
    return {">": "min_", ">=": "min_", "<": "max_", "<=": "max_"}.get(operator or "", "")


def fallback_name(draft: Draft) -> str:
    """Return a name for a variable that nothing beside it names."""
    if draft.type in {"date", "url", "email", "id", "path", "list"}:
        return {"path": "file", "list": "items"}.get(draft.type, draft.type)
    if draft.type in {"integer", "number"}:
        return "number"
    return "name" if look_of(draft.value) == "name" else "text"


def without_clash(name: str, draft: Draft, code: str) -> str:
    """Return a name that the code has in no braces of its own, where one more word makes it so."""
    spelled = f"{name}_{_SUFFIXES.get(draft.type, 'value')}"
    return spelled if f"{{{name}}}" in code and f"{{{spelled}}}" not in code else name


def path_names(path: str, role: str, literals: Sequence[Literal], *, alone: bool) -> list[str]:
    """Return names for a file's path.

    Args:
        path: The file.
        role: "input" or "output".
        literals: Where its path stands.
        alone: Whether it is the only one of its role.
    """
    stem = identifier(re.sub(r"\W+", "_", posixpath.splitext(posixpath.basename(path))[0]))
    given = [
        identifier(literal.beside.name)
        for literal in literals
        if literal.beside.name
        and literal.beside.source in {"target", "parameter", "option"}
        and identifier(literal.beside.name) not in _GENERIC
        and _PATH_WORDS & set(name_words(literal.beside.name))
    ]
    by_stem = stem if stem.endswith("file") else f"{stem}_file"
    return [*given, f"{role}_file" if alone else by_stem, by_stem]
