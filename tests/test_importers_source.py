"""Reading log files: damage costs the damaged line, and no input costs memory or time without bound."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import orjson
import pytest

from skillsmith.capture.importers import Head, Limits, LogSource, Record
from skillsmith.capture.importers.jsontext import JsonError, close_open_json, leading_values, parse_json
from skillsmith.models import Problem

MIB = 1024 * 1024

NOT_UTF8 = "not UTF-8; convert it first (such as: iconv -f WINDOWS-1252 -t UTF-8)"


def _source(folder: Path, content: bytes, name: str = "log.jsonl", **limits: int) -> LogSource:
    path = folder / name
    path.write_bytes(content)
    return LogSource(path, Limits(**limits))


def _facts(source: LogSource) -> list[tuple[int | None, object]]:
    return [
        (found.line, found.reason if isinstance(found, Problem) else found.value)
        for found in source.records()
    ]


def test_every_line_is_a_record_or_a_problem_with_its_number(tmp_path: Path) -> None:
    """Bad lines are named by number and reason, blank ones skipped, the rest is read."""
    content = b'{"a": 1}\n\noops\n[1]\n"x"\n7\nnull\n\xff\xfe{"b": 2}\r\n{"c": "\xe9"}\n{"d": 4}\n'
    assert _facts(_source(tmp_path, content)) == [
        (1, {"a": 1}),
        (3, "not valid JSON: unexpected character, expected a JSON value"),
        (4, "a JSON array, not an object"),
        (5, "a JSON string, not an object"),
        (6, "a JSON number, not an object"),
        (7, "a JSON null, not an object"),
        (8, NOT_UTF8),
        (9, NOT_UTF8),
        (10, {"d": 4}),
    ]


def test_a_last_line_without_end_is_read_and_a_cut_one_said_to_be_cut(tmp_path: Path) -> None:
    """A log that is still being written gives its whole lines, and says that the last one is cut off."""
    assert _facts(_source(tmp_path, b'{"a": 1}\n{"b": 2}')) == [(1, {"a": 1}), (2, {"b": 2})]
    *_, last = _facts(_source(tmp_path, b'{"a": 1}\n{"b": '))
    assert last == (2, "not valid JSON: unexpected end of data; the line is cut off")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_the_encoding(tmp_path: Path, encoding: str) -> None:
    """UTF-8, UTF-16 and UTF-32 with a byte-order mark are read like UTF-8."""
    content = '{"a": "häß"}\n{"b": 2}\n'.encode(encoding)
    assert _facts(_source(tmp_path, content)) == [(1, {"a": "häß"}), (2, {"b": 2})]


def test_broken_utf16_is_a_problem(tmp_path: Path) -> None:
    """UTF-16 that ends inside a character is reported, not raised."""
    assert _facts(_source(tmp_path, '{"a": 1}\n'.encode("utf-16") + b"\x00"))[-1] == (2, "not valid UTF-16")


def test_gzip_is_told_from_the_bytes(tmp_path: Path) -> None:
    """Packed logs are read whatever their name, also several archives in a row padded with zeros."""
    packed = gzip.compress(b'{"a": 1}\n') + gzip.compress(b'{"b": 2}\n') + b"\0" * 512
    assert _facts(_source(tmp_path, packed, "plain.jsonl")) == [(1, {"a": 1}), (2, {"b": 2})]


def test_damaged_gzip_gives_what_is_whole(tmp_path: Path) -> None:
    """Of a cut-off or damaged archive the readable lines come out, then one Problem."""
    lines = b"".join(b'{"n": %d, "x": "%s"}\n' % (n, bytes(str(n * 7919), "ascii")) for n in range(5000))
    packed = gzip.compress(lines)
    *records, last = _facts(_source(tmp_path, packed[: len(packed) // 2]))
    assert len(records) > 1000
    assert last[1] == "the gzip data is cut off"
    assert _facts(_source(tmp_path, packed + b"garbage"))[-1][1] == "the gzip data is damaged"


def test_a_decompression_bomb_is_stopped(tmp_path: Path) -> None:
    """An archive that unpacks to far more than a log would is given up early."""
    bomb = gzip.compress(b"x" * (64 * MIB))
    found = _facts(_source(tmp_path, bomb, unpacked=MIB))
    assert [reason for _, reason in found] == ["unpacks to far more than a log would (a decompression bomb?)"]


def test_a_huge_line_costs_neither_memory_nor_the_rest(tmp_path: Path) -> None:
    """A line of 200 MB is skipped with a Problem, within the line limit's memory, and reading goes on."""
    path = tmp_path / "log.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a": 1}\n')
        for _ in range(200):
            file.write(b"x" * MIB)
        file.write(b'\n{"b": 2}\n')
    tracemalloc.start()
    found = _facts(LogSource(path, Limits(line=4 * MIB)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [(1, {"a": 1}), (2, "the line is longer than 4 MiB"), (3, {"b": 2})]
    assert peak < 16 * MIB


def test_a_document_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    """A file that can only be read whole is not read when it is too large."""
    found = _source(tmp_path, b"[" + b"1," * MIB + b"1]", "a.json", document=MIB).document()
    assert isinstance(found, Problem)
    assert found.reason == "larger than 1 MiB, too large to read whole"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b" \n\n", "empty file"),
        (b"MZ\x00\x01binary", "a binary file, or text that is not UTF-8"),
        (b"PK\x03\x04rest", "a zip archive; unpack it first (unzip)"),
        (b"\x28\xb5\x2f\xfdrest", "zstd-compressed; unpack it first (zstd -d)"),
    ],
)
def test_what_cannot_be_a_log_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    """Empty, binary and foreign-packed files are each told apart."""
    head = _source(tmp_path, content).head
    assert isinstance(head, Problem)
    assert head.reason == reason


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    """A file that goes away before it is read is reported with the system's words."""
    head = LogSource(tmp_path / "gone.jsonl").head
    assert isinstance(head, Problem)
    assert head.reason.startswith("cannot be read: ")


def test_json_as_python_writes_it_is_read() -> None:
    """NaN, infinities, halved emoji, control characters and huge integers become what JSON can hold."""
    raw = b'{"a": NaN, "b": -Infinity, "c": "\\ud83d", "d": "\x01", "e": 123456789012345678901, "f": 1e999}'
    value = parse_json(raw)
    assert value == {"a": None, "b": None, "c": "\ufffd", "d": "\x01", "e": 1.2345678901234568e20, "f": None}
    orjson.dumps(value)


def test_nesting_beyond_what_can_be_written_is_refused() -> None:
    """Deep nesting is a Problem at any depth, also where the parser itself would give up."""
    for depth in (300, 1000, 100_000):
        with pytest.raises(JsonError, match=r"nested too deeply|not valid JSON"):
            parse_json(b"[" * depth + b"]" * depth)
    assert parse_json(b"[" * 200 + b"]" * 200)


def test_a_document_problem_names_its_line(tmp_path: Path) -> None:
    """An error in a JSON document is found by its line."""
    found = _source(tmp_path, b'{\n "a": 1,\n "b": oops\n}', "a.json").document()
    assert isinstance(found, Problem)
    assert found.line == 3


@pytest.mark.parametrize(
    "whole", ['{"a": [1, {"b": "x, ]}", "c": null}], "d": "e"}', '[[1, 2], {"k": "\\"q\\""}, true]']
)
def test_the_beginning_of_a_document_is_a_document(whole: str) -> None:
    """Cut anywhere, a JSON document still gives well-formed JSON of its beginning."""
    for cut in range(1, len(whole) + 1):
        text = close_open_json(whole[:cut])
        assert type(orjson.loads(text)) is type(orjson.loads(whole))
    assert orjson.loads(close_open_json(whole)) == orjson.loads(whole)


def test_lines_and_documents_are_told_apart(tmp_path: Path) -> None:
    """One value a line is seen even when some lines are bad, and a document even when it is cut off."""
    assert leading_values('{"a": 1}\nbad\n{"b": 2}\n{"c": 3}', complete=True)[1] is True
    assert leading_values('{"a": 1}\n', complete=True) == ([{"a": 1}], False)
    assert leading_values('[\n{"a": 1},\n{"b": 2}\n]', complete=True) == ([[{"a": 1}, {"b": 2}]], False)
    assert leading_values('[\n{"a": 1},\n{"b"', complete=False) == ([[{"a": 1}, {}]], False)
    long = _source(tmp_path, b'{"messages": [{"role": "user", "content": "' + b"x" * 200_000 + b'"}]}').head
    assert isinstance(long, Head)
    assert long.values == ({"messages": [{"role": "user"}]},)


def test_a_misnamed_document_is_still_a_document(tmp_path: Path) -> None:
    """A JSON document is read as one also under a name that promises lines; one line goes by the name."""
    for content, lines in (
        (b'[\n{"role": "user"}\n]\n', False),
        (b'[{"role": "user"}]\n', False),
        (b'{"role": "user"}\n', True),
        (b"oops\n", True),
    ):
        head = _source(tmp_path, content).head
        assert isinstance(head, Head)
        assert head.lines is lines


def test_records_carry_line_and_value(tmp_path: Path) -> None:
    """A record says on which line it stands."""
    assert list(_source(tmp_path, b'\n{"a": 1}\n').records()) == [Record(2, {"a": 1})]
