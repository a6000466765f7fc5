"""Histories of several agents talking: AG2 and CaptainAgent, Magentic-One, and CMBAgent's step files.

AG2 names the speaker in ``name``; Magentic-One in ``role``, with the addressee: ``Orchestrator (-> Coder)``.
CMBAgent writes one history a step of its plan, ``chat_history_step_N.json``; those of a folder are one run.
A change of speaker is a transition event between the two messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillsmith.capture.importers.base import (
    Timeline,
    as_text,
    mapping,
    number_or_none,
    outcome_of,
    text_or_none,
)
from skillsmith.capture.importers.blocks import plain_text
from skillsmith.capture.importers.chat import (
    ROLES,
    Speaker,
    add_message,
    add_raw,
    conversations,
    is_message,
    moment_of,
    preview,
)
from skillsmith.capture.importers.execution import CodeTrail, execution_reply
from skillsmith.capture.importers.registry import Bundle, Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import Event, Json, Problem, RunRecord

NAME = "multi-agent"
_STEP_FILE = re.compile(r"chat_history_step_(\d{1,6})\.json$")
_ADDRESSED = re.compile(r"(?P<agent>[^()]*[^()\s])\s*\((?P<note>[^()]*)\)$")
_LONGEST_ROLE = 200  # a longer one names no agent, and matching it would take long
_PEOPLE = frozenset({"human", "user", "user_proxy", "userproxy", "human_user", "admin", "_user"})
_TASKS = ("question", "task", "problem", "instruction")
_BLAMES = ("mistake_agent", "mistake_step")


def sniff(head: Head) -> float:
    """Return how surely a file is a conversation among several agents."""
    messages, record = preview(head)
    if not messages:
        return 0.0
    if step_of(head.name) is not None or any(key in record for key in _BLAMES):
        return 0.95
    if any(message["role"].lower() not in ROLES for message in messages):
        return 0.9
    return 0.9 if len({message["name"] for message in messages if _is_named(message)}) > 1 else 0.0


def _is_named(message: Mapping[str, Json]) -> bool:
    return bool(text_or_none(message.get("name"))) and ROLES.get(message["role"]) != "tool"


def step_of(name: str) -> int | None:
    """Return the step whose history a file of this name holds."""
    found = _STEP_FILE.fullmatch(name)
    return int(found[1]) if found else None


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield a run for every conversation of a file."""
    for found in conversations(source):
        if isinstance(found, Problem):
            yield found
        elif not found.messages:
            yield source.problem("a conversation without messages")
        else:
            talk = _Talk()
            talk.add(found.messages)
            yield talk.record(found.record)


def parse_steps(sources: Sequence[LogSource]) -> Iterator[RunRecord | Problem]:
    """Yield the one run that the step files of a folder are."""
    talk = _Talk()
    for source in sources:
        talk.timeline.step = step_of(source.name) or 1
        for found in conversations(source):
            if isinstance(found, Problem):
                yield found
            else:
                talk.add(found.messages)
    if talk.timeline.events:
        yield talk.record({})


@dataclass(slots=True)
class _Talk:
    """A conversation as its messages come in."""

    timeline: Timeline = field(default_factory=Timeline)
    _trail: CodeTrail = field(init=False)
    _last: str | None = None
    _task: str | None = None
    _named: bool = False

    def __post_init__(self) -> None:
        self._trail = CodeTrail(self.timeline)

    def add(self, messages: Sequence[Json]) -> None:
        """Add the messages of a conversation, or of one step of it."""
        self._last = None
        for message in messages:
            if is_message(message):
                self._add(message)
            else:
                add_raw(self.timeline, message)

    def _add(self, message: Mapping[str, Json]) -> None:
        speaker, at = _speaker(message), moment_of(message)
        execution = execution_reply(plain_text(message.get("content")))
        if execution:
            self._trail.answered()
        opening = self._last is None
        if not opening and speaker.agent != self._last:
            self.timeline.add(
                Event(kind="transition", at=at, step=self.timeline.step, agent=self._last,
                      recipient=speaker.agent)
            )  # fmt: skip
        self._last = speaker.agent
        self._named = self._named or _is_named(message)
        text = add_message(self.timeline, message, speaker)
        if self._task is None:
            self._task = text
        if execution:
            self._trail.ran(execution, agent=speaker.agent, at=at)
        else:  # an opening task or a thought may quote code
            self._trail.wrote(text, agent=speaker.agent, at=at, own=not (opening or speaker.data))

    def record(self, about: Mapping[str, Json]) -> RunRecord:
        """Return the conversation as a run.

        Args:
            about: The object around the messages.
        """
        outcome, reason = outcome_of(about)
        stated = next((text for key in _TASKS if (text := text_or_none(about.get(key)))), None)
        return RunRecord(
            source=NAME,
            native_id=self._native_id(about),
            task=stated or self._task or "",
            outcome=outcome,
            outcome_reason=reason,
            cost_usd=_total_cost(about),
            metadata=_metadata(about),
            events=tuple(self.timeline.events),
        )

    def _native_id(self, about: Mapping[str, Json]) -> str | None:
        """Return the log's id; a question's id is shared by the systems that tried to answer it."""
        if question := text_or_none(about.get("question_ID")):
            return f"{question}/{'ag2' if self._named else 'magentic-one'}"
        return as_text(about.get("chat_id", about.get("id")))


def _speaker(message: Mapping[str, Json]) -> Speaker:
    """Return who speaks: by name, or by a role that says more than a chat role does."""
    role = ROLES.get(message["role"].lower())
    if name := text_or_none(message.get("name")):
        return Speaker(role=role or "assistant", agent=name)
    found = _ADDRESSED.fullmatch(message["role"]) if len(message["role"]) <= _LONGEST_ROLE else None
    agent = found["agent"] if found else message["role"]
    note = found["note"].strip() if found else ""
    if role is None:
        role = "user" if agent.lower() in _PEOPLE else "assistant"
    if note.startswith("->"):
        return Speaker(role=role, agent=agent, recipient=note[2:].strip() or None)
    return Speaker(role=role, agent=agent, data={"channel": note} if note else None)


def _metadata(about: Mapping[str, Json]) -> dict[str, Any]:
    """Return the facts around the messages; a step given as text becomes the number it is."""
    facts = dict(about)
    step = text_or_none(facts.get("mistake_step"))
    if step is not None and re.fullmatch(r"[0-9]{1,9}", step):
        facts["mistake_step"] = int(step)
    return facts


def _total_cost(about: Mapping[str, Json]) -> float | None:
    """Return the cost that AG2 states for a chat."""
    cost = about.get("cost")
    if isinstance(cost, dict):
        usage = mapping(cost.get("usage_including_cached_inference")) or cost
        return number_or_none(usage.get("total_cost"))
    return number_or_none(cost)


IMPORTER = Importer(
    name=NAME,
    description="histories of several agents: AG2, Magentic-One, CMBAgent's chat_history_step_N.json",
    sniff=sniff,
    parse=parse,
    bundle=Bundle(part=step_of, parse=parse_steps),
)
