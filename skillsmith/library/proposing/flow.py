"""Proposals about the order of nodes: run at once what only stands in a row, compute once what is alike.

What a node needs is judged from what is declared *and* from what its executions touched: a file that one node
wrote and another's code names is a dependency, whether or not anybody declared it. In doubt the order stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath

from skillsmith.events import dump_json
from skillsmith.library.code.effects import nondeterminism
from skillsmith.library.program.bindings import sources, to_json
from skillsmith.library.program.conditions import names_in
from skillsmith.library.program.languages import is_python
from skillsmith.library.program.validation import bindings_of, expressions_of
from skillsmith.library.proposing.code import parsed, shares_state
from skillsmith.library.proposing.facts import Facts
from skillsmith.library.proposing.proposals import Proposal, support
from skillsmith.models import FromNode, Json, Node, Skill

SIDE_BY_SIDE = 4
"""How many nodes an execution runs at once."""

MIN_SHARE = 0.05
"""Of the mean duration that a new order must save to be worth a proposal."""

MIN_DIFFERENT = 3
"""Different values that two nodes must have agreed on before their arguments count as the same."""


# ----------------------------------------------------------------------------------------------- together


def side_by_side(facts: Facts) -> Iterator[Proposal]:
    """Propose an order in which independent nodes run at once, when that surely saves time."""
    skill = facts.skill
    if len({node.id for node in skill.nodes}) < 2:  # noqa: PLR2004  (one node has no order)
        return
    now = before_of(skill)
    free = freed_order(facts)
    changed = {node.id: free[node.id] for node in skill.nodes if _differs(node, free[node.id])}
    if not changed:
        return
    new = _closure({node.id: _needs(node) | set(free[node.id]) for node in skill.nodes})
    released = sorted({key for key in now if now[key] - new[key]}, key=list(now).index)
    timed = [fact for fact in facts.successes if not fact.adapted]
    saved = [
        _saved(skill, {node.id: fact.node(node.id).seconds for node in skill.nodes}, free) for fact in timed
    ]
    if not released or not saved:
        return
    seconds, whole = sum(saved) / len(saved), facts.mean_seconds
    gaining = [fact for fact, one in zip(timed, saved, strict=True) if one > 0]
    if not whole or seconds < MIN_SHARE * whole or len(gaining) < len(timed):
        return
    yield Proposal(
        kind="run_together",
        target=", ".join(released),
        change={"edit": "order", "after": {key: list(after) for key, after in changed.items()}},
        evidence=support(
            [fact.execution for fact in gaining], facts.executions,
            f"{', '.join(released)} stand in a row and need nothing of each other: by the recorded times"
            " {{of}} had a shorter way",
        ),
        expected={"seconds": seconds, "share": seconds / whole},
    )  # fmt: skip


def _differs(node: Node, after: Sequence[str]) -> bool:
    return set(node.after) != set(after)


def _needs(node: Node) -> set[str]:
    """Return ids of the nodes whose results a node reads."""
    used = {
        one.node for _, binding in bindings_of(node) for one in sources(binding) if isinstance(one, FromNode)
    }
    for _, expression in expressions_of(node):
        used |= names_in(expression)
    return used


def before_of(skill: Skill) -> dict[str, set[str]]:
    """Return for each node all that must be over before it."""
    ids = {node.id for node in skill.nodes}
    return _closure({node.id: (set(node.after) | _needs(node)) & ids for node in skill.nodes})


def _closure(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for key, direct in edges.items():  # nodes stand in a valid order
        direct = direct & known.keys()  # noqa: PLW2901  (inputs share the namespace of expressions)
        known[key] = direct.union(*(known[one] for one in direct))
    return known


def freed_order(facts: Facts) -> dict[str, tuple[str, ...]]:
    """Return what each node must come after when only real dependencies count."""
    skill, now = facts.skill, before_of(facts.skill)
    nodes = {node.id: node for node in skill.nodes}
    touched = {key: _touched(facts, node) for key, node in nodes.items()}
    needed: dict[str, set[str]] = {}
    for key, node in nodes.items():
        needed[key] = {one for one in now[key] if not independent(facts, nodes[one], node, touched)}
    return {key: _reduced(key, needed, nodes[key]) for key in nodes}


def _reduced(key: str, needed: Mapping[str, set[str]], node: Node) -> tuple[str, ...]:
    """Return the order that is left to say: what data or another order says already is left out."""
    direct = needed[key]
    implied = set().union(*(needed[one] for one in direct)) if direct else set()
    return tuple(one for one in needed if one in direct - implied - _needs(node))


def independent(facts: Facts, one: Node, other: Node, touched: Mapping[str, frozenset[str]]) -> bool:
    """Tell whether two nodes could run in any order, as far as declarations and history say.

    Args:
        facts: The history.
        one: The earlier node.
        other: The later one.
        touched: Paths that each node made or changed, by id.
    """
    kinds = {one.kind, other.kind}
    if kinds - {"code", "tool", "agent"} or one.id in _needs(other):
        return False
    if not (_gave_something(facts, one) and _gave_something(facts, other)):
        return False  # what never worked is no reason for another order
    if kinds <= {"tool", "agent"}:
        return one.effect == other.effect == "read"
    if "code" in kinds and kinds & {"tool", "agent"}:
        asked = one if one.kind != "code" else other
        code = one if one.kind == "code" else other
        return asked.effect == "read" and asked.kind == "tool" and _stays_inside(facts, code)
    if not (_stays_inside(facts, one) and _stays_inside(facts, other)):
        return False
    names_of_one, names_of_other = touched[one.id], touched[other.id]
    apart = not names_of_one & names_of_other
    return apart and not _mentions(facts, other, names_of_one) and not _mentions(facts, one, names_of_other)


def _gave_something(facts: Facts, node: Node) -> bool:
    return any(fact.node(node.id).status == "done" for fact in facts.uses)


def _touched(facts: Facts, node: Node) -> frozenset[str]:
    declared = {dump_json(to_json(use.path)) for use in node.writes}
    return frozenset(path for fact in facts.uses for path in fact.node(node.id).files) | declared


def _codes(facts: Facts, node: Node) -> set[str]:
    texts = {code for fact in facts.uses for code in fact.node(node.id).codes}
    return texts | ({node.template.text} if node.template else set())


def _stays_inside(facts: Facts, node: Node) -> bool:
    """Whether a code node works with files it names and nothing else."""
    language = node.language or "python"
    return is_python(language) and all(_is_plain(code) for code in _codes(facts, node))


@cache
def _is_plain(code: str) -> bool:
    tree = parsed(code)  # of a template with odd places nothing is known: its fillings are looked at
    return tree is None or not shares_state(tree)


def _mentions(facts: Facts, node: Node, paths: frozenset[str]) -> bool:
    """Whether a node's code names one of these files, or declares to read one."""
    reads = {dump_json(to_json(use.path)) for use in node.reads}
    if reads & paths:
        return True
    names = {part for path in paths for part in (PurePosixPath(path).name, PurePosixPath(path).stem) if part}
    return any(name in code for code in _codes(facts, node) for name in names)


def _saved(skill: Skill, seconds: Mapping[str, float], free: Mapping[str, Sequence[str]]) -> float:
    """Return by how much an order shortens one execution, by its own recorded times."""
    now = {node.id: set(node.after) | _needs(node) for node in skill.nodes}
    new = {node.id: set(free[node.id]) | _needs(node) for node in skill.nodes}
    return makespan(now, seconds) - makespan(new, seconds)


def makespan(
    edges: Mapping[str, set[str]], seconds: Mapping[str, float], *, lanes: int = SIDE_BY_SIDE
) -> float:
    """Return how long a graph takes when ready nodes start in their order on so many lanes.

    Args:
        edges: What each node waits for, in a valid order.
        seconds: How long each takes.
        lanes: How many run at once.
    """
    over: dict[str, float] = {}
    free = [0.0] * lanes
    for key, waits in edges.items():
        ready = max((over[one] for one in waits if one in over), default=0.0)
        lane = min(range(lanes), key=free.__getitem__)
        over[key] = max(ready, free[lane]) + seconds.get(key, 0.0)
        free[lane] = over[key]
    return max(over.values(), default=0.0)


# -------------------------------------------------------------------------------------------------- reuse


def computed_twice(facts: Facts) -> Iterator[Proposal]:
    """Propose to use an earlier node's result where a later one computes the very same again."""
    nodes = [node for node in facts.skill.nodes if node.for_each is None and node.condition is None]
    taken: set[str] = set()
    for place, later in enumerate(nodes):
        for earlier in nodes[:place]:
            if earlier.id in taken or not _alike(facts, earlier, later):
                continue
            taken.add(later.id)
            yield from _reused(facts, earlier, later)
            break


def _alike(facts: Facts, earlier: Node, later: Node) -> bool:
    if (earlier.kind, earlier.tool, earlier.language) != (later.kind, later.tool, later.language):
        return False
    if earlier.optional or earlier.output_schema != later.output_schema or later.kind not in ("tool", "code"):
        return False
    return _is_pure(facts, earlier) and _is_pure(facts, later) and _undisturbed(facts, earlier, later)


def _is_pure(facts: Facts, node: Node) -> bool:
    if node.kind == "tool":
        return node.effect == "read"
    trees = [tree for code in _codes(facts, node) if (tree := parsed(code)) is not None]
    return bool(trees) and _stays_inside(facts, node) and not any(map(nondeterminism, trees))


def _undisturbed(facts: Facts, earlier: Node, later: Node) -> bool:
    """Whether nothing between the two changes what they look at."""
    order = [node.id for node in facts.skill.nodes]
    between = [node for node in facts.skill.nodes
               if order.index(earlier.id) < order.index(node.id) < order.index(later.id)]  # fmt: skip
    if later.kind == "tool":
        return not any(node.effect == "write" and node.kind != "check" and not (
            node.kind == "code" and _stays_inside(facts, node)) for node in between)  # fmt: skip
    own = _touched(facts, earlier) | _touched(facts, later)
    for node in between:
        if node.kind in ("skill", "agent") or (node.kind == "tool" and node.effect == "write"):
            return False
        if node.kind == "code" and (
            not _stays_inside(facts, node)
            or _touched(facts, node) & own
            or _mentions(facts, later, _touched(facts, node))
        ):
            return False
    return True


def _reused(facts: Facts, earlier: Node, later: Node) -> Iterator[Proposal]:
    both = [
        fact for fact in facts.uses
        if {fact.node(earlier.id).status, fact.node(later.id).status} == {"done"}
        and not {earlier.id, later.id} & fact.adapted
    ]  # fmt: skip
    same = [fact for fact in both if _asked(fact.node(earlier.id)) == _asked(fact.node(later.id))
            and dump_json(fact.node(earlier.id).result) == dump_json(fact.node(later.id).result)]  # fmt: skip
    values = {_asked(fact.node(later.id)) for fact in same}
    surely = _is_written_alike(earlier, later) or len(values) >= MIN_DIFFERENT
    if not same or len(same) < len(both) or len(both) < len(facts.successes) or not surely:
        return
    whole = facts.mean_seconds
    seconds = sum(fact.node(later.id).seconds for fact in same) / len(same)
    yield Proposal(
        kind="reuse_result",
        target=later.id,
        change={"edit": "reuse", "node": later.id, "by": earlier.id},
        evidence=support(
            [fact.execution for fact in same], facts.executions,
            f"{later.id} did in {{of}} what {earlier.id} had done: the same {later.tool or 'code'},"
            f" the same values ({len(values)} different), the same result",
        ),
        expected={"seconds": seconds, "share": seconds / whole if whole else None},
    )  # fmt: skip


def _asked(did: object) -> str:
    calls, codes = getattr(did, "calls", ()), getattr(did, "codes", ())
    return dump_json([[dict(sorted(one.arguments.items())) for one in calls[-1:]], list(codes[-1:])])


def _is_written_alike(earlier: Node, later: Node) -> bool:
    def written(node: Node) -> Json:
        template = (
            None if node.template is None else [node.template.text, [s.variable for s in node.template.slots]]
        )
        return [
            {name: to_json(one) for name, one in sorted(node.arguments.items())},
            {name: to_json(one) for name, one in sorted(node.bindings.items())}, template,
        ]  # fmt: skip

    return dump_json(written(earlier)) == dump_json(written(later))
