"""Histories of several agents talking: AG2 and CaptainAgent, Magentic-One, and CMBAgent's step files.

AG2 names the speaker in ``name``; Magentic-One in ``role``, with the addressee: ``Orchestrator (-> Coder)``.
CMBAgent writes one history a step of its plan, with reports beside it; all files of its folder are one run.
A change of speaker is a transition event between the two messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skillsmith.capture.importers.base import (
    Timeline,
    as_text,
    mapping,
    number_or_none,
    outcome_of,
    text_or_none,
)
from skillsmith.capture.importers.chat import (
    PEOPLE,
    ROLES,
    Conversation,
    Dialogue,
    Speaker,
    add_raw,
    conversation_runs,
    conversations,
    is_message,
    moment_of,
    preview,
)
from skillsmith.capture.importers.cmbagent_folder import (
    code_files,
    cost_events,
    in_order,
    is_report,
    part_number,
    part_of,
    root_of,
    seconds_in,
)
from skillsmith.capture.importers.registry import Bundle, Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import Event, FileSnapshot, Json, Problem, RunRecord

NAME = "multi-agent"
_ADDRESSED = re.compile(r"(?P<agent>[^()]*[^()\s])\s*\((?P<note>[^()]*)\)$")
_LONGEST_ROLE = 200  # a longer one names no agent, and matching it would take long
_TASKS = ("question", "task", "problem", "instruction")
_BLAMES = ("mistake_agent", "mistake_step")


def sniff(head: Head) -> float:
    """Return how surely a file is a conversation among several agents."""
    if is_report(head):
        return 0.95
    messages, record = preview(head)
    if not messages:
        return 0.0
    if part_of(head.name) is not None or any(key in record for key in _BLAMES):
        return 0.95
    if any(message["role"].lower() not in ROLES for message in messages):
        return 0.9
    return 0.9 if len({message["name"] for message in messages if _is_named(message)}) > 1 else 0.0


def _is_named(message: Mapping[str, Json]) -> bool:
    return bool(text_or_none(message.get("name"))) and ROLES.get(message["role"]) != "tool"


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield a run for every conversation of a file."""
    return conversation_runs(source, _run)


def _run(conversation: Conversation) -> RunRecord:
    talk = _Talk()
    talk.add(conversation.messages)
    return talk.record(conversation.record)


def parse_folder(sources: Sequence[LogSource]) -> Iterator[RunRecord | Problem]:
    """Yield the one run that the files of CMBAgent's run folder are."""
    talk = _Talk()
    facts: dict[str, Json] = {}
    seconds = 0.0
    for part, source in in_order(sources):
        talk.timeline.step = max(part.step or talk.timeline.step, 1)
        if part.kind in ("history", "output", "nested"):
            for found in conversations(source):
                if isinstance(found, Problem):
                    yield found
                else:
                    talk.add(found.messages)
            continue
        report = source.document()
        if isinstance(report, Problem):
            yield report
        elif part.kind == "plan":
            facts["plan"] = mapping(report).get("sub_tasks", report)
        elif part.kind == "cost":
            talk.timeline.events += cost_events(report, talk.timeline.step)
        else:
            seconds += seconds_in(report)
    if not talk.spoken:
        yield sources[0].problem("a report without its chats: name the run's folder")
        return
    if seconds:
        facts["duration_seconds"] = seconds
    record = talk.record({})
    left = list(code_files(root_of(sources[0].path), record.events))
    yield from (one for one in left if isinstance(one, Problem))
    files = tuple(one for one in left if isinstance(one, FileSnapshot))
    yield replace(record, metadata=facts, files=files)


@dataclass(slots=True)
class _Talk:
    """A conversation as its messages come in."""

    dialogue: Dialogue = field(default_factory=Dialogue)
    _last: str | None = None
    _task: str | None = None
    _named: bool = False

    @property
    def timeline(self) -> Timeline:
        """The events so far."""
        return self.dialogue.timeline

    @property
    def spoken(self) -> bool:
        """Whether anything has been said."""
        return any(event.kind != "llm_call" for event in self.timeline.events)

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
        execution = self.dialogue.answer_in(message)
        opening = self._last is None
        if not opening and speaker.agent != self._last:
            self.timeline.add(
                Event(kind="transition", at=at, step=self.timeline.step, agent=self._last,
                      recipient=speaker.agent)
            )  # fmt: skip
        self._last = speaker.agent
        self._named = self._named or _is_named(message)
        own = not (opening or speaker.data)  # an opening task or a thought may quote code
        text = self.dialogue.say(message, speaker, execution=execution, own=own)
        if self._task is None:
            self._task = text

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
        role = "user" if agent.lower() in PEOPLE else "assistant"
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
    description="histories of several agents: AG2, Magentic-One, CMBAgent's run folders",
    sniff=sniff,
    parse=parse,
    bundle=Bundle(part=part_number, parse=parse_folder, folder=root_of),
)
