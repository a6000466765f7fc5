"""Event logs of AG2 1.x: the files under ``/log/`` of a knowledge store, on disk or in its SQLite file.

A stream is a run. What compaction took out of a stream stands in files of its own beside the log, numbered;
they come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from skillsmith.capture.importers.ag2_stream import Stream, class_of, plain
from skillsmith.capture.importers.base import mapping, text_or_none
from skillsmith.capture.importers.jsontext import JsonError, parse_json
from skillsmith.capture.importers.registry import Bundle, Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.errors import StorageError
from skillsmith.foreign import ForeignDatabase, open_foreign
from skillsmith.models import Json, Problem, RunRecord

NAME = "ag2-events"
_FILE = re.compile(r"(?P<stream>.+?)(?:\.dropped-(?P<part>[0-9]{1,9}))?\.jsonl")
_LAST = 10**9  # the log itself, after all that was dropped from it
_MARKER = ".initialized"  # holds the name of the agent that made the store
_LONGEST_NAME = 200
_CLASS = re.compile(r"(?:ag2|autogen\.beta)\.[\w.]+")
_TABLE, _COLUMNS = "entries", {"path", "content"}


def sniff(head: Head) -> float:
    """Return how surely a file is an event log or a knowledge store."""
    if _TABLE in head.tables:
        return 0.6
    if not head.lines or not head.objects:
        return 0.0
    known = sum(_is_event(value) for value in head.objects) / len(head.objects)
    named = any(_CLASS.match(text_or_none(value.get("type")) or "") for value in head.objects)
    return 0.97 * known if named else 0.0


def _is_event(value: Mapping[str, Json]) -> bool:
    return "." in (text_or_none(value.get("type")) or "") and isinstance(value.get("data"), dict)


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield the runs of a store, or the run of a single log."""
    yield from _parse_store(source) if source.is_database else parse_parts([source])


def parse_parts(sources: Sequence[LogSource]) -> Iterator[RunRecord | Problem]:
    """Yield the run that a log and what was dropped from it are."""
    stream = Stream(_agent_beside(sources[0]))
    for source in sources:
        for record in source.records():
            if isinstance(record, Problem):
                yield record
            elif _is_event(record.value):
                _add(stream, record.value)
            else:
                yield source.problem("not an event of AG2", record.line)
    yield _finished(stream, stream_of(sources[0].name)) or sources[0].problem(
        "an event log in which nothing happened"
    )


def _add(stream: Stream, value: Mapping[str, Json]) -> None:
    stream.add(class_of(value.get("type")), mapping(plain(value.get("data"))))


def _finished(stream: Stream, stream_id: str) -> RunRecord | None:
    stream.finish()
    events = stream.timeline.events
    if not events:
        return None
    said = (event.content for event in events if event.role == "user")
    models = list(stream.models)
    return RunRecord(
        source=NAME,
        native_id=stream_id,
        task=next((text for text in said if text), ""),
        metadata={"models": models} if models else {},
        events=tuple(events),
    )


def part_of(name: str) -> int | None:
    """Return the place of a file among those of its stream."""
    found = _FILE.fullmatch(name)
    return None if found is None else int(found["part"]) if found["part"] else _LAST


def stream_of(name: str) -> str:
    """Return the stream that a file belongs to."""
    found = _FILE.fullmatch(name)
    return found["stream"] if found else name


def _agent_beside(source: LogSource) -> str | None:
    """Return the agent whose store the log is in; a store's marker names it."""
    marker = source.path.parent.parent / _MARKER
    if source.path.parent.name != "log" or not marker.is_file():
        return None
    try:
        with marker.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LONGEST_NAME).strip() or None
    except OSError:  # it only has a name to give
        return None


def _parse_store(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield the runs of a knowledge store in SQLite."""
    try:
        with open_foreign(source.path) as database:
            if not set(database.tables().get(_TABLE, ())) >= _COLUMNS:
                yield source.problem("a SQLite file, but no knowledge store of AG2")
                return
            agent, logs = _logs(database)
    except StorageError as error:
        yield source.problem(f"{error.message.removeprefix(f'{source.path}: ')}; {error.hint}")
        return
    for stream_id, parts in logs.items():
        stream = Stream(agent)
        for name, content in (part[1:] for part in sorted(parts)):
            yield from _add_lines(source, stream, name, content.split(b"\n"))
        if record := _finished(stream, stream_id):
            yield record
    if not logs:
        yield source.problem("a knowledge store of AG2 without event logs (write_event_log was off)")


def _logs(database: ForeignDatabase) -> tuple[str | None, dict[str, list[tuple[int, str, bytes]]]]:
    """Return the agent that made a store, and its logs by stream, each in parts."""
    agent: str | None = None
    logs: dict[str, list[tuple[int, str, bytes]]] = {}
    for row in database.rows(_TABLE):
        path = PurePosixPath(str(row["path"]))
        content = row["content"] if isinstance(row["content"], bytes) else str(row["content"]).encode()
        part = part_of(path.name)
        if path.parent.name == "log" and part is not None:
            logs.setdefault(stream_of(path.name), []).append((part, path.name, content))
        elif path.name == _MARKER:
            agent = content.decode("utf-8", "replace").strip()[:_LONGEST_NAME] or None
    return agent, logs


def _add_lines(source: LogSource, stream: Stream, name: str, lines: Iterable[bytes]) -> Iterator[Problem]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except JsonError as error:
            yield source.problem(f"{name}, line {number}: {error}")
            continue
        if isinstance(value, dict) and _is_event(value):
            _add(stream, value)
        else:
            yield source.problem(f"{name}, line {number}: not an event of AG2")


IMPORTER = Importer(
    name=NAME,
    description="AG2 1.x event logs (log/STREAM.jsonl) and knowledge stores in SQLite",
    sniff=sniff,
    parse=parse,
    bundle=Bundle(part=part_of, parse=parse_parts, key=stream_of),
)
