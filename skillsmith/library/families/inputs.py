"""The inputs of a family's skill: for each the value that it has in every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from skillsmith.library.trace.literals import is_weak, type_of
from skillsmith.library.trace.naming import IDENTIFYING, identifier
from skillsmith.library.trace.results import as_exact
from skillsmith.models import FromInput, Json, Variable, VariableType


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyInput:
    """One input.

    Args:
        values: By run number; None where the run has no use for it.
        said: In how many runs a person said the value.
    """

    name: str
    description: str
    values: tuple[Json, ...]
    said: int

    @property
    def present(self) -> int:
        """In how many runs it has a value."""
        return sum(value is not None for value in self.values)

    @property
    def differs(self) -> bool:
        """Whether the runs that have it disagree on it."""
        return len({as_exact(value) for value in self.values if value is not None}) > 1


@dataclass(slots=True)
class FamilyInputs:
    """Allots names: what has the same value in every run is one input.

    Args:
        base: Number of the run whose values are the defaults.
    """

    base: int
    _known: dict[tuple[bytes, str], FamilyInput] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def lift(self, values: Sequence[Json], name: str, *, description: str, said: int) -> FromInput:
        """Return the input that has these values, made now if need be."""
        base = identifier(name)
        weak = any(is_weak(value) for value in values if not isinstance(value, (list, dict)))
        key = as_exact(list(values)), base if weak else ""
        if key not in self._known:
            self._known[key] = FamilyInput(
                name=self._free(base), description=description, values=tuple(values), said=said
            )
        return FromInput(self._known[key].name)

    def switch(self, name: str, present: Sequence[bool], *, description: str) -> FromInput:
        """Return a new input that says whether something is done."""
        values: list[Json] = list(present)
        one = FamilyInput(name=self._free(identifier(name)), description=description, values=tuple(values),
                          said=0)  # fmt: skip
        self._known[as_exact(values), one.name] = one
        return FromInput(one.name)

    def copy(self) -> FamilyInputs:
        """Return a copy to go back to."""
        return FamilyInputs(self.base, dict(self._known), set(self._names))

    def all_but(self, others: FamilyInputs) -> list[FamilyInput]:
        """Return the inputs that another set has not."""
        return [one for key, one in self._known.items() if key not in others._known]

    def restore(self, before: FamilyInputs) -> None:
        """Go back to a copy."""
        self._known, self._names = dict(before._known), set(before._names)

    def _free(self, base: str) -> str:
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name

    def get(self, name: str) -> FamilyInput:
        """Return an input by its name."""
        return next(one for one in self._known.values() if one.name == name)

    def all(self, used: set[str]) -> tuple[FamilyInput, ...]:
        """Return the inputs with these names, in the order they were found."""
        return tuple(one for one in self._known.values() if one.name in used)

    def of_run(self, number: int) -> dict[str, Json]:
        """Return the values of one run."""
        return {one.name: one.values[number] for one in self._known.values()}

    def variables(self, used: set[str]) -> tuple[Variable, ...]:
        """Return these inputs as a skill has them: what differs between runs has no value of its own."""
        return tuple(self._variable(one) for one in self.all(used))

    def _variable(self, one: FamilyInput) -> Variable:
        kinds = {type_of(one.name, value) for value in one.values if value is not None}
        kind = common_type(kinds)
        everywhere = one.present == len(one.values)
        optional = one.differs and (kind == "boolean" or [] in one.values)
        nothing: Json = False if kind == "boolean" else [] if optional else None
        needed = one.differs or kind in IDENTIFYING
        return Variable(
            name=one.name, type=kind, description=one.description,
            default=one.values[self.base] if everywhere and not optional else nothing,
            required=everywhere and needed and not optional,
        )  # fmt: skip


def common_type(kinds: set[VariableType]) -> VariableType:
    """Return the type that values of these types have in common."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "number" if kinds <= {"integer", "number"} else "string"


def plural(name: str) -> str:
    """Return the name of a list of such things."""
    if name.endswith("s"):
        return f"{name}_list"
    return f"{name[:-1]}ies" if name.endswith("y") and name[-2:-1] not in "aeiou" else f"{name}s"
