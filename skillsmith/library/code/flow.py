"""From the code blocks of a run to a plan: which are needed, in which order, and what of them is input.

Nothing is guessed without evidence: each block left out, each variable, each file and each constant has a
reason that names where it was seen. The blocks are templates whose defaults render back byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skillsmith.library.code.blocks import CodeBlock, Facts, facts_of
from skillsmith.library.code.drafts import Draft, Drafts
from skillsmith.library.code.effects import nondeterminism, shell_nondeterminism
from skillsmith.library.code.file_roles import KnownFile, known_files, lift_paths, lift_work_dir
from skillsmith.library.code.naming import fallback_name, without_clash
from skillsmith.library.code.path import Kept, installed_packages, is_installation, successful_path
from skillsmith.library.code.reasons import constants, edge_reason, file_reasons, input_reason, unsure_reason
from skillsmith.library.code.variables import lift_said
from skillsmith.library.code.words import Words
from skillsmith.library.program.languages import is_shell
from skillsmith.library.templates import Lift, build_template, choose_names
from skillsmith.models import FileUse, Reason, Template, Variable

__all__ = [
    "BlockPlan",
    "CodeBlock",
    "CodePlan",
    "Lifted",
    "ReadCode",
    "lifted",
    "plan_code",
    "plan_of",
    "read_code",
]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCode:
    """A run's code as it was read, before anything is lifted.

    Args:
        facts: All blocks.
        path: Those that led to the result, and why the others did not.
        words: What people said.
        work_dir: Absolute path of the folder the code ran in, if known.
    """

    facts: tuple[Facts, ...]
    path: Kept
    words: Words
    work_dir: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """What of the code is input.

    Args:
        drafts: The variables with their places.
        files: What the kept blocks read and write, bound to those variables.
        folder: The variable of the work folder, if the code holds its path.
    """

    drafts: Drafts
    files: Sequence[KnownFile]
    folder: Draft | None


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
    read = read_code(blocks, words, work_dir=work_dir, answers=answers)
    return plan_of(read, lifted(read))


def read_code(
    blocks: Sequence[CodeBlock],
    words: Sequence[tuple[int, str, str]],
    *,
    work_dir: str | None = None,
    answers: Sequence[str] = (),
) -> ReadCode:
    """Read a run's code blocks and find its successful path; arguments as for ``plan_code``."""
    facts = facts_of(blocks, work_dir=work_dir)
    path = successful_path(facts, answers)
    return ReadCode(facts=tuple(facts), path=path, words=Words(words), work_dir=work_dir)


def lifted(read: ReadCode) -> Lifted:
    """Find the inputs of a run's code: its files, and what people said."""
    drafts, files = Drafts(), known_files(read.path.blocks)
    folder = lift_work_dir(read.path.blocks, drafts, read.work_dir)
    lift_paths(files, drafts, read.words)
    lift_said(read.path.blocks, drafts, read.words)
    return Lifted(drafts=drafts, files=files, folder=folder)


def plan_of(read: ReadCode, found: Lifted) -> CodePlan:
    """Make the plan of code whose inputs are known; their variables get their names.

    Args:
        read: The code.
        found: Its inputs.
    """
    path, drafts, files = read.path, found.drafts, found.files
    _name(drafts, path.blocks)
    edges = _edges(path.blocks)
    return CodePlan(
        blocks=tuple(
            _block_plan(block, files, drafts, edges, optional=block.seq in path.optional)
            for block in path.blocks
        ),
        left_out=tuple(sorted({block.seq for block in read.facts} - {block.seq for block in path.blocks})),
        variables=tuple(_variable(draft) for draft in drafts),
        shares_state=any(rule == "shared-state" for _, _, rule, _ in edges),
        packages=_packages(read.facts, path.blocks),
        nondeterminism=tuple(_nondeterminism(path.blocks)),
        reasons=(
            *path.reasons,
            *(input_reason(draft) for draft in drafts),
            *file_reasons(files),
            *(edge_reason(*edge) for edge in edges),
            *constants(path.blocks, drafts, read.words),
            *map(unsure_reason, _nondeterminism(path.blocks)),
        ),
        work_dir_variable=found.folder.name if found.folder else None,
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
        if block.tree is not None:
            notes = nondeterminism(block.tree)
        else:
            notes = shell_nondeterminism(block.block.text) if is_shell(block.block.language) else []
        yield from (f"code {block.seq} {note}" for note in notes)


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
