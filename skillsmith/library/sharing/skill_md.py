"""The open Agent Skills format: take a SKILL.md apart, tell what its front matter may say, and write one.

Reading is lenient and writing strict: of a file from elsewhere everything is kept as it was written, and
what is written passes the rules of the format. Numbers and dates of the front matter stay the text they are.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from skillsmith.errors import InvalidSkillFileError
from skillsmith.models import Json

DIALECTS: Final = ("open", "claude-code")

FILE: Final = "SKILL.md"
SIDECAR: Final = "assets/skill.json"
"""Holds the whole skill in our own format, so that nothing is lost on the way."""

OPEN_KEYS: Final = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
CLAUDE_CODE_KEYS: Final = (
    "user-invocable", "disable-model-invocation", "context", "agent", "model", "hooks", "argument-hint",
)  # fmt: skip
"""Known to one client only; strict readers of the open format refuse them."""

MAX_NAME: Final = 64
MAX_DESCRIPTION: Final = 1024
MAX_COMPATIBILITY: Final = 500
MAX_HEAD_CHARS: Final = 64 * 1024
MAX_BRACKETS: Final = 300
"""More ``[`` and ``{`` are refused unread: PyYAML takes time with a power of their depth."""

OPEN_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

_HEAD = re.compile(r"\A\ufeff?---[ \t]*\r?\n(?P<yaml>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY_LINE = re.compile(r"(?P<indent> *)(?P<key>[\w-]+):[ \t]+(?P<value>\S.*?)[ \t\r]*")
_NEEDS_QUOTES = re.compile(r"[\[\]{},&*!|>%@`#?-]|.*(?::(?:\s|\Z)|\s#)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillMd:
    """A SKILL.md in its parts; ``head + body`` is the file.

    Args:
        head: All up to the end of the front matter, with both fences.
        body: The rest.
        front: The front matter; scalars are text, true, false or None.
    """

    head: str
    body: str
    front: Mapping[str, Json]


def take_apart(text: str) -> SkillMd:
    """Read a SKILL.md; of front matter with unquoted colons the values are quoted and read again.

    Args:
        text: The whole file.

    Raises:
        InvalidSkillFileError: It has no front matter, or none that can be read.
    """
    match = _HEAD.match(text)
    if match is None:
        fault = "is not closed by a line ---" if text.lstrip("\ufeff").startswith("---") else "is missing"
        raise InvalidSkillFileError(
            f"its front matter {fault}", hint="begin the file with name and description between lines ---"
        )
    if len(match["yaml"]) > MAX_HEAD_CHARS:
        raise InvalidSkillFileError(f"its front matter is longer than {MAX_HEAD_CHARS // 1024} KB")
    if match["yaml"].count("[") + match["yaml"].count("{") > MAX_BRACKETS:
        raise InvalidSkillFileError("its front matter has too many brackets, or is nested too deeply")
    return SkillMd(head=match[0], body=text[match.end() :], front=_front(match["yaml"]))


def _front(text: str) -> dict[str, Json]:
    import yaml  # noqa: PLC0415  (20 ms; only where SKILL.md folders are shared)

    faults = []
    for attempt in (text, _with_quotes(text)):
        try:
            return _mapping(attempt)
        except (yaml.YAMLError, ValueError) as error:
            faults.append(error)
        except RecursionError as error:
            raise InvalidSkillFileError("its front matter is nested too deeply") from error
    problem = getattr(faults[0], "problem", None) or str(faults[0])
    mark = getattr(faults[0], "problem_mark", None)
    where = f" in line {mark.line + 2}" if mark else ""
    raise InvalidSkillFileError(f"its front matter is not YAML: {problem}{where}") from faults[0]


def _mapping(text: str) -> dict[str, Json]:
    import yaml  # noqa: PLC0415  (see above)

    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
        raise InvalidSkillFileError("its front matter repeats parts by reference (*), which is not read")
    value = yaml.load(text, _loader())  # noqa: S506  (a safe loader that resolves even less)
    if not isinstance(value, dict):
        raise InvalidSkillFileError("its front matter is no list of keys with values")
    return {str(key): _plain(item) for key, item in value.items()}


@cache
def _loader() -> Any:
    """Return a safe loader to which numbers and dates are the text they are written as."""
    import yaml  # noqa: PLC0415  (see above)

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: Any = {}  # noqa: RUF012  (of PyYAML's making; ours alone from here on)

    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
    Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
    return Loader


def _plain(value: Any) -> Json:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, bool)) else str(value)


def _with_quotes(text: str) -> str:
    """Return front matter with quotes around plain values that YAML would take for something else."""
    lines, done, at = text.split("\n"), list[str](), 0
    while at < len(lines):
        match = _KEY_LINE.fullmatch(lines[at])
        end = at + 1
        while end < len(lines) and match and _is_deeper(lines[end], len(match["indent"])):
            end += 1
        if match is None or match["value"][0] in "\"'|>" or not _NEEDS_QUOTES.match(match["value"]):
            done += lines[at:end]
        else:
            value = " ".join([match["value"], *(line.strip() for line in lines[at + 1 : end])])
            done.append(f"{match['indent']}{match['key']}: {json.dumps(value, ensure_ascii=False)}")
        at = end
    return "\n".join(done)


def _is_deeper(line: str, indent: int) -> bool:
    return bool(line.strip()) and len(line) - len(line.lstrip(" ")) > indent


def breaches(head: str, *, folder: str, dialect: str = "open") -> list[str]:
    """Return the rules of the format that front matter breaks, one line each.

    Args:
        head: With its fences.
        folder: The name of the folder it stands in.
        dialect: ``claude-code`` allows that client's keys as well.
    """
    import yaml  # noqa: PLC0415  (see above)

    match = _HEAD.match(head)
    if match is None:
        return ["there is no front matter"]
    try:
        front = yaml.safe_load(match["yaml"])
        tree = yaml.compose(match["yaml"], yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return ["the front matter is not YAML"]
    if not isinstance(tree, yaml.MappingNode):
        return ["the front matter is no list of keys with values"]
    keys = [key.value for key, _value in tree.value]
    found = [*_key_breaches(keys, dialect), *_value_breaches(front, folder)]
    if "---" in match["yaml"]:
        found.append("the front matter holds ---, at which some readers end it")
    return found


def _key_breaches(keys: list[Any], dialect: str) -> Iterator[str]:
    known = (*OPEN_KEYS, *CLAUDE_CODE_KEYS) if dialect == "claude-code" else OPEN_KEYS
    if len(set(map(str, keys))) < len(keys):
        yield "a key stands twice"
    yield from (f"the key {key!r} is not allowed" for key in keys if key not in known)


def _value_breaches(front: Any, folder: str) -> Iterator[str]:
    name, about = front.get("name"), front.get("description")
    if not isinstance(name, str) or not OPEN_NAME.fullmatch(name) or len(name) > MAX_NAME:
        yield "the name is not up to 64 lower-case letters, digits and single hyphens"
    elif name != folder:
        yield f"the name is not that of the folder, {folder}"
    if not isinstance(about, str) or not about.strip() or len(about) > MAX_DESCRIPTION:
        yield f"the description is not 1 to {MAX_DESCRIPTION} characters"
    fits = front.get("compatibility", "x")
    if not isinstance(fits, str) or not 0 < len(fits) <= MAX_COMPATIBILITY:
        yield f"compatibility is not 1 to {MAX_COMPATIBILITY} characters"
    for key in ("license", "allowed-tools"):
        if not isinstance(front.get(key, ""), str):
            yield f"{key} is not text"
    more = front.get("metadata", {})
    if not isinstance(more, dict) or not all(isinstance(one, str) for pair in more.items() for one in pair):
        yield "metadata is not text by text"


def write_head(front: Mapping[str, Json]) -> str:
    """Return front matter with its fences: keys in their order, one value a line."""
    import yaml  # noqa: PLC0415  (see above)

    text = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=10**6)
    return f"---\n{text}---\n"


def open_name(name: str) -> str:
    """Return a name as the format wants it: ``cancel_order`` → ``cancel-order``; empty if nothing is left."""
    plain = unicodedata.normalize("NFKC", name).lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_NAME].strip("-")


def one_line(text: str, limit: int) -> str:
    """Return text on one line that front matter can hold, cut at a word when it is too long."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    line = re.sub(r"-{3,}", "–", " ".join(shown.split()))
    if len(line) <= limit:
        return line
    head = line[: limit - 1]
    cut = head.rfind(" ")
    return (head[:cut] if cut > limit // 2 else head).rstrip() + "…"
