"""Checkpoints: what is saved of an execution comes back as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillsmith.db import Database
from skillsmith.errors import NotFoundError
from skillsmith.library.checkpoints import SkillCheckpointManager
from skillsmith.library.ledger import ExecutionLedger
from skillsmith.models import NodeResult, Skill


def begin(db: Database) -> tuple[SkillCheckpointManager, str]:
    """Begin an execution."""
    ledger = ExecutionLedger(db)
    skill = Skill(name="any")
    return SkillCheckpointManager(ledger), ledger.start(skill, task="t", run_id=None, inputs={})


def test_progress_comes_back(db: Database) -> None:
    """Inputs, settled nodes, tries and changes that never ended are restored; failed nodes are open."""
    manager, execution = begin(db)
    manager.prepared(execution, {"path": "/abs/a.csv"}, {"path": "given by hand"})
    done = NodeResult(node_id="n1", status="done", result={"a": [1, None]}, exit_code=0, artifacts=("o.txt",))
    manager.settled(execution, "n1", done, attempts=3)
    skipped = NodeResult(node_id="n2", status="skipped", output="its condition is false")
    manager.settled(execution, "n2", skipped)
    manager.started(execution, "n3")
    manager.settled(execution, "n3", NodeResult(node_id="n3", status="failed", error="Error: no"))
    manager.started(execution, "n4")
    progress = manager.resume_skill_from_checkpoint(execution)
    assert progress.values == {"path": "/abs/a.csv"}
    assert progress.reasons == {"path": "given by hand"}
    assert progress.settled["n1"] == done
    assert set(progress.settled) == {"n1", "n2"}
    assert progress.attempts == {"n1": 3}
    assert progress.uncertain == ("n4",)


def test_an_earlier_checkpoint_can_be_gone_back_to(db: Database) -> None:
    """With the ordinal of a checkpoint, only what was known then is restored."""
    manager, execution = begin(db)
    manager.create_skill_checkpoint(execution, "n1", {"status": "done", "result": 1})
    manager.create_skill_checkpoint(execution, "n2", {"status": "done", "result": 2})
    assert set(manager.resume_skill_from_checkpoint(execution, 1).settled) == {"n1"}
    with pytest.raises(NotFoundError, match="no checkpoint 9"):
        manager.resume_skill_from_checkpoint(execution, 9)


def test_an_execution_without_checkpoints_has_no_progress(db: Database) -> None:
    """What died before its first checkpoint starts from the beginning."""
    manager, execution = begin(db)
    progress = manager.resume_skill_from_checkpoint(execution)
    assert progress.values is None
    assert not progress.settled


NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(result=JSON)
@settings(max_examples=60)
def test_any_result_survives(result: Any) -> None:
    """Whatever JSON a node returned, later nodes read the same after a resume."""
    db = Database(":memory:")
    manager, execution = begin(db)
    manager.settled(execution, "n1", NodeResult(node_id="n1", status="done", result=result))
    assert manager.resume_skill_from_checkpoint(execution).settled["n1"].result == result
    db.close()
