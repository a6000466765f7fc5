"""The front matter of a SKILL.md as JSON, read as every client reads it: numbers are numbers, dates are text.

Importing is more lenient on purpose (library/sharing/skill_md.py); here a client compares what we say with
what it reads in the file itself.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any, Final

from skillsmith.models import Json

REMEMBERED: Final = 256
"""Heads that are not read again: a list is followed by reading what it lists."""

_HEAD: Final = re.compile(
    r"\A\ufeff?---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)


def front_matter_of(text: str) -> dict[str, Json]:
    """Return the front matter of a SKILL.md.

    Args:
        text: The whole file; one that the exporter wrote, so its head is there and is YAML.
    """
    head = _HEAD.match(text)
    assert head is not None
    return dict(_parsed(head["yaml"]))


@lru_cache(maxsize=REMEMBERED)
def _parsed(head: str) -> dict[str, Json]:
    import yaml  # noqa: PLC0415  (20 ms; only where skills are served)

    found: dict[str, Json] = yaml.load(head, _loader())  # noqa: S506  (a safe loader that resolves even less)
    return found


@cache
def _loader() -> Any:
    """Return a safe loader that knows the plain values of YAML 1.2, and no others."""
    import yaml  # noqa: PLC0415  (see above)

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: Any = {}  # noqa: RUF012  (of PyYAML's making; ours alone from here on)

    plain = {
        "bool": (r"(?:true|True|TRUE|false|False|FALSE)", "tTfF"),
        "null": (r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
        "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
        "float": (r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    }
    for kind, (pattern, first) in plain.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^{pattern}$"), list(first))
    return Loader
