"""Find the simplest expression over inputs and their files that tells some executions from others.

With many inputs and few executions something always separates by chance, so how likely chance alone would is
counted and must be small. The expression covers what was seen and no more: a limit stands at the last value
seen on its own side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from tempfile import TemporaryDirectory

from skillsmith.errors import ExecutionError
from skillsmith.events import dump_json
from skillsmith.library.program.conditions import Surroundings, holds
from skillsmith.library.program.paths import leaves_folder
from skillsmith.library.proposing.facts import Fact, FactReader
from skillsmith.models import Json, Skill

MIN_EACH = 3
"""Executions needed on each side."""

MAX_CHANCE = 0.05
"""How likely may some expression separate the two sides by chance alone."""

MAX_VALUES = 3
"""How many values an expression lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """An expression that is true in all of one side and false in all of the other.

    Args:
        chance: Upper limit of the probability that some tried expression separates by chance.
    """

    expression: str
    yes: int
    no: int
    tried: int
    chance: float

    def document(self) -> dict[str, Json]:
        """Return it as JSON, for the evidence."""
        return {
            "expression": self.expression, "true_in": self.yes, "false_in": self.no, "tried": self.tried,
            "chance": self.chance,
        }  # fmt: skip


def separating(
    yes: Sequence[Fact], no: Sequence[Fact], reader: FactReader, skill: Skill
) -> Separation | None:
    """Return what tells executions apart that are alike but for one thing; None when nothing surely does.

    Args:
        yes: Where it must be true.
        no: Where it must be false.
        reader: Gives the files that were brought in.
        skill: Whose executions they are.
    """
    if min(len(yes), len(no)) < MIN_EACH:
        return None
    with TemporaryDirectory(prefix="skillsmith-facts-", ignore_cleanup_errors=True) as folder:
        cases = [_case(fact, reader, Path(folder) / str(place)) for place, fact in enumerate((*yes, *no))]
        return _search(cases, len(yes), skill)


def _case(fact: Fact, reader: FactReader, folder: Path) -> Surroundings:
    """Return an execution's inputs with the files it was given, laid out in a folder."""
    folder.mkdir()
    for file in reader.files(fact.execution):
        target = folder / file.path
        if not leaves_folder(file.path):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.content)
    return Surroundings(inputs=fact.execution.inputs, work_dir=folder)


def _search(cases: Sequence[Surroundings], count: int, skill: Skill) -> Separation | None:
    tried = list(dict.fromkeys(_candidates(cases, count, skill)))
    for expression in tried:
        if all(_holds(expression, case) is (place < count) for place, case in enumerate(cases)):
            chance = min(len(tried) / comb(len(cases), count), 1.0)
            if chance > MAX_CHANCE:
                return None
            return Separation(
                expression=expression, yes=count, no=len(cases) - count, tried=len(tried), chance=chance
            )
    return None


def _holds(expression: str, case: Surroundings) -> bool | None:
    try:
        return holds(expression, case)
    except ExecutionError:  # a file that was not kept, a value of another kind
        return None


def _candidates(cases: Sequence[Surroundings], count: int, skill: Skill) -> Iterator[str]:
    yes, no = cases[:count], cases[count:]
    for variable in skill.variables:
        name = variable.name
        if all(name in case.inputs for case in cases):
            yield from _about(name, [one.inputs[name] for one in yes], [one.inputs[name] for one in no])
    for variable in skill.variables:
        if variable.type == "path" and all(isinstance(c.inputs.get(variable.name), str) for c in cases):
            yield from _about_file(variable.name, yes, no)


def _about(name: str, yes: Sequence[Json], no: Sequence[Json]) -> Iterator[str]:
    """Yield expressions about a value: equal to one, one of a few, at least, at most."""
    if any(isinstance(value, (dict, list)) for value in (*yes, *no)):
        return
    values = list({dump_json(value): value for value in yes}.values())
    if len(values) == 1:
        yield f"{name} == {values[0]!r}"
    elif len(values) <= MAX_VALUES:
        yield f"{name} in {values!r}"
    if all(_is_number(value) for value in (*yes, *no)):
        yield f"{name} >= {min(yes)!r}"
        yield f"{name} <= {max(yes)!r}"


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _about_file(name: str, yes: Sequence[Surroundings], no: Sequence[Surroundings]) -> Iterator[str]:
    """Yield expressions about a file: empty, without rows, without a column that the others have."""
    yield f"not exists({name})"
    yield f"size({name}) == 0"
    yield f"rows({name}) == 0"
    have = [_columns(name, case) for case in no]
    lack = [_columns(name, case) for case in yes]
    common = set.intersection(*have) if have else set()
    for column in sorted(common - set().union(*lack)):
        yield f"not contains(columns({name}), {column!r})"


def _columns(name: str, case: Surroundings) -> set[str]:
    value: Mapping[str, Json] = case.inputs
    path = str(value[name])
    if leaves_folder(path) or not (case.work_dir / path).is_file():
        return set()
    lines = (case.work_dir / path).read_bytes()[:65_536].decode("utf-8", "replace").splitlines()
    separator = "\t" if path.lower().endswith(".tsv") else ","
    return {cell.strip().strip('"') for cell in lines[0].split(separator)} if lines else set()
