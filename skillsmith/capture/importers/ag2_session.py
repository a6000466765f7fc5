"""One session of AG2 Classic's log as a run: who sent what to whom, and the model calls behind it.

A message stands in the log once for everyone who received it, and a model's reply again as the message that
was sent. What a group's manager passes on is left out when it is known, and a reply is a message of its own
only when nobody received it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from skillsmith.capture.importers.base import (
    Timeline,
    as_text,
    count_or_none,
    epoch,
    items,
    mapping,
    number_or_none,
    text_or_none,
    tool_call,
    tool_result,
)
from skillsmith.capture.importers.blocks import plain_text
from skillsmith.capture.importers.chat import ROLES, Speaker, add_message
from skillsmith.capture.importers.execution import CodeTrail, execution_reply
from skillsmith.capture.importers.jsontext import JsonError, parse_json
from skillsmith.models import Event, Json, RunRecord

_UNNAMED = "user"
"""Who a prompt's messages are from when they do not say so."""
_SELECTORS = ("speaker_selection_agent", "checking_agent")
"""AG2's names of the pair that chooses the next speaker of a group."""


@dataclass(slots=True, kw_only=True)
class _Open:
    """Something that is an event of its own unless a message brings it.

    Args:
        place: How many events there were before it.
        events: What to add if nothing does.
        key: What the message would be known by.
        reasoning: What the model thought.
    """

    place: int
    events: list[Event]
    key: tuple[object, ...]
    reasoning: str | None = None


class Session:
    """One session as its rows come in.

    Args:
        session_id: As logged.
        classes: Class of each agent by name.
        told: Whether the log tells who received what; else only the prompts of model calls do.
    """

    def __init__(self, session_id: str, classes: Mapping[str, str], *, told: bool = True) -> None:
        self._session_id = session_id
        self._classes = classes
        self._told = told
        self._heard: Counter[tuple[object, ...]] = Counter()
        self._timeline = Timeline()
        self._trail = CodeTrail(self._timeline)
        self._open: list[_Open] = []
        self._systems: dict[str | None, str] = {}
        self._models: dict[str, None] = {}
        self._sent: set[tuple[object, ...]] = set()
        self._last: str | None = None
        self._selected: str | None = None
        self._asked = False

    def completion(self, row: Mapping[str, Any]) -> None:
        """Add a model call; its reply waits for the message that it becomes."""
        agent, at = text_or_none(row.get("source_name")), epoch(row["end_time"])
        request, response = _object(row["request"]), _object(row["response"])
        prompt = items(request.get("messages"))
        self._system(prompt, agent, at)
        if not self._told:
            self._hear(prompt, agent, at)
        choice = mapping(next(iter(items(response.get("choices"))), None))
        if not choice and text_or_none(response.get("response")):
            self._add("error", at, agent=agent, content=response["response"], data={"where": "model call"})
        self._model_call(row, request, response, agent=agent, at=at, prompt_messages=len(prompt))
        if message := mapping(choice.get("message")):
            self._wait(message, agent, at)

    def _add(self, kind: Any, at: float | None, **facts: Json) -> None:
        self._timeline.add(Event(kind=kind, at=at, step=self._timeline.step, **facts))

    def _system(self, prompt: list[Json], agent: str | None, at: float | None) -> None:
        """Add an agent's instructions when they are not what they were."""
        first = mapping(prompt[0]) if prompt else {}
        text = plain_text(first.get("content"))
        if first.get("role") == "system" and text and self._systems.get(agent) != text:
            self._systems[agent] = text
            self._add("message", at, role="system", recipient=agent, content=text)

    def _hear(self, prompt: list[Json], agent: str | None, at: float | None) -> None:
        """Add what stands in a prompt for the first time and is no reply of the model."""
        counts: Counter[tuple[object, ...]] = Counter()
        for message in map(mapping, prompt):
            key = (role := ROLES.get(text_or_none(message.get("role")) or "", "user"), *_identity(message))
            counts[key] += 1
            if role in ("user", "tool") and counts[key] > self._heard[key]:
                self._heard[key] += 1
                self._say(message, text_or_none(message.get("name")) or _UNNAMED, agent, at)

    def _model_call(
        self,
        row: Mapping[str, Any],
        request: Mapping[str, Json],
        response: Mapping[str, Json],
        *,
        agent: str | None,
        at: float | None,
        prompt_messages: int,
    ) -> None:
        usage = mapping(response.get("usage"))
        model = text_or_none(response.get("model")) or text_or_none(request.get("model"))
        if model:
            self._models.setdefault(model)
        cached, cost = bool(row.get("is_cached")), number_or_none(row.get("cost"))
        begun = epoch(row.get("start_time"))
        choice = mapping(next(iter(items(response.get("choices"))), None))
        facts = {
            "model": model,
            "finish_reason": text_or_none(choice.get("finish_reason")),
            "cached": cached or None,
            "prompt_messages": prompt_messages or None,
        }
        self._add(
            "llm_call", at, agent=agent,
            tokens_in=count_or_none(usage.get("prompt_tokens")),
            tokens_out=count_or_none(usage.get("completion_tokens")),
            duration_seconds=max(0.0, at - begun) if at is not None and begun is not None else None,
            cost_usd=0.0 if cached else cost or None,  # AG2 writes 0 for a model whose price it does not know
            data={name: value for name, value in facts.items() if value is not None},
        )  # fmt: skip

    def _wait(self, message: Mapping[str, Json], agent: str | None, at: float | None) -> None:
        """Keep a reply until a message shows that it was sent."""
        aside = replace(Timeline(), step=self._timeline.step)
        add_message(aside, _without_thought(message), Speaker(role="assistant", agent=agent))
        thought = _thought(message)
        events = [replace(event, at=at) for event in aside.events]
        waiting = _Open(
            place=len(self._timeline.events),
            events=[_thinking(event, thought) for event in events],
            key=(agent, *_identity(message)),
            reasoning=thought,
        )
        self._open.append(waiting)

    def function(self, row: Mapping[str, Any]) -> None:
        """Keep a function's use, in case that no message has its result."""
        name, at, agent = text_or_none(row["function_name"]), epoch(row["timestamp"]), row.get("source_name")
        call_id = f"function-{len(self._timeline.events)}-{len(self._open)}"
        arguments, returned = as_text(row["args"]), as_text(_value(row["returns"]))
        call = tool_call(name, call_id, arguments)
        result = tool_result(call.name, call_id, returned)
        step = self._timeline.step
        events = [
            Event(kind="tool_call", at=at, step=step, agent=text_or_none(agent), tool=call),
            Event(kind="tool_result", at=at, step=step, role="tool", agent=text_or_none(agent), tool=result),
        ]
        self._open.append(_Open(place=len(self._timeline.events), events=events, key=("function", call.name)))

    def received(self, row: Mapping[str, Any]) -> None:
        """Add a message, unless it was only passed on."""
        state = _object(row["json_state"])
        said = state.get("message")
        message = dict(said) if isinstance(said, dict) else {"content": said}
        sender = text_or_none(state.get("sender"))
        speaker = text_or_none(message.get("name")) or sender
        identity = (speaker, *_identity(message))
        if speaker != sender and identity in self._sent:
            return
        self._sent.add(identity)
        self._say(message, speaker, text_or_none(row["source_name"]), epoch(row["timestamp"]))

    def _say(
        self, message: Mapping[str, Json], agent: str | None, recipient: str | None, at: float | None
    ) -> None:
        reply = self._take((agent, *_identity(message)))
        thought = _thought(message) or (reply.reasoning if reply else None)
        execution = execution_reply(plain_text(message.get("content")))
        role = self._role(message, agent, replied=reply is not None)
        if role == "user" and execution is None:
            self._timeline.step += self._asked
            self._asked = True
        if execution:
            self._trail.answered()
        selecting = agent in _SELECTORS and recipient in _SELECTORS
        if selecting and agent == _SELECTORS[0]:
            self._selected = plain_text(message.get("content"))
        elif not selecting:
            self._turn(agent, at)
        place = len(self._timeline.events)
        data = {"channel": "speaker selection"} if selecting else None
        speaker = Speaker(role=role, agent=agent, recipient=recipient, data=data)
        text = add_message(self._timeline, _without_thought(message), speaker)
        added = self._timeline.events[place:]
        self._timeline.events[place:] = [_thinking(replace(event, at=at), thought) for event in added]
        self._settle(added)
        if execution:
            self._trail.ran(execution, agent=agent, at=at)
        else:
            self._trail.wrote(text if role == "assistant" else None, agent=agent, at=at, own=False)

    def _role(self, message: Mapping[str, Json], agent: str | None, *, replied: bool) -> str:
        stated = text_or_none(message.get("override_role")) or text_or_none(message.get("role"))
        role = ROLES.get(stated or "", "user")
        if role in ("tool", "system") or (role == "assistant" and not self._is_person(agent)):
            return role
        return "assistant" if replied or (self._asked and not self._is_person(agent)) else "user"

    def _is_person(self, agent: str | None) -> bool:
        return agent == _UNNAMED or "UserProxy" in self._classes.get(agent or "", "")

    def _turn(self, agent: str | None, at: float | None) -> None:
        """Add a change of speaker."""
        if self._last is not None and agent != self._last:
            reason = f"selected: {self._selected}" if self._selected else None
            self._add("transition", at, agent=self._last, recipient=agent, content=reason)
            self._selected = None
        self._last = agent

    def _take(self, key: tuple[object, ...]) -> _Open | None:
        """Return what was waiting for a message, and stop waiting for it."""
        for waiting in self._open:
            if waiting.key == key:
                self._open.remove(waiting)
                return waiting
        return None

    def _settle(self, added: list[Event]) -> None:
        for event in added:
            if event.kind == "tool_result" and event.tool:
                self._take(("function", event.tool.name))

    def record(self, source: str) -> RunRecord | None:
        """Return the session as a run, None when nothing happened in it."""
        events = list(self._timeline.events)
        for waiting in reversed(self._open):
            events[waiting.place : waiting.place] = waiting.events
        if not events:
            return None
        said = (event.content for event in events if event.role == "user")
        facts: dict[str, Json] = {"models": list(self._models), "agents": dict(self._classes)}
        return RunRecord(
            source=source,
            native_id=self._session_id or None,
            task=next((text for text in said if text), ""),
            metadata={name: value for name, value in facts.items() if value},
            events=tuple(events),
        )


def _value(text: Any) -> Json:
    """Return the JSON value of a column, or the column as it is when it holds none."""
    try:
        return parse_json(text.encode()) if isinstance(text, str) else text
    except (JsonError, UnicodeEncodeError):
        return text


def _object(text: Any) -> dict[str, Json]:
    return mapping(_value(text))


def _identity(message: Mapping[str, Json]) -> tuple[object, ...]:
    """Return what a message is known again by, whoever passes it on."""
    calls = [mapping(call).get("id") for call in items(message.get("tool_calls"))]
    answers = [mapping(answer).get("tool_call_id") for answer in items(message.get("tool_responses"))]
    return (plain_text(message.get("content")) or "", *map(as_text, calls), *map(as_text, answers))


def _thought(message: Mapping[str, Json]) -> str | None:
    return text_or_none(message.get("reasoning_content")) or text_or_none(message.get("reasoning"))


def _without_thought(message: Mapping[str, Json]) -> dict[str, Json]:
    left_out = ("reasoning_content", "reasoning")
    return {key: value for key, value in message.items() if key not in left_out and value is not None}


def _thinking(event: Event, thought: str | None) -> Event:
    return replace(event, reasoning=thought) if thought and event.kind == "message" else event
