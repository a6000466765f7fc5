"""``artifacts``: the files of a run, version by version, with their diffs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Annotated

import typer

from skillsmith.cli.documents import file_document
from skillsmith.cli.runs import RunArgument
from skillsmith.cli.session import DEFAULT_LIMIT, AfterOption, LimitOption, Session, command
from skillsmith.cli.text import size, when
from skillsmith.errors import UsageError
from skillsmith.models import FileVersion, Json
from skillsmith.output import Column, Output
from skillsmith.workspace import Workspace

FILE_COLUMNS = (
    Column(key="path", title="path", width=60, style="cyan"),
    Column(key="version", title="version", right=True),
    Column(key="size", title="size", show=size, right=True),
    Column(key="agent", title="agent", show=lambda value: value or "(before the run)"),
    Column(key="at", title="at", show=when, style="dim", spare=True),
    Column(key="superseded_by", title="superseded by"),
    Column(
        key="digest", title="digest", show=lambda value: str(value)[:12], width=12, style="dim", spare=True
    ),
)


@command("skillsmith artifacts 019ab3", "skillsmith artifacts 019ab3 analysis/plot.py")
def artifacts(
    session: Session,
    *,
    run: RunArgument,
    path: Annotated[
        str | None,
        typer.Argument(metavar="PATH", help="One file: its history and diffs.", show_default=False),
    ] = None,
    limit: LimitOption = DEFAULT_LIMIT,
    after: AfterOption = None,
) -> None:
    """List a run's files and their versions; with PATH, what each version changed."""
    with session.open() as workspace:
        key = workspace.runs.key(run)
        found: Iterator[dict[str, Json]]
        if path is None:
            found = map(_listed, workspace.files.versions(key))
        else:
            found = _history(workspace, workspace.files.history(key, path))
        session.out.items(
            _after(found, after), limit=limit, cursor="cursor", empty="the run has no files",
            show=lambda page: _show(session.out, page, diffs=path is not None),
        )  # fmt: skip


def _listed(version: FileVersion) -> dict[str, Json]:
    return {**file_document(version), "cursor": _cursor(version)}


def _cursor(version: FileVersion) -> str:
    return f"{version.path}@{version.version}"


def _after(items: Iterator[dict[str, Json]], cursor: str | None) -> Iterator[dict[str, Json]]:
    if cursor is not None and not any(item["cursor"] == cursor for item in items):
        raise UsageError(f"--after {cursor!r} is not on this list", hint="take `next` of the page before")
    return items


def _history(workspace: Workspace, versions: Sequence[FileVersion]) -> Iterator[dict[str, Json]]:
    before: str | None = ""
    for version in versions:
        now = _text(workspace.files.content(version))
        diff = None
        if before is not None and now is not None:
            diff = "".join(
                unified_diff(
                    before.splitlines(keepends=True), now.splitlines(keepends=True),
                    f"{version.path}@{version.version - 1}", _cursor(version),
                )
            )  # fmt: skip
        yield {**_listed(version), "diff": diff}
        before = now


def _text(content: bytes | None) -> str | None:
    """Return a file's text, or None for what is not text or was not kept."""
    if content is None or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _show(out: Output, page: Sequence[Mapping[str, Json]], *, diffs: bool) -> None:
    out.table(FILE_COLUMNS, page)
    if not diffs:
        return
    for item in page:
        out.line()
        if item["diff"] is None:
            out.line(f"{item['cursor']}: not text, or too large to keep")
        else:
            out.code(item["diff"], language="diff")
