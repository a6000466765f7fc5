"""Line up the code of several runs: which block of one run does the job of which block of another.

Blocks stand for each other when they have one shape (``code_skeleton``). One run, the one that shares most
with the others, is the base: the skill's code is its code. What only some runs have is kept for a condition
when it can be done on its own, else left out with its reason; the block that makes a run's result must have
its counterpart, or the runs are no family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from skillsmith.errors import ExtractionError
from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.effects import only_looks
from skillsmith.library.code.flow import Lifted, ReadCode, lifted
from skillsmith.library.code.shell import shell_only_looks
from skillsmith.library.families.code_skeleton import Shape, first_line, mapped_names, own_names, shape_of
from skillsmith.library.program.languages import is_shell
from skillsmith.library.trace.align import common_sequence
from skillsmith.models import FileSnapshot, Reason, Run, Witness

BUILT_DIFFERENTLY = "name runs whose code is built alike; --all-successful finds them"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedRun:
    """A run whose work is code.

    Args:
        read: Its code.
        found: The inputs that its code shows by itself.
        shapes: Of all its blocks, by sequence number.
        before: What lay in its work folder before, as far as it was kept.
        calls: How many tool calls are on its successful path beside the code.
    """

    run: Run
    read: ReadCode
    found: Lifted
    shapes: dict[int, Shape]
    before: tuple[FileSnapshot, ...] = ()
    calls: int = 0

    @property
    def kept(self) -> tuple[Facts, ...]:
        """Its successful path."""
        return self.read.path.blocks

    @property
    def short(self) -> str:
        """What people call it by."""
        return f"run {self.run.id[:13]}"

    @property
    def task(self) -> str:
        """What was asked for; runs of one task are one witness."""
        return " ".join(self.run.task.split())

    def shape(self, facts: Facts) -> Shape:
        """Return the shape of one of its blocks."""
        return self.shapes[facts.seq]

    def path_keys(self) -> list[tuple[object, ...]]:
        """Return the shapes of its successful path."""
        return [self.shape(facts).key for facts in self.kept]

    def results(self) -> list[Facts]:
        """Return the blocks that make its results: those that write files, else the last."""
        return [facts for facts in self.kept if facts.writes] or list(self.kept[-1:])

    def said(self, value: object) -> bool:
        """Tell whether people said a value in it; of a list, every item."""
        items = value if isinstance(value, list) else [value]
        return bool(items) and all(self.read.words.mentions(item, before=10**9) for item in items)


def coded(run: Run, read: ReadCode, before: tuple[FileSnapshot, ...] = (), *, calls: int = 0) -> CodedRun:
    """Return a run with its code read and its shapes.

    Args:
        run: The run.
        read: Its code.
        before: What lay in its work folder before.
        calls: How many tool calls are on its path.
    """
    own = own_names(read.facts)
    shapes = {facts.seq: shape_of(facts, own) for facts in read.facts}
    return CodedRun(run=run, read=read, found=lifted(read), shapes=shapes, before=before, calls=calls)


@dataclass(frozen=True, slots=True)
class CodeColumn:
    """One block of the base, and the blocks of other runs that do its job.

    Args:
        facts: The base's block.
        members: By run number, the base's own too.
    """

    facts: Facts
    members: dict[int, Facts]


@dataclass(frozen=True, slots=True)
class LinedUp:
    """The code of a family, block by block.

    Args:
        base: Number of the run whose code it is.
        columns: In the base's order.
        reasons: What is left out, and why.
        alone: Sequence numbers of the base's blocks that only some runs have.
        dropped: Shapes that are known and left out.
    """

    base: int
    columns: tuple[CodeColumn, ...]
    reasons: tuple[Reason, ...]
    alone: frozenset[int]
    dropped: frozenset[tuple[object, ...]]


def line_up(runs: Sequence[CodedRun], *, conditional: bool = True) -> LinedUp:
    """Line up the code of runs.

    Args:
        runs: Successful ones, at least one.
        conditional: Whether blocks that only some runs have may stay, to be done on a condition.

    Raises:
        ExtractionError: They have no code in common, or a run makes its result in a way of its own.
    """
    base = _base(runs)
    columns = [CodeColumn(facts, {base: facts}) for facts in runs[base].kept]
    for number, run in enumerate(runs):
        if number != base:
            _join(columns, run, number, runs[base])
    if not any(len(one.members) == len(runs) for one in columns):
        raise ExtractionError("the runs have no block of code in common", hint=BUILT_DIFFERENTLY)
    _refuse_strangers(runs, columns)
    return _chosen(runs, columns, base, conditional=conditional)


def _base(runs: Sequence[CodedRun]) -> int:
    """Return the run that shares most blocks with the others; of those, the one with most blocks."""
    keys = [run.path_keys() for run in runs]
    shared = [
        sum(key in other for key in own for place, other in enumerate(keys) if place != number)
        for number, own in enumerate(keys)
    ]
    return max(range(len(runs)), key=lambda number: (shared[number], len(keys[number]), -number))


def pairs_with(blocks: Sequence[tuple[object, ...]], run: CodedRun) -> list[tuple[int, Facts]]:
    """Return which blocks of a run stand for which shapes, as pairs of place and block."""
    return [(at, run.kept[to]) for at, to in common_sequence(blocks, run.path_keys())]


def _join(columns: list[CodeColumn], run: CodedRun, number: int, base: CodedRun) -> None:
    pairs = pairs_with([base.shape(one.facts).key for one in columns], run)
    shapes = [(base.shape(columns[at].facts), run.shape(facts)) for at, facts in pairs]
    if mapped_names(shapes) is None:
        raise ExtractionError(
            f"{run.short} uses its variables otherwise than {base.short}", hint=BUILT_DIFFERENTLY
        )
    for at, facts in pairs:
        columns[at].members[number] = facts


def _refuse_strangers(runs: Sequence[CodedRun], columns: Sequence[CodeColumn]) -> None:
    """Refuse runs whose result no other run makes in the same way."""
    for number, run in enumerate(runs):
        known = {id(one.members[number]) for one in columns if number in one.members and len(one.members) > 1}
        results = run.results()
        if len(runs) > 1 and results and not any(id(facts) in known for facts in results):
            raise ExtractionError(
                f"{run.short} makes its result in a way of its own: “{first_line(results[-1])}” has no"
                " counterpart of the same shape in the other runs",
                hint=BUILT_DIFFERENTLY,
            )


def _chosen(
    runs: Sequence[CodedRun], columns: Sequence[CodeColumn], base: int, *, conditional: bool
) -> LinedUp:
    kept = list(columns)
    reasons: list[Reason] = []
    dropped: set[tuple[object, ...]] = set()
    alone: set[int] = set()
    for column in reversed(columns):
        if len(column.members) == len(runs):
            continue
        why = _why_not(column, kept, conditional=conditional)
        if why is None:
            alone.add(column.facts.seq)
            continue
        kept.remove(column)
        dropped.add(runs[base].shape(column.facts).key)
        reasons.append(_left_out(column.facts, f"in {len(column.members)} of {len(runs)} runs; {why}"))
    taken = {id(facts) for one in columns for facts in one.members.values()}
    for run in runs:
        for facts in run.kept:
            if id(facts) not in taken and run.shape(facts).key not in dropped:
                dropped.add(run.shape(facts).key)
                reasons.append(_left_out(facts, f"only {run.short} has it"))
    return LinedUp(base, tuple(kept), tuple(reasons), frozenset(alone), frozenset(dropped))


def _why_not(column: CodeColumn, kept: Sequence[CodeColumn], *, conditional: bool) -> str | None:
    """Return why a block that only some runs have cannot be done on a condition; None when it can."""
    facts = column.facts
    others = [one.facts for one in kept if one is not column]
    given = {name for other in others if other.seq < facts.seq for name in other.names.defines}
    needed = {name for other in others if other.seq > facts.seq for name in other.names.needs}
    if facts.names.defines & needed - given:
        raise ExtractionError(
            f"what “{first_line(facts)}” defines is used later, and only {len(column.members)} runs have it",
            hint=BUILT_DIFFERENTLY,
        )
    if not facts.writes and changes_nothing(facts):
        return "it only looks"
    if not conditional or facts.names.needs & given or facts.names.defines & needed:
        return "it shares Python names with other blocks and cannot be done or left on its own"
    return None


def changes_nothing(facts: Facts) -> bool:
    """Tell whether a block only looks."""
    if facts.tree is not None:
        return not facts.writes and only_looks(facts.tree)
    return is_shell(facts.block.language) and not facts.writes and shell_only_looks(facts.block.text)


def _left_out(facts: Facts, detail: str) -> Reason:
    return Reason(
        subject=f"code “{first_line(facts)}”", decision="left_out", rule="not-in-all-runs", detail=detail,
        witnesses=(Witness(seq=facts.seq, where="code", text=first_line(facts)),),
    )  # fmt: skip


def narrowed(run: CodedRun, line: LinedUp) -> ReadCode:
    """Return the base's code with only the blocks that were lined up on its path."""
    blocks = tuple(one.facts for one in line.columns)
    reasons = (*run.read.path.reasons, *line.reasons)
    return replace(run.read, path=replace(run.read.path, blocks=blocks, reasons=reasons))
