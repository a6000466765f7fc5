"""A run as one OpenTelemetry trace in OTLP's JSON, so that existing trace viewers can open it.

``invoke_workflow`` → ``invoke_agent`` a turn → ``chat`` and ``execute_tool``, with the names of the GenAI
conventions. The same run gives the same bytes: ids come from the run's id and its events' numbers. What has
no place in the conventions is kept in span events (``skillsmith.event``), so that nothing is lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256

from skillsmith import __version__
from skillsmith.capture.exporters.turns import Chat, Story, Turn, Use, gather, identified
from skillsmith.events import dump_json
from skillsmith.models import CodeUse, Event, Json, Run, ToolUse

_INTERNAL, _CLIENT = 1, 3
_ERROR = 2
_MICROSECOND = 1000
Attributes = Mapping[str, Json]


def otlp_document(run: Run, events: Iterable[Event]) -> dict[str, Json]:
    """Return a run as an ``ExportTraceServiceRequest`` in JSON.

    Args:
        run: The run.
        events: All its events, in order.
    """
    spans = list(_Exporter(run, list(identified(events))).spans())
    scope = {"name": "skillsmith", "version": __version__}
    resource = {"attributes": _pairs({"service.name": "skillsmith", "service.version": __version__})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}


class _Exporter:
    """Writes the spans of one run."""

    def __init__(self, run: Run, events: Sequence[Event]) -> None:
        self._run = run
        self._events = events
        self._trace_id = run.id.replace("-", "")
        self._root_id = self._span_id("run", 0)
        self._times = _times(run, events)

    def spans(self) -> Iterator[dict[str, Json]]:
        """Yield the spans, outer ones first."""
        story = gather(self._events)
        yield self._root(story)
        for turn in story.turns:
            yield from self._turn(turn)

    def _span_id(self, kind: str, seq: int) -> str:
        return sha256(f"{self._run.id}/{kind}/{seq}".encode()).hexdigest()[:16]

    def _at(self, event: Event) -> int:
        return self._times[event.seq]

    def _span(
        self,
        span_id: str,
        name: str,
        *,
        parent: str | None,
        start: int,
        end: int,
        attributes: Attributes,
        kind: int = _INTERNAL,
        error: str | None = None,
    ) -> dict[str, Json]:
        span: dict[str, Json] = {"traceId": self._trace_id, "spanId": span_id}
        if parent is not None:
            span["parentSpanId"] = parent
        span |= {
            "name": name, "kind": kind, "startTimeUnixNano": str(start), "endTimeUnixNano": str(end),
            "attributes": _pairs(attributes),
        }  # fmt: skip
        if error is not None:
            span["status"] = {"code": _ERROR, "message": error}
        return span

    def _root(self, story: Story) -> dict[str, Json]:
        run = self._run
        failed = run.status == "failed" or run.outcome == "failure"
        times = self._times.values()
        start = min(times, default=0)
        span = self._span(
            self._root_id,
            f"invoke_workflow {run.source}",
            parent=None,
            start=start,
            end=max(times, default=start),
            error=(run.outcome_reason or "the run failed") if failed else None,
            attributes={
                "gen_ai.operation.name": "invoke_workflow",
                "gen_ai.workflow.name": run.source,
                "gen_ai.conversation.id": run.native_id or run.id,
                "skillsmith.run.id": run.id,
                "skillsmith.task": run.task,
                "skillsmith.status": run.status,
                "skillsmith.outcome": run.outcome,
                "skillsmith.outcome_reason": run.outcome_reason,
                "skillsmith.cost_usd": run.cost_usd,
                "skillsmith.work_dir": run.work_dir,
            },
        )
        span["events"] = [self._loose(event) for event in story.loose]
        return span

    def _loose(self, event: Event) -> dict[str, Json]:
        """Return an event without a span of its own as a span event; an error as viewers know it."""
        facts: dict[str, Json] = {"skillsmith.event": dump_json(event_json(event))}
        if event.kind == "error":
            data = event.data or {}
            facts["exception.type"] = str(data.get("type", "_OTHER"))
            facts["exception.message"] = event.content
            facts["exception.stacktrace"] = data.get("traceback")
        name = "exception" if event.kind == "error" else f"skillsmith.{event.kind}"
        return {"timeUnixNano": str(self._at(event)), "name": name, "attributes": _pairs(facts)}

    def _turn(self, turn: Turn) -> Iterator[dict[str, Json]]:
        turn_id = self._span_id("turn", _first(turn.parts[0]).seq)
        inner = [
            self._chat(part, turn_id) if isinstance(part, Chat) else self._use(part, turn_id)
            for part in turn.parts
        ]
        yield self._span(
            turn_id,
            f"invoke_agent {turn.agent or ''}".rstrip(),
            parent=self._root_id,
            start=min(int(span["startTimeUnixNano"]) for span in inner),
            end=max(int(span["endTimeUnixNano"]) for span in inner),
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": turn.agent,
                "skillsmith.step": turn.step,
            },
        )
        yield from inner

    def _chat(self, chat: Chat, turn_id: str) -> dict[str, Json]:
        facts = {name: value for event in chat.events for name, value in (event.data or {}).items()}
        model = facts.get("model")
        start, end = self._at(chat.events[0]), self._at(chat.events[-1])
        took = max((event.duration_seconds or 0 for event in chat.events), default=0)
        start = max(min(self._times.values()), min(start, end - round(took * 1e6) * _MICROSECOND))
        return self._span(
            self._span_id("chat", chat.events[0].seq),
            f"chat {model or ''}".rstrip(),
            parent=turn_id,
            kind=_CLIENT,
            start=start,
            end=end,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": facts.get("provider"),
                "gen_ai.agent.name": chat.events[0].agent,
                "gen_ai.input.messages": dump_json(_inputs(chat)),
                "gen_ai.output.messages": dump_json(_output(chat, facts.get("finish_reason"))),
                "skillsmith.silent": not chat.of_kind("message") or None,
                **_usage(chat, facts),
            },
        )

    def _use(self, use: Use, turn_id: str) -> dict[str, Json]:
        facts, error = _tool_facts(use) if use.begin.tool else _code_facts(use)
        begun = use.chat.events[-1] if use.chat else use.begin  # no tool runs before the answer is complete
        return self._span(
            self._span_id(use.begin.kind, use.begin.seq),
            f"execute_tool {facts['gen_ai.tool.name']}",
            parent=turn_id,
            start=self._at(begun),
            end=self._at(use.end or begun),
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.type": "function",
                "gen_ai.agent.name": (use.end or use.begin).agent,
                **facts,
            },
            error=error,
        )


def _first(part: Chat | Use) -> Event:
    return part.events[0] if isinstance(part, Chat) else part.begin


def _times(run: Run, events: Sequence[Event]) -> dict[int, int]:
    """Return each event's time in nanoseconds by its number; always later than the one before."""
    begun = next((event.at for event in events if event.at is not None), run.created_at)
    latest = _nanoseconds(begun if run.started_at is None else min(begun, run.started_at)) - _MICROSECOND
    times: dict[int, int] = {}
    for event in events:
        stated = latest if event.at is None else _nanoseconds(event.at)
        latest = max(stated, latest + _MICROSECOND)
        times[event.seq] = latest
    return times or {0: latest}


def _nanoseconds(at: float) -> int:
    return round(at * 1_000_000) * _MICROSECOND


def _inputs(chat: Chat) -> list[Json]:
    """Return what is new for the model since the answer before, as messages."""
    said = [] if chat.heard is None else [_message("assistant", chat.heard, [_text(chat.heard)])]
    for event in chat.inputs:
        if event.tool is None:
            message = _message(event.role or "user", event, [*_thoughts([event.reasoning]), _text(event)])
            said.append(message if event.step == chat.events[0].step else {**message, "step": event.step})
            continue
        part = {
            "type": "tool_call_response",
            "id": event.tool.call_id,
            "response": event.tool.error if event.tool.result is None else event.tool.result,
        }
        said.append(_message("tool", event, [part]))
    return said


def _thoughts(texts: Iterable[str | None]) -> list[dict[str, Json]]:
    return [{"type": "reasoning", "content": text} for text in texts if text]


def _text(event: Event) -> dict[str, Json]:
    return {"type": "text", "content": event.content or ""}


def _message(role: str, event: Event, parts: list[dict[str, Json]]) -> dict[str, Json]:
    message: dict[str, Json] = {"role": role, "parts": parts}
    if event.agent:
        message["name"] = event.agent
    if event.recipient:
        message["recipient"] = event.recipient
    return message


def _output(chat: Chat, finish_reason: Json) -> list[Json]:
    """Return the answer as the one message that it is."""
    messages, calls = chat.of_kind("message"), chat.of_kind("tool_call")
    thoughts = [event.content for event in chat.of_kind("reasoning")]
    thoughts += [event.reasoning for event in messages]
    parts = _thoughts(thoughts)
    parts += [_text(event) for event in messages if event.content is not None or not calls]
    parts += [_call(event.tool) for event in calls if event.tool]
    if not parts:
        return []
    message = _message("assistant", messages[0] if messages else chat.events[0], parts)
    return [{**message, "finish_reason": finish_reason or ("tool_call" if calls else "stop")}]


def _call(tool: ToolUse) -> dict[str, Json]:
    arguments = tool.arguments if tool.parsed is None else tool.parsed
    return {"type": "tool_call", "id": tool.call_id, "name": tool.name, "arguments": arguments}


def _usage(chat: Chat, facts: Attributes) -> dict[str, Json]:
    reason, model = facts.get("finish_reason"), facts.get("model")
    return {
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.response.finish_reasons": [reason] if reason else None,
        "gen_ai.usage.input_tokens": _sum(event.tokens_in for event in chat.events),
        "gen_ai.usage.output_tokens": _sum(event.tokens_out for event in chat.events),
        "gen_ai.usage.cache_read.input_tokens": facts.get("cached_tokens"),
        "gen_ai.usage.cost": _sum(event.cost_usd for event in chat.events),
    }


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _tool_facts(use: Use) -> tuple[dict[str, Json], str | None]:
    """Return the attributes of a tool's span, and its error."""
    call = use.begin.tool
    given = use.end.tool if use.end else None
    assert call is not None
    error = given.error if given else None
    stated = (use.end.data or {}).get("error_type") if use.end else None
    return {
        "gen_ai.tool.name": call.name,
        "gen_ai.tool.call.id": call.call_id,
        "gen_ai.tool.call.arguments": call.arguments,
        "gen_ai.tool.call.result": given.result if given else None,
        "error.type": (stated or "_OTHER") if error is not None else None,
    }, error


def _code_facts(use: Use) -> tuple[dict[str, Json], str | None]:
    """Return the attributes of executed code's span, and its error: code is a tool to a viewer."""
    code = use.begin.code
    given = (use.end.code if use.end else None) or CodeUse()
    assert code is not None
    failed = bool(given.exit_code)
    return {
        "gen_ai.tool.name": "execute_code",
        "gen_ai.tool.call.id": code.call_id,
        "gen_ai.tool.call.arguments": dump_json({"language": code.language, "code": code.text or ""}),
        "gen_ai.tool.call.result": given.output,
        "process.exit.code": given.exit_code,
        "skillsmith.code.language": code.language,
        "error.type": f"exit code {given.exit_code}" if failed else None,
    }, f"exit code {given.exit_code}" if failed else None


def event_json(event: Event) -> dict[str, Json]:
    """Return an event with all its fields that are set, as JSON."""
    facts = asdict(event)
    for name in ("tool", "code"):
        facts[name] = _present(facts[name]) if facts[name] else None
    return _present(facts)


def _present(facts: Attributes) -> dict[str, Json]:
    return {name: value for name, value in facts.items() if value is not None and name != "parsed"}


def _pairs(attributes: Attributes) -> list[dict[str, Json]]:
    return [{"key": key, "value": _value(item)} for key, item in attributes.items() if item is not None]


def _value(value: Json) -> dict[str, Json]:
    """Return a value as the protocol's JSON has it: whole numbers as text."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": value if isinstance(value, str) else dump_json(value)}
