"""Any sound skill, for property tests: all node kinds and binding forms, templates with places, any bytes."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from skillsmith.models import (
    Between,
    Binding,
    Constant,
    Each,
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


def bindings(inputs: list[str], nodes: list[str], *, in_loop: bool = False) -> st.SearchStrategy[Binding]:
    """Return bindings of every form that read only these inputs and nodes, in a loop also its item."""
    leaves: st.SearchStrategy[Any] = st.builds(Constant, JSON)
    items = st.builds(FromItem, st.lists(TEXT | st.integers(-3, 3), max_size=3).map(tuple), CASTS)
    if in_loop:
        leaves |= items
    if inputs:
        leaves |= st.builds(FromInput, st.sampled_from(inputs), CASTS)
    plain = leaves
    if nodes:
        steps: st.SearchStrategy[PathStep] = TEXT | st.integers(-3, 3) | st.builds(Where, TEXT, plain)
        steps |= st.builds(Between, TEXT, TEXT, st.integers(0, 3))
        paths = st.lists(steps, max_size=3).map(tuple)
        leaves |= st.builds(FromNode, st.sampled_from(nodes), paths, CASTS)

    def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return (
            st.builds(ListOf, st.lists(inner, max_size=3).map(tuple))
            | st.builds(ObjectOf, st.lists(st.tuples(TEXT, inner), max_size=3).map(tuple))
            | st.builds(Text, st.lists(TEXT | inner, max_size=3).map(tuple))
            | st.builds(Each, inner, inner | items)
        )

    return st.recursive(leaves, containers, max_leaves=3)


@st.composite
def templates(draw: st.DrawFn, names: list[str], encodings: list[str]) -> Template:
    """Return text with a place for each slot, and braces that stand for themselves."""
    chosen = draw(st.lists(st.sampled_from(names), max_size=3)) if names else []
    pieces = [draw(TEXT)]
    for name in chosen:
        pieces += [f"{{{name}}}", draw(TEXT)]
    slots = tuple(Slot(variable=name, encoding=draw(st.sampled_from(encodings))) for name in chosen)
    return Template(text="".join(pieces), slots=slots)


@st.composite
def nodes(draw: st.DrawFn, node_id: str, inputs: list[str], earlier: list[str]) -> Node:
    """Return a node that reads only what is there before it."""
    kind: NodeKind = draw(st.sampled_from(get_args(NodeKind)))
    loop = draw(st.none() | bindings(inputs, earlier)) if kind in ("tool", "code", "agent") else None
    inside = bindings(inputs, earlier, in_loop=loop is not None)
    bound = draw(st.dictionaries(st.sampled_from(["local", "other"]), inside, max_size=2))
    uses = st.lists(st.builds(FileUse, path=bindings(inputs, earlier), digest=st.none() | TEXT), max_size=1)
    encodings = ["python", "f-raw-tdq", "python=1_0"] if kind == "code" else ["text", "json"]
    language = draw(st.sampled_from([None, "python"]) if kind == "code" else st.none() | TEXT)
    named = [*inputs, *bound]
    template = draw(templates(named, encodings)) if kind != "check" else Template(text="1 < 2")
    return Node(
        id=node_id, kind=kind, title=draw(TEXT), agent=draw(st.none() | TEXT),
        tool={"tool": draw(TEXT.filter(bool)), "skill": "another-skill@2"}.get(kind),
        arguments=draw(st.dictionaries(TEXT, inside, max_size=3)), for_each=loop,
        effect=draw(st.sampled_from(["read", "write"])), language=language,
        template=template if kind not in ("tool", "skill") else None, bindings=bound,
        reads=tuple(draw(uses)), writes=tuple(draw(uses)),
        after=tuple(draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2))) if earlier else (),
        condition=draw(st.none() | st.sampled_from([f"{name} == 1" for name in inputs] or ["1 == 1"])),
        optional=draw(st.booleans()), timeout_seconds=draw(st.none() | st.floats(0.1, 1e6)),
        retries=draw(st.integers(0, 5)), source_seqs=tuple(draw(st.lists(st.integers(0, 1000), max_size=3))),
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


@st.composite
def skills(draw: st.DrawFn) -> Skill:
    """Return any sound skill, as it is before it is stored."""
    variables = draw(st.lists(VARIABLES, unique_by=lambda one: one.name, max_size=3))
    inputs = [variable.name for variable in variables]
    ids = [f"n{number}" for number in range(1, draw(st.integers(0, 3)) + 1)]
    steps = [draw(nodes(node_id, inputs, ids[:index])) for index, node_id in enumerate(ids)]
    return Skill(
        name=draw(NAMES), description=draw(TEXT), task_pattern=draw(TEXT),
        tags=draw(st.lists(TEXT, unique=True, max_size=3).map(tuple)), variables=tuple(variables),
        outputs=draw(OBJECTS), output_bindings=draw(st.dictionaries(TEXT, bindings(inputs, ids), max_size=2)),
        nodes=tuple(steps), agents=draw(TEXTS), examples=draw(TEXTS), context_requirements=draw(OBJECTS),
        source_run_ids=draw(TEXTS), source_steps=draw(TEXT), body=draw(TEXT),
        artifacts=tuple(draw(st.lists(ARTIFACTS, unique_by=lambda one: one.name, max_size=2))),
        why=tuple(draw(st.lists(REASONS, max_size=2))), proofs=tuple(draw(st.lists(PROOFS, max_size=3))),
        is_public=draw(st.booleans()), extras=draw(OBJECTS),
    )  # fmt: skip
