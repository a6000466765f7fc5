"""The ladder of trust: up and down by executions alone, quarantine untouched, retirement only proposed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from histories import code, number, of

from skillsmith.library.evidence.trust_ladder import STALE_DAYS, TrustLadder
from skillsmith.models import Execution, Skill, SkillState
from skillsmith.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A new file."""
    with open_workspace(tmp_path / "x.db", _embedder=None) as opened:
        yield opened


def stored(workspace: Workspace, state: SkillState = "proven") -> Skill:
    """Store a skill."""
    skill = of("count", (number("seed", 1),), code("n1", "print({seed})", places=("seed",)), state=state)
    return workspace.skills.add(skill)


def did(workspace: Workspace, skill: Skill, successes: int, failures: int = 0) -> None:
    """Record executions, the failures last."""
    for success in [True] * successes + [False] * failures:
        now = time.time()
        workspace.ledger.record(Execution(
            id="", skill=skill.name, version=skill.version, run_id=None, task="", started_at=now,
            completed_at=now, duration_seconds=1.0, success=success, error=None, inputs={}, outputs={},
            adaptations=(), cost_usd=0.0,
        ))  # fmt: skip


def test_a_proven_version_is_trusted_after_twenty_successes_and_the_history_says_why(
    workspace: Workspace,
) -> None:
    """Nineteen do not suffice; a second look moves nothing."""
    skill = stored(workspace)
    did(workspace, skill, 19)
    assert workspace.trust.after_execution(skill) is None
    did(workspace, skill, 1)
    step = workspace.trust.after_execution(skill)
    assert step is not None
    assert (step.before, step.after) == ("proven", "trusted")
    assert workspace.skills.get("count").state == "trusted"
    assert "20 of its last 20" in workspace.versions.history("count")[0].reason
    assert workspace.trust.after_execution(skill) is None


def test_trust_is_lost_when_executions_fail_and_does_not_flicker(workspace: Workspace) -> None:
    """One failure moves nothing, four do; the way up is as long as before."""
    skill = stored(workspace)
    did(workspace, skill, 20)
    workspace.trust.apply(skill)
    did(workspace, skill, 0, 1)
    assert workspace.trust.apply(skill) is None
    did(workspace, skill, 0, 3)
    step = workspace.trust.apply(skill)
    assert step is not None
    assert (step.before, step.after) == ("trusted", "proven")
    assert workspace.trust.apply(skill) is None


def test_a_person_who_trusted_is_overruled_by_plain_failure_only(workspace: Workspace) -> None:
    """A failure among a few says little; ten in a row say enough."""
    skill = stored(workspace, "trusted")
    assert workspace.trust.apply(skill) is None
    did(workspace, skill, 3, 1)
    assert workspace.trust.apply(skill) is None
    did(workspace, skill, 0, 10)
    assert workspace.trust.apply(skill) is not None


@pytest.mark.parametrize("state", ["draft", "quarantined", "retired"])
def test_no_rule_moves_a_version_that_is_not_on_the_ladder(workspace: Workspace, state: SkillState) -> None:
    """Drafts are proven by proof, quarantine and retirement are a person's to end."""
    skill = stored(workspace, state)
    did(workspace, skill, 30)
    assert workspace.trust.apply(skill) is None
    assert workspace.skills.get("count").state == state


def test_a_version_that_is_gone_or_never_stored_is_left_alone(workspace: Workspace) -> None:
    """Executions of it may still end."""
    skill = stored(workspace)
    workspace.skills.delete("count")
    assert workspace.trust.after_execution(skill) is None


def test_stale_and_harmful_skills_are_proposed_for_retirement_and_nothing_is_changed(
    workspace: Workspace,
) -> None:
    """One that mostly fails, and one that nobody used for half a year."""
    skill = stored(workspace)
    assert list(workspace.trust.retirements()) == []
    did(workspace, skill, 1, 11)
    (harmful,) = workspace.trust.retirements()
    assert (harmful.kind, harmful.target, harmful.evidence["executions"]) == ("retire", "count", 12)
    later = TrustLadder(workspace.db, workspace.skills, clock=lambda: time.time() + (STALE_DAYS + 1) * 86_400)
    assert [one.evidence.get("days") for one in later.retirements()] == [None, 181]
    assert workspace.skills.get("count").state == "proven"
