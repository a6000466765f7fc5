from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from word_embedder import WordEmbedder

from skillsmith.db import Database
from skillsmith.errors import NotFoundError, UsageError
from skillsmith.ids import new_id
from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.library.embedding.store import model_status
from skillsmith.library.matcher import SkillMatcher
from skillsmith.library.matching import ranking
from skillsmith.library.matching.scoring import Features, confidences, score
from skillsmith.library.matching.weights import MIN_CONFIDENCE, WITH_VECTORS, WORDS_ALONE
from skillsmith.library.matching.wording import likeness, phrasing, spoken, stem, telling_words
from skillsmith.library.repository import SkillRepository
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Execution, Skill, Variable

SETS = Path(__file__).parents[2] / "shared" / "data" / "matching"

SKILLS = (
    Skill(
        name="cancel_reservation", description="Cancel a flight reservation and refund it",
        task_pattern="Cancel reservation {reservation_id}", examples=("Cancel reservation EHGLP3",),
        tags=("airline",),
        variables=(Variable(name="reservation_id", type="id", default="EHGLP3", required=True),),
    ),
    Skill(
        name="plot_spectrum", description="Plot the power spectrum of a table of numbers",
        examples=("Plot the spectrum in cmb.csv",), tags=("science",),
    ),
    Skill(name="weather_report", description="Tell the weather forecast of a city", tags=("science",)),
)  # fmt: skip

Fill = Callable[..., SkillMatcher]


@pytest.fixture
def repo(db: Database) -> SkillRepository:
    """An empty library."""
    return SkillRepository(db)


@pytest.fixture
def fill(db: Database, repo: SkillRepository) -> Fill:
    """Store skills and return the matcher over them, with or without a model."""

    def make(*skills: Skill, model: bool = True) -> SkillMatcher:
        for skill in skills or SKILLS:
            repo.add(skill)
        return SkillMatcher(db, repo, VectorIndex(db, WordEmbedder() if model else None))

    return make


@pytest.mark.parametrize("model", [True, False])
def test_the_right_skill_is_found_and_its_inputs_are_bound(fill: Fill, *, model: bool) -> None:
    """With and without a model the fitting skill comes first, with the values that the task gives."""
    result = fill(model=model).match("Please cancel my flight reservation ZFA04Y")
    best = result.matches[0]
    assert (best.name, best.version, result.abstained) == ("cancel_reservation", 1, False)
    assert best.inputs == {"reservation_id": "ZFA04Y"}
    assert best.missing == ()
    assert best.confidence >= MIN_CONFIDENCE
    assert set(best.parts) == {"semantic", "lexical", "tags", "structure", "evidence"}
    assert all(0 <= value <= 1 for value in best.parts.values())
    assert "cancel" in best.reason


@pytest.mark.parametrize("model", [True, False])
def test_none_is_an_answer_with_a_reason(fill: Fill, *, model: bool) -> None:
    """A task that has nothing to do with any skill gets none, and a sentence why."""
    result = fill(model=model).match("Translate this poem into Portuguese")
    assert result.abstained
    assert result.matches == ()
    assert result.reason
    assert "\n" not in result.reason


@pytest.mark.parametrize("model", [True, False])
def test_a_library_of_one_skill_finds_it_and_can_say_none(fill: Fill, *, model: bool) -> None:
    """With nothing to compare with, a fitting task is still told from an unrelated one."""
    matcher = fill(SKILLS[1], model=model)
    assert matcher.match("plot the power spectrum of other.csv").matches[0].name == "plot_spectrum"
    assert matcher.match("Book a table for two at an Italian restaurant").abstained


def test_an_empty_library_has_no_match(db: Database, repo: SkillRepository) -> None:
    """Before the first skill the answer is none, without an error."""
    matcher = SkillMatcher(db, repo, VectorIndex(db, WordEmbedder()))
    assert matcher.match("anything").abstained
    assert matcher.find_matching_skills("anything", 5, 0.0) == []


def test_without_a_model_the_answer_says_so_once(fill: Fill) -> None:
    """The reason carries one line on comparing words alone, whether there is a match or not."""
    matcher = fill(model=False)
    for task in ("cancel the flight reservation", "sing a song"):
        assert matcher.match(task).reason.count("words alone") == 1


def test_two_skills_that_fit_equally_are_no_confident_match(fill: Fill) -> None:
    """Of two skills that say the same neither is likely enough to be the answer."""
    twin = replace(SKILLS[1], name="draw_spectrum", description=SKILLS[1].description)
    result = fill(SKILLS[1], twin, SKILLS[2]).match("power spectrum of numbers", min_confidence=0)
    one, other = result.matches[:2]
    assert {one.name, other.name} == {"plot_spectrum", "draw_spectrum"}
    assert max(one.confidence, other.confidence) < MIN_CONFIDENCE


def test_required_tags_limit_the_candidates(fill: Fill) -> None:
    """Only skills with all of the tags can match, however well others fit."""
    matcher = fill()
    assert matcher.match("cancel reservation ZFA04Y", tags=("science",), min_confidence=0.3).abstained
    found = matcher.match("weather forecast of Paris", tags=("science",), min_confidence=0).matches
    assert {match.name for match in found} <= {"plot_spectrum", "weather_report"}
    assert "science" in matcher.match("cancel", tags=("science", "missing")).reason


def test_a_missing_input_is_named_and_counts_against_the_skill(fill: Fill) -> None:
    """A task that does not say what a skill needs matches less surely, and the match says what is missing."""
    matcher = fill()
    given_id = matcher.match("Cancel flight reservation ZFA04Y", min_confidence=0).matches[0]
    without = matcher.match("Cancel flight reservation", min_confidence=0).matches[0]
    assert without.missing == ("reservation_id",)
    assert without.parts["structure"] == 0
    assert given_id.parts["structure"] == 1
    assert "reservation_id" in without.reason


def execute(repo: SkillRepository, name: str, *outcomes: bool) -> None:
    """Record executions of the current version with these outcomes."""
    now = time.time()
    for success in outcomes:
        repo.create_skill_execution(Execution(
            id=new_id(), skill=name, version=repo.current_version(name), run_id=None, task="",
            success=success,
            started_at=now, completed_at=now, duration_seconds=1.0, error=None, inputs={}, outputs={},
            adaptations=(), cost_usd=None,
        ))  # fmt: skip


def test_a_skill_that_always_failed_is_left_out_unless_asked_for(fill: Fill, repo: SkillRepository) -> None:
    """After three failures and no success a skill is no candidate, but can still be explained."""
    matcher = fill()
    execute(repo, "weather_report", False, False, False)
    task = "weather forecast of a city"
    assert all(match.name != "weather_report" for match in matcher.match(task, min_confidence=0).matches)
    found = matcher.find_matching_skills(task, exclude_failed=False, min_similarity=0)
    assert found[0][0].name == "weather_report"
    explained = matcher.explain_match(task, repo.get("weather_report"))
    assert explained["executions"] == {"succeeded": 0, "failed": 3}


def test_success_decides_between_skills_that_fit_equally(fill: Fill, repo: SkillRepository) -> None:
    """Of two skills that fit the same, the one with the better record comes first."""
    matcher = fill(SKILLS[1], replace(SKILLS[1], name="draw_spectrum"), SKILLS[2])
    task = "power spectrum of a table of numbers"
    execute(repo, "plot_spectrum", True, False, False, False, False)
    execute(repo, "draw_spectrum", True, True, True, True, True)
    first, second = matcher.match(task, min_confidence=0).matches[:2]
    assert (first.name, second.name) == ("draw_spectrum", "plot_spectrum")
    assert first.parts["evidence"] > second.parts["evidence"]


def test_retired_skills_are_left_out_and_untrusted_ones_are_marked(fill: Fill, repo: SkillRepository) -> None:
    """What is retired is never offered; what was imported is, with a word of warning."""
    matcher = fill()
    repo.set_state("plot_spectrum", "retired")
    assert matcher.match("plot the power spectrum").abstained
    repo.add(replace(SKILLS[1], name="plot_imported", state="quarantined"))
    match = matcher.match("plot the power spectrum").matches[0]
    assert match.name == "plot_imported"
    assert "not trusted" in match.reason


def test_the_specified_method_returns_skills_with_explanations(fill: Fill) -> None:
    """find_matching_skills gives whole skills, confidence of .7 or more and an explanation for people."""
    found = fill().find_matching_skills("Cancel the flight reservation ZFA04Y and refund it")
    skill, confidence, explanation = found[0]
    assert isinstance(skill, Skill)
    assert skill.name == "cancel_reservation"
    assert confidence >= 0.7
    assert explanation["reason"]
    assert explanation["inputs"] == {"reservation_id": "ZFA04Y"}
    assert explanation["evidence"]["reservation_id"]
    json.dumps(explanation)


def test_any_stored_skill_can_be_explained(fill: Fill, repo: SkillRepository) -> None:
    """A skill far from the task is explained too, beside the best other; one never stored is not found."""
    matcher = fill()
    explained = matcher.explain_match("Cancel reservation ZFA04Y", repo.get("weather_report"))
    assert explained["name"] == "weather_report"
    assert explained["confidence"] < explained["best_other"]["confidence"]
    assert explained["best_other"]["name"] == "cancel_reservation"
    with pytest.raises(NotFoundError):
        matcher.explain_match("Cancel", Skill(name="unheard_of"))


def test_new_skills_are_embedded_on_the_way_and_many_wait(
    fill: Fill, repo: SkillRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few skills without vectors get them during a match; with many, words are compared and it says so."""
    matcher = fill()
    assert matcher.rank("weather").notice == ""
    repo.add(Skill(name="bake_bread", description="Bake a loaf of bread"))
    assert matcher.match("bake bread").matches[0].name == "bake_bread"
    monkeypatch.setattr(ranking, "CATCH_UP", 0)
    repo.add(Skill(name="fix_bike", description="Mend the tyre of a bicycle"))
    ranked = matcher.rank("mend a tyre")
    assert "skillsmith reindex" in ranked.notice
    assert ranked.candidates[0].card.name == "fix_bike"


def test_a_file_that_another_process_is_writing_is_still_searched(
    fill: Fill, db: Database, repo: SkillRepository
) -> None:
    """A match never waits in vain for the right to write: it then compares words and says so."""
    matcher = fill()
    matcher.rank("weather")
    repo.add(Skill(name="bake_bread", description="Bake a loaf of bread"))
    db.execute("PRAGMA busy_timeout = 20")
    with closing(Database(db.path)) as other, other.transaction():
        result = matcher.match("bake a loaf of bread")
    assert result.matches[0].name == "bake_bread"
    assert "words alone" in result.reason


def test_a_task_seen_before_outweighs_words_that_happen_to_be_shared(
    fill: Fill, repo: SkillRepository
) -> None:
    """A skill is found by a task it served even when its own description shares no word with it."""
    matcher = fill()
    repo.add_example("weather_report", "Do I need an umbrella in Lisbon tomorrow?")
    best = matcher.match("Do I need an umbrella in Porto tomorrow?").matches[0]
    assert best.name == "weather_report"
    assert "earlier task" in best.reason


@pytest.mark.parametrize(
    "arguments", [{"task": "  "}, {"task": "x", "top_k": 0}, {"task": "x", "min_confidence": 1.5}]
)
def test_what_cannot_be_asked_is_refused_in_one_line(fill: Fill, arguments: dict[str, object]) -> None:
    """An empty task or a number out of range is a usage error."""
    with pytest.raises(UsageError):
        fill().match(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "task", ['"', "NEAR(", "a AND", "*", "{x}", "-- ;", "é ü 漢字", "\x00", "x" * 50_000, "\ud800"]
)
def test_no_text_breaks_the_search(fill: Fill, task: str) -> None:
    """Quotes, operators, other scripts, very long words and broken characters are just text."""
    assert isinstance(fill(model=False).match(task).abstained, bool)


def test_top_k_and_the_order_of_matches(fill: Fill) -> None:
    """At most so many come back, the surest first."""
    found = fill().match("plot weather reservation", min_confidence=0, top_k=2).matches
    assert len(found) == 2
    assert found[0].confidence >= found[1].confidence


finite = st.floats(-5, 25, allow_nan=False)


@given(st.lists(finite, min_size=1, max_size=8), st.sampled_from([WITH_VECTORS, WORDS_ALONE]))
def test_confidence_keeps_the_order_of_scores(scores: list[float], weights: object) -> None:
    """A better score never has less confidence, and all are between 0 and 1."""
    found = confidences(scores, weights)  # type: ignore[arg-type]
    assert all(0 <= sure <= 1 for sure in found)
    pairs = sorted(zip(scores, found, strict=True))
    assert all(one[1] <= other[1] + 1e-12 for one, other in pairwise(pairs))


@given(st.lists(finite, min_size=1, max_size=8), finite)
def test_a_rival_never_makes_the_best_surer(scores: list[float], rival: float) -> None:
    """Another candidate can only lower the confidence of those that are there."""
    before = confidences(scores, WITH_VECTORS)
    after = confidences([*scores, rival], WITH_VECTORS)[: len(scores)]
    assert all(late <= early + 1e-12 for early, late in zip(before, after, strict=True))


share = st.floats(0, 1, allow_nan=False)


@settings(max_examples=50)
@given(share, share, share, share, share)
def test_no_part_counts_the_wrong_way(
    semantic: float, words: float, phrasing: float, name: float, structure: float
) -> None:
    """More of anything good never lowers a score."""
    less = Features(semantic=semantic, words=words, phrasing=phrasing, name=name, structure=structure)
    for part in ("semantic", "words", "phrasing", "name", "tags", "structure", "evidence"):
        for weights in (WITH_VECTORS, WORDS_ALONE):
            assert score(replace(less, **{part: 1.0}), weights) >= score(less, weights)


def test_words_are_read_as_people_say_them() -> None:
    """Names fall into words, endings do not matter, small words tell nothing unless there are no others."""
    assert spoken("getUserDetails") == spoken("get_user-details") == "get user details"
    assert {stem(word) for word in ("plot", "plots", "plotted", "plotting")} == {"plot"}
    assert stem("cities") == stem("city")
    assert telling_words("What is the weather in Rome?") == ["weather", "rome"]
    assert telling_words("to be or not to be") == ["to", "be", "or", "not"]
    assert likeness("Cancel order 7", ["cancel order 9", "plot"]) == pytest.approx(2 / 3)
    assert likeness("Cancel order 7", []) == 0


def test_values_do_not_count_in_a_phrasing() -> None:
    """Names, numbers, quoted pieces and places of a pattern are one and the same; word order counts."""
    assert phrasing("Cancel order 7 of Mia Li", ["Cancel order {order_id} of {user}"]) == 1
    assert phrasing('Post "hello there" in books', ["Post 'good bye' in movies"]) == pytest.approx(3 / 5)
    assert phrasing("order the cancel", ["cancel the order"]) < phrasing(
        "cancel an order", ["cancel the order"]
    )
    assert phrasing("Cancel order 7", []) == 0


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_phrasing_is_like_itself_and_likeness_has_no_direction(one: str, other: str) -> None:
    """Every text is as it is phrased itself, and two texts are as alike as the other way round."""
    assert phrasing(one, [one]) == 1
    assert phrasing(one, [other]) == phrasing(other, [one])
    assert 0 <= phrasing(one, [other]) <= 1


def load(repo: SkillRepository, folder: Path, limit: int) -> list[tuple[str, list[str]]]:
    """Store a labelled set's skills, and return tasks with the names of their right skills."""
    rows = [json.loads(line) for line in (folder / "catalogue.jsonl").read_text().splitlines()]
    names = {row["id"]: row["name"] for row in rows}
    for row in rows:
        skill = Skill(
            name=row["name"], description=row["description"], examples=tuple(row.get("examples", ()))
        )
        repo.add(skill)
    queries = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    asked = [(row["query"], [names[right] for right in row["positive_ids"]]) for row in queries]
    return [(task, right) for task, right in asked if right][:limit]


def hits(matcher: SkillMatcher, asked: list[tuple[str, list[str]]]) -> float:
    """Return how often the first candidate is right."""
    return sum(matcher.rank(task).candidates[0].card.name in right for task, right in asked) / len(asked)


@pytest.mark.skipif(not SETS.exists(), reason="the labelled sets are not here")
def test_tasks_of_real_families_find_their_skill_without_a_model(db: Database, repo: SkillRepository) -> None:
    """On real task families words alone rank the right skill first nine times in ten."""
    asked = load(repo, SETS / "webarena_families", 200)
    assert hits(SkillMatcher(db, repo, VectorIndex(db, None)), asked) >= 0.9


@pytest.mark.skipif(not SETS.exists(), reason="the labelled sets are not here")
@pytest.mark.skipif(not model_status().ready, reason="no embedding model is ready")
def test_the_real_model_makes_matches_better(db: Database, repo: SkillRepository) -> None:
    """On real customer requests the model finds more right skills than words alone."""
    asked = load(repo, SETS / "tau_retail_actions", 80)
    alone = hits(SkillMatcher(db, repo, VectorIndex(db, None)), asked)
    assert hits(SkillMatcher(db, repo, VectorIndex(db, open_embedder())), asked) > alone
