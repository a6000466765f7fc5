"""Many inputs of one skill: a JSON object a line, or a table whose head names the inputs.

All of them are checked before anything runs, so that a mistake in the last line costs nothing.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from skillsmith.errors import UsageError
from skillsmith.ids import digest_of
from skillsmith.library.program.inputs import accept, find_variable, missing_inputs
from skillsmith.models import Json, Skill

_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
_LINES: Final = frozenset({".jsonl", ".ndjson"})
_SHOWN_PROBLEMS = 3
_KEY_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One set of inputs.

    Args:
        index: Its place, from 1.
        key: Tells it from all others of its batch, wherever it stands: a digest of the inputs, and which of
            the equal ones it is.
        inputs: Values by input name.
    """

    index: int
    key: str
    inputs: Mapping[str, Json]


def read_items(path: Path, skill: Skill) -> list[Item]:
    """Read the inputs of a batch.

    Args:
        path: ``.jsonl`` or ``.ndjson``: a JSON object a line; ``.csv`` or ``.tsv``: a head with the names of
            inputs, empty cells stand for no value.
        skill: Whose inputs they are.

    Raises:
        UsageError: The file cannot be read, is empty, or holds what the skill does not take; names the lines.
    """
    items: list[Item] = []
    problems: list[str] = []
    seen: Counter[str] = Counter()
    for line, values in _rows(path):
        try:
            inputs = _checked(values, skill)
        except UsageError as error:
            problems.append(f"line {line}: {error.message}")
            continue
        digest = digest_of(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS))[:_KEY_DIGITS]
        seen[digest] += 1
        items.append(Item(index=len(items) + 1, key=f"{digest}-{seen[digest]}", inputs=inputs))
    if problems:
        raise UsageError(_told(path, problems), hint="nothing was run")
    if not items:
        raise UsageError(f"{path} holds no inputs", hint="give a JSON object a line, or a table with a head")
    return items


def _told(path: Path, problems: Sequence[str]) -> str:
    more = len(problems) - _SHOWN_PROBLEMS
    return f"{path}, " + "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _checked(values: Mapping[str, Json], skill: Skill) -> dict[str, Json]:
    inputs = {name: accept(value, find_variable(skill, name)) for name, value in values.items()}
    missing = missing_inputs(skill, inputs)
    if missing:
        raise UsageError(f"the input {missing[0]!r} has no value")
    return inputs


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Json]]]:
    kind = path.suffix.lower()
    if kind not in _LINES and kind not in _DELIMITERS:
        raise UsageError(f"{path} is no list of inputs", hint="give a .jsonl, .ndjson, .csv or .tsv file")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    yield from _objects(path, text) if kind in _LINES else _table(path, text, _DELIMITERS[kind])


def _objects(path: Path, text: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"{path}, line {number} is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise UsageError(f"{path}, line {number} is no JSON object", hint='write {"input": value, …}')
        yield number, value


def _table(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, Mapping[str, Json]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        doubled = [name for name, count in Counter(head).items() if count > 1]
        if doubled:
            raise UsageError(f"{path} has the column {doubled[0]!r} twice")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(head):
                raise UsageError(f"{path}, line {reader.line_num} has {len(cells)} cells, not {len(head)}")
            row = {name: cell for name, cell in zip(head, cells, strict=True) if cell}
            yield reader.line_num, row
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num} is no table: {error}") from error
