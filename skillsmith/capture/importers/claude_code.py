"""Claude Code's session files: one JSON object a line, a message spread over several of them.

Usage is repeated on every line of a message; each event carries what its line adds, so that sums are right.
Every line of the log becomes at least one event, and the first event of each says which type the line was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from skillsmith.capture.importers.base import (
    Timeline,
    count_or_none,
    epoch,
    items,
    mapping,
    number_or_none,
    text_or_none,
    tool_result,
    without_tags,
)
from skillsmith.capture.importers.blocks import Parts, take_apart, words_of
from skillsmith.capture.importers.claude_files import FileHistory
from skillsmith.capture.importers.jsontext import json_text
from skillsmith.capture.importers.registry import Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import Event, Json, Problem, RunRecord

NAME = "claude-code"
_LINE_TYPES = frozenset({
    "user", "assistant", "system", "summary", "file-history-snapshot", "queue-operation", "progress",
    "attachment", "ai-title", "custom-title", "last-prompt", "pr-link", "agent-name",
})  # fmt: skip
_MARKS = ("sessionId", "leafUuid", "parentUuid", "isSidechain", "snapshot")
_INPUT_TOKENS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_INJECTED = re.compile(
    r"<(system-reminder|command-name|command-message|command-args|command-contents|local-command-[\w-]+|"
    r"bash-(?:input|stdout|stderr)|ide_[\w-]+|user-prompt-submit-hook|task-notification)\b[^<>]*>"
)
_TOOL_BLOCKS = ("tool_use", "tool_result")  # they are events of their own
_NOT_SAID = (
    "Caveat: The messages below were generated", "[Request interrupted", "Stop hook feedback:",
    "This session is being continued from a previous conversation",
)  # fmt: skip
_INTERRUPTED = "[Request interrupted"


def sniff(head: Head) -> float:
    """Return how surely a file is a Claude Code session."""
    objects = [*head.objects, *(mapping(value) for listed in head.values for value in items(listed))]
    if any(_is_said(value) for value in objects):
        return 0.95
    known = sum(
        text_or_none(value.get("type")) in _LINE_TYPES and any(mark in value for mark in _MARKS)
        for value in objects
    )
    return 0.95 if objects and 2 * known >= len(objects) else 0.0


def _is_said(value: Mapping[str, Json]) -> bool:
    """Tell whether a line is a message of a session, or of what ``--output-format stream-json`` prints."""
    is_message = value.get("type") in ("user", "assistant") and isinstance(value.get("message"), dict)
    return is_message and (isinstance(_session_id(value), str) or "parentUuid" in value)


def _session_id(line: Mapping[str, Json]) -> Json:
    return line.get("sessionId", line.get("session_id"))


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield a run for every session in a file."""
    sessions: dict[str, _Session] = {}
    unclaimed: list[dict[str, Json]] = []  # lines that name no session, before the first that does
    current: _Session | None = None
    bad_lines = 0
    for line in _lines(source):
        if isinstance(line, Problem):
            bad_lines += 1
            yield line
            continue
        name = text_or_none(_session_id(line))
        if name is not None:
            current = sessions.setdefault(name, _Session(name))
        owner = _owner(line, sessions) or current
        if owner is None:
            unclaimed.append(line)
            continue
        while unclaimed:
            owner.add(unclaimed.pop(0))
        owner.add(line)
    if unclaimed and all(line.get("type") == "summary" for line in unclaimed):
        yield source.problem("holds only summaries of other sessions")
    elif unclaimed:
        sessions[""] = _Session(None)
        for line in unclaimed:
            sessions[""].add(line)
    for number, session in enumerate(sessions.values()):
        yield session.record(bad_lines if number == 0 else 0)


def _lines(source: LogSource) -> Iterator[dict[str, Json] | Problem]:
    """Yield the objects of a log; what was printed may also be one list of them."""
    if isinstance(source.head, Problem) or source.head.lines:
        yield from (one if isinstance(one, Problem) else one.value for one in source.records())
        return
    for value in source.documents():
        if isinstance(value, Problem):
            yield value
            continue
        for item in value if isinstance(value, list) else [value]:
            yield item if isinstance(item, dict) else source.problem("not an object")


def _owner(line: Mapping[str, Json], sessions: Mapping[str, _Session]) -> _Session | None:
    """Return the session that a summary is about, when it names one of this file's messages."""
    leaf = text_or_none(line.get("leafUuid"))
    return next((session for session in sessions.values() if leaf in session.uuids), None) if leaf else None


@dataclass(slots=True)
class _Session:
    """One session as its lines come in.

    Args:
        name: Its id; None for lines that belong to none.
    """

    name: str | None
    timeline: Timeline = field(default_factory=Timeline)
    files: FileHistory = field(default_factory=FileHistory)
    uuids: set[str] = field(default_factory=set)
    facts: dict[str, Json] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)
    models: dict[str, None] = field(default_factory=dict)
    usage: dict[str, dict[str, int]] = field(default_factory=dict)
    prompts: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    interrupted: bool = False
    cost_usd: float | None = None
    _told: set[tuple[str, int]] = field(default_factory=set)

    def add(self, line: Mapping[str, Json]) -> None:
        """Add a line's events."""
        if self._is_repeated(line):
            return
        self._note_facts(line)
        kind = line.get("type")
        message = line.get("message")
        content = mapping(message).get("content")
        if kind == "assistant" and isinstance(content, (str, list)):
            self._add_assistant(line, mapping(message), take_apart(content))
        elif kind == "user" and isinstance(content, (str, list)):
            self._add_user(line, content)
        else:
            self._add_other(line)

    def _is_repeated(self, line: Mapping[str, Json]) -> bool:
        """Tell whether a message was there before: a resumed session may be written anew from its start."""
        uuid = text_or_none(line.get("uuid"))
        if uuid is None or line.get("type") not in ("user", "assistant"):
            return False
        before = len(self._told)
        self._told.add((uuid, hash(json_text(line.get("message")))))
        return len(self._told) == before

    def _note_facts(self, line: Mapping[str, Json]) -> None:
        for key in ("cwd", "version", "gitBranch", "slug"):
            if text_or_none(line.get(key)):
                self.facts.setdefault(key, line[key])
        if uuid := text_or_none(line.get("uuid")):
            self.uuids.add(uuid)
        if "isSidechain" in line:
            self.agents.add(_subagent(line) or "")
        if line.get("type") == "result":  # the last line of what was printed
            self.cost_usd = number_or_none(line.get("total_cost_usd"))

    def _add_assistant(self, line: Mapping[str, Json], message: Mapping[str, Json], parts: Parts) -> None:
        timeline, agent, at = self.timeline, _subagent(line) or "assistant", epoch(line.get("timestamp"))
        uuid = text_or_none(line.get("uuid"))
        if parts.thinking:
            timeline.add(
                Event(kind="reasoning", at=at, step=timeline.step, agent=agent, content=parts.thinking,
                      record_id=uuid)
            )  # fmt: skip
        usage = self._added_usage(message)
        timeline.add(
            Event(
                kind="message", at=at, step=timeline.step, role="assistant", agent=agent,
                content=parts.text, data=self._data(line, parts, message, usage), record_id=uuid,
                tokens_in=sum(usage[key] for key in _INPUT_TOKENS) if usage else None,
                tokens_out=usage["output_tokens"] if usage else None,
                cost_usd=number_or_none(line.get("costUSD")),
            )
        )  # fmt: skip
        if line.get("isApiErrorMessage") is True:
            timeline.add(
                Event(
                    kind="error", at=at, step=timeline.step, agent=agent, content=parts.text, record_id=uuid
                )
            )
        self._add_calls(line, parts, agent)
        self._add_results(line, parts, None)

    def _add_calls(self, line: Mapping[str, Json], parts: Parts, agent: str) -> None:
        timeline, at = self.timeline, epoch(line.get("timestamp"))
        for call in parts.calls:
            self.files.called(call)
            timeline.add(
                Event(kind="tool_call", at=at, step=timeline.step, agent=agent, tool=timeline.call(call),
                      record_id=text_or_none(line.get("uuid")))
            )  # fmt: skip

    def _add_results(self, line: Mapping[str, Json], parts: Parts, data: dict[str, Json] | None) -> None:
        """Add tool results; ``data`` goes with the first of them."""
        timeline, subagent, at = self.timeline, _subagent(line), epoch(line.get("timestamp"))
        for result in parts.results:
            tool = tool_result(
                timeline.tool_name(result.call_id), result.call_id, result.text, failed=result.failed
            )
            flagged = {**(data or {}), "is_error": True} if result.failed else data
            timeline.add(
                Event(kind="tool_result", at=at, step=timeline.step, role="tool", recipient=subagent,
                      tool=tool, data=flagged, record_id=text_or_none(line.get("uuid")))
            )  # fmt: skip
            data = None
            self.files.answered(
                tool, line.get("toolUseResult"), agent=subagent or "assistant", at=at,
                seq=len(timeline.events),
            )  # fmt: skip

    def _data(
        self, line: Mapping[str, Json], parts: Parts, message: Mapping[str, Json], usage: Mapping[str, int]
    ) -> dict[str, Json]:
        data = _marks(line, parts)
        if model := text_or_none(message.get("model")):
            self.models.setdefault(model)
            if usage:
                data["model"] = model
        data.update({key: count for key, count in usage.items() if count and key.startswith("cache_")})
        return data

    def _added_usage(self, message: Mapping[str, Json]) -> dict[str, int]:
        """Return what a line adds to the usage its message had on earlier lines; empty when nothing."""
        stated = mapping(message.get("usage"))
        if not stated:
            return {}
        seen = self.usage.setdefault(str(message.get("id")), {}) if message.get("id") else {}
        added = {}
        for key in (*_INPUT_TOKENS, "output_tokens"):
            count = count_or_none(stated.get(key)) or 0
            added[key] = max(0, count - seen.get(key, 0))
            seen[key] = max(count, seen.get(key, 0))
        return added if any(added.values()) else {}

    def _add_user(self, line: Mapping[str, Json], content: Json) -> None:
        parts = take_apart(content)
        data = _marks(line, parts)
        self._add_results(line, parts, data)
        if not parts.results or parts.text is not None:
            words = words_of(content) if parts.text is not None else None
            self._add_words(line, parts.text, words, None if parts.results else data)
        self._add_calls(line, parts, "user")

    def _add_words(
        self, line: Mapping[str, Json], text: str | None, words: str | None, data: dict[str, Json] | None
    ) -> None:
        subagent = _subagent(line)
        said = _said(words) if line.get("isMeta") is not True and not line.get("isCompactSummary") else ""
        if said and subagent is None:
            self.timeline.step += bool(self.prompts)
            self.prompts.append(said)
        self.interrupted = bool(text and text.startswith(_INTERRUPTED))
        if line.get("isMeta") is True:
            data = {**(data or {}), "is_meta": True}
        self.timeline.add(
            Event(
                kind="message", at=epoch(line.get("timestamp")), step=self.timeline.step, role="user",
                agent="user" if subagent is None else "assistant", recipient=subagent, content=text,
                data=data, record_id=text_or_none(line.get("uuid")),
            )
        )  # fmt: skip

    def _add_other(self, line: Mapping[str, Json]) -> None:
        """Keep a line that is no message as it is."""
        summary = text_or_none(line.get("summary"))
        if line.get("type") == "summary" and summary:
            self.summaries.append(summary)
        failed = line.get("subtype") == "api_error" or line.get("level") == "error"
        self.timeline.add(
            Event(
                kind="error" if failed else "raw", at=epoch(line.get("timestamp")), step=self.timeline.step,
                content=summary or text_or_none(line.get("content")),
                data={**_marks(line, None), "record": dict(line)}, record_id=text_or_none(line.get("uuid")),
            )
        )  # fmt: skip

    def record(self, bad_lines: int) -> RunRecord:
        """Return the session as a run."""
        metadata: dict[str, Json] = {**self.facts, "models": list(self.models), "summaries": self.summaries}
        metadata = {key: value for key, value in metadata.items() if value}
        native_id = self.name
        if bad_lines:
            metadata["bad_lines"] = bad_lines
        if self.name and len(self.agents) == 1 and "" not in self.agents:  # a sub-agent's own file
            metadata["session"] = self.name
            native_id = f"{self.name}/{next(iter(self.agents))}"
        return RunRecord(
            source=NAME,
            native_id=native_id,
            task=self._task(),
            status="interrupted" if self.interrupted else "completed",
            cost_usd=self.cost_usd,
            work_dir=self.facts.get("cwd"),
            metadata=metadata,
            events=tuple(self.timeline.events),
            files=self.files.snapshots(self.facts.get("cwd")),
        )

    def _task(self) -> str:
        """Return what the user asked first; for a sub-agent's file, what it was told."""
        if self.prompts:
            return self.prompts[0]
        told = (_said(event.content) for event in self.timeline.events if event.role == "user")
        return next((text for text in told if text), None) or next(iter(self.summaries), "")


def _subagent(line: Mapping[str, Json]) -> str | None:
    printed = text_or_none(line.get("parent_tool_use_id"))  # of the call that the sub-agent serves
    if line.get("isSidechain") is not True and printed is None:
        return None
    return f"subagent:{text_or_none(line.get('agentId')) or printed or 'sidechain'}"


def _marks(line: Mapping[str, Json], parts: Parts | None) -> dict[str, Json]:
    """Return what the first event of every line says about it."""
    marks: dict[str, Json] = {"line_type": line.get("type")}
    if line.get("isSidechain") is True:
        marks["sidechain"] = True
    counts = {key: n for key, n in (parts.counts if parts else {}).items() if key not in _TOOL_BLOCKS}
    if counts:
        marks["blocks"] = counts
    return marks


def _said(text: str | None) -> str:
    """Return what a person typed: the text without what the program put around it."""
    own = without_tags(text or "", _INJECTED).strip()
    return "" if own.startswith(_NOT_SAID) else own


IMPORTER = Importer(
    name=NAME,
    description="Claude Code sessions (~/.claude/projects/**/*.jsonl), sub-agents included",
    sniff=sniff,
    parse=parse,
)
