"""Spans as the exporters of OpenTelemetry write them, each brought to one form.

Read are OTLP in JSON (of the collector's file exporter, of a backend's download, spans with and without
their envelope), the spans of Python's ``ConsoleSpanExporter`` and of Phoenix, which have the same keys, and
those of ``otel_forms``. Nothing of OpenTelemetry is needed for it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from skillsmith.capture.importers.base import items, mapping, text_or_none
from skillsmith.capture.importers.jsontext import parsed_or_none
from skillsmith.capture.importers.otel_forms import as_protocol
from skillsmith.capture.importers.source import LogSource, Record
from skillsmith.models import Json, Problem

Status = Literal["unset", "ok", "error"]

_BATCHES = ("resourceSpans", "resource_spans", "batches")
_SCOPES = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans")
_WRAPPERS = ("trace", "data", "spans")
_LOGS = ("resourceLogs", "resource_logs")
_LOG_SCOPES = ("scopeLogs", "scope_logs")
_LOG_RECORDS = ("logRecords", "log_records")
_OTHER_SIGNALS = frozenset({"resourceLogs", "resourceMetrics", "resource_logs", "resource_metrics"})
_STATUSES: Mapping[Json, Status] = {
    1: "ok", 2: "error", "STATUS_CODE_OK": "ok", "STATUS_CODE_ERROR": "error", "OK": "ok", "ERROR": "error",
    "StatusCode.OK": "ok", "StatusCode.ERROR": "error",
}  # fmt: skip
_SECOND = 1_000_000_000
_LATEST = 32_503_680_000 * _SECOND  # the year 3000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"[0-9]{1,20}")
_FRACTION = re.compile(r"\.([0-9]+)")
_HEX = re.compile(r"[0-9a-fA-F]+")
_MICROSECOND_DIGITS = 6
_ID_BYTES = (8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEvent:
    """What a span noted at one moment (nanoseconds)."""

    name: str
    at: int
    attributes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span.

    Args:
        start: Unix time in nanoseconds; 0 when unknown, like ``end``.
        attributes: By their dotted names.
        resource: Attributes of the process that made it.
        status: As set by the program; "unset" is the usual one of what went well.
        message: What the status says.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start: int
    end: int
    attributes: Mapping[str, Json]
    events: tuple[SpanEvent, ...] = ()
    status: Status = "unset"
    message: str | None = None
    resource: Mapping[str, Json] = field(default_factory=dict)


Noted: TypeAlias = tuple[tuple[str, str], SpanEvent]
"""What a log record notes, after trace and span that it is about."""


def read_spans(source: LogSource) -> Iterator[Span | Noted | Problem]:
    """Yield the spans of a file (OTLP or single ones, a document, a line or a list each), and logs' notes."""
    if isinstance(source.head, Problem):
        yield source.head
    elif source.head.lines:
        for record in source.records():
            yield from [record] if isinstance(record, Problem) else _of_line(source, record)
    else:
        for value in source.documents():
            yield from [value] if isinstance(value, Problem) else _of_document(source, value)


def _of_line(source: LogSource, record: Record) -> Iterator[Span | Noted | Problem]:
    found: list[Span | Noted] = [*spans_in(record.value), *notes_in(record.value)]
    yield from found
    if not found and not _is_empty_batch(record.value):
        yield source.problem("no spans", record.line)


def _of_document(source: LogSource, value: Json) -> Iterator[Span | Noted | Problem]:
    found: list[Span | Noted] = [*spans_in(value), *notes_in(value)]
    yield from found
    if not found and not _is_empty_batch(value):
        yield source.problem("holds no spans")


def _is_empty_batch(value: Json) -> bool:
    return isinstance(value, dict) and bool(value.keys() & {*_OTHER_SIGNALS, *_BATCHES})


def spans_in(value: Json) -> Iterator[Span]:
    """Yield the spans that a JSON value holds, in whichever of the known forms."""
    if isinstance(value, list):
        for item in value:
            yield from spans_in(item)
        return
    record = mapping(value)
    batches = [batch for key in _BATCHES for batch in items(record.get(key))]
    if batches:
        for batch in batches:
            yield from _of_batch(mapping(batch))
    elif inner := next(
        (held for key in _WRAPPERS if isinstance(held := record.get(key), (dict, list))), None
    ):
        yield from spans_in(inner)
    elif (span := _bare(record) or _single(record)) is not None:
        yield span


def _bare(record: Mapping[str, Json]) -> Span | None:
    """Return a span of the protocol that stands without its batch, or one of another tool."""
    protocol = record if _either(record, "startTimeUnixNano") is not None else as_protocol(record)
    return _otlp(protocol, {}) if protocol is not None else None


def notes_in(value: Json) -> Iterator[Noted]:
    """Yield what log records note about spans, by trace and span: some write their messages there."""
    for batch in (mapping(one) for key in _LOGS for one in items(mapping(value).get(key))):
        for scope in (mapping(one) for key in _LOG_SCOPES for one in items(batch.get(key))):
            for record in (mapping(one) for key in _LOG_RECORDS for one in items(scope.get(key))):
                trace_id, span_id = _id(_either(record, "traceId")), _id(_either(record, "spanId"))
                if trace_id and span_id:
                    yield (trace_id, span_id), _note(record)


def _note(record: Mapping[str, Json]) -> SpanEvent:
    attributes = _attributes(record.get("attributes"))
    body = _value(mapping(record.get("body")))
    said = parsed_or_none(body) if isinstance(body, str) else body
    times = (_nanoseconds(_either(record, key)) for key in ("timeUnixNano", "observedTimeUnixNano"))
    name = text_or_none(_either(record, "eventName")) or text_or_none(attributes.get("event.name"))
    return SpanEvent(name=name or "", at=next((at for at in times if at), 0),
                     attributes={**attributes, **mapping(said)})  # fmt: skip


def _of_batch(batch: Mapping[str, Json]) -> Iterator[Span]:
    resource = _attributes(mapping(batch.get("resource")).get("attributes"))
    for key in _SCOPES:
        for scope in items(batch.get(key)):
            for span in items(mapping(scope).get("spans")):
                if (read := _otlp(mapping(span), resource)) is not None:
                    yield read


def _otlp(span: Mapping[str, Json], resource: Mapping[str, Json]) -> Span | None:
    trace_id, span_id = _id(_either(span, "traceId")), _id(_either(span, "spanId"))
    if trace_id is None or span_id is None:
        return None
    status = mapping(span.get("status"))
    start = _nanoseconds(_either(span, "startTimeUnixNano"))
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=_id(_either(span, "parentSpanId")),
        name=text_or_none(span.get("name")) or "",
        start=start,
        end=max(start, _nanoseconds(_either(span, "endTimeUnixNano"))),
        attributes=_attributes(span.get("attributes")),
        events=tuple(_otlp_event(mapping(event)) for event in items(span.get("events"))),
        status=_status(status.get("code")),
        message=text_or_none(status.get("message")),
        resource=resource,
    )


def _otlp_event(event: Mapping[str, Json]) -> SpanEvent:
    return SpanEvent(
        name=text_or_none(event.get("name")) or "",
        at=_nanoseconds(_either(event, "timeUnixNano")),
        attributes=_attributes(event.get("attributes")),
    )


def _either(record: Mapping[str, Json], name: str) -> Json:
    """Return a field under its JSON name or under the one it has in the protocol's definition."""
    if name in record:
        return record[name]
    return record.get(re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name))


def _attributes(pairs: Json) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in mapping(pairs).items():  # of tools that write them plainly
        _flatten(found, name, value)
    for pair in items(pairs):
        if isinstance(pair, dict) and (key := text_or_none(pair.get("key"))):
            found[key] = _value(mapping(pair.get("value")))
    return found


def _value(value: Mapping[str, Json]) -> Json:
    """Return what one of the protocol's values is."""
    for kind, inner in value.items():
        name = kind.replace("_", "").lower()
        if name == "intvalue":
            return int(inner) if isinstance(inner, str) and re.fullmatch("-?[0-9]{1,18}", inner) else inner
        if name == "arrayvalue":
            return [_value(mapping(item)) for item in items(mapping(inner).get("values"))]
        if name == "kvlistvalue":
            return _attributes(mapping(inner).get("values"))
        return inner
    return None


def _single(record: Mapping[str, Json]) -> Span | None:
    """Return a span as the console exporter and Phoenix write it: ``context`` holds its ids."""
    context = mapping(record.get("context"))
    trace_id = _id(context.get("trace_id", record.get("context.trace_id")))
    span_id = _id(context.get("span_id", record.get("context.span_id")))
    if trace_id is None or span_id is None:
        return None
    status = mapping(record.get("status"))
    start = _moment(record.get("start_time"))
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=_id(record.get("parent_id")),
        name=text_or_none(record.get("name")) or "",
        start=start,
        end=max(start, _moment(record.get("end_time"))),
        attributes=_flat(record),
        events=tuple(
            SpanEvent(
                name=text_or_none(event.get("name")) or "",
                at=_moment(event.get("timestamp")),
                attributes=mapping(event.get("attributes")),
            )
            for event in items(record.get("events"))
            if isinstance(event, dict)
        ),
        status=_status(status.get("status_code", record.get("status_code"))),
        message=text_or_none(status.get("description")) or text_or_none(record.get("status_message")),
        resource=mapping(mapping(record.get("resource")).get("attributes")),
    )


def _flat(record: Mapping[str, Json]) -> dict[str, Json]:
    """Return a span's attributes by dotted names: Phoenix also nests them, or makes each a column."""
    found: dict[str, Json] = {}
    prefix = "attributes."
    for key, value in record.items():
        if key.startswith(prefix) and value is not None:
            _flatten(found, key.removeprefix(prefix), value)
    for key, value in mapping(record.get("attributes")).items():
        _flatten(found, key, value)
    kind = text_or_none(record.get("span_kind"))
    if kind and not kind.startswith("SpanKind"):
        found.setdefault("openinference.span.kind", kind)
    return found


def _flatten(found: dict[str, Json], name: str, value: Json) -> None:
    ahead = [(name, value)]
    while ahead:
        key, inner = ahead.pop()
        if isinstance(inner, dict):
            ahead += [(f"{key}.{part}", item) for part, item in reversed(inner.items())]
        elif isinstance(inner, list) and key.startswith("llm.") and any(isinstance(i, dict) for i in inner):
            ahead += [(f"{key}.{index}", item) for index, item in reversed(list(enumerate(inner)))]
        elif inner is not None:
            found[key] = inner


def _status(code: Json) -> Status:
    return _STATUSES.get(code, "unset") if isinstance(code, (int, str)) else "unset"


def _id(value: Json) -> str | None:
    """Return an id in hexadecimal; the protocol's own JSON writers give it in base64."""
    text = (text_or_none(value) or "").removeprefix("0x")
    if not text or not text.strip("0"):
        return None
    if not _HEX.fullmatch(text):
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return text
        return raw.hex() if len(raw) in _ID_BYTES else text
    return text.lower()


def _nanoseconds(value: Json) -> int:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _LATEST else 0


def _moment(value: Json) -> int:
    """Return a time as text, or as milliseconds as pandas writes it, in nanoseconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value * 1_000_000) if 0 < value * 1_000_000 < _LATEST else 0
    text = _FRACTION.sub(lambda found: "." + found[1][:_MICROSECOND_DIGITS], text_or_none(value) or "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    whole = since.days * 86_400 + since.seconds
    return max(0, whole * _SECOND + since.microseconds * 1000)
