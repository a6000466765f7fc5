"""The graph that an execution walks: a skill's nodes with those of its sub-skills in their place.

A node's key is its id, inside a sub-skill ``NODE/ID``. A sub-skill is entered at ``NODE/``, where its inputs
are bound, and left at ``NODE``, whose result is the sub-skill's outputs; so whatever needs the node waits
for all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from skillsmith.errors import ExecutionError
from skillsmith.library.program.bindings import sources
from skillsmith.library.program.conditions import names_in
from skillsmith.library.program.inputs import missing_inputs
from skillsmith.library.program.validation import bindings_of, expressions_of
from skillsmith.library.store.reader import SkillReader
from skillsmith.models import FromNode, Json, Node, Skill

MAX_STOPS = 2_000
"""Of one execution: nodes, sub-skills' nodes, and their entries and exits. Skills that call others six times
each grow sixfold with every level."""

MAX_DEPTH = 50
"""Of sub-skills inside sub-skills."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One stop on the way through a graph.

    Args:
        key: Unique in the execution.
        node: The node.
        scope: Key prefix of the skill that the node belongs to: "" or ``n4/``.
        after: Keys that must be settled before.
        uses: Those of them whose result it reads.
        enters: The sub-skill whose inputs are bound here.
        leaves: The sub-skill whose outputs are collected here.
    """

    key: str
    node: Node
    scope: str = ""
    after: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    enters: Skill | None = None
    leaves: Skill | None = None

    @property
    def inner(self) -> str:
        """The scope inside the sub-skill that begins or ends here."""
        return f"{self.scope}{self.node.id}/"


@dataclass(frozen=True, slots=True)
class Graph:
    """All stops by key, and the skill of each scope."""

    stops: Mapping[str, Stop] = field(default_factory=dict)
    skills: Mapping[str, Skill] = field(default_factory=dict)

    def sorter(self) -> TopologicalSorter[str]:
        """Return a prepared sorter over the stops."""
        sorter = TopologicalSorter({key: stop.after for key, stop in self.stops.items()})
        try:
            sorter.prepare()
        except CycleError as error:
            circle = " → ".join(reversed(error.args[1]))
            raise ExecutionError(f"the nodes wait for each other: {circle}") from error
        return sorter

    def work(self) -> Iterator[Stop]:
        """Yield the stops where something is done: all but entries and exits of sub-skills."""
        return (stop for stop in self.stops.values() if not stop.enters and not stop.leaves)


def build_graph(skill: Skill, skills: SkillReader) -> Graph:
    """Return the graph of a skill with its sub-skills in place.

    Args:
        skill: The skill.
        skills: Where sub-skills are found.

    Raises:
        NotFoundError: A sub-skill is not in the library.
        ExecutionError: The nodes or sub-skills go round in a circle, or a sub-skill lacks an input.
    """
    expansion = _Expansion(skills)
    expansion.add(skill, scope="", entry=frozenset(), outer=())
    graph = Graph(expansion.stops, expansion.known)
    graph.sorter()
    return graph


class _Expansion:
    """Puts sub-skills in their nodes' place."""

    def __init__(self, skills: SkillReader) -> None:
        self._skills = skills
        self._read: dict[str, Skill] = {}
        self.stops: dict[str, Stop] = {}
        self.known: dict[str, Skill] = {}

    def add(self, skill: Skill, *, scope: str, entry: frozenset[str], outer: tuple[str, ...]) -> set[str]:
        """Add a skill's stops and return the keys of those on its own level.

        Args:
            skill: The skill.
            scope: Key prefix of its nodes.
            entry: What all of them wait for.
            outer: Names of the skills it is inside of.
        """
        _refuse_circle(skill.name, outer)
        self.known[scope] = skill
        ids = {node.id for node in skill.nodes}
        for node in skill.nodes:
            uses = frozenset(scope + name for name in _uses(node) & ids)
            after = uses | {scope + name for name in node.after} | entry
            stop = Stop(key=scope + node.id, node=node, scope=scope, after=after, uses=uses)
            if node.kind == "skill":
                self._add_child(stop, (*outer, skill.name))
            else:
                self._put(stop)
        return {scope + name for name in ids}

    def _add_child(self, stop: Stop, outer: tuple[str, ...]) -> None:
        child = self._child(stop.node)
        enters = replace(stop, key=f"{stop.key}/", enters=child)
        self._put(enters)
        inner = self.add(child, scope=enters.inner, entry=frozenset({enters.key}), outer=outer)
        # the exits of deeper sub-skills are on the child's own level, so all of it is waited for
        self._put(replace(stop, after=frozenset({enters.key, *inner}), uses=frozenset(), leaves=child))

    def _child(self, node: Node) -> Skill:
        reference = node.tool or ""
        if reference not in self._read:
            self._read[reference] = self._skills.get(reference)
        child = self._read[reference]
        _refuse_unbound(node, child)
        return child

    def _put(self, stop: Stop) -> None:
        if len(self.stops) >= MAX_STOPS:
            raise ExecutionError(
                f"skill {self.known[''].name!r} has more than {MAX_STOPS:,} nodes with those of the skills it"
                " calls",
                hint="run them one by one",
            )
        self.stops[stop.key] = stop


def _refuse_circle(name: str, outer: tuple[str, ...]) -> None:
    if name in outer:
        circle = " → ".join((*outer[outer.index(name) :], name))
        raise ExecutionError(
            f"skill {name!r} contains itself: {circle}", hint="take the circle out of its sub-skills"
        )
    if len(outer) > MAX_DEPTH:
        raise ExecutionError(
            f"skill {outer[0]!r} has sub-skills more than {MAX_DEPTH} deep", hint="call fewer inside others"
        )


def _uses(node: Node) -> set[str]:
    """Return ids of the nodes whose results a node reads, in bindings and in expressions."""
    used = {
        source.node
        for _, binding in bindings_of(node)
        for source in sources(binding)
        if isinstance(source, FromNode)
    }
    for _, expression in expressions_of(node):
        used |= names_in(expression)
    return used


def _refuse_unbound(node: Node, child: Skill) -> None:
    given: dict[str, Json] = dict.fromkeys(node.arguments)
    missing = missing_inputs(child, given)
    unknown = sorted(set(given) - {variable.name for variable in child.variables})
    if missing:
        raise ExecutionError(f"node {node.id} gives skill {child.name!r} no {', '.join(missing)}")
    if unknown:
        raise ExecutionError(
            f"node {node.id} gives skill {child.name!r} {', '.join(unknown)}, which it does not take"
        )
