"""Read and write one skill file, believing nothing: shape, digest, soundness and canonical form are checked.

A file that our own export wrote is recognised by its bytes: what was read, written again, gives the same
file. Any other is read slowly and strictly, so that doubled keys, NaN, huge numbers and deep nesting show.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

import orjson

from skillsmith.errors import InvalidSkillFileError, NotFoundError, StorageError, UsageError
from skillsmith.library.program.document import Document, from_document, to_document
from skillsmith.library.program.seal import canonical, content_digest, digest_of_document, render
from skillsmith.library.program.stability import unstable_places
from skillsmith.library.program.validation import validate_skill
from skillsmith.models import Json, Skill

SUFFIX = ".skill.json"
MAX_BYTES = 64 * 1024 * 1024
"""A larger file is refused before it is read."""

_CONFLICT = re.compile(rb"^(?:<{7}|>{7}) ", re.MULTILINE)


class Reference(Protocol):
    """A library, as far as reading a file needs it."""

    def original(self, name: str, digest: str) -> Document | None:
        """Return the version exported with this digest, so that an error can say what was changed."""

    def holds(self, name: str, digest: str) -> bool:
        """Tell whether a version has this content; its code need not be examined again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFile:
    """A skill file that holds what its digest, its schema and its own words promise."""

    path: Path
    skill: Skill
    document: Document


def read_skill_file(path: Path, *, reference: Reference | None = None) -> SkillFile:
    """Read and check one file.

    Args:
        path: Any name.
        reference: The library that the file is compared with.

    Raises:
        InvalidSkillFileError: It does not hold what it promises; names the file and what differs.
        NotFoundError: There is no such file.
        UsageError: It cannot be read.
    """
    try:
        skill, document = read_skill_bytes(_bytes_of(path), reference)
    except InvalidSkillFileError as error:
        raise InvalidSkillFileError(f"{path}: {error.message}", hint=error.hint) from error
    return SkillFile(path=path, skill=skill, document=document)


def read_skill_bytes(data: bytes, reference: Reference | None = None) -> tuple[Skill, Document]:
    """Read and check the content of a file.

    Args:
        data: The bytes.
        reference: See ``read_skill_file``.

    Raises:
        InvalidSkillFileError: It does not hold what it promises.
    """
    try:
        return _recognised(data, reference) or _examined(data, reference)
    except RecursionError as error:
        raise InvalidSkillFileError("it is nested too deeply") from error


def _bytes_of(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a device or a pipe might give for ever
            raise InvalidSkillFileError("it is no ordinary file")
        if path.stat().st_size > MAX_BYTES:
            raise InvalidSkillFileError(f"it is larger than {MAX_BYTES // 2**20} MB")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _recognised(data: bytes, reference: Reference | None) -> tuple[Skill, Document] | None:
    """Return what a file of our own holds; None when it has to be examined."""
    try:
        skill = from_document(orjson.loads(data))
        document = to_document(skill)
        if render(document) == data and not _flaws(skill, document, reference):
            return skill, document
    except (orjson.JSONDecodeError, InvalidSkillFileError):
        return None  # the slow reading says why
    return None


def _examined(data: bytes, reference: Reference | None) -> tuple[Skill, Document]:
    document = _parse_strictly(data)
    render(document if isinstance(document, dict) else {})
    _check_seal(document, reference)
    skill = from_document(document)
    again = to_document(skill)
    if problems := _flaws(skill, again, reference):
        raise InvalidSkillFileError("; ".join(problems[:3]))
    changed = differing(document, again)
    if changed:
        raise InvalidSkillFileError(
            f"{', '.join(changed)} does not agree with the rest", hint="export the skill again"
        )
    return skill, again


def _flaws(skill: Skill, document: Document, reference: Reference | None) -> list[str]:
    """Return what is wrong with a skill; its code is parsed, which costs most, only when it is new."""
    problems = validate_skill(skill, parsed=True)
    if problems or (reference and reference.holds(skill.name, content_digest(document))):
        return problems
    return unstable_places(skill)


def _check_seal(document: Json, reference: Reference | None) -> None:
    stated = document.get("digest") if isinstance(document, dict) else None
    if not isinstance(stated, str):
        raise InvalidSkillFileError("it has no digest, so it is no exported skill")
    actual = digest_of_document(document)
    if actual == stated:
        return
    original = reference.original(str(document.get("name")), stated) if reference else None
    where = f" in {', '.join(differing(document, original))}" if original else ""
    raise InvalidSkillFileError(
        f"it was changed{where} after its export: the digest says {stated[:19]}…, it holds {actual[:19]}…",
        hint="get the original file, or export the skill again",
    )


def differing(one: Document, other: Document) -> list[str]:
    """Return the top-level keys in which two documents differ, but for digest and history."""
    keys = (one.keys() | other.keys()) - {"digest", "history"}
    return sorted(
        key
        for key in keys
        if key not in one or key not in other or canonical(one[key]) != canonical(other[key])
    )


def _parse_strictly(data: bytes) -> Json:
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_float=_number
        )
    except UnicodeDecodeError as error:
        raise InvalidSkillFileError(f"it is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        if marks := _CONFLICT.search(data):
            line = data.count(b"\n", 0, marks.start()) + 1
            raise InvalidSkillFileError(
                f"a merge left marks of a conflict in line {line}: choose one side of the file first"
            ) from error
        raise InvalidSkillFileError(f"it is not JSON: {error.msg} in line {error.lineno}") from error
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidSkillFileError("it holds a number with thousands of digits") from error


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidSkillFileError(f"the key {name[:80]!r} stands twice in one object")
            seen.add(name)
    return found


def _constant(text: str) -> NoReturn:
    raise InvalidSkillFileError(f"it holds {text}, which is not JSON")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidSkillFileError(f"it holds the number {text[:40]}, which is too large")
    return number


def write_skill_file(path: Path, document: Document) -> None:
    """Write a file whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f".{name}.{os.getpid()}.partial")  # noqa: PTH118  (three times as fast)
    try:
        with open(partial, "wb") as file:  # noqa: PTH123
            file.write(render(document))
        os.replace(partial, path)  # noqa: PTH105
    except BaseException as error:
        Path(partial).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"{path}: {error.strerror}", hint="choose another place") from error
        raise
