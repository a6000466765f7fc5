"""``export-run``: write one run in a format that other programs read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillsmith.cli.runs import RunArgument
from skillsmith.cli.session import Session, command
from skillsmith.errors import StorageError, UsageError
from skillsmith.models import Json
from skillsmith.output import to_json
from skillsmith.presentation.documents import event_document, run_document
from skillsmith.presentation.text import short_id

if TYPE_CHECKING:
    from skillsmith.models import Event, Run

FORMATS = ("otel", "json")
_TEXTS = ("task", "outcome_reason", "note")


@command(
    "skillsmith export-run 019ab3 -o trace.json",
    "skillsmith export-run 019ab3 --format json",
)
def export_run(
    session: Session,
    *,
    run: RunArgument,
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="F", help="otel: OTLP JSON for trace viewers; json: our own fields."
        ),
    ] = "otel",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="File to write; else stdout.", show_default=False
        ),
    ] = None,
    no_redact: Annotated[
        bool, typer.Option("--no-redact", help="Keep keys, tokens and passwords that the run still holds.")
    ] = False,
) -> None:
    """Write a run as one OpenTelemetry trace, or as plain JSON: the same run gives the same bytes.

    Trace viewers (Jaeger, Phoenix, Langfuse, Grafana …) take the trace as OTLP over HTTP or from the
    collector's file receiver; `skillsmith ingest` reads it back.
    """
    if format_ not in FORMATS:
        raise UsageError(f"there is no export format {format_!r}", hint=f"use {' or '.join(FORMATS)}")
    out = session.out
    with session.open() as workspace, out.progress("reading the run"):
        found = workspace.runs.get(run)
        events = workspace.runs.events(found.id)
        document = _document(*((found, events) if no_redact else _without_secrets(found, events)), format_)
        if not no_redact:
            _refuse_secrets(found, document)
    if output is None:
        out.document(document, lambda: out.line(to_json(document)))
        return
    _write(output, document)
    report = {"run": found.id, "format": format_, "written": str(output), "events": found.events}
    out.document(report, lambda: out.line(f"wrote run {short_id(found.id)} to {output}"))


def _document(run: Run, events: Iterable[Event], format_: str) -> dict[str, Json]:
    if format_ == "json":
        return {"run": run_document(run), "events": [event_document(event) for event in events]}
    from skillsmith.capture.exporters.otel import otlp_document  # noqa: PLC0415  (only to export)

    return otlp_document(run, events)


def _without_secrets(run: Run, events: Iterable[Event]) -> tuple[Run, Iterator[Event]]:
    from skillsmith.capture.redact import redact_event, redact_text  # noqa: PLC0415  (only to export)

    told: dict[str, Any] = {name: redact_text(text) for name in _TEXTS if (text := getattr(run, name))}
    return replace(run, **told), map(redact_event, events)


def _refuse_secrets(run: Run, document: dict[str, Json]) -> None:
    from skillsmith.leaks import refuse  # noqa: PLC0415  (only to export)

    refuse(document, subject=f"run {short_id(run.id)}", hint="look at it; --no-redact writes it as it is")


def _write(path: Path, document: dict[str, Json]) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(to_json(document) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{path}: {error.strerror}", hint="choose another place") from error
