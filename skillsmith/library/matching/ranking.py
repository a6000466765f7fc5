"""All candidates for a task in order: found by words and by vectors, the best of them looked at closely.

Whole skills are loaded only to bind inputs, and only for the few best: the rest is decided on what an index
or one row holds, so that the time for a match hardly depends on how large skills are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from skillsmith.db import Database, is_locked
from skillsmith.errors import StorageError
from skillsmith.library.ledger import ExecutionLedger, wilson_low
from skillsmith.library.matching.candidates import ENOUGH_NATS, Card, Question, TextIndex
from skillsmith.library.matching.scoring import Features, confidences, score
from skillsmith.library.matching.weights import WITH_VECTORS, WORDS_ALONE, Weights
from skillsmith.library.matching.wording import phrasing, spoken, stem, telling_stems
from skillsmith.library.store.reader import SkillReader
from skillsmith.library.vectors import VectorIndex
from skillsmith.models import Json

NEIGHBOURS = 25
BEST_IN_WORDS = 15
"""Candidates taken from vectors and from full text."""
TEXT_HITS = 60
"""Skills whose share of words is known exactly; others count as having none."""
SHORTLIST = 10
"""Candidates that are looked at closely."""
EARLIER_TASKS = 8
"""Newest earlier tasks of a candidate whose wording is compared, beside the first."""
BOUND = 3
REACH = 2.0
"""Inputs are bound, which takes a whole skill and a millisecond, for so many candidates at most, and only for
those whose score could come so near to the best that it matters."""
CATCH_UP = 16
"""Skills without vectors that are embedded on the way; more wait for a reindex."""
NOT_READ = "the model does not know most of its words, so words alone are compared"
NOT_ASKED = "its words leave no doubt, so the model was not asked"
FAILED_ENOUGH = 3
"""Executions after which a skill that never succeeded counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a task gives to a skill's inputs.

    Args:
        inputs: Values by variable.
        evidence: What speaks for each value, by variable.
        missing: Required inputs that nothing binds, and others of which the task says what nobody can read.
        share: Share of the required inputs that are bound; 1 when none is required.
    """

    inputs: Mapping[str, Json]
    evidence: Mapping[str, str]
    missing: tuple[str, ...]
    share: float


NOTHING_TO_BIND = Binding(inputs={}, evidence={}, missing=(), share=1.0)
NOT_LOOKED_AT = replace(NOTHING_TO_BIND, share=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """How near a skill is to a task in meaning.

    Args:
        whole: Cosine with the skill as a whole.
        best: The largest cosine with one of its texts.
        field: Which text that is: profile, example, node or body.
    """

    whole: float
    best: float
    field: str

    @property
    def similarity(self) -> float:
        """The mean of both, which ranks better than either."""
        return (self.whole + self.best) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One skill in the running.

    Args:
        features: The parts of its score.
        near: Its nearness in meaning; None without vectors.
        tried: How many executions succeeded and failed.
        score: The weighted sum of the parts.
        confidence: The chance that it is right; 0 for what is left out.
    """

    card: Card
    features: Features
    near: Nearness | None
    tried: tuple[int, int]
    binding: Binding
    score: float
    confidence: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The candidates for a task, best first, whatever their confidence.

    Args:
        task: What is to be done, in words.
        left_out: Candidates that may not be used: retired, or failed whenever they were tried.
        notice: Why vectors were not used, in one line; empty when they were.
    """

    task: str
    question: Question
    weights: Weights
    candidates: tuple[Candidate, ...]
    left_out: tuple[Candidate, ...]
    notice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A task with everything that comparing it needs."""

    text: str
    question: Question
    vector: bytes | None
    weights: Weights
    notice: str


class _Rough(NamedTuple):
    """What is known of a candidate before it is looked at closely: cosine as a whole, share of words."""

    whole: float
    words: float


class Ranker:
    """Ranks the skills of a library for tasks.

    Args:
        db: The connection.
        skills: The skills.
        vectors: Their vectors; what little is missing is embedded on the way.
    """

    def __init__(self, db: Database, skills: SkillReader, vectors: VectorIndex) -> None:
        self._skills = skills
        self._vectors = vectors
        self._text = TextIndex(db)
        self._ledger = ExecutionLedger(db)

    def rank(
        self,
        text: str,
        *,
        tags: Sequence[str] = (),
        include: Sequence[int] = (),
        exclude_failed: bool = True,
        by_meaning: bool = True,
        question: Question | None = None,
    ) -> Ranking:
        """Return the candidates for a task.

        Args:
            text: What is to be done, in words.
            tags: Only skills with all of these.
            include: Versions that are candidates in any case.
            exclude_failed: Leave out skills that failed whenever they were tried.
            by_meaning: Compare vectors where there are some; else words alone, and the model is not asked.
            question: The task as full text sees it, where that is known.
        """
        task = self._task(text, question, by_meaning=by_meaning)
        usable, left_out = list[Candidate](), list[Candidate]()
        for one in self._look_closely(task, self._shortlist(task, tags, include)):
            failed = exclude_failed and one.tried[0] == 0 and one.tried[1] >= FAILED_ENOUGH
            (left_out if failed or one.card.state == "retired" else usable).append(one)
        usable = sorted(self._bind(task, usable), key=_order)
        certain = confidences([one.score for one in usable], task.weights)
        ranked = [replace(one, confidence=sure) for one, sure in zip(usable, certain, strict=True)]
        return Ranking(
            task=text, question=task.question, weights=task.weights, notice=task.notice,
            candidates=tuple(ranked), left_out=tuple(left_out),
        )  # fmt: skip

    def _task(self, text: str, question: Question | None, *, by_meaning: bool) -> _Task:
        notice = self._catch_up() if by_meaning else NOT_ASKED
        question = question or self._text.question(text)
        if not notice and question.skills and not self._vectors.reads(question.nats):
            notice = NOT_READ
        return _Task(
            text=text, question=question, notice=notice, weights=WORDS_ALONE if notice else WITH_VECTORS,
            vector=None if notice or not question.skills else self._vectors.embed(text),
        )  # fmt: skip

    def _catch_up(self) -> str:
        """Embed what little is missing, and return why vectors can still not be used, if so."""
        notice = self._vectors.notice
        if notice:
            return notice
        pending = self._vectors.pending()
        if 0 < pending <= CATCH_UP:
            try:
                self._vectors.sync()
            except StorageError as error:
                if not is_locked(error):
                    raise
            pending = self._vectors.pending()
        if not pending:
            return ""
        have = "skill has" if pending == 1 else "skills have"
        return f"{pending} {have} no vectors yet, so words alone are compared; run `skillsmith reindex`"

    def _shortlist(self, task: _Task, tags: Sequence[str], include: Sequence[int]) -> dict[int, _Rough]:
        """Return the candidates that are ahead on words and the whole meaning, and those included anyway."""
        among = self._text.tagged(tags) if tags else None
        words = self._text.search(task.question, limit=TEXT_HITS, among=among)
        found = {*include, *islice(words, BEST_IN_WORDS)}
        wholes: dict[int, float] = {}
        if task.vector is not None:
            wholes = self._vectors.nearest(
                task.vector, limit=NEIGHBOURS, among=among, skills=task.question.skills
            )
            wholes |= self._vectors.wholes(task.vector, [pk for pk in found if pk not in wholes])
        by_meaning, by_words = task.weights.semantic, task.weights.words
        rough = {pk: _Rough(wholes.get(pk, 0.0), words.get(pk, 0.0)) for pk in found.union(wholes)}
        ahead = sorted(rough, key=lambda pk: (-by_meaning * rough[pk].whole - by_words * rough[pk].words, pk))
        return {pk: rough[pk] for pk in dict.fromkeys((*include, *ahead[:SHORTLIST]))}

    def _look_closely(self, task: _Task, short: Mapping[int, _Rough]) -> Iterator[Candidate]:
        near: dict[int, Nearness] = {}
        if task.vector is not None:
            for pk, (best, field) in self._vectors.nearest_texts(task.vector, list(short)).items():
                near[pk] = Nearness(whole=short[pk].whole, best=best, field=field)
        tried = self._ledger.evidence(list(short))
        said = telling_stems(task.text)
        for card in self._text.cards(short):
            binding = NOT_LOOKED_AT if card.has_variables else NOTHING_TO_BIND
            successes, failures = tried[card.pk]
            features = Features(
                semantic=near[card.pk].similarity if card.pk in near else 0.0,
                words=short[card.pk].words,
                phrasing=phrasing(task.text, earlier_tasks(card)),
                name=name_said(card.name, task.question),
                tags=sum(telling_stems(spoken(tag)) <= said for tag in card.tags) / max(1, len(card.tags)),
                structure=binding.share,
                evidence=wilson_low(successes, successes + failures) or 0.0,
                failing=wilson_low(failures, successes + failures) or 0.0,
            )
            yield Candidate(
                card=card, features=features, near=near.get(card.pk), tried=tried[card.pk], binding=binding,
                score=score(features, task.weights),
            )  # fmt: skip

    def _bind(self, task: _Task, candidates: Iterable[Candidate]) -> Iterator[Candidate]:
        """Bind the inputs of candidates near the top; what they leave unbound then counts against them."""
        best = -math.inf
        for place, one in enumerate(sorted(candidates, key=_order)):
            bound = one
            if place < BOUND and one.score + task.weights.structure >= best - REACH:
                bound = self.with_inputs(task.text, one)
            if bound is not one:
                bound = replace(bound, score=score(bound.features, task.weights))
            best = max(best, bound.score)
            yield bound

    def with_inputs(self, task: str, one: Candidate) -> Candidate:
        """Return a candidate with its inputs bound, if they are not yet; its score stays."""
        if one.binding is not NOT_LOOKED_AT:
            return one
        binding = self._binding(task, one.card.pk)
        return replace(one, binding=binding, features=replace(one.features, structure=binding.share))

    def _binding(self, task: str, version: int) -> Binding:
        from skillsmith.library.matching.reading import read_task  # noqa: PLC0415  (15 ms; few matches need it)

        skill = self._skills.by_pk(version)
        reading = read_task(task, skill)
        values = reading.bound
        required = [variable.name for variable in skill.variables if variable.required]
        missing = tuple(name for name in required if name not in values)
        return Binding(
            inputs={name: bound.value for name, bound in values.items()},
            evidence={name: bound.evidence for name, bound in values.items()},
            missing=(*missing, *reading.unclear),
            share=1 - len(missing) / len(required) if required else 1.0,
        )


def _order(one: Candidate) -> tuple[float, str]:
    return -one.score, one.card.name


def earlier_tasks(card: Card) -> list[str]:
    """Return the wordings that a new task may resemble: the pattern, the first task and the newest others."""
    pattern = [card.task_pattern] if card.task_pattern else []
    return [*pattern, *card.examples[:1], *card.examples[1:][-EARLIER_TASKS:]]


def name_said(name: str, question: Question) -> float:
    """Return which share of a name the task says, times which share of what the task tells that is."""
    words = telling_stems(spoken(name))
    said = {stem(word) for word in question.nats} & words
    nats = sum(told for word, told in question.nats.items() if stem(word) in said)
    return len(said) / len(words) * nats / min(question.total, ENOUGH_NATS) if said else 0.0
