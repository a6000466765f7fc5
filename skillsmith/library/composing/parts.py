"""The parts of a composition: which versions of which skills, what each gives, and of what type that is.

A part is pinned to the version it was composed with, so what was proven stays what runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, get_args

from skillsmith.errors import RefusedError, UntrustedError, UsageError
from skillsmith.library.extraction.describe import schema_of
from skillsmith.library.program.bindings import UnresolvedError, resolve, sources
from skillsmith.library.program.conditions import FUNCTIONS
from skillsmith.library.program.graph import Graph, build_graph
from skillsmith.library.store.reader import SkillReader
from skillsmith.library.trace.naming import identifier
from skillsmith.models import FromNode, Json, Skill, Variable

Pattern = Literal["sequential", "parallel", "conditional"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)

MAX_PARTS = 50
MAX_FIELDS_DEEP = 3
"""Fields of an output that are objects themselves are looked into this deep."""

_DATA = re.compile(r"\d{3}|[^\w-]")
"""A field that is called so is named by data, not by a program: the next result will not have it."""

_RESERVED = frozenset({*FUNCTIONS, "inputs", "results"})
"""What these names mean in conditions, no part can mean."""

_FORMATS = {"date": "date", "path": "path", "uri": "url", "email": "email", "id": "id"}
_JSON_KINDS = {"array": "list", "integer": "number"}
_TEXTS = frozenset({"string", "path", "url", "email", "id", "date", "enum"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One skill of a composition.

    Args:
        label: What it is called there: its node's id.
        skill: The version.
        graph: Its nodes with those of the skills it calls.
    """

    label: str
    skill: Skill
    graph: Graph

    @property
    def ref(self) -> str:
        """The version as ``NAME@VERSION``."""
        return f"{self.skill.name}@{self.skill.version}"

    def offers(self) -> Iterator[Offer]:
        """Yield its outputs, and of those that are objects their fields."""
        properties = self.skill.outputs.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        for name in self.skill.output_bindings:
            schema = known.get(name, {})
            yield from _offers(self.label, (name,), schema, always=always_given(self.skill, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something that a part gives.

    Args:
        part: Its label.
        path: The output's name, and the fields inside it.
        schema: Its JSON Schema; empty when nothing is known.
        always: Whether it is there whenever the part is done.
    """

    part: str
    path: tuple[str, ...]
    schema: Mapping[str, Json]
    always: bool

    @property
    def kind(self) -> str | None:
        """Its type as types of variables are called; None when it is not known."""
        return kind_of(self.schema)

    @property
    def text(self) -> str:
        """It as people write it: ``load.rows``."""
        return ".".join((self.part, *self.path))


def _offers(label: str, path: tuple[str, ...], schema: Json, *, always: bool) -> Iterator[Offer]:
    schema = schema if isinstance(schema, Mapping) else {}
    yield Offer(part=label, path=path, schema=schema, always=always)
    fields = schema.get("properties")
    if isinstance(fields, Mapping) and len(path) <= MAX_FIELDS_DEEP:
        for name, inner in fields.items():
            if _DATA.search(str(name)):
                continue
            yield from _offers(label, (*path, str(name)), inner, always=always)


def kind_of(schema: Mapping[str, Json]) -> str | None:
    """Return the type that a JSON Schema says, as types of variables are called; None when it says none."""
    kind = schema.get("type")
    if not isinstance(kind, str) or kind == "null":
        return None
    if kind == "string":
        said = schema.get("format") or schema.get("description")  # files that code makes are described so
        return _FORMATS.get(said, kind) if isinstance(said, str) else kind
    return _JSON_KINDS.get(kind, kind)


def cast_for(kind: str | None, variable: Variable) -> str | None:
    """Return how a value reaches an input: "" as it is, else the cast it needs; None: it does not fit."""
    wanted = "number" if variable.type == "integer" else variable.type
    if variable.type == "enum":
        texts = any(isinstance(value, str) for value in variable.enum)
        wanted = "string" if texts else "number"
    if kind is None or kind == wanted:
        return ""
    if kind in _TEXTS and wanted in _TEXTS:
        return "" if "string" in (kind, wanted) or kind == "enum" else None
    return "string" if kind == "number" and wanted in ("string", "id") else None


def has_shape_of(offer: Offer, example: Json) -> bool:
    """Tell whether a list or object holds what a recorded one holds, as far as its schema says.

    Args:
        offer: What a part gives.
        example: The recorded value of an input; none and empty ones say nothing.
    """
    if isinstance(example, list) and example:
        items = offer.schema.get("items")
        return isinstance(items, Mapping) and _is_shaped(items, example[0])
    return not (isinstance(example, dict) and example) or _is_shaped(offer.schema, example)


def _is_shaped(schema: Mapping[str, Json], example: Json) -> bool:
    fields = schema.get("properties")
    if isinstance(example, dict):
        return isinstance(fields, Mapping) and example.keys() <= fields.keys()
    return kind_of(schema) == kind_of(schema_of(example))


def always_given(skill: Skill, output: str) -> bool:
    """Tell whether a skill that has succeeded has this output in any case."""
    if output in skill.outputs.get("required", ()):
        return True
    nodes = {node.id: node for node in skill.nodes}
    used = [one for one in sources(skill.output_bindings[output]) if isinstance(one, FromNode)]
    doubtful = (nodes[one.node] for one in used if one.node in nodes)
    return not any(node.condition is not None or node.optional or node.kind == "skill" for node in doubtful)


def recorded_output(graph: Graph, scope: str, output: str, inputs: Mapping[str, Json]) -> Json:
    """Return what a skill gives when its inputs alone tell it, also through the skills that it calls.

    Args:
        graph: Of the outermost skill.
        scope: The skill in it.
        output: The output's name.
        inputs: Values of the skill's inputs.

    Raises:
        UnresolvedError: Only a result tells it.
    """
    skill, results = graph.skills[scope], dict[str, Json]()
    nodes = {node.id: node for node in skill.nodes if node.kind == "skill"}
    binding = skill.output_bindings[output]
    for source in sources(binding):
        if not isinstance(source, FromNode) or source.node not in nodes or not source.path:
            continue
        inner, name = graph.skills[f"{scope}{source.node}/"], source.path[0]
        if isinstance(name, str) and name in inner.output_bindings:
            given = {one.name: one.default for one in inner.variables}
            for key, argument in nodes[source.node].arguments.items():
                given.pop(key)
                with suppress(UnresolvedError):  # then whatever hangs on it is not known either
                    given[key] = resolve(argument, inputs, {})
            results[source.node] = {name: recorded_output(graph, f"{scope}{source.node}/", name, given)}
    return resolve(binding, inputs, results)


def read_parts(references: Sequence[str], skills: SkillReader, *, name: str) -> tuple[Part, ...]:
    """Return the parts of a composition.

    Args:
        references: ``NAME``, ``NAME@VERSION`` or ``LABEL=NAME@VERSION``, in their order.
        skills: Where they are.
        name: Of the composed skill, which may not be inside any of them.

    Raises:
        NotFoundError: A skill, or one that it calls, is not there.
        UntrustedError: One is in quarantine.
        RefusedError: One is a draft or retired.
        UsageError: There are none or too many, a label is taken, or one contains the composed skill.
    """
    if not references:
        raise UsageError("no skills are named", hint="name them in their order: --skills load,clean,plot")
    if len(references) > MAX_PARTS:
        raise UsageError(
            f"{len(references)} skills are too many", hint=f"compose at most {MAX_PARTS} at once"
        )
    parts: list[Part] = []
    for reference in references:
        label, _, ref = reference.rpartition("=")
        skill = skills.get(ref.strip())
        taken = [part.label for part in parts]
        part = Part(label=_label(label.strip(), skill, taken), skill=skill, graph=build_graph(skill, skills))
        _refuse_unfit(part)
        _refuse_inside(part, name)
        parts.append(part)
    return tuple(parts)


def _label(given: str, skill: Skill, taken: Sequence[str]) -> str:
    if given:
        if not given.isidentifier():
            raise UsageError(f"{given!r} is no label for a part", hint="use letters, digits and _")
        if given in _RESERVED:
            raise UsageError(f"{given} has a meaning in conditions", hint="choose another label")
        if given in taken:
            raise UsageError(f"two parts are labelled {given}", hint="give each a label of its own")
        return given
    base = label = identifier(skill.name)[:60]
    number = 1
    while label in taken or label in _RESERVED:
        number += 1
        label = f"{base}_{number}"
    return label


def _refuse_unfit(part: Part) -> None:
    """Refuse what may not run, or has not been proven, in the part and in all that it calls."""
    for skill in part.graph.skills.values():
        ref = f"{skill.name}@{skill.version}"
        inside = "" if ref == part.ref else f", which {part.ref} calls,"
        if skill.state == "quarantined":
            raise UntrustedError(
                f"{ref}{inside} is in quarantine and cannot be a part",
                hint=f"look at it with `skillsmith show {ref}`, then `skillsmith trust {ref}`",
            )
        if skill.state == "retired":
            raise RefusedError(
                f"{ref}{inside} is retired and cannot be a part", hint="use another version of it"
            )
        if skill.state == "draft":
            raise RefusedError(
                f"{ref}{inside} is a draft: nothing has proven that it works, so nothing is built on it",
                hint=f"extract it with --replay, or look at it and `skillsmith trust {ref}`",
            )


def _refuse_inside(part: Part, name: str) -> None:
    if part.skill.name == name:
        raise UsageError(f"{name} cannot be a part of itself", hint="give the new skill another --name")
    for scope, skill in part.graph.skills.items():
        if skill.name == name:
            way = [part.skill.name, *(part.graph.skills[one].name for one in _scopes(scope)[:-1]), name]
            circle = " → ".join((name, *way))
            raise UsageError(f"{name} would contain itself: {circle}", hint="give it another --name")


def _scopes(scope: str) -> list[str]:
    """Return the scopes on the way to one: ``a/b/`` gives ``a/``, ``a/b/``."""
    steps = scope.split("/")[:-1]
    return ["/".join(steps[: depth + 1]) + "/" for depth in range(len(steps))]
