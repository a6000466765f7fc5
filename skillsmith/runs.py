"""Runs, their steps and messages: create, ingest idempotently, find by prefix, list page by page, judge.

An imported run is identified by a chain digest over its events, so the same log under another name adds
nothing, and a log that has grown adds its tail.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from skillsmith.archived import ArchivedRuns
from skillsmith.chains import chain
from skillsmith.db import Database, Row, page
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.events import EventLog, dump_json, insert_rows, load_json, storable
from skillsmith.files import FileRepository
from skillsmith.ids import new_id
from skillsmith.models import Event, Json, Outcome, Run, RunRecord, RunStatus, StepExecutionSummary
from skillsmith.step_rows import StepRow, step_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of one run of a log.

    Args:
        new: Whether the run was not known before.
        added: Events added by kind.
    """

    run: Run
    new: bool
    added: Mapping[str, int]


class RunRepository:
    """Everything about runs but their events' content.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._log = EventLog(db)
        self._files = FileRepository(db)
        self._archived = ArchivedRuns(db)

    def create(
        self,
        task: str,
        *,
        run_id: str | None = None,
        source: str = "capture",
        work_dir: str | None = None,
        metadata: Mapping[str, Json] | None = None,
        started_at: float | None = None,
    ) -> Run:
        """Begin a run and return it, with a new id unless one is given."""
        run_id = run_id or new_id()
        now = time.time()
        cursor = self._db.execute(
            "INSERT INTO runs (id, source, task, status, started_at, work_dir, metadata, created_at)"
            " VALUES (?, ?, ?, 'running', ?, ?, ?, ?)",
            (run_id, source, storable(task), now if started_at is None else started_at, work_dir,
             dump_json(dict(metadata or {})), now),
        )  # fmt: skip
        return self._by_key(int(cursor.lastrowid))

    def finish(
        self,
        run_id: str,
        *,
        status: RunStatus = "completed",
        outcome: Outcome | None = None,
        reason: str | None = None,
    ) -> Run:
        """Close a run: set its status and duration, bring its counts up to date."""
        pk = self.key(run_id)
        now = time.time()
        with self._db.transaction():
            self.refresh_counts(pk)
            self._db.execute(
                "UPDATE runs SET status = ?, ended_at = ?, duration_seconds = ? - coalesce(started_at, ?),"
                " outcome = coalesce(?, outcome), outcome_reason = coalesce(?, outcome_reason) WHERE pk = ?",
                (status, now, now, now, outcome, reason, pk),
            )
        return self._by_key(pk)

    def reopen(self, run_id: str) -> Run:
        """Let a run that was interrupted go on."""
        pk = self.key(run_id)
        self._db.execute(
            "UPDATE runs SET status = 'running', ended_at = NULL, outcome_reason = NULL WHERE pk = ?", (pk,)
        )
        return self._by_key(pk)

    def refresh_counts(self, pk: int) -> None:
        """Recompute a run's counts from its events."""
        groups = self._db.all(
            "SELECT kind, role, agent, count(*) AS events, coalesce(sum(tokens_in), 0) AS tokens_in,"
            " coalesce(sum(tokens_out), 0) AS tokens_out, sum(cost_usd) AS cost_usd"
            " FROM events WHERE run = ? GROUP BY kind, role, agent ORDER BY min(seq)",
            (pk,),
        )
        cost = None
        if any(row["cost_usd"] is not None for row in groups):  # added up in the events' order, as everywhere
            cost = self._db.scalar("SELECT sum(cost_usd) FROM events WHERE run = ?", (pk,))
        agents = dict.fromkeys(row["agent"] for row in groups if row["agent"] is not None)
        self._db.execute(
            "UPDATE runs SET events = ?, kinds = ?, roles = ?, agents = ?, tokens_in = ?, tokens_out = ?,"
            " cost_usd = coalesce(?, cost_usd) WHERE pk = ?",
            (sum(row["events"] for row in groups), dump_json(_summed(groups, "kind")),
             dump_json(_summed(groups, "role")), dump_json(list(agents)),
             sum(row["tokens_in"] for row in groups), sum(row["tokens_out"] for row in groups),
             cost, pk),
        )  # fmt: skip

    def ingest(
        self,
        record: RunRecord,
        *,
        path: str | None = None,
        outcome: Outcome | None = None,
        original: RunRecord | None = None,
    ) -> Ingested:
        """Store a run that an importer read; what is already there adds nothing.

        Args:
            record: The whole run.
            path: Where it was read, for people.
            outcome: Overrides what the log says.
            original: The run before secrets were taken out: what it is known again by.
        """
        links = chain(original or record)
        with self._db.transaction():
            known = self._known(links) or self._longer(record)
            moved = self._archived.continued(links) if known is None else None
            if moved and moved.chain == links[-1]:
                return Ingested(run=moved.as_run(), new=False, added={})
            if known is None:
                pk, have = self._insert(record, path, moved.id if moved else new_id()), 0
            else:
                pk, have = known["pk"], known["events"]
            fresh = record.events[have:]
            if fresh or known is None:
                self._log.append(pk, fresh)
                self._extend(pk, record, links[-1], fresh)
            for snapshot in record.files:
                if known is None or (snapshot.seq or 0) > have:
                    self._files.record(pk, snapshot)
            if outcome is not None and self._reason(pk) != BY_PERSON:
                self._judge(pk, outcome, _BY_IMPORT)
        added = Counter[str](event.kind for event in fresh)
        return Ingested(run=self._by_key(pk), new=known is moved is None, added=added)

    def _known(self, links: Sequence[str]) -> Row | None:
        """Find the stored run that this log repeats or continues: its chain is one of our prefixes."""
        for start in range(len(links), 0, -500):
            some = links[max(0, start - 500) : start]
            marks = ", ".join("?" for _ in some)
            row = self._db.one(
                f"SELECT pk, events FROM runs WHERE chain IN ({marks}) ORDER BY events DESC LIMIT 1",  # noqa: S608  (question marks only)
                some,
            )
            if row is not None:
                return row
        return None

    def _longer(self, record: RunRecord) -> Row | None:
        """Find the stored run of which this log is an earlier copy."""
        if record.native_id is None or not record.events:
            return None
        rows = self._db.all(
            "SELECT pk, events FROM runs WHERE source = ? AND native_id = ? AND events > ?",
            (record.source, record.native_id, len(record.events)),
        )
        for row in rows:
            begun = tuple(islice(self._log.replay(row["pk"]), len(record.events)))
            if chain(replace(record, events=begun))[-1] == chain(record)[-1]:
                return row
        return None

    def _insert(self, record: RunRecord, path: str | None, run_id: str) -> int:
        self._archived.drop(run_id)  # its log has grown: the whole of it is here again
        cursor = self._db.execute(
            "INSERT INTO runs (id, source, native_id, source_path, task, status, work_dir, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (run_id, record.source, record.native_id, path, storable(record.task), record.status,
             record.work_dir, time.time()),
        )  # fmt: skip
        return int(cursor.lastrowid)

    def _extend(self, pk: int, record: RunRecord, link: str, fresh: Sequence[Event]) -> None:
        times = [event.at for event in record.events if event.at is not None]
        started = record.started_at if record.started_at is not None else min(times, default=None)
        ended = record.ended_at if record.ended_at is not None else max(times, default=None)
        duration = ended - started if started is not None and ended is not None else None
        old = self._db.one("SELECT * FROM runs WHERE pk = ?", (pk,))
        assert old is not None
        agents = dict.fromkeys(load_json(old["agents"]))
        agents.update(dict.fromkeys(event.agent for event in fresh if event.agent))
        costs = [event.cost_usd for event in record.events if event.cost_usd is not None]
        cost = record.cost_usd if record.cost_usd is not None else (sum(costs) if costs else None)
        self._db.execute(
            "UPDATE runs SET chain = ?, status = ?, started_at = ?, ended_at = ?, duration_seconds = ?,"
            " agents = ?, events = events + ?, kinds = ?, roles = ?, tokens_in = tokens_in + ?,"
            " tokens_out = tokens_out + ?, cost_usd = ?, metadata = ? WHERE pk = ?",
            (link, record.status, started, ended, duration, dump_json(list(agents)), len(fresh),
             _merged(old["kinds"], (event.kind for event in fresh)),
             _merged(old["roles"], (event.role for event in fresh if event.role)),
             sum(event.tokens_in or 0 for event in fresh), sum(event.tokens_out or 0 for event in fresh),
             cost, dump_json(dict(record.metadata)), pk),
        )  # fmt: skip
        if old["outcome_reason"] not in (BY_PERSON, _BY_IMPORT):
            self._judge(pk, record.outcome, record.outcome_reason)

    def _reason(self, pk: int) -> str | None:
        reason: str | None = self._db.scalar("SELECT outcome_reason FROM runs WHERE pk = ?", (pk,))
        return reason

    def _judge(self, pk: int, outcome: Outcome, reason: str | None) -> None:
        self._db.execute(
            "UPDATE runs SET outcome = ?, outcome_reason = ? WHERE pk = ?", (outcome, reason, pk)
        )

    def mark(self, run_id: str, outcome: Outcome, *, note: str | None = None, by: str | None = None) -> Run:
        """Store a judgement of a run; a person's (``by`` is None) no later import of its log changes."""
        if outcome not in ("success", "failure", "unknown"):
            raise UsageError(f"outcome {outcome!r} is not known", hint="use success or failure")
        pk = self.key(run_id)
        with self._db.transaction():
            self._judge(pk, outcome, by or BY_PERSON)
            self._db.execute("UPDATE runs SET note = coalesce(?, note) WHERE pk = ?", (note, pk))
        return self._by_key(pk)

    def annotate(self, run_id: str, **facts: Json) -> Run:
        """Add facts to a run's metadata; one that is there already gets its new value."""
        pk = self.key(run_id)
        with self._db.transaction():
            known = load_json(self._db.scalar("SELECT metadata FROM runs WHERE pk = ?", (pk,)))
            self._db.execute("UPDATE runs SET metadata = ? WHERE pk = ?", (dump_json({**known, **facts}), pk))
        return self._by_key(pk)

    def key(self, run_id: str) -> int:
        """Return the primary key of the run with this id or unique prefix of an id.

        Raises:
            NotFoundError: There is none.
            UsageError: The prefix fits several.
        """
        lowered = run_id.strip().lower()
        rows = self._db.all(
            "SELECT pk, id FROM runs WHERE id >= ? AND id < ? LIMIT 3", (lowered, lowered + "~")
        ) if lowered else []  # fmt: skip
        exact = [row for row in rows if row["id"] == lowered]
        if len(exact or rows) > 1:
            raise UsageError(f"the run id {run_id!r} fits several runs", hint="give more of its digits")
        if not rows:
            self._archived.refuse(run_id)
            raise NotFoundError(f"there is no run {run_id!r}", hint="`skillsmith runs` lists them")
        return int((exact or rows)[0]["pk"])

    def get(self, run_id: str) -> Run:
        """Return the run with this id or unique prefix."""
        return self._by_key(self.key(run_id))

    def _by_key(self, pk: int) -> Run:
        return _run(self._db.one("SELECT * FROM runs WHERE pk = ?", (pk,)))

    def list(
        self,
        *,
        outcome: str | None = None,
        source: str | None = None,
        search: str | None = None,
        after: str | None = None,
        window: int = 100,
    ) -> Iterator[Run]:
        """Yield runs, newest first.

        Args:
            outcome: Only those with this outcome.
            source: Only those of this source.
            search: Only those whose task or events hold these words.
            after: Id of the last run already seen.
            window: Rows fetched at a time.
        """
        where, params = ["1"], list[Any]()
        for column, value in (("outcome", outcome), ("source", source)):
            if value is not None:
                where.append(f"{column} = ?")
                params.append(value)
        if search:
            keys = self._log.runs_mentioning(search)
            where.append("(pk IN (SELECT value FROM json_each(?)) OR task LIKE ? ESCAPE '\\')")
            params += [dump_json(keys), f"%{_escape_like(search)}%"]
        start = self.key(after) if after else None
        sql = (
            f"SELECT * FROM runs /*key desc: pk*/ WHERE {' AND '.join(where)} AND {{after}}"  # noqa: S608  (fixed column names)
            " ORDER BY pk DESC LIMIT ?"
        )
        rows = page(
            self._db, sql, key=lambda row: (row["pk"],), params=params,
            after=None if start is None else (start,), window=window,
        )  # fmt: skip
        return map(_run, rows)

    def events(self, run_id: str, **filters: Any) -> Iterator[Event]:
        """Yield a run's events in order; filters as in ``EventLog.replay``."""
        return self._log.replay(self.key(run_id), **filters)

    def save_step(self, run_id: str, summary: StepExecutionSummary, columns: Mapping[str, Json]) -> None:
        """Store what a finished step did.

        Args:
            run_id: The run.
            summary: Its figures.
            columns: host_id, title, started_at, ended_at, agent_transitions, intermediate_artifacts,
                context_snapshots.
        """
        self.save_steps(self.key(run_id), [step_row(summary, columns)])

    def save_steps(self, pk: int, steps: Sequence[StepRow]) -> None:
        """Do ``save_step`` for several of the run with this key; of a step that is given twice, the last."""
        insert_rows(self._db, _INSERT_STEP, [(pk, *step) for step in steps])


class MessageRepository:
    """Stream a run's messages without ever holding all of them.

    Args:
        db: The connection.
    """

    def __init__(self, db: Database) -> None:
        self._runs = RunRepository(db)

    def get_messages_streaming(self, run_id: str, chunk_size: int = 100) -> Iterator[list[Event]]:
        """Yield a run's messages in chunks, each found by key, so that any depth costs the same."""
        chunk: list[Event] = []
        for event in self._runs.events(run_id, window=max(chunk_size, 1)):
            if event.role is None:
                continue
            chunk.append(event)
            if len(chunk) >= chunk_size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk


BY_PERSON = "judged by a person"
_BY_IMPORT = "named on import"
_INSERT_STEP = (
    "INSERT OR REPLACE INTO steps (run, step, summary, host_id, title, started_at, ended_at,"
    " agent_transitions, intermediate_artifacts, context_snapshots)"
)


def _merged(counts: str, more: Iterable[str]) -> str:
    total: Counter[str] = Counter(load_json(counts))
    total.update(more)
    return dump_json(dict(total))


def _summed(groups: Iterable[Row], column: str) -> dict[str, int]:
    """Return how many events have each value of a column."""
    total: Counter[str] = Counter()
    for row in groups:
        if row[column] is not None:
            total[row[column]] += row["events"]
    return dict(sorted(total.items()))


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _run(row: Row | None) -> Run:
    assert row is not None
    return Run(
        id=row["id"], task=row["task"], source=row["source"], status=row["status"], outcome=row["outcome"],
        outcome_reason=row["outcome_reason"], started_at=row["started_at"],
        duration_seconds=row["duration_seconds"], agents=tuple(load_json(row["agents"])),
        events=row["events"], messages_by_role=load_json(row["roles"]),
        tokens=row["tokens_in"] + row["tokens_out"], cost_usd=row["cost_usd"], native_id=row["native_id"],
        source_path=row["source_path"], work_dir=row["work_dir"], metadata=load_json(row["metadata"]),
        created_at=row["created_at"], note=row["note"],
    )  # fmt: skip
