"""A conversation of agents as a notebook shows it: printed marks and texts, displayed Markdown, cost tables.

Who speaks is who is announced, until a header or a cost table says otherwise; a change of speaker is a
transition event. AG2 may print a message twice in a row: it is one message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.capture.importers.base import as_text, tool_call, tool_result
from skillsmith.capture.importers.chat import PEOPLE, Dialogue, Speaker
from skillsmith.capture.importers.console import Line, ends_message, lines_of
from skillsmith.models import Event, Json, ToolUse

_PLAN_STEP = re.compile(r"\*\*Step number:\*\* (\d{1,4}) out of \d{1,4}")
_SHOWN_AGAIN = "The executed code was:"
_EXECUTING = "Executing..."
_PROMPT_END = re.compile(r": +(?=[^:]*\Z)")


@dataclass(slots=True)
class _Message:
    """A message as it is printed.

    Args:
        speaker: Who says it.
        recipient: Whom it is for.
        header: How its beginning was printed; empty when only its place tells who speaks.
    """

    speaker: str | None
    recipient: str | None = None
    header: str = ""
    texts: list[str] = field(default_factory=list)
    calls: list[dict[str, Json]] = field(default_factory=list)
    responses: list[tuple[str, list[str]]] = field(default_factory=list)
    inside: list[str] | None = None  # lines of a call or a response go here

    @property
    def text(self) -> str:
        """What it says."""
        return "\n".join(self.texts).strip("\n")


@dataclass(slots=True)
class PrintedChat:
    """One conversation as its output comes in.

    Args:
        dialogue: The events.
    """

    dialogue: Dialogue = field(default_factory=Dialogue)
    _starts: list[tuple[int, str]] = field(default_factory=lambda: [(0, "")])  # first event and task
    _closed: bool = False  # its costs were printed, or it was said that it ends
    _floor: str | None = None
    _reason: tuple[str, str | None, str | None] | None = None  # how, from, to
    _open: _Message | None = None
    _last: object = None
    _lead: list[str] = field(default_factory=list)
    _started: bool = False
    _printing: list[str] | None = None
    _execution: tuple[Line, list[str]] | None = None

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        return self.dialogue.timeline.events

    def printed(self, text: str) -> None:
        """Add printed text."""
        lines = list(lines_of(text))
        for number, line in enumerate(lines):
            self._take(line, lines, number)

    def displayed(self, markdown: str) -> None:
        """Add a Markdown display: the body, or a part of it, of the message that is open."""
        self._begin()
        self._message().texts.append(markdown.strip("\n"))

    def cost(self, row: Mapping[str, str]) -> None:
        """Add the row of a cost table: a call of a model, by the agent that speaks next."""
        self._begin()
        self._close()
        agent = row.get("agent") or row.get("Agent")
        if agent:
            self._give_floor(agent)
        used = [_count(row.get(name)) for name in ("Prompt Tokens", "Completion Tokens", "Total Tokens")]
        more = used[2] if used[2] != (used[0] or 0) + (used[1] or 0) else None
        known = {"model": row.get("Model"), "agent": agent, "total_tokens": more}
        data = {key: value for key, value in known.items() if value}
        self._add(
            Event(
                kind="llm_call",
                step=self._step,
                agent=self._floor,
                tokens_in=used[0],
                tokens_out=used[1],
                cost_usd=_dollars(row.get("Cost")),
                data=data,
            )
        )

    def typed(self, text: str) -> None:
        """Add what a person typed at a prompt, which is printed with it."""
        self._close()
        found = _PROMPT_END.search(text.rstrip("\n"))
        said = text[found.end() :].strip() if found else text.strip()
        agent = self._floor if self._floor and self._floor.lower() in PEOPLE else "user"
        data = {"prompt": text[: found.start()].strip()} if found else None
        self._add(Event(kind="message", step=self._step, role="user", agent=agent, content=said, data=data))

    def kept(self, kind: str, content: str | None, record: Mapping[str, Json] | None = None) -> None:
        """Keep other output (warnings, pictures, results) as it is, without ending the open message."""
        data: dict[str, Json] = {"line_type": kind, **(record or {})}
        self._add(Event(kind="raw", step=self._step, content=content, data=data))

    def failed(self, name: str, value: str, trace: str) -> None:
        """Add an error that ended the cell."""
        self._close()
        self._add(
            Event(kind="error", step=self._step, content=f"{name}: {value}",
                  data={"error_type": name, "traceback": trace})
        )  # fmt: skip

    def finish(self) -> None:
        """Add what is still open."""
        self._begin()
        self._close()
        self._add_execution()

    def parts(self) -> Iterator[tuple[str, Sequence[Event]]]:
        """Yield the task and the events of each conversation that was printed, one after another."""
        ends = [start for start, _ in self._starts[1:]] + [len(self.events)]
        for (start, task), end in zip(self._starts, ends, strict=True):
            yield task, self.events[start:end]

    @property
    def _step(self) -> int:
        return self.dialogue.timeline.step

    def _add(self, event: Event) -> None:
        self.dialogue.timeline.add(event)

    def _take(self, line: Line, lines: Sequence[Line], number: int) -> None:
        inside = self._open.inside if self._open else None
        if inside is not None and line.kind in ("text", "stars", "rule"):
            self._take_inside(line)
        elif line.kind == "text":
            self._text(line)
        elif line.kind == "rule":
            self._rule(line, lines, number)
        elif line.kind == "stars":
            self._begin()
        else:
            self._begin(line)
            self._mark(line)

    def _take_inside(self, line: Line) -> None:
        """Add a line to the call or the response that is being printed; stars end it."""
        assert self._open is not None
        assert self._open.inside is not None
        if line.kind == "stars":
            self._open.inside = None
        else:
            self._open.inside.append(line.text)

    def _text(self, line: Line) -> None:
        if self._execution is not None:
            self._execution[1].append(line.text)
        elif self._printing is not None:
            self._printing.append(line.text)
        elif not self._started:
            self._lead.append(line.text)
        elif self._open is not None or line.text.strip():
            self._message().texts.append(line.text)

    def _rule(self, line: Line, lines: Sequence[Line], number: int) -> None:
        self._begin()
        header = self._open.header if self._open else ""
        if header == "Message from" or (header and not ends_message(lines, number)):
            self._text(line)
        else:
            self._close()
            self._add_execution()

    def _mark(self, line: Line) -> None:
        kind = line.kind
        if kind == "call":
            self._call(line)
        elif kind == "response":
            self._respond(line)
        else:
            self._close()
            self._execution_mark(line)
        if kind in ("calling", "speaker"):
            self._give_floor(line.name, printed_as="Calling" if kind == "calling" else "Next speaker")
        elif kind in ("message", "header"):
            self._open = _Message(
                line.name, line.other or None, "Message from" if kind == "message" else "to"
            )
        elif kind == "handoff":
            self._add_reason()
            self._reason = (line.how, line.name, line.other)
        elif kind == "announcement":
            self._reason = (line.text, self._floor, None)
            if line.text == _EXECUTING:
                self._give_floor("executor")
        elif kind == "end":
            self._closed = True
            self._add_reason()
            self.kept("termination", line.how)
        elif kind in ("cost", "report"):
            self._closed = self._closed or kind == "cost"
            self._printing = [line.text]

    def _begin(self, line: Line | None = None) -> None:
        """Enter the conversation at its first mark; what was printed before is the task if none follows."""
        if self._started:
            return
        self._started = True
        lead = "\n".join(self._lead).strip("\n")
        person = line is not None and line.kind in ("message", "header") and line.name.lower() in PEOPLE
        if lead.strip() and person:
            self.kept("printed", lead)
        elif lead.strip():
            self._open = _Message("user", texts=[lead])
            self._close()

    def _message(self) -> _Message:
        if self._open is None:
            self._open = _Message(self._floor)
        return self._open

    def _call(self, line: Line) -> None:
        message = self._message()
        arguments: list[str] = []
        message.inside = arguments
        message.calls.append({"id": line.call_id, "name": line.name, "lines": arguments})

    def _respond(self, line: Line) -> None:
        message = self._message()
        message.inside = []
        message.responses.append((line.call_id or "", message.inside))

    def _execution_mark(self, line: Line) -> None:
        """Follow the execution of functions and code, which AG2 announces apart from call and response."""
        if line.kind in ("executing", "executed"):
            self._add_execution()
            self._execution = (line, [])
        elif line.kind not in ("handoff", "noise", "header"):
            self._add_execution()
        if line.kind == "noise" and "CODE BLOCK" in line.text:
            self._printing = []  # what the code prints; the executor's message repeats it

    def _give_floor(self, agent: str, *, printed_as: str | None = None) -> None:
        """Add a transition to the agent that speaks next, unless it has the floor already."""
        reason, self._reason = self._reason, None
        if printed_as is None and agent == self._floor:
            return
        data = {"printed_as": printed_as} if printed_as else None
        self._add(
            Event(kind="transition", step=self._step, agent=self._floor, recipient=agent,
                  content=reason[0] if reason else None, data=data)
        )  # fmt: skip
        self._floor = agent
        self._last = None

    def _add_reason(self) -> None:
        """Add a handoff that no speaker followed."""
        if self._reason is not None and self._reason[2] is not None:
            how, source, target = self._reason
            self._add(Event(kind="transition", step=self._step, agent=source, recipient=target, content=how))
        self._reason = None

    def _close(self) -> None:
        """Add the message that is open, and what was printed outside of messages."""
        printed, self._printing = "\n".join(self._printing or ()).strip("\n"), None
        if printed:
            self.kept("printed", printed)
        message, self._open = self._open, None
        if message is None or not (message.header or message.text or message.calls or message.responses):
            return
        same = (
            message.speaker,
            message.recipient,
            message.text,
            repr(message.calls),
            repr(message.responses),
        )
        if same == self._last and message.header != "Message from":
            return
        self._say(message)
        self._last = same

    def _say(self, message: _Message) -> None:
        if (message.speaker or "").lower() in PEOPLE and message.text.strip():
            self._note_task(message.text.strip())
        if message.speaker is not None and self._floor is not None:
            self._give_floor(message.speaker)
        self._floor = message.speaker
        if found := _PLAN_STEP.search(
            message.text or "\n".join(line for _, row in message.responses for line in row)
        ):
            self.dialogue.timeline.step = int(found[1])
        data = {"printed_as": message.header} if message.header == "Message from" else None
        if message.responses:
            self._add_responses(message, data)
            data = None
        if message.text or message.calls or (message.header and not message.responses):
            self._add_words(message, data)

    def _add_words(self, message: _Message, data: Mapping[str, Json] | None) -> None:
        name = message.speaker or ""
        person = name.lower() in PEOPLE
        content: dict[str, Json] = {"content": message.text or None}
        calls = [
            {"id": call["id"], "function": {"name": call["name"], "arguments": _arguments(call["lines"])}}
            for call in message.calls
        ]
        if calls:
            content["tool_calls"] = calls
        speaker = Speaker(
            role="user" if person else "assistant",
            agent=message.speaker,
            recipient=message.recipient,
            data=data,
        )
        execution = self.dialogue.answer_in(content)
        again = name.endswith("_nest") or message.text.lstrip().startswith(_SHOWN_AGAIN)
        self.dialogue.say(content, speaker, execution=execution, own=None if person or again else True)

    def _note_task(self, text: str) -> None:
        """Take note of what a person asks; asked when all is over, something new begins a conversation."""
        start, task = self._starts[-1]
        if not task:
            self._starts[-1] = (start, text)
        elif self._closed and text != task:
            self._starts.append((len(self.events), text))
            self.dialogue.timeline.step = 1
            self._floor = None
            self._closed = False

    def _add_responses(self, message: _Message, data: Mapping[str, Json] | None) -> None:
        self._execution = None  # its output is the response
        timeline = self.dialogue.timeline
        for call_id, lines in message.responses:
            result = tool_result(timeline.tool_name(call_id), call_id, "\n".join(lines).strip("\n"))
            self._add_result(result, message, data)
            data = None

    def _add_execution(self) -> None:
        """Add a function's execution where no call or no response repeats it."""
        executed, self._execution = self._execution, None
        if executed is None:
            return
        mark, lines = executed
        head, _, output = "\n".join(lines).partition("\nOutput:\n")
        parts = dict(line.split(": ", 1) for line in head.split("\n") if ": " in line)
        call_id, arguments = parts.get("Call ID"), parts.get("Input arguments")
        if mark.kind == "executed":
            self._add_result(tool_result(mark.name, call_id, output.strip("\n")))
        elif call_id not in self.dialogue.timeline.tools:
            tool = self.dialogue.timeline.call(tool_call(mark.name, call_id, arguments))
            self._add(Event(kind="tool_call", step=self._step, agent=self._floor, tool=tool))

    def _add_result(self, tool: ToolUse, message: _Message | None = None, data: Json = None) -> None:
        agent, recipient = (message.speaker, message.recipient) if message else (self._floor, None)
        self._add(
            Event(kind="tool_result", step=self._step, role="tool", agent=agent, recipient=recipient,
                  tool=tool, data=data)
        )  # fmt: skip


def _arguments(lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    return text.removeprefix("Arguments: \n").removeprefix("Arguments:\n").strip()


def _count(text: str | None) -> int | None:
    """Return a count of tokens; some versions print it as ``1378.0``."""
    number = _number(text)
    return int(number) if number is not None and number >= 0 else None


def _dollars(text: str | None) -> float | None:
    return _number(text.lstrip("$")) if text else None


def _number(text: str | None) -> float | None:
    cleaned = (as_text(text) or "").replace(",", "").strip()
    return float(cleaned) if re.fullmatch(r"\d{1,15}(?:\.\d{1,20})?(?:e-?\d{1,2})?", cleaned) else None
