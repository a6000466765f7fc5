"""The append-only event log: append, replay from a sequence number, follow live, search.

An event is written once and never changed. What a kind is about (message text, tool arguments, tool
result, code, output) always stands in the ``content`` column, so that one threshold decides what becomes a
blob and one index searches it all.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson

from skillsmith.blobs import BlobStore
from skillsmith.db import Database, IntegrityError, Row, page
from skillsmith.models import CodeUse, Event, Json, ToolUse
from skillsmith.models.quick import maker

INLINE_CHARS = 4096
"""Longer content goes to a blob."""

INDEX_BATCH = 1000
INDEXED_CHARS = 100_000
"""Of a longer text only the beginning is searchable."""

_MAX_INTEGER = 2**63 - 1
_MAX_DEPTH = 100
_LONG_NUMBER = re.compile("[0-9]{19}")
_RESERVED = frozenset({"tool", "code", "record_id", "data"})
"""Keys of the data column; an event's own data that uses one of them goes one level down."""

_INSERT = (
    "INSERT INTO events (run, seq, step, kind, role, agent, recipient, at, content, blob, reasoning, data,"
    " duration_seconds, tokens_in, tokens_out, cost_usd)"
)
_NEWEST_HITS = "SELECT rowid FROM events_fts WHERE events_fts MATCH ? AND rowid >= ? ORDER BY rowid DESC {}"
_BEST_HITS = "SELECT rowid FROM events_fts WHERE events_fts MATCH ? AND rowid >= ? ORDER BY rank LIMIT ?"
RANKED_HITS = 1000
"""So many of the newest events with the words are ranked: all of a common word's would take half a second."""

_MOST_ROWS = 64
"""Rows of one statement: powers of two up to this, so that few statements have to be compiled."""


class EventLog:
    """Append and read the events of runs.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._blobs = BlobStore(db)

    def append(self, run: int, events: Sequence[Event], *, last: int | None = None) -> int:
        """Append events to a run in one transaction and return the last sequence number.

        Args:
            run: The run's primary key.
            events: In order; their ``seq`` is assigned here.
            last: The run's last sequence number, where it is known; another writer may have gone on since.
        """
        if last is not None:
            with suppress(IntegrityError):
                return self._append(run, events, last)
        with self._db.transaction():
            last = self._db.scalar("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?", (run,))
            return self._append(run, events, int(last or 0))

    def _append(self, run: int, events: Sequence[Event], last: int) -> int:
        if len(events) == 1 and len(content_of(events[0]) or "") <= INLINE_CHARS:
            # The capture of a live run may write one event at a time: a statement is its own transaction.
            insert_rows(self._db, _INSERT, [self._row(run, last + 1, events[0])])
        else:
            with self._db.transaction():
                rows = [self._row(run, last + offset, event) for offset, event in enumerate(events, 1)]
                insert_rows(self._db, _INSERT, rows)
        return last + len(events)

    def _row(self, run: int, seq: int, event: Event) -> tuple[Any, ...]:
        content = storable(content_of(event))
        blob = None
        if content is not None and len(content) > INLINE_CHARS:
            blob, content = self._blobs.put(content.encode()), None
        return (
            run, seq, event.step, event.kind, storable(event.role), storable(event.agent),
            storable(event.recipient), event.at, content, blob, storable(event.reasoning), _data_of(event),
            event.duration_seconds, _countable(event.tokens_in), _countable(event.tokens_out),
            event.cost_usd,
        )  # fmt: skip

    def replay(
        self,
        run: int,
        *,
        after: int = 0,
        kind: str | None = None,
        agent: str | None = None,
        step: int | None = None,
        window: int = 256,
    ) -> Iterator[Event]:
        """Yield a run's events in order, from the one after sequence number ``after``."""
        filters = {"kind": kind, "agent": agent, "step": step}
        chosen = {column: value for column, value in filters.items() if value is not None}
        where = "".join(f" AND {column} = ?" for column in chosen)
        sql = f"SELECT * FROM events /*key: seq*/ WHERE run = ?{where} AND {{after}} ORDER BY seq LIMIT ?"  # noqa: S608  (column names from the dictionary above)
        rows = page(
            self._db, sql, key=lambda row: (row["seq"],), params=(run, *chosen.values()),
            after=(after,), window=window,
        )  # fmt: skip
        for row in rows:
            yield self.event(row)

    def follow(self, run: int, *, after: int = 0, poll_seconds: float = 0.05) -> Iterator[Event]:
        """Yield events as other connections commit them, until the run is no longer running."""
        seen: int = after
        version = -1
        while True:
            running = self._db.scalar("SELECT status = 'running' FROM runs WHERE pk = ?", (run,))
            current = self._db.data_version()
            if current != version:
                version = current
                for event in self.replay(run, after=seen):
                    seen = event.seq
                    yield event
            if not running:
                return
            time.sleep(poll_seconds)

    def event(self, row: Row) -> Event:
        """Build an event from a row of the table.

        Args:
            row: All columns in the table's order.
        """
        (_, _, seq, step, kind, role, agent, recipient, at, content, blob, reasoning, text, duration,
         tokens_in, tokens_out, cost) = row  # fmt: skip
        if blob is not None:
            content = self._blobs.get(blob).decode()
        tool = code = data = record_id = None
        if text is not None:
            data = load_json(text)
            record_id = data.pop("record_id", None)
            tool = _tool(kind, data.pop("tool", None), content)
            code = _code(kind, data.pop("code", None), content)
            data = data.pop("data", data) or None
            content = content if tool is None and code is None else None
        return _built(
            kind, seq, at, step, role, agent, recipient, content, reasoning, tool, code, data, duration,
            tokens_in, tokens_out, cost, record_id,
        )  # fmt: skip

    def index_pending(self) -> int:
        """Bring full text up to the last event, in batches, and return how many events were added.

        Filling it inside the capture transaction would cost ten times the event itself. A file that may
        not be written stays as it is.
        """
        if self._db.readonly:
            return 0
        added = 0
        while True:
            with self._db.transaction():
                done = int(self._db.scalar("SELECT value FROM meta WHERE key = 'fts_watermark'") or 0)
                rows = self._db.all(
                    "SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", (done, INDEX_BATCH)
                )
                if not rows:
                    return added
                texts = [(row["id"], searchable(self.event(row))[:INDEXED_CHARS]) for row in rows]
                self._db.executemany("INSERT INTO events_fts (rowid, text) VALUES (?, ?)", texts)
                self._db.execute(
                    "INSERT INTO meta (key, value) VALUES ('fts_watermark', ?)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (str(rows[-1]["id"]),),
                )
            added += len(rows)

    def reindex(self) -> int:
        """Rebuild full text from nothing and return how many events it holds."""
        with self._db.transaction():
            self._db.execute("DELETE FROM meta WHERE key = 'fts_watermark'")
            self._db.execute("INSERT INTO events_fts (events_fts) VALUES ('delete-all')")
        return self.index_pending()

    def runs_mentioning(self, text: str, *, limit: int = 1000) -> list[int]:
        """Return primary keys of runs with an event that holds all words of the text, newest first."""
        self.index_pending()
        query = fts_query(text, operator="AND")
        if not query:
            return []
        rows = self._db.all(
            "SELECT DISTINCT run FROM events WHERE id IN"
            " (SELECT rowid FROM events_fts WHERE events_fts MATCH ? ORDER BY rowid DESC LIMIT ?)"
            " ORDER BY run DESC",
            (query, limit),
        )
        return [row[0] for row in rows]

    def search(self, text: str, *, ranked: bool = False, limit: int = 20) -> list[tuple[int, Event]]:
        """Return the events that hold all words of the text, each with its run's primary key.

        Args:
            text: Words, in any order.
            ranked: Best first, among the newest that have the words; else newest first.
            limit: At most so many.
        """
        self.index_pending()
        query = fts_query(text, operator="AND")
        if not query:
            return []
        oldest = 0
        if ranked:
            last = self._db.scalar(_NEWEST_HITS.format("LIMIT 1 OFFSET ?"), (query, 0, RANKED_HITS - 1))
            oldest = last or 0
        sql = _BEST_HITS if ranked else _NEWEST_HITS.format("LIMIT ?")
        found = [row[0] for row in self._db.all(sql, (query, oldest, limit))]
        rows = [self._db.one("SELECT * FROM events WHERE id = ?", (key,)) for key in found]
        return [(row["run"], self.event(row)) for row in rows if row is not None]


def insert_rows(db: Database, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows in as few steps as can be: each gives the interpreter away and has to get it back.

    Args:
        db: The connection.
        statement: All of it up to VALUES.
        rows: Their values, as many in each.
    """
    start = 0
    while start < len(rows):
        count = min(1 << (len(rows) - start).bit_length() - 1, _MOST_ROWS)
        values = rows[start] if count == 1 else tuple(chain.from_iterable(rows[start : start + count]))
        db.execute(_inserting(statement, count, len(rows[start])), values)
        start += count


@lru_cache(maxsize=64)
def _inserting(statement: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"{statement} VALUES {', '.join([row] * rows)}"


_built = maker(Event)


def storable(text: str | None) -> str | None:
    """Return text that SQLite can hold: lone surrogates, which UTF-8 cannot encode, become U+FFFD."""
    if text is None or text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _countable(number: int | None) -> int | None:
    """Return a count that SQLite can hold; what a damaged log claims beyond that is not known."""
    return None if number is None or abs(number) > _MAX_INTEGER else number


def fts_query(text: str, *, operator: str = "OR") -> str:
    """Return an FTS5 expression over the words of any text; empty when it has none."""
    return f" {operator} ".join(f'"{word}"' for word in re.findall(r"\w+", text))


def content_of(event: Event) -> str | None:
    """Return the text an event is about, whatever its kind."""
    tool, code = event.tool, event.code
    if event.kind == "tool_call" and tool:
        return tool.arguments
    if event.kind == "tool_result" and tool:
        return tool.result
    if event.kind == "code" and code:
        return code.text
    if event.kind == "code_result" and code:
        return code.output
    return event.content


def searchable(event: Event) -> str:
    """Return everything in an event that a person might search for."""
    parts = (event.tool.name if event.tool else None, content_of(event), event.reasoning)
    return "\n".join(part for part in parts if part)


def _data_of(event: Event) -> str | None:
    data: dict[str, Json] = dict(event.data or {})
    if data.keys() & _RESERVED:
        data = {"data": data}
    if event.tool:
        data["tool"] = _present(name=event.tool.name, call_id=event.tool.call_id, error=event.tool.error)
    if event.code:
        code = {
            "language": event.code.language,
            "call_id": event.code.call_id,
            "exit_code": event.code.exit_code,
        }
        data["code"] = {name: value for name, value in code.items() if value is not None}
    if event.record_id:
        data["record_id"] = event.record_id
    return dump_json(data) if data else None


def _present(**fields: Json) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}


def dump_json(value: Json) -> str:
    """Write JSON for a column; what JSON cannot hold becomes its text form.

    Integers beyond 64 bits are kept. The fast reader would make floats of them, so text that holds any begins
    with a space, which tells ``load_json`` to read it slowly.
    """
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # lone surrogates, huge integers, keys of other types, cycles, very deep nesting
        return " " + json.dumps(_plain(value, ()), ensure_ascii=False, separators=(",", ":"))


def load_json(text: str) -> Json:
    """Read JSON that ``dump_json`` wrote."""
    return json.loads(text) if text.startswith(" ") else orjson.loads(text)


def parse_json(text: str) -> Json:
    """Read JSON that someone else wrote, with integers of any size.

    Raises:
        ValueError: It is not JSON.
    """
    value = orjson.loads(text)
    return json.loads(text) if _LONG_NUMBER.search(text) else value


def _plain(value: Json, around: tuple[int, ...]) -> Json:
    """Return what the standard library can write: cycles and what is nested too deeply are cut."""
    if value is None or isinstance(value, (bool, int, str)):
        return storable(value) if isinstance(value, str) else value
    if id(value) in around or len(around) > _MAX_DEPTH:
        return "…"
    inner = (*around, id(value))
    if isinstance(value, Mapping):
        return {storable(str(key)): _plain(item, inner) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, inner) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return storable(str(value))


def _tool(kind: str, fields: dict[str, Any] | None, content: str | None) -> ToolUse | None:
    if fields is None:
        return None
    if kind == "tool_call":
        return ToolUse(**fields, arguments=content, parsed=_parse(content))
    if kind == "tool_result":
        return ToolUse(**fields, result=content)
    return ToolUse(**fields)


def _parse(arguments: str | None) -> Json:
    try:
        return parse_json(arguments) if arguments else None
    except ValueError:
        return None


def _code(kind: str, fields: dict[str, Any] | None, content: str | None) -> CodeUse | None:
    if fields is None:
        return None
    if kind == "code":
        return CodeUse(**fields, text=content)
    return CodeUse(**fields, output=content)
