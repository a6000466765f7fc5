"""Chats: finding the lists of messages in a file, and turning messages into events.

Every message becomes exactly one event with a role (a tool message with several answers: one an answer);
what is derived from it (reasoning, tool calls) has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from skillsmith.capture.importers.base import (
    Timeline,
    as_text,
    epoch,
    items,
    mapping,
    text_or_none,
    tool_call,
    tool_result,
    without,
)
from skillsmith.capture.importers.blocks import Parts, plain_text, take_apart
from skillsmith.capture.importers.execution import CodeTrail, Execution, execution_reply
from skillsmith.capture.importers.message_forms import chat_messages
from skillsmith.capture.importers.source import Head, LogSource, Record
from skillsmith.models import CodeUse, Event, Json, Problem, RunRecord, ToolUse

MESSAGE_KEYS = ("messages", "traj", "conversation", "chat_history", "history", "conversations", "contents")
"""Where an object keeps its list of messages."""

_AROUND = ("data", "result", "output", "state", "values", "thread", "session")
"""Where an object keeps the one that holds its list of messages."""

_SYSTEM_KEYS = ("system", "systemInstruction", "system_instruction")
"""Where a provider's request keeps the system message, which is none of the list."""

_LIST_KEYS = ("simulations", "conversations")
"""Where an object keeps its list of conversations."""

ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
    "ai": "assistant", "model": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip

PEOPLE = frozenset({"human", "user", "user_proxy", "userproxy", "human_user", "admin", "_user"})
"""Names, in lower case, under which people take part in a conversation of agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A list of messages and the object around it.

    Args:
        messages: As in the file; not all need be objects.
        record: The object around them, without them.
    """

    messages: Sequence[Json]
    record: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who a message is from and for, and in which role.

    ``data`` is kept with the message's event.
    """

    role: str
    agent: str | None = None
    recipient: str | None = None
    data: Mapping[str, Json] | None = None


def is_message(value: Json) -> TypeGuard[dict[str, Json]]:
    """Tell whether a value is a chat message: an object with a role."""
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def conversation_in(value: Json) -> Conversation | None:
    """Return the conversation that a value is: a list of messages, or an object that holds one."""
    if isinstance(value, list):
        messages = chat_messages(value)
        return Conversation(messages=messages) if any(is_message(item) for item in messages) else None
    record = mapping(value)
    for key in MESSAGE_KEYS:
        if isinstance(listed := record.get(key), list):
            messages = chat_messages(listed)
            if not messages or any(is_message(item) for item in messages):
                return _with_system(Conversation(messages=messages, record=without(record, {key})))
    for key in _AROUND:
        if isinstance(inner := record.get(key), dict) and (found := conversation_in(inner)):
            return replace(found, record={**without(record, {key}), **found.record})
    return None


def _with_system(found: Conversation) -> Conversation:
    """Return a conversation with the system message that stands beside its messages at their beginning."""
    for key in _SYSTEM_KEYS:
        stated = found.record.get(key)
        text = plain_text(mapping(stated).get("parts", stated)) if stated else None
        if text and not any(is_message(item) and item["role"] == "system" for item in found.messages):
            system = {"role": "system", "content": text}
            return Conversation(messages=[system, *found.messages], record=without(found.record, {key}))
    return found


def listed_in(value: Json) -> list[Json] | None:
    """Return the list of conversations that a value is, or holds."""
    if isinstance(value, list):
        return value
    return next((found for key in _LIST_KEYS if isinstance(found := mapping(value).get(key), list)), None)


def preview(head: Head) -> tuple[list[dict[str, Json]], dict[str, Json]]:
    """Return messages and surrounding object from the beginning of a file, both empty when it is no chat."""
    loose = [value for value in chat_messages(head.values) if is_message(value)]
    if loose:
        return loose, {}
    for value in head.values:
        for candidate in (value, *(listed_in(value) or [])[:1]):
            if found := conversation_in(candidate):
                return [message for message in found.messages if is_message(message)], found.record
    return [], {}


def conversations(source: LogSource) -> Iterator[Conversation | Problem]:
    """Yield the conversations of a file: one or many, one a line, or one message a line."""
    if isinstance(source.head, Problem):
        yield source.head
    elif source.head.lines:
        yield from _in_lines(source)
    else:
        yield from _in_document(source)


def conversation_runs(
    source: LogSource, run: Callable[[Conversation], RunRecord]
) -> Iterator[RunRecord | Problem]:
    """Yield what ``run`` makes of every conversation of a file."""
    for found in conversations(source):
        if isinstance(found, Problem):
            yield found
        elif not found.messages:
            yield source.problem("a conversation without messages")
        else:
            yield run(found)


def _in_lines(source: LogSource) -> Iterator[Conversation | Problem]:
    messages: list[Json] = []
    for record in source.records():
        if isinstance(record, Problem):
            yield record
        elif found := conversation_in(record.value):
            yield found
        elif loose := [value for value in chat_messages([record.value]) if is_message(value)]:
            messages += loose
        else:
            yield _neither(source, record)
    if messages:
        yield Conversation(messages=messages)


def _neither(source: LogSource, record: Record) -> Problem:
    return source.problem("neither a message nor a conversation", record.line)


def _in_document(source: LogSource) -> Iterator[Conversation | Problem]:
    for value in source.documents():
        if isinstance(value, Problem):
            yield value
        elif found := conversation_in(value):
            yield found
        elif listed := listed_in(value):
            for number, item in enumerate(listed, 1):
                yield conversation_in(item) or source.problem(f"item {number} of the list is no conversation")
        else:
            yield source.problem("holds no list of messages")


@dataclass(slots=True)
class Dialogue:
    """Messages as they come in, the code in them joined to what executors answer.

    Args:
        timeline: The events so far.
    """

    timeline: Timeline = field(default_factory=Timeline)
    _trail: CodeTrail = field(init=False)

    def __post_init__(self) -> None:
        self._trail = CodeTrail(self.timeline)

    def answer_in(self, message: Mapping[str, Json]) -> Execution | None:
        """Return what an executor reports in a message; code that only the answer makes code of is added."""
        execution = execution_reply(plain_text(message.get("content")))
        if execution:
            self._trail.answered()
        return execution

    def say(
        self,
        message: Mapping[str, Json],
        speaker: Speaker,
        *,
        execution: Execution | None = None,
        own: bool | None = False,
    ) -> str | None:
        """Add a message with all that follows from it, and return its text.

        Args:
            message: As in the log.
            speaker: Who says it.
            execution: What ``answer_in`` found in it.
            own: Whether code in it is the speaker's own; False: it may be quoted and counts once an executor
                answers; None: it never counts.
        """
        at = moment_of(message)
        text = add_message(self.timeline, message, speaker)
        if execution:
            self._trail.ran(execution, agent=speaker.agent, at=at)
        else:
            self._trail.wrote(None if own is None else text, agent=speaker.agent, at=at, own=bool(own))
        return text


def add_message(timeline: Timeline, message: Mapping[str, Json], speaker: Speaker) -> str | None:
    """Add the events of one message and return its text."""
    at = moment_of(message)
    parts = take_apart(message.get("content"))
    if speaker.role == "tool":
        _add_tool_message(timeline, message, speaker, at)
        return parts.text
    thought = text_or_none(message.get("reasoning_content")) or text_or_none(message.get("reasoning"))
    if thought := thought or parts.thinking:
        timeline.add(Event(kind="reasoning", at=at, step=timeline.step, agent=speaker.agent, content=thought))
    if speaker.role != "assistant":
        _add_results(timeline, parts, at)
    calls = [*_tool_calls(message), *parts.calls]
    if speaker.role == "assistant" or not parts.results or parts.text or calls:
        timeline.add(_message_event(timeline, message, speaker, parts, at))
    for call in calls:
        timeline.add(
            Event(kind="tool_call", at=at, step=timeline.step, agent=speaker.agent, tool=timeline.call(call))
        )
    _add_code(timeline, parts, speaker, at)
    if speaker.role == "assistant":  # of tools that the provider ran between its call and its text
        _add_results(timeline, parts, at)
    return parts.text


def _add_results(timeline: Timeline, parts: Parts, at: float | None) -> None:
    for result in parts.results:
        tool = tool_result(
            timeline.tool_name(result.call_id), result.call_id, result.text, failed=result.failed
        )
        timeline.add(Event(kind="tool_result", at=at, step=timeline.step, role="tool", tool=tool))


def _add_code(timeline: Timeline, parts: Parts, speaker: Speaker, at: float | None) -> None:
    """Add code that the provider ran, and what it gave."""
    for number, code in enumerate(parts.code):
        call_id = code.call_id or f"code-{len(timeline.events)}-{number}"
        block = CodeUse(language=code.language, text=code.text, call_id=call_id)
        timeline.add(Event(kind="code", at=at, step=timeline.step, agent=speaker.agent, code=block))
        if code.output is not None or code.exit_code is not None:
            result = replace(code, text=None, call_id=call_id)
            timeline.add(Event(kind="code_result", at=at, step=timeline.step, code=result))


def _message_event(
    timeline: Timeline, message: Mapping[str, Json], speaker: Speaker, parts: Parts, at: float | None
) -> Event:
    text = parts.text
    if text is None:
        text = text_or_none(message.get("refusal"))
    return Event(
        kind="message",
        at=at,
        step=timeline.step,
        role=speaker.role,
        agent=speaker.agent,
        recipient=speaker.recipient,
        content=text,
        data=speaker.data,
        record_id=text_or_none(message.get("id")),
    )


def _add_tool_message(
    timeline: Timeline, message: Mapping[str, Json], speaker: Speaker, at: float | None
) -> None:
    """Add a tool message; AG2 packs several answers into one."""
    packed = [answer for answer in items(message.get("tool_responses")) if isinstance(answer, dict)]
    named = speaker.agent is None or message.get("role") == "function"  # else the name is the executor's
    for answer in packed or [dict(message)]:
        call_id = text_or_none(answer.get("tool_call_id"))
        name = timeline.tool_name(call_id, answer.get("name") if named else None)
        failed = answer.get("status") == "error" or answer.get("is_error") is True
        tool = tool_result(name, call_id, plain_text(answer.get("content")), failed=failed)
        timeline.add(
            Event(
                kind="tool_result",
                at=at,
                step=timeline.step,
                role="tool",
                agent=speaker.agent,
                tool=tool,
                data=speaker.data,
                record_id=text_or_none(message.get("id")),
            )
        )


def _tool_calls(message: Mapping[str, Json]) -> Iterator[ToolUse]:
    """Yield a message's tool calls in the present, the custom and the legacy form."""
    for call in items(message.get("tool_calls")):
        if not isinstance(call, dict):
            continue
        inner = mapping(call.get("function")) or mapping(call.get("custom")) or call
        arguments = next((inner[key] for key in ("arguments", "input", "args") if key in inner), None)
        yield tool_call(inner.get("name"), call.get("id"), arguments)
    legacy = mapping(message.get("function_call"))
    if legacy:
        yield tool_call(legacy.get("name"), None, legacy.get("arguments"))


def moment_of(record: Mapping[str, Json]) -> float | None:
    """Return when a record was written, under any of the usual names."""
    for key in ("timestamp", "created_at", "at", "time", "created"):
        if key in record:
            return epoch(record[key])
    return None


def add_raw(timeline: Timeline, value: Json) -> None:
    """Keep something that is no message as it is."""
    timeline.add(
        Event(kind="raw", step=timeline.step, content=as_text(value) if isinstance(value, str) else None,
              data=None if isinstance(value, str) else {"record": value})
    )  # fmt: skip
