"""The rules of the open Agent Skills format, written down from its specification and not from our code."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ALLOWED = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}


def front_of(folder: Path) -> dict[str, Any]:
    """Return the front matter of a skill folder, as any YAML reader sees it."""
    text = (folder / "SKILL.md").read_text(encoding="utf-8")
    fence, front, _body = text.split("---", 2)
    assert fence == ""
    value = yaml.safe_load(front)
    assert isinstance(value, dict)
    return value


def broken_rules(folder: Path, *, more: frozenset[str] = frozenset()) -> list[str]:
    """Return the rules that a skill folder breaks.

    Args:
        folder: The folder.
        more: Keys that a dialect allows besides.
    """
    front = front_of(folder)
    return [*_name(front.get("name"), folder.name), *_texts(front), *_keys(front, more), *_links(folder)]


def _name(name: Any, folder: str) -> Iterator[str]:
    if not isinstance(name, str) or not 1 <= len(name) <= 64:
        yield f"name: {name!r} is not 1 to 64 characters"
        return
    if not re.fullmatch(r"[a-z0-9-]+", name) or name[0] == "-" or name[-1] == "-" or "--" in name:
        yield f"name: {name!r}"
    if name != folder or unicodedata.normalize("NFKC", name) != name:
        yield f"name: {name!r} in the folder {folder!r}"


def _texts(front: dict[str, Any]) -> Iterator[str]:
    about = front.get("description")
    if not isinstance(about, str) or not 1 <= len(about.strip()) <= len(about) <= 1024:
        yield f"description: {about!r}"
    if "compatibility" in front:
        fits = front["compatibility"]
        if not isinstance(fits, str) or not 1 <= len(fits) <= 500:
            yield f"compatibility: {fits!r}"
    for key in ("license", "allowed-tools"):
        if key in front and not isinstance(front[key], str):
            yield f"{key}: {front[key]!r}"


def _keys(front: dict[str, Any], more: frozenset[str]) -> Iterator[str]:
    unexpected = front.keys() - ALLOWED - more
    if unexpected:
        yield f"unexpected keys: {sorted(unexpected)}"
    metadata = front.get("metadata", {})
    if not isinstance(metadata, dict):
        yield "metadata is no mapping"
    else:
        yield from (f"metadata.{key}" for key, one in metadata.items() if not isinstance(one, str))


def _links(folder: Path) -> Iterator[str]:
    yield from (f"link: {path}" for path in folder.rglob("*") if path.is_symlink())
