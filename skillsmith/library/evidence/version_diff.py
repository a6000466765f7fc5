"""What differs between two versions of a skill, part by part.

Every difference in what makes a version a version is named: two versions with the same content digest have
no changes, and two with different ones have at least one.
"""

from __future__ import annotations

import base64
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from skillsmith.ids import digest_of
from skillsmith.library.program.bindings import as_text, from_json, show
from skillsmith.library.program.document import Document, from_lines
from skillsmith.library.program.seal import canonical
from skillsmith.models import Json

CONTEXT_LINES = 3
MAX_SHOWN = 80

_BINDINGS = ("arguments", "bindings")
_TEXTS = ("description", "task_pattern", "body")
_LISTS = ("tags", "agents")
_NODE_PLAIN = (
    "kind", "title", "agent", "tool", "effect", "language", "after", "optional", "timeout_seconds", "retries",
    "repeatable", "source_seqs",
)  # fmt: skip
_NO_BINDING: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference.

    Args:
        kind: node, binding, template, condition, variable, schema, text, file, requirement, reason or extra.
        where: The part that differs: ``n3``, ``n3.order_id``, ``description``.
        before: As JSON; None when it was not there.
        after: As JSON; None when it is gone.
        text: The change in words, for code and long texts a unified diff.
    """

    kind: str
    where: str
    before: Json = None
    after: Json = None
    text: str = ""

    def document(self) -> dict[str, Json]:
        """Return the change as JSON."""
        return {
            "kind": self.kind, "where": self.where, "before": self.before, "after": self.after,
            "text": self.text,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillDiff:
    """How one version of a skill differs from another.

    Args:
        one: The version that is looked at as the earlier one.
        other: The one it is compared with.
    """

    skill: str
    one: int
    other: int
    changes: tuple[Change, ...]

    def document(self) -> dict[str, Json]:
        """Return the difference as JSON."""
        return {
            "skill": self.skill, "versions": [self.one, self.other],
            "changes": [change.document() for change in self.changes],
        }  # fmt: skip


def changes_between(one: Document, other: Document) -> Iterator[Change]:
    """Yield what differs between two skill documents, in the order of their parts."""
    yield from _texts(one, other)
    yield from _named("variable", one["variables"], other["variables"], key="name", inner=_variable)
    yield from _named("node", one["nodes"], other["nodes"], key="id", inner=_node)
    yield from _mapping("binding", "output ", one["output_bindings"], other["output_bindings"], _binding)
    yield from _schema("outputs", one["outputs"], other["outputs"])
    yield from _named("file", one["artifacts"], other["artifacts"], key="name", inner=_file)
    yield from _mapping("requirement", "", one["context_requirements"], other["context_requirements"], _plain)
    yield from _mapping("extra", "", one["extras"], other["extras"], _plain)
    yield from _reasons(one["why"], other["why"])


def _texts(one: Document, other: Document) -> Iterator[Change]:
    for key in ("name", *_TEXTS):
        before, after = _as_text(one[key]), _as_text(other[key])
        if before != after:
            yield _text("text", key, before, after)
    pairs = [(key, one[key], other[key]) for key in (*_LISTS, "public")]
    pairs.append(("source steps", one["source"]["steps"], other["source"]["steps"]))
    yield from (_plain("text", *pair) for pair in pairs if not _same(pair[1], pair[2]))


def _as_text(value: Json) -> str:
    return from_lines(value) if isinstance(value, list) else str(value)


def _same(one: Json, other: Json) -> bool:
    return canonical(one) == canonical(other)


def _named(
    kind: str,
    one: Sequence[Json],
    other: Sequence[Json],
    *,
    key: str,
    inner: Callable[[str, Document, Document], Iterator[Change]],
) -> Iterator[Change]:
    """Yield what was added, removed, changed inside and moved in a list of objects known by a key."""
    before, after = {item[key]: item for item in one}, {item[key]: item for item in other}
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            yield Change(kind=kind, where=name, before=before[name], text=f"removed: {_title(before[name])}")
        elif name not in before:
            yield Change(kind=kind, where=name, after=after[name], text=f"added: {_title(after[name])}")
        else:
            yield from inner(name, before[name], after[name])
    kept = [name for name in before if name in after], [name for name in after if name in before]
    if kept[0] != kept[1]:
        yield Change(
            kind=kind, where="order", before=kept[0], after=kept[1],
            text=f"{', '.join(kept[0])} → {', '.join(kept[1])}",
        )  # fmt: skip


def _title(item: Document) -> str:
    """Return the most telling words on a node, variable or file."""
    words = (item.get(key) for key in ("tool", "title", "description"))
    return f"{item.get('kind') or item.get('type')} {next(filter(None, words), '')}".strip()


def _variable(name: str, one: Document, other: Document) -> Iterator[Change]:
    yield from _fields("variable", name, one, other)


def _fields(
    kind: str, name: str, one: Document, other: Document, keys: Sequence[str] | None = None
) -> Iterator[Change]:
    for key in keys or dict.fromkeys([*one, *other]):
        if not _same(one.get(key), other.get(key)):
            yield _plain(kind, f"{name}.{key}", one.get(key), other.get(key))


def _node(name: str, one: Document, other: Document) -> Iterator[Change]:
    yield from _fields("node", name, one, other, _NODE_PLAIN)
    for group in _BINDINGS:
        yield from _mapping("binding", f"{name}.", one.get(group, {}), other.get(group, {}), _binding)
    if not _same(one.get("for_each"), other.get("for_each")):
        yield _binding("binding", f"{name}.for_each", one.get("for_each"), other.get("for_each"))
    yield from _fields("condition", name, one, other, ["condition"])
    yield from _template(name, one.get("template"), other.get("template"))
    if not _same(one.get("output_schema"), other.get("output_schema")):
        yield _plain("schema", name, one.get("output_schema"), other.get("output_schema"))
    yield from _fields("file", name, one, other, ["reads", "writes"])


def _template(name: str, one: Json, other: Json) -> Iterator[Change]:
    if _same(one, other):
        return
    before, after = (from_lines(side["lines"]) if side else "" for side in (one, other))
    if before != after:
        yield _text("template", name, before, after)
    slots = [(side or {}).get("slots", []) for side in (one, other)]
    if not _same(*slots):
        yield _plain("template", f"{name}.slots", *slots)
    elif before == after:  # an empty template is not the same as none
        yield _plain("template", name, one, other)


def _text(kind: str, where: str, before: str, after: str) -> Change:
    short = max(len(before), len(after)) <= MAX_SHOWN and "\n" not in before + after
    words = f"{before!r} → {after!r}" if short and kind == "text" else unified(before, after)
    return Change(kind=kind, where=where, before=before, after=after, text=words)


def unified(before: str, after: str) -> str:
    """Return a unified diff without its file names; says it where only the end of the last line differs."""
    lines = [*difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=CONTEXT_LINES)][2:]
    return "\n".join(lines) or "only line ends differ"


def _mapping(
    kind: str,
    prefix: str,
    one: Mapping[str, Json],
    other: Mapping[str, Json],
    describe: Callable[[str, str, Json, Json], Change],
) -> Iterator[Change]:
    for name in dict.fromkeys([*one, *other]):
        there = name in one, name in other
        if not all(there) or not _same(one[name], other[name]):
            yield describe(kind, f"{prefix}{name}", one.get(name), other.get(name))


def _plain(kind: str, where: str, before: Json, after: Json) -> Change:
    return Change(
        kind=kind, where=where, before=before, after=after, text=f"{_short(before)} → {_short(after)}"
    )


def _short(value: Json) -> str:
    text = "nothing" if value is None else as_text(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _binding(kind: str, where: str, before: Json, after: Json) -> Change:
    shown = ["nothing" if side is _NO_BINDING else show(from_json(side)) for side in (before, after)]
    return Change(kind=kind, where=where, before=before, after=after, text=" → ".join(shown))


def _schema(where: str, one: Document, other: Document) -> Iterator[Change]:
    """Yield the differences of a schema: its properties one by one, then whatever else it says."""
    properties = [side.get("properties", {}) for side in (one, other)]
    if not all(isinstance(side, dict) for side in properties):
        properties = [{}, {}]
    yield from _mapping("schema", f"{where}.", properties[0], properties[1], _plain)
    rest = [{key: value for key, value in side.items() if key != "properties"} for side in (one, other)]
    yield from _mapping("schema", f"{where}: ", rest[0], rest[1], _plain)
    known = [isinstance(side.get("properties"), dict) for side in (one, other)]
    if known[0] != known[1] or not (all(known) or _same(one.get("properties"), other.get("properties"))):
        yield _plain("schema", f"{where}: properties", one.get("properties"), other.get("properties"))


def _file(name: str, one: Document, other: Document) -> Iterator[Change]:
    content = ("content", "encoding")
    plain = [key for key in dict.fromkeys([*one, *other]) if key not in content]
    yield from _fields("file", name, one, other, plain)
    if all(_same(one[key], other[key]) for key in content):
        return
    if one["encoding"] == other["encoding"] == "text":
        before, after = from_lines(one["content"]), from_lines(other["content"])
        yield Change(kind="file", where=name, before=before, after=after, text=unified(before, after))
        return
    sides = [_summary(side) for side in (one, other)]
    yield Change(
        kind="file", where=name, before=sides[0], after=sides[1],
        text=f"{sides[0]['size']} → {sides[1]['size']} bytes",
    )  # fmt: skip


def _summary(artifact: Document) -> dict[str, Json]:
    """Return size and digest of a file that is no text."""
    text = artifact["encoding"] == "text"
    data = (
        from_lines(artifact["content"]).encode() if text else base64.b64decode("".join(artifact["content"]))
    )
    return {"size": len(data), "digest": digest_of(data)}


def _reasons(one: Sequence[Document], other: Sequence[Document]) -> Iterator[Change]:
    """Yield decisions that came or went, and whether those that stayed stand in another order."""
    before, after = ({canonical(item): item for item in side} for side in (one, other))
    for mark, item in before.items():
        if mark not in after:
            yield Change(kind="reason", where=item["subject"], before=item, text=f"no longer: {_said(item)}")
    for mark, item in after.items():
        if mark not in before:
            yield Change(kind="reason", where=item["subject"], after=item, text=f"now: {_said(item)}")
    if before.keys() == after.keys() and not _same(list(one), list(other)):
        yield Change(kind="reason", where="order", text="the decisions stand in another order or number")


def _said(reason: Document) -> str:
    return _short(f"{reason['decision']} by {reason['rule']}. {reason.get('detail', '')}".strip())
