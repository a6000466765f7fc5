"""Which skill fits a task, or that none does: the second answer is as good as the first.

Candidates are ranked by one weighted sum of what meaning, words, tags, bound inputs and executions say.
Confidence is how likely a candidate is right, given how far it leads over the others and over what an
unrelated skill would reach (library/matching/weights.py). When nothing reaches the threshold the answer is
that there is none, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from skillsmith.db import Database
from skillsmith.errors import UsageError
from skillsmith.library.matching.early_exit import decided
from skillsmith.library.matching.ranking import Candidate, Ranker, Ranking, earlier_tasks
from skillsmith.library.matching.scoring import parts
from skillsmith.library.matching.threshold import Threshold, learned_threshold
from skillsmith.library.matching.wording import spoken, stem, telling_stems, without_places
from skillsmith.library.store.reader import SkillReader
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Json, Match, MatchResult, Skill
from skillsmith.word_pieces import joined

Found: TypeAlias = list[tuple[Skill, float, dict[str, Json]]]

CLOSE = 0.5
"""Cosine from which a skill is called close in meaning."""
NEARLY = 0.05
"""Difference of confidence within which two skills are said to fit equally well."""
SHOWN_WORDS = 5

_FIELDS = {
    "profile": "its description", "example": "an earlier task", "node": "its steps", "body": "its notes",
}  # fmt: skip


class SkillMatcher:
    """Finds the skill for a task.

    Args:
        db: The connection.
        repo: The skills.
        vectors: Their vectors; what little is missing is embedded on the way.
    """

    def __init__(self, db: Database, repo: SkillReader, vectors: VectorIndex) -> None:
        self._db = db
        self._repo = repo
        self._vectors = vectors
        self._ranker = Ranker(db, repo, vectors)

    def match(
        self, task: str, *, top_k: int = 5, min_confidence: float | None = None, tags: Sequence[str] = ()
    ) -> MatchResult:
        """Return the skills that fit a task, best first, or that none does and why.

        Args:
            task: What is to be done, in words.
            top_k: At most so many.
            min_confidence: The least confidence of a match, 0 to 1; None: the library's own
                (library/matching/threshold.py).
            tags: Only skills with all of these.

        Raises:
            UsageError: The task is empty, or a number is out of its range.
        """
        least = self._least(min_confidence)
        _check(task, top_k, least.value)
        return self._answer(task, self._ranker.rank(task, tags=tags), top_k, least, tags)

    def choose(
        self, task: str, *, min_confidence: float | None = None, tags: Sequence[str] = ()
    ) -> MatchResult:
        """Return the one skill to run for a task, or that none fits and why.

        The answer is that of ``match``; where words alone leave no doubt, it is given without asking the
        model (library/matching/early_exit.py).

        Args:
            task: What is to be done, in words.
            min_confidence: The least confidence, as for ``match``.
            tags: Only skills with all of these.

        Raises:
            UsageError: The task is empty, or a number is out of its range.
        """
        if self._vectors.notice:  # words alone are compared anyway
            return self.match(task, top_k=1, min_confidence=min_confidence, tags=tags)
        least = self._least(min_confidence)
        _check(task, 1, least.value)
        ranking = self._ranker.rank(task, tags=tags, by_meaning=False)
        if not decided(ranking.candidates) or ranking.candidates[0].confidence < least.value:
            ranking = self._ranker.rank(task, tags=tags, question=ranking.question)
        return self._answer(task, ranking, 1, least, tags)

    def _least(self, chosen: float | None) -> Threshold:
        return learned_threshold(self._db) if chosen is None else Threshold(value=chosen)

    def _answer(
        self, task: str, ranking: Ranking, top_k: int, least: Threshold, tags: Sequence[str]
    ) -> MatchResult:
        fitting = self._fitting(task, ranking, top_k, least.value)
        reason = _why(ranking, fitting, least, tags)
        return MatchResult(
            matches=tuple(_match(one, ranking) for one in fitting),
            abstained=not fitting,
            reason=f"{reason} ({ranking.notice})" if ranking.notice else reason,
        )

    def find_matching_skills(
        self,
        task_description: str,
        top_k: int = 5,
        min_similarity: float = 0.7,
        required_tags: Sequence[str] | None = None,
        exclude_failed: bool = True,  # noqa: FBT001, FBT002  (the specification's signature)
    ) -> Found:
        """Return the skills that fit a task, each with its confidence and explanation, best first.

        Args:
            task_description: What is to be done, in words.
            top_k: At most so many.
            min_similarity: The least confidence: 0.7 means that seven of ten such matches are right.
            required_tags: Only skills with all of these.
            exclude_failed: Leave out skills that failed every one of three or more executions.

        Raises:
            UsageError: The task is empty, or a number is out of its range.
        """
        _check(task_description, top_k, min_similarity)
        ranking = self._ranker.rank(task_description, tags=required_tags or (), exclude_failed=exclude_failed)
        fitting = self._fitting(task_description, ranking, top_k, min_similarity)
        return [
            (self._repo.by_pk(one.card.pk), one.confidence, _explanation(one, ranking)) for one in fitting
        ]

    def explain_match(self, task_description: str, skill: Skill) -> dict[str, Json]:
        """Return how well the current version of a skill fits a task, part by part, and what it binds.

        Args:
            task_description: What is to be done, in words.
            skill: Any version of a stored skill.

        Raises:
            NotFoundError: There is no such skill.
            UsageError: The task is empty.
        """
        _check(task_description, 1, 0.0)
        version = self._repo.version_pk(skill.name)
        ranking = self._ranker.rank(task_description, include=[version])
        found = (*ranking.candidates, *ranking.left_out)
        one = next(one for one in found if one.card.pk == version)
        return _explanation(self._ranker.with_inputs(task_description, one), ranking)

    def _fitting(self, task: str, ranking: Ranking, top_k: int, least: float) -> list[Candidate]:
        fitting = [one for one in ranking.candidates if one.confidence >= least][:top_k]
        return [self._ranker.with_inputs(task, one) for one in fitting]

    def rank(self, task: str, *, tags: Sequence[str] = (), include: Sequence[int] = ()) -> Ranking:
        """Return all candidates for a task, best first, whatever their confidence.

        Args:
            task: What is to be done, in words.
            tags: Only skills with all of these.
            include: Keys of skill versions that are candidates in any case.
        """
        _check(task, 1, 0.0)
        return self._ranker.rank(task, tags=tags, include=include)


def _check(task: str, top_k: int, least: float) -> None:
    if not task.strip():
        raise UsageError("the task is empty", hint="say in words what is to be done")
    if top_k < 1:
        raise UsageError(f"{top_k} skills cannot be returned", hint="ask for at least 1")
    if not 0 <= least <= 1:
        raise UsageError(f"a confidence of {least} cannot be", hint="give one from 0 to 1")


def _match(one: Candidate, ranking: Ranking) -> Match:
    return Match(
        name=one.card.name, version=one.card.version, confidence=round(one.confidence, 4),
        parts=parts(one.features, ranking.weights), inputs=one.binding.inputs, missing=one.binding.missing,
        reason="; ".join(_reasons(one, ranking)),
    )  # fmt: skip


def _explanation(one: Candidate, ranking: Ranking) -> dict[str, Json]:
    match = _match(one, ranking)
    rivals = (rival for rival in ranking.candidates if rival.card.pk != one.card.pk)
    rival = next(rivals, None)
    return {
        "name": match.name,
        "version": match.version,
        "confidence": match.confidence,
        "parts": dict(match.parts),
        "inputs": dict(match.inputs),
        "missing": list(match.missing),
        "evidence": dict(one.binding.evidence),
        "words": _shared_words(one, ranking),
        "nearest": None if one.near is None else {
            "text": one.near.field, "similarity": round(one.near.best, 4), "whole": round(one.near.whole, 4),
        },
        "executions": {"succeeded": one.tried[0], "failed": one.tried[1]},
        "best_other": None if rival is None else {
            "name": rival.card.name, "confidence": round(rival.confidence, 4),
        },
        "reason": match.reason,
    }  # fmt: skip


def _reasons(one: Candidate, ranking: Ranking) -> Iterator[str]:
    """Yield what speaks for and against a candidate, a phrase each."""
    if one.near is not None and one.near.best >= CLOSE:
        yield f"close in meaning to {_FIELDS[one.near.field]} ({one.near.best:.2f})"
    shared = _shared_words(one, ranking)
    yield f"says {', '.join(shared)}" if shared else "shares no telling word"
    if one.binding.inputs:
        yield f"gives {', '.join(one.binding.inputs)}"
    if one.binding.missing:
        yield f"does not give {', '.join(one.binding.missing)}"
    successes, failures = one.tried
    if successes + failures:
        yield f"succeeded in {successes} of {successes + failures} executions"
    if one.card.state == "quarantined":
        yield f"not trusted yet: read it with `skillsmith show {one.card.name}`, then trust it"
    if one.card.state == "retired":
        yield "retired"


def _shared_words(one: Candidate, ranking: Ranking) -> list[str]:
    """Return the words of the task that the skill's short texts hold, the most telling first."""
    card = one.card
    texts = (spoken(card.name), card.description, " ".join(card.tags), *earlier_tasks(card))
    held = telling_stems(without_places(" ".join(texts)))
    nats = ranking.question.nats
    shared = [word for word in nats if stem(word) in held]
    return joined(sorted(shared, key=lambda word: -nats[word]), ranking.task)[:SHOWN_WORDS]


def _why(ranking: Ranking, fitting: Sequence[Candidate], least: Threshold, tags: Sequence[str]) -> str:
    """Return one sentence on the answer as a whole."""
    if fitting:
        best = fitting[0]
        return f"{best.card.name} fits with confidence {best.confidence:.2f}"
    if not ranking.candidates:
        return _why_empty(ranking, tags)
    best, *others = ranking.candidates
    nearest = f"{best.confidence:.2f} is the confidence of the nearest, {best.card.name}"
    if others and best.confidence - others[0].confidence < NEARLY and best.score > ranking.weights.floor:
        nearest = (
            f"{best.card.name} and {others[0].card.name} are the nearest and fit about equally,"
            f" with confidence {best.confidence:.2f}"
        )
    return f"{nearest}, and {least} is needed"


def _why_empty(ranking: Ranking, tags: Sequence[str]) -> str:
    if ranking.left_out:
        names = ", ".join(one.card.name for one in ranking.left_out[:3])
        return f"what comes near is retired or has always failed: {names}"
    tagged = f" tagged {' and '.join(tags)}" if tags else ""
    return f"no skill{tagged} shares a word or meaning with the task"
