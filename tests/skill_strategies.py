"""Any sound skill, for property tests: all node kinds and binding forms, templates with places, any bytes.

A strategy is made once for the same names: Hypothesis takes longer to check a new one than to draw from it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

from hypothesis import strategies as st

from skillsmith.models import (
    Between,
    Binding,
    Constant,
    Each,
    Effect,
    FileUse,
    FromInput,
    FromItem,
    FromNode,
    ListOf,
    Node,
    NodeKind,
    ObjectOf,
    PathStep,
    Proof,
    ProofLevel,
    Reason,
    Skill,
    SkillArtifact,
    Slot,
    Template,
    Text,
    Variable,
    VariableType,
    Where,
    Witness,
)

TEXT = st.text(max_size=20)
"""Any text that Unicode allows: control characters, NUL, every kind of line end."""

INTEGERS = st.integers() | st.integers(min_value=-(10**40), max_value=10**40)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=3,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
NAMES = st.sampled_from(["plot", "7-zip", "get_user-details", "x" * 64])
IDENTIFIERS = st.sampled_from(["path", "column", "größe", "_x", "bins2"])
CASTS = st.sampled_from([None, "string", "integer", "number"])
INSTANTS = st.none() | st.floats(min_value=1, max_value=4e9)
PLACES = st.integers(-3, 3)
CONSTANTS = st.builds(Constant, JSON)
ITEMS = st.builds(FromItem, st.lists(TEXT | PLACES, max_size=3).map(tuple), CASTS)
BETWEEN = st.builds(Between, TEXT, TEXT, st.integers(0, 3))


@cache
def bindings(
    inputs: tuple[str, ...], nodes: tuple[str, ...], *, in_loop: bool = False
) -> st.SearchStrategy[Binding]:
    """Return bindings of every form that read only these inputs and nodes, in a loop also its item."""
    leaves: st.SearchStrategy[Any] = CONSTANTS
    if in_loop:
        leaves |= ITEMS
    if inputs:
        leaves |= st.builds(FromInput, st.sampled_from(inputs), CASTS)
    plain = leaves
    if nodes:
        steps: st.SearchStrategy[PathStep] = TEXT | PLACES | st.builds(Where, TEXT, plain) | BETWEEN
        paths = st.lists(steps, max_size=3).map(tuple)
        leaves |= st.builds(FromNode, st.sampled_from(nodes), paths, CASTS)

    def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return (
            st.builds(ListOf, st.lists(inner, max_size=3).map(tuple))
            | st.builds(ObjectOf, st.lists(st.tuples(TEXT, inner), max_size=3).map(tuple))
            | st.builds(Text, st.lists(TEXT | inner, max_size=3).map(tuple))
            | st.builds(Each, inner, inner | ITEMS)
        )

    return st.recursive(leaves, containers, max_leaves=3)


@cache
def lists_of(names: tuple[str, ...], *, most: int, unique: bool = False) -> st.SearchStrategy[list[str]]:
    """Return lists of some of these names."""
    return st.lists(st.sampled_from(names), max_size=most, unique=unique) if names else st.just([])


@st.composite
def templates(draw: st.DrawFn, names: tuple[str, ...], encodings: st.SearchStrategy[str]) -> Template:
    """Return text with a place for each slot, and braces that stand for themselves."""
    chosen = draw(lists_of(names, most=3))
    pieces = [draw(TEXT)]
    for name in chosen:
        pieces += [f"{{{name}}}", draw(TEXT)]
    slots = tuple(Slot(variable=name, encoding=draw(encodings)) for name in chosen)
    return Template(text="".join(pieces), slots=slots)


@cache
def locals_of(inside: st.SearchStrategy[Binding]) -> st.SearchStrategy[dict[str, Binding]]:
    """Return what a node binds for itself."""
    return st.dictionaries(st.sampled_from(["local", "other"]), inside, max_size=2)


@cache
def arguments_of(inside: st.SearchStrategy[Binding], most: int) -> st.SearchStrategy[dict[str, Binding]]:
    """Return named values of this form."""
    return st.dictionaries(TEXT, inside, max_size=most)


@cache
def uses_of(paths: st.SearchStrategy[Binding]) -> st.SearchStrategy[tuple[FileUse, ...]]:
    """Return files at these paths."""
    return st.lists(st.builds(FileUse, path=paths, digest=st.none() | TEXT), max_size=1).map(tuple)


@cache
def conditions(inputs: tuple[str, ...]) -> st.SearchStrategy[str | None]:
    """Return no condition, or one over an input."""
    return st.none() | st.sampled_from([f"{name} == 1" for name in inputs] or ["1 == 1"])


KINDS: st.SearchStrategy[NodeKind] = st.sampled_from(get_args(NodeKind))
EFFECTS: st.SearchStrategy[Effect] = st.sampled_from(["read", "write"])
PLAIN_ENCODINGS = st.sampled_from(["text", "json"])
CODE_ENCODINGS = st.sampled_from(["python", "f-raw-tdq", "python=1_0"])
CODE_LANGUAGES = st.sampled_from([None, "python"])
PERHAPS_TEXT = st.none() | TEXT
SOME_TEXT = TEXT.filter(bool)
SEQS = st.lists(st.integers(0, 1000), max_size=3).map(tuple)
TIMEOUTS = st.none() | st.floats(0.1, 1e6)


@st.composite
def nodes(draw: st.DrawFn, node_id: str, inputs: tuple[str, ...], earlier: tuple[str, ...]) -> Node:
    """Return a node that reads only what is there before it."""
    kind = draw(KINDS)
    outside = bindings(inputs, earlier)
    loop = draw(st.none() | outside) if kind in ("tool", "code", "agent") else None
    inside = bindings(inputs, earlier, in_loop=loop is not None)
    bound = draw(locals_of(inside))
    named = (*inputs, *bound)
    encodings = CODE_ENCODINGS if kind == "code" else PLAIN_ENCODINGS
    template = draw(templates(named, encodings)) if kind != "check" else Template(text="1 < 2")
    return Node(
        id=node_id, kind=kind, title=draw(TEXT), agent=draw(PERHAPS_TEXT),
        tool={"tool": draw(SOME_TEXT), "skill": "another-skill@2"}.get(kind),
        arguments=draw(arguments_of(inside, 3)), for_each=loop,
        effect=draw(EFFECTS), language=draw(CODE_LANGUAGES if kind == "code" else PERHAPS_TEXT),
        template=template if kind not in ("tool", "skill") else None, bindings=bound,
        reads=draw(uses_of(outside)), writes=draw(uses_of(outside)),
        after=tuple(draw(lists_of(earlier, most=2, unique=True))), condition=draw(conditions(inputs)),
        optional=draw(st.booleans()), timeout_seconds=draw(TIMEOUTS),
        retries=draw(st.integers(0, 5)), source_seqs=draw(SEQS),
    )  # fmt: skip


VARIABLES = st.builds(
    Variable,
    name=IDENTIFIERS,
    type=st.sampled_from([kind for kind in get_args(VariableType) if kind != "enum"]),
    description=TEXT,
    default=JSON,
    required=st.booleans(),
) | st.builds(
    Variable, name=IDENTIFIERS, type=st.just("enum"), enum=st.lists(JSON, min_size=1, max_size=3).map(tuple)
)
WITNESSES = st.builds(Witness, seq=st.integers(0, 100), where=TEXT, path=TEXT, text=TEXT)
REASONS = st.builds(
    Reason,
    subject=TEXT,
    decision=TEXT,
    rule=TEXT,
    detail=TEXT,
    value=JSON,
    witnesses=st.lists(WITNESSES, max_size=2).map(tuple),
)
ARTIFACTS = st.builds(
    SkillArtifact,
    name=TEXT.filter(bool),
    type=TEXT,
    content=st.binary(max_size=300) | TEXT.map(str.encode),
    path=st.none() | st.sampled_from(["a.py", "data/in.csv"]),
    description=TEXT,
    language=st.none() | TEXT,
    is_template=st.booleans(),
    template_variables=st.lists(TEXT, max_size=2).map(tuple),
)
PROOFS = st.builds(
    Proof,
    level=st.sampled_from(get_args(ProofLevel)),
    passed=st.booleans(),
    compared=st.integers(0, 1000),
    failures=st.lists(TEXT, max_size=2).map(tuple),
    detail=OBJECTS,
    at=INSTANTS,
    duration_seconds=INSTANTS,
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
TAGS = st.lists(TEXT, unique=True, max_size=3).map(tuple)
INPUTS = st.lists(VARIABLES, unique_by=lambda one: one.name, max_size=3).map(tuple)
FILES = st.lists(ARTIFACTS, unique_by=lambda one: one.name, max_size=2).map(tuple)
REASONING = st.lists(REASONS, max_size=2).map(tuple)
PROVEN = st.lists(PROOFS, max_size=3).map(tuple)


@st.composite
def skills(draw: st.DrawFn) -> Skill:
    """Return any sound skill, as it is before it is stored."""
    variables = draw(INPUTS)
    inputs = tuple(sorted(variable.name for variable in variables))
    ids = tuple(f"n{number}" for number in range(1, draw(st.integers(0, 3)) + 1))
    steps = tuple(draw(nodes(node_id, inputs, ids[:index])) for index, node_id in enumerate(ids))
    return Skill(
        name=draw(NAMES), description=draw(TEXT), task_pattern=draw(TEXT),
        tags=draw(TAGS), variables=variables,
        outputs=draw(OBJECTS), output_bindings=draw(arguments_of(bindings(inputs, ids), 2)),
        nodes=steps, agents=draw(TEXTS), examples=draw(TEXTS), context_requirements=draw(OBJECTS),
        source_run_ids=draw(TEXTS), source_steps=draw(TEXT), body=draw(TEXT),
        artifacts=draw(FILES), why=draw(REASONING), proofs=draw(PROVEN),
        is_public=draw(st.booleans()), extras=draw(OBJECTS),
    )  # fmt: skip
