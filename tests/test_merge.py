"""Tests of merging two versions of a skill by node, variable, file and field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import skill_strategies as any_
from hypothesis import given, settings

from skillsmith.library.program.document import Document, to_document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.program.stability import unstable_places
from skillsmith.library.sharing.merge import Merge, merge_skills
from skillsmith.models import Constant, FromInput, FromNode, Node, Proof, Skill, SkillArtifact, Variable

FIND = Node(id="n1", kind="tool", tool="find", arguments={"q": FromInput("q")}, effect="read")
SEND = Node(id="n2", kind="tool", tool="send", arguments={"to": FromNode("n1")}, after=("n1",))
SKILL = Skill(
    name="mail", description="Mail", tags=("a", "b"), variables=(Variable(name="q", type="string"),),
    nodes=(FIND, SEND), proofs=(Proof(level="replays", passed=True, compared=2),),
    artifacts=(SkillArtifact(name="list", type="data", content=b"1"),),
)  # fmt: skip


def merged(ours: dict[str, Any], theirs: dict[str, Any], base: Skill = SKILL) -> Merge:
    """Merge two changes of one skill."""
    return merge_skills(*(to_document(replace(base, **change)) for change in ({}, ours, theirs)))


def test_different_nodes_are_merged() -> None:
    """Each side's change is in the result, which has no proof and a number above both."""
    mine, yours = replace(FIND, tool="search"), replace(SEND, retries=2)
    result = merged({"nodes": (mine, SEND), "version": 4}, {"nodes": (FIND, yours), "version": 3})
    assert result.skill is not None
    assert (result.skill.nodes, result.skill.version, result.skill.proofs) == ((mine, yours), 5, ())
    assert (result.taken, result.brings_code) == ({"nodes"}, True)


OTHER = replace(SEND, tool="y")


@pytest.mark.parametrize(("ours", "theirs", "reason"), [
    ({"nodes": (FIND, OTHER)}, {"nodes": (FIND, replace(SEND, retries=1))}, "node n2 was changed"),
    ({"nodes": (FIND,)}, {"nodes": (FIND, OTHER)}, "node n2 was deleted here and changed there"),
    ({"nodes": (FIND, OTHER)}, {"nodes": (FIND,)}, "node n2 was changed here and deleted there"),
    ({"description": "One"}, {"description": "Two"}, "description was changed"),
    ({"extras": {"k": 1}}, {"extras": {"k": 2}}, "extras.k was added differently"),
    ({"nodes": (FIND,)}, {"output_bindings": {"r": FromNode("n2")}}, "together they make"),
    ({"variables": ()}, {"tags": ("a",)}, "together they make"),
])  # fmt: skip
def test_what_cannot_be_merged_is_said(ours: Any, theirs: Any, reason: str) -> None:
    """The same thing changed on both sides, or parts that do not make a sound skill, give the reason."""
    result = merged(ours, theirs)
    assert result.skill is None
    assert any(conflict.startswith(reason) for conflict in result.conflicts)


def test_lists_and_new_things_of_both_sides_are_kept() -> None:
    """Tags are sets; nodes and files that either side added stand beside each other, in a sound order."""
    third, fourth = (Node(id=f"n{number}", kind="tool", tool="log", after=("n1",)) for number in (3, 4))
    file = SkillArtifact(name="more", type="data", content=b"2")
    result = merged(
        {"tags": ("a", "c"), "nodes": (FIND, third, SEND)},
        {"tags": ("b", "a", "d"), "nodes": (FIND, SEND, fourth), "artifacts": (*SKILL.artifacts, file)},
    )
    assert result.skill is not None
    assert result.skill.tags == ("a", "c", "d")
    assert [node.id for node in result.skill.nodes] == ["n1", "n3", "n2", "n4"]
    assert [one.name for one in result.skill.artifacts] == ["list", "more"]


def test_orders_that_contradict_are_a_conflict() -> None:
    """One order is taken when one side moved nodes; two different ones are not."""
    nodes = tuple(Node(id=name, kind="tool", tool=name) for name in "abc")
    a, b, c = nodes
    base = replace(SKILL, nodes=nodes, variables=())
    result = merged({"nodes": (c, a, b)}, {"tags": ()}, base)
    assert result.skill is not None
    assert [node.id for node in result.skill.nodes] == ["c", "a", "b"]
    assert merged({"nodes": (c, a, b)}, {"nodes": (b, a, c)}, base).conflicts


def test_words_are_code_only_for_agents() -> None:
    """A description from elsewhere is harmless unless an agent is told it; tags are always harmless."""
    assert not merged({"tags": ()}, {"description": "New"}).brings_code
    agent = replace(SEND, kind="agent", tool=None, arguments={}, template=any_.Template(text="go"))
    base = replace(SKILL, nodes=(FIND, agent))
    assert merged({"tags": ()}, {"description": "New"}, base).brings_code
    assert not merged({"description": "New"}, {"tags": ()}, base).brings_code
    assert merged({"tags": ()}, {"variables": (replace(SKILL.variables[0], default="rm"),)}).brings_code


def test_the_same_change_is_no_conflict() -> None:
    """Both sides may have done the same."""
    change = {"nodes": (FIND, replace(SEND, arguments={"to": Constant("x")}))}
    result = merged(change, change)
    assert result.skill is not None
    assert result.taken == frozenset()


SOUND = any_.skills().filter(lambda skill: not unstable_places(skill))


@settings(max_examples=25)
@given(base=SOUND, other=SOUND)
def test_a_change_of_one_side_is_taken_whole(base: Skill, other: Skill) -> None:
    """Where only one side changed, the result is that side, whichever it is."""
    other = replace(other, name=base.name)
    one, two = to_document(base), to_document(other)
    for ours, theirs in ((one, two), (two, one)):
        result = merge_skills(one, ours, theirs)
        assert result.skill is not None, result.conflicts
        assert _content(result.skill) == content_digest(two)


def _content(skill: Skill) -> str:
    document: Document = to_document(skill)
    return content_digest(document)
