"""Fit the matcher's weights (library/matching/weights.py) on labelled sets, and judge them on unseen sources.

usage: python bench/fit_match.py SET_DIR… [--model NAME] [--no-model]

Candidates and their features are the product's own. Every source of sets counts the same, and every set of it
the same. Figures are "leave one source out": a source is judged with weights fitted on the others.

score       the weights on a grid with the largest mean lead over the better of meaning alone and words alone;
            falling behind counts six times as much as leading, so that no kind of library pays for another
confidence  logistic regression on the leads of the best candidate, over each query with its right skills,
            once more without them, and both again in small libraries of randomly chosen skills; then its log
            odds are stretched and shifted so that they are right over all queries as they stand
thresholds  of the parts alone (bench/match.py): the score that best tells queries with a skill from others
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from _matching import METRICS, LabelledSet, Library, Query, Remembering, load_set, quality

from skillsmith.library.embedding.embedders import open_embedder
from skillsmith.library.matching.ranking import Candidate
from skillsmith.library.matching.weights import MIN_CONFIDENCE
from skillsmith.models import Embedder

FEATURES = ("semantic", "words", "phrasing", "name")
RANDOM_SKILLS = 10
SMALL_SIZES = (1, 2, 3, 5, 10)
RIDGE = 0.02
FULL_WEIGHT = 10.0
"""Of the first part; only the ratios of the others to it decide the order."""
GRID = {
    "words": (1.0, 1.5, 2.0, 2.5, 3.0, 4.0),
    "phrasing": (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0),
    "name": (0.0, 1.0, 2.0, 3.0, 4.0, 6.0),
}
BEHIND = 5.0
"""How much more falling behind counts than leading."""
WITH_SKILL, WITHOUT_SKILL = 0.9, 0.1
"""How often a task has a right skill in the library, for calibration."""
FLOORS = np.arange(1.0, 6.1, 0.5)
"""From 1 on: below it, one common word shared with the only skill of a library would be a match."""
QUERIES = 1500
"""Of a larger set so many are drawn."""

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Case:
    """One query with its candidates: a row of features each, which are right, which are there by chance."""

    query: Query
    names: tuple[str, ...]
    features: Array
    right: Array
    by_chance: Array
    nearest: Array


@dataclass(frozen=True, slots=True)
class Collected:
    """A set's cases."""

    name: str
    source: str
    cases: tuple[Case, ...]


def main() -> None:
    """Collect, fit and print."""
    parser = argparse.ArgumentParser(description="Fit the matcher's weights.")
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET_DIR")
    parser.add_argument("--model", help="an embedding model by name")
    parser.add_argument("--no-model", action="store_true", help="fit the weights for words alone")
    options = parser.parse_args()
    embedder = None if options.no_model else open_embedder(options.model)
    if embedder is None and not options.no_model:
        sys.exit("no embedding model is ready; run `skillsmith model install`, or give --no-model")
    by_meaning = embedder is not None
    collected = []
    for folder in options.sets:
        for examples in (True, False):
            chosen = load_set(folder, examples=examples)
            if examples or chosen.examples_come_apart:
                collected.append(collect(chosen, embedder, suffix="" if examples else " (no examples)"))
                print("read", collected[-1].name, len(collected[-1].cases), file=sys.stderr)
    weightings = grid(by_meaning=by_meaning)
    judged = [Judged(one, weightings) for one in collected]
    judge_unseen(collected, judged, weightings)
    weights = fit_score(judged, weightings)
    print("\nweights    ", dict(zip(FEATURES, weights.tolist(), strict=True)))
    print("confidence ", tempered(collected, weights, fit_confidence(collected, weights)))
    print("thresholds ", {way: fit_threshold(collected, way) for way in ("text", "vectors")})


def collect(chosen: LabelledSet, embedder: Embedder | None, *, suffix: str) -> Collected:
    """Run the product over a set and keep what it knows of the candidates."""
    draw = random.Random(7)
    queries = draw.sample(chosen.queries, min(QUERIES, len(chosen.queries)))
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        remembering = None if embedder is None else Remembering(embedder)
        library = Library(Path(folder) / "skills.db", chosen.skills, remembering)
        for query, names in library.passes(queries):
            chance = draw.sample(sorted(names), min(RANDOM_SKILLS, len(names)))
            right = [pk for pk, name in names.items() if name in query.right]
            ranking = library.matcher.rank(query.text, include=[*right, *chance])
            cases.append(_case(query, ranking.candidates, set(chance)))
        library.db.close()
    return Collected(chosen.name + suffix, chosen.source, tuple(cases))


def _case(query: Query, candidates: Sequence[Candidate], chance: set[int]) -> Case:
    names = tuple(one.card.name for one in candidates)
    return Case(
        query=query, names=names,
        features=np.array([[getattr(one.features, name) for name in FEATURES] for one in candidates]),
        right=np.array([name in query.right for name in names]),
        by_chance=np.array([one.card.pk in chance for one in candidates]),
        nearest=np.array([_nearest(one) for one in candidates]),
    )  # fmt: skip


def _nearest(one: Candidate) -> float:
    return 0.0 if one.near is None else max(one.near.whole, one.near.best)


def shares(collected: Sequence[Collected]) -> list[float]:
    """Return the weight of one case of each set: sources equal, sets of a source equal."""
    sources = [one.source for one in collected]
    return [1 / (sources.count(one.source) * len(one.cases)) for one in collected]


class Judged:
    """The mean of the four figures that every weighting of the grid reaches on a set, and the better part."""

    def __init__(self, one: Collected, weightings: Array) -> None:
        self.name, self.source = one.name, one.source
        cases = [case for case in one.cases if case.right.any()]
        alone = [
            row for row in np.eye(len(FEATURES))[:2] if any((case.features @ row).any() for case in cases)
        ]
        self.figures = np.mean([_figures(case, weightings) for case in cases], axis=0)
        self.better_part = np.mean([_figures(case, np.array(alone)) for case in cases], axis=0).max()


def _figures(case: Case, weightings: Array) -> Array:
    """Return the mean of hit@1, recall@5, nDCG@5 and MRR of one case for each weighting."""
    order = np.argsort(-(case.features @ weightings.T), axis=0, kind="stable")
    right = case.right[order]
    count, top = int(case.right.sum()), right[:5]
    gains = 1 / np.log2(np.arange(5) + 2)
    gain = (top * gains[: len(top), None]).sum(axis=0) / gains[: min(5, count)].sum()
    return (right[0] + top.sum(axis=0) / count + gain + 1 / (right.argmax(axis=0) + 1)) / 4


def grid(*, by_meaning: bool) -> Array:
    """Return the weightings that are tried."""
    values = [(FULL_WEIGHT,) if by_meaning else (0.0,), GRID["words"] if by_meaning else (FULL_WEIGHT,)]
    return np.array(list(product(*values, GRID["phrasing"], GRID["name"])))


def fit_score(judged: Sequence[Judged], weightings: Array) -> Array:
    """Return the weighting with the largest lead over the better part."""
    sources = [one.source for one in judged]
    worth = np.zeros(len(weightings))
    for one in judged:
        lead = one.figures - one.better_part
        worth += (lead - BEHIND * np.maximum(0, -lead)) / sources.count(one.source)
    return weightings[worth.argmax()]


def newton(loss, start: Array, active: Array) -> Array:  # noqa: ANN001  (a local function of the two fits)
    """Minimise a convex function by Newton's method with halved steps."""
    point, (value, slope, bend) = start, loss(start)
    for _ in range(60):
        step = np.zeros_like(point)
        step[active] = np.linalg.solve(bend[np.ix_(active, active)], slope[active])
        scale = 1.0
        while scale > 1e-6 and loss(point - scale * step)[0] > value:
            scale /= 2
        point = point - scale * step
        value, slope, bend = loss(point)
        if np.abs(scale * step).max() < 1e-6:
            break
    return point


def situations(case: Case, scores: Array, draw: random.Random) -> list[tuple[Array, float, bool]]:
    """Return best three scores, weight and whether the best is right: large and small, with and without."""
    found = []
    right, wrong = np.flatnonzero(case.right), np.flatnonzero(~case.right)
    chance = [index for index in wrong if case.by_chance[index]]
    small = draw.sample(chance, min(draw.choice(SMALL_SIZES), len(chance)))
    for members in (wrong, np.array(small, dtype=int)):
        if len(members):
            found.append((members, WITHOUT_SKILL / 2))
        if len(right):
            kept = members if members is wrong else members[:-1]
            found.append((np.concatenate([right if members is wrong else right[:1], kept]), WITH_SKILL / 2))
    result = []
    for members, weight in found:
        order = members[np.argsort(-scores[members])]
        best = np.full(3, -np.inf)
        best[: min(3, len(order))] = scores[order[:3]]
        result.append((best, weight, bool(case.right[order[0]])))
    return result


def leads(best: Array, floor: float) -> Array:
    """Return the leads of the best over the next and the third, as the product computes them."""
    difference = best[:, :1] - np.maximum(best[:, 1:], floor)
    return np.sign(difference) * np.log1p(np.abs(difference))


def fit_confidence(collected: Sequence[Collected], weights: Array) -> dict[str, float]:
    """Fit floor, lead weights and bias."""
    draw = random.Random(11)
    rows = [
        (best, share * weight, right)
        for one, share in zip(collected, shares(collected), strict=True)
        for case in one.cases
        for best, weight, right in situations(case, case.features @ weights, draw)
    ]
    best, weight = np.stack([row[0] for row in rows]), np.array([row[1] for row in rows])
    right = np.array([row[2] for row in rows], dtype=float)
    weight = weight / weight.sum() * len(rows)
    fits = [(_newton_odds(leads(best, floor), right, weight), floor) for floor in FLOORS]
    (_, (over_next, over_third, bias)), floor = min(fits, key=lambda fit: fit[0][0])
    return {
        "floor": float(floor), "over_next": round(float(over_next), 3),
        "over_third": round(float(over_third), 3), "bias": round(float(bias), 3),
    }  # fmt: skip


def tempered(
    collected: Sequence[Collected], weights: Array, confidence: dict[str, float]
) -> dict[str, float]:
    """Stretch and shift the log odds so that over all queries, each counting once, they agree with the truth.

    Sources that count the same make confidence cautious: the hardest of them have few queries.
    """
    cases = [case for one in collected for case in one.cases]
    ranked = [np.sort(case.features @ weights)[::-1][:3] for case in cases]
    chances = np.array([chance_of(best, confidence) for best in ranked])
    right = np.array([case.right[np.argmax(case.features @ weights)] for case in cases], dtype=float)
    odds = np.log(chances / (1 - chances))[:, None]
    _, (slope, shift) = _newton_odds(odds, right, np.ones(len(cases)))
    stretched = {name: slope * confidence[name] for name in ("over_next", "over_third", "bias")}
    stretched["bias"] += shift
    return confidence | {name: round(float(value), 3) for name, value in stretched.items()}


def _newton_odds(features: Array, right: Array, weight: Array) -> tuple[float, Array]:
    rows = np.column_stack([features, np.ones(len(features))])

    def loss(point: Array) -> tuple[float, Array, Array]:
        odds = rows @ point
        chance = 1 / (1 + np.exp(-odds))
        value = float((weight * (np.logaddexp(0, odds) - right * odds)).sum()) + RIDGE / 2 * point @ point
        bend = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + RIDGE * np.eye(rows.shape[1])
        return value, rows.T @ (weight * (chance - right)) + RIDGE * point, bend

    active = np.ones(rows.shape[1], dtype=bool)
    point = newton(loss, np.zeros(rows.shape[1]), active)
    active[:-1] = point[:-1] > 0  # a lead never makes a match less likely
    if not active.all():
        point = newton(loss, np.zeros(rows.shape[1]), active)
    return loss(point)[0], point


def fit_threshold(collected: Sequence[Collected], way: str) -> float:
    """Return the score of a part alone that best tells queries with a right skill from those without."""
    with_skill, without = [], []
    for one, share in zip(collected, shares(collected), strict=True):
        for case in one.cases:
            scores = case.features[:, FEATURES.index("words")] if way == "text" else case.nearest
            if case.right.any():
                with_skill.append((scores.max(), share))
            if not case.right.all():
                without.append((scores[~case.right].max(), share))
    candidates = np.arange(0.0, 1.5, 0.01)
    return round(float(max(candidates, key=lambda least: _told_apart(with_skill, without, least))), 2)


def _told_apart(
    with_skill: list[tuple[float, float]], without: list[tuple[float, float]], least: float
) -> float:
    found = sum(share for score, share in with_skill if score >= least) / sum(
        share for _, share in with_skill
    )
    none = sum(share for score, share in without if score < least) / sum(share for _, share in without)
    return found + none


def judge_unseen(collected: Sequence[Collected], judged: Sequence[Judged], weightings: Array) -> None:
    """Print how each source is ranked and calibrated by weights fitted on the others."""
    print(
        f"{'leave one source out':30}",
        *(f"{metric:>9}" for metric in METRICS),
        "    lead  answered  brier  none p / r",
    )
    for one, figures in zip(collected, judged, strict=True):
        others = [other for other in collected if other.source != one.source]
        if not others:
            return
        weights = fit_score([other for other in judged if other.source != one.source], weightings)
        confidence = tempered(others, weights, fit_confidence(others, weights))
        answers, errors = [], []
        draw = random.Random(13)
        for case in one.cases:
            scores = case.features @ weights
            order = np.argsort(-scores)
            sure = chance_of(scores[order][:3], confidence)
            answers.append((case.query, [case.names[index] for index in order], sure < MIN_CONFIDENCE))
            for best, weight, right in situations(case, scores, draw):
                errors.append((weight * (chance_of(best, confidence) - right) ** 2, weight))
        found = quality(answers)
        brier = sum(error for error, _ in errors) / sum(weight for _, weight in errors)
        none = [found["no_match_precision"], found["no_match_recall"]]
        print(
            f"{one.name:30}", *(f"{found[metric]:9.3f}" for metric in METRICS),
            f"{np.mean([found[metric] for metric in METRICS]) - figures.better_part:+8.3f}"
            f" {found['answered_rightly']:9.3f} {brier:6.3f}",
            " / ".join("-" if value is None else f"{value:.2f}" for value in none),
        )  # fmt: skip


def chance_of(best: Array, confidence: dict[str, float]) -> float:
    """Return the confidence of the best candidate."""
    three = np.full((1, 3), -np.inf)
    three[0, : len(best)] = best
    lead = leads(three, confidence["floor"])[0]
    odds = confidence["over_next"] * lead[0] + confidence["over_third"] * lead[1] + confidence["bias"]
    return float(1 / (1 + np.exp(-odds)))


if __name__ == "__main__":
    main()
