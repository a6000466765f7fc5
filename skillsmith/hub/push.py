"""Send what is new in a file to a hub: versions, vectors, pointers, tombstones, ledger, history, runs.

Everything is added, nothing is overwritten: equal rows meet in ``ON CONFLICT``, pointers move by
compare-and-set. Each batch is one transaction of the hub and is scanned for secrets before it; only after the
commit is it noted here as sent, so that a push that is killed anywhere is finished by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from skillsmith.db import Row
from skillsmith.events import load_json
from skillsmith.hub import local_rows
from skillsmith.hub.client import Hub
from skillsmith.hub.marks import Marks, machine_id, machine_name
from skillsmith.hub.push_pointers import push_pointers
from skillsmith.hub.reports import PushReport
from skillsmith.hub.vector_rows import push_vectors
from skillsmith.ids import digest_of
from skillsmith.leaks import refuse, scan
from skillsmith.library.program.document import Document
from skillsmith.library.program.seal import canonical, render
from skillsmith.library.store.clearance import HINT
from skillsmith.library.store.text import search_columns
from skillsmith.workspace import Workspace

Progress = Callable[[int, str], None]

_MISSING = """
SELECT s.name, s.digest FROM stage s WHERE NOT EXISTS (
  SELECT 1 FROM versions v WHERE v.name = s.name AND v.digest = s.digest)
"""
_ADD_VERSIONS = """
INSERT INTO versions (name, digest, id, machine, number, structure, description, tags, document, words,
                      created_at)
SELECT name, digest, id, %(machine)s, number, structure, description, tags, document,
  setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', about), 'B')
    || setweight(to_tsvector('english', body), 'D'), created_at
FROM stage ORDER BY ordinal ON CONFLICT (name, digest) DO NOTHING
"""
_ADD_NUMBERS = """
INSERT INTO numbers (machine, name, number, digest) SELECT %(machine)s, name, number, digest FROM stage s
WHERE EXISTS (SELECT 1 FROM versions v WHERE v.name = s.name AND v.digest = s.digest) ON CONFLICT DO NOTHING
"""
_ADD_EXAMPLES = """
INSERT INTO examples (name, digest, task_digest, task) SELECT name, digest, task_digest, task FROM stage
ORDER BY name, digest, ordinal ON CONFLICT DO NOTHING
"""
_ADD_EXECUTIONS = """
INSERT INTO executions (id, name, digest, machine, number, started_at, completed_at, duration_seconds,
                        cost_usd, success, adapted, body)
SELECT id, name, digest, %(machine)s, number, started_at, completed_at, duration_seconds, cost_usd, success,
  adapted, body FROM stage ORDER BY id
ON CONFLICT (id) DO UPDATE SET completed_at = excluded.completed_at, success = excluded.success,
  duration_seconds = excluded.duration_seconds, cost_usd = excluded.cost_usd, adapted = excluded.adapted,
  body = excluded.body, digest = coalesce(executions.digest, excluded.digest), seq = excluded.seq
WHERE executions.completed_at < excluded.completed_at
"""
_ADD_HISTORY = """
INSERT INTO history (id, machine, name, action, digest, from_digest, body)
SELECT id, %(machine)s, name, action, digest, from_digest, body FROM stage ORDER BY ordinal
ON CONFLICT DO NOTHING
"""
_RUN_COLUMNS: Final = (
    "id", "source", "task", "status", "outcome", "outcome_reason", "started_at", "ended_at",
    "duration_seconds", "agents", "events", "kinds", "tokens_in", "tokens_out", "cost_usd", "created_at",
)  # fmt: skip
_RUN_CHANGES: Final = ", ".join(f"{name} = excluded.{name}" for name in _RUN_COLUMNS if name != "id")
_RUN_OLD, _RUN_NEW = (", ".join(f"{row}.{name}" for name in _RUN_COLUMNS) for row in ("runs", "excluded"))
_ADD_RUNS = f"""
INSERT INTO runs (machine, {", ".join(_RUN_COLUMNS)}) SELECT %(machine)s, {", ".join(_RUN_COLUMNS)} FROM stage
ORDER BY id ON CONFLICT (id) DO UPDATE SET {_RUN_CHANGES}
WHERE excluded.events >= runs.events AND ({_RUN_OLD}) IS DISTINCT FROM ({_RUN_NEW})
"""  # noqa: S608  (our own column names)


def push(
    workspace: Workspace,
    hub: Hub,
    *,
    ours: Collection[str] = (),
    allow_secrets: bool = False,
    again: bool = False,
    progress: Progress | None = None,
) -> PushReport:
    """Send what is new here to a hub.

    Args:
        workspace: The file.
        hub: Where to.
        ours: Names whose pointer on the hub gives way to ours, although both have moved.
        allow_secrets: Send what looks like a secret.
        again: Offer everything, also what the hub is thought to have.
        progress: Told after each batch how many rows it had, and of what.

    Raises:
        NotFoundError: A name in ``ours`` is neither here nor was it deleted here.
        SecretFoundError: Something looks like a secret; what was sent before it stays.
        StorageError: The hub broke off.
    """
    work = _Push(workspace, hub, allow_secrets=allow_secrets, progress=progress or _silent)
    if again:
        work.marks.forget_sent()
    with hub.transaction():
        hub.introduce(work.machine, machine_name(workspace.db))
    work.versions()
    pointed = push_pointers(workspace, hub, work.marks, machine=work.machine, ours=ours)
    executions = work.executions()
    history = work.history()
    runs = work.runs()
    return PushReport(
        versions=tuple(work.new), moved=pointed.moved, deleted=pointed.deleted, conflicts=pointed.conflicts,
        executions=executions, history=history, runs=runs,
    )  # fmt: skip


class _Push:
    """One push under way."""

    def __init__(self, workspace: Workspace, hub: Hub, *, allow_secrets: bool, progress: Progress) -> None:
        self._db = workspace.db
        self._repo = workspace.skills
        self._hub = hub
        self._allow_secrets = allow_secrets
        self._progress = progress
        self.machine = machine_id(workspace.db)
        self.marks = Marks(workspace.db, hub.id)
        self.new: list[str] = []

    def _changed(self, table: str) -> Iterator[local_rows.Bucket]:
        """Yield the buckets that the hub has not got as they are; each is noted once it was handled."""
        known = self.marks.sent(table)
        for bucket in local_rows.buckets(self._db, table):
            if known.get(bucket.number) != bucket.digest:
                yield bucket
                self.marks.put_sent(table, bucket.number, bucket.digest)
                self._progress(len(bucket.rows), table)

    def versions(self) -> None:
        """Send versions that the hub lacks, what our numbers mean, earlier tasks and vectors."""
        for bucket in self._changed("versions"):
            own = [row for row in bucket.rows if row["state"] != "quarantined"]
            documents = self._documents(self._missing(own))
            if not self._allow_secrets:
                self._repo.clearance.refuse_secrets([(row["name"], document) for row, document in documents])
                self._refuse(
                    [(f"a task of skill {row['name']!r}", load_json(row["examples"])) for row in own]
                )
            with self._hub.transaction(writer=True):
                self._send_versions(documents)
                self._send_numbers(bucket.rows)
                self._send_examples(own)
            push_vectors(self._db, self._hub, own)
            self.marks.put_numbers(self._known(bucket.rows))
            self.new += [f"{row['name']}@{row['version']}" for row, _document in documents]

    def _missing(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows whose version the hub does not have; of equal ones the first."""
        with self._hub.transaction():
            self._hub.stage("name text, digest text", {(row["name"], row["digest"]) for row in rows})
            missing = set(self._hub.all(_MISSING))
        first: dict[tuple[str, str], Row] = {}
        for row in rows:
            if (row["name"], row["digest"]) in missing:
                first.setdefault((row["name"], row["digest"]), row)
        return list(first.values())

    def _known(self, rows: Sequence[Row]) -> list[tuple[str, int, str]]:
        """Return those of our numbers whose versions the hub has."""
        lacking = {(row["name"], row["digest"]) for row in self._missing(rows)}
        keys = [(row["name"], row["version"], row["digest"]) for row in rows]
        return [key for key in keys if (key[0], key[2]) not in lacking]

    def _documents(self, rows: Sequence[Row]) -> list[tuple[Row, Document]]:
        return [(row, self._repo.document(row["id"])) for row in rows]

    def _send_versions(self, documents: Sequence[tuple[Row, Document]]) -> None:
        self._hub.stage(
            "ordinal integer, name text, digest text, id uuid, number integer, structure text,"
            " description text, tags text[], document text, created_at double precision, title text,"
            " about text, body text",
            ((ordinal, *_staged_version(*pair)) for ordinal, pair in enumerate(documents)),
        )
        self._hub.execute(_ADD_VERSIONS, {"machine": self.machine})

    def _send_numbers(self, rows: Sequence[Row]) -> None:
        self._hub.stage(
            "name text, number integer, digest text",
            ((row["name"], row["version"], row["digest"]) for row in rows),
        )
        self._hub.execute(_ADD_NUMBERS, {"machine": self.machine})

    def _send_examples(self, rows: Sequence[Row]) -> None:
        tasks = [(row, load_json(row["examples"])) for row in rows if row["examples"] != "[]"]
        self._hub.stage(
            "name text, digest text, ordinal integer, task_digest text, task text",
            (
                (row["name"], row["digest"], ordinal, digest_of(task.encode()), _json(task))
                for row, found in tasks for ordinal, task in enumerate(found)
            ),
        )  # fmt: skip
        self._hub.execute(_ADD_EXAMPLES)

    def executions(self) -> int:
        """Send executions that are over; return how many were new to the hub."""
        sent = 0
        digests = self.marks.numbers()
        for bucket in self._changed("executions"):
            bodies = local_rows.execution_bodies(self._db, bucket.rows)
            self._refuse(
                [(f"execution {row['id'][:18]} of {row['skill_name']}", orjson.loads(body))
                 for row, body in zip(bucket.rows, bodies, strict=True)]
            )  # fmt: skip
            with self._hub.transaction(writer=True):
                self._hub.stage(
                    "id uuid, name text, digest text, number integer, started_at double precision,"
                    " completed_at double precision, duration_seconds double precision,"
                    " cost_usd double precision, success boolean, adapted boolean, body text",
                    (
                        _staged_execution(row, body, digests)
                        for row, body in zip(bucket.rows, bodies, strict=True)
                    ),
                )
                sent += self._hub.execute(_ADD_EXECUTIONS, {"machine": self.machine})
        return sent

    def history(self) -> int:
        """Send what was done here; return how many entries were new to the hub."""
        sent = 0
        digests = self.marks.numbers()
        for bucket in self._changed("history"):
            bodies = list(map(local_rows.history_body, bucket.rows))
            self._refuse(
                [(f"the history of {row['skill_name']}", orjson.loads(body))
                 for row, body in zip(bucket.rows, bodies, strict=True)]
            )  # fmt: skip
            staged = [
                (
                    digest_of(body.encode()), ordinal, row["skill_name"],
                    row["action"], digests.get((row["skill_name"], row["version"])),
                    digests.get((row["skill_name"], row["from_version"])), body,
                )
                for ordinal, (row, body) in enumerate(zip(bucket.rows, bodies, strict=True))
            ]  # fmt: skip
            with self._hub.transaction(writer=True):
                self._hub.stage(
                    "id text, ordinal integer, name text, action text, digest text, from_digest text,"
                    " body text",
                    staged,
                )
                sent += self._hub.execute(_ADD_HISTORY, {"machine": self.machine})
        return sent

    def runs(self) -> int:
        """Tell the hub of runs that are over; return of how many it had not known, or not as they are now."""
        sent = 0
        for bucket in self._changed("runs"):
            self._refuse([(f"run {row['id'][:18]}", row["task"]) for row in bucket.rows])
            with self._hub.transaction():
                self._hub.stage(
                    "id uuid, source text, task text, status text, outcome text, outcome_reason text,"
                    " started_at double precision, ended_at double precision,"
                    " duration_seconds double precision, agents text, events bigint, kinds text,"
                    " tokens_in bigint, tokens_out bigint, cost_usd double precision,"
                    " created_at double precision",
                    (tuple(_plain(row[name]) for name in _RUN_COLUMNS) for row in bucket.rows),
                )
                sent += self._hub.execute(_ADD_RUNS, {"machine": self.machine})
        return sent

    def _refuse(self, rows: Sequence[tuple[str, Any]]) -> None:
        """Raise for the first row that holds what looks like a secret; most batches hold none."""
        if self._allow_secrets or not scan("\n".join(_flat(value for _label, value in rows))):
            return
        for label, value in rows:
            refuse(value, subject=label, hint=HINT.replace("the skill", "it"))


def _flat(values: Iterable[Any]) -> Iterator[str]:
    """Yield every text in JSON values."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _flat(value.values())
        elif isinstance(value, list):
            yield from _flat(value)


def _staged_version(row: Row, document: Document) -> tuple[Any, ...]:
    name, description, pattern, tags, examples, body = map(_plain, search_columns(document))
    return (
        row["name"], row["digest"], row["id"], row["version"], row["structure"], _plain(row["description"]),
        [_plain(tag) for tag in load_json(row["tags"])], render(document).decode(), row["created_at"],
        name.replace("_", " "), f"{description}\n{pattern}\n{tags}\n{examples}", body,
    )  # fmt: skip


def _staged_execution(row: Row, body: str, digests: Mapping[tuple[str, int], str]) -> tuple[Any, ...]:
    digest = row["digest"] or digests.get((row["skill_name"], row["version"]))  # maybe deleted meanwhile
    return (
        row["id"], row["skill_name"], digest, row["version"], row["started_at"], row["completed_at"],
        row["duration_seconds"], row["cost_usd"], bool(row["success"]), bool(row["adapted"]), body,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """Return a value as PostgreSQL can hold it: text without NUL; what must be exact travels as JSON."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _json(value: Any) -> str:
    return canonical(value).decode()


def _silent(_amount: int, _note: str) -> None:
    """Report to nobody."""
