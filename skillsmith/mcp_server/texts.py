"""What the server says in words: errors with hints that a client can follow, skills and runs to read."""

from __future__ import annotations

import io
import re
from itertools import islice

from skillsmith.errors import MissingInputError, NearDuplicateError, SecretFoundError, SkillsmithError
from skillsmith.mcp_server.settings import refuse_quarantined
from skillsmith.models import Run
from skillsmith.output import Output
from skillsmith.presentation.documents import event_document, run_document
from skillsmith.presentation.events import show_events
from skillsmith.presentation.show import show_skill
from skillsmith.presentation.skills import skill_document
from skillsmith.workspace import Workspace

TIMELINE_EVENTS = 200
"""Of one run on one page, or fewer when they fill it."""

PAGE_CHARS = 100_000
"""From which on a page is full."""

_SETTING = re.compile(r"--set (\w+)=('[^']*'|\S+)")


def error_line(error: SkillsmithError) -> str:
    """Return an error in one line, its hint in a client's terms: inputs are no options there."""
    hint = hint_for_clients(error)
    return " ".join(f"{error.message}; {hint}".split()) if hint else " ".join(error.message.split())


def hint_for_clients(error: SkillsmithError) -> str:
    """Return what a client can do about an error."""
    if isinstance(error, MissingInputError):
        return f"give {', '.join(error.names)} in the inputs"
    if isinstance(error, NearDuplicateError):
        return "use that one"
    if isinstance(error, SecretFoundError):
        return "its user can see to it with `skillsmith extract`"
    return _SETTING.sub(r"\1 = \2 in the inputs", error.hint)


def skill_text(workspace: Workspace, ref: str) -> str:
    """Return a skill as `skillsmith show` prints it.

    Raises:
        NotFoundError: There is no such skill.
        UntrustedError: It is in quarantine.
    """
    skill = workspace.skills.get(ref)
    refuse_quarantined(skill)
    out, page = _page()
    show_skill(out, skill, skill_document(workspace, skill))
    text = page.getvalue()
    if len(text) <= PAGE_CHARS:
        return text
    return f"{text[:PAGE_CHARS]}\n… cut; its files under skill://{skill.name}/ hold all of it\n"


def run_text(workspace: Workspace, run_id: str, *, after: int = 0) -> str:
    """Return a page of a run's timeline, with what the run was.

    Args:
        workspace: The open file.
        run_id: Its id, or a unique beginning.
        after: Number of the last event already seen.

    Raises:
        NotFoundError: There is no such run.
        UsageError: The beginning fits several.
    """
    run = workspace.runs.get(run_id)
    found = list(
        islice(workspace.runs.events(run.id, after=after, window=TIMELINE_EVENTS + 1), TIMELINE_EVENTS + 1)
    )
    out, page = _page()
    out.fields(_facts(run))
    out.line()
    last = after
    for event in found[:TIMELINE_EVENTS]:
        if page.tell() > PAGE_CHARS:
            break
        show_events(out, [event_document(event)], full=False)
        last = event.seq
    if found and found[-1].seq > last:
        out.line(f"more events follow: read skillsmith://runs/{run.id}?after={last}")
    return page.getvalue()


def _facts(run: Run) -> list[tuple[str, str]]:
    keys = ("id", "task", "source", "status", "outcome", "outcome_reason", "started_at", "note")
    document = run_document(run)
    return [(key, str(document[key])) for key in keys if document[key] is not None]


def _page() -> tuple[Output, io.StringIO]:
    page = io.StringIO()
    return Output(stdout=page, stderr=page), page
