"""From the code blocks of a run to a plan: which are needed, in which order, and what of them is input.

Nothing is guessed without evidence: each block left out, each variable, each file and each constant has a
reason that names where it was seen. The blocks are templates whose defaults render back byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skillsmith.library.code_blocks import CodeBlock, Facts, facts_of
from skillsmith.library.code_drafts import Draft, Drafts
from skillsmith.library.code_effects import nondeterminism
from skillsmith.library.code_naming import fallback_name, without_clash
from skillsmith.library.code_path import installed_packages, is_installation, successful_path
from skillsmith.library.code_paths import KnownFile, known_files, lift_paths, lift_work_dir
from skillsmith.library.code_variables import lift_said
from skillsmith.library.code_words import Words, is_weak
from skillsmith.library.templates import Lift, build_template, choose_names
from skillsmith.models import Constant, FileUse, Reason, Template, Variable, Witness

__all__ = ["BlockPlan", "CodeBlock", "CodePlan", "plan_code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """One block of the plan.

    Args:
        block: As it ran.
        template: Its code with the places of the variables.
        reads: Files it needs.
        writes: Files it makes.
        after: Sequence numbers of the blocks that must be done before.
        optional: It failed in the source run, and what it wrote is needed all the same.
    """

    block: CodeBlock
    template: Template
    reads: tuple[FileUse, ...]
    writes: tuple[FileUse, ...]
    after: tuple[int, ...]
    optional: bool = False

    @property
    def seq(self) -> int:
        """Return the block's sequence number."""
        return self.block.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePlan:
    """What a run's code blocks come down to.

    Args:
        blocks: The successful path, in order.
        left_out: Sequence numbers of the blocks that are not in it.
        variables: The inputs, in order of appearance.
        shares_state: Blocks use names that only earlier ones define: they must run in one process.
        packages: Third-party modules the code imports, and packages the run installed.
        nondeterminism: What the result depends on besides the inputs, a line each.
        reasons: Every decision, with its evidence.
        work_dir_variable: Name of the variable that holds the absolute path of the work folder, if the code
            has it; elsewhere it should be ``.``.
    """

    blocks: tuple[BlockPlan, ...]
    left_out: tuple[int, ...]
    variables: tuple[Variable, ...]
    shares_state: bool
    packages: tuple[str, ...]
    nondeterminism: tuple[str, ...]
    reasons: tuple[Reason, ...]
    work_dir_variable: str | None = None


def plan_code(
    blocks: Sequence[CodeBlock],
    words: Sequence[tuple[int, str, str]],
    *,
    work_dir: str | None = None,
    answers: Sequence[str] = (),
) -> CodePlan:
    """Plan a run's code blocks.

    Args:
        blocks: All code that ran, in order.
        words: What people said, in order: sequence number, "task" or "user", the words.
        work_dir: Absolute path of the folder the code ran in, if known.
        answers: What agents said after the last block.
    """
    facts = facts_of(blocks, work_dir=work_dir)
    path = successful_path(facts, answers)
    said = Words(words)
    files = known_files(path.blocks)
    drafts = Drafts()
    folder = lift_work_dir(path.blocks, drafts, work_dir)
    lift_paths(files, drafts, said)
    lift_said(path.blocks, drafts, said)
    _name(drafts, path.blocks)
    edges = _edges(path.blocks)
    return CodePlan(
        blocks=tuple(
            _block_plan(block, files, drafts, edges, optional=block.seq in path.optional)
            for block in path.blocks
        ),
        left_out=tuple(sorted({block.seq for block in facts} - {block.seq for block in path.blocks})),
        variables=tuple(_variable(draft) for draft in drafts),
        shares_state=any(rule == "shared-state" for _, _, rule, _ in edges),
        packages=_packages(facts, path.blocks),
        nondeterminism=tuple(_nondeterminism(path.blocks)),
        reasons=(
            *path.reasons,
            *(_input_reason(draft) for draft in drafts),
            *_file_reasons(files),
            *(_edge_reason(*edge) for edge in edges),
            *_constants(path.blocks, drafts, said),
        ),
        work_dir_variable=folder.name if folder else None,
    )


def _block_plan(
    block: Facts,
    files: Sequence[KnownFile],
    drafts: Drafts,
    edges: Sequence[tuple[int, int, str, str]],
    *,
    optional: bool,
) -> BlockPlan:
    return BlockPlan(
        block=block.block,
        template=_template(block, drafts),
        reads=_uses(block, files, writes=False),
        writes=_uses(block, files, writes=True),
        after=tuple(sorted({earlier for earlier, later, _, _ in edges if later == block.seq})),
        optional=optional,
    )


def _nondeterminism(kept: Sequence[Facts]) -> Iterator[str]:
    for block in kept:
        for note in nondeterminism(block.tree) if block.tree else ():
            yield f"code {block.seq} {note}"


# ------------------------------------------------------------------------------------- variables, templates


def _name(drafts: Drafts, kept: Sequence[Facts]) -> None:
    """Give every variable a name of its own that cannot be confused with braces in the code."""
    taken: set[str] = set()
    code = "\n".join(block.block.text for block in kept)
    for draft in drafts:
        suggestions = [without_clash(name, draft, code) for name in (*draft.names, fallback_name(draft))]
        base = next((name for name in suggestions if name not in taken), suggestions[0])
        name, number = base, 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        draft.name = name
    chosen = choose_names(code, [draft.name for draft in drafts])
    for draft in drafts:
        draft.name = chosen[draft.name]


def _template(block: Facts, drafts: Drafts) -> Template:
    lifts = [
        Lift(start=place.start, end=place.end, variable=draft.name)
        for draft in drafts
        for place in draft.places
        if place.facts is block
    ]
    return build_template(block.block.text, lifts, language=block.block.language)


def _variable(draft: Draft) -> Variable:
    return Variable(
        name=draft.name,
        type=draft.type,
        description=draft.description,
        default=draft.value,
        required=draft.required,
    )


# ---------------------------------------------------------------------------------------------------- files


def _uses(block: Facts, files: Sequence[KnownFile], *, writes: bool) -> tuple[FileUse, ...]:
    digests = (
        dict(block.writes) if writes else {path: block.block.files_before.get(path) for path in block.reads}
    )
    return tuple(
        FileUse(path=file.binding(), digest=digests[file.path])
        for file in files
        if file.path in digests and not (writes and file.named_by_data)
    )


def _packages(facts: Sequence[Facts], kept: Sequence[Facts]) -> tuple[str, ...]:
    own = {
        path.partition("/")[0].removesuffix(".py") for block in kept for path in (*block.reads, *block.writes)
    }
    imported = {name for block in kept for name in block.names.packages} - own
    installed = {name for block in facts if is_installation(block) for name in installed_packages(block)}
    return tuple(sorted(imported | installed))


def _edges(kept: Sequence[Facts]) -> list[tuple[int, int, str, str]]:
    """Return which block comes after which: earlier, later, rule, and the file or name in question."""
    edges = []
    for index, block in enumerate(kept):
        for earlier in kept[:index]:
            reason = _edge(earlier, block) or _state_edge(earlier, block, kept[:index])
            if reason:
                edges.append((earlier.seq, block.seq, *reason))
    return edges


def _edge(earlier: Facts, block: Facts) -> tuple[str, str] | None:
    for rule, shared in (
        ("earlier-file", set(earlier.writes) & block.reads),
        ("same-file", set(earlier.writes) & set(block.writes)),
        ("read-before-written", earlier.reads & set(block.writes)),
    ):
        if shared:
            return rule, min(shared)
    return None


def _state_edge(earlier: Facts, block: Facts, before: Sequence[Facts]) -> tuple[str, str] | None:
    """Return a name that a block takes from an earlier one, the last to define it."""
    for name in sorted(block.names.needs & earlier.names.defines):
        last = [other for other in before if name in other.names.defines][-1]
        if last is earlier:
            return "shared-state", name
    return None


# -------------------------------------------------------------------------------------------------- reasons


def _input_reason(draft: Draft) -> Reason:
    seen = [draft.mention.witness()] if draft.mention else []
    places = [
        Witness(
            seq=place.facts.seq,
            where="code",
            path=f"line {place.literal.line}",
            text=place.facts.block.text[place.start : place.end][:80],
        )
        for place in draft.places
    ]
    return Reason(
        subject=f"code {draft.places[0].facts.seq}.{draft.name}",
        decision="input",
        rule=draft.rule,
        detail=f"{draft.description} It stands in {len(draft.places)} place{'s' * (len(draft.places) > 1)}.",
        value=draft.value,
        witnesses=(*seen, *places),
    )


def _file_reasons(files: Sequence[KnownFile]) -> Iterator[Reason]:
    """Explain the files whose paths stayed as they are."""
    for file in files:
        if not isinstance(file.binding(), Constant):
            continue
        where = tuple(
            Witness(seq=facts.seq, where="code", path=f"line {use.literal.line}", text=use.text)
            for facts, use in file.uses
        )
        rule = "named-by-data" if file.named_by_data else f"{file.role}-file"
        yield Reason(
            subject=f"file {file.path}",
            decision="left_out" if file.named_by_data else "file",
            rule=rule,
            detail=_WHY_FILE.get(rule, "No other path can be written where the code has it."),
            value=file.path,
            witnesses=where or (Witness(seq=file.first, where="file", text=file.path),),
        )


def _edge_reason(earlier: int, later: int, rule: str, what: str) -> Reason:
    detail = {
        "earlier-file": f"It reads {what}, which code {earlier} writes.",
        "same-file": f"Both write {what}.",
        "read-before-written": f"It changes {what}, which code {earlier} reads.",
        "shared-state": f"It uses {what}, which code {earlier} defines.",
    }
    seen = tuple(Witness(seq=seq, where="code", text=what) for seq in (earlier, later))
    return Reason(
        subject=f"code {later} after code {earlier}",
        decision="edge",
        rule=rule,
        detail=detail[rule],
        witnesses=seen,
    )


def _constants(kept: Sequence[Facts], drafts: Drafts, words: Words) -> Iterator[Reason]:
    """Explain the literals that stayed as they are, one reason a value."""
    found: dict[str, list[tuple[Facts, object, Witness]]] = {}
    for facts in kept:
        paths = {id(use.literal) for use in facts.paths}
        for literal in facts.literals:
            value = literal.value
            if value in ("", None) or isinstance(value, list | dict) or drafts.has(facts, literal):
                continue
            if not literal.whole or not literal.liftable or literal.beside.docstring or id(literal) in paths:
                continue
            text = facts.block.text[literal.token_start : literal.token_end][:80]
            seen = Witness(seq=facts.seq, where="code", path=f"line {literal.line}", text=text)
            found.setdefault(json.dumps(value), []).append((facts, value, seen))
    for places in found.values():
        facts, value, _ = places[0]
        said = words.mentions(value, before=facts.seq)
        rule = "no-source" if not said else "needs-second-witness" if is_weak(value) else "chance-word"
        witnesses = (*(mention.witness() for mention in said[:1]), *(seen for _, _, seen in places[:5]))
        yield Reason(
            subject=f"code {facts.seq}", decision="constant", rule=rule, detail=_WHY_CONSTANT[rule],
            value=value, witnesses=witnesses,
        )  # fmt: skip


_WHY_FILE = {
    "passed-file": "One block writes it and a later one reads it.",
    "named-by-data": "The code makes it, but its name comes from what it reads: other files give others.",
    "program-file": "It is a program that a command runs.",
}
_WHY_CONSTANT = {
    "no-source": "Nobody said it, and no file or earlier block has it.",
    "needs-second-witness": "It was said, but it is short or common, and no name beside it was said with it.",
    "chance-word": "The words hold it, but as a plain word; the code does not use it as a value.",
}
