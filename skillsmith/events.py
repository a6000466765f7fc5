"""The append-only event log: append, replay from a sequence number, follow live, search.

An event is written once and never changed. What a kind is about (message text, tool arguments, tool
result, code, output) always stands in the ``content`` column, so that one threshold decides what becomes a
blob and one index searches it all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import Any

from skillsmith.blobs import BlobStore
from skillsmith.columns import countable, dump_json, load_json, parse_json, storable
from skillsmith.db import Database, IntegrityError, Row, page
from skillsmith.models import CodeUse, Event, EventKind, Json, ToolUse
from skillsmith.models.quick import maker
from skillsmith.word_pieces import in_pieces, indexed, term

__all__ = [
    "INDEXED_CHARS", "INDEX_BATCH", "INLINE_CHARS", "RANKED_HITS", "EventLog", "EventRow", "content_of",
    "dump_json", "event_of", "event_row", "fts_query", "insert_rows", "load_json", "parse_json", "row_of",
    "searchable", "storable",
]  # fmt: skip

INLINE_CHARS = 4096
"""Longer content goes to a blob."""

INDEX_BATCH = 1000
INDEXED_CHARS = 100_000
"""Of a longer text only the beginning is searchable."""

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

_CONTENT = 6
"""Where the content stands in an ``EventRow``; behind it its blob."""

_MOST_ROWS = 64
"""Rows of one statement: powers of two up to this, so that few statements have to be compiled."""


class EventRow(tuple[Any, ...]):
    """What the table holds of an event, from ``step`` on; its content is whole, however long."""

    __slots__ = ()


def event_row(  # noqa: PLR0913  (what an event has)
    kind: str,
    *,
    step: int = 1,
    role: str | None = None,
    agent: str | None = None,
    recipient: str | None = None,
    at: float | None = None,
    content: str | None = None,
    reasoning: str | None = None,
    tool: ToolUse | None = None,
    code: CodeUse | None = None,
    data: Mapping[str, Json] | None = None,
    duration_seconds: float | None = None,
    tokens_in: int | None = None,
    tokens_out: int | None = None,
    cost_usd: float | None = None,
    record_id: str | None = None,
) -> EventRow:
    """Return the row of an event with these fields; its texts may hold what SQLite cannot."""
    if tool is not None or code is not None:
        content = _content(kind, content, tool, code)
    if data and (type(data) is not dict or not _RESERVED.isdisjoint(data)):
        data = {"data": data} if data.keys() & _RESERVED else dict(data)
    if tool is not None or code is not None or record_id:
        data = {**(data or {}), **_facts_of(tool, code, record_id)}
    return EventRow((
        step, kind, role, agent, recipient, at, content, None, reasoning, dump_json(data) if data else None,
        duration_seconds, countable(tokens_in), countable(tokens_out), cost_usd,
    ))  # fmt: skip


def row_of(event: Event) -> EventRow:
    """Return an event's row."""
    (step, kind, role, agent, recipient, at, content, blob, reasoning, *rest) = event_row(
        event.kind, step=event.step, role=event.role, agent=event.agent, recipient=event.recipient,
        at=event.at, content=event.content, reasoning=event.reasoning, tool=event.tool, code=event.code,
        data=event.data, duration_seconds=event.duration_seconds, tokens_in=event.tokens_in,
        tokens_out=event.tokens_out, cost_usd=event.cost_usd, record_id=event.record_id,
    )  # fmt: skip
    return EventRow((
        step, kind, storable(role), storable(agent), storable(recipient), at, storable(content), blob,
        storable(reasoning), *rest,
    ))  # fmt: skip


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
        return self.append_rows(run, [row_of(event) for event in events], last=last)

    def append_rows(self, run: int, rows: Sequence[EventRow], *, last: int | None = None) -> int:
        """Do ``append`` for events that are rows already."""
        if last is not None:
            with suppress(IntegrityError):
                return self._append(run, rows, last)
        with self._db.transaction():
            last = self._db.scalar("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?", (run,))
            return self._append(run, rows, int(last or 0))

    def _append(self, run: int, rows: Sequence[EventRow], last: int) -> int:
        if len(rows) == 1 and len(rows[0][_CONTENT] or "") <= INLINE_CHARS:
            # The capture of a live run may write one event at a time: a statement is its own transaction.
            insert_rows(self._db, _INSERT, [(run, last + 1, *rows[0])])
        else:
            with self._db.transaction():
                whole = [
                    (run, seq, *(row if len(row[_CONTENT] or "") <= INLINE_CHARS else self._outside(row)))
                    for seq, row in enumerate(rows, last + 1)
                ]
                insert_rows(self._db, _INSERT, whole)
        return last + len(rows)

    def _outside(self, row: EventRow) -> tuple[Any, ...]:
        """Store the content beside the table, and return the row that points to it."""
        digest = self._blobs.put(row[_CONTENT].encode())
        return *row[:_CONTENT], None, digest, *row[_CONTENT + 2 :]

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
        return _event(
            seq, step, kind, role, agent, recipient, at, content, reasoning, text, duration, tokens_in,
            tokens_out, cost,
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
                texts = [(row["id"], indexed(searchable(self.event(row))[:INDEXED_CHARS])) for row in rows]
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


def event_of(row: EventRow) -> Event:
    """Return the event that a row was made of."""
    return _event(0, *row[: _CONTENT + 1], *row[_CONTENT + 2 :])


def _event(  # noqa: PLR0913, PLR0917  (the columns in their order: made for each row that is read)
    seq: int, step: int, kind: EventKind, role: str | None, agent: str | None, recipient: str | None,
    at: float | None, content: str | None, reasoning: str | None, text: str | None, duration: float | None,
    tokens_in: int | None, tokens_out: int | None, cost: float | None,
) -> Event:  # fmt: skip
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


def fts_query(text: str, *, operator: str = "OR") -> str:
    """Return an FTS5 expression over the words of any text; empty when it has none."""
    return f" {operator} ".join(map(term, re.findall(r"\w+", in_pieces(text))))


def content_of(event: Event) -> str | None:
    """Return the text an event is about, whatever its kind."""
    return _content(event.kind, event.content, event.tool, event.code)


def _content(kind: str, content: str | None, tool: ToolUse | None, code: CodeUse | None) -> str | None:
    if kind == "tool_call" and tool:
        return tool.arguments
    if kind == "tool_result" and tool:
        return tool.result
    if kind == "code" and code:
        return code.text
    if kind == "code_result" and code:
        return code.output
    return content


def searchable(event: Event) -> str:
    """Return everything in an event that a person might search for."""
    parts = (event.tool.name if event.tool else None, content_of(event), event.reasoning)
    return "\n".join(part for part in parts if part)


def _facts_of(tool: ToolUse | None, code: CodeUse | None, record_id: str | None) -> dict[str, Json]:
    facts: dict[str, Json] = {}
    if tool:
        facts["tool"] = _present(name=tool.name, call_id=tool.call_id, error=tool.error)
    if code:
        facts["code"] = _present(language=code.language, call_id=code.call_id, exit_code=code.exit_code)
    if record_id:
        facts["record_id"] = record_id
    return facts


def _present(**fields: Json) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}


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
