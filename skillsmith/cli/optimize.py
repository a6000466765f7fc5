"""``optimize``: what executions suggest for a skill, or for the library, and the next version made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from skillsmith.cli.session import Session, command
from skillsmith.errors import UsageError
from skillsmith.models import Json
from skillsmith.output import Output
from skillsmith.presentation.text import duration, money, share
from skillsmith.teams.means import opened
from skillsmith.teams.model import Model
from skillsmith.workspace import Workspace

if TYPE_CHECKING:
    from skillsmith.library.optimizer import Optimization
    from skillsmith.library.proposing.proposals import Proposal

NameArgument = Annotated[
    str | None, typer.Argument(metavar="NAME", show_default=False, help="The skill; left out: the library.")
]
MinOption = Annotated[
    int, typer.Option("--min-executions", metavar="N", help="Finished executions needed to propose anything.")
]
ApplyOption = Annotated[
    bool, typer.Option("--apply", help="Make the next version of what passes proof and comparison.")
]
ProposalOption = Annotated[
    list[str] | None,
    typer.Option("--proposal", metavar="N|KIND", help="Only this one: its number, kind or KIND:TARGET."),
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="T", help="Kept with the version.")]
ToolsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tools", metavar="MODULE",
        help="Call tools that only read for real when comparing; what writes never is called.",
    ),
]  # fmt: skip
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Instead of $SKILLSMITH_MODEL.")
]
MaxCostOption = Annotated[
    float | None, typer.Option("--max-cost", metavar="USD", help="Stop before a model call beyond this cost.")
]


@command(
    "skillsmith optimize monthly_report",
    "skillsmith optimize monthly_report --apply --reason 'everybody uses 12 months'",
    "skillsmith optimize monthly_report --apply --proposal run_together",
    "skillsmith optimize --json",
)
def optimize(
    session: Session,
    *,
    name: NameArgument = None,
    min_executions: MinOption = 10,
    apply: ApplyOption = False,
    proposal: ProposalOption = None,
    reason: ReasonOption = "",
    tools: ToolsOption = None,
    model: ModelOption = None,
    max_cost: MaxCostOption = None,
) -> None:
    """Propose improvements of a skill from its executions, each with its evidence.

    With --apply, what you choose is put into a new version, which is proven and compared with its parent:
    both do the recorded inputs of past executions for real, in scratch folders; tools that change something
    are answered from the record. It becomes current only with the same results and a gain that is sure.
    What is rejected is not proposed again. Without a name: what all skills, and the library, suggest.
    """
    if name is None:
        _refuse_for_all(apply=apply, proposal=proposal)
        with session.open() as workspace:
            document = _library(workspace, min_executions)
        session.out.document(document, lambda: _show_library(session.out, document))
        return
    with session.open() as workspace, opened(tools) as source:
        asked = Model(workspace, name=model, max_cost=max_cost, max_turns=None)
        optimizer = workspace.optimizing(tools=source, agents=asked.agents)
        made = optimizer.optimize(
            name, apply=apply, min_executions=min_executions, chosen=proposal or (), reason=reason
        )
        if not apply:
            made = replace(made, proposals=_chosen(made, proposal or ()))
    document = made.document()
    session.out.document(document, lambda: _show(session.out, document, apply=apply, least=min_executions))


def _refuse_for_all(*, apply: bool, proposal: Sequence[str] | None) -> None:
    if apply or proposal:
        what = "--apply" if apply else "--proposal"
        raise UsageError(f"{what} is for one skill", hint="name it: skillsmith optimize NAME")


def _chosen(made: Optimization, names: Sequence[str]) -> tuple[Proposal, ...]:
    from skillsmith.library.optimizer import choose  # noqa: PLC0415  (loaded already)

    return tuple(choose(made.proposals, names))


def _library(workspace: Workspace, min_executions: int) -> dict[str, Json]:
    """Return the proposals for all skills, and for the library itself."""
    found: list[Json] = []
    notes: list[Json] = []
    for name in workspace.skills.names():
        analysis = workspace.optimizer.analyze_skill(name, min_executions=min_executions)
        found += [one.document() for one in analysis.proposals]
        notes += [f"{name}: {note}" for note in analysis.notes]
    found += [one.document() for one in workspace.trust.retirements()]
    found += [_consolidation(one.document()) for one in workspace.analytics.consolidation_candidates()]
    return {"proposals": found, "applied": [], "version": None, "verdict": None, "notes": notes}


def _consolidation(pair: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "kind": "consolidate", "target": f"{pair['keep']}, {pair['other']}", "skill": pair["keep"],
        "change": {"kind": pair["kind"], "command": pair["command"]},
        "evidence": {**pair, "text": pair["reason"]}, "expected": {},
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------- showing


def _show_library(out: Output, document: Mapping[str, Json]) -> None:
    if not document["proposals"]:
        out.line("nothing to propose")
    for one in document["proposals"]:
        about = "" if one["kind"] == "retire" else f" {one['target']}"
        out.line(f"{one['skill']}: {one['kind'].replace('_', ' ')}{about}", style="bold")
        _detail(out, one)
    for note in document["notes"]:
        out.note(str(note))


def _show(out: Output, document: Mapping[str, Json], *, apply: bool, least: int) -> None:
    ref, count = f"{document['skill']}@{document['from_version']}", document["executions"]
    if count < least:
        out.line(f"{ref} has {count} finished executions; proposals take {least} (--min-executions)")
    elif not document["proposals"]:
        out.line(f"nothing to propose for {ref}, after {count} executions")
    for place, one in enumerate(document["proposals"], 1):
        out.line(f"{place}  {one['kind'].replace('_', ' ')} {one['target']}", style="bold")
        _detail(out, one)
        if one.get("verdict"):
            out.line(f"   {one['verdict']['decision']}: {one['verdict']['reason']}")
    for note in document["notes"]:
        out.note(str(note))
    if apply and document["proposals"]:
        _show_made(out, document)


def _detail(out: Output, one: Mapping[str, Json]) -> None:
    evidence = one["evidence"]
    low, high = evidence.get("low"), evidence.get("high")
    interval = f" ({share(low)} … {share(high)})" if low is not None and high is not None else ""
    out.line(f"   {evidence['text']}{interval}")
    gains = list(_gains(one["expected"]))
    if gains:
        out.line(f"   expected: {', '.join(gains)}")


def _gains(expected: Mapping[str, Json]) -> Iterator[str]:
    seconds, cost, part = expected.get("seconds"), expected.get("cost_usd"), expected.get("share")
    if seconds:
        yield f"{duration(seconds)} less an execution"
    if cost:
        yield f"{money(cost)} less an execution"
    if part and (seconds or cost):
        yield f"{share(part)} of the mean"
    if expected.get("success"):
        yield f"up to {share(expected['success'])} more successes"
    if expected.get("inputs"):
        yield f"an input less to give in {share(expected['inputs'])}"


def _show_made(out: Output, document: Mapping[str, Json]) -> None:
    verdict = document["verdict"]
    out.line()
    if document["version"] is None:
        out.line(f"no new version: {verdict['reason']}" if verdict else "no new version")
        return
    out.line(f"{document['skill']}@{document['version']} is current now", style="green")
    out.line(f"   {verdict['reason']}, over {verdict['pairs']} recorded inputs")
    for note in verdict["notes"]:
        out.line(f"   {note}")
    out.line(f"   back: skillsmith rollback {document['skill']} --to {document['from_version']}")
