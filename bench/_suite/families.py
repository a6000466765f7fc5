"""All families of the suite, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Sequence

from _suite import formats, reports, schedules, services, shells, statistics_tables, teams, texts
from _suite.model import Family

FAMILIES = tuple(
    module.FAMILY
    for module in (formats, statistics_tables, texts, services, teams, shells, reports, schedules)
)


def chosen(names: Sequence[str]) -> tuple[Family, ...]:
    """Return the families with these names, or all when none is named.

    Raises:
        ValueError: There is no family of that name.
    """
    known = {family.name: family for family in FAMILIES}
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(f"there is no family {missing[0]!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) or FAMILIES
