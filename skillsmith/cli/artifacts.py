"""``artifacts``: the files of a run, version by version, with their diffs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Annotated

import typer

from skillsmith.cli.runs import RunArgument
from skillsmith.cli.session import DEFAULT_LIMIT, AfterOption, LimitOption, Session, command
from skillsmith.errors import UsageError
from skillsmith.models import FileVersion, Json
from skillsmith.output import Column, Output
from skillsmith.presentation.documents import file_document
from skillsmith.presentation.text import file_text, size, when
from skillsmith.workspace import Workspace

FILE_COLUMNS = (
    Column(key="path", title="path", width=60, style="cyan"),
    Column(key="version", title="version", right=True),
    Column(key="size", title="size", show=size, right=True),
    Column(key="agent", title="agent", show=lambda value: value or "(before the run)"),
    Column(key="at", title="at", show=when, style="dim", spare=True),
    Column(key="superseded_by", title="superseded by"),
    Column(key="deleted", title="deleted", show=lambda value: "deleted" if value else "", style="dim"),
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
    """List a run's files and their versions; with PATH, what each version changed.

    A file that took another one's place (plot_v1.py, plot_v2.py; a renamed file) is compared with that one.
    Contents are stored without secrets; digests and sizes are those of what is stored.
    """
    with session.open() as workspace:
        key = workspace.runs.key(run)
        every = workspace.files.versions(key)
        found = every if path is None else workspace.files.history(key, path)
        gone = _gone(workspace, run)
        listed: Iterator[dict[str, Json]] = (_listed(version, gone) for version in found)
        if path is not None:
            listed = _with_diffs(workspace, listed, found, every)
        session.out.items(
            _after(listed, after), limit=limit, cursor="cursor", empty="the run has no files",
            show=lambda page: _show(session.out, page, diffs=path is not None),
        )  # fmt: skip


def _gone(workspace: Workspace, run: str) -> set[str]:
    """Return the paths of files that were not there any more when the run ended."""
    gone: set[str] = set()
    for event in workspace.runs.events(run, kind="artifact"):
        data = event.data or {}
        if data.get("change") == "deleted":
            gone.add(event.content or "")
        else:
            gone.discard(event.content or "")
    return gone


def _listed(version: FileVersion, gone: set[str]) -> dict[str, Json]:
    deleted = version.path in gone and version.superseded_by is None
    return {**file_document(version), "deleted": deleted, "cursor": _cursor(version)}


def _cursor(version: FileVersion) -> str:
    return f"{version.path}@{version.version}"


def _after(items: Iterator[dict[str, Json]], cursor: str | None) -> Iterator[dict[str, Json]]:
    if cursor is not None and not any(item["cursor"] == cursor for item in items):
        raise UsageError(f"--after {cursor!r} is not on this list", hint="take `next` of the page before")
    return items


def _with_diffs(
    workspace: Workspace,
    listed: Iterable[dict[str, Json]],
    versions: Sequence[FileVersion],
    every: Sequence[FileVersion],
) -> Iterator[dict[str, Json]]:
    """Add to each version what it changed of the one before: of its own file, or of the file it replaced."""
    replaced: dict[str | None, FileVersion] = {}
    for version in every:
        if (
            version.superseded_by not in replaced
            or f"{version.path}@{version.version + 1}" == version.superseded_by
        ):
            replaced[version.superseded_by] = version
    for item, version in zip(listed, versions, strict=True):
        before = replaced.get(_cursor(version))
        previous = None if before is None else _cursor(before)
        yield {**item, "previous": previous, "diff": _diff(workspace, before, version)}


def _diff(workspace: Workspace, before: FileVersion | None, now: FileVersion) -> str | None:
    """Return a unified diff; None where one of the two is not text or was not kept."""
    old = "" if before is None else file_text(workspace.files.content(before))
    new = file_text(workspace.files.content(now))
    if old is None or new is None:
        return None
    name = f"{now.path}@0" if before is None else _cursor(before)
    lines = unified_diff(old.splitlines(), new.splitlines(), name, _cursor(now), lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _show(out: Output, page: Sequence[Mapping[str, Json]], *, diffs: bool) -> None:
    out.table(FILE_COLUMNS, page)
    for item in page if diffs else ():
        out.line()
        if item["diff"]:
            out.code(item["diff"], language="diff")
        elif item["diff"] is None:
            facts = f"{size(item['size'])}, sha256 {item['digest']}"
            out.line(f"{item['cursor']}: not text, or too large to keep: {facts}")
        else:
            out.line(f"{item['cursor']}: the same text as {item['previous'] or 'an empty file'}")
