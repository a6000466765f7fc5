"""Traces of agents: OpenTelemetry's GenAI conventions, OpenInference and OpenLLMetry, one run a trace.

The dialects may stand side by side in one file and in one trace. Traces without any agent or model call
(of a web server, say) are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import get_args

from skillsmith.capture.importers.base import number_or_none, text_or_none
from skillsmith.capture.importers.otel_facts import (
    concerns_agents,
    failure_of,
    first_text,
    model_of,
)
from skillsmith.capture.importers.otel_spans import Span, SpanEvent, read_spans, spans_in
from skillsmith.capture.importers.otel_trace import Node, Trace
from skillsmith.capture.importers.registry import Bundle, Importer
from skillsmith.capture.importers.source import Head, LogSource
from skillsmith.models import Json, Outcome, Problem, RunRecord, RunStatus

NAME = "otel"
_ROTATED = re.compile(r"(?P<name>.+)-(?P<time>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})(?P<ending>\.[a-z]+)")
"""How the collector's file exporter names the files that it has filled."""
_LAST = 10**18
_CONVERSATIONS = ("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id")


def sniff(head: Head) -> float:
    """Return how surely a file holds spans."""
    spans = [span for value in head.values for span in spans_in(value)]
    if any(map(concerns_agents, spans)):
        return 0.97
    if spans or any(value.keys() & {"resourceSpans", "resource_spans"} for value in head.objects):
        return 0.7
    return 0.0


def parse(source: LogSource) -> Iterator[RunRecord | Problem]:
    """Yield a run for every trace in which an agent or a model took part."""
    return parse_parts([source])


def parse_parts(sources: Sequence[LogSource]) -> Iterator[RunRecord | Problem]:
    """Yield the runs of a file and of those that a collector rotated it into."""
    traces: dict[str, list[Span]] = {}
    notes: dict[tuple[str, str], list[SpanEvent]] = {}
    for found in chain.from_iterable(map(read_spans, sources)):
        if isinstance(found, Problem):
            yield found
        elif isinstance(found, Span):
            traces.setdefault(found.trace_id, []).append(found)
        else:
            notes.setdefault(found[0], []).append(found[1])
    if notes:
        traces = {name: [_with_notes(span, notes) for span in spans] for name, spans in traces.items()}
    concerned = [spans for spans in traces.values() if any(map(concerns_agents, spans))]
    if traces and not concerned:
        yield sources[0].problem("spans, but none of an agent or a model")
    for spans in concerned:
        yield _run(spans)


def part_of(name: str) -> int:
    """Return the place of a file among those it was rotated into: by their time, the present one last."""
    found = _ROTATED.fullmatch(name)
    return int(re.sub("[^0-9]", "", found["time"])) if found else _LAST


def stream_of(name: str) -> str:
    """Return what a file is called when it is not rotated."""
    found = _ROTATED.fullmatch(name)
    return f"{found['name']}{found['ending']}" if found else name


def _with_notes(span: Span, notes: Mapping[tuple[str, str], Sequence[SpanEvent]]) -> Span:
    """Return a span with what log records note about it among its events."""
    noted = notes.get((span.trace_id, span.span_id), ())
    return replace(span, events=(*span.events, *noted)) if noted else span


def _run(spans: Sequence[Span]) -> RunRecord:
    trace = Trace(spans)
    events = trace.events()
    roots = [node for node in trace.nodes if not node.above]
    outcome, reason = _outcome(roots)
    starts = [node.span.start for node in trace.nodes if node.span.start]
    ends = [node.span.end for node in trace.nodes if node.span.end]
    return RunRecord(
        source=NAME,
        native_id=spans[0].trace_id,
        task=trace.task(),
        outcome=outcome,
        outcome_reason=reason,
        status=_status(roots),
        started_at=min(starts) / 1e9 if starts else None,
        ended_at=max(ends) / 1e9 if ends else None,
        cost_usd=_stated_cost(roots),
        work_dir=_first(roots, "skillsmith.work_dir"),
        metadata=_metadata(trace.nodes, roots),
        events=events,
    )


def _outcome(roots: Sequence[Node]) -> tuple[Outcome, str | None]:
    stated = _first(roots, "skillsmith.outcome")
    if stated in get_args(Outcome):
        return stated, _first(roots, "skillsmith.outcome_reason")  # type: ignore[return-value]  # just checked
    for node in roots:
        if failed := failure_of(node.span):
            return "failure", f"the span {node.span.name!r} failed: {' '.join(failed.message.split())[:200]}"
    return "unknown", None


def _status(roots: Sequence[Node]) -> RunStatus:
    stated = _first(roots, "skillsmith.status")
    if stated in get_args(RunStatus):
        return stated  # type: ignore[return-value]  # just checked
    return "failed" if any(failure_of(node.span) for node in roots) else "completed"


def _stated_cost(roots: Sequence[Node]) -> float | None:
    """Return the total that an export of ours states; elsewhere the calls' costs are summed."""
    values = (number_or_none(node.span.attributes.get("skillsmith.cost_usd")) for node in roots)
    return next((value for value in values if value is not None), None)


def _first(nodes: Sequence[Node], *names: str) -> str | None:
    return next((text for node in nodes if (text := first_text(node.span, *names))), None)


def _metadata(nodes: Sequence[Node], roots: Sequence[Node]) -> dict[str, Json]:
    models = {model: None for node in nodes if node.kind == "chat" and (model := model_of(node.span))}
    service = next((node.span.resource.get("service.name") for node in nodes), None)
    facts: dict[str, Json] = {
        "trace": roots[0].span.name if roots else None,
        "service": text_or_none(service),
        "conversation_id": _first(nodes, *_CONVERSATIONS),
        "models": list(models),
        "spans": len(nodes),
    }
    return {name: value for name, value in facts.items() if value}


IMPORTER = Importer(
    name=NAME,
    description="OpenTelemetry GenAI, OpenInference, OpenLLMetry: OTLP, console, Phoenix, Jaeger, Zipkin",
    sniff=sniff,
    parse=parse,
    bundle=Bundle(part=part_of, parse=parse_parts, key=stream_of),
)
