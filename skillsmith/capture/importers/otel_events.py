"""What single spans give, written as events; joins calls with their results where ids are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from skillsmith.capture.importers.base import (
    Timeline,
    as_text,
    count_or_none,
    integer_or_none,
    mapping,
    number_or_none,
    text_or_none,
    tool_call,
)
from skillsmith.capture.importers.chat import ROLES
from skillsmith.capture.importers.execution import CodeTrail, Execution, execution_reply
from skillsmith.capture.importers.otel_facts import (
    OWN_CODE,
    Failure,
    arguments_of,
    cached_tokens_of,
    call_id_of,
    cost_of,
    exit_code_of,
    failure_of,
    first_text,
    model_of,
    own_event,
    provider_of,
    result_of,
    tokens_of,
    tool_name_of,
)
from skillsmith.capture.importers.otel_messages import Said, finish_reason_of
from skillsmith.capture.importers.otel_spans import Span
from skillsmith.models import CodeUse, Event, EventKind, Json, ToolUse

_SECOND = 1e9
_NO_NAME = "unknown"
_BULKY = ("embedding.vector", "input_messages", "output_messages")


class SpanEvents:
    """Writes the events of one trace.

    Args:
        codes: Whether the trace has spans of executed code; else code is found in the messages.
    """

    def __init__(self, *, codes: bool) -> None:
        self.timeline = Timeline()
        self.stored: Counter[tuple[object, ...]] = Counter()
        self.known_results: dict[str | None, ToolUse] = {}
        self._trail = CodeTrail(self.timeline)
        self._codes = codes
        self._open: list[ToolUse] = []
        self._running: dict[str, ToolUse] = {}
        self._answers: Counter[tuple[object, ...]] = Counter()
        self._identified = False

    def _add(self, kind: EventKind, at: int, **facts: Json) -> None:
        self.timeline.add(Event(kind=kind, at=_moment(at), **{"step": self.timeline.step, **facts}))

    def say(
        self,
        said: Said,
        *,
        agent: str | None,
        at: int,
        recipient: str | None = None,
        new: bool = False,
        silent: bool = False,
    ) -> None:
        """Add a message and its tool calls.

        Args:
            said: The message.
            agent: Who said it.
            at: When, in nanoseconds.
            recipient: For whom, when the message does not say so.
            new: Whether it was said now, and not before the trace began.
            silent: Whether only its calls count.
        """
        if new:
            self.answers(said, Counter(self._answers), agent=agent, at=at)
        if silent and said.reasoning:
            self._add("reasoning", at, agent=agent, content=said.reasoning)
        if not (silent or (said.results and not said.says_something)):
            self._message(said, agent=agent, at=at, recipient=said.recipient or recipient)
        for call in said.calls:
            self._add("tool_call", at, agent=agent, tool=self.timeline.call(call))
            self._open.append(call)

    def _message(self, said: Said, *, agent: str | None, at: int, recipient: str | None) -> None:
        execution = execution_reply(said.text) if not self._codes else None
        if execution:
            self._trail.answered()
        self._add(
            "message", at, step=said.step or self.timeline.step, role=said.role, agent=agent,
            recipient=recipient, content=said.text, reasoning=said.reasoning,
        )  # fmt: skip
        if execution:
            self._trail.ran(execution, agent=agent, at=_moment(at))
        else:
            wrote = said.text if said.role == "assistant" else None
            self._trail.wrote(wrote, agent=agent, at=_moment(at), own=False)

    def answers(
        self, said: Said, counts: Counter[tuple[object, ...]], *, at: int, agent: str | None = None
    ) -> None:
        """Add the results in a message that no tool's span gave and no earlier message had.

        Where results have ids, one without repeats them.

        Args:
            said: The message.
            counts: How often each result came up so far: in its request, or in all when it is said now.
            at: When, in nanoseconds.
            agent: Who gives them.
        """
        for result in said.results:
            if result.call_id is None and self._identified:
                continue
            key = _key(result)
            counts[key] += 1
            if counts[key] > self._answers[key]:
                self._answers[key] += 1
                self._identified = self._identified or result.call_id is not None
                self._answer(result, agent=agent, at=at)

    def _answer(self, result: ToolUse, *, agent: str | None, at: int) -> None:
        call = self._take(result.call_id, result.name)
        call_id = result.call_id or (call.call_id if call else None)
        named = result.name if result.name != _NO_NAME else call.name if call else None
        tool = ToolUse(
            name=self.timeline.tool_name(call_id, named),
            call_id=call_id,
            result=result.result,
            error=result.error,
        )
        self._add("tool_result", at, role="tool", agent=agent, tool=tool)

    def _take(self, call_id: str | None, name: str) -> ToolUse | None:
        """Return the open call that this is about: by id, else the oldest of its name, if it has one."""
        for call in self._open:
            if call.call_id == call_id if call_id else name in (call.name, _NO_NAME):
                self._open.remove(call)
                return call
        return None

    def tool_call(self, span: Span, *, agent: str | None) -> None:
        """Note that a tool begins; the call is added unless a model's message announced it."""
        call = self._take(call_id_of(span), tool_name_of(span))
        if call is None:
            made = tool_call(tool_name_of(span), call_id_of(span) or span.span_id, arguments_of(span))
            call = self.timeline.call(made)
            self._add("tool_call", span.start, agent=agent, tool=call)
        self._running[span.span_id] = call

    def tool_result(self, span: Span, *, agent: str | None) -> None:
        """Add what a tool gave, or why it failed."""
        call = self._running.pop(span.span_id, None)
        call_id = call.call_id if call else call_id_of(span)
        failed = failure_of(span)
        known = self.known_results.get(call_id) if result_of(span) is None else None
        result = known.result if known else result_of(span)
        error = known.error if known else None
        if failed and (error is None or failed.message != failed.kind):  # else the span only has a type
            error = failed.message
        self._answers[("result", call_id)] += 1
        self._identified = True
        typed = failed is not None and failed.kind not in ("Error", "_OTHER")
        self._add(
            "tool_result", span.end, role="tool", agent=agent, duration_seconds=_seconds(span),
            tool=ToolUse(name=tool_name_of(span), call_id=call_id, result=result, error=error),
            data={"error_type": failed.kind} if failed and typed else None,
        )  # fmt: skip

    def code(self, span: Span, *, agent: str | None) -> None:
        """Add the code that begins to run; AG2 leaves it out of its spans, then the messages have it."""
        arguments = tool_call("", None, arguments_of(span)).parsed
        text = as_text(arguments.get("code")) if isinstance(arguments, dict) else None
        if text is None:
            self._trail.answered()
            return
        code = CodeUse(language=_language(span), text=text, call_id=call_id_of(span))
        self._add("code", span.start, agent=agent, code=code)

    def code_result(self, span: Span, *, agent: str | None) -> None:
        """Add what the code gave."""
        exit_code, output = exit_code_of(span), result_of(span)
        if exit_code is None and output is None:
            return
        if OWN_CODE not in span.attributes:
            execution = Execution(exit_code if exit_code is not None else 0, output or "")
            self._trail.ran(execution, agent=agent, at=_moment(span.end))
            return
        code = CodeUse(language=_language(span), call_id=call_id_of(span), exit_code=exit_code, output=output)
        self._add("code_result", span.end, agent=agent, code=code, duration_seconds=_seconds(span))

    def llm_call(
        self, span: Span, *, agent: str | None, prompt_messages: int | None, kind: str | None = None
    ) -> None:
        """Add a model call, when the span has any fact about one."""
        tokens_in, tokens_out = tokens_of(span)
        facts = {
            "model": model_of(span),
            "provider": provider_of(span),
            "finish_reason": finish_reason_of(span),
            "cached_tokens": cached_tokens_of(span),
            "prompt_messages": prompt_messages,
            "kind": kind,
        }
        if facts["model"] is None and tokens_in is None and tokens_out is None:
            return
        self._add(
            "llm_call", span.end, agent=agent, duration_seconds=_seconds(span), tokens_in=tokens_in,
            tokens_out=tokens_out, cost_usd=cost_of(span),
            data={name: value for name, value in facts.items() if value is not None},
        )  # fmt: skip

    def human(self, span: Span, *, agent: str | None) -> None:
        """Add a question to a person and the answer."""
        question, answer = (first_text(span, f"ag2.human_input.{part}") for part in ("prompt", "response"))
        if question:
            self._add(
                "message", span.start, role="assistant", agent=agent, recipient="user", content=question
            )
        if answer is not None:
            self._add("message", span.end, role="user", agent="user", recipient=agent, content=answer)

    def agent_start(self, span: Span, *, agent: str | None) -> None:
        """Add that an agent begins."""
        facts = {
            "agent_id": first_text(span, "gen_ai.agent.id"),
            "description": first_text(span, "gen_ai.agent.description"),
        }
        data = {name: value for name, value in facts.items() if value is not None}
        self._add("agent_start", span.start, agent=agent, data=data or None)

    def transition(self, source: str | None, target: str | None, reason: str | None, *, at: int) -> None:
        """Add a change of speaker."""
        self._add("transition", at, agent=source, recipient=target, content=reason)

    def aside(self, span: Span, *, agent: str | None) -> None:
        """Keep a span of another operation (retrieval, embedding, memory) as it is."""
        facts = {
            name: value
            for name, value in span.attributes.items()
            if not any(part in name for part in _BULKY)
        }  # fmt: skip
        data = {"span": span.name, "attributes": facts}
        self._add("raw", span.end, agent=agent, data=data, duration_seconds=_seconds(span))

    def failure(self, failed: Failure, span: Span, *, agent: str | None) -> None:
        """Add why a span failed."""
        data = {"type": failed.kind, "span": span.name}
        if failed.traceback:
            data["traceback"] = failed.traceback
        self._add("error", span.end, agent=agent, content=failed.message, data=data)

    def restore(self, kept: Json) -> None:
        """Add an event of ours that had no span of its own."""
        record = own_event(kept)
        kind: Json = record.get("kind")
        if kind in get_args(EventKind):
            self.timeline.add(_restored(kind, record, self.timeline.step))


def _restored(kind: EventKind, record: Mapping[str, Json], step: int) -> Event:
    """Return an event of ours from its JSON; a field of the wrong type is left out."""
    role = {"message": ROLES.get(text_or_none(record.get("role")) or "", "user"), "tool_result": "tool"}
    tool, code = mapping(record.get("tool")), mapping(record.get("code"))
    return Event(
        kind=kind,
        at=number_or_none(record.get("at")),
        step=max(1, count_or_none(record.get("step")) or step),
        role=role.get(kind),
        agent=text_or_none(record.get("agent")),
        recipient=text_or_none(record.get("recipient")),
        content=as_text(record.get("content")),
        reasoning=text_or_none(record.get("reasoning")),
        tool=_tool(tool) if tool else None,
        code=_code(code) if code else None,
        data=mapping(record.get("data")) or None,
        duration_seconds=number_or_none(record.get("duration_seconds")),
        tokens_in=count_or_none(record.get("tokens_in")),
        tokens_out=count_or_none(record.get("tokens_out")),
        cost_usd=number_or_none(record.get("cost_usd")),
        record_id=text_or_none(record.get("record_id")),
    )


def _tool(record: Mapping[str, Json]) -> ToolUse:
    call = tool_call(record.get("name"), record.get("call_id"), record.get("arguments"))
    return replace(call, result=as_text(record.get("result")), error=as_text(record.get("error")))


def _code(record: Mapping[str, Json]) -> CodeUse:
    return CodeUse(
        language=text_or_none(record.get("language")) or "python",
        text=as_text(record.get("text")),
        call_id=text_or_none(record.get("call_id")),
        exit_code=integer_or_none(record.get("exit_code")),
        output=as_text(record.get("output")),
    )


def _key(result: ToolUse) -> tuple[object, ...]:
    return ("result", result.call_id) if result.call_id else ("result", None, result.result)


def _moment(at: int) -> float | None:
    return at / _SECOND if at else None


def _seconds(span: Span) -> float | None:
    return (span.end - span.start) / _SECOND if span.start else None


def _language(span: Span) -> str:
    return first_text(span, OWN_CODE) or "python"
