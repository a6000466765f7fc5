from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from word_embedder import WordEmbedder

from skillsmith.db import Database
from skillsmith.ids import new_id
from skillsmith.library.matcher import SkillMatcher
from skillsmith.library.matching.threshold import ENOUGH, LEAST, MOST, learned_threshold, shift_of
from skillsmith.library.matching.weights import MIN_CONFIDENCE
from skillsmith.library.repository import SkillRepository
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Execution, Skill

UNRELATED = "Book a table for two at an Italian restaurant"


@pytest.fixture
def repo(db: Database) -> SkillRepository:
    """A library of one skill."""
    repo = SkillRepository(db)
    repo.add(Skill(name="weather_report", description="Tell the weather forecast of a city"))
    return repo


def record(repo: SkillRepository, *outcomes: bool, confidence: float | None = 0.7) -> None:
    """Record executions with these outcomes and the confidence of the matcher, if that chose the skill."""
    now = time.time()
    for success in outcomes:
        repo.create_skill_execution(Execution(
            id=new_id(), skill="weather_report", version=1, run_id=None, task="", success=success,
            started_at=now, completed_at=now, duration_seconds=1.0, error=None, inputs={}, outputs={},
            adaptations=(), cost_usd=None, confidence=confidence,
        ))  # fmt: skip


def test_success_makes_the_next_answer_easier_and_failure_harder(db: Database, repo: SkillRepository) -> None:
    """The threshold falls when matches of its confidence succeed more often than they claim, else rises."""
    record(repo, *[True] * 30)
    assert LEAST <= learned_threshold(db).value < MIN_CONFIDENCE
    record(repo, *[False] * 60)
    assert MIN_CONFIDENCE < learned_threshold(db).value <= MOST


def test_executions_that_went_as_foretold_leave_it(db: Database, repo: SkillRepository) -> None:
    """Seven of ten successes at a confidence of 0.7 are what was said."""
    record(repo, *[True] * 7, *[False] * 3)
    assert learned_threshold(db).value == MIN_CONFIDENCE


def test_the_answer_says_what_moved_it(db: Database, repo: SkillRepository) -> None:
    """With history the reason names it, a threshold that is given stays as it is."""
    matcher = SkillMatcher(db, repo, VectorIndex(db, WordEmbedder()))
    assert "executions" not in matcher.match(UNRELATED).reason
    record(repo, *[True] * 5, *[False] * 15)
    assert matcher.match(UNRELATED).reason.endswith("(as 5 of 20 executions of matches succeeded) is needed")
    assert matcher.match(UNRELATED, min_confidence=0.99).reason.endswith("and 0.99 is needed")


def test_few_executions_and_those_that_nobody_matched_move_nothing(
    db: Database, repo: SkillRepository
) -> None:
    """Below ten executions, or when the skill was named by its user, the threshold is the default."""
    record(repo, *[False] * (ENOUGH - 1))
    record(repo, *[False] * 20, confidence=None)
    assert learned_threshold(db).value == MIN_CONFIDENCE


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40))
def test_more_success_never_makes_an_answer_harder(outcomes: list[tuple[float, bool]]) -> None:
    """One success more never lowers the shift of confidence, one failure more never raises it."""
    shift = shift_of(outcomes)
    assert shift_of([*outcomes, (0.5, True)]) >= shift - 1e-9
    assert shift_of([*outcomes, (0.5, False)]) <= shift + 1e-9
