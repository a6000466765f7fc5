"""Chats in the shape of OpenAI's API (many tools write it), and tau-bench's runs, which add a reward.

A step is a turn: it begins with a message that a user wrote, not with a tool's or an executor's answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from skillsmith.capture.importers.base import (
    Timeline,
    mapping,
    number_or_none,
    outcome_of,
    text_or_none,
    without,
)
from skillsmith.capture.importers.blocks import take_apart, words_of
from skillsmith.capture.importers.chat import (
    ROLES,
    Conversation,
    Dialogue,
    Speaker,
    add_raw,
    conversation_runs,
    is_message,
    preview,
)
from skillsmith.capture.importers.providers import GoogleParts
from skillsmith.capture.importers.registry import Importer
from skillsmith.capture.importers.response_items import ITEMS, messages_of
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import Json, Problem, RunRecord

NAME = "openai-chat"
_IDS = ("id", "conversation_id", "session_id", "thread_id", "run_id", "uuid")
_TASKS = ("task", "question", "instruction", "prompt")


def sniff(head: Head) -> float:
    """Return how surely a file holds OpenAI chats."""
    messages, record = preview(head)
    if not messages:
        return 0.0
    known = sum(message["role"].lower() in ROLES for message in messages) / len(messages)
    return 0.95 * known if "reward" in record else 0.8 * known


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield a run for every conversation of a file."""
    return conversation_runs(source, _run)


def _run(conversation: Conversation) -> RunRecord:
    chat = Chat()
    for message in conversation.messages:
        chat.add(message)
    return _record(conversation, chat)


@dataclass(slots=True)
class Chat:
    """A person talking with one agent, message by message.

    Args:
        dialogue: What was said so far.
        asked: The first words of the person.
    """

    dialogue: Dialogue = field(default_factory=Dialogue)
    asked: str = ""
    _google: GoogleParts = field(default_factory=GoogleParts)
    _spoken: bool = False

    @property
    def timeline(self) -> Timeline:
        """The events so far."""
        return self.dialogue.timeline

    def add(self, message: Json) -> None:
        """Add a message, or an item of the Responses API; what is neither is kept as it is."""
        if not is_message(message):
            self._add_item(message)
            return
        if "content" not in message and isinstance(message.get("parts"), list):
            message = {**without(message, {"parts"}), **self._google.message(message)}
        role = ROLES.get(message["role"].lower(), "user")
        execution = self.dialogue.answer_in(message)
        if role == "user" and execution is None and not take_apart(message.get("content")).results:
            self.timeline.step += self._spoken
            self._spoken = True
            self.asked = self.asked or words_of(message.get("content")) or ""
        named = text_or_none(message.get("name"))
        source_role = message["role"] if message["role"].lower() not in (role, "function") else None
        speaker = Speaker(
            role=role,
            agent=named or role if role in ("assistant", "user") else None,
            data={"source_role": source_role} if source_role else None,
        )
        self.dialogue.say(message, speaker, execution=execution, own=False if role == "assistant" else None)

    def _add_item(self, item: Json) -> None:
        if text_or_none(mapping(item).get("type")) not in ITEMS:
            add_raw(self.timeline, item)
            return
        for message in messages_of([item]):
            self.add(message)


def _record(conversation: Conversation, chat: Chat) -> RunRecord:
    record = conversation.record
    outcome, reason = outcome_of(record)
    is_tau = "reward" in record and "task_id" in record
    native_id = next((text for key in _IDS if (text := text_or_none(record.get(key)))), None)
    return RunRecord(
        source=NAME,
        native_id=f"task{record['task_id']}-trial{record.get('trial', 0)}" if is_tau else native_id,
        task=_task(record, chat),
        outcome=outcome,
        outcome_reason=reason,
        cost_usd=number_or_none(record.get("cost_usd")),
        metadata=_tau_metadata(record) if is_tau else record,
        events=tuple(chat.timeline.events),
    )


def _task(record: Mapping[str, Json], chat: Chat) -> str:
    stated = text_or_none(mapping(mapping(record.get("info")).get("task")).get("instruction"))
    stated = stated or next((text for key in _TASKS if (text := text_or_none(record.get(key)))), None)
    said = (event.content for event in chat.timeline.events if event.role == "user" and event.content)
    return stated or chat.asked or next(said, "")


def _tau_metadata(record: Mapping[str, Json]) -> dict[str, Any]:
    """Return the facts of a tau-bench record; its cost is that of the simulated customer, not of the run."""
    info = mapping(record.get("info"))
    task = mapping(info.get("task"))
    known = {
        "user_id": task.get("user_id"),
        "actions": task.get("actions"),
        "outputs": task.get("outputs"),
        "reward_info": info.get("reward_info"),
        "user_cost": info.get("user_cost"),
    }
    rest = without(info, {"task", "reward_info", "user_cost"})
    return {**without(record, {"info"}), **without(known, ()), **({"info": rest} if rest else {})}


IMPORTER = Importer(
    name=NAME,
    description="chat messages as in OpenAI's API (JSON or JSON lines), tau-bench runs",
    sniff=sniff,
    parse=parse,
)
