"""The composed skill: an ordinary one whose nodes are skills, with words, inputs and outputs of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from skillsmith.library.composing.flow import Flow
from skillsmith.library.composing.parts import Part, Pattern, always_given
from skillsmith.library.composing.wiring import Wire
from skillsmith.library.matching.wording import spoken
from skillsmith.models import FromInput, FromNode, Json, Node, Reason, Skill, Variable

_PLACE = re.compile(r"\{(\w+)\}")
_JOINED: Mapping[Pattern, str] = {"sequential": "; then ", "parallel": "; and ", "conditional": "; then "}
_MAX_TITLE = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a composed skill is made of.

    Args:
        wires: One for each input of each part.
        variables: The inputs of the whole.
        problems: Why it cannot be made, one line each.
    """

    name: str
    pattern: Pattern
    when: tuple[str, ...]
    parts: tuple[Part, ...]
    flow: Flow
    wires: tuple[Wire, ...]
    variables: tuple[Variable, ...]
    problems: tuple[str, ...] = ()

    def of(self, label: str) -> dict[str, Wire]:
        """Return the wires of a part by input."""
        return {wire.input: wire for wire in self.wires if wire.part == label}


@dataclass(slots=True)
class Outputs:
    """The outputs of the whole.

    Args:
        owners: By name, the part and its output.
        problems: Names that would stand for two.
    """

    owners: dict[str, tuple[Part, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def outputs_of(parts: Sequence[Part], pattern: Pattern) -> Outputs:
    """Return what the whole gives: everything that its parts give.

    A name that several parts give belongs to the last of a sequence; the others, and all that stand side by
    side, get the part's label before it.
    """
    found = Outputs()
    last = {name: part.label for part in parts for name in part.skill.output_bindings}
    times = Counter(name for part in parts for name in part.skill.output_bindings)
    for part in parts:
        for name in part.skill.output_bindings:
            own = times[name] == 1 or (pattern == "sequential" and last[name] == part.label)
            title = name if own else f"{part.label}_{name}"
            if title in found.owners:
                found.problems.append(f"two outputs would be called {title}: give a part another label")
            found.owners[title] = (part, name)
    return found


def composed_skill(plan: Plan, *, description: str = "", tags: Sequence[str] = ()) -> Skill:
    """Return the skill of a sound plan, without proofs.

    Args:
        plan: What it is made of.
        description: Instead of one made of the parts'.
        tags: Instead of the parts'.
    """
    owners = outputs_of(plan.parts, plan.pattern).owners
    properties = {title: _schema(part.skill, name) for title, (part, name) in owners.items()}
    required = [
        title for title, (part, name) in owners.items()
        if always_given(part.skill, name) and part.label not in plan.flow.conditions
    ]  # fmt: skip
    return Skill(
        name=plan.name,
        description=description or _description(plan),
        task_pattern=_pattern(plan),
        tags=tuple(tags) or tuple(dict.fromkeys(chain.from_iterable(part.skill.tags for part in plan.parts))),
        variables=plan.variables,
        outputs={"type": "object", "properties": properties, "required": required},
        output_bindings={title: FromNode(part.label, (name,)) for title, (part, name) in owners.items()},
        nodes=tuple(_node(plan, part) for part in plan.parts),
        agents=tuple(dict.fromkeys(chain.from_iterable(part.skill.agents for part in plan.parts))),
        context_requirements=_requirements(plan.parts),
        why=tuple(_why(plan)),
        reason=f"composed of {', '.join(part.ref for part in plan.parts)}",
        lineage={"skills": [part.ref for part in plan.parts]},
    )


def _schema(skill: Skill, name: str) -> Json:
    """Return the schema of an output; none when it refers to another place of the part's schema."""
    properties = skill.outputs.get("properties")
    schema = properties.get(name, {}) if isinstance(properties, Mapping) else {}
    return {} if _refers(schema) else schema


def _refers(schema: Json) -> bool:
    if isinstance(schema, Mapping):
        return not {"$ref", "$dynamicRef"}.isdisjoint(schema) or any(map(_refers, schema.values()))
    return isinstance(schema, list) and any(map(_refers, schema))


def _node(plan: Plan, part: Part) -> Node:
    before = plan.flow.before[part.label]
    looks = all(stop.node.effect == "read" for stop in part.graph.work())
    return Node(
        id=part.label, kind="skill", title=_sentence(part.skill)[:_MAX_TITLE], tool=part.ref,
        arguments={name: wire.binding for name, wire in plan.of(part.label).items()},
        effect="read" if looks else "write", after=before[-1:],
        condition=plan.flow.conditions.get(part.label),
    )  # fmt: skip


def _requirements(parts: Sequence[Part]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key in ("tools", "packages", "notes"):
        lists = (part.skill.context_requirements.get(key) for part in parts)
        every = chain.from_iterable(one for one in lists if isinstance(one, list))
        found[key] = list(dict.fromkeys(value for value in every if isinstance(value, str)))
    return found


def _sentence(skill: Skill) -> str:
    """Return the first sentence of a skill's description, else its name in words."""
    text = skill.description.strip() or spoken(skill.name)
    return re.split(r"(?<=[.!?])\s|\n", text, maxsplit=1)[0].strip().rstrip(".;")


def _description(plan: Plan) -> str:
    sentences = [_sentence(part.skill) for part in plan.parts]
    return _joined(plan, [sentences[0], *map(_lowered, sentences[1:])]) + "."


def _lowered(text: str) -> str:
    """Return a text with its first letter small, unless it begins with an abbreviation or a name like it."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _pattern(plan: Plan) -> str:
    texts = []
    for part in plan.parts:
        text = part.skill.task_pattern.strip() or _sentence(part.skill)
        texts.append(_placed(text, plan.of(part.label)).rstrip(" .;"))
    return _joined(plan, [texts[0], *map(_lowered, texts[1:])])


def _placed(pattern: str, wires: Mapping[str, Wire]) -> str:
    """Return a task pattern with the names of the whole's inputs; what a part gives is said in words."""

    def place(found: re.Match[str]) -> str:
        wire = wires.get(found[1])
        if wire is None:
            return found[0]
        if isinstance(wire.binding, FromInput):
            return f"{{{wire.binding.name}}}"
        return f"the {spoken(wire.source.rpartition('.')[2])}"

    return _PLACE.sub(place, pattern)


def _joined(plan: Plan, texts: Sequence[str]) -> str:
    """Return what the parts do as one text; branches with their conditions."""
    conditions = [plan.flow.conditions.get(part.label) for part in plan.parts]
    shown = []
    for place, text in enumerate(texts):
        if conditions[place] is None:
            shown.append(text)
            continue
        branch = sum(condition is not None for condition in conditions[:place])
        when = f"if {plan.when[branch].strip()}, " if branch < len(plan.when) else "otherwise "
        shown.append(when + text)
    return _JOINED[plan.pattern].join(shown).replace("; then otherwise ", "; otherwise ")


def _why(plan: Plan) -> Iterator[Reason]:
    """Yield why each part is there, where each input comes from, and what people had said of it."""
    for part in plan.parts:
        proved = ", ".join(dict.fromkeys(proof.level for proof in part.skill.proofs if proof.passed))
        yield Reason(
            subject=part.label, decision="kept", rule="composed",
            detail=f"{part.ref}, {part.skill.state}" + (f" ({proved})" if proved else ""),
        )  # fmt: skip
        wires = plan.of(part.label)
        for wire in wires.values():
            whole = isinstance(wire.binding, FromInput)
            yield Reason(
                subject=f"{wire.part}.{wire.input}", decision="input" if whole else "flow", rule=wire.rule,
                detail=f"{wire.source}: {wire.reason}",
            )  # fmt: skip
        lifted = {name for name, wire in wires.items() if isinstance(wire.binding, FromInput)}
        said = {one.name: one.default for one in part.skill.variables if one.name in lifted}
        for reason in part.skill.why:
            if reason.rule == "user-words" and reason.decision == "input" and reason.value in said.values():
                yield replace(reason, subject=f"{part.label}/{reason.subject}", witnesses=())
