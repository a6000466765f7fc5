"""Names, descriptions, tags and task patterns for new skills, made from what the run did."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from skillsmith.library.program.effects import name_words
from skillsmith.library.trace.calls import Said
from skillsmith.library.trace.literals import find
from skillsmith.library.trace.naming import identifier
from skillsmith.models import Json, Node, Reason, Variable

MAX_TAGS = 8
MAX_NAME_CHARS = 64
_NO_TAG = frozenset(
    "a an and as at by for from get set in into is it me my of on or our please the this that to up use "
    "with you your".split()
)


def task_pattern(task: str, variables: Sequence[Variable], why: Iterable[Reason] = ()) -> str:
    """Return the task with its variables in place: ``cancel ABC123`` → ``cancel {reservation_id}``.

    Args:
        task: The source task.
        variables: The skill's inputs.
        why: The decisions that lifted them, whose witnesses say where in the task each value stood.
    """
    spans: list[tuple[int, int, str]] = []
    seen = list(_seen_in_task(why, len(task)))
    places = {variable.name: _witnessed(variable, seen) for variable in variables}
    longest_first = sorted(variables, key=lambda one: -len(str(one.default)))
    for variable in sorted(longest_first, key=lambda one: places[one.name] is None):
        span = places[variable.name] or _found(variable, task)
        if span and all(span[1] <= start or span[0] >= end for start, end, _ in spans):
            spans.append((*span, variable.name))
    for start, end, name in sorted(spans, reverse=True):
        task = f"{task[:start]}{{{name}}}{task[end:]}"
    return task


def _seen_in_task(why: Iterable[Reason], length: int) -> Iterator[tuple[str, Json, tuple[int, int]]]:
    """Yield name, value and span of what was lifted from the task's own words."""
    for reason in why:
        witness = next((one for one in reason.witnesses if one.where == "task"), None)
        place = re.fullmatch(r"(\d+)-(\d+)", witness.path) if witness else None
        if reason.decision == "input" and place and int(place[2]) <= length:
            steps = re.findall(r"[A-Za-z_]\w*", reason.subject)
            yield identifier(steps[-1]) if steps else "", reason.value, (int(place[1]), int(place[2]))


def _witnessed(
    variable: Variable, seen: Iterable[tuple[str, Json, tuple[int, int]]]
) -> tuple[int, int] | None:
    """Return the span that a variable was lifted from: of its value, and rather under its own name."""
    own = re.sub(r"_\d+$", "", variable.name)
    alike = [
        (name == variable.name, name == own, span)
        for name, value, span in seen
        if type(value) is type(variable.default) and value == variable.default
    ]
    return max(alike, key=lambda one: one[:2])[2] if alike else None


def _found(variable: Variable, task: str) -> tuple[int, int] | None:
    found = find(variable.default, [Said(0, "task", task)], before=1, near=variable.name)
    return (found.start, found.end) if found else None


def description(nodes: Sequence[Node], task: str) -> str:
    """Return one sentence from the first sentence of the task and one on what is done."""
    goals = [node for node in nodes if node.effect == "write"] or list(nodes)
    done = Counter(" ".join(name_words(node.tool)) if node.tool else node.title for node in goals)
    deeds = ", ".join(deed if count == 1 else f"{deed} ({count} times)" for deed, count in done.items())
    first = re.split(r"(?<=[.!?])\s|\n", task.strip(), maxsplit=1)[0][:200]
    return ". ".join(part.rstrip(".") for part in (first, deeds[:1].upper() + deeds[1:]) if part) + "."


def skill_name(nodes: Sequence[Node], task: str) -> str:
    """Return a name from the tools that change something, else from the task's first words."""
    tools = dict.fromkeys(node.tool for node in nodes if node.tool and node.effect == "write")
    words = [word for tool in tools for word in name_words(tool or "")] or re.findall(
        r"[a-z0-9]+", task.lower()
    )
    telling = [word for word in words if word not in _NO_TAG] or ["skill"]
    return "_".join(telling[:6])[:MAX_NAME_CHARS].strip("_")


def tags(nodes: Iterable[Node], packages: Iterable[str]) -> tuple[str, ...]:
    """Return the words that tools, languages and packages have most in common."""
    counts: Counter[str] = Counter()
    for node in nodes:
        words = dict.fromkeys(name_words(node.tool or ""))
        counts.update(word for word in words if word not in _NO_TAG)
        counts.update([node.language] if node.language else [])
    counts.update(packages)
    return tuple(word for word, _ in counts.most_common(MAX_TAGS) if len(word) > 1)


def schema_of(value: Json, *, depth: int = 3) -> dict[str, Json]:
    """Return a JSON Schema that the value and others of its shape meet."""
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, (int, float)):
        return {"type": "number"}
    if isinstance(value, str):
        return {"type": "string"}
    if isinstance(value, list):
        shapes = [schema_of(item, depth=depth - 1) for item in value] if depth else []
        alike = bool(shapes) and all(shape == shapes[0] for shape in shapes)
        return {"type": "array"} | ({"items": shapes[0]} if alike and shapes[0] else {})
    if isinstance(value, dict):
        fields = {key: schema_of(item, depth=depth - 1) for key, item in value.items()} if depth else {}
        return {"type": "object"} | ({"properties": fields} if fields else {})
    return {}
