"""Tests of versions: making, history, differences, going back, and when going back is proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import comb
from typing import Any

import pytest
import skill_strategies as any_
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.errors import NotFoundError, RefusedError, UntrustedError, UsageError
from skillsmith.library.evidence.rollback_rule import fisher_low, significantly_worse
from skillsmith.library.evidence.version_diff import changes_between
from skillsmith.library.exchange import trust
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.library.program.document import to_document
from skillsmith.library.program.seal import content_digest
from skillsmith.library.repository import SkillRepository
from skillsmith.library.store.history import Figures
from skillsmith.library.versions import SkillVersionManager
from skillsmith.models import (
    Constant,
    FromInput,
    FromNode,
    Node,
    Proof,
    Skill,
    SkillArtifact,
    SkillState,
    Slot,
    Template,
    Variable,
)

PROOF = Proof(level="replays", passed=True, compared=3)


@pytest.fixture
def skills(db: Database) -> SkillRepository:
    """The library of that file."""
    return SkillRepository(db)


@pytest.fixture
def versions(db: Database, skills: SkillRepository) -> SkillVersionManager:
    """Its versions."""
    return SkillVersionManager(db, skills)


def named(name: str = "plot", **fields: Any) -> Skill:
    """Return a small sound skill."""
    return Skill(name=name, nodes=(Node(id="n1", kind="tool", tool="draw"),), **fields)


def used(db: Database, skill: Skill, *successes: bool) -> None:
    """Record one execution of a skill for each verdict."""
    ledger = ExecutionLedger(db)
    for success in successes:
        execution = ledger.start(skill, task="t", run_id=None, inputs={})
        ledger.finish(execution, success=success, outputs={}, adaptations=(), artifacts=())


def told(versions: SkillVersionManager, name: str = "plot") -> list[tuple[str, int, int | None]]:
    """Return what was done to a skill, oldest first."""
    return [(one.action, one.version, one.from_version) for one in reversed(versions.history(name))]


def test_a_version_says_what_it_was_made_for_and_from(
    versions: SkillVersionManager, skills: SkillRepository
) -> None:
    """Reason, parent and lineage are kept; the pointer stays where it is unless asked."""
    first = skills.add(named(source_run_ids=("r1",)))
    changed = replace(first, description="better")
    made = versions.create_version(changed, reason="faster", lineage={"executions": ["e1"]})
    assert (made.version, made.state, made.parent_id) == (2, "draft", first.id)
    assert skills.current_version("plot") == 1
    newest, oldest = versions.get_version_history("plot")
    assert (newest.version, newest.parent, newest.reason, newest.current) == (2, 1, "faster", False)
    assert newest.lineage == {"runs": ["r1"], "executions": ["e1"]}
    assert (oldest.current, oldest.parent, oldest.lineage) == (True, None, {"runs": ["r1"]})
    third = versions.create_version(replace(made, body="b"), reason="more", make_current=True)
    assert (third.parent_id, third.lineage) == (made.id, {})
    assert skills.current_version("plot") == 3
    assert versions.get_skill_versions("plot") == [first, made, third]


def test_nothing_is_made_without_reason_or_change(
    versions: SkillVersionManager, skills: SkillRepository
) -> None:
    """A version without a reason, or one that is there already, is refused with what to do."""
    stored = skills.add(named())
    with pytest.raises(UsageError, match="reason"):
        versions.create_version(replace(stored, body="b"), reason=" ")
    with pytest.raises(UsageError, match="version 1 of plot is the same"):
        versions.create_version(replace(stored, examples=("another",)), reason="r")
    with pytest.raises(NotFoundError, match="no skill 'other'"):
        versions.create_version(named("other"), reason="r")
    assert skills.versions("plot") == [1]
    second = versions.create_version(replace(stored, body="b"), reason="there")
    back = versions.create_version(replace(second, body=""), reason="and back: it is another version")
    assert skills.stored_digest(back.id) == skills.stored_digest(stored.id)


@pytest.mark.parametrize(
    ("state", "proofs", "expected"),
    [
        ("trusted", (PROOF,), "draft"),  # the parent's proof proves nothing of what was changed
        ("trusted", (replace(PROOF, compared=9),), "proven"),
        ("proven", (replace(PROOF, passed=False),), "draft"),
        ("quarantined", (replace(PROOF, compared=9),), "quarantined"),
        ("retired", (), "quarantined"),
    ],
)
def test_trust_is_not_handed_down(
    versions: SkillVersionManager,
    skills: SkillRepository,
    state: SkillState,
    proofs: tuple[Proof, ...],
    expected: str,
) -> None:
    """A changed version is proven by its own proofs only, never trusted, and never leaves quarantine."""
    stored = skills.add(named(state=state, proofs=(PROOF,)))
    made = versions.create_version(replace(stored, body="new", proofs=proofs), reason="r")
    assert made.state == expected
    assert all(proof in proofs for proof in made.proofs)
    assert (made.proofs == ()) == (proofs in ((PROOF,), ()))


def test_a_version_that_may_not_run_never_becomes_current(
    versions: SkillVersionManager, skills: SkillRepository
) -> None:
    """Neither by making nor by going back, until it is trusted."""
    skills.add(named())
    foreign = skills.add(named(body="foreign", state="quarantined"), make_current=False)
    with pytest.raises(UntrustedError, match="plot@2 is in quarantine"):
        versions.rollback_to_version("plot", 2)
    with pytest.raises(UntrustedError):
        versions.create_version(replace(foreign, body="c"), reason="r", make_current=True)
    skills.set_state("plot@2", "retired")
    with pytest.raises(RefusedError, match="plot@2 is retired"):
        versions.rollback_to_version("plot", 2)
    assert skills.current_version("plot") == 1
    trust(skills, "plot@2")
    versions.rollback_to_version("plot", 1)
    assert versions.rollback_to_version("plot", 2).version == skills.current_version("plot") == 2


def test_going_back_is_in_the_history(versions: SkillVersionManager, skills: SkillRepository) -> None:
    """Every move of the pointer is told with its reason; one that moves nothing is not."""
    skills.add(named())
    skills.add(named(body="2"))
    back = versions.rollback_to_version("plot", 1, reason="2 is slower")
    assert back == skills.get("plot") == skills.get("plot@1")
    assert [pk for pk, _ in skills.search("plot")] == [skills.version_pk("plot@1")]
    versions.rollback_to_version("plot", 1, reason="again")
    skills.set_state("plot@2", "retired", reason="slow")
    skills.set_state("plot@2", "retired")
    assert told(versions) == [
        ("created", 1, None), ("created", 2, 1), ("rolled_back", 1, 2), ("state", 2, 1),
    ]  # fmt: skip
    state, rolled, *_ = versions.history("plot")
    assert (state.detail, state.reason) == ({"from": "draft", "to": "retired"}, "slow")
    assert (rolled.reason, rolled.moves) == ("2 is slower", True)
    assert versions.compare_versions("plot", 1, 2).changes == versions.diff("plot", 1, 2).changes


def test_the_history_outlives_the_skill(versions: SkillVersionManager, skills: SkillRepository) -> None:
    """What was deleted is told, with the version that took over, and its number is never given again."""
    skills.add(named())
    skills.add(named(body="2"))
    skills.delete("plot@2", reason="wrong")
    assert told(versions)[-2:] == [("deleted", 2, 2), ("current", 1, 2)]
    with pytest.raises(NotFoundError, match=r"version 2 of plot was deleted on \d{4}.*: wrong; it has 1"):
        versions.rollback_to_version("plot", 2)
    with pytest.raises(NotFoundError, match="has no version 7; it has 1"):
        versions.rollback_to_version("plot", 7)
    assert skills.add(named(body="3")).version == 3
    skills.delete("plot")
    assert versions.get_version_history("plot") == []
    assert [one.action for one in versions.history("plot")][:2] == ["deleted", "deleted"]
    with pytest.raises(NotFoundError, match="version 1 of plot was deleted"):
        versions.rollback_to_version("plot", 1)
    assert skills.add(named()).version == 4
    for call in (versions.history, versions.get_version_history, versions.rollback_proposal):
        with pytest.raises(NotFoundError, match="no skill 'plto'; did you mean plot"):
            call("plto")


def test_a_failed_change_leaves_no_history(versions: SkillVersionManager, skills: SkillRepository) -> None:
    """History and library change together or not at all."""
    stored = skills.add(named())
    unsound = replace(stored, nodes=(Node(id="n1", kind="tool", tool="t", arguments={"a": FromInput("x")}),))
    with pytest.raises(UsageError, match="not declared"):
        versions.create_version(unsound, reason="r")

    def fail() -> None:
        with skills.transaction():
            versions.create_version(replace(stored, body="b"), reason="r", make_current=True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert told(versions) == [("created", 1, None)]
    assert skills.versions("plot") == [1]


def test_the_specifications_names_work(versions: SkillVersionManager, skills: SkillRepository) -> None:
    """``create_new_version`` takes changes by field, and refuses what belongs to the version itself."""
    stored = skills.add(named())
    made = versions.create_new_version(stored.id, {"description": "circles"}, "nicer")
    assert (made.version, made.description, made.reason) == (2, "circles", "nicer")
    for field in ("state", "colour"):
        with pytest.raises(UsageError, match=f"cannot change '{field}'"):
            versions.create_new_version("plot", {field: "x"}, "r")


# ------------------------------------------------------------------------------------------ differences

BEFORE = Skill(
    name="plot",
    description="Plots",
    tags=("a",),
    variables=(Variable(name="path", type="path", default="a.csv"), Variable(name="bins", type="integer")),
    nodes=(
        Node(id="n1", kind="tool", tool="load", arguments={"p": FromInput("path")}, condition="bins > 1"),
        Node(id="n2", kind="code", language="python", after=("n1",), template=Template(
            text="a = 1\nprint({path})\n", slots=(Slot(variable="path", encoding="python"),))),
        Node(id="n3", kind="tool", tool="close", output_schema={"type": "object"}),
    ),
    outputs={"type": "object", "properties": {"n": {"type": "number"}}},
    output_bindings={"n": FromNode("n1", ("n",))},
    artifacts=(SkillArtifact(name="help.txt", type="data", content=b"one\ntwo\n"),),
    body="Some notes",
)  # fmt: skip
AFTER = replace(
    BEFORE,
    description="Plots well",
    tags=("a", "b"),
    variables=(Variable(name="path", type="path", default="b.csv"), Variable(name="width", type="integer")),
    nodes=(
        replace(BEFORE.nodes[0], arguments={"p": Constant("x.csv")}, condition="width > 1", retries=2),
        replace(BEFORE.nodes[1], template=Template(
            text="a = 2\nprint({path})\n", slots=(Slot(variable="path", encoding="python"),))),
        Node(id="n4", kind="tool", tool="save"),
    ),
    outputs={"type": "object", "properties": {"n": {"type": "string"}}},
    output_bindings={"n": FromNode("n4", ("n",))},
    artifacts=(SkillArtifact(name="help.txt", type="data", content=b"one\n2\n"),),
)  # fmt: skip


def test_a_difference_names_every_part() -> None:
    """Steps, bindings, code, conditions, inputs, schemas, texts and files, each with both sides."""
    found = {
        (change.kind, change.where): change
        for change in changes_between(to_document(BEFORE), to_document(AFTER))
    }
    assert found.keys() == {
        ("text", "description"), ("text", "tags"),
        ("variable", "path.default"), ("variable", "bins"), ("variable", "width"),
        ("binding", "n1.p"), ("condition", "n1.condition"), ("node", "n1.retries"), ("template", "n2"),
        ("node", "n3"), ("node", "n4"), ("binding", "output n"), ("schema", "outputs.n"),
        ("file", "help.txt"),
    }  # fmt: skip
    assert found["binding", "n1.p"].text == "{path} → 'x.csv'"
    assert "-a = 1\n+a = 2" in found["template", "n2"].text
    assert found["node", "n4"].text == "added: tool save"
    assert found["node", "n3"].after is None
    assert "-two\n+2" in found["file", "help.txt"].text
    assert found["text", "description"].text == "'Plots' → 'Plots well'"


@settings(max_examples=60)
@given(one=any_.skills(), other=any_.skills(), data=st.data())
def test_a_difference_is_empty_only_for_the_same_content(one: Skill, other: Skill, data: Any) -> None:
    """Whatever the content digest covers is covered by the difference, also when one field alone differs."""
    fields = ("description", "nodes", "variables", "why", "artifacts", "outputs", "output_bindings", "tags",
              "extras", "context_requirements", "body", "agents", "is_public", "source_steps")  # fmt: skip
    chosen = data.draw(st.sampled_from(fields))
    for changed in (other, replace(one, **{chosen: getattr(other, chosen)}), one):
        before, after = to_document(one), to_document(changed)
        same = content_digest(before) == content_digest(after)
        assert (list(changes_between(before, after)) == []) == same


# ------------------------------------------------------------------------------ when to go back


def test_the_test_is_fishers() -> None:
    """Against the textbook: the lady tasting tea, and hand-made tails."""
    assert fisher_low(1, 4, 3, 4) == pytest.approx(17 / 70)
    assert fisher_low(0, 4, 4, 4) == pytest.approx(1 / 70)
    assert fisher_low(3, 3, 3, 3) == 1.0


@settings(max_examples=100)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_the_tail_is_counted_out(a: int, b: int, c: int, d: int) -> None:
    """The p-value equals the share of all ways to deal the successes that are at least as bad."""
    trials, others, total = a + b, c + d, a + c
    ways = [comb(trials, k) * comb(others, total - k) for k in range(total + 1) if total - k <= others]
    bad = [comb(trials, k) * comb(others, total - k) for k in range(a + 1) if 0 <= total - k <= others]
    assert fisher_low(a, trials, c, others) == pytest.approx(sum(bad) / sum(ways))


def _figures(successes: int, finished: int) -> Figures:
    return Figures(executions=finished, finished=finished, successes=successes)


@pytest.mark.parametrize(
    ("current", "parent", "proposed"),
    [
        ((1, 8), (18, 20), True),
        ((0, 4), (20, 20), False),  # too few to say
        ((7, 8), (18, 20), False),
        ((20, 20), (1, 20), False),  # better
        ((0, 9), (0, 0), False),  # nothing to compare with
    ],
)
def test_only_a_significant_fall_counts(
    current: tuple[int, int], parent: tuple[int, int], proposed: bool
) -> None:
    """Few executions or a small difference propose nothing."""
    found = significantly_worse(_figures(*current), _figures(*parent))
    assert (found is not None) == proposed
    if found is not None:
        assert found[1].high < 0


def _lineage(db: Database, versions: SkillVersionManager, *verdicts: Sequence[bool]) -> list[Skill]:
    """Make versions, each from the one before, with these executions."""
    made = [SkillRepository(db).add(named())]
    for number in range(1, len(verdicts)):
        new = replace(made[-1], body=str(number))
        made.append(versions.create_version(new, reason="r", make_current=True))
    for skill, successes in zip(made, verdicts, strict=True):
        used(db, skill, *successes)
    return made


def test_a_worse_version_proposes_its_parent(db: Database, versions: SkillVersionManager) -> None:
    """The proposal says with how much of each, how sure it is, and how to follow it."""
    _lineage(db, versions, [True] * 12, [True] + [False] * 7)
    proposal = versions.rollback_proposal("plot")
    assert proposal is not None
    assert (proposal.version, proposal.to) == (2, 1)
    assert "1 of 8 executions, version 1, which it came from, in 12 of 12" in proposal.text
    assert proposal.document()["command"] == "skillsmith rollback plot --to 1"
    versions.rollback_to_version("plot", proposal.to, reason=proposal.text)
    assert versions.rollback_proposal("plot") is None


def test_a_parent_that_may_not_run_is_passed_over(
    db: Database, versions: SkillVersionManager, skills: SkillRepository
) -> None:
    """The proposal leads to the nearest forefather that is there and may run."""
    _lineage(db, versions, [True] * 12, [True] * 12, [False] * 8)
    skills.set_state("plot@2", "retired")
    proposal = versions.rollback_proposal("plot")
    assert proposal is not None
    assert proposal.to == 1
    skills.delete("plot@2")
    again = versions.rollback_proposal("plot")
    assert again is not None
    assert again.to == 1
    skills.delete("plot@1")
    assert versions.rollback_proposal("plot") is None


def test_a_version_without_parent_is_compared_with_what_it_took_over_from(
    db: Database, versions: SkillVersionManager, skills: SkillRepository
) -> None:
    """A skill extracted anew has no parent, but it replaced a version."""
    used(db, skills.add(named()), *[True] * 12)
    used(db, skills.add(named(body="anew")), *[False] * 8)
    proposal = versions.rollback_proposal("plot")
    assert proposal is not None
    assert proposal.to == 1
