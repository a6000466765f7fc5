"""The input variables found so far: one value, one variable, one readable name."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, replace

from skillsmith.library.trace.literals import is_weak, type_of
from skillsmith.models import FromInput, Json, Variable

IDENTIFYING = frozenset({"id", "email", "path", "url"})
"""Types that point at one particular thing: using an old one for a new task would touch the wrong thing."""


@dataclass(slots=True)
class VariableSet:
    """Allots names to values; the same strong value gets the same variable wherever it stands."""

    _by_value: dict[tuple[str, str, str], Variable]
    _by_name: dict[str, Variable]

    @classmethod
    def empty(cls) -> VariableSet:
        """Return a set without variables."""
        return cls({}, {})

    def lift(self, value: Json, name: str, *, description: str = "", required: bool = False) -> FromInput:
        """Return the input that holds the value, made now if need be.

        Args:
            value: The literal, kept as the default.
            name: What the source run called it: a parameter or field name.
            description: One sentence on what it is.
            required: Whether it must be given, whatever its type.
        """
        base = identifier(name)
        key = (type(value).__name__, repr(value), base if is_weak(value) else "")
        known = self._by_value.get(key)
        if known is None:
            kind = type_of(name, value)
            known = Variable(
                name=self._free(base), type=kind, description=description, default=value,
                required=required or kind in IDENTIFYING,
            )  # fmt: skip
            self._by_value[key] = self._by_name[known.name] = known
        return FromInput(known.name)

    def _free(self, base: str) -> str:
        name, count = base, 1
        while name in self._by_name:
            count += 1
            name = f"{base}_{count}"
        return name

    def strings(self) -> list[tuple[str, str]]:
        """Return value and name of every text variable worth finding inside longer text, longest first."""
        found = [
            (value.default, value.name)
            for value in self._by_name.values()
            if isinstance(value.default, str) and not is_weak(value.default)
        ]
        return sorted(found, key=lambda pair: -len(pair[0]))

    def all(self, used: set[str]) -> tuple[Variable, ...]:
        """Return the variables with these names, in the order they were found."""
        return tuple(replace(value) for value in self._by_name.values() if value.name in used)

    def defaults(self) -> dict[str, Json]:
        """Return every variable's recorded value."""
        return {name: variable.default for name, variable in self._by_name.items()}


def identifier(text: str) -> str:
    """Return a Python identifier in snake case for any name."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    name = re.sub(r"\W+", "_", spaced).strip("_").lower() or "value"
    if name[0].isdigit() or keyword.iskeyword(name):
        name = f"value_{name}"
    return name
