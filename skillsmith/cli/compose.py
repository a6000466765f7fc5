"""``compose``: a new skill from others, with its wiring and its proof; or which skills could be composed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from skillsmith.cli.session import Session, command
from skillsmith.errors import ExitCode, UsageError
from skillsmith.models import Json, Variable, VariableType
from skillsmith.output import Output
from skillsmith.presentation.show import show_inputs, show_steps
from skillsmith.presentation.skills import composition_document
from skillsmith.presentation.text import plural, split_list

if TYPE_CHECKING:
    from skillsmith.library.composer import Composition

SkillsOption = Annotated[
    str | None,
    typer.Option(
        "--skills", metavar="A,B,C", help="The parts in their order: NAME, NAME@VERSION or LABEL=NAME."
    ),
]
PatternOption = Annotated[
    str,
    typer.Option("--pattern", metavar="P", help="sequential, parallel or conditional."),
]
NameOption = Annotated[str | None, typer.Option("--name", metavar="N", help="The new skill's name.")]
WhenOption = Annotated[
    list[str] | None,
    typer.Option(
        "--when", metavar="EXPR", help='The condition of a branch, e.g. "amount > 100"; may be repeated.'
    ),
]  # fmt: skip
WireOption = Annotated[
    list[str] | None,
    typer.Option(
        "--wire", metavar="W", help="By hand: b.input=a.output, b.input=NAME for an input; may be repeated."
    ),
]
InputOption = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="I", help="A further input, for conditions: NAME:TYPE=VALUE."),
]  # fmt: skip
_INPUT = re.compile(r"(?P<name>\w+)(?::(?P<type>\w+))?(?:=(?P<default>.*))?", re.DOTALL)


@command(
    "skillsmith compose --skills load_data,clean_data,plot --pattern sequential --name data_pipeline",
    "skillsmith compose --skills find_order,cancel,refund --pattern conditional "
    "--when \"find_order.status == 'pending'\" --name end_order",
    "skillsmith compose --skills load,plot --wire plot.data=load.rows --name load_and_plot",
    'skillsmith compose --for "load data.csv, then plot the spectrum"',
)
def compose(
    session: Session,
    *,
    skills: SkillsOption = None,
    pattern: PatternOption = "sequential",
    name: NameOption = None,
    when: WhenOption = None,
    wires: WireOption = None,
    inputs: InputOption = None,
    tags: Annotated[str | None, typer.Option("--tags", metavar="A,B", help="Instead of the parts'.")] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="T", help="Instead of the parts'.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Mark it as meant for sharing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Keep it although the library has one like it.")
    ] = False,
    replay: Annotated[
        bool, typer.Option("--replay/--no-replay", help="Run it for the proof, when all of it is code.")
    ] = True,
    allow_secrets: Annotated[
        bool, typer.Option("--allow-secrets", help="Keep it although something in it looks like a secret.")
    ] = False,
    task: Annotated[
        str | None,
        typer.Option("--for", metavar="TASK", help="Make nothing: find skills that together do it."),
    ] = None,
) -> ExitCode | None:
    """Make a new skill of others: one after the other, side by side, or one of several under a condition.

    Each input is wired to what an earlier part gives, by name, then by type and words; the wiring is shown
    with its reasons. What cannot be composed is refused with all that is wrong, before anything runs.
    """
    if task is not None:
        return _find(session, task)
    parts = split_list(skills)
    if not parts:
        raise UsageError("no skills are named", hint="name them in their order: --skills load,clean,plot")
    with session.open() as workspace, session.out.progress("composing"):
        composition = workspace.composer.compose(
            parts, pattern=pattern, name=name, when=when or (), wires=wires or (),
            inputs=[_input(text) for text in inputs or ()], tags=split_list(tags),
            description=description or "", public=public, force=force, replay=replay,
            allow_secrets=allow_secrets,
        )  # fmt: skip
        document = composition_document(composition)
    session.out.document(document, lambda: _show(session.out, composition, document))
    return None


def _input(text: str) -> Variable:
    """Read a declared input: ``mode:string=fast``."""
    from skillsmith.library.program.inputs import accept  # noqa: PLC0415  (only here)

    kinds: dict[str, VariableType] = {kind: kind for kind in get_args(VariableType) if kind != "enum"}
    found = _INPUT.fullmatch(text.strip())
    kind = kinds.get(found["type"] or "string") if found else None
    if found is None or kind is None or not found["name"].isidentifier():
        raise UsageError(f"--input {text}: it is not NAME:TYPE=VALUE", hint=f"types: {', '.join(kinds)}")
    plain = Variable(name=found["name"], type=kind, required=found["default"] is None)
    if plain.required:
        return plain
    return Variable(name=plain.name, type=kind, default=accept(found["default"], plain))


def _show(out: Output, composition: Composition, document: dict[str, Json]) -> None:
    skill = composition.skill
    out.line(f"{skill.name}@{skill.version}  {skill.state}", style="bold")
    for one in skill.proofs:
        verdict = "passed" if one.passed else "failed"
        out.line(f"proof: {one.level} {verdict}, {plural(one.compared, 'thing')} compared")
    for problem in composition.problems:
        out.line(f"  {problem}", style="red")
    show_inputs(out, skill.variables)
    show_steps(out, skill, code=False)
    out.line("wiring:")
    for wire in document["wiring"]:
        out.line(f"  {wire['to']} ← {wire['from']}  ({wire['rule']}: {wire['reason']})")
    for duplicate in document["duplicates"]:
        out.line(f"also in the library: {duplicate['name']}@{duplicate['version']}", style="yellow")


def _find(session: Session, task: str) -> ExitCode:
    """Print the chains of skills that together do a task."""
    with session.open() as workspace:
        chains = workspace.composer.find_composable_skills(task)
    items = [chain.document() for chain in chains]
    session.out.document({"items": items, "next": None}, lambda: _show_chains(session.out, items))
    return ExitCode.OK if items else ExitCode.NO_MATCH


def _show_chains(out: Output, chains: Sequence[dict[str, Json]]) -> None:
    if not chains:
        out.note(
            "no skills of the library do this together; `skillsmith match` says whether one does it alone"
        )
    for chain in chains:
        out.line(f"{' → '.join(chain['skills'])}  {chain['confidence']:.2f}", style="bold")
        for link in chain["links"]:
            out.line(f"  {link['skill']}@{link['version']}  {link['confidence']:.2f}  “{link['clause']}”")
        for clause in chain["uncovered"]:
            out.line(f"  nothing does “{clause}”", style="yellow")
        out.line(f"  {chain['command']}", style="dim")
