"""A log file as a stream of JSON records: damage costs the damaged line, never the file, never the memory.

Compression and encoding are told from the bytes, not from the name. Lines are read one at a time and
bounded; only formats that are one JSON document are read whole, up to a limit.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from skillsmith.capture.importers.jsontext import JsonError, leading_values, parse_json, values_in_a_row
from skillsmith.errors import StorageError
from skillsmith.foreign import open_foreign
from skillsmith.models import Json, Problem
from skillsmith.schema import APPLICATION_ID

NOT_A_LOG = "not a known agent log"
"""Reason of the Problem of a file in a folder that no format claims: worth counting, not listing."""
HEAD_BYTES = 64 * 1024
_CHUNK = 1024 * 1024
_GZIP = b"\x1f\x8b"
_SQLITE = b"SQLite format 3\0"
_SQLITE_HEADER = 100
_OURS = APPLICATION_ID.to_bytes(4)  # a file of ours in a folder of logs is none
_FOREIGN = {
    b"\x28\xb5\x2f\xfd": "zstd-compressed; unpack it first (zstd -d)",
    b"BZh": "bzip2-compressed; unpack it first (bunzip2)",
    b"\xfd7zXZ": "xz-compressed; unpack it first (unxz)",
    b"PK\x03\x04": "a zip archive; unpack it first (unzip)",
}
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a file is taken in.

    Args:
        line: Longest line, in bytes.
        document: Largest file that is read whole, in bytes after unpacking.
        expansion: How many times larger than the packed file the unpacked one may be.
        unpacked: Below this many bytes the expansion does not matter.
    """

    line: int = 64 * 1024 * 1024
    document: int = 512 * 1024 * 1024
    expansion: int = 200
    unpacked: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object of a line-based log and the line it stands on, from 1."""

    line: int
    value: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The beginning of a file, for telling its format.

    Args:
        name: File name without folders and without ``.gz``.
        values: The JSON values at its beginning; the last one may be cut short (but is well-formed).
        lines: Whether the file has one value a line.
        tables: For a SQLite file, which has no values: the names of its tables.
    """

    name: str
    values: tuple[Json, ...] = ()
    lines: bool = False
    tables: frozenset[str] = frozenset()

    @property
    def objects(self) -> list[dict[str, Json]]:
        """Those of the values that are objects."""
        return [value for value in self.values if isinstance(value, dict)]


class UnreadableError(Exception):
    """Reading cannot go on; carried to the caller as a Problem."""


@dataclass(frozen=True)
class LogSource:
    """One file to import.

    Args:
        path: Where it is.
        limits: How much of it is taken in.
    """

    path: Path
    limits: Limits = field(default_factory=Limits)

    @property
    def display(self) -> str:
        """The path as text, for Problems."""
        return str(self.path)

    @property
    def name(self) -> str:
        """File name without ``.gz``."""
        return self.path.name.removesuffix(".gz")

    def problem(self, reason: str, line: int | None = None) -> Problem:
        """Return a Problem of this file."""
        return Problem(path=self.display, reason=reason, line=line)

    @cached_property
    def head(self) -> Head | Problem:
        """The beginning of the file, or why it cannot be read."""
        if self.is_database:
            return self._database_head()
        start = bytearray()
        complete = True
        try:
            for chunk in self._chunks(HEAD_BYTES):
                start += chunk
                if len(start) > HEAD_BYTES:
                    complete = False
                    break
        except UnreadableError as error:
            if not start:
                return self.problem(str(error))
            complete = False
        if not start.strip():
            return self.problem("empty file")
        text = start.decode("utf-8", "replace")
        values, lines = leading_values(text, complete=complete)
        if self.name.endswith((".jsonl", ".ndjson")) and not lines:  # one line says little; trust the name
            lines = not values or (isinstance(values[0], dict) and "\n" not in text.strip())
        return Head(name=self.name, values=tuple(values), lines=lines)

    @cached_property
    def is_database(self) -> bool:
        """Whether it is another program's SQLite file, to be opened with ``foreign.open_foreign``."""
        try:
            with self.path.open("rb") as file:
                start = file.read(_SQLITE_HEADER)
                return start.startswith(_SQLITE) and start[68:72] != _OURS
        except OSError:  # told by whoever reads it
            return False

    def _database_head(self) -> Head | Problem:
        try:
            with open_foreign(self.path) as database:
                return Head(name=self.name, tables=frozenset(database.tables()))
        except StorageError as error:
            return self.problem(f"{error.message.removeprefix(f'{self.path}: ')}; {error.hint}")

    def records(self) -> Iterator[Record | Problem]:
        """Yield the objects of a line-based log, and a Problem for every line that holds none."""
        for number, raw, cut in self._lines():
            if isinstance(raw, Problem):
                yield raw
            elif raw.strip():
                yield self._record(number, raw, cut=cut)

    def _record(self, number: int, raw: bytes, *, cut: bool) -> Record | Problem:
        try:
            value = parse_json(raw)
        except JsonError as error:
            return self.problem(f"{error}{'; the line is cut off' if cut else ''}", number)
        if isinstance(value, dict):
            return Record(number, value)
        return self.problem(f"a JSON {_kind(value)}, not an object", number)

    def document(self) -> Json | Problem:
        """Return the one JSON value that the file is, or why it is none."""
        try:
            return parse_json(self._whole())
        except UnreadableError as error:
            return self.problem(str(error))
        except JsonError as error:
            return self.problem(str(error), error.line)

    def documents(self) -> Iterator[Json | Problem]:
        """Yield the JSON values that stand one after another in the file, each on any number of lines."""
        try:
            for value in values_in_a_row(self._whole()):
                yield self.problem(str(value), value.line) if isinstance(value, JsonError) else value
        except UnreadableError as error:
            yield self.problem(str(error))

    def _whole(self) -> bytes:
        """Return the file's text.

        Raises:
            UnreadableError: It cannot be read, or is too large.
        """
        parts: list[bytes] = []
        size = 0
        for chunk in self._chunks(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > self.limits.document:
                raise UnreadableError(f"larger than {_size(self.limits.document)}, too large to read whole")
        return b"".join(parts)

    def _lines(self) -> Iterator[tuple[int, bytes | Problem, bool]]:
        """Yield number, bytes (or what is wrong) and whether the line has no end, one line at a time."""
        number, size, limit = 1, 0, self.limits.line
        pending: list[bytes] = []
        try:
            for chunk in self._chunks(_CHUNK):
                *ended, rest = chunk.split(b"\n")
                for piece in ended:
                    size += len(piece)
                    if size:
                        pending.append(piece)
                        yield number, self._line(number, pending, size), False
                        pending, size = [], 0
                    number += 1
                size += len(rest)
                if size <= limit:
                    pending.append(rest)
                else:  # forget what there is, read on to the line's end
                    pending = []
        except UnreadableError as error:
            yield number, self.problem(str(error), number), True
            return
        if size:
            yield number, self._line(number, pending, size), True

    def _line(self, number: int, pieces: list[bytes], size: int) -> bytes | Problem:
        if size > self.limits.line:
            return self.problem(f"the line is longer than {_size(self.limits.line)}", number)
        return b"".join(pieces)

    def _chunks(self, size: int) -> Iterator[bytes]:
        """Yield the file's text as UTF-8 bytes.

        Raises:
            UnreadableError: It cannot be opened, unpacked or decoded; what came before is good.
        """
        chunks = self._unpacked(size)
        first = next(chunks, b"")
        for magic, hint in _FOREIGN.items():
            if first.startswith(magic):
                raise UnreadableError(hint)
        for bom, encoding in _BOMS:
            if first.startswith(bom):
                yield from _transcode(first, chunks, encoding)
                return
        if b"\0" in first[:8192]:
            raise UnreadableError("a binary file, or text that is not UTF-8")
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from chunks

    def _unpacked(self, size: int) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                packed = file.read(2) == _GZIP
                file.seek(0)
                chunks = iter(lambda: file.read(size), b"")
                yield from self._gunzip(chunks, size) if packed else chunks
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror or error}") from error

    def _gunzip(self, packed: Iterator[bytes], size: int) -> Iterator[bytes]:
        engine = zlib.decompressobj(wbits=31)
        taken = given = 0
        for chunk in packed:
            taken += len(chunk)
            rest = chunk
            while rest:
                if engine.eof:
                    engine = zlib.decompressobj(wbits=31)
                try:
                    out = engine.decompress(rest, size)
                except zlib.error as error:
                    raise UnreadableError("the gzip data is damaged") from error
                # several archives may stand in a row, padded with zeros
                rest = engine.unused_data.lstrip(b"\0") if engine.eof else engine.unconsumed_tail
                given += len(out)
                if given > max(self.limits.unpacked, taken * self.limits.expansion):
                    raise UnreadableError("unpacks to far more than a log would (a decompression bomb?)")
                if out:
                    yield out
        if not engine.eof:
            raise UnreadableError("the gzip data is cut off")


def _transcode(first: bytes, rest: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        yield decoder.decode(first).encode()
        for chunk in rest:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise UnreadableError(f"not valid {encoding.upper()}") from error


def _kind(value: Json) -> str:
    names = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _size(count: int) -> str:
    return f"{count / 1024 / 1024:g} MiB"
