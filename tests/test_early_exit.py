"""Choosing a skill to run: the model is asked only where words leave a doubt, and the answer is the same."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest
from word_embedder import WordEmbedder

from skillsmith.db import Database
from skillsmith.errors import UsageError
from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.library.embedding.store import model_status
from skillsmith.library.matcher import SkillMatcher
from skillsmith.library.matching.early_exit import decided
from skillsmith.library.repository import SkillRepository
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Skill, Variable

SETS = Path(__file__).parents[2] / "shared" / "data" / "matching"
SAMPLE = 4  # every so many tasks of a set are looked at

CANCEL = Skill(
    name="cancel_reservation", description="Cancel a flight reservation and refund it",
    task_pattern="Cancel reservation {reservation_id} and refund it",
    examples=("Cancel reservation EHGLP3 and refund it",),
    variables=(Variable(name="reservation_id", type="id", default="EHGLP3", required=True),),
)  # fmt: skip
PLOT = Skill(
    name="plot_spectrum", description="Plot a power spectrum", examples=("Plot the spectrum in a.csv",)
)
TASK = "Cancel reservation ZFA04Y and refund it"


@pytest.fixture
def embedder() -> WordEmbedder:
    """A model that remembers what it embedded."""
    return WordEmbedder()


@pytest.fixture
def matcher(db: Database, embedder: WordEmbedder) -> SkillMatcher:
    """The matcher over two skills whose vectors are ready."""
    repo = SkillRepository(db)
    repo.add(CANCEL)
    repo.add(PLOT)
    vectors = VectorIndex(db, embedder)
    vectors.sync()
    embedder.embedded.clear()
    return SkillMatcher(db, repo, vectors)


def test_an_earlier_task_with_other_values_is_decided_by_words(
    matcher: SkillMatcher, embedder: WordEmbedder
) -> None:
    """The skill and its inputs are those of the whole match, the reason says how, and the model slept."""
    chosen = matcher.choose(TASK)
    assert embedder.embedded == []
    assert "the model was not asked" in chosen.reason
    best, whole = chosen.matches[0], matcher.match(TASK).matches[0]
    assert embedder.embedded == [TASK]
    assert (best.name, best.version, best.inputs) == (whole.name, whole.version, whole.inputs)
    assert best.inputs == {"reservation_id": "ZFA04Y"}
    assert best.confidence == pytest.approx(whole.confidence, abs=0.1)


@pytest.mark.parametrize(
    "task",
    ["Book a table for two", "Please give me back the money for my trip", "Cancel reservation and refund it"],
)
def test_where_words_leave_a_doubt_the_answer_is_the_whole_match(
    matcher: SkillMatcher, embedder: WordEmbedder, task: str
) -> None:
    """No skill, another wording or a missing input: the model is asked."""
    chosen = matcher.choose(task)
    assert task in embedder.embedded
    assert chosen == matcher.match(task, top_k=1)


def test_a_rival_is_a_doubt(db: Database, matcher: SkillMatcher, embedder: WordEmbedder) -> None:
    """Two skills that served the same wording are told apart by the whole match."""
    SkillRepository(db).add(Skill(name="refund_hotel", examples=("Cancel reservation HB7 and refund it",)))
    assert matcher.choose(TASK) == matcher.match(TASK, top_k=1)
    assert TASK in embedder.embedded


def test_a_demanding_caller_gets_the_whole_match(matcher: SkillMatcher, embedder: WordEmbedder) -> None:
    """Words are never so sure that they pass a demand of certainty by themselves."""
    assert matcher.choose(TASK, min_confidence=0.999) == matcher.match(TASK, top_k=1, min_confidence=0.999)
    assert TASK in embedder.embedded


def test_tags_hold_and_mistakes_are_told(matcher: SkillMatcher) -> None:
    """A skill without the tag is no answer, and an empty task is refused."""
    assert matcher.choose(TASK, tags=("science",)).abstained
    with pytest.raises(UsageError, match="empty"):
        matcher.choose(" ")
    with pytest.raises(UsageError, match="confidence"):
        matcher.choose(TASK, min_confidence=2)


def test_without_a_model_choosing_is_matching(db: Database) -> None:
    """Words alone are compared either way, and the reason says that a model is missing."""
    repo = SkillRepository(db)
    repo.add(CANCEL)
    matcher = SkillMatcher(db, repo, VectorIndex(db, None))
    assert matcher.choose(TASK) == matcher.match(TASK, top_k=1)
    assert "skillsmith model install" in matcher.choose(TASK).reason


def test_nothing_is_never_decided() -> None:
    """Without a candidate there is no decision."""
    assert not decided(())


@pytest.mark.skipif(not model_status().ready, reason="no embedding model is installed here")
@pytest.mark.skipif(not SETS.exists(), reason="the labelled sets are not here")
def test_on_real_tasks_the_decision_is_that_of_the_whole_match(tmp_path: Path) -> None:
    """With the right skill and without it, words decide as the whole match does, and often."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
    from _matching import load_set  # noqa: PLC0415  (found beside the benchmarks)

    chosen = load_set(SETS / "webarena_families")
    queries = chosen.queries[::SAMPLE]
    early = 0
    with closing(Database(tmp_path / "skills.db")) as db:
        repo = SkillRepository(db)
        for skill in chosen.skills[::2]:  # so that every other task has none
            repo.add(skill)
        vectors = VectorIndex(db, open_embedder())
        vectors.sync()
        matcher = SkillMatcher(db, repo, vectors)
        for query in queries:
            found, whole = matcher.choose(query.text), matcher.match(query.text, top_k=1)
            assert [one.name for one in found.matches] == [one.name for one in whole.matches]
            early += "not asked" in found.reason
    assert early >= len(queries) / 5
