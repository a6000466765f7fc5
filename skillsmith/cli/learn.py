"""Runs too long to wait for or to read: ``learn`` while they go on, ``summarize`` at any time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.runs import RunArgument
from skillsmith.cli.session import Session, command
from skillsmith.errors import UsageError
from skillsmith.models import Json
from skillsmith.presentation.documents import event_document, proof_document
from skillsmith.presentation.events import show_events
from skillsmith.presentation.text import money, plural, short_id

if TYPE_CHECKING:
    from skillsmith.library.incremental import Progress
    from skillsmith.library.summarizer import ContextSummarizer, ContextSummary
    from skillsmith.workspace import Workspace

LOOK_SECONDS = 1.0
"""How often a run that is followed is looked at."""


@command("skillsmith learn 019ab3", "skillsmith learn 019ab3 --follow --support 3 --json")
def learn(
    session: Session,
    *,
    run: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the run is over.")] = False,
    support: Annotated[
        int, typer.Option("--support", metavar="N", min=1, help="Steps that must have done the same.")
    ] = 2,
    name: Annotated[
        str | None, typer.Option("--name", metavar="N", help="What drafts are called; else told from them.")
    ] = None,
) -> None:
    """Make draft skills from the completed steps of a run, also while it goes on.

    What at least N steps did alike becomes a draft. Done again, it goes on where it stopped. Once a skill was
    made from the whole run with `extract`, its drafts are retired. With --json and --follow each look that
    found something is one line.
    """
    with session.open() as workspace:
        from skillsmith.library.incremental import IncrementalSkillExtractor  # noqa: PLC0415  (not for help)

        extractor = IncrementalSkillExtractor(workspace.db)
        try:
            while True:
                progress = extractor.advance(run, support=support, name=name)
                _tell(session, progress, line=follow)
                if progress.over or not follow:
                    return
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            session.out.note("stopped; the same command goes on from here")


@command("skillsmith summarize 019ab3", "skillsmith summarize 019ab3 --budget 800 --recent 5 --json")
def summarize(
    session: Session,
    *,
    run: RunArgument,
    budget: Annotated[
        int, typer.Option("--budget", metavar="TOKENS", help="Tokens the summary may have.")
    ] = 2000,
    recent: Annotated[
        int, typer.Option("--recent", metavar="N", min=0, help="So many of the newest events stay whole.")
    ] = 20,
    with_model: Annotated[
        bool, typer.Option("--with-model", help="Have the configured model word it; else no model is asked.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Sum up all of it anew.")] = False,
) -> None:
    """Sum up a run, also one that goes on: what was asked, decided, failed, written, found and measured.

    Each stretch of the run is read once and kept; asking again is cheap. The newest events follow whole.
    """
    with session.open() as workspace, session.out.progress("summing up"):
        found = _summarizer(workspace, with_model=with_model).summarize(
            run, budget=budget, keep_recent=recent, fresh=fresh
        )
    for note in found.notes:
        session.out.note(note)
    document = _document(found)

    def show() -> None:
        session.out.line(found.text or "nothing to sum up yet")
        if document["recent"]:
            session.out.line("\nas they are", style="bold")
            show_events(session.out, document["recent"], full=False)
        if found.cost_usd:
            session.out.note(f"the model took {money(found.cost_usd)}")

    session.out.document(document, show)


def _summarizer(workspace: Workspace, *, with_model: bool) -> ContextSummarizer:
    from skillsmith.library.summarizer import ContextSummarizer  # noqa: PLC0415  (not for help)

    if not with_model:
        return ContextSummarizer(workspace.db)
    from skillsmith.library.agents.model_settings import HOW_TO_CONFIGURE, read_settings  # noqa: PLC0415  (rare)

    settings = read_settings()
    if settings is None:
        raise UsageError("no model is configured", hint=HOW_TO_CONFIGURE)
    return ContextSummarizer(workspace.db, agents=workspace.agents(settings), model=settings.model)


def _document(found: ContextSummary) -> dict[str, Json]:
    return {
        "run_id": found.run_id, "summary": found.text, "tokens": found.tokens, "last_seq": found.last_seq,
        "stretches": found.stretches, "new_stretches": found.new_stretches, "methods": dict(found.methods),
        "left_out": dict(found.left_out), "recent": [event_document(event) for event in found.recent],
        "cost_usd": found.cost_usd, "notes": list(found.notes),
    }  # fmt: skip


def _tell(session: Session, progress: Progress, *, line: bool) -> None:
    """Print what one look at a run found; when it is followed, nothing for nothing."""
    news = progress.steps or progress.superseded or progress.over
    document: dict[str, Json] = {
        "run_id": progress.run_id, "seq": progress.seq, "over": progress.over, "steps": progress.steps,
        "drafts": [
            {
                "skill": skill.name, "version": skill.version, "steps": skill.source_steps,
                "proof": proof_document(next(iter(skill.proofs), None)),
            }
            for skill in progress.drafts
        ],
        "superseded": list(progress.superseded), "notes": list(progress.notes),
    }  # fmt: skip
    if session.out.as_json:
        if line and news:
            session.out.json_line(document)
        elif not line:
            session.out.document(document, lambda: None)
        return
    for skill in progress.drafts:
        session.out.line(
            f"draft {skill.name} from step {skill.source_steps}: {skill.description}", style="green"
        )
    for ref in progress.superseded:
        session.out.line(f"retired draft {ref}: there is a skill of the whole run")
    for note in progress.notes:
        session.out.note(f"no draft: {note}")
    if not line or progress.steps:
        state = "is over" if progress.over else "goes on"
        session.out.line(
            f"run {short_id(progress.run_id)} {state}: {plural(progress.steps, 'new step')} up to event"
            f" {progress.seq:,}, {plural(len(progress.drafts), 'draft')}"
        )
        session.out.flush()
