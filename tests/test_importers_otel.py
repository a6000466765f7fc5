"""Spans of agents as runs: both conventions, all shapes of files, nothing twice, nothing lost."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillsmith.capture.importers import read_path
from skillsmith.capture.importers.otel_spans import spans_in
from skillsmith.db import Database
from skillsmith.models import Event, Problem, RunRecord
from skillsmith.runs import RunRepository

LOGS = Path(__file__).parent / "fixtures" / "logs" / "otel"
TRACE = "d" * 32


def _runs(path: Path) -> list[RunRecord]:
    return [item.value for item in read_path(path) if isinstance(item.value, RunRecord)]


def _problems(path: Path) -> list[Problem]:
    return [item.value for item in read_path(path) if isinstance(item.value, Problem)]


def _of(run: RunRecord, kind: str) -> list[Event]:
    return [event for event in run.events if event.kind == kind]


def _said(run: RunRecord) -> list[tuple[str | None, str | None, str | None]]:
    return [(event.role, event.agent, event.content) for event in _of(run, "message")]


def _span(number: int, parent: int | None, times: tuple[int, int], **attributes: Any) -> dict[str, Any]:
    """Return a span as the console exporter prints it; underscores of attributes stand for dots."""
    base = "2026-03-01T10:00:00.{:06d}Z"
    return {
        "name": attributes.pop("title", f"span {number}"),
        "context": {"trace_id": f"0x{TRACE}", "span_id": f"0x{number:016x}", "trace_state": "[]"},
        "kind": "SpanKind.INTERNAL",
        "parent_id": None if parent is None else f"0x{parent:016x}",
        "start_time": base.format(times[0]),
        "end_time": base.format(times[1]),
        "status": {"status_code": attributes.pop("status", "UNSET")},
        "attributes": attributes.pop("facts"),
        "events": attributes.pop("events", []),
        "links": [],
        "resource": {"attributes": {"service.name": "x"}, "schema_url": ""},
    }


def _chat(
    number: int,
    parent: int | None,
    at: int,
    *,
    inputs: list[dict[str, Any]],
    output: dict[str, Any],
    **facts: Any,
) -> dict[str, Any]:
    return _span(
        number, parent, (at, at + 5),
        facts={
            "gen_ai.operation.name": "chat", "gen_ai.request.model": "m",
            "gen_ai.input.messages": json.dumps(inputs),
            "gen_ai.output.messages": json.dumps([output]), **facts,
        },
    )  # fmt: skip


def _agent(number: int, parent: int | None, times: tuple[int, int], name: str) -> dict[str, Any]:
    facts = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}
    return _span(number, parent, times, facts=facts)


def _text(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}], **more}


def _write(folder: Path, spans: list[dict[str, Any]], name: str = "spans.json") -> Path:
    """Write spans as the console exporter does: indented documents, one after another."""
    path = folder / name
    path.write_text("\n".join(json.dumps(span, indent=4) for span in spans) + "\n")
    return path


def test_a_trace_of_ag2_becomes_a_run_with_all_its_facts() -> None:
    """Recorded from AG2: calls join results, the failed tool says why, the delegate's turn stands inside."""
    (run,) = _runs(LOGS / "ag2.jsonl")
    assert (run.source, run.native_id, run.status) == (
        "otel",
        "c697476935df6183f63f5b634249352e",
        "completed",
    )
    assert run.task == "Please refund order ORD-7, it was 12.50."
    assert _said(run) == [
        ("user", "user", run.task),
        ("assistant", "clerk", "Let me look."),
        ("assistant", "clerk", None),
        ("assistant", "clerk", "I shall ask the auditor."),
        ("user", "clerk", "Why can ORD-7 not be refunded?"),
        ("assistant", "auditor", "Order ORD-7 was never paid."),
        ("assistant", "clerk", "ORD-7 was never paid, so there is nothing to refund."),
    ]
    calls = [event.tool for event in _of(run, "tool_call") if event.tool]
    results = [event.tool for event in _of(run, "tool_result") if event.tool]
    assert [(call.call_id, call.name, call.parsed) for call in calls] == [
        ("c1", "find_order", {"order_id": "ORD-7"}),
        ("c2", "refund", {"order_id": "ORD-7", "amount": 12.5}),
        ("c3", "task_auditor", {"objective": "Why can ORD-7 not be refunded?"}),
    ]
    assert [(result.call_id, result.error) for result in results] == [
        ("c1", None), ("c2", "order ORD-7 is not paid yet"), ("c3", None),
    ]  # fmt: skip
    assert results[0].result == '{"order_id": "ORD-7", "status": "pending"}'
    models = _of(run, "llm_call")
    assert (sum(e.tokens_in or 0 for e in models), sum(e.tokens_out or 0 for e in models)) == (226, 49)
    assert all(event.duration_seconds is not None for event in models)


def test_both_conventions_may_stand_in_one_file() -> None:
    """GenAI and OpenInference spans each give their run; a trace of a web server gives none."""
    first, second = _runs(LOGS / "two_dialects.json")
    assert (first.outcome, first.status, first.metadata["conversation_id"]) == ("failure", "failed", "conv-9")
    assert [event.role for event in _of(first, "message")].count("system") == 1
    (thinking,) = [event for event in first.events if event.reasoning]
    assert (thinking.reasoning, thinking.content) == ("Weather first.", "I look at the weather.")
    (weather,) = _of(first, "tool_result")
    assert weather.tool
    assert weather.tool.result == '{"rain":true}'  # its own span left it out
    (turn,) = _of(first, "transition")
    assert (turn.agent, turn.recipient, turn.step) == ("planner", "booker", 2)
    (error,) = _of(first, "error")  # it passed through three spans
    assert error.data
    assert (error.agent, error.content, error.data["type"]) == ("booker", "slow down", "RateLimitError")
    assert sum(event.tokens_in or 0 for event in first.events) == 80  # the agent's total is not added
    assert second.task == "What is open in Rome?"
    assert _said(second)[-1] == ("assistant", "guide", "The Vatican is open.")
    (museum,) = _of(second, "tool_result")
    assert museum.tool
    assert (museum.tool.call_id, museum.tool.result) == ("t1", "Vatican")
    assert [event.cost_usd for event in _of(second, "llm_call")] == [0.002, None]
    (retrieval,) = _of(second, "raw")
    assert retrieval.data
    assert retrieval.data["span"] == "search"


def test_phoenix_rows_give_the_same_events_as_otlp() -> None:
    """Columns, nested messages and ISO times say the same as the spans they were made from."""
    (rows,) = _runs(LOGS / "phoenix.jsonl")
    (_, spans) = _runs(LOGS / "two_dialects.json")

    def essence(run: RunRecord) -> list[object]:
        return [
            (e.kind, e.role, e.agent, e.content, e.tool, e.tokens_in, e.tokens_out, e.cost_usd)
            for e in run.events
        ]

    assert essence(rows) == essence(spans)


def test_the_console_exporter_of_python_is_read(tmp_path: Path) -> None:
    """Indented documents one after another are told and read; a damaged one costs itself."""
    trace = pytest.importorskip("opentelemetry.sdk.trace", reason="OpenTelemetry's SDK is not installed")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    path = tmp_path / "console.txt"
    with path.open("w") as file:
        provider = trace.TracerProvider()
        provider.add_span_processor(export.SimpleSpanProcessor(export.ConsoleSpanExporter(out=file)))
        tracer = provider.get_tracer("test")
        with tracer.start_as_current_span("invoke_agent helper") as agent:
            agent.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"})
            with tracer.start_as_current_span("chat m") as chat:
                output = [_text("assistant", "hello")]
                chat.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
                chat.set_attribute("gen_ai.output.messages", json.dumps(output))
    (run,) = _runs(path)
    assert [(event.kind, event.agent) for event in run.events] == [
        ("agent_start", "helper"), ("llm_call", "helper"), ("message", "helper"),
    ]  # fmt: skip
    whole = path.read_text()
    path.write_text(whole + '{\n    "name": "cut\n')
    assert len(_runs(path)) == 1
    (problem,) = _problems(path)
    assert problem.line == whole.count("\n") + 2


def test_a_repeated_history_is_stored_once_and_a_repeated_word_twice(tmp_path: Path) -> None:
    """What a request repeats is known; what a user really says again is a message again."""
    history = [_text("user", "more"), _text("assistant", "one"), _text("user", "more")]
    spans = [
        _chat(2, 1, 10, inputs=history[:1], output=history[1]),
        _chat(3, 1, 20, inputs=history, output=_text("assistant", "two")),
        _agent(1, None, (5, 30), "a"),
    ]
    (run,) = _runs(_write(tmp_path, spans))
    assert [content for _, _, content in _said(run)] == ["more", "one", "more", "two"]


def test_in_a_group_each_message_counts_once_and_delegations_have_their_own(tmp_path: Path) -> None:
    """What one agent said is known when another hears it; the same words in a delegation are new."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ask"}
    task, answer = _text("user", "go"), _text("assistant", "done")
    spans = [
        _span(1, None, (0, 100), facts={"gen_ai.operation.name": "invoke_workflow"}),
        _agent(2, 1, (1, 20), "a"),
        _chat(3, 2, 5, inputs=[task], output=answer),
        _agent(4, 1, (21, 60), "b"),
        _span(5, 4, (22, 40), facts=tool),
        _agent(6, 5, (23, 39), "c"),
        _chat(7, 6, 25, inputs=[task], output=_text("assistant", "inner")),
        _chat(8, 4, 45, inputs=[task, _text("user", "done", name="a")], output=_text("assistant", "outer")),
    ]
    (run,) = _runs(_write(tmp_path, spans))
    assert _said(run) == [
        ("user", "user", "go"), ("assistant", "a", "done"),
        ("user", "b", "go"), ("assistant", "c", "inner"), ("assistant", "b", "outer"),
    ]  # fmt: skip
    assert [(event.agent, event.recipient) for event in _of(run, "transition")] == [("a", "b")]


def test_other_dialects_of_messages_are_understood(tmp_path: Path) -> None:
    """Span events of the older conventions and OpenLLMetry's numbered attributes hold messages too."""
    called = {"function": {"name": "f", "arguments": "{}"}, "id": "x1", "type": "function"}
    chosen = {"role": "assistant", "content": "Hm", "tool_calls": [called]}
    events = [
        {"name": "gen_ai.system.message", "timestamp": "", "attributes": {"content": "Be kind."}},
        {"name": "gen_ai.user.message", "timestamp": "", "attributes": {"content": "Hi"}},
        {"name": "gen_ai.choice", "timestamp": "", "attributes": {"message": json.dumps(chosen)}},
    ]
    old = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "m"}
    numbered = {
        "llm.request.type": "chat", "gen_ai.request.model": "m", "gen_ai.usage.prompt_tokens": 4,
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Bye",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "See you",
    }  # fmt: skip
    spans = [_span(1, None, (1, 5), facts=old, events=events), _span(2, None, (6, 9), facts=numbered)]
    (run,) = _runs(_write(tmp_path, spans))
    assert [(role, content) for role, _, content in _said(run)] == [
        ("system", "Be kind."), ("user", "Hi"), ("assistant", "Hm"), ("user", "Bye"),
        ("assistant", "See you"),
    ]  # fmt: skip
    (call,) = _of(run, "tool_call")
    assert call.tool
    assert (call.tool.name, call.tool.call_id) == ("f", "x1")
    assert [event.tokens_in for event in _of(run, "llm_call")] == [None, 4]


def test_tool_spans_without_ids_find_their_calls(tmp_path: Path) -> None:
    """A tool's span is joined to the oldest open call of its name; with none it is a call of its own."""
    call = {"type": "tool_call", "id": "k1", "name": "dig", "arguments": {"depth": 3}}
    tool = {"openinference.span.kind": "TOOL", "tool.name": "dig", "output.value": "gold"}
    lone = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ring", "error.type": "timeout"}
    spans = [
        _chat(1, None, 1, inputs=[_text("user", "dig")], output={"role": "assistant", "parts": [call]}),
        _span(2, None, (10, 20), facts=tool),
        _span(3, None, (21, 22), facts=lone, status="ERROR"),
    ]
    (run,) = _runs(_write(tmp_path, spans))
    calls = [event.tool for event in _of(run, "tool_call") if event.tool]
    results = [event.tool for event in _of(run, "tool_result") if event.tool]
    assert [call.name for call in calls] == ["dig", "ring"]
    assert [(r.name, r.call_id, r.result, r.error) for r in results] == [
        ("dig", "k1", "gold", None), ("ring", calls[1].call_id, None, "timeout"),
    ]  # fmt: skip


def test_results_without_ids_are_stored_once(tmp_path: Path) -> None:
    """Where neither calls nor results have ids, each result of the growing history counts once."""
    call = {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": {}}]}
    first, second = ({"role": "tool", "content": text} for text in ("one", "two"))
    history = [_text("user", "go"), call, first, call, second]
    spans = [
        _chat(1, None, 1, inputs=history[:1], output=call),
        _chat(2, None, 10, inputs=history[:3], output=call),
        _chat(3, None, 20, inputs=history, output=_text("assistant", "done")),
    ]
    (run,) = _runs(_write(tmp_path, spans))
    assert [(e.tool.name, e.tool.result) for e in _of(run, "tool_result") if e.tool] == [
        ("f", "one"), ("f", "two"),
    ]  # fmt: skip
    assert len(_of(run, "tool_call")) == 2


def test_code_that_classic_agents_ran_is_found_in_their_messages(tmp_path: Path) -> None:
    """AG2's spans of executed code have no code in them: the block of the message before it is meant."""
    ran = {
        "ag2.span.type": "code_execution", "gen_ai.operation.name": "execute_code",
        "ag2.code_execution.exit_code": 0, "ag2.code_execution.output": "42",
    }  # fmt: skip
    spans = [
        _chat(1, None, 1, inputs=[], output=_text("assistant", "So:\n```python\nprint(6*7)\n```")),
        _span(2, None, (10, 20), facts=ran),
    ]
    (run,) = _runs(_write(tmp_path, spans))
    (code,), (result,) = _of(run, "code"), _of(run, "code_result")
    assert code.code
    assert result.code
    assert (code.code.text, result.code.exit_code, result.code.output) == ("print(6*7)", 0, "42")
    assert code.code.call_id == result.code.call_id


def test_the_same_spans_in_another_order_or_twice_add_nothing(tmp_path: Path, db: Database) -> None:
    """Exporters batch as they like and retry: the order of a file is not the order of the run."""
    lines = (LOGS / "ag2.jsonl").read_text().splitlines()
    path = tmp_path / "again.jsonl"
    path.write_text("\n".join([*reversed(lines), *lines]))
    (first,), (second,) = _runs(LOGS / "ag2.jsonl"), _runs(path)
    assert first.events == second.events
    runs = RunRepository(db)
    assert runs.ingest(first).new
    again = runs.ingest(second)
    assert (again.new, sum(again.added.values())) == (False, 0)


def test_what_is_no_trace_of_an_agent_is_said(tmp_path: Path) -> None:
    """A file of other spans, or of none, is one clear problem; other signals beside spans are none."""
    web = tmp_path / "web.json"
    web.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": TRACE, "spanId": "1" * 16, "name": "GET /", "startTimeUnixNano": "1"}]}]}]}))  # fmt: skip
    assert [problem.reason for problem in _problems(web)] == ["spans, but none of an agent or a model"]
    mixed = tmp_path / "mixed.jsonl"
    first = (LOGS / "ag2.jsonl").read_text().splitlines()[0]
    mixed.write_text(f'{first}\n{{"resourceLogs": []}}\n{{"other": 1}}\n')
    assert [(problem.line, problem.reason) for problem in _problems(mixed)] == [(3, "no spans")]
    assert len(_runs(mixed)) == 1


def test_ids_may_be_in_base64_and_names_in_either_spelling() -> None:
    """The protocol's own JSON writers differ from the specification: both are read."""
    value = {"resource_spans": [{"scope_spans": [{"spans": [{
        "trace_id": "qqqqqqqqqqqqqqqqqqqqqg==", "span_id": "u7u7u7u7u7s=", "name": "x",
        "start_time_unix_nano": "1700000000000000000", "end_time_unix_nano": 1700000001000000000,
        "attributes": [{"key": "n", "value": {"int_value": "7"}},
                       {"key": "l", "value": {"array_value": {"values": [{"string_value": "a"}]}}}],
    }]}]}]}  # fmt: skip
    (span,) = spans_in(value)
    assert (span.trace_id, span.span_id) == ("aa" * 16, "bb" * 8)
    assert (span.end - span.start, dict(span.attributes)) == (10**9, {"n": 7, "l": ["a"]})


NAMES = (
    "gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.agent.name",
    "gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result",
    "gen_ai.usage.input_tokens", "gen_ai.usage.cost", "gen_ai.request.model", "gen_ai.system_instructions",
    "gen_ai.response.finish_reasons", "openinference.span.kind", "llm.input_messages",
    "llm.output_messages.0.message.content", "llm.output_messages.0.message.tool_calls.0.tool_call.id",
    "gen_ai.prompt.0.content", "input.value", "output.value", "ag2.span.type", "skillsmith.event",
    "skillsmith.run.id", "skillsmith.step", "skillsmith.code.language", "error.type", "ag2.usage.kind",
)  # fmt: skip
WORDS = st.sampled_from((
    "chat", "execute_tool", "invoke_agent", "AGENT", "LLM", "TOOL", "agent", "usage", "code_execution", "a",
    '[{"role":"user","parts":[{"type":"text","content":"x"}]}]', '[{"role":"tool","content":"r"}]', "{}",
    '{"kind":"message","role":5,"at":"x"}', '{"kind":"tool_result","tool":{"name":1}}',
    '[{"role":"assistant","parts":[{"type":"tool_call","id":"c","name":"f","arguments":{}}]}]',
    '[[{"role":1}]]',
))  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**64)
    | st.floats(allow_nan=False)
    | WORDS
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
MOMENT = st.integers(0, 20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_attributes_give_events_that_can_be_stored(
    tmp_path: Path, db: Database, data: st.DataObject
) -> None:
    """Whatever spans claim to be and hold, they are read and stored, and read again they add nothing."""
    facts = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)
    number = st.integers(1, 5)
    made = [
        _span(
            data.draw(number), data.draw(number), (data.draw(MOMENT), data.draw(MOMENT)),
            facts={"gen_ai.x": 1, **data.draw(facts)}, status=data.draw(st.sampled_from(["UNSET", "ERROR"])),
            events=[{"name": "skillsmith.event", "timestamp": "", "attributes": data.draw(facts)}],
        )
        for _ in range(data.draw(number))
    ]  # fmt: skip
    path = tmp_path / "spans.jsonl"
    path.write_text("\n".join(json.dumps(span) for span in made))
    runs = RunRepository(db)
    for run in _runs(path):
        for event in run.events:
            assert (event.role is not None) == (event.kind in ("message", "tool_result"))
        runs.ingest(run)
        assert not Counter(runs.ingest(run).added)
