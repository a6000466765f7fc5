"""Where each input of a composition's parts comes from, and why: by hand, by name, by type and words.

Nothing is wired in silence: every input of every part has one wire with its rule and its reason, also where
it stays an input of the whole. What is wired by hand is checked, and never wired otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TypeAlias

from skillsmith.library.composing.parts import Offer, Part, cast_for, has_shape_of, recorded_output
from skillsmith.library.matching.wording import spoken, telling_stems
from skillsmith.library.program.bindings import UnresolvedError, as_text
from skillsmith.library.proof import defaults_of
from skillsmith.library.trace.naming import identifier
from skillsmith.models import Binding, FromInput, FromNode, Json, Variable

Place: TypeAlias = tuple[str, str]
"""A part's label and the name of one of its inputs."""

_STRUCTURED = frozenset({"list", "object"})
_SAYS_LITTLE = frozenset(
    "path file name id value data datum result output input list number text string item new final".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """Where one input of one part comes from.

    Args:
        source: What gives it as people write it: ``load.rows``, or ``input width``.
        rule: given, same-name, same-file, words, only-one; for inputs of the whole input, shared or prefixed.
        reason: One sentence.
        binding: As the part's node reads it.
        offer: What gives it; None for inputs of the whole.
    """

    part: str
    input: str
    source: str
    rule: str
    reason: str
    binding: Binding
    offer: Offer | None = None

    @property
    def place(self) -> Place:
        """What it leads to."""
        return self.part, self.input

    def document(self) -> dict[str, Json]:
        """Return the wire as JSON."""
        return {
            "to": f"{self.part}.{self.input}", "from": self.source, "rule": self.rule, "reason": self.reason,
        }  # fmt: skip


def parse_wires(texts: Sequence[str]) -> tuple[dict[Place, str], list[str]]:
    """Read wires given by hand, ``PART.INPUT=SOURCE`` each; return them and what is wrong with others."""
    wires: dict[Place, str] = {}
    problems = []
    for text in texts:
        target, equals, source = text.partition("=")
        part, dot, name = target.strip().partition(".")
        if not (equals and dot and part and name):
            problems.append(f"the wire {text!r} is not written PART.INPUT=PART.OUTPUT")
        elif (part, name) in wires:
            problems.append(f"{part}.{name} is wired twice")
        else:
            wires[part, name] = source.strip()
    return wires, problems


class Wirer:
    """Wires the parts of one composition.

    Args:
        parts: In their order.
        before: By label, the parts whose results it may read, the nearest last.
        given: Wires by hand.
        inputs: Further inputs of the whole, which conditions may read.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        before: Mapping[str, Sequence[str]],
        given: Mapping[Place, str],
        inputs: Sequence[Variable] = (),
    ) -> None:
        self._parts = {part.label: part for part in parts}
        self._before = before
        self._given = given
        self._offers = {part.label: list(part.offers()) for part in parts}
        self._fed: dict[Place, Wire] = {}
        self._named: dict[Place, str] = {}
        self._same: dict[Place, Place] = {}
        self._inputs = {variable.name: variable for variable in inputs}
        self.problems: list[str] = []

    def run(self) -> tuple[tuple[Wire, ...], tuple[Variable, ...]]:
        """Return all wires in the order of parts and their inputs, and the inputs of the whole.

        ``problems`` says what is wrong with them.
        """
        for place, source in self._given.items():
            self._by_hand(place, source)
        for part in self._parts.values():
            self._automatically(part)
        variables, lifted = self._lifted()
        wires = {**self._fed, **lifted}
        wires |= {wire.place: wire for wire in self._shared(wires)}
        order = [(part.label, one.name) for part in self._parts.values() for one in part.skill.variables]
        return tuple(wires[place] for place in order if place in wires), variables

    # ---------------------------------------------------------------------------------------- by hand

    def _by_hand(self, place: Place, source: str) -> None:
        variable = self._variable(place)
        if variable is None:
            return
        label, dot, rest = source.partition(".")
        if not dot:
            self._name(place, source)
        elif label not in self._parts:
            self._wrong(place, f"there is no part {label}; there are {', '.join(self._parts)}")
        else:
            self._from_part(place, variable, self._parts[label], rest)

    def _variable(self, place: Place) -> Variable | None:
        """Return the input at a place; notes a problem when there is none."""
        label, name = place
        if label not in self._parts:
            self._wrong(place, f"there is no part {label}; there are {', '.join(self._parts)}")
            return None
        variables = {one.name: one for one in self._parts[label].skill.variables}
        if name not in variables:
            self._wrong(place, f"{label} takes no {name}; it takes {', '.join(variables) or 'nothing'}")
        return variables.get(name)

    def _wrong(self, place: Place, why: str) -> None:
        self.problems.append(f"{'.'.join(place)}: {why}")

    def _name(self, place: Place, name: str) -> None:
        if name and not name.isidentifier():
            self._wrong(place, f"{name!r} is no name for an input")
        else:
            self._named[place] = name or place[1]

    def _from_part(self, place: Place, variable: Variable, part: Part, rest: str) -> None:
        path = tuple(rest.split("."))
        offer = next((one for one in self._offers[part.label] if one.path == path), None)
        inputs = {one.name: one for one in part.skill.variables}
        done = part.label in self._before[place[0]]
        if rest in inputs and part.label != place[0] and (offer is None or not done):
            self._share(place, variable, (part.label, rest), inputs[rest])
        elif offer is None:
            known = ", ".join(".".join(one.path) for one in self._offers[part.label]) or "nothing"
            self._wrong(place, f"{part.label} gives no {rest}; it gives {known}")
        elif not done:
            self._wrong(place, f"{part.label} is not done before {place[0]}, so it cannot give {offer.text}")
        elif not offer.always:
            self._wrong(place, f"{offer.text} may be missing: it is given under a condition only")
        else:
            self._feed(place, variable, offer, rule="given", reason="given by hand", insist=True)

    def _share(self, place: Place, variable: Variable, other: Place, theirs: Variable) -> None:
        if not _takes(variable, theirs):
            self._wrong(place, f"it takes {variable.type}, and {'.'.join(other)} is {theirs.type}")
        else:
            self._same[place] = other

    def _feed(
        self, place: Place, variable: Variable, offer: Offer, *, rule: str, reason: str, insist: bool = False
    ) -> bool:
        """Wire an input to an output, if the types fit."""
        cast = cast_for(offer.kind, variable)
        if cast is None:
            if insist:
                self._wrong(
                    place,
                    f"it takes {variable.type}, and {offer.text} is {offer.kind}: say where it comes from,"
                    f" or leave it to the user with {'.'.join(place)}=",
                )
            return False
        if offer.kind is None:
            reason += "; its type is not known before it runs"
        self._fed[place] = Wire(
            part=place[0], input=place[1], source=offer.text, rule=rule, reason=reason,
            binding=FromNode(offer.part, offer.path, cast or None), offer=offer,
        )  # fmt: skip
        return True

    # ----------------------------------------------------------------------------------- automatically

    def _automatically(self, part: Part) -> None:
        offers = [
            offer
            for label in reversed(self._before[part.label])
            for offer in self._offers[label]
            if offer.always
        ]
        for variable in self._open(part):
            self._by_name(part, variable, offers)
        for rule in (self._by_file, self._by_words, self._by_only):
            for variable in self._open(part):
                used = {wire.source for place, wire in self._fed.items() if place[0] == part.label}
                rule(part, variable, [offer for offer in offers if offer.text not in used])

    def _open(self, part: Part) -> list[Variable]:
        """Return the inputs of a part that nothing is wired to yet."""
        settled = {*self._fed, *self._named, *self._same, *self._given}
        return [one for one in part.skill.variables if (part.label, one.name) not in settled]

    def _by_name(self, part: Part, variable: Variable, offers: Sequence[Offer]) -> None:
        place = (part.label, variable.name)
        named = [one for one in offers if identifier(one.path[-1]) == variable.name]
        named.sort(key=lambda one: len(one.path) > 1)  # an output itself before a field inside one
        for offer in named:
            whole = len(offer.path) == 1
            reason = "both have the same name" if whole else f"a field of {offer.path[0]} has the same name"
            if self._feed(place, variable, offer, rule="same-name", reason=reason, insist=whole) or whole:
                return

    def _by_file(self, part: Part, variable: Variable, offers: Sequence[Offer]) -> None:
        """Wire a file to read to the very file that an earlier part makes."""
        made = [(offer, self._made(offer)) for offer in offers if offer.kind == "path"]
        same = [(offer, path) for offer, path in made if path is not None and path == variable.default]
        if variable.type == "path" and same:
            offer, path = same[0]
            reason = f"{offer.part} makes {path}, which {part.label} takes"
            self._feed((part.label, variable.name), variable, offer, rule="same-file", reason=reason)

    def _made(self, offer: Offer) -> str | None:
        """Return the path of a file output as it is with the recorded values, when these tell it."""
        part = self._parts[offer.part]
        try:
            path = recorded_output(part.graph, "", offer.path[0], defaults_of(part.skill))
        except UnresolvedError:  # only a result tells it
            return None
        return path if isinstance(path, str) and len(offer.path) == 1 else None

    def _by_words(self, part: Part, variable: Variable, offers: Sequence[Offer]) -> None:
        """Wire an input to the one output of its type whose words are its own."""
        alike = [one for one in offers if one.kind == _kind(variable) and has_shape_of(one, variable.default)]
        near = [(offer, _common(offer, variable)) for offer in alike]
        near = sorted((one for one in near if one[1]), key=lambda one: -len(one[1]))
        if not near:
            return
        offer, shared = near[0]
        if any(one[0].part == offer.part and len(one[1]) == len(shared) for one in near[1:]):
            return  # two of them fit equally well: the user has to say which
        reason = f"both are {variable.type} and speak of {', '.join(sorted(shared))}"
        self._feed((part.label, variable.name), variable, offer, rule="words", reason=reason)

    def _by_only(self, part: Part, variable: Variable, offers: Sequence[Offer]) -> None:
        """Wire the only list or object, or the only file of a suffix, that there is on both sides."""
        kind = variable.type
        alike = [one for one in self._open(part) if one.type == kind]
        nearest = [one for one in offers if one.kind == kind and len(one.path) == 1]
        nearest = [one for one in nearest if one.part == nearest[0].part]
        if kind == "path":
            nearest = [one for one in nearest if _suffix(self._made(one)) == _suffix(variable.default) != ""]
            alike = [one for one in alike if _suffix(one.default) == _suffix(variable.default)]
        if kind not in {*_STRUCTURED, "path"} or len(nearest) != 1 or len(alike) != 1:
            return
        offer = nearest[0]
        if not has_shape_of(offer, variable.default):
            return
        what = f"{_suffix(variable.default)} file" if kind == "path" else kind
        reason = f"the only {what} that {offer.part} gives, and the only one that {part.label} takes"
        self._feed((part.label, variable.name), variable, offer, rule="only-one", reason=reason)

    # ------------------------------------------------------------------------------- inputs of the whole

    def _lifted(self) -> tuple[tuple[Variable, ...], dict[Place, Wire]]:
        """Return the inputs of the whole, and the wires to them."""
        groups: dict[str, list[tuple[Place, Variable]]] = {}
        for part in self._parts.values():
            for one in part.skill.variables:
                place = (part.label, one.name)
                if place not in self._fed and place not in self._same:
                    groups.setdefault(self._named.get(place, one.name), []).append((place, one))
        variables, wires = dict(self._inputs), dict[Place, Wire]()
        for name, members in groups.items():
            for new, places, rule, reason in self._settle(name, members):
                if new.name in variables and new != variables[new.name]:
                    if rule != "given":
                        self.problems.append(f"two inputs would be called {new.name}: name one with --wire")
                        continue
                    new = variables[new.name]  # noqa: PLW2901  (the one declared for the whole)
                variables[new.name] = new
                wires.update({
                    place: Wire(
                        part=place[0], input=place[1], source=f"input {new.name}", rule=rule, reason=reason,
                        binding=FromInput(new.name),
                    )
                    for place in places
                })  # fmt: skip
        return tuple(variables.values()), wires

    def _settle(
        self, name: str, members: Sequence[tuple[Place, Variable]]
    ) -> Iterator[tuple[Variable, list[Place], str, str]]:
        """Yield what inputs of one name become: one input of the whole, or one each."""
        places, first = [place for place, _ in members], members[0][1]
        by_hand = any(place in self._named for place in places) and name != first.name
        labels = " and ".join(place[0] for place in places)
        required = any(one.required for _, one in members)
        if by_hand or name in self._inputs or any(self._given.get(place) for place in places):
            known = self._inputs.get(name, replace(first, name=name, required=required))
            for place, one in members:
                if not _takes(one, known):
                    self._wrong(place, f"it takes {one.type}, and the input {name} is {known.type}")
            yield known, places, "given", "given by hand"
        elif all(_agree(one, first) for _, one in members) and name not in self._parts:
            shared = len(members) > 1
            reason = f"{labels} take the same" if shared else "nothing before it gives it"
            yield replace(first, required=required), places, "shared" if shared else "input", reason
        else:
            why = f"{labels} mean different things by {name}" if len(members) > 1 else f"{name} is a part"
            for place, one in members:
                yield replace(one, name=f"{place[0]}_{one.name}"), [place], "prefixed", why

    def _shared(self, wires: Mapping[Place, Wire]) -> Iterator[Wire]:
        """Yield the wires of inputs that were given that of another part's input."""
        for place, other in self._same.items():
            at, seen = other, {place}
            while at in self._same and at not in seen:
                seen.add(at)
                at = self._same[at]
            wire = wires.get(at)
            if wire is None or (wire.offer is not None and wire.offer.part not in self._before[place[0]]):
                self._wrong(place, f"{'.'.join(other)} has no value that it could share")
                continue
            reason = f"given by hand: the same as {'.'.join(other)}"
            yield replace(wire, part=place[0], input=place[1], rule="given", reason=reason)


def _takes(variable: Variable, other: Variable) -> bool:
    """Tell whether an input takes every value that another one takes, as far as types say."""
    return cast_for(_kind(other), variable) == ""


def _kind(variable: Variable) -> str:
    return "number" if variable.type == "integer" else variable.type


def _words(name: str, description: Json = None) -> frozenset[str]:
    """Return the stems of a value's telling words."""
    said = f"{spoken(name)} {description if isinstance(description, str) else ''}"
    return telling_stems(said) - _SAYS_LITTLE


def _common(offer: Offer, variable: Variable) -> frozenset[str]:
    """Return the words by which an output is what an input wants; none when that is not sure.

    All words of the input's name are said of the output; or, where the input's name says little, all of the
    output's name are in its description; or their names have half of their words in common.
    """
    wanted, own = _words(variable.name), _words(offer.path[-1])
    if wanted and wanted <= _words(offer.path[-1], offer.schema.get("description")):
        return wanted
    if not wanted and own <= _words(variable.name, variable.description):
        return own
    shared = wanted & own
    return shared if 2 * len(shared) >= len(wanted | own) else frozenset()


def _agree(one: Variable, other: Variable) -> bool:
    return (one.type, one.enum, as_text(one.default)) == (other.type, other.enum, as_text(other.default))


def _suffix(path: Json) -> str:
    return PurePosixPath(path).suffix.lower() if isinstance(path, str) else ""
