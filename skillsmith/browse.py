"""What a browser asks of a file of any size: keys of all rows, a page of rows, the next event of a kind.

A run's sequence numbers are dense from 1, so a place in a timeline is arithmetic and a page of it is one
range of an index. Rows for lists carry the beginning of an event's text; the whole event is read when it is
looked at.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from skillsmith.blobs import BlobStore
from skillsmith.db import Database, Row
from skillsmith.errors import NotFoundError
from skillsmith.events import EventLog, dump_json
from skillsmith.models import Event, Run
from skillsmith.runs import RunRepository
from skillsmith.word_pieces import in_pieces, term

TEXT_CHARS: Final = 240
"""Of an event's text that a list shows."""

MENTIONS: Final = 20_000
"""Of the events with the words searched for, so many of the newest are looked at."""

_ROW: Final = f"""
SELECT seq, step, kind, role, agent, recipient, at, substr(content, 1, {TEXT_CHARS}) AS content, blob,
       substr(reasoning, 1, {TEXT_CHARS}) AS reasoning, data ->> '$.tool.name' AS tool,
       data ->> '$.tool.error' AS error, data ->> '$.code.language' AS language,
       data ->> '$.code.exit_code' AS exit_code,
       coalesce(data ->> '$.model', data ->> '$.event', data ->> '$.name') AS name,
       duration_seconds, tokens_in, tokens_out, cost_usd
FROM events
"""  # noqa: S608  (one number of ours)
_IS_ERROR: Final = (
    "(kind = 'error' OR (kind IN ('tool_result', 'code_result') AND (data ->> '$.tool.error' IS NOT NULL"
    " OR coalesce(data ->> '$.code.exit_code', 0) <> 0)))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are wanted; None: any.

    Args:
        words: Words of the task or of events; the last one may be unfinished.
        agent: Part of an agent's name.
    """

    words: str | None = None
    outcome: str | None = None
    source: str | None = None
    status: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLine:
    """An event as a list shows it.

    Args:
        text: The beginning of what it is about.
        name: The tool's, model's or skill event's name, or the code's language.
        error: What went wrong; None: nothing did.
        duration_seconds: What the log says it took.
        idle_seconds: Until the next event began, where the times are known.
    """

    seq: int
    step: int
    kind: str
    role: str | None
    agent: str | None
    recipient: str | None
    at: float | None
    text: str
    name: str | None
    error: str | None
    duration_seconds: float | None
    idle_seconds: float | None
    tokens: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a run that was looked through.

    Args:
        last: Its last sequence number.
        starts: Where another step begins: sequence number and step.
        longest_seconds: The longest duration of an event in it.
    """

    last: int
    starts: tuple[tuple[int, int], ...]
    longest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which event is looked for; what is None does not matter.

    Args:
        text: A part of its text, reasoning or names, in any case.
        errors: Only what went wrong.
    """

    kind: str | None = None
    agent: str | None = None
    text: str | None = None
    errors: bool = False


class Browser:
    """Answers a browser's questions.

    Args:
        db: The connection; searching for words brings the full text up to date and needs one that writes.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._log = EventLog(db)
        self._runs = RunRepository(db)
        self._blobs = BlobStore(db)

    def run_keys(self, wanted: RunFilter) -> array[int]:
        """Return primary keys of runs, newest first."""
        where, params = ["1"], list[Any]()
        for column in ("outcome", "source", "status"):
            value = getattr(wanted, column)
            if value is not None:
                where.append(f"{column} LIKE ? ESCAPE '\\'")
                params.append(f"{_escaped(value)}%")
        if wanted.agent:
            where.append("agents LIKE ? ESCAPE '\\'")
            params.append(f"%{_escaped(wanted.agent)}%")
        words = (wanted.words or "").split()
        if words:
            in_task = " AND ".join("task LIKE ? ESCAPE '\\'" for _ in words)
            where.append(f"(pk IN (SELECT value FROM json_each(?)) OR ({in_task}))")  # noqa: S608  (question marks only)
            params += [
                dump_json(self._mentioning(" ".join(words))),
                *(f"%{_escaped(word)}%" for word in words),
            ]
        sql = f"SELECT pk FROM runs WHERE {' AND '.join(where)} ORDER BY pk DESC"  # noqa: S608  (fixed column names)
        return array("q", (row[0] for row in self._db.execute(sql, params)))

    def _mentioning(self, words: str) -> list[int]:
        self._log.index_pending()
        query = _as_you_type(words)
        if not query:
            return []
        rows = self._db.all(
            "SELECT DISTINCT run FROM events WHERE id IN"
            " (SELECT rowid FROM events_fts WHERE events_fts MATCH ? ORDER BY rowid DESC LIMIT ?)",
            (query, MENTIONS),
        )
        return [row[0] for row in rows]

    def runs(self, keys: Sequence[int]) -> list[Run | None]:
        """Return the runs with these primary keys, in their order; None: it is gone by now."""
        rows = self._db.all(
            "SELECT pk, id FROM runs WHERE pk IN (SELECT value FROM json_each(?))", (dump_json(list(keys)),)
        )
        found = {row["pk"]: row["id"] for row in rows}
        return [self._runs.get(found[key]) if key in found else None for key in keys]

    def event_count(self, run: int) -> int:
        """Return a run's last sequence number."""
        return int(self._db.scalar("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?", (run,)))

    def lines(self, run: int, first: int, count: int) -> list[EventLine]:
        """Return a page of a run's events.

        Args:
            run: Primary key.
            first: The first sequence number.
            count: How many at most.
        """
        rows = self._db.all(
            f"{_ROW} WHERE run = ? AND seq >= ? AND seq <= ? ORDER BY seq",
            (run, first, first + count),
        )
        following = [*rows[1:], None]
        return [self._line(row, after) for row, after in zip(rows, following, strict=True)][:count]

    def _line(self, row: Row, following: Row | None) -> EventLine:
        text = row["content"]
        if text is None and row["blob"]:
            text = self._blobs.beginning(row["blob"], 4 * TEXT_CHARS).decode(errors="ignore")[:TEXT_CHARS]
        return EventLine(
            seq=row["seq"], step=row["step"], kind=row["kind"], role=row["role"], agent=row["agent"],
            recipient=row["recipient"], at=row["at"], text=text or row["reasoning"] or "",
            name=row["tool"] or row["language"] or row["name"], error=_error(row),
            duration_seconds=row["duration_seconds"],
            idle_seconds=_idle(row, following),
            tokens=(row["tokens_in"] or 0) + (row["tokens_out"] or 0), cost_usd=row["cost_usd"],
        )  # fmt: skip

    def event(self, run: int, seq: int) -> Event:
        """Return one event whole.

        Raises:
            NotFoundError: The run has no such event.
        """
        found = next(self._log.replay(run, after=seq - 1, window=1), None)
        if found is None or found.seq != seq:
            raise NotFoundError(f"the run has no event {seq}")
        return found

    def step_titles(self, run: int) -> dict[int, str]:
        """Return the titles of a run's steps that have one."""
        rows = self._db.all("SELECT step, title FROM steps WHERE run = ? AND title IS NOT NULL", (run,))
        return {row["step"]: row["title"] for row in rows}

    def stretch(self, run: int, *, after: int, count: int) -> Stretch:
        """Look through part of a run for where its steps begin.

        Args:
            run: Primary key.
            after: The last sequence number looked at before; 0: none.
            count: How many events at most.
        """
        rows = self._db.all(
            "SELECT seq, step FROM (SELECT seq, step, lag(step) OVER (ORDER BY seq) AS before FROM events"
            " WHERE run = ? AND seq >= ? AND seq <= ?) WHERE before IS NOT step AND seq > ?",
            (run, after, after + count, after),
        )
        facts = self._db.one(
            "SELECT max(seq) AS last, max(duration_seconds) AS longest FROM events"
            " WHERE run = ? AND seq > ? AND seq <= ?",
            (run, after, after + count),
        )
        starts = tuple((row["seq"], row["step"]) for row in rows)
        assert facts is not None
        return Stretch(facts["last"] or after, starts, facts["longest"] or 0.0)

    def find(self, run: int, wanted: Wanted, *, start: int, backwards: bool = False) -> int | None:
        """Return the sequence number of the nearest event that is wanted; None: there is none.

        Args:
            run: Primary key.
            wanted: What is looked for.
            start: Look beyond this sequence number.
            backwards: Towards the beginning.
        """
        where, params = ["run = ?", f"seq {'<' if backwards else '>'} ?"], [run, start]
        for column in ("kind", "agent"):
            value = getattr(wanted, column)
            if value is not None:
                where.append(f"{column} = ?")
                params.append(value)
        if wanted.errors:
            where.append(_IS_ERROR)
        if wanted.text:
            return self._find_text(where, params, wanted.text, backwards=backwards)
        found: int | None = self._db.scalar(_first(where, backwards=backwards), params)
        return found

    def _find_text(self, where: list[str], params: list[Any], text: str, *, backwards: bool) -> int | None:
        """Look for text in content, reasoning and names; in long contents through the full text."""
        like = f"%{_escaped(text)}%"
        query = _as_you_type(text)
        columns = ("content", "reasoning", "data ->> '$.tool.name'", "agent")
        parts = [f"{column} LIKE ? ESCAPE '\\'" for column in columns]
        values = [like] * len(parts)
        if query:
            self._log.index_pending()
            parts.append(
                "(blob IS NOT NULL AND id IN (SELECT rowid FROM events_fts WHERE events_fts MATCH ?))"
            )
            values.append(query)
        sql = _first([*where, f"({' OR '.join(parts)})"], backwards=backwards)
        found: int | None = self._db.scalar(sql, [*params, *values])
        return found


def _first(where: Sequence[str], *, backwards: bool) -> str:
    direction = "DESC" if backwards else "ASC"
    return f"SELECT seq FROM events WHERE {' AND '.join(where)} ORDER BY seq {direction} LIMIT 1"  # noqa: S608  (conditions of ours with question marks)


def _idle(row: Row, following: Row | None) -> float | None:
    """Return how long nothing was written; an event is written when it ends."""
    if following is None or following["at"] is None or row["at"] is None:
        return None
    return max(float(following["at"] - row["at"] - (following["duration_seconds"] or 0.0)), 0.0)


def _error(row: Row) -> str | None:
    if row["kind"] == "error":
        return str(row["content"] or "error")
    if row["error"] is not None:
        return str(row["error"])
    return f"exit code {row['exit_code']}" if row["exit_code"] else None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _as_you_type(text: str) -> str:
    """Return a full-text query for all of the words, the last of which may be unfinished."""
    words = re.findall(r"\w+", in_pieces(text))
    return " AND ".join(f'"{word}"*' if word == words[-1] else term(word) for word in words)
