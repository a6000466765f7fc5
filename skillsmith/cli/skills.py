"""Commands on the library: ``list``, ``show``, ``delete``."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from skillsmith.cli.session import (
    DEFAULT_LIMIT,
    AfterOption,
    LimitOption,
    Session,
    YesOption,
    command,
)
from skillsmith.errors import UsageError
from skillsmith.models import SkillState
from skillsmith.output import Column
from skillsmith.presentation.documents import summary_document
from skillsmith.presentation.skills import skill_document
from skillsmith.presentation.text import STATE_STYLES, joined, number, share, split_list, when

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A skill: NAME or NAME@VERSION.")]

SORTS = ("name", "success_rate", "last_used", "created")

SKILL_COLUMNS = (
    Column(key="name", title="skill", style="cyan", width=50),
    Column(key="version", title="v", right=True),
    Column(key="state", title="state", style=lambda state: STATE_STYLES.get(state, "")),
    Column(key="executions", title="used", show=number, right=True),
    Column(key="success_rate", title="success", show=share, right=True),
    Column(key="last_used_at", title="last used", show=when, style="dim", spare=True),
    Column(key="tags", title="tags", show=joined, width=30, spare=True),
    Column(key="description", title="description", width=80, grow=True),
)


@command("skillsmith list", "skillsmith list --tags airline --sort success_rate --json")
def list_skills(
    session: Session,
    *,
    tags: Annotated[
        str | None, typer.Option("--tags", metavar="A,B", help="Only with all these tags.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="S", help="Only draft, proven, trusted, quarantined or retired."),
    ] = None,
    sort: Annotated[str, typer.Option("--sort", metavar="KEY", help=f"One of {', '.join(SORTS)}.")] = "name",
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only with these words.")
    ] = None,
    limit: LimitOption = DEFAULT_LIMIT,
    after: AfterOption = None,
) -> None:
    """List the skills."""
    if state is not None and state not in get_args(SkillState):
        raise UsageError(f"there is no state {state!r}", hint=f"use one of {joined(get_args(SkillState))}")
    with session.open() as workspace:
        found = workspace.skills.list(
            tags=split_list(tags), state=state, search=search, sort=sort, after=after,
            window=(limit or DEFAULT_LIMIT) + 1,
        )  # fmt: skip
        session.out.items(
            map(summary_document, found), limit=limit, cursor="name",
            show=lambda page: session.out.table(SKILL_COLUMNS, page),
            empty="no skills" if tags or state or search
            else "no skills yet: `skillsmith extract RUN --name NAME` makes one of a run",
        )  # fmt: skip


@command("skillsmith show refund_booking", "skillsmith show refund_booking@2 --why")
def show(
    session: Session,
    *,
    name: NameArgument,
    why: Annotated[
        bool, typer.Option("--why", help="The source of every variable, edge, constant and omission.")
    ] = False,
) -> None:
    """Show one skill whole: inputs, steps, templates, proof, ledger."""
    from skillsmith.presentation.show import show_reasons, show_skill  # noqa: PLC0415  (only this command draws skills)

    out = session.out
    with session.open() as workspace:
        skill = workspace.skills.get(name)
        document = skill_document(workspace, skill)
    out.document(document, lambda: show_reasons(out, skill.why) if why else show_skill(out, skill, document))


@command("skillsmith delete refund_booking", "skillsmith delete refund_booking@1 --yes")
def delete(session: Session, *, name: NameArgument, yes: YesOption = False) -> None:
    """Remove a skill, or one version of it; its executions stay in the history."""
    with session.open() as workspace:
        skill = workspace.skills.get(name)
        what = name if "@" in name else f"{skill.name} with all its versions"
        session.confirm(f"delete {what}?", yes=yes)
        deleted = workspace.skills.delete(name)
    session.out.document({"deleted": list(deleted)}, lambda: session.out.line(f"deleted {joined(deleted)}"))
