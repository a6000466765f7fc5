"""What AG2 Classic's ``runtime_logging`` wrote into SQLite: a session is a run.

Only model calls name their session. Events and function calls are given to the session that knows their
agent, else to the one that had begun last. The file is opened for reading only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from skillsmith.capture.importers.ag2_session import Session
from skillsmith.capture.importers.base import epoch
from skillsmith.capture.importers.registry import Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.errors import StorageError
from skillsmith.foreign import ForeignDatabase, open_foreign
from skillsmith.models import Problem, RunRecord

NAME = "ag2-classic"
_NEEDED: Mapping[str, frozenset[str]] = {
    "chat_completions": frozenset({"session_id", "request", "response", "end_time"}),
    "agents": frozenset({"agent_id", "session_id", "name", "class", "timestamp"}),
}
_LATER: Mapping[str, frozenset[str]] = {
    "events": frozenset({"event_name", "source_id", "source_name", "json_state", "timestamp"}),
    "function_calls": frozenset({"source_id", "function_name", "args", "returns", "timestamp"}),
}
"""Tables that the first versions did not have."""
_RECEIVED = 2  # of what happens at one moment, a message's arrival comes last
Row = dict[str, Any]


def sniff(head: Head) -> float:
    """Return how surely a file is such a log."""
    return 0.95 if head.tables >= _NEEDED.keys() else 0.0


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield a run for every session in which anything happened."""
    if not source.is_database:
        yield source.problem("not a SQLite file, and so no log of AG2's runtime_logging")
        return
    try:
        with open_foreign(source.path) as database:
            tables = database.tables()
            there = {**_NEEDED, **{name: needed for name, needed in _LATER.items() if name in tables}}
            missing = [name for name, needed in there.items() if not needed <= set(tables.get(name, ()))]
            if missing:
                yield source.problem(f"no log of AG2's runtime_logging: {', '.join(missing)} is not as there")
                return
            sessions = _Log(database, tables).sessions()
    except StorageError as error:
        yield source.problem(f"{error.message.removeprefix(f'{source.path}: ')}; {error.hint}")
        return
    records = [record for session in sessions if (record := session.record(NAME))]
    yield from records
    if not records:
        yield source.problem("a log of AG2's runtime_logging in which nothing happened")


@dataclass(frozen=True, slots=True)
class _Moment:
    """Something that happened, and what tells a session of it."""

    at: float
    rank: int
    tell: Callable[[Session], None]


@dataclass(slots=True)
class _Found:
    """What there is about one session."""

    begun: float = float("inf")
    moments: list[_Moment] = field(default_factory=list)
    classes: dict[str, str] = field(default_factory=dict)


class _Log:
    """A whole log, taken apart into sessions."""

    def __init__(self, database: ForeignDatabase, tables: Mapping[str, tuple[str, ...]]) -> None:
        self._database = database
        self._tables = tables
        self._found: dict[str, _Found] = {}
        self._of_agent: dict[object, list[str]] = {}

    def sessions(self) -> list[Session]:
        """Return the sessions by their beginning, each told everything in order."""
        self._take_agents()
        for row in self._database.rows("chat_completions"):
            self._add(_text(row["session_id"]), row["end_time"], 0, row, Session.completion)
        for row in self._rows_with_sessions("function_calls"):
            self._add(row["session_id"], row["timestamp"], 1, row, Session.function)
        for row in self._rows_with_sessions("events"):
            if row["event_name"] == "received_message":
                self._add(row["session_id"], row["timestamp"], _RECEIVED, row, Session.received)
        ordered = sorted(self._found.items(), key=lambda item: item[1].begun)
        return [_told(session_id, found) for session_id, found in ordered]

    def _take_agents(self) -> None:
        for table in ("agents", "oai_wrappers", "oai_clients"):
            if "session_id" not in self._tables.get(table, ()):
                continue
            for row in self._database.rows(table):
                session_id = _text(row["session_id"])
                found = self._session(session_id, row.get("timestamp"))
                if table == "agents":
                    found.classes[_text(row["name"])] = _text(row["class"])
                    self._of_agent.setdefault(row["agent_id"], []).append(session_id)

    def _session(self, session_id: str, begun: Any) -> _Found:
        found = self._found.setdefault(session_id, _Found())
        found.begun = min(found.begun, epoch(begun) or found.begun)
        return found

    def _add(
        self, session_id: str, at: Any, rank: int, row: Row, tell: Callable[[Session, Row], None]
    ) -> None:
        found = self._session(session_id, row.get("start_time", at))
        found.moments.append(_Moment(epoch(at) or found.begun, rank, lambda session: tell(session, row)))

    def _rows_with_sessions(self, table: str) -> Iterator[Row]:
        if table not in self._tables:
            return
        begun = sorted((found.begun, session_id) for session_id, found in self._found.items())
        for row in self._database.rows(table):
            known = self._of_agent.get(row["source_id"], [])
            at = epoch(row["timestamp"]) or float("inf")
            before = bisect_right(begun, (at, "~"))
            latest = begun[max(0, before - 1)][1] if begun else ""
            row["session_id"] = known[0] if len(known) == 1 else latest
            yield row


def _told(session_id: str, found: _Found) -> Session:
    told = any(moment.rank == _RECEIVED for moment in found.moments)
    session = Session(session_id, found.classes, told=told)
    for moment in sorted(found.moments, key=lambda moment: (moment.at, moment.rank)):
        moment.tell(session)
    return session


def _text(value: Any) -> str:
    return "" if value is None else str(value)


IMPORTER = Importer(
    name=NAME,
    description="AG2 Classic's runtime_logging in SQLite (logs.db)",
    sniff=sniff,
    parse=parse,
)
