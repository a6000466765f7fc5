"""``ingest``: read agent logs into the file, each run in its own transaction, secrets taken out first."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.runs import outcome_named
from skillsmith.cli.session import Session, command
from skillsmith.db import is_locked
from skillsmith.errors import ExitCode, NotFoundError, StorageError
from skillsmith.models import FileSnapshot, Json, Outcome, Problem, RunRecord
from skillsmith.output import Column, Output
from skillsmith.presentation.documents import counted, problem_document
from skillsmith.presentation.text import OUTCOME_STYLES, number, plural, short_id

if TYPE_CHECKING:
    from skillsmith.runs import Ingested, RunRepository

SHOWN_RUNS = 20
PATIENCE_SECONDS = 120.0
"""How long one run waits for other processes that are writing."""

INGEST_COLUMNS = (
    Column(key="id", title="run", show=short_id, width=18, style="cyan"),
    Column(key="source", title="source", width=16, spare=True),
    Column(key="outcome", title="outcome", style=lambda value: OUTCOME_STYLES.get(value, "")),
    Column(key="new", title="", show=lambda value: "new" if value else "known"),
    Column(key="events", title="events added", show=lambda kinds: number(sum(kinds.values())), right=True),
    Column(key="task", title="task", width=80, grow=True),
)


@dataclass(slots=True)
class _Report:
    """What became of everything that was read."""

    runs: list[dict[str, Json]] = field(default_factory=list)
    skipped: list[Problem] = field(default_factory=list)
    ignored: int = 0
    events: int = 0

    def document(self) -> dict[str, Json]:
        return {
            "runs": self.runs,
            "skipped": [problem_document(problem) for problem in self.skipped],
            "ignored": self.ignored,
        }


@command("skillsmith ingest ~/.claude/projects", "skillsmith ingest runs.json.gz --format openai-chat --json")
def ingest(
    session: Session,
    *,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Log files and folders; .gz too.")],
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="F", help="The logs' format; else told from their content."),
    ] = None,
    outcome: Annotated[
        str | None, typer.Option("--outcome", metavar="O", help="Judge all these runs: success or failure.")
    ] = None,
    no_redact: Annotated[
        bool, typer.Option("--no-redact", help="Keep keys, tokens and passwords as they stand in the logs.")
    ] = False,
) -> ExitCode:
    """Read agent logs into the file; reading them again adds only what is new.

    What cannot be read is named on stderr, a line each; everything else is imported, and the exit code is 1.
    """
    judgement = outcome_named(outcome) if outcome is not None else None
    report = _Report()
    present = _present(session.out, paths, report)
    with session.open(create=True) as workspace, session.out.progress("reading runs") as step:
        for path, value in _values(present, format_):
            if isinstance(value, Problem):
                _note_problem(session.out, report, value)
                continue
            record = value if no_redact else without_secrets(value)
            done = _store(workspace.runs, record, original=value, path=path, outcome=judgement)
            report.runs.append(_ingested_document(done))
            report.events += sum(done.added.values())
            step(1, f"{report.events:,} events")
    session.out.document(report.document(), lambda: _show(session.out, report))
    return ExitCode.FAILED if report.skipped else ExitCode.OK


def _present(out: Output, paths: Sequence[Path], report: _Report) -> list[Path]:
    """Return the paths that exist; the others are reported, unless there is nothing else."""
    present = [path for path in paths if path.exists()]
    missing = [path for path in paths if path not in present]
    if not present:
        raise NotFoundError(f"there is no file or folder {str(missing[0])!r}", hint="check the path")
    for path in missing:
        _note_problem(out, report, Problem(path=str(path), reason="no such file or folder"))
    return present


def _values(paths: Sequence[Path], format_: str | None) -> Iterator[tuple[str, RunRecord | Problem]]:
    from skillsmith.capture.importers.reading import read_paths  # noqa: PLC0415  (80 ms; only to ingest)

    for item in read_paths(paths, format=format_):
        yield item.path, item.value


def _note_problem(out: Output, report: _Report, problem: Problem) -> None:
    from skillsmith.capture.importers.reading import NOT_A_LOG  # noqa: PLC0415  (loaded already)

    if problem.reason == NOT_A_LOG:
        report.ignored += 1
        return
    report.skipped.append(problem)
    place = problem.path if problem.line is None else f"{problem.path}:{problem.line}"
    out.warn(f"skipped {place}: {problem.reason}")


def without_secrets(record: RunRecord) -> RunRecord:
    """Return the run with each secret in its task, events, facts and text files replaced."""
    from skillsmith.capture.redact import redact_event, redact_json, redact_text  # noqa: PLC0415  (to ingest)

    return replace(
        record,
        task=redact_text(record.task),
        outcome_reason=record.outcome_reason and redact_text(record.outcome_reason),
        metadata=redact_json(record.metadata),
        events=tuple(map(redact_event, record.events)),
        files=tuple(map(_file_without_secrets, record.files)),
    )


def _file_without_secrets(snapshot: FileSnapshot) -> FileSnapshot:
    from skillsmith.capture.redact import redact_text  # noqa: PLC0415  (loaded already)

    try:
        text = snapshot.content.decode()
    except UnicodeDecodeError:
        return snapshot
    clean = redact_text(text)
    return snapshot if clean is text else replace(snapshot, content=clean.encode())


def _store(
    runs: RunRepository, record: RunRecord, *, original: RunRecord, path: str, outcome: Outcome | None
) -> Ingested:
    """Store a run; another process's long transaction is waited for beyond the driver's own patience."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return runs.ingest(record, path=path, outcome=outcome, original=original)
        except StorageError as error:
            if not is_locked(error) or time.monotonic() > give_up:
                raise


def _ingested_document(done: Ingested) -> dict[str, Json]:
    return {
        "id": done.run.id,
        "source": done.run.source,
        "task": done.run.task,
        "outcome": done.run.outcome,
        "new": done.new,
        "events": counted(done.added),
    }


def _show(out: Output, report: _Report) -> None:
    out.table(INGEST_COLUMNS, report.runs[:SHOWN_RUNS])
    if len(report.runs) > SHOWN_RUNS:
        out.line(f"… and {plural(len(report.runs) - SHOWN_RUNS, 'more run')} (`skillsmith runs` lists them)")
    new = sum(bool(run["new"]) for run in report.runs)
    parts = [
        f"{plural(len(report.runs), 'run')} read, {new:,} new",
        f"{plural(report.events, 'event')} added",
    ]
    outcomes: Mapping[str, int] = Counter(run["outcome"] for run in report.runs)
    parts += [f"{count:,} {name}" for name, count in counted(outcomes).items()]
    if report.skipped:
        parts.append(f"{len(report.skipped):,} skipped")
    if report.ignored:
        parts.append(f"{plural(report.ignored, 'file')} in folders not known as logs")
    out.line("; ".join(parts))
