"""Spans in the forms of other tools: Jaeger's and Zipkin's JSON, and what OpenTelemetry prints in JavaScript.

Each is brought to the form of the protocol's own JSON, so that one reader serves them all.
"""

from __future__ import annotations

from collections.abc import Mapping

from skillsmith.capture.importers.base import items, mapping, number_or_none, text_or_none
from skillsmith.models import Json

_MICROSECOND = 1000  # in nanoseconds
_FAILED = ("true", "1")


def as_protocol(span: Mapping[str, Json]) -> dict[str, Json] | None:
    """Return a span of one of the other forms as OTLP has it, None when it is in none of them."""
    if "operationName" in span and "traceID" in span:
        return _jaeger(span)
    if "traceId" in span and "id" in span and "duration" in span:
        return _timed(span)
    return None


def _jaeger(span: Mapping[str, Json]) -> dict[str, Json]:
    attributes = _tags(span.get("tags"))
    parents = [mapping(one) for one in items(span.get("references"))]
    inside = [one.get("spanID") for one in parents if one.get("refType", "CHILD_OF") == "CHILD_OF"]
    return {
        "traceId": span["traceID"],
        "spanId": span.get("spanID"),
        "parentSpanId": next(iter(inside), span.get("parentSpanID")),
        "name": span["operationName"],
        **_times(span.get("startTime"), span.get("duration")),
        "attributes": attributes,
        "events": [_jaeger_event(mapping(log)) for log in items(span.get("logs"))],
        "status": _status(attributes),
    }


def _jaeger_event(log: Mapping[str, Json]) -> dict[str, Json]:
    fields = _tags(log.get("fields"))
    name = fields.pop("event", None) or fields.pop("name", None)
    return {"name": name, "timeUnixNano": _nanoseconds(log.get("timestamp")), "attributes": fields}


def _tags(listed: Json) -> dict[str, Json]:
    tags = [mapping(tag) for tag in items(listed)]
    return {name: tag.get("value") for tag in tags if (name := text_or_none(tag.get("key")))}


def _timed(span: Mapping[str, Json]) -> dict[str, Json]:
    """Read Zipkin's form and the JavaScript console's: an id, a moment and a duration in microseconds."""
    attributes = mapping(span.get("attributes")) or mapping(span.get("tags"))
    within = mapping(span.get("parentSpanContext")).get("spanId")
    noted = [mapping(one) for one in items(span.get("annotations"))]
    code = mapping(span.get("status")).get("code")
    return {
        "traceId": span["traceId"],
        "spanId": span["id"],
        "parentSpanId": span.get("parentId") or within,
        "name": span.get("name"),
        **_times(span.get("timestamp"), span["duration"]),
        "attributes": attributes,
        "events": items(span.get("events"))
        or [{"name": one.get("value"), "timeUnixNano": _nanoseconds(one.get("timestamp"))} for one in noted],
        "status": {**mapping(span.get("status")), "code": code} if code else _status(attributes),
    }


def _times(start: Json, duration: Json) -> dict[str, Json]:
    begun = _nanoseconds(start)
    return {"startTimeUnixNano": begun, "endTimeUnixNano": begun + _nanoseconds(duration)}


def _nanoseconds(microseconds: Json) -> int:
    number = number_or_none(microseconds)
    return int(number * _MICROSECOND) if number is not None and 0 < number < 2**53 else 0


def _status(attributes: Mapping[str, Json]) -> dict[str, Json]:
    failed = str(attributes.get("error", "")).lower() in _FAILED
    code = "ERROR" if failed else attributes.get("otel.status_code")
    return {"code": code, "message": attributes.get("otel.status_description")}
