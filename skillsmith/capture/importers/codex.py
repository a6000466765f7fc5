"""Codex's rollout files: session metadata, response items, and event messages that mirror them.

What is said twice is kept once, the first time it stands in the file. Three generations are read: lines
with an envelope, bare lines after a header line, and one JSON document of a session and its items; and what
``codex exec --json`` prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from skillsmith.capture.importers.base import epoch, items, mapping, text_or_none, without, without_tags
from skillsmith.capture.importers.blocks import plain_text, words_of
from skillsmith.capture.importers.codex_items import Rollout
from skillsmith.capture.importers.codex_printed import event_of, is_printed
from skillsmith.capture.importers.registry import Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import Event, Json, Problem, RunRecord

NAME = "codex"
_LINE_TYPES = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted"})
_META_LEFT_OUT = ("id", "session_id", "timestamp", "instructions", "base_instructions", "dynamic_tools")
_INJECTED = re.compile(
    r"<(environment_context|user_instructions|permissions instructions|collaboration_mode|multi_agent_mode|"
    r"apps_instructions|user_shell_command|turn_aborted|skill)\b[^<>]*>"
)
_NOT_TYPED = ("# AGENTS.md instructions", "<INSTRUCTIONS>")
_REQUEST_MARK = "## My request for Codex:"
_WORK_DIR = re.compile(r"<cwd>([^<]+)</cwd>")


def sniff(head: Head) -> float:
    """Return how surely a file is a Codex rollout."""
    if not head.objects:
        return 0.0
    first = head.objects[0]
    if any(_is_enveloped(value) for value in head.objects):
        return 0.98
    if head.lines and any(map(is_printed, head.objects)):
        return 0.9
    if "session" in first and isinstance(first.get("items"), list):
        return 0.95
    return 0.95 if head.lines and _is_header(first) else 0.0


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield the run of a rollout."""
    if isinstance(source.head, Problem):
        yield source.head
        return
    session = _Session()
    if source.head.lines:
        for record in source.records():
            if isinstance(record, Problem):
                yield record
            else:
                session.add(record.value)
    else:
        document = source.document()
        if isinstance(document, Problem):
            yield document
            return
        session.meta(mapping(mapping(document).get("session")))
        for item in items(mapping(document).get("items")):
            session.add(mapping(item))
    if session.rollout.timeline.events:
        yield session.record()
    else:
        yield source.problem("a rollout in which nothing happened")


def _is_enveloped(value: Mapping[str, Json]) -> bool:
    return text_or_none(value.get("type")) in _LINE_TYPES and isinstance(value.get("payload"), dict)


def _is_header(value: Mapping[str, Json]) -> bool:
    known = {"id", "timestamp"}
    return (
        known <= value.keys()
        and "type" not in value
        and (value.keys() == known or bool({"instructions", "git"} & value.keys()))
    )


class _Session:
    """One session as its lines come in."""

    def __init__(self) -> None:
        self.rollout = Rollout()
        self._meta: dict[str, Json] = {}
        self._context: dict[str, Json] = {}
        self._native_id: str | None = None
        self._typed: list[str] = []
        self._models: dict[str, None] = {}
        self._aborted = False

    def add(self, line: Mapping[str, Json]) -> None:
        """Add a line's events."""
        kind = text_or_none(line.get("type")) or ""
        at = epoch(line.get("timestamp"))
        payload = line.get("payload")
        body = payload if isinstance(payload, dict) else line
        if kind == "session_meta" or _is_header(line):
            self.meta(body)
        elif is_printed(line):
            self._add_printed(line, at)
        elif kind == "turn_context":
            self._add_context(body, at)
        elif kind == "event_msg":
            self._add_event(body, at)
        elif kind == "compacted":
            self.rollout.raw(kind, without(body, {"replacement_history"}), at)
        elif kind == "response_item" or body is line:
            self._add_item(body, at)
        else:
            self.rollout.raw(kind, body, at)

    def meta(self, meta: Mapping[str, Json]) -> None:
        """Take the session's description; in a fork the parent's follows its own and is left out."""
        if self._native_id is None:
            self._native_id = text_or_none(meta.get("id")) or text_or_none(meta.get("session_id"))
            self._meta = without(meta, _META_LEFT_OUT)

    def _add_printed(self, line: Mapping[str, Json], at: float | None) -> None:
        self._native_id = self._native_id or text_or_none(line.get("thread_id"))
        self._add_event(event_of(line), at)

    def _add_context(self, context: Mapping[str, Json], at: float | None) -> None:
        """Keep what a turn runs under, when it is not what the one before ran under."""
        if model := text_or_none(context.get("model")):
            self._models.setdefault(model)
            self.rollout.model = model
        lasting = without(context, {"turn_id", "type", "timestamp", "trace_id"})
        if lasting != self._context:
            self._context = lasting
            timeline = self.rollout.timeline
            timeline.add(Event(kind="context", at=at, step=timeline.step, data={"context": lasting}))

    def _add_item(self, item: Mapping[str, Json], at: float | None) -> None:
        if item.get("type") == "message" or (not item.get("type") and "role" in item):
            self._add_message(item, at)
        elif item.get("record_type") != "state":
            self.rollout.item(item, at)

    def _add_message(self, item: Mapping[str, Json], at: float | None) -> None:
        role, text = item.get("role"), plain_text(item.get("content"))
        if role == "assistant":
            self.rollout.said(text, at, mirror=False, record_id=text_or_none(item.get("id")))
        elif role == "user":
            self._add_prompt(text, at, mirror=False, words=words_of(item.get("content")))
        else:
            self.rollout.instructed(text, at, role=str(role))

    def _add_prompt(
        self, text: str | None, at: float | None, *, mirror: bool, words: str | None = None
    ) -> None:
        """Add a user message; what the program put there counts as said by the user, but not as typed.

        Args:
            text: The whole message.
            at: When.
            mirror: Whether it stands among the event messages.
            words: What of it is no note on a picture, where that is less.
        """
        typed = _typed(words or text)
        if self.rollout.asked(text, at, typed=typed, mirror=mirror) and typed:
            self._typed.append(typed)
            self._aborted = False
        if not self._meta.get("cwd") and (found := _WORK_DIR.search(text or "")):
            self._meta["cwd"] = found[1]

    def _add_event(self, event: Mapping[str, Json], at: float | None) -> None:
        kind = text_or_none(event.get("type")) or ""
        if kind == "user_message":
            self._add_prompt(text_or_none(event.get("message")), at, mirror=True)
        elif kind == "agent_message":
            self.rollout.said(text_or_none(event.get("message")), at, mirror=True)
        elif kind in ("agent_reasoning", "agent_reasoning_raw_content"):
            self.rollout.thought([text_or_none(event.get("text"))], at, mirror=True)
        elif kind == "item_completed":
            self._add_completed(mapping(event.get("item")), at)
        else:
            if kind in ("turn_aborted", "task_started", "turn_started"):
                self._aborted = kind == "turn_aborted"
            self.rollout.event(kind, event, at)

    def _add_completed(self, item: Mapping[str, Json], at: float | None) -> None:
        """Add an item in the form that newer versions write instead of the mirrors."""
        kind = text_or_none(item.get("type")) or ""
        text = plain_text(item.get("content")) or text_or_none(item.get("text"))
        if kind == "UserMessage":
            self._add_prompt(text, at, mirror=True)
        elif kind == "AgentMessage":
            self.rollout.said(text, at, mirror=True)
        elif kind == "Reasoning":
            self.rollout.thought(items(item.get("summary_text")), at, mirror=True)
        else:
            self.rollout.raw(f"item_completed {kind}".strip(), dict(item), at)

    def record(self) -> RunRecord:
        """Return the session as a run."""
        metadata = {**self._meta, "models": list(self._models)}
        return RunRecord(
            source=NAME,
            native_id=self._native_id,
            task=next(iter(self._typed), ""),
            status="interrupted" if self._aborted else "completed",
            work_dir=text_or_none(self._meta.get("cwd")),
            metadata={key: value for key, value in metadata.items() if value},
            events=tuple(self.rollout.timeline.events),
        )


def _typed(text: str | None) -> str:
    """Return what a person typed of a user message."""
    own = without_tags(text or "", _INJECTED).strip()
    if _REQUEST_MARK in own:
        own = own.partition(_REQUEST_MARK)[2].strip()
    return "" if own.startswith(_NOT_TYPED) else own


IMPORTER = Importer(
    name=NAME,
    description="Codex sessions (~/.codex/sessions/**/rollout-*.jsonl)",
    sniff=sniff,
    parse=parse,
)
