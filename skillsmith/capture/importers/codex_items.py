"""Codex's response items and their mirrors among the event messages, turned into events without repeats.

An answer to a call may come as a response item, as an event message, or as both in either order: the first
one counts. Texts said on both channels are matched one to one, so that a text really said twice stays twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skillsmith.capture.importers.base import (
    Timeline,
    as_text,
    count_or_none,
    integer_or_none,
    items,
    mapping,
    number_or_none,
    text_or_none,
    tool_call,
    tool_result,
    without,
)
from skillsmith.capture.importers.blocks import plain_text
from skillsmith.capture.importers.jsontext import parsed_or_none
from skillsmith.capture.importers.response_items import CALLS, OUTPUTS
from skillsmith.models import Event, Json

AGENT = "assistant"
_HEADER = re.compile(r"(?:Exit code: |Process exited with code )(-?\d{1,9})\b")
_WALL_TIME = re.compile(r"Wall time: (\d{1,9}(?:\.\d+)?) seconds")
_HEADER_CHARS = 300
_REFUSALS = (
    "failed to parse function arguments", "execution error:", "exec command rejected", "unsupported call:",
    "apply_patch verification failed", "patch rejected", "collab spawn failed", "failed in sandbox",
)  # fmt: skip
"""How the program answers a call that it did not carry out."""
_ENDS = frozenset({"exec_command_end", "mcp_tool_call_end", "patch_apply_end", "web_search_end"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a call came to."""

    text: str | None
    failed: bool = False
    exit_code: int | None = None
    seconds: float | None = None
    data: Mapping[str, Json] | None = None


@dataclass(slots=True)
class Rollout:
    """The events of a session, mirrors matched.

    Args:
        timeline: The events.
        model: The model of the present turn.
    """

    timeline: Timeline = field(default_factory=Timeline)
    model: str | None = None
    _unmatched: Counter[tuple[str, str]] = field(default_factory=Counter)
    _answered: set[str] = field(default_factory=set)
    _prompted: bool = False
    _searched: int = 0  # searches told by items without an id, less those told by event messages
    _total: Json = None

    def _is_new(self, kind: str, text: str, *, mirror: bool) -> bool:
        """Tell whether a text is said for the first time; items count up, mirrors count down."""
        key, change = (kind, text), -1 if mirror else 1
        before = self._unmatched[key]
        self._unmatched[key] = before + change
        return before * change >= 0

    def said(self, text: str | None, at: float | None, *, mirror: bool, record_id: str | None = None) -> None:
        """Add a message of the agent."""
        if self._is_new("assistant", text or "", mirror=mirror):
            self.timeline.add(
                Event(kind="message", at=at, step=self.timeline.step, role="assistant", agent=AGENT,
                      content=text, record_id=record_id)
            )  # fmt: skip

    def asked(self, text: str | None, at: float | None, *, typed: str, mirror: bool) -> bool:
        """Add a user message, unless it is a mirror; return whether it was added.

        Args:
            text: The whole message.
            at: When.
            typed: The part of it that a person typed, empty when it is the program's.
            mirror: Whether it stands among the event messages.
        """
        if not self._is_new("user", typed or text or "", mirror=mirror):
            return False
        if typed:
            self.timeline.step += self._prompted
            self._prompted = True
        self.timeline.add(
            Event(kind="message", at=at, step=self.timeline.step, role="user", agent="user", content=text,
                  data=None if typed else {"injected": True})
        )  # fmt: skip
        return True

    def instructed(self, text: str | None, at: float | None, *, role: str) -> None:
        """Add a message of the program to the model (role developer or system)."""
        self.timeline.add(
            Event(kind="message", at=at, step=self.timeline.step, role="system", content=text,
                  data={"source_role": role})
        )  # fmt: skip

    def thought(self, texts: Sequence[Json], at: float | None, *, mirror: bool) -> None:
        """Add what the model thought, as far as it was not said before."""
        said = [text for text in texts if isinstance(text, str) and text]
        new = [text for text in said if self._is_new("reasoning", text, mirror=mirror)]
        if new:
            self.timeline.add(
                Event(kind="reasoning", at=at, step=self.timeline.step, agent=AGENT, content="\n".join(new))
            )

    def item(self, item: Mapping[str, Json], at: float | None) -> None:
        """Add a response item that is no message."""
        kind = text_or_none(item.get("type")) or ""
        call_id = item.get("call_id") or item.get("id")
        if kind == "reasoning":
            blocks = [*items(item.get("summary")), *items(item.get("content"))]
            self.thought([mapping(block).get("text") for block in blocks], at, mirror=False)
        elif kind == "function_call":
            extra = {"namespace": item["namespace"]} if text_or_none(item.get("namespace")) else None
            self._call(item.get("name"), call_id, item.get("arguments"), at, extra)
        elif kind == "custom_tool_call":
            self._call(item.get("name"), call_id, item.get("input"), at)
        elif kind in CALLS:
            name, arguments = CALLS[kind]
            nameless = kind == "web_search_call" and call_id is None
            self._searched += nameless
            if not nameless or self._searched > 0:
                self._call(name, call_id, item.get(arguments), at)
        elif kind in OUTPUTS:
            self._answer(text_or_none(call_id), _answer_of(item.get("output", item.get("tools"))), at)
        else:
            self.raw(kind, item, at)

    def event(self, kind: str, event: Mapping[str, Json], at: float | None) -> None:
        """Add an event message that is neither a message nor a thought."""
        if kind == "token_count":
            flat = {"last_token_usage": without(event, ("type", "info", "rate_limits"))}  # the oldest form
            self._add_usage(mapping(event.get("info")) or (flat if "input_tokens" in event else {}), at)
        elif kind in _ENDS:
            self._add_end(kind, event, at)
        elif kind in ("error", "stream_error"):
            self.timeline.add(
                Event(kind="error", at=at, step=self.timeline.step, agent=AGENT,
                      content=as_text(event.get("message")), data={"record": dict(event)})
            )  # fmt: skip
        else:
            self.raw(kind, without(event, {"last_agent_message"}), at)

    def raw(self, kind: str, record: Mapping[str, Json], at: float | None) -> None:
        """Keep a record of another kind as it is."""
        text = text_or_none(record.get("message")) or text_or_none(record.get("reason"))
        self.timeline.add(
            Event(kind="raw", at=at, step=self.timeline.step, content=text,
                  data={"line_type": kind, "record": dict(record)})
        )  # fmt: skip

    def _call(
        self,
        name: Json,
        call_id: Json,
        arguments: Json,
        at: float | None,
        data: Mapping[str, Json] | None = None,
    ) -> None:
        if isinstance(call_id, str) and call_id in self.timeline.tools:
            return
        tool = self.timeline.call(tool_call(name, call_id, arguments))
        self.timeline.add(
            Event(kind="tool_call", at=at, step=self.timeline.step, agent=AGENT, tool=tool, data=data)
        )

    def _answer(self, call_id: str | None, answer: _Answer, at: float | None) -> None:
        if call_id is not None:
            if call_id in self._answered:
                return
            self._answered.add(call_id)
        data = dict(answer.data or {})
        if answer.exit_code is not None:
            data["exit_code"] = answer.exit_code
        tool = tool_result(self.timeline.tool_name(call_id), call_id, answer.text, failed=answer.failed)
        self.timeline.add(
            Event(kind="tool_result", at=at, step=self.timeline.step, role="tool", tool=tool,
                  data=data or None, duration_seconds=answer.seconds)
        )  # fmt: skip

    def _add_end(self, kind: str, event: Mapping[str, Json], at: float | None) -> None:
        """Add the end of a call: the call itself when no item tells of it, and its answer."""
        call_id = text_or_none(event.get("call_id"))
        if kind == "web_search_end":
            self._searched -= 1
            if self._searched < 0:
                self._call("web_search", call_id, event.get("action") or {"query": event.get("query")}, at)
            return
        if kind == "mcp_tool_call_end":
            called = mapping(event.get("invocation"))
            name = f"{called.get('server')}.{called.get('tool')}"
            self._call(name, call_id, called.get("arguments"), at)
            self._answer(call_id, _answer_of_mcp(event), at)
        elif kind == "exec_command_end":
            command = {"command": event.get("command"), "workdir": event.get("cwd")}
            self._call("exec_command", call_id, without(command, ()), at)
            self._answer(call_id, _answer_of_command(event), at)
        else:
            changed = sorted(mapping(event.get("changes")))
            self._call("apply_patch", call_id, {"files": changed}, at)
            answer = _Answer(text=_output_of(event), failed=event.get("success") is False,
                             data={"changed_files": changed})  # fmt: skip
            self._answer(call_id, answer, at)

    def _add_usage(self, info: Mapping[str, Json], at: float | None) -> None:
        """Add one model call; the same totals again are only a change of rate limits."""
        total, last = info.get("total_token_usage"), mapping(info.get("last_token_usage"))
        if not last and total is not None:
            last = _grown(mapping(total), mapping(self._total))
        if not last or (total is not None and total == self._total):
            return
        self._total = total
        rest = without({"model": self.model, **last}, ("input_tokens", "output_tokens", "total_tokens"))
        self.timeline.add(
            Event(
                kind="llm_call", at=at, step=self.timeline.step, agent=AGENT,
                tokens_in=count_or_none(last.get("input_tokens")),
                tokens_out=count_or_none(last.get("output_tokens")),
                data=rest or None,
            )
        )  # fmt: skip


def _grown(total: Mapping[str, Json], before: Mapping[str, Json]) -> dict[str, Json]:
    """Return what totals have grown by since the totals before."""
    counts = {name: count_or_none(count) or 0 for name, count in total.items()}
    return {name: max(0, count - (count_or_none(before.get(name)) or 0)) for name, count in counts.items()}


def _answer_of(output: Json) -> _Answer:
    """Read a call's output in all its forms: text, text with a header, JSON in text, object, blocks."""
    if isinstance(output, dict):
        inner = _answer_of(output.get("content", output.get("output")))
        failed = inner.failed or output.get("success") is False
        return _Answer(text=inner.text, failed=failed, exit_code=inner.exit_code, seconds=inner.seconds)
    if not isinstance(output, str):
        return _Answer(text=plain_text(output))
    wrapped = mapping(parsed_or_none(output)) if output.startswith('{"') else {}
    if isinstance(wrapped.get("output"), str) and isinstance(wrapped.get("metadata"), dict):
        exit_code = integer_or_none(wrapped["metadata"].get("exit_code"))
        seconds = number_or_none(wrapped["metadata"].get("duration_seconds"))
        return _Answer(text=wrapped["output"], failed=bool(exit_code), exit_code=exit_code, seconds=seconds)
    head = output[:_HEADER_CHARS].partition("\nOutput:")[0]
    code, wall = _HEADER.search(head), _WALL_TIME.search(head)
    exit_code = int(code[1]) if code else None
    return _Answer(
        text=output,
        failed=bool(exit_code) or output.startswith(_REFUSALS),
        exit_code=exit_code,
        seconds=float(wall[1]) if wall else None,
    )


def _answer_of_command(event: Mapping[str, Json]) -> _Answer:
    exit_code = integer_or_none(event.get("exit_code"))
    text = text_or_none(event.get("aggregated_output")) or _output_of(event)
    return _Answer(
        text=text, failed=bool(exit_code), exit_code=exit_code, seconds=_seconds(event.get("duration"))
    )


def _answer_of_mcp(event: Mapping[str, Json]) -> _Answer:
    result = mapping(event.get("result"))
    good = mapping(result.get("Ok"))
    text = plain_text(good.get("content")) if good else as_text(result.get("Err", event.get("result")))
    failed = "Err" in result or good.get("isError") is True or good.get("is_error") is True
    return _Answer(text=text, failed=failed, seconds=_seconds(event.get("duration")))


def _output_of(event: Mapping[str, Json]) -> str:
    return "".join(text for key in ("stdout", "stderr") if (text := text_or_none(event.get(key))))


def _seconds(duration: Json) -> float | None:
    """Return seconds of Rust's {secs, nanos} or of a number."""
    if isinstance(duration, dict):
        return (number_or_none(duration.get("secs")) or 0.0) + (
            number_or_none(duration.get("nanos")) or 0.0
        ) / 1e9
    return number_or_none(duration)
