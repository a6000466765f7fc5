"""Recorded traffic with model providers: requests and answers as they went over the wire.

Every request repeats the history before it, so a history is laid beside the ones known and only what is new
is added. An answer and its echo in the next request differ in details (ids, order, thoughts put into the
text); they are the same message. Each exchange gives one event that carries its address and status:
``llm_call`` for a call of a model, ``raw`` for anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.capture.importers.base import (
    Timeline,
    as_text,
    integer_or_none,
    items,
    mapping,
    text_or_none,
    without,
)
from skillsmith.capture.importers.blocks import Parts, take_apart
from skillsmith.capture.importers.chat import ROLES
from skillsmith.capture.importers.jsontext import parsed_or_none
from skillsmith.capture.importers.openai_chat import Chat
from skillsmith.capture.importers.providers import Call, call_in, described_tools, provider_of
from skillsmith.capture.importers.registry import Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.capture.importers.streams import pieces_of, put_together
from skillsmith.models import Event, Json, Problem, RunRecord

NAME = "provider-exchanges"
_AGENT = "assistant"
_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)
_FAILED = 400  # HTTP statuses from here on are errors


def sniff(head: Head) -> float:
    """Return how surely a file holds recorded exchanges."""
    for value in head.objects[:1]:
        first = next(iter(items(value.get("exchanges"))), None) if "exchanges" in value else value
        if _is_exchange(mapping(first)):
            return 0.97
    return 0.0


def _is_exchange(value: Mapping[str, Json]) -> bool:
    """Tell whether a value is a request with its address, or with an answer that tells what it is."""
    if "request" not in value or isinstance(value.get("uri", value.get("url")), str):
        return "request" in value
    request, response = mapping(_body(value["request"])), _answer(value)
    return response is not None and call_in("", request, response) is not None


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield the run that a file's exchanges are: those of its list, or one a line."""
    head = source.head
    if isinstance(head, Problem):
        yield head
        return
    traffic = _Traffic()
    about: Mapping[str, Json] = {}
    for found in _exchanges(source, lines=head.lines):
        if isinstance(found, Problem):
            yield found
        elif isinstance(found, Mapping):
            about = found
        else:
            traffic.add(*found)
    if traffic.timeline.events:
        yield traffic.record(about)
    else:
        yield source.problem("holds no exchanges")


_Found = tuple[int, dict[str, Json]]


def _exchanges(source: LogSource, *, lines: bool) -> Iterator[_Found | Mapping[str, Json] | Problem]:
    """Yield exchanges with their numbers, and once what stands around them."""
    number = 0
    values: Iterator[Json | Problem]
    if lines:
        values = (one if isinstance(one, Problem) else one.value for one in source.records())
    else:
        values = iter([source.document()])
    for value in values:
        if isinstance(value, Problem):
            yield value
            continue
        listed = value if isinstance(value, list) else mapping(value).get("exchanges")
        if isinstance(value, dict) and listed is not None:
            yield without(value, ("exchanges",))
        for exchange in items(listed) if listed is not None else [value]:
            number += 1
            if _is_exchange(mapping(exchange)):
                yield number, exchange
            else:
                yield source.problem(
                    f"item {number} is no exchange: it has no request with address or answer"
                )


@dataclass(slots=True)
class _Thread:
    """One history as far as it is known: what tells its messages apart, and the ids of its calls."""

    keys: list[_Key] = field(default_factory=list)
    calls: list[tuple[str | None, ...]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Key:
    """What two copies of a message have in common."""

    role: str
    content: tuple[str, ...]


@dataclass(slots=True)
class _Traffic:
    """The conversation behind the exchanges, as they come in."""

    chat: Chat = field(default_factory=Chat)
    _threads: dict[_Key, list[_Thread]] = field(default_factory=dict)  # by their first message
    _by_answer: dict[str, _Thread] = field(default_factory=dict)
    _aliases: dict[str, str] = field(default_factory=dict)
    _system: str | None = None
    _tools: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    _models: dict[str, None] = field(default_factory=dict)

    @property
    def timeline(self) -> Timeline:
        """The events so far."""
        return self.chat.timeline

    def add(self, number: int, exchange: Mapping[str, Json]) -> None:
        """Add an exchange; ``number`` counts from 1."""
        uri = text_or_none(exchange.get("uri")) or text_or_none(exchange.get("url")) or ""
        request = mapping(_body(exchange.get("request")))
        response = _answer(exchange)
        status = integer_or_none(exchange.get("status"))
        about = {"number": number, "method": exchange.get("method"), "uri": uri or None, "status": status}
        about = without(about, ())
        call = call_in(uri, request, response)
        if call is None:
            self.timeline.add(
                Event(kind="raw", step=self.timeline.step, data={**about, "record": without(exchange, about)})
            )
        else:
            self._add_call(call, about)
        self._add_error(response, status)

    def _add_call(self, call: Call, about: Mapping[str, Json]) -> None:
        self._tools.update(described_tools(call.tools))
        if call.system and call.system != self._system:
            self.chat.add({"role": "system", "content": call.system})
            self._system = call.system
        thread, known = self._find(call)
        for message in call.messages[known:]:
            self._say(thread, message)
        if call.model:
            self._models.setdefault(call.model)
        facts = {
            **about,
            "model": call.model,
            "provider": provider_of(str(about.get("uri", ""))),
            "finish_reason": call.finish_reason,
            "prompt_messages": len(call.messages) + bool(call.system),
            **call.usage.details,
            "parameters": dict(call.parameters) or None,
        }
        self.timeline.add(
            Event(
                kind="llm_call", at=call.at, step=self.timeline.step, agent=_AGENT,
                tokens_in=call.usage.tokens_in, tokens_out=call.usage.tokens_out,
                cost_usd=call.usage.cost_usd, data=without(facts, ()), record_id=call.response_id,
            )
        )  # fmt: skip
        if call.reply is not None:
            stamped = {**call.reply, "created_at": call.at} if call.at else call.reply
            self._say(thread, stamped)
        if call.response_id:
            self._by_answer[call.response_id] = thread

    def _find(self, call: Call) -> tuple[_Thread, int]:
        """Return the thread that a call continues, cut where it leaves it, and how much of it is known."""
        if call.previous_id in self._by_answer:
            return self._by_answer[call.previous_id], 0
        keys = [_key(message) for message in call.messages]
        if not keys:
            return _Thread(), 0
        alike = self._threads.setdefault(keys[0], [])
        best = max(alike, key=lambda thread: _shared(thread.keys, keys), default=_Thread())
        shared = _shared(best.keys, keys)
        thread = best
        if not shared or shared < len(best.keys):
            thread = _Thread(best.keys[:shared], best.calls[:shared])
            alike.append(thread)
        self._note_echoes(thread, call.messages[:shared])
        return thread, shared

    def _note_echoes(self, thread: _Thread, echoes: Sequence[Mapping[str, Json]]) -> None:
        """Remember under which ids a request repeats calls that are known under others."""
        for number, echo in enumerate(echoes):
            for known, repeated in zip(thread.calls[number], _call_ids(echo), strict=False):
                if known and repeated and known != repeated:
                    self._aliases[repeated] = known

    def _say(self, thread: _Thread, message: Mapping[str, Json]) -> None:
        self.chat.add(_with_known_ids(message, self._aliases))
        thread.keys.append(_key(message))
        thread.calls.append(_call_ids(message))

    def _add_error(self, response: Mapping[str, Json] | None, status: int | None) -> None:
        error = (response or {}).get("error")
        if not error and (status or 0) < _FAILED:
            return
        text = mapping(error).get("message", error or response)
        kind = text_or_none(mapping(error).get("type")) or text_or_none(mapping(error).get("code"))
        facts = {"status": status, "error_type": kind, "record": error if isinstance(error, dict) else None}
        self.timeline.add(
            Event(kind="error", step=self.timeline.step, agent=_AGENT,
                  content=as_text(text) or f"HTTP status {status}", data=without(facts, ()))
        )  # fmt: skip

    def record(self, about: Mapping[str, Json]) -> RunRecord:
        """Return the traffic as a run.

        Args:
            about: What stands around the exchanges.
        """
        said = (event.content for event in self.timeline.events if event.role == "user" and event.content)
        metadata = {**about, "models": list(self._models), "tools": list(self._tools.values())}
        return RunRecord(
            source=NAME,
            native_id=text_or_none(about.get("origin")) or text_or_none(about.get("id")),
            task=next(said, ""),
            metadata={key: value for key, value in metadata.items() if value not in (None, [])},
            events=tuple(self.timeline.events),
        )


def _body(value: Json) -> Json:
    """Return a body: recorders keep it as JSON, or as the text that was sent."""
    return parsed_or_none(value) if isinstance(value, str) else value


def _answer(exchange: Mapping[str, Json]) -> dict[str, Json] | None:
    """Return the body of an answer; one that was streamed is put together."""
    body = _body(exchange.get("response"))
    if isinstance(body, dict):
        return body
    if isinstance(body, list):
        return put_together([piece for piece in body if isinstance(piece, dict)])
    text = text_or_none(exchange.get("response_text")) or text_or_none(exchange.get("response"))
    return put_together(pieces_of(text)) if text else None


def _parts(message: Mapping[str, Json]) -> Parts:
    return take_apart(message.get("content"))


def _key(message: Mapping[str, Json]) -> _Key:
    role = ROLES.get(text_or_none(message.get("role")) or "user", "user")
    parts = _parts(message)
    names = _called(message, parts)
    if role == "assistant" and names:
        return _Key(role, names)
    results = [result.text or "" for result in parts.results]
    text = " ".join(_THOUGHTS.sub("", parts.text or "").split())
    if results and not text:  # OpenAI has a role for results, others put them into the user's messages
        return _Key("tool", (" ".join(" ".join(results).split()),))
    return _Key(role, (text, *results))


def _called(message: Mapping[str, Json], parts: Parts) -> tuple[str, ...]:
    inner = (mapping(mapping(call).get("function")) for call in items(message.get("tool_calls")))
    return (*(str(function.get("name")) for function in inner), *(call.name for call in parts.calls))


def _call_ids(message: Mapping[str, Json]) -> tuple[str | None, ...]:
    given = (text_or_none(mapping(call).get("id")) for call in items(message.get("tool_calls")))
    return (*given, *(call.call_id for call in _parts(message).calls))


def _shared(known: Sequence[_Key], sent: Sequence[_Key]) -> int:
    """Return how many messages at their beginning two histories share.

    The last known message may be an answer that its echo words differently.
    """
    for number, (one, other) in enumerate(zip(known, sent, strict=False)):
        answer = number == len(known) - 1 and one.role == other.role == "assistant"
        if one != other and not answer:
            return number
    return min(len(known), len(sent))


def _with_known_ids(message: Mapping[str, Json], aliases: Mapping[str, str]) -> dict[str, Json]:
    """Return a message in which results name the calls by the ids these were recorded under."""
    changed = dict(message)
    call_id = message.get("tool_call_id")
    if isinstance(call_id, str):
        changed["tool_call_id"] = aliases.get(call_id, call_id)
    if isinstance(content := message.get("content"), list):
        changed["content"] = [_block_with_known_id(block, aliases) for block in content]
    return changed


def _block_with_known_id(block: Json, aliases: Mapping[str, str]) -> Json:
    call_id = mapping(block).get("tool_use_id")
    return (
        {**block, "tool_use_id": aliases[call_id]}
        if isinstance(call_id, str) and call_id in aliases
        else block
    )


IMPORTER = Importer(
    name=NAME,
    description="recorded requests to model providers: OpenAI, Anthropic, Google, Bedrock and their dialects",
    sniff=sniff,
    parse=parse,
)
