"""What failed runs tripped over, as checks before the code: a file that was not there, a column it lacked.

A failed run counts where the block that failed has the shape of one of the family's, so that the value in
its error is known to stand at a known place. A check must hold in every successful run whose files were
kept, or it would stop good work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from skillsmith.errors import ExecutionError
from skillsmith.library.code.blocks import Facts
from skillsmith.library.code.naming import is_column
from skillsmith.library.families.code_columns import CodedRun, LinedUp
from skillsmith.library.families.code_spots import Spots, literal_value
from skillsmith.library.program.conditions import Surroundings, holds
from skillsmith.library.program.paths import leaves_folder
from skillsmith.models import Json, Witness

_NO_FILE = re.compile(
    r"(?:FileNotFoundError: .*?No such file or directory: |cannot access |can't open file )['\"](.+?)['\"]"
    r"|^\S+: (?:cannot open ['\"]?)?(\S+?)['\"]?: No such file or directory$",
    re.MULTILINE,
)
_NO_COLUMN = re.compile(
    r"KeyError: ['\"](.+?)['\"]\s*$|\[['\"](.+?)['\"]\] not (?:in|found in) ", re.MULTILINE
)
_TABLE = re.compile(r".*\.(?:csv|tsv)", re.IGNORECASE)
_MAX_CHARS = 60


@dataclass(frozen=True, slots=True)
class CheckFound:
    """One check.

    Args:
        expression: Over the skill's inputs.
        title: For people.
        rule: ``file-must-exist`` or ``column-must-exist``.
        detail: Which runs support it.
        witnesses: Where it was seen.
    """

    expression: str
    title: str
    rule: str
    detail: str
    witnesses: tuple[Witness, ...] = ()


def checks_from(
    failed: Sequence[CodedRun], runs: Sequence[CodedRun], line: LinedUp, spots: Spots
) -> list[CheckFound]:
    """Return the checks that failed runs give.

    Args:
        failed: Runs of the family that failed.
        runs: The family.
        line: Its blocks, lined up.
        spots: Its inputs, named.
    """
    seen: dict[str, list[tuple[CodedRun, str, str, Witness]]] = {}
    for run in failed:
        for expression, rule, title, witness in _tripped(run, runs[line.base], line, spots):
            seen.setdefault(expression, []).append((run, rule, title, witness))
    found = []
    for expression, cases in seen.items():
        if all(_holds(expression, run, number, spots) for number, run in enumerate(runs)):
            _, rule, title, _ = cases[0]
            count = len({run.run.id for run, *_ in cases})
            stopped = "1 failed run" if count == 1 else f"{count} failed runs"
            detail = f"{stopped} stopped there; it held in all {len(runs)} that succeeded"
            found.append(CheckFound(expression, title, rule, detail, tuple(case[3] for case in cases[:3])))
    return found


def _tripped(
    run: CodedRun, base: CodedRun, line: LinedUp, spots: Spots
) -> Iterator[tuple[str, str, str, Witness]]:
    for facts in run.read.facts:
        shape = run.shape(facts)
        place = next(
            (at for at, one in enumerate(line.columns) if base.shape(one.facts).key == shape.key), None
        )
        if not facts.block.failed or place is None:
            continue
        for value in _named(_NO_FILE, facts.block.output):
            shown = _shown(value, run, facts, place, spots)
            if shown is not None:
                yield (f"exists({shown})", "file-must-exist", f"the file {shown} is there",
                       Witness(seq=facts.seq, where="code", text=f"no file {value}"))  # fmt: skip
        for value in _named(_NO_COLUMN, facts.block.output):
            column = _shown(value, run, facts, place, spots, column=True)
            table = _table(line, place, spots)
            if column is not None and table is not None:
                yield (f"{column} in columns({table})", "column-must-exist", f"{table} has {column}",
                       Witness(seq=facts.seq, where="code", text=f"no column {value}"))  # fmt: skip


def _named(pattern: re.Pattern[str], output: str) -> list[str]:
    return [next(text for text in match.groups() if text) for match in pattern.finditer(output)][:3]


def _shown(
    value: str, run: CodedRun, facts: Facts, place: int, spots: Spots, *, column: bool = False
) -> str | None:
    """Return how an expression says a value that stands in the block: its input, or itself."""
    for index, literal in enumerate(run.shape(facts).literals):
        text: Json = literal_value(run, literal)
        items = text if isinstance(text, list) else [text]
        if value not in items and (column or not value.endswith(f"/{text}")):
            continue
        at = [one for one in spots.spots if (one.column, one.literal) == (place, index)]
        if at and (at[0].before or at[0].after or isinstance(text, list)):
            return None
        if at:
            return at[0].draft.name
        named = not column or is_column(literal) or isinstance(text, list)
        return repr(value) if named and len(value) <= _MAX_CHARS else None
    return None


def _table(line: LinedUp, place: int, spots: Spots) -> str | None:
    """Return the one table that the code up to a block reads, as an expression says it."""
    files = {path for one in line.columns[: place + 1] for path in one.facts.reads if _TABLE.fullmatch(path)}
    written = {path for one in line.columns for path in one.facts.writes}
    tables = sorted(files - written)
    if len(tables) != 1:
        return None
    known = next((one for one in spots.lifted.files if one.path == tables[0]), None)
    if known is None or known.draft is None:
        return repr(tables[0])
    return known.draft.name if known.draft.value == tables[0] else None


def _holds(expression: str, run: CodedRun, number: int, spots: Spots) -> bool:
    """Whether a check holds in a successful run, as far as its files were kept."""
    inputs = {
        draft.name: spots.values[id(draft)].get(number)
        for draft in spots.lifted.drafts
        if id(draft) in spots.values
    }
    if not run.before:
        return True
    with TemporaryDirectory(prefix="skillsmith-check-", ignore_cleanup_errors=True) as folder:
        for file in run.before:
            if not leaves_folder(file.path):
                target = Path(folder) / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.content)
        try:
            return holds(expression, Surroundings(inputs=inputs, work_dir=Path(folder)))
        except (ExecutionError, OSError):
            return False
