"""What an execution did, written down as a run like any other: it can be looked at and learned from.

Everything is written by the thread that owns the database, before a node starts and after it has ended, so
that an execution that dies leaves what it had begun and what it had done. What belongs to one such moment
waits until then and is stored in one step, with the checkpoint of that moment: a commit costs more than what
it holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from skillsmith.db import Database
from skillsmith.events import EventLog, dump_json
from skillsmith.files import FileRepository
from skillsmith.ids import digest_of
from skillsmith.library.agents.nodes import events_of
from skillsmith.library.execution.cleaning import Cleaner
from skillsmith.library.execution.workfolder import FileChange
from skillsmith.library.program.bindings import as_text
from skillsmith.models import (
    CodeUse,
    Event,
    EventKind,
    FileSnapshot,
    Json,
    Node,
    NodeResult,
    Outcome,
    Run,
    RunStatus,
    ToolUse,
)
from skillsmith.models.protocols import AgentReply
from skillsmith.runs import RunRepository

AGENT = "skillsmith"
"""Stands as the agent where the source run names none."""


class ExecutionLog:
    """Writes one execution's run.

    Args:
        db: The connection.
        cleaner: Takes secrets out of whatever is written.
    """

    def __init__(self, db: Database, *, cleaner: Cleaner | None = None) -> None:
        self._db = db
        self._runs = RunRepository(db)
        self._events = EventLog(db)
        self._files = FileRepository(db)
        self._cleaner = cleaner or Cleaner()
        self.run_id = ""
        self.asked_models = False
        """Whether the run may hold calls of models."""
        self._key = 0
        self._seq = self._last = 0
        self._waiting: list[Event | FileSnapshot | Callable[[], None]] = []
        self._stored = 0
        self._is_open = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Store what waits and all that the block writes in one step; nests."""
        if self._is_open:
            yield
            return
        self._is_open, before = True, self._last
        try:
            with self._db.transaction():
                self._store()
                yield
                self._store()
            self._waiting.clear()
        except BaseException:  # what could not be stored still waits
            self._last = before
            raise
        finally:
            self._stored, self._is_open = 0, False

    def later(self, write: Callable[[], None]) -> None:
        """Have something written with the next events that are stored."""
        self._waiting.append(write)

    def _store(self) -> None:
        new = self._waiting[self._stored :]
        events = [one for one in new if isinstance(one, Event)]
        if events:
            self._last = self._events.append(self._key, events, last=self._last)
        for one in new:
            if isinstance(one, FileSnapshot):
                self._files.store(self._key, one)
            elif not isinstance(one, Event):
                one()
        self._stored = len(self._waiting)

    def begin(self, task: str, *, work_dir: Path | None, metadata: Mapping[str, Json]) -> Run:
        """Create the run with the task as its first message."""
        place = None if work_dir is None else str(work_dir)
        task = self.clean(task)
        run = self._runs.create(task, source="execution", work_dir=place, metadata=metadata)
        self._open(run)
        if task:
            self._append(Event(kind="message", at=run.started_at, role="user", agent="user", content=task))
        return run

    def clean(self, text: str) -> str:
        """Return a text without its secrets."""
        return self._cleaner.text(text)

    def reopen(self, run_id: str) -> Run:
        """Go on with a run that was interrupted."""
        self.asked_models = True
        run = self._runs.reopen(run_id)
        self._open(run)
        self._seq = self._last = self._events.append(self._key, ())
        return run

    def _open(self, run: Run) -> None:
        self.run_id = run.id
        self._key = self._runs.key(run.id)

    def _append(self, *events: Event) -> None:
        self._waiting += map(self._cleaner.event, events)
        self._seq += len(events)

    @property
    def position(self) -> int:
        """Sequence number of the last event, stored or waiting."""
        return self._seq

    def context(self, values: Mapping[str, Json]) -> None:
        """Write down what the execution begins or goes on with."""
        self._append(Event(kind="context", at=time.time(), agent=AGENT, data={"values": dict(values)}))

    def tool_call(self, node: Node, key: str, call_id: str, arguments: Mapping[str, Json]) -> None:
        """Write down a tool call before it is made."""
        tool = ToolUse(name=node.tool or "", call_id=call_id, arguments=dump_json(dict(arguments)))
        self._append(_event("tool_call", node, key, tool=tool))

    def code(self, node: Node, key: str, call_id: str, text: str) -> None:
        """Write down a code block before it is run."""
        code = CodeUse(language=node.language or "python", text=text, call_id=call_id)
        self._append(_event("code", node, key, code=code))

    def prompt(self, node: Node, key: str, text: str, *, to: str | None = None) -> None:
        """Write down what an agent or a person is asked.

        Args:
            node: The node it is about.
            key: The node's key.
            text: The question.
            to: Who is asked; None: the node's agent.
        """
        event = _event("message", node, key, role="user", content=text, recipient=to or node.agent)
        self._append(replace(event, agent=AGENT))

    def reply(self, reply: AgentReply, key: str, *, at: float) -> None:
        """Write down what an agent did for a node."""
        self.asked_models = True
        self._append(*events_of(reply, key=key, at=at))

    def skill(self, name: str, data: Mapping[str, Json]) -> None:
        """Write down what became of a skill: SKILL_MATCHED, SKILL_ADAPTED and so on."""
        self._append(Event(kind="skill", at=time.time(), agent=AGENT, data={"event": name, **data}))

    def ended(
        self, node: Node, key: str, call_id: str, result: NodeResult, *, at: float, answered: bool = False
    ) -> None:
        """Write down how a node ended.

        Args:
            node: The node.
            key: The node's key.
            call_id: Of its call or code.
            result: What came of it.
            at: When, as Unix time.
            answered: Whether the answer is written down already, as part of a reply.
        """
        seconds = result.duration_seconds
        if node.kind == "tool":
            text = None if result.result is None and result.error else as_text(result.result)
            tool = ToolUse(name=node.tool or "", call_id=call_id, result=text, error=result.error)
            self._append(_event("tool_result", node, key, at=at, tool=tool, duration_seconds=seconds))
        elif node.kind == "code":
            code = CodeUse(
                language=node.language or "python",
                call_id=call_id,
                exit_code=result.exit_code,
                output=result.output,
            )
            self._append(_event("code_result", node, key, at=at, code=code, duration_seconds=seconds))
        elif result.status == "done" and not answered:
            content = as_text(result.result)
            self._append(
                _event(
                    "message", node, key, at=at, role="assistant", content=content, duration_seconds=seconds
                )
            )
        if result.error:
            self.failure(result.error, node=node, key=key, at=at)

    def failure(self, text: str, *, node: Node | None = None, key: str = "", at: float | None = None) -> None:
        """Write down an error."""
        agent = (node.agent if node else None) or AGENT
        data = {"node": key} if key else None
        self._append(Event(kind="error", at=at or time.time(), agent=agent, content=text, data=data))

    def files(self, changes: Iterable[FileChange], *, agent: str | None) -> tuple[str, ...]:
        """Write down files that appeared or changed and return their paths.

        Args:
            changes: The files.
            agent: Who made them; None: they were there before.
        """
        paths = []
        for change in changes:
            now = time.time()
            paths.append(change.path)
            content = None if change.content is None else self._cleaner.content(change.content)
            data = {"digest": change.digest, "size": change.size}
            if content is not None and content is not change.content:  # what is stored, not what was made
                data = {"digest": digest_of(content), "size": len(content)}
            if agent is not None:
                self._append(Event(kind="artifact", at=now, agent=agent, content=change.path, data=data))
            if content is not None:
                snapshot = FileSnapshot(
                    path=change.path,
                    content=content,
                    agent=agent,
                    at=now,
                    seq=self._seq if agent else None,
                )
                self._waiting.append(snapshot)
        return tuple(paths)

    def finish(self, *, status: RunStatus, outcome: Outcome, reason: str) -> Run:
        """Close the run."""
        with self.together():
            self._store()
            return self._runs.finish(self.run_id, status=status, outcome=outcome, reason=self.clean(reason))


def _event(kind: EventKind, node: Node, key: str, **fields: object) -> Event:
    usual = {"at": time.time(), "agent": node.agent or AGENT, "data": {"node": key}}
    given: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    return Event(kind=kind, **{**usual, **given})
